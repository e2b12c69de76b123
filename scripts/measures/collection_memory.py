"""Hashes, lists and sorted sets: RAM of cold and of hot ones, blocks read for one element."""

import random

from harness.resp import Connection
from measures.memory import bytes_per_key, used
from measures.tools import PASS, SHORT, Row, fill, flash_info, verdict, wait_for

KINDS = {"hash": "HSET", "list": "RPUSH", "sorted set": "ZADD"}
ADDED_AT_ONCE = 500
# Bytes of a value, list element or member: least and most.
SIZES = {"16-byte": (16, 16), "16- to 100-byte": (16, 100)}
SCORES = 1_000_000
ELEMENTS = 1_000_000


def measure(bench):
    elements = bench.scaled(ELEMENTS, 50_000)
    yield from cold_and_single_elements(bench, elements)
    yield from hot(bench, elements)


class Elements:
    """What goes into collections, the same for both kinds of server: fields and members with a
    number inside, random bytes, scores that are integers up to a million.
    """

    def __init__(self, sizes, seed=1):
        rng = random.Random(seed)
        self._bytes = rng.randbytes(1 << 20)
        self._sizes = [rng.randint(*sizes) for _ in range(9973)]
        self._scores = [b"%d" % rng.randrange(SCORES) for _ in range(99991)]

    def text(self, number):
        return self._bytes[number * 37 % 1_000_000:][:self._sizes[number % 9973]]

    def member(self, number):
        return (b"member:%07d:" % number + self.text(number))[:self._sizes[number % 9973]]

    def score(self, number):
        return self._scores[number % 99991]

    def words(self, kind, numbers):
        if kind == "hash":
            return [word for n in numbers for word in (b"field:%07d" % n, self.text(n))]
        if kind == "list":
            return [self.text(n) for n in numbers]
        return [word for n in numbers for word in (self.score(n), self.member(n))]

    def bytes(self, kind, count):
        """Of the elements themselves; a score is 8 bytes."""
        each = {"hash": 13, "list": 0, "sorted set": 8}[kind]
        return sum(self._sizes[n % 9973] + each for n in range(count))


def commands(prefix, kind, key, elements, count):
    """Builds one collection: in random order, as its trees see it, but for lists."""
    for start in range(0, count, ADDED_AT_ONCE):
        numbers = range(start, min(start + ADDED_AT_ONCE, count))
        yield [prefix + KINDS[kind], key, *elements.words(kind, numbers)]


# --- Cold
# --------------------------------------------------------------------------------------------

def cold_and_single_elements(bench, count):
    for kind in KINDS:
        figures, good, data = [], True, {}
        for title, sizes in SIZES.items():
            elements = Elements(sizes)
            node = bench.server({"flash.cache-size-bytes": "1gb", "flash.capacity-bytes": "2gb",
                                 "flash.compression": "none"})
            # What is there once for all must not count: the first page of tables, buffers.
            fill(node, commands("FLASH.", kind, "other", elements, 1000))
            before, stored_before = demoted(node, "other")
            fill(node, commands("FLASH.", kind, "key", elements, count))
            ram, stored = demoted(node, "key")
            ram, stored = ram - before, stored - stored_before
            own = elements.bytes(kind, count)
            figures.append(f"{title} elements {ram / stored:.2%} ({ram / count:.2f} B each; "
                           f"{ram / own:.2%} of nothing but fields, values, members, scores)")
            good = good and ram <= 0.015 * stored
            data[title] = {"ram": ram, "stored": stored, "own": own}
            rows = list(single_elements(node, kind, elements, count)) if sizes[1] == 100 else []
            node._end(9)
        yield Row(f"RAM of a cold {kind} of {count:,}: <= 1.5 % of its bytes",
                  "; ".join(figures), verdict(good), data)
        yield from rows


def demoted(node, key):
    """(RAM in use, bytes on flash) once all of `key` is there."""
    node.call("FLASH.DEBUG.DEMOTE", key)
    wait_for(lambda: flash_info(node)["cache_size_bytes"] == 0, what="everything to be cold")
    return used(node), flash_info(node)["storage_used_bytes"]


def single_elements(node, kind, elements, count):
    """One row per command: blocks read by one call on a cold collection, the most of several."""
    rng = random.Random(3)
    picks = [rng.randrange(count) for _ in range(20)]

    cases = {
        "hash": [("FLASH.HGET", 1, lambda n: [b"field:%07d" % n]),
                 ("FLASH.HSET", 1, lambda n: [b"field:%07d" % n, elements.text(n + 1)])],
        "list": [("FLASH.LINDEX", 1, lambda n: [n])],
        "sorted set": [("FLASH.ZSCORE", 2, lambda n: [elements.member(n)]),
                       ("FLASH.ZRANK", 2, lambda n: [elements.member(n)]),
                       ("FLASH.ZADD", 3, lambda n: [rng.randrange(SCORES), elements.member(n)])],
    }
    link = Connection(node.port)
    for command, most, arguments in cases[kind]:
        blocks, largest, total = 0, 0, 0
        for pick in picks:
            link.must("FLASH.DEBUG.DEMOTE", "key")
            start = flash_info(node)
            link.must(command, "key", *arguments(pick))
            end = flash_info(node)
            read = sum(end[name] - start[name]
                       for name in ("device_reads", "device_coalesced_reads"))
            blocks = max(blocks, read)
            total += read
            if read:
                size = (end["device_read_bytes"] - start["device_read_bytes"]) / read
                largest = max(largest, size)
        good = 0 < blocks <= most and largest <= 8192
        yield Row(f"{command.removeprefix('FLASH.')} of a cold {kind} of {count:,}: "
                  f"<= {most} block reads of <= 8 KiB",
                  f"{blocks} at most, {total / len(picks):.2f} on average, {largest:,.0f} bytes "
                  "at most each", PASS if good else SHORT,
                  {"most": blocks, "average": total / len(picks), "bytes": largest})
    link.close()


# --- Hot
# --------------------------------------------------------------------------------------------

def hot(bench, count):
    for kind in KINDS:
        for each, keys in ((10, bench.scaled(100_000, 5_000)), (100, bench.scaled(10_000, 1_000)),
                           (count, 1)):
            figures, good, data = [], True, {}
            for title, sizes in SIZES.items():
                flash, native = (hot_ram(bench, prefix, kind, sizes, each, keys)
                                 for prefix in ("FLASH.", ""))
                figures.append(f"{title} elements {flash:,.0f} B, native {native:,.0f} B "
                               f"({flash / native - 1:+.1%})")
                good = good and flash <= native
                data[title] = {"flash": flash, "native": native}
            yield Row(f"RAM of a hot {kind} of {each:,}: <= native's", "; ".join(figures),
                      verdict(good), data)


def hot_ram(bench, prefix, kind, sizes, each, keys):
    """RAM of one collection of `each` elements, key and all."""
    node = bench.server({"flash.cache-size-bytes": "4gb"} if prefix else {}, module=bool(prefix))
    elements = Elements(sizes)
    if keys == 1:
        fill(node, commands(prefix, kind, "other", elements, 1000))
        before = used(node)
        fill(node, commands(prefix, kind, "key", elements, each))
        taken = used(node) - before
    else:
        taken = bytes_per_key(
            node, keys, lambda k: [prefix + KINDS[kind], b"key:%012d" % k,
                                   *elements.words(kind, range(k * each, (k + 1) * each))])
    node._end(9)
    return taken
