"""The longest turn of the event loop, in CPU time of the main thread, while one command works on a
collection of 200,000 and 400,000 elements; beside native's by the same command on the same content.

CPU time, by turn_clock.c: other processes do not count, as they do in a PING (collection-stalls).
A turn is at least what background work may take.
"""

import os
import struct
import time
from pathlib import Path

from harness.preload import build_library
from harness.resp import Connection
from measures.collection_stalls import BACKGROUND_MS, settle
from measures.tools import Row, interleaved, median, verdict

SOURCE = Path(__file__).with_name("turn_clock.c")
AFTER_SEC = 0.1  # What a command leaves to do is its own, too.
RATIO = 1.5

# Half of the second set is in the first; every other element of the list is "x".
FILL = """
local side, size = ARGV[1], tonumber(ARGV[2])
for from = 0, size - 1, 500 do
  local list, set, other = {}, {}, {}
  for i = from, math.min(from + 500, size) - 1 do
    list[#list + 1] = i % 2 == 0 and 'x' or string.format('element:%012d', i)
    set[#set + 1] = i * 7919 % size
    set[#set + 1] = string.format('member:%012d', i)
    other[#other + 1] = i
    other[#other + 1] = string.format('member:%012d', i + size / 2)
  end
  redis.call(side .. 'RPUSH', KEYS[1], unpack(list))
  redis.call(side .. 'ZADD', KEYS[2], unpack(set))
  redis.call(side .. 'ZADD', KEYS[3], unpack(other))
end
"""
COMMANDS = {
    "ZUNIONSTORE": lambda side: [f"{side}ZUNIONSTORE", f"{side}to", 2, f"{side}z", f"{side}y"],
    "ZINTERSTORE": lambda side: [f"{side}ZINTERSTORE", f"{side}to", 2, f"{side}z", f"{side}y"],
    "ZDIFFSTORE": lambda side: [f"{side}ZDIFFSTORE", f"{side}to", 2, f"{side}z", f"{side}y"],
    "LREM of none": lambda side: [f"{side}LREM", f"{side}l", 0, "nosuch"],
    "LREM of the last": lambda side: [f"{side}LREM", f"{side}l", -1, "element:000000000001"],
    "LREM of half": lambda side: [f"{side}LREM", f"{side}l", 0, "x"],
}
WRITES = ("LREM of the last", "LREM of half")


class TurnClock:
    """A server with the clock in it; `longest_ms` since `reset`."""

    def __init__(self, bench, settings):
        library, self._file = build_library(SOURCE, bench.folder), bench.folder / "turn_clock"
        preloaded = {"FLASH_LD_PRELOAD": str(library), "TURN_CLOCK": str(self._file)}
        os.environ.update(preloaded)
        try:
            self.node = bench.server(settings)
        finally:
            for name in preloaded:
                del os.environ[name]

    def reset(self):
        with open(self._file, "r+b", buffering=0) as file:
            file.write(struct.pack("=Q", 0))

    def longest_ms(self):
        return struct.unpack("=Q", self._file.read_bytes()[:8])[0] / 1e6


def measure(bench):
    clock = TurnClock(bench, {"flash.cache-size-bytes": "1gb", "flash.capacity-bytes": "2gb"})
    for size in bench.scaled((200_000, 400_000), (20_000,)):
        for side in ("", "FLASH."):
            fill(clock.node, side, size)
        for title, command in COMMANDS.items():
            runs = {"native": one(clock, "", title, command),
                    "hot": one(clock, "FLASH.", title, command),
                    "cold": one(clock, "FLASH.", title, command, cold=True)}
            results = interleaved(bench.scaled(5, 1), runs)
            for warmth in ("hot", "cold"):
                yield row_of(title, size, warmth, results)
        clock.node.call("FLUSHALL", "SYNC")
        settle(clock.node)
    clock.node._end(9)


def fill(node, side, size):
    link = Connection(node.port, timeout=600)
    link.must("EVAL", FILL, 3, f"{side}l", f"{side}z", f"{side}y", side, size)
    link.close()


def one(clock, side, title, command, cold=False):
    def once():
        node = clock.node
        link = Connection(node.port, timeout=600)
        if title in WRITES:
            link.must("COPY", f"{side}l", "kept", "REPLACE")
        if cold:
            for key in ("l", "z", "y"):
                link.must("FLASH.DEBUG.DEMOTE", side + key)
        settle(node)
        clock.reset()
        link.must(*command(side))
        time.sleep(AFTER_SEC)
        longest = clock.longest_ms()
        link.must("DEL", f"{side}to")
        if title in WRITES:
            link.must("RENAME", "kept", f"{side}l")
        link.close()
        return longest

    return once


def row_of(title, size, warmth, results):
    native, ours = median(results["native"]), median(results[warmth])
    return Row(f"longest turn, {title}, {size:,} elements, {warmth}: <= {RATIO} x native's or "
               f"{BACKGROUND_MS} ms",
               f"{ours:.2f} ms of CPU, native {native:.2f} ms, {ours / native:.2f} x",
               verdict(ours <= max(RATIO * native, BACKGROUND_MS)),
               {"ours_ms": ours, "native_ms": native})
