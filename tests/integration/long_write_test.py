"""Every write that may name more blocks than a portion, on cold collections larger than the cache.

Plain, in a transaction and in a script; with the native command's reply and result, within the
bound, and nobody is evicted. Six times the cache; FLASH_LONG_MEMBERS=100000 makes it twenty times
and more, and takes ten minutes (release).
"""

import os

import pytest

from harness.parking import chill
from harness.resp import Connection

CACHE = 1 << 20
MEMBERS = int(os.environ.get("FLASH_LONG_MEMBERS", "30000"))
PADDING = "p" * 190

HOW = ("plain", "multi", "script")


def member(number):
    return f"{number:07}{PADDING}"


def fields(numbers):
    return [member(n) for n in numbers]


def pairs(numbers, value):
    return [part for n in numbers for part in (member(n), value(n))]


def scored(numbers, score):
    return [part for n in numbers for part in (score(n), member(n))]


def fill(link, name, command, args_of):
    """The same to a FLASH key and its native twin."""
    for start in range(0, MEMBERS, 500):
        args = args_of(range(start, start + 500))
        link.send((f"FLASH.{command}", name, *args), (command, twin(name), *args))
        for _ in range(2):
            assert not link.read().is_error


def twin(name):
    return f"native:{name}"


@pytest.fixture
def crowded(server):
    node = server({"flash.cache-size-bytes": "1gb", "flash.capacity-bytes": "1gb",
                   "flash.compression": "none"})
    link = Connection(node.port)
    fill(link, "H", "HSET", lambda numbers: pairs(numbers, lambda n: f"value {n}"))
    fill(link, "L", "RPUSH", fields)
    fill(link, "Z", "ZADD", lambda numbers: scored(numbers, lambda n: n * 7919 % MEMBERS / 7))
    fill(link, "Y", "ZADD", lambda numbers: scored((n * 2 for n in numbers), lambda n: n % 1000))
    fill(link, "E", "ZADD", lambda numbers: scored(numbers, lambda _: 0))
    link.close()
    node.client.config_set("flash.cache-size-bytes", CACHE)
    return node


