"""Commands on hot collections of 10, 1,000 and 1 M elements beside native and a bare module.

Every size has as many elements in all: many small collections of which each command picks one at
random, or a single large one. Commands that take elements off have collections of their own, which
are brought back to their size before each run. The promise is about the native commands. At -P 16
commands of a module that open a key and reply in the same shape, but do nothing (bench/bare), show
what the server takes for any module's command.
"""

from harness.resp import Connection
from measures.tools import (Row, bare_module, benchmark, interleaved, median_of_ratios,
                            median_speed, verdict)

SIDES = {"native": "", "flash": "FLASH.", "bare": "BARE."}
VERBS = ("HSET", "HGET", "LPUSH", "LPOP", "LRANGE_100", "ZADD", "ZRANK", "ZPOPMIN")
NAMES = {10: "10", 1_000: "1,000", 1_000_000: "1 M"}
VALUE = "x" * 20
STEP = 500  # Elements that one command of a fill adds.

# Makes what a key lacks; `made` numbers members that nobody asks for by name.
FILL = """
local side, keys, size, first, last = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
for key = tonumber(first), tonumber(last) do
  local name = string.format('%012d', key)
  for from = 0, size - 1, 500 do
    local hash, list, set = {}, {}, {}
    for i = from, math.min(from + 500, size) - 1 do
      local element = string.format('%012d', i)
      hash[#hash + 1] = 'field:' .. element
      hash[#hash + 1] = string.rep('x', 20)
      list[#list + 1] = 'element:' .. element
      set[#set + 1] = math.random(0, 99999999)
      set[#set + 1] = 'member:' .. element
    end
    redis.call(side .. 'HSET', side .. 'hash:' .. name, unpack(hash))
    redis.call(side .. 'RPUSH', side .. 'list:' .. name, unpack(list))
    redis.call(side .. 'ZADD', side .. 'zset:' .. name, unpack(set))
  end
end
"""

# Brings the collections that shrink and grow back to their size.
REFILL = """
local side, keys, size, round = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
for key = 0, keys - 1 do
  local name = string.format('%012d', key)
  local list, set = side .. 'queue:' .. name, side .. 'heap:' .. name
  local lacking = size - redis.call(side .. 'LLEN', list)
  if lacking < 0 then redis.call(side .. 'LTRIM', list, 0, size - 1) end
  for from = 1, lacking, 500 do
    local more = {}
    for i = from, math.min(from + 499, lacking) do
      more[#more + 1] = string.format('element:%012d', i)
    end
    redis.call(side .. 'RPUSH', list, unpack(more))
  end
  lacking = size - redis.call(side .. 'ZCARD', set)
  for from = 1, lacking, 500 do
    local more = {}
    for i = from, math.min(from + 499, lacking) do
      more[#more + 1] = math.random(0, 99999999)
      more[#more + 1] = 'member:' .. round .. ':' .. i
    end
    redis.call(side .. 'ZADD', set, unpack(more))
  end
end
"""


def group(size):
    """The measurements of one size, as scripts/bench.py takes them."""
    return lambda bench: measure(bench, size)


def measure(bench, size, verbs=VERBS, depths=(1, 16)):
    node = bench.server({"flash.cache-size-bytes": "2gb"}, bare=True)
    keys = max(1, bench.scaled(1_000_000, 100_000) // size)
    load = Load(node, size, keys)
    for depth in depths:
        requests = bench.scaled({1: 20_000, 16: 150_000}[depth], {1: 2_000, 16: 10_000}[depth])
        sides = [side for side in SIDES if side != "bare" or (depth > 1 and bare_module())]
        runs = {(verb, side): load.run(verb, side, depth, requests)
                for verb in verbs for side in sides}
        results = interleaved(bench.scaled(7, 1), runs)
        for verb in verbs:
            yield row_of(verb, size, depth, {side: results[(verb, side)] for side in sides})
    node._end(9)


class Load:
    """The collections of one server, and runs of commands on them."""

    def __init__(self, node, size, keys):
        self._node, self._size, self._keys = node, size, keys
        self._link = Connection(node.port, timeout=600)
        self._rounds = 0
        for prefix in (SIDES["native"], SIDES["flash"]):
            step = max(1, 10_000 // size)
            for first in range(0, keys, step):
                self._script(FILL, prefix, keys, size, first, min(first + step, keys) - 1)
            self._refill(prefix)
        if not bare_module():
            return
        bare = [["BARE.INT", f"BARE.{kind}:{key:012d}", min(size, 100)] for key in range(keys)
                for kind in ("hash", "list", "zset", "queue", "heap")]
        for first in range(0, len(bare), STEP):
            self._link.send(*bare[first:first + STEP])
            for _ in bare[first:first + STEP]:
                self._link.read()

    def run(self, verb, side, depth, requests):
        def once():
            self._rounds += 1
            if verb in ("LPOP", "ZPOPMIN") and side != "bare":
                self._refill(SIDES[side])
            return benchmark(self._node, self._command(SIDES[side], verb), requests=requests,
                             pipeline=depth, keys=self._random_below)

        return once

    @property
    def _random_below(self):
        return self._keys if self._keys > 1 else self._size

    def _command(self, prefix, verb):
        # All random numbers of a run have one range: that of the keys, or within the only key.
        key = "__rand_int__" if self._keys > 1 else f"{0:012d}"
        # Where the range of keys is not that of elements, each round takes the next element.
        element = "__rand_int__" if self._random_below == self._size else \
            f"{self._rounds % self._size:012d}"
        name, kind, *rest = {
            "HSET": ["HSET", "hash", f"field:{element}", VALUE],
            "HGET": ["HGET", "hash", f"field:{element}"],
            "LPUSH": ["LPUSH", "queue", f"element:{element}"],
            "LPOP": ["LPOP", "queue"],
            "LRANGE_100": ["LRANGE", "list", "0", "99"],
            "ZADD": ["ZADD", "zset", "__rand_int__", f"member:{element}"],
            "ZRANK": ["ZRANK", "zset", f"member:{element}"],
            "ZPOPMIN": ["ZPOPMIN", "heap"],
        }[verb]
        return [prefix + name, f"{prefix}{kind}:{key}", *rest]

    def _refill(self, prefix):
        self._script(REFILL, prefix, self._keys, self._size, self._rounds)

    def _script(self, text, *args):
        reply = self._link.call("EVAL", text, 0, *(str(arg) for arg in args))
        if reply.is_error:
            raise RuntimeError(reply.value.decode())


def row_of(verb, size, depth, results):
    native = median_of_ratios(results["flash"], results["native"])
    speeds = ", ".join(f"{side} {median_speed(runs):,.0f}/s" for side, runs in results.items())
    data = {side: median_speed(runs) for side, runs in results.items()}
    beside = ""
    if "bare" in results:
        beside = f"; {median_of_ratios(results['flash'], results['bare']):.3f} x a bare module"
    promise = f"hot {verb}, collections of {NAMES[size]}, 50 clients, -P {depth}: >= 0.95 x native"
    return Row(promise, f"{native:.3f}{beside} ({speeds})", verdict(native >= 0.95), data)
