// node_redis.js: @redis/client ("node-redis"), RESP2 and RESP3.
"use strict";

const { answerOf, plain, serve } = require("./lines.js");
const { createClient, createCluster } = require("@redis/client");

// Methods client.flash.get(key), client.flash.hGetAll(key), ...: the native command under another
// name, with its keys, arguments and replies.
const { default: commands } = require("@redis/client/dist/lib/commands");
const { BasicCommandParser } = require("@redis/client/dist/lib/client/parser");
const flash = (twin) => ({
  ...twin,
  parseCommand(parser, ...args) {
    const native = new BasicCommandParser();
    twin.parseCommand(native, ...args);
    const [name, ...words] = native.redisArgs;
    parser.push("FLASH." + name);
    for (const word of words) native.keys.includes(word) ? parser.pushKey(word) : parser.push(word);
    parser.preserve = native.preserve;
  },
});
const modules = { flash: {} };
for (const [name, twin] of Object.entries(commands)) modules.flash[name] = flash(twin);

let client;
let isCluster;

const sendCommand = (args) =>
  isCluster ? client.sendCommand(args[1], undefined, args) : client.sendCommand(args);

serve({
  facts: () => ({ resp: [2, 3], cluster: true }),
  async open({ port, cluster, resp, timeout_ms: timeout }) {
    isCluster = cluster;
    const socket = { host: "127.0.0.1", port, socketTimeout: timeout };
    // After a time-out it closes for good unless told to connect again.
    socket.reconnectStrategy = (retries) => Math.min(50 * (retries + 1), 2000);
    client = cluster
      ? createCluster({ rootNodes: [{ socket }], modules, RESP: resp })
      : createClient({ socket, modules, RESP: resp });
    client.on("error", () => {});
    await client.connect();
    return { reply: "open" };
  },
  call: async ({ args }) => ({ reply: plain(await sendCommand(args.map(String))) }),
  async method({ name, args }) {
    const [space, twin] = name.includes(".") ? [client.flash, name.split(".")[1]] : [client, name];
    return { reply: plain(await space[twin](...args)) };
  },
  async pipeline({ commands: list }) {
    // What is sent in one turn of the event loop goes out as one pipeline.
    const sent = list.map((args) => sendCommand(args.map(String)));
    const done = await Promise.allSettled(sent);
    return { replies: done.map(({ reason, value }) =>
      (reason ? answerOf(reason) : { reply: plain(value) })) };
  },
  async close() {
    client.destroy();
    return { reply: "closed" };
  },
});
