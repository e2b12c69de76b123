"""Hashes, lists and sorted sets as values: saving, generic commands, broken bytes, big ones.

One test for all three kinds; what is particular to one is in hash_test.py, list_test.py and
zset_test.py.
"""

import threading
import time

import pytest

from bad_days_test import assert_fails
from conftest import wait_until
from harness.disks import spoil_file
from harness.parking import chill
from harness.resp import Connection

KINDS = ("hash", "list", "zset")


def fill(node, kind, key, count, start=0):
    """Adds elements start to start + count."""
    for first in range(start, start + count, 1000):
        numbers = range(first, min(first + 1000, start + count))
        if kind == "hash":
            pairs = (word for n in numbers for word in (f"f{n}", f"value {n}"))
            words = ["FLASH.HSET", key, *pairs]
        elif kind == "list":
            words = ["FLASH.RPUSH", key, *(f"element {n}" for n in numbers)]
        else:
            words = ["FLASH.ZADD", key, *(word for n in numbers for word in (n / 7, f"member {n}"))]
        node.call(*words)


def length(node, kind, key):
    return node.call({"hash": "FLASH.HLEN", "list": "FLASH.LLEN", "zset": "FLASH.ZCARD"}[kind], key)


def everything(node, kind, key):
    if kind == "hash":
        flat = node.call("FLASH.HGETALL", key)
        return dict(zip(flat[0::2], flat[1::2]))
    if kind == "list":
        return node.call("FLASH.LRANGE", key, 0, -1)
    return node.call("FLASH.ZRANGE", key, 0, -1, "WITHSCORES")


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_the_aof_rewritten_in_either_form(server, preamble):
    node = server({"appendonly": "yes", "aof-use-rdb-preamble": preamble,
                   "flash.cache-size-bytes": "1mb"})
    for kind in KINDS:
        for count in (1, 10, 5000):
            fill(node, kind, f"{kind}:{count}", count)
        node.call("EXPIRE", f"{kind}:10", 1000)
    node.call("FLASH.HSET", "clause", "f", "v", "EX", "10", "KEEPTTL")
    node.call("FLASH.RPUSH", "large", b"x" * 2_000_000, "y")
    chill(node, "hash:5000", "large")
    expected = {key: node.client.execute_command("DEBUG", "DIGEST-VALUE", key)[0]
                for key in node.client.keys()}
    expiry = node.call("PEXPIRETIME", "zset:10")
    node.rewrite_aof()
    node.restart()
    found = {key: node.client.execute_command("DEBUG", "DIGEST-VALUE", key)[0]
             for key in node.client.keys()}
    assert found == expected
    assert node.call("PEXPIRETIME", "zset:10") == expiry
    assert node.call("PTTL", "clause") == -1


@pytest.mark.parametrize("kind", KINDS)
def test_generic_commands_on_a_cold_value(server, kind):
    node = server({"flash.cache-size-bytes": "1mb", "databases": 4})
    fill(node, kind, "k", 20_000)
    expected = everything(node, kind, "k")
    digest = node.call("DEBUG", "DIGEST-VALUE", "k")
    chill(node, "k")
    misses = node.info("flash")["flash_cache_misses"]
    node.call("RENAME", "k", "a")
    node.call("COPY", "a", "b")
    node.call("COPY", "a", "far", "DB", 1)
    node.call("EXPIRE", "a", 1000)
    node.call("PERSIST", "a")
    assert node.call("EXISTS", "a", "b") == 2
    assert Connection(node.port).must("OBJECT", "REFCOUNT", "a") == 1
    assert node.call("MEMORY", "USAGE", "a") < 300_000
    assert node.info("flash")["flash_cache_misses"] == misses
    payload = node.call("DUMP", "a")
    node.call("RESTORE", "restored", 0, payload)
    assert node.client.execute_command("DEBUG", "DIGEST-VALUE", "a", "b", "restored") == digest * 3
    fill(node, kind, "a", 10, start=20_000)  # The copies do not see it.
    assert everything(node, kind, "b") == expected
    assert everything(node, kind, "restored") == expected
    node.call("SWAPDB", 0, 1)
    assert everything(node, kind, "far") == expected
    node.call("SWAPDB", 0, 1)
    node.call("DEL", "b", "restored")
    assert length(node, kind, "a") == 20_010
    for how in (["FLUSHALL", "ASYNC"], ["PING"]):
        node.call(*how)
    wait_until(lambda: node.info("flash")["flash_storage_used_bytes"] < 1 << 20, 30,
               "the blocks of deleted values to be freed")


