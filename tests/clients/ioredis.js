// ioredis.js: ioredis, which finds the keys of a command in a table of its own.
// Started with "untaught" it is left as it comes.
"use strict";

const { answerOf, plain, serve } = require("./lines.js");

if (process.argv[2] !== "untaught") {
  // Before ioredis is loaded: it reads the table then.
  const table = require("@ioredis/commands/built/commands.json");
  for (const [name, facts] of Object.entries(table)) table["flash." + name] ??= facts;
}
const Redis = require("ioredis");
// Replies that ioredis turns into something else.
Redis.Command.setReplyTransformer("flash.hgetall", (flat) => {
  const pairs = {};
  for (let i = 0; i < flat.length; i += 2) pairs[flat[i]] = flat[i + 1];
  return pairs;
});

let client;

const send = (args) => client.call(args[0].toLowerCase(), ...args.slice(1));

serve({
  facts: () => ({ resp: [2], cluster: true }),
  async open({ port, cluster, timeout_ms: timeout, retries }) {
    const each = { commandTimeout: timeout, maxRetriesPerRequest: retries ?? 20 };
    client = cluster
      ? new Redis.Cluster([{ host: "127.0.0.1", port }], { redisOptions: each })
      : new Redis({ host: "127.0.0.1", port, ...each });
    client.on("error", () => {});
    await client.call("ping");
    return { reply: "open" };
  },
  call: async ({ args }) => ({ reply: plain(await send(args)) }),
  async method({ name, args }) {
    const called = name.toLowerCase();
    if (called.startsWith("flash.")) client.addBuiltinCommand(called);
    return { reply: plain(await client[called](...args)) };
  },
  async pipeline({ commands }) {
    const pipeline = client.pipeline();
    for (const [name, ...rest] of commands) pipeline.call(name.toLowerCase(), ...rest);
    const done = await pipeline.exec();
    return { replies: done.map(([e, r]) => (e ? answerOf(e) : { reply: plain(r) })) };
  },
  async close() {
    client.disconnect();
    return { reply: "closed" };
  },
});
