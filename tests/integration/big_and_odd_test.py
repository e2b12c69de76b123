"""Collections of very many elements, of very large ones, of odd ones.

FLASH_BIG_ELEMENTS sets how many elements a big collection has: 50,000 by default, 5,000,000 for the
long run (minutes), FLASH_BIG_ELEMENT_MIB how large the one large element is (8; 100 for that run).
"""

import os
import threading

import pytest

from conftest import wait_until
from harness.parking import chill
from harness.resp import Connection

ELEMENTS = int(os.environ.get("FLASH_BIG_ELEMENTS", "50000"))
ELEMENT_MIB = int(os.environ.get("FLASH_BIG_ELEMENT_MIB", "8"))
STEP = 1000
KINDS = ("hash", "list", "zset")


@pytest.fixture
def node(server):
    return server({"flash.cache-size-bytes": "16mb", "flash.capacity-bytes": "2gb"})


def fill(node, kind, key, count):
    """Elements 0 to count, in pipelines."""
    link = Connection(node.port)
    for start in range(0, count, 20 * STEP):
        commands = []
        for first in range(start, min(start + 20 * STEP, count), STEP):
            numbers = range(first, min(first + STEP, count))
            commands.append({
                "hash": ["FLASH.HSET", key, *(w for n in numbers for w in (f"f{n}", f"v{n}"))],
                "list": ["FLASH.RPUSH", key, *(f"e{n}" for n in numbers)],
                "zset": ["FLASH.ZADD", key, *(w for n in numbers for w in (7, f"m{n:08}"))],
            }[kind])
        link.send(*commands)
        assert not any(link.read().is_error for _ in commands)
    link.close()


