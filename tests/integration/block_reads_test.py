"""Blocks that each command reads from a cold collection of a million elements, counted by INFO.

One test per type: it builds the collection once and sends every block to flash before each
command.
"""

import socket

import pytest

from harness.parking import chill
from harness.resp import Connection, encode

COUNT = 1_000_000
AT_ONCE = 2000
# A hundred neighbours: leaves hold more than 50 of these, and the range may begin in the midst.
RANGE_OF_100 = 3


@pytest.fixture
def node(server):
    return server({"flash.cache-size-bytes": "256mb", "flash.capacity-bytes": "1gb",
                   "flash.compression": "none"})


def build(node, words):
    """`words(numbers)` makes the command that adds these elements."""
    link = Connection(node.port)
    for start in range(0, COUNT, 10 * AT_ONCE):
        batch = [words(range(first, first + AT_ONCE))
                 for first in range(start, start + 10 * AT_ONCE, AT_ONCE)]
        link.send(*batch)
        for _ in batch:
            assert not link.read().is_error
    link.close()


class Reader:
    """Runs commands on cold values and compares what they read with what they may."""

    def __init__(self, node, *keys):
        self.node, self.keys, self.wrong = node, keys, []
        self._link = Connection(node.port)

    def counters(self):
        info = self.node.info("flash")
        return (info["flash_device_reads"] + info["flash_device_coalesced_reads"],
                info["flash_device_read_bytes"])

    def elements_of_long_reply(self, *command):
        """How many elements the reply has: a million of them need not be taken apart."""
        with socket.create_connection(("127.0.0.1", self.node.port)) as link:
            link.sendall(encode(command) + encode(["PING"]))
            first, end = b"", b""
            while not end.endswith(b"+PONG\r\n"):
                data = link.recv(1 << 20)
                assert data, "the server closed the connection"
                first, end = first or data, (end + data)[-7:]
        assert first.startswith(b"*")
        return int(first[1:first.index(b"\r")])

    def __call__(self, least, most, *command, ask=None):
        chill(self.node, *self.keys)
        reads, bytes_read = self.counters()
        reply = (ask or self._link.must)(*command)
        reads, bytes_read = (b - a for a, b in zip((reads, bytes_read), self.counters()))
        shown = " ".join(str(word)[:30] for word in command[:8])
        if not least <= reads <= most:
            self.wrong.append(f"{shown}: {reads} blocks, not {least} to {most}")
        if bytes_read > 8192 * reads:
            self.wrong.append(f"{shown}: {bytes_read} bytes in {reads} blocks")
        return reply

    def finish(self):
        self._link.close()
        assert not self.wrong, "\n".join(self.wrong)


def blocks_of(node, key):
    """How many cold blocks the value has: no other value is cold."""
    chill(node, key)
    info = node.info("flash")
    assert info["flash_tiered_keys"] == 1
    return info["flash_blocks_cold"]


def test_hash(node):
    build(node, lambda numbers: ["FLASH.HSET", "h", *(
        word for n in numbers for word in (f"field:{n}", f"value of {n}"))])
    blocks = blocks_of(node, "h")
    reads = Reader(node, "h")
    assert reads(1, 1, "FLASH.HGET", "h", "field:77") == b"value of 77"
    assert reads(1, 1, "FLASH.HGET", "h", "no such field") is None
    assert reads(1, 1, "FLASH.HEXISTS", "h", "field:999999") == 1
    assert reads(0, 0, "FLASH.HLEN", "h") == COUNT
    assert reads(2, 5, "FLASH.HMGET", "h", *(f"field:{n}" for n in range(5)))[4] == b"value of 4"
    assert reads(1, 1, "FLASH.HSET", "h", "field:5", "changed") == 0
    assert reads(1, 1, "FLASH.HSET", "h", "field:6", "longer than it was before") == 0
    assert reads(1, 1, "FLASH.HSET", "h", "a new field", "1") == 1
    assert reads(1, 1, "FLASH.HSET", "h", "field:7", "1", "EX", "1000") == 0
    assert reads(2, 3, "FLASH.HSET", "h", "field:8", "1", "field:9", "2", "fresh", "3") == 1
    assert reads(1, 1, "FLASH.HDEL", "h", "field:10") == 1
    assert reads(2, 4, "FLASH.HDEL", "h", *(f"field:{n}" for n in range(11, 15))) == 4
    assert reads(0, 0, "OBJECT", "ENCODING", "h")
    assert reads(0, 0, "EXPIRE", "h", "5000") == 1
    assert reads(0, 0, "COPY", "h", "copy") == 1
    assert reads(0, 0, "RENAME", "copy", "moved") == b"OK"
    assert reads(0, 0, "DEL", "moved") == 1
    assert reads(blocks - 10, blocks + 10, "FLASH.HGETALL", "h",
                 ask=reads.elements_of_long_reply) == 2 * (COUNT - 3)
    assert reads(0, 0, "DEL", "h") == 1
    reads.finish()


