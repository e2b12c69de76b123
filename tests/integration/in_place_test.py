"""What is written over in place needs no room, so a full tier refuses none of it."""

import os

import pytest
import redis

FULL = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "16mb",
        "flash.compression": "none"}
BYTES = 3_000


@pytest.fixture
def full(server):
    """A server whose cache and tier are full: nothing new finds a place."""
    node = server(FULL)
    node.call("FLASH.SET", "string", os.urandom(BYTES))
    node.call("FLASH.HSET", "hash", "f", "v" * 500, "g", "w" * 500)
    node.call("FLASH.RPUSH", "list", "a" * 500, "b" * 500)
    refused = 0
    number = 0
    size = BYTES
    while refused < 20:
        # The values in question stay hot: they are used all the time.
        for _ in range(3):
            node.call("FLASH.GET", "string")
            node.call("FLASH.HGET", "hash", "f")
            node.call("FLASH.LINDEX", "list", 0)
        try:
            for _ in range(50):
                node.call("FLASH.SET", f"filler:{number}", os.urandom(size))
                number += 1
        except redis.ResponseError as why:
            assert "FLASHFULL" in str(why)
            refused += 1
            size = max(size // 2, 64)
    return node


def is_full(node):
    with pytest.raises(redis.ResponseError, match="FLASHFULL"):
        for number in range(1_000):
            node.call("FLASH.SET", f"more:{number}", os.urandom(100))


def test_same_size_writes_at_a_full_tier(full):
    is_full(full)
    for turn in range(20):
        text = os.urandom(BYTES)
        assert full.call("FLASH.SET", "string", text) == b"OK"
        assert full.call("FLASH.GET", "string") == text
        letter = chr(ord("a") + turn)
        assert full.call("FLASH.HSET", "hash", "f", letter * 500, "g", letter * 500) == 0
        assert full.call("FLASH.HGET", "hash", "g").decode() == letter * 500
        assert full.call("FLASH.LSET", "list", 1, letter * 500) == b"OK"
        assert full.call("FLASH.LINDEX", "list", -1).decode() == letter * 500
    pipe = full.client.pipeline(transaction=True)
    pipe.execute_command("FLASH.SET", "string", b"s" * BYTES)
    pipe.execute_command("FLASH.HSET", "hash", "f", "F" * 500)
    pipe.execute_command("FLASH.LSET", "list", 0, "L" * 500)
    assert pipe.execute() == [b"OK", 0, b"OK"]
    is_full(full)


def test_what_grows_or_is_shared_is_refused_as_before(full):
    is_full(full)
    for command in (("FLASH.SET", "string", b"s" * 200_000),
                    ("FLASH.HSET", "hash", "f", "v" * 200_000),
                    ("FLASH.LSET", "list", 0, "v" * 200_000)):
        with pytest.raises(redis.ResponseError, match="FLASHFULL"):
            full.call(*command)
    assert full.call("FLASH.HGET", "hash", "f") == b"v" * 500