def commands(how):
    """(command, keys, further arguments), in the order in which they are run.

    A script cannot unpack more than some thousand arguments.
    """
    many = 3_000 if how == "script" else 20_000
    some = 2_000 if how == "script" else 5_000
    absent = range(MEMBERS * 3, MEMBERS * 3 + many)
    spread = range(0, MEMBERS, MEMBERS // some)
    yield "HDEL", "H", fields(absent)
    yield "HDEL", "H", fields(spread) + fields(absent[:10]) + fields(spread[:10])
    yield "HSET", "H", pairs(range(7, MEMBERS, MEMBERS * 2 // some), lambda n: "new " * (n % 9))
    yield "HSET", "H", pairs(range(MEMBERS - some // 4, MEMBERS + some // 4), str)
    yield "LREM", "L", (0, "nosuch")
    yield "LREM", "L", (-2, member(5))
    yield "LINSERT", "L", ("BEFORE", member(MEMBERS // 2), "inserted")
    yield "LINSERT", "L", ("AFTER", "nosuch", "inserted")
    yield "RPUSH", "L", [f"{n}{PADDING * 3}" for n in range(some)]
    yield "LPOP", "L", (some,)
    yield "RPOP", "L", (some * 2,)
    yield "LTRIM", "L", (MEMBERS // 5, -MEMBERS // 5)
    yield "LTRIM", "L", (1, -2)
    yield "RPOP", "L", (10_000_000,)
    yield "ZREM", "Z", fields(absent)
    yield "ZREM", "Z", fields(spread) + fields(absent[:10]) + fields(spread[:10])
    yield "ZADD", "Z", scored(range(0, MEMBERS, MEMBERS // some), lambda n: n / 3)
    yield "ZADD", "Z", ["XX", "CH", *scored(range(3, MEMBERS, MEMBERS * 2 // some), lambda n: n)]
    yield "ZADD", "Z", ["GT", *scored(range(5, MEMBERS * 2, MEMBERS * 4 // some), lambda n: 500)]
    yield "ZPOPMIN", "Z", (some,)
    yield "ZPOPMAX", "E", (some * 2,)
    yield "ZUNIONSTORE", "D", (2, ["Z"], ["Y"])
    yield "ZUNIONSTORE", "D", (3, ["Z"], ["Y"], ["E"], "WEIGHTS", 0.1, -3, 1, "AGGREGATE", "MAX")
    yield "ZUNIONSTORE", "D", (1, ["Z"], "WEIGHTS", "inf")
    yield "ZINTERSTORE", "D", (2, ["Z"], ["Y"], "WEIGHTS", 0.3, 0.7)
    yield "ZINTERSTORE", "D", (3, ["E"], ["Y"], ["Z"], "AGGREGATE", "MIN")
    yield "ZDIFFSTORE", "D", (2, ["Z"], ["Y"])
    yield "ZDIFFSTORE", "D", (2, ["E"], ["none"])
    yield "ZDIFFSTORE", "D", (2, ["Z"], ["Z"])
    yield "ZUNIONSTORE", "Y", (2, ["Y"], ["D"])
    yield "ZRANGESTORE", "D", (["Z"], 1000, -1000)
    yield "ZRANGESTORE", "D", (["Z"], 9000, 200, "BYSCORE", "REV", "LIMIT", 7, 30_000)
    yield "ZRANGESTORE", "D", (["E"], f"({member(3)}", "+", "BYLEX")
    yield "ZRANGESTORE", "D", (["Z"], 5, 4)
    yield "ZPOPMAX", "Y", (10_000_000,)


def run(node, how, *command):
    """The reply as it came."""
    link = Connection(node.port)
    if how == "plain":
        reply = link.call(*command).raw
    elif how == "multi":
        link.must("MULTI")
        link.must(*command)
        reply = link.call("EXEC").value[0].raw
    else:
        reply = link.call("EVAL", "return redis.call(unpack(ARGV))", 1, command[1],
                          *command).raw
    link.close()
    return reply


def named(args, name):
    return [name(arg[0]) if isinstance(arg, list) else arg for arg in args]


def reset_peak(node):
    for size in (CACHE + 1, CACHE):
        node.client.config_set("flash.cache-size-bytes", size)


def content(node, prefix, command, key, length):
    for start in range(0, length, 5_000):
        if command == "HGETALL":
            names = fields(range(start, start + 5_000, 7))
            yield node.call(f"{prefix}HMGET", key, *names)
        elif command == "LRANGE":
            yield node.call(f"{prefix}LRANGE", key, start, start + 4_999)
        else:
            yield node.call(f"{prefix}ZRANGE", key, start, start + 4_999, "WITHSCORES")


def check_same(node, key):
    sizes = {"H": ("HLEN", "HGETALL"), "L": ("LLEN", "LRANGE")}
    size, command = sizes.get(key, ("ZCARD", "ZRANGE"))
    length = node.call(size, twin(key))
    assert node.call(f"FLASH.{size}", key) == length
    reach = 2 * MEMBERS if key == "H" else length
    ours = content(node, "FLASH.", command, key, reach)
    native = content(node, "", command, twin(key), reach)
    for part, expected in zip(ours, native):
        assert part == expected


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_each_write_keeps_the_bound_and_does_what_native_does(crowded, how):
    node = crowded
    for command, key, args in commands(how):
        chill(node, *(name for name in "HLZYED" if node.client.exists(name)))
        reset_peak(node)
        ours = run(node, how, f"FLASH.{command}", key, *named(args, str))
        peak = node.info("flash")["flash_hot_bytes_peak"]
        what = f"{command} {str(args)[:60]}"
        assert ours == run(node, how, command, twin(key), *named(args, twin)), what
        assert peak <= CACHE * 1.1, what
        assert node.info()["evicted_keys"] == 0, what
        if node.client.exists(twin(key)):
            check_same(node, key)
        else:
            assert not node.client.exists(key), what