@pytest.mark.parametrize("kind", KINDS)
def test_broken_bytes_are_an_error_and_the_key_stays(server, kind):
    node = server({"flash.cache-size-bytes": "1mb", "flash.compression": "none"})
    fill(node, kind, "k", 20_000)
    chill(node, "k")
    node.call("FLASH.SET", "s", "x" * 3_000_000)  # What was written last is in no buffer now.
    spoil_file(node.dir / "flash.tier")
    reads = {"hash": ["FLASH.HGETALL", "k"], "list": ["FLASH.LRANGE", "k", 0, -1],
             "zset": ["FLASH.ZRANGE", "k", 0, -1]}
    writes = {"hash": ["FLASH.HDEL", "k", *(f"f{n}" for n in range(5000))],
              "list": ["FLASH.LREM", "k", 0, "element 7"],
              "zset": ["FLASH.ZREM", "k", *(f"member {n}" for n in range(5000))]}
    for command in (reads[kind], writes[kind]):
        assert_fails("FLASHIO", node.call, *command)
        assert length(node, kind, "k") == 20_000
    with node.client.pipeline(transaction=True) as transaction:
        transaction.execute_command(*reads[kind])
        assert_fails("Command .* FLASHIO", transaction.execute)
    assert node.call("DEL", "k") == 1
    fill(node, kind, "k", 100)
    assert length(node, kind, "k") == 100


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_too_damaged_to_load_is_refused(server, kind):
    node = server()
    fill(node, kind, "k", 3)
    payload = bytearray(node.call("DUMP", "k"))
    refused = 0
    for at in range(10, len(payload) - 10):
        broken = bytearray(payload)
        broken[at] ^= 0x41
        broken[-8:] = crc64(bytes(broken[:-8]))
        reply = Connection(node.port).call("RESTORE", "r", 0, bytes(broken), "REPLACE")
        refused += reply.is_error
    assert refused > 3
    assert length(node, kind, "k") == 3
    assert node.client.ping()


def crc64(data):
    """The checksum of DUMP payloads (CRC-64, Jones, reflected), eight bytes, little endian."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x95ac9329ac4bc9b5 if value & 1 else 0)
    return value.to_bytes(8, "little")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_big_values_come_and_go_while_clients_go_on(server, kind):
    node = server({"flash.cache-size-bytes": "4mb"})
    fill(node, kind, "big", 200_000)
    chill(node, "big")
    stop, slowest = threading.Event(), []

    def ping():
        connection = Connection(node.port)
        while not stop.is_set():
            began = time.monotonic()
            connection.call("PING")
            slowest.append(time.monotonic() - began)

    thread = threading.Thread(target=ping)
    thread.start()
    try:
        for _ in range(3):
            node.call("COPY", "big", "copy")
            fill(node, kind, "copy", 50, start=200_000)
            node.call("RENAME", "copy", "other")
            node.call("PEXPIRE", "other", 1)
            wait_until(lambda: node.call("EXISTS", "other") == 0)
        assert node.call("DEL", "big") == 1
        wait_until(lambda: node.info("flash")["flash_storage_used_bytes"] < 1 << 20, 30)
    finally:
        stop.set()
        thread.join()
    assert len(slowest) > 10


# Leaves emptied beside cold ones ------------------------------------------------------------------

WIDE = "w" * 900  # Four to a leaf.


@pytest.fixture
def deep(server):
    return server({"flash.cache-size-bytes": "4mb"})


def test_the_only_member_of_a_leaf_moves_beside_cold_leaves(deep):
    for n in range(20):
        deep.call("FLASH.ZADD", "z", n, f"{n}{WIDE}")
        chill(deep, "z")
        deep.call("FLASH.ZADD", "z", n + 0.5, f"{n}{WIDE}")
        chill(deep, "z")
        deep.call("FLASH.ZINCRBY", "z", 0.25, f"{n}{WIDE}")
        chill(deep, "z")
    assert [float(score) for score in deep.call("FLASH.ZRANGE", "z", 0, -1, "WITHSCORES")[1::2]] \
        == [n + 0.75 for n in range(20)]


def test_members_take_the_place_of_those_that_leave_with_them(deep):
    for n in range(20):
        deep.call("FLASH.ZADD", "z", 10 * n, f"{n}{WIDE}")
    for n in range(4, 16):  # Four at once: all of a leaf leave, and others come to their place.
        chill(deep, "z")
        words = [word for i in range(n, n + 4) for word in (1000 + i, f"{i}{WIDE}")]
        deep.call("FLASH.ZADD", "z", *words, 10 * n + 5, f"new {n}{WIDE}")
    assert deep.call("FLASH.ZCARD", "z") == 32
    chill(deep, "z")
    deep.call("FLASH.ZREM", "z", *(f"{n}{WIDE}" for n in range(20)), *(f"x{n}" for n in range(300)),
              *(f"{n}{WIDE}" for n in range(20)))
    assert deep.call("FLASH.ZCARD", "z") == 12


def test_a_field_deleted_twice_beside_cold_leaves(deep):
    for n in range(60):
        deep.call("FLASH.HSET", "h", f"f{n}", WIDE)
    for n in range(0, 60, 3):
        chill(deep, "h")
        names = [f"f{i}" for i in range(n, n + 3)]
        assert deep.call("FLASH.HDEL", "h", *names, *(f"x{i}" for i in range(40)), *names) == 3
    assert deep.call("EXISTS", "h") == 0


@pytest.mark.parametrize("end", ["LEFT", "RIGHT"])
def test_a_list_rotated_at_one_end_beside_cold_leaves(deep, end):
    for n in range(20):
        deep.call("FLASH.RPUSH" if end == "RIGHT" else "FLASH.LPUSH", "l", f"{n}{WIDE}")
        chill(deep, "l")
        assert deep.call("FLASH.LMOVE", "l", "l", end, end) == f"{n}{WIDE}".encode()
    numbers = [int(element[:-900]) for element in deep.call("FLASH.LRANGE", "l", 0, -1)]
    assert numbers == sorted(range(20), reverse=end == "LEFT")