def check(node, kind, key, count):
    """Its length, and elements here and there."""
    size = {"hash": "FLASH.HLEN", "list": "FLASH.LLEN", "zset": "FLASH.ZCARD"}[kind]
    assert node.call(size, key) == count
    for n in range(0, count, max(1, count // 37)):
        if kind == "hash":
            assert node.call("FLASH.HGET", key, f"f{n}") == b"v%d" % n
        elif kind == "list":
            assert node.call("FLASH.LINDEX", key, n) == b"e%d" % n
        else:
            assert node.call("FLASH.ZRANK", key, f"m{n:08}") == n


@pytest.mark.parametrize("kind", KINDS)
def test_a_big_cold_collection_comes_and_goes_while_clients_go_on(node, kind):
    fill(node, kind, "big", ELEMENTS)
    chill(node, "big")
    check(node, kind, "big", ELEMENTS)
    stop, answered = threading.Event(), []

    def others():
        link = Connection(node.port)
        while not stop.is_set():
            link.must("FLASH.SET", "other", "x" * 100)
            answered.append(link.must("FLASH.GET", "other") == b"x" * 100)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        chill(node, "big")
        assert node.call("COPY", "big", "copy") == 1
        node.call("RENAME", "copy", "renamed")
        check(node, kind, "renamed", ELEMENTS)
        node.call("PEXPIRE", "renamed", 1)
        wait_until(lambda: node.call("EXISTS", "renamed") == 0)
        check(node, kind, "big", ELEMENTS)
        assert node.call("DEL", "big") == 1
        wait_until(lambda: node.info("flash")["flash_storage_used_bytes"] < 1 << 20, 120)
    finally:
        stop.set()
        thread.join()
    assert answered and all(answered)


def test_members_of_one_score_are_in_exact_order(node):
    count = min(ELEMENTS, 1_000_000)
    fill(node, "zset", "z", count)
    chill(node, "z")
    middle = count // 2
    assert node.call("FLASH.ZRANK", "z", f"m{middle:08}") == middle
    assert node.call("FLASH.ZREVRANK", "z", f"m{middle:08}") == count - 1 - middle
    assert node.call("FLASH.ZRANGEBYSCORE", "z", 7, 7, "LIMIT", middle, 3) == [
        b"m%08d" % n for n in range(middle, middle + 3)]
    assert node.call("FLASH.ZCOUNT", "z", "(7", "inf") == 0
    assert node.call("FLASH.ZLEXCOUNT", "z", "[m00000010", "(m%08d" % middle) == middle - 10
    chill(node, "z")
    assert node.call("FLASH.ZPOPMIN", "z", 3)[0::2] == [b"m%08d" % n for n in range(3)]
    assert node.call("FLASH.ZPOPMAX", "z")[0] == b"m%08d" % (count - 1)
    assert node.call("FLASH.ZRANK", "z", f"m{middle:08}") == middle - 3
    assert node.call("FLASH.ZCARD", "z") == count - 4


@pytest.mark.parametrize("kind", KINDS)
def test_one_large_element(node, kind):
    large = os.urandom(1 << 16) * (16 * ELEMENT_MIB)
    write, read = {
        "hash": (["FLASH.HSET", "k", "f", large, "small", "s"], ["FLASH.HGET", "k", "f"]),
        "list": (["FLASH.RPUSH", "k", "small", large], ["FLASH.LINDEX", "k", -1]),
        "zset": (["FLASH.ZADD", "k", 1, "small", 2, large], ["FLASH.ZRANGE", "k", -1, -1]),
    }[kind]
    node.call(*write)
    for _ in range(2):
        assert node.call(*read) in (large, [large])
        chill(node, "k")
    node.call("DEL", "k")
    wait_until(lambda: node.info("flash")["flash_storage_used_bytes"] < 1 << 20, 60)


def test_a_large_cold_member_or_field_is_found(node):
    large = os.urandom(1 << 16) * (16 * 24)
    other = large[:-1] + bytes([large[-1] ^ 1])
    node.call("FLASH.ZADD", "z", 1, "small", 2, large)
    node.call("FLASH.HSET", "h", large, "value", "small", "s")
    for command, expected in ((("FLASH.ZSCORE", "z", large), b"2"),
                              (("FLASH.ZRANK", "z", large), 1),
                              (("FLASH.ZRANK", "z", other), None),
                              (("FLASH.HGET", "h", large), b"value"),
                              (("FLASH.HGET", "h", other), None),
                              (("FLASH.ZADD", "z", "CH", 3, large), 1),
                              (("FLASH.ZREM", "z", large), 1)):
        chill(node, "z")
        chill(node, "h")
        assert node.call(*command) == expected, command[0]


def test_ten_thousand_arguments_and_every_byte(node):
    members = [b"%c%c" % (a, b) for a in range(256) for b in range(0, 256, 13)][:5000]
    pairs = [word for score, member in enumerate(members) for word in (score, member)]
    assert node.call("FLASH.ZADD", "z", *pairs) == len(members)
    assert node.call("FLASH.HSET", "h", *pairs) == len(members)
    assert node.call("FLASH.RPUSH", "l", *members) == len(members)
    chill(node, "z", "h", "l")
    assert node.call("FLASH.ZRANGE", "z", 0, -1) == members
    assert node.call("FLASH.LRANGE", "l", 0, -1) == members
    assert node.call("FLASH.ZMSCORE", "z", *members) == [b"%d" % n for n in range(len(members))]
    assert node.call("FLASH.HMGET", "h", *range(len(members))) == members


def test_words_of_clauses_are_data(node):
    words = [b"EX", b"PX", b"KEEPTTL", b"NX", b"CH", b"LIMIT"]
    node.call("FLASH.RPUSH", "l", *words, "EX", "10")
    assert node.call("FLASH.LRANGE", "l", 0, -1) == [*words, b"EX", b"10"]
    node.call("FLASH.ZADD", "z", *(part for n, word in enumerate(words) for part in (n, word)))
    assert node.call("FLASH.ZRANGE", "z", 0, -1) == words
    node.call("FLASH.HSET", "h", "EX", "10", "KEEPTTL", "PX", "PX", "KEEPTTL", "KEEPTTL")
    node.call("FLASH.HSET", "h2", "EX", "10")
    assert node.call("FLASH.HGET", "h", "KEEPTTL") == b"PX"
    assert node.call("FLASH.HGET", "h2", "EX") == b"10"
    assert [node.call("PTTL", key) for key in ("l", "z", "h", "h2")] == [-1] * 4