def test_list(node):
    build(node, lambda numbers: ["FLASH.RPUSH", "l", *(f"element {n}" for n in numbers)])
    blocks = blocks_of(node, "l")
    node.call("FLASH.RPUSH", "other", "x")
    reads = Reader(node, "l")
    assert reads(1, 1, "FLASH.LINDEX", "l", 500_000) == b"element 500000"
    assert reads(1, 1, "FLASH.LINDEX", "l", -1) == b"element 999999"
    assert reads(0, 0, "FLASH.LINDEX", "l", COUNT) is None
    assert reads(0, 0, "FLASH.LLEN", "l") == COUNT
    assert len(reads(1, 2, "FLASH.LRANGE", "l", 300_000, 300_099)) == 100
    assert len(reads(1, 2, "FLASH.LRANGE", "l", -100, -1)) == 100
    assert reads(1, 1, "FLASH.LSET", "l", 400_000, "changed") == b"OK"
    assert reads(1, 1, "FLASH.LSET", "l", -1, "changed, and longer") == b"OK"
    assert reads(1, 1, "FLASH.LPUSH", "l", "a") == COUNT + 1
    assert reads(1, 1, "FLASH.RPUSH", "l", "z") == COUNT + 2
    assert reads(1, 1, "FLASH.LPUSHX", "l", "a", "b") == COUNT + 4
    assert reads(1, 1, "FLASH.RPUSHX", "l", "y", "z") == COUNT + 6
    assert reads(1, 1, "FLASH.LPOP", "l") == b"b"
    assert reads(1, 1, "FLASH.RPOP", "l") == b"z"
    assert len(reads(1, 2, "FLASH.LPOP", "l", 100)) == 100
    assert len(reads(1, 2, "FLASH.RPOP", "l", 100)) == 100
    assert reads(1, 2, "FLASH.LINSERT", "l", "BEFORE", "element 105", "new") > 0
    assert reads(1, 2, "FLASH.LREM", "l", 1, "element 110") == 1
    assert reads(1, 2, "FLASH.LREM", "l", -1, "element 999890") == 1
    assert reads(1, 2, "FLASH.LTRIM", "l", 100, -101) == b"OK"
    # What is cut off in the midst of nowhere is not read.
    assert reads(2, 2, "FLASH.LTRIM", "l", 100_000, -100_001) == b"OK"
    assert reads(1, 1, "FLASH.LMOVE", "l", "other", "LEFT", "RIGHT")
    assert reads(2, 2, "FLASH.LMOVE", "l", "l", "LEFT", "RIGHT")
    assert reads(1, 1, "FLASH.LMOVE", "other", "l", "RIGHT", "LEFT")
    assert reads(1, 1, "FLASH.RPOPLPUSH", "l", "other")
    assert reads(1, 1, "FLASH.BLPOP", "l", 0)
    assert reads(1, 1, "FLASH.BRPOP", "none", "l", 0)
    assert reads(1, 1, "FLASH.BLMOVE", "l", "other", "RIGHT", "LEFT", 0)
    size = node.call("FLASH.LLEN", "l")
    assert reads(blocks // 2, blocks, "FLASH.LRANGE", "l", 0, -1,
                 ask=reads.elements_of_long_reply) == size
    reads.finish()


def score(n):
    return n * 7919 % COUNT


