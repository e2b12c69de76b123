"""Replies that would take the server over maxmemory are refused before they are put together."""

import pytest

from conftest import wait_until
from harness.long_values import HOW, run_how
from harness.parking import chill
from harness.resp import Connection

MIB = 1 << 20
CACHE = 4 * MIB
STRINGS = 20_000
SETTINGS = {"flash.cache-size-bytes": str(CACHE), "flash.capacity-bytes": "1gb",
            "flash.compression": "none", "maxmemory": "64mb"}


def element(number):
    return f"{number}:".ljust(1000, "e").encode()


def fill(node, count, key=b"L"):
    link = Connection(node.port)
    for start in range(0, count, 500):
        link.must("FLASH.RPUSH", key, *(element(n) for n in range(start, min(count, start + 500))))
    link.close()
    chill(node, key)


def crowd(node):
    link = Connection(node.port)
    for start in range(0, STRINGS, 1000):
        link.send(*(["SET", f"string:{n}", "x" * 400] for n in range(start, start + 1000)))
        for _ in range(1000):
            assert not link.read().is_error
    link.close()


def is_refused(reply):
    return reply.is_error and b"flash.max-reply-bytes" in reply.value


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_a_reply_that_exceeds_maxmemory_is_refused_and_costs_nobody_a_key(server, how, policy):
    node = server({**SETTINGS, "maxmemory-policy": policy})
    crowd(node)
    fill(node, 80_000)
    peak_before = node.info()["used_memory_peak"]
    link = Connection(node.port)
    assert is_refused(run_how(link, how, "FLASH.LRANGE", "L", 0, -1))
    assert is_refused(run_how(link, how, "FLASH.LRANGE", "L", 100, 70_000))
    info = node.info()
    assert info["evicted_keys"] == 0
    assert info["flash_replies_refused"] == 2
    assert node.client.dbsize() == STRINGS + 1
    # Before anything of it is in memory.
    assert info["used_memory_peak"] < peak_before + 4 * MIB
    assert node.client.set("string:0", "still there") is True
    # What there is room for comes, and costs nobody anything either.
    reply = run_how(link, how, "FLASH.LRANGE", "L", 0, 14_999)
    assert [item.value for item in reply.value] == [element(n) for n in range(15_000)]
    assert node.client.set("string:0", "still there") is True
    assert node.info()["evicted_keys"] == 0
    link.close()


def test_the_cache_gives_way_to_a_reply(server):
    """Nearly all that is used is hot data that can leave."""
    node = server({**SETTINGS, "flash.cache-size-bytes": "48mb",
                   "maxmemory-policy": "allkeys-lru"})
    fill(node, 30_000)
    fill(node, 40_000, b"hot")
    for start in range(0, 40_000, 1000):
        assert len(node.call("FLASH.LRANGE", "hot", start, start + 999)) == 1000
    assert node.info()["flash_cache_size_bytes"] > 30 * MIB
    for how in HOW[:2]:
        link = Connection(node.port)
        reply = run_how(link, how, "FLASH.LRANGE", "L", 0, -1)
        assert not reply.is_error, reply.value
        assert len(reply.value) == 30_000
        assert node.client.set("other", "x") is True
        assert node.info()["evicted_keys"] == 0
        link.close()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("hot", [False, True])
def test_the_setting_bounds_every_reply(server, how, hot):
    node = server({"flash.cache-size-bytes": "64mb", "flash.capacity-bytes": "256mb"})
    link = Connection(node.port)
    node.call("FLASH.SET", "string", b"s" * (3 * MIB))
    node.call("FLASH.SET", "small", b"s" * 1000)
    node.call("FLASH.HSET", "hash", "huge", b"h" * (3 * MIB), "small", "value")
    for start in range(0, 3000, 500):
        numbers = range(start, start + 500)
        node.call("FLASH.RPUSH", "list", *(element(n) for n in numbers))
        node.call("FLASH.ZADD", "set", *(word for n in numbers for word in (n, element(n))))
        node.call("FLASH.HSET", "fields", *(word for n in numbers for word in (n, element(n))))
    node.call("FLASH.RPUSH", "large", *(b"l" * 100_000 for n in range(30)))
    keys = ("string", "hash", "list", "set", "fields", "large")
    reads = [("FLASH.GET", "string"), ("FLASH.MGET", "small", "string"),
             ("FLASH.SET", "string", "new", "XX", "GET"),
             ("FLASH.HGET", "hash", "huge"), ("FLASH.HMGET", "hash", "small", "huge"),
             ("FLASH.HGETALL", "hash"), ("FLASH.HGETALL", "fields"),
             ("FLASH.HMGET", "fields", *range(3000)),
             ("FLASH.LRANGE", "list", 0, -1), ("FLASH.LRANGE", "large", 0, -1),
             ("FLASH.ZRANGE", "set", 0, -1), ("FLASH.ZRANGE", "set", 0, -1, "REV", "WITHSCORES"),
             ("FLASH.ZSCAN", "set", 0, "COUNT", 10_000)]
    for command in reads:
        if not hot:
            chill(node, *keys)
        node.client.config_set("flash.max-reply-bytes", 2 * MIB)
        assert is_refused(run_how(link, how, *command)), command[:2]
        node.client.config_set("flash.max-reply-bytes", 4 * MIB)
        assert not run_how(link, how, *command).is_error, command[:2]
    for command in (("FLASH.GET", "small"), ("FLASH.LRANGE", "list", 0, 99),
                    ("FLASH.HGET", "hash", "small")):
        node.client.config_set("flash.max-reply-bytes", 1)
        assert not run_how(link, how, *command).is_error, command
    assert node.info()["flash_replies_refused"] == len(reads)
    # Comparing is no reply.
    link.close()


def test_what_is_refused_may_be_had_in_parts_or_with_more_allowed(server):
    node = server({"flash.max-reply-bytes": "1mb", "flash.cache-size-bytes": "1mb"})
    fill(node, 3000)
    link = Connection(node.port)
    assert is_refused(link.call("FLASH.LRANGE", "L", 0, -1))
    got = [item for start in range(0, 3000, 500)
           for item in node.call("FLASH.LRANGE", "L", start, start + 499)]
    assert got == [element(n) for n in range(3000)]
    node.client.config_set("flash.max-reply-bytes", 0)
    assert link.must("FLASH.LRANGE", "L", 0, -1) == got
    link.close()


def test_replies_of_large_strings_count_too(server):
    node = server({**SETTINGS, "maxmemory": "0", "maxmemory-policy": "allkeys-lru"})
    crowd(node)
    node.call("FLASH.SET", "large", b"x" * (20 * MIB))
    node.call("FLASH.SET", "huge", b"x" * (60 * MIB))
    chill(node, "large", "huge")
    wait_until(lambda: node.info()["used_memory"] < 30 * MIB, 10, "the arguments to be gone")
    node.client.config_set("maxmemory", "64mb")
    link = Connection(node.port)
    assert is_refused(link.call("FLASH.GET", "huge"))
    assert is_refused(link.call("FLASH.MGET", "large", "string:0", "large", "large"))
    assert node.info()["evicted_keys"] == 0
    for how in HOW:
        assert run_how(link, how, "FLASH.GET", "large").value == b"x" * (20 * MIB)
        # The other client's buffers and the gathered bytes are gone before the next look.
        wait_until(lambda: node.info()["used_memory"] < 40 * MIB, 5, "the reply to be gone")
        assert node.client.set("string:0", "still there") is True
    assert node.info()["evicted_keys"] == 0
    assert node.client.dbsize() == STRINGS + 2
    link.close()
