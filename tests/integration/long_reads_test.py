"""Reads of many times the cache: in portions, within the bound, with the reply of one moment."""

import pytest

from harness.long_values import COLD, HOW, Twins, check_bound, reset_peak, run_how
from harness.parking import chill

# What each read is asked of the cold values of harness/long_values.py, under its native name.
READS = {
    "whole list": ("LRANGE", "list", 0, -1),
    "inside of a list": ("LRANGE", "list", 777, -777),
    "list of large elements": ("LRANGE", "large-list", 0, -1),
    "element of a list": ("LINDEX", "huge-list", 1),
    "whole hash": ("HGETALL", "hash"),
    "hash of large values": ("HGETALL", "large-hash"),
    "huge field": ("HGET", "large-hash", "huge"),
    "many fields": ("HMGET", "hash", *(f"field:{n}" for n in range(0, 12_000, 2)), "nobody",
                    *(f"field:{n}" for n in range(1, 6_000, 3)), "field:0", "field:0"),
    "fields with large values": ("HMGET", "large-hash", "huge", "none", "value:3", "huge"),
    "absent fields": ("HMGET", "hash", *(f"absent:{n}" for n in range(20_000))),
    "many scores": ("ZMSCORE", "set", *(f"{n:0200d}" for n in range(0, 30_000, 3)), "nobody"),
    "set": ("ZRANGE", "set", 0, -1),
    "set with scores": ("ZRANGE", "set", 5, -5, "WITHSCORES"),
    "set backwards": ("ZRANGE", "set", 0, -1, "REV", "WITHSCORES"),
    "older reverse order": ("ZREVRANGEBYSCORE", "set", "+inf", "-inf", "WITHSCORES"),
    "by score": ("ZRANGE", "set", "(10", 22_000, "BYSCORE", "LIMIT", 100, 50_000),
    "by score, far": ("ZRANGEBYSCORE", "set", "-inf", "+inf", "LIMIT", 99_000, 10),
    "by score backwards": ("ZRANGE", "set", 22_000, "(10", "BYSCORE", "REV", "LIMIT", 10, 30_000),
    "by text": ("ZRANGEBYLEX", "lex", "[" + "0" * 150, "+"),
    "by text backwards": ("ZREVRANGEBYLEX", "lex", "+", "-", "LIMIT", 3, 40_000),
    "by text over scores": ("ZRANGE", "set", "(" + f"{77:0200d}", "+", "BYLEX"),
    "count": ("ZCOUNT", "set", 1000, 22_000),
    "count by text": ("ZLEXCOUNT", "set", "[" + f"{77:0200d}", "[" + f"{90_000:0200d}"),
    "rank": ("ZRANK", "set", f"{50_000:0200d}", "WITHSCORE"),
    "set of large members": ("ZRANGE", "large-set", 0, -1, "WITHSCORES"),
    "string": ("GET", "string"),
    "strings": ("MGET", "string", "nobody", "string", "list"),
    "string that is worth caching": ("GET", "medium-string:3"),
    "strings that are worth caching together": ("MGET", "small-string:1", *(
        f"small-string:{n}" for n in range(12)), "nobody"),
    "many strings": ("MGET", *(f"medium-string:{n}" for n in range(10)), "string"),
}

# Order and cursors are ours: compared as sets of pairs, or by what they must hold.
UNORDERED = ("HGETALL",)


def pairs(reply):
    flat = [item.raw for item in reply.value]
    return sorted(zip(flat[::2], flat[1::2]))


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Nobody changes them, so all tests share them."""
    made = Twins(tmp_path_factory.mktemp("twins"))
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_every_read_of_twenty_times_the_cache_keeps_the_bound_and_replies_as_natively(twins, how):
    for resp3 in (False, True) if how == "plain" else (False,):
        ours, native = twins.connect(resp3)
        for name, (command, key, *args) in READS.items():
            chill(twins.node, *(each for each in COLD if each == key or key not in COLD))
            reset_peak(twins.node)
            got = run_how(ours, how, "FLASH." + command, key, *args)
            check_bound(twins.node, name)
            expected = run_how(native, how, command, key, *args)
            assert got.kind == expected.kind, (name, got.raw[:200])
            if command in UNORDERED:
                assert pairs(got) == pairs(expected), name
            else:
                assert got.raw == expected.raw, (name, got.raw[:200], expected.raw[:200])


SCANS = (("set", ()), ("set", ("MATCH", "*7")), ("set", ("NOSCORES",)), ("large-set", ()),
         ("large-set", ("MATCH", "*7")))


def scan(connection, how, key, count, *options):
    """All that a scan gives, and the number of its steps."""
    seen, cursor, steps = [], 0, 0
    while True:
        reply = run_how(connection, how, "FLASH.ZSCAN", key, cursor, "COUNT", count, *options)
        assert not reply.is_error, reply.raw
        seen += [item.value for item in reply.value[1].value]
        cursor, steps = int(reply.value[0].value), steps + 1
        assert cursor < 1 << 48
        if cursor == 0:
            return seen, steps


def native_scan(connection, key, *options):
    seen, cursor = [], b"0"
    while True:
        reply = connection.call("ZSCAN", key, cursor, "COUNT", 1_000_000_000, *options)
        seen += [item.value for item in reply.value[1].value]
        cursor = reply.value[0].value
        if cursor == b"0":
            return seen


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("key, options", SCANS)
def test_a_scan_in_great_steps_keeps_the_bound_and_misses_nobody(twins, how, key, options):
    ours, native = twins.connect()
    expected = native_scan(native, key, *(word for word in options if word != "NOSCORES"))
    for count in (5000, 1_000_000_000):
        chill(twins.node, key)
        reset_peak(twins.node)
        seen, steps = scan(ours, how, key, count, *options)
        check_bound(twins.node, key)
        assert (steps == 1) == (count > 100_000 or key == "large-set")
        if "NOSCORES" in options:
            assert sorted(seen) == sorted(expected[::2])
        else:
            assert len(seen) == len(expected)
            assert dict(zip(seen[::2], seen[1::2])) == dict(zip(expected[::2], expected[1::2]))


@pytest.mark.parametrize("how", HOW)
def test_a_long_read_reads_its_own_leaves_once(twins, how):
    """Four elements a leaf; none behind the end, and none again for want of having been kept."""
    ours, _ = twins.connect()
    for command, leaves in ((("FLASH.LRANGE", "list", 0, 19_999), 5000),
                            (("FLASH.LRANGE", "list", 20_000, 20_399), 100),
                            (("FLASH.LRANGE", "list", -20_000, -1), 5000)):
        chill(twins.node, "list")
        before = twins.node.info()["flash_cache_misses"]
        assert not run_how(ours, how, *command).is_error
        read = twins.node.info()["flash_cache_misses"] - before
        assert leaves <= read <= leaves + 2 + leaves // 50, command
