"""The longest stall of everybody else while a collection of 1 M elements is read, copied, demoted,
fetched, deleted, beside native's by the same command on the same content.

A stall is the longest PING while the command runs and shortly after it, when what it left to do is
done in the background; so up to what background work may take, 2 ms, it is not the command's.
"""

import time

from harness.resp import Connection
from measures.stalls import stall
from measures.tools import Row, flash_info, interleaved, median, verdict

BACKGROUND_MS = 2
AFTER_SEC = 0.1  # How long the prober goes on after the reply.

# Fills one collection: the side's prefix, the key, its kind, how many elements.
FILL = """
local side, key, kind, size = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
for from = 0, size - 1, 500 do
  local more = {}
  for i = from, math.min(from + 500, size) - 1 do
    if kind == 'hash' then
      more[#more + 1] = string.format('field:%012d', i)
      more[#more + 1] = string.rep('x', 20)
    elseif kind == 'list' then
      more[#more + 1] = string.format('element:%012d', i)
    else
      more[#more + 1] = i * 7919 % size
      more[#more + 1] = string.format('member:%012d', i)
    end
  end
  redis.call(side .. ({hash = 'HSET', list = 'RPUSH', zset = 'ZADD'})[kind], key, unpack(more))
end
"""
READ = {"hash": ["HGETALL"], "list": ["LRANGE", "0", "-1"], "zset": ["ZRANGE", "0", "-1"]}


def measure(bench, kinds=tuple(READ), rounds=3):
    node = bench.server({"flash.cache-size-bytes": "2gb", "flash.capacity-bytes": "4gb"})
    size = bench.scaled(1_000_000, 100_000)
    rounds = bench.scaled(rounds, 1)
    for kind in kinds:
        for prefix in ("", "FLASH."):
            fill(node, prefix, f"{prefix}{kind}", kind, size)
        for title, cold, prepare, command in scenarios(kind):
            runs = {"native": one(node, "", kind, size, prepare, command),
                    "flash": one(node, "FLASH.", kind, size, prepare, command)}
            if cold:
                runs["cold"] = one(node, "FLASH.", kind, size, prepare, command, demoted=True)
            results = interleaved(rounds, runs)
            for side in list(runs)[1:]:
                yield row_of(title, kind, size, side, results)
        yield demotion(node, kind, rounds)
        for prefix in ("", "FLASH."):
            node.call("DEL", f"{prefix}{kind}")
    tick = flash_info(node)["demotion_tick_max_us"]
    yield Row(f"background work of all these: <= {BACKGROUND_MS} ms a stretch",
              f"longest {tick} us", verdict(tick <= BACKGROUND_MS * 1000), {"tick_max_us": tick})
    node._end(9)


def scenarios(kind):
    """(title, also cold?, fresh collection needed?, command of a prefix and a key)."""
    name, *range_ = READ[kind]
    yield " ".join(READ[kind]), True, False, lambda side, key: [side + name, key, *range_]
    yield "COPY", True, False, lambda _, key: ["COPY", key, "copy", "REPLACE"]
    if kind == "zset":
        for store in ("ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"):
            yield (store, True, False,
                   lambda side, key, name=store: [side + name, side + "union", 2, key, key]
                   if name == "ZINTERSTORE" else [side + name, side + "union", 1, key])
    if kind == "list":
        yield ("LREM of none", True, False,
               lambda side, key: [side + "LREM", key, 0, "nosuch"])
        yield "LTRIM 100 -100", True, True, lambda side, key: [side + "LTRIM", key, 100, -100]
    yield "RENAME", True, True, lambda _, key: ["RENAME", key, key + ":renamed"]
    yield "DEL", True, True, lambda _, key: ["DEL", key]
    yield "UNLINK", False, True, lambda _, key: ["UNLINK", key]
    yield "SET over it", False, True, lambda _, key: ["SET", key, "x"]
    yield "its expiry", False, True, lambda _, key: ["PEXPIRE", key, 1]


def fill(node, prefix, key, kind, size):
    link = Connection(node.port, timeout=600)
    link.must("EVAL", FILL, 0, prefix, key, kind, str(size))
    link.close()


def one(node, prefix, kind, size, fresh, command, demoted=False):
    """A run of one command: what it needs made, the longest PING in ms, what it left removed."""
    def once():
        key = f"{prefix}{kind}"
        if fresh:
            key += ":fresh"
            fill(node, prefix, key, kind, size)
        if demoted:
            node.call("FLASH.DEBUG.DEMOTE", key)
        longest = stall(node, command(prefix, key), AFTER_SEC)
        for left in ("copy", f"{prefix}union", f"{key}:renamed"):
            node.call("DEL", left)
        if fresh:
            node.call("DEL", key)
        settle(node)
        return longest

    return once


def settle(node):
    """Until nothing is freed any more."""
    used = -1
    while used != (now := node.info("memory")["used_memory"] >> 20):
        used = now
        time.sleep(0.05)


def row_of(title, kind, size, side, results):
    native, ours = median(results["native"]), median(results[side])
    warmth = "cold" if side == "cold" else "hot"
    return Row(f"longest stall, {title} of a {kind} of {size:,}, {warmth}: <= 1.5 x native's "
               f"or {BACKGROUND_MS} ms",
               f"{ours:.1f} ms, native {native:.1f} ms, {ours / native:.2f} x",
               verdict(ours <= max(1.5 * native, BACKGROUND_MS)),
               {"ours_ms": ours, "native_ms": native})


def demotion(node, kind, rounds):
    """No native command does it."""
    key = f"FLASH.{kind}"
    longest = []
    for _ in range(rounds):
        name, *range_ = READ[kind]
        node.call("FLASH." + name, key, *range_)
        node.call(*{"hash": ["FLASH.HSET", key, "field", "x"], "list": ["FLASH.RPUSH", key, "x"],
                    "zset": ["FLASH.ZADD", key, "1", "x"]}[kind])
        longest.append(stall(node, ["FLASH.DEBUG.DEMOTE", key], AFTER_SEC))
    ours = median(longest)
    return Row(f"longest stall, FLASH.DEBUG.DEMOTE of a {kind}: <= {BACKGROUND_MS} ms",
               f"{ours:.1f} ms", verdict(ours <= BACKGROUND_MS), {"ours_ms": ours})