def test_sorted_set(node):
    build(node, lambda numbers: ["FLASH.ZADD", "z", *(
        word for n in numbers for word in (score(n), f"member {n}"))])
    blocks = blocks_of(node, "z")
    reads = Reader(node, "z")
    assert reads(1, 1, "FLASH.ZSCORE", "z", "member 3") == b"23757"
    assert reads(1, 1, "FLASH.ZSCORE", "z", "no member") is None
    assert reads(2, 3, "FLASH.ZMSCORE", "z", *(f"member {n}" for n in range(3)))[0] == b"0"
    assert reads(2, 2, "FLASH.ZRANK", "z", "member 3") == 23757
    assert reads(2, 2, "FLASH.ZREVRANK", "z", "member 3") == COUNT - 1 - 23757
    assert reads(0, 0, "FLASH.ZCARD", "z") == COUNT
    assert reads(2, 2, "FLASH.ZCOUNT", "z", 1000, 900_000) == 899_001
    assert reads(0, 0, "FLASH.ZCOUNT", "z", "-inf", "+inf") == COUNT
    for command in (["FLASH.ZRANGE", "z", 700_000, 700_099],
                    ["FLASH.ZRANGE", "z", 700_000, 700_099, "WITHSCORES", "REV"],
                    ["FLASH.ZRANGE", "z", 700_000, 700_099, "BYSCORE"],
                    ["FLASH.ZRANGE", "z", "+inf", "-inf", "BYSCORE", "REV", "LIMIT", 1000, 100],
                    ["FLASH.ZRANGEBYSCORE", "z", 700_000, 700_099],
                    ["FLASH.ZRANGEBYSCORE", "z", "-inf", "+inf", "LIMIT", 5000, 100],
                    ["FLASH.ZREVRANGEBYSCORE", "z", 700_099, 700_000]):
        least = 200 if "WITHSCORES" in command else 100
        assert len(reads(1, RANGE_OF_100, *command)) == least, command
    assert reads(1, RANGE_OF_100, "FLASH.ZRANGESTORE", "part", "z", 5000, 5099) == 100
    cursor, found = reads(1, RANGE_OF_100, "FLASH.ZSCAN", "z", 0, "COUNT", 100)
    assert cursor != b"0" and len(found) >= 200
    assert reads(1, RANGE_OF_100, "FLASH.ZSCAN", "z", cursor, "COUNT", 100)
    assert reads(1, 3, "FLASH.ZADD", "z", 123_456, "member 3") == 0
    # Index and place among the scores are read in parallel, before it is known that nothing moves.
    assert reads(1, 2, "FLASH.ZADD", "z", 123_456, "member 3") == 0
    assert reads(1, 3, "FLASH.ZADD", "z", "GT", "CH", 500_000, "member 3") == 1
    assert reads(1, 3, "FLASH.ZADD", "z", "NX", 1, "member 3") == 0
    assert reads(2, 2, "FLASH.ZADD", "z", 5, "a new member") == 1
    assert reads(2, 3, "FLASH.ZINCRBY", "z", 10_000, "member 5") == b"49595"
    assert reads(2, 2, "FLASH.ZREM", "z", "a new member") == 1
    assert reads(2, 2, "FLASH.ZPOPMIN", "z") == [b"member 0", b"0"]
    assert reads(2, 2, "FLASH.ZPOPMAX", "z")
    assert len(reads(2, 12, "FLASH.ZPOPMIN", "z", 10)) == 20
    assert reads(2, 2, "FLASH.BZPOPMIN", "z", 0)
    assert reads(2, 2, "FLASH.BZPOPMAX", "none", "z", 0)
    small = [word for n in range(600_000, 600_010) for word in (1, f"member {n}")]
    node.call("FLASH.ZADD", "small", *small)
    assert reads(1, 10, "FLASH.ZINTERSTORE", "part", 2, "z", "small") == 10
    assert reads(1, 10, "FLASH.ZDIFFSTORE", "part", 2, "small", "z") == 0
    assert node.call("DEL", "part", "small") == 1
    assert reads(0, 0, "COPY", "z", "copy") == 1
    assert reads(0, 0, "DEL", "copy") == 1
    # All of one tree, once; equal scores for what follows.
    size = node.call("FLASH.ZCARD", "z")
    assert reads(blocks // 3, blocks, "FLASH.ZUNIONSTORE", "lex", 1, "z", "WEIGHTS", 0) == size
    reads.keys = ("lex",)
    for command in (["FLASH.ZRANGEBYLEX", "lex", "[member 5", "+", "LIMIT", 0, 100],
                    ["FLASH.ZREVRANGEBYLEX", "lex", "(member 5", "-", "LIMIT", 0, 100],
                    ["FLASH.ZRANGE", "lex", "[member 5", "+", "BYLEX", "LIMIT", 7, 100]):
        assert len(reads(1, RANGE_OF_100 + 1, *command)) == 100, command
    assert reads(2, 4, "FLASH.ZLEXCOUNT", "lex", "[member 2", "(member 3") > 100_000
    reads.finish()
