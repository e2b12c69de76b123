// lines.js: what the two Node programs share. A request a line on stdin, an answer a line on
// stdout, both JSON; tests/integration/harness/clients.py has the other side.
"use strict";

const readline = require("node:readline");

// A reply as JSON has it: maps as objects with sorted names, buffers as text.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Error) return { error: value.message };
  if (Buffer.isBuffer(value)) return value.toString();
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (value === Infinity || value === -Infinity) return String(value);
  if (value === undefined) return null;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, plain(value[name])]));
}

// An error of the server is an answer; any other (a time-out, a lost connection) is a failure.
function answerOf(error) {
  const message = String((error && error.message) || error);
  const ofServer = /^[A-Z]+[ :]/.test(message) && !/^(Socket|Connection)/.test(message);
  return ofServer ? { error: message } : { failure: message };
}

// `verbs`: name of a verb -> async function of the request, which returns what to answer.
function serve(verbs) {
  const input = readline.createInterface({ input: process.stdin });
  let turn = Promise.resolve();
  input.on("line", (line) => {
    turn = turn.then(async () => {
      const request = JSON.parse(line);
      let answer;
      try {
        answer = await verbs[request.do](request);
      } catch (error) {
        answer = answerOf(error);
      }
      process.stdout.write(JSON.stringify(answer) + "\n");
    });
  });
  input.on("close", () => turn.then(() => process.exit(0)));
}

module.exports = { answerOf, plain, serve };
