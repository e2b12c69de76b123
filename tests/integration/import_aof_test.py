"""An AOF with the older module's commands replays: its names, its forms of a time to live.

CONTRACT: the names and shapes are those of the older module; FLASH.SET takes SET's options, and
FLASH.HSET a clause for the whole key at its very end. Relative times count from the replay, as
native ones in an AOF do.
"""

import time

import pytest

from harness.resp import encode

FAR = 4_000_000_000
PAST = 1_000_000_000

COMMANDS = [
    ("SELECT", 0),
    ("FLASH.SET", "s:plain", b"\0binary\xff"), ("FLASH.SET", "s:ex", "v", "EX", 1000),
    ("FLASH.SET", "s:px", "v", "PX", 1_000_000), ("FLASH.SET", "s:exat", "v", "EXAT", FAR),
    ("FLASH.SET", "s:pxat", "v", "PXAT", FAR * 1000 + 7), ("FLASH.SET", "s:pxat", "w", "KEEPTTL"),
    ("FLASH.SET", "s:cleared", "v", "PXAT", FAR * 1000), ("FLASH.SET", "s:cleared", "w"),
    ("FLASH.SET", "s:nx", "v", "NX", "EXAT", FAR), ("FLASH.SET", "s:nx", "w", "NX"),
    ("FLASH.SET", "s:xx", "v", "XX"), ("FLASH.SET", "s:gone", "v", "PXAT", PAST * 1000),
    ("FLASH.SET", "s:large", b"x" * 3_000_000), ("FLASH.MSET", "s:m1", "1", "s:m2", "2"),
    ("FLASH.SET", "s:deleted", "v"), ("FLASH.DEL", "s:deleted"),
    ("FLASH.SET", "s:expire", "v"), ("PEXPIREAT", "s:expire", FAR * 1000 + 9),
    ("FLASH.SET", "s:persist", "v", "EXAT", FAR), ("PERSIST", "s:persist"),
    ("FLASH.SET", "s:renamed", "v", "EXAT", FAR), ("RENAME", "s:renamed", "s:name"),
    ("MULTI",),
    ("FLASH.HSET", "h:plain", "f", "v", "ex", "1", "g", "w"),
    ("FLASH.HSET", "h:ex", "f", "v", "EX", 1000), ("FLASH.HSET", "h:px", "f", "v", "PX", 1_000_000),
    ("FLASH.HSET", "h:exat", "f", "v", "EXAT", FAR), ("FLASH.HSET", "h:exat", "g", "w"),
    ("FLASH.HSET", "h:pxat", "f", "v", "PXAT", FAR * 1000 + 7),
    ("FLASH.HSET", "h:pxat", "f", "w", "KEEPTTL"), ("FLASH.HDEL", "h:plain", "g"),
    ("FLASH.HSET", "h:gone", "f", "v", "PXAT", PAST * 1000),
    ("EXEC",),
    ("FLASH.RPUSH", "l", *range(2000)), ("FLASH.LPUSH", "l", "head"), ("FLASH.RPOP", "l", 2),
    ("FLASH.LSET", "l", 1, "set"), ("FLASH.LREM", "l", 0, 7), ("FLASH.LTRIM", "l", 0, 999),
    ("FLASH.LINSERT", "l", "BEFORE", "set", "in"), ("FLASH.LMOVE", "l", "l:to", "LEFT", "RIGHT"),
    ("FLASH.ZADD", "z", "1", "a", "-inf", "b", "2.5", "c"), ("FLASH.ZINCRBY", "z", "0.5", "a"),
    ("FLASH.ZREM", "z", "b"), ("FLASH.ZUNIONSTORE", "z:to", 1, "z"),
    ("SELECT", 3), ("FLASH.SET", "s:plain", "of 3"),
]


@pytest.mark.parametrize("cache", ["1mb", "64mb"])
def test_the_older_modules_aof_replays(server, cache):
    node = server({"appendonly": "yes", "flash.cache-size-bytes": cache}, start=False)
    # One file, as servers wrote it; newer ones take it over into their folder of files.
    (node.dir / "appendonly.aof").write_bytes(b"".join(encode(command) for command in COMMANDS))
    began = time.time()
    node.start()
    call = node.call

    def check():
        strings = {"s:plain": b"\0binary\xff", "s:pxat": b"w", "s:cleared": b"w", "s:nx": b"v",
                   "s:xx": None, "s:gone": None, "s:large": b"x" * 3_000_000, "s:m2": b"2",
                   "s:deleted": None, "s:name": b"v", "s:renamed": None}
        assert {key: call("FLASH.GET", key) for key in strings} == strings
        assert call("FLASH.HGETALL", "h:plain") in ([b"f", b"v", b"ex", b"1"],
                                                    [b"ex", b"1", b"f", b"v"])
        assert call("FLASH.HGET", "h:pxat", "f") == b"w" and call("EXISTS", "h:gone") == 0
        moments = {"s:exat": FAR * 1000, "s:pxat": FAR * 1000 + 7, "s:cleared": -1,
                   "s:nx": FAR * 1000, "s:expire": FAR * 1000 + 9, "s:persist": -1,
                   "s:name": FAR * 1000, "h:exat": FAR * 1000, "h:pxat": FAR * 1000 + 7,
                   "h:plain": -1}
        assert {key: call("PEXPIRETIME", key) for key in moments} == moments
        for key in ("s:ex", "s:px", "h:ex", "h:px"):
            assert (began + 900) * 1000 < call("PEXPIRETIME", key) <= (time.time() + 1000) * 1000
        numbers = [b"%d" % n for n in range(1, 1000) if n != 7]
        assert call("FLASH.LRANGE", "l", 0, -1) == [b"in", b"set"] + numbers
        assert call("FLASH.LRANGE", "l:to", 0, -1) == [b"head"]
        for key in ("z", "z:to"):
            assert call("FLASH.ZRANGE", key, 0, -1, "WITHSCORES") == [b"a", b"1.5", b"c", b"2.5"]
        assert node.connect(db=3).execute_command("FLASH.GET", "s:plain") == b"of 3"
    check()
    node.rewrite_aof()
    node.restart()
    check()
