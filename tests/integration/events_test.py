"""Keyspace events of FLASH keys are those of native ones on the same generation of the server.

Each scenario runs on FLASH keys, all in RAM or all on flash, and on native ones in databases of
their own; only the `flash.` before the name of a FLASH command's event is taken off. What is told
of a time to live in the past differs between generations: the server is asked which one it is.

Not here, because they are listed differences: FLASH.LMOVE and its kin have an event of their own
name, and FLASH.LTRIM that cuts off nothing has none.
"""

import pytest

from differential.core import Db, Side
from harness.parking import chill
from harness.resp import Connection

BIG = "big " * 100
NATIVE_NAMES = {"zincrby": "zincr"}  # Of FLASH commands whose native event has another name.
SHAPES = {"string": ["@SET", "key", BIG], "hash": ["@HSET", "key", "f", BIG, "g", "v"],
          "list": ["@RPUSH", "key", BIG, "b", "c"], "zset": ["@ZADD", "key", "1", BIG, "2", "b"]}
# On a key of each shape.
GENERIC = {
    "del": [["DEL", "key", "none"]],
    "unlink": [["UNLINK", "key"]],
    "rename": [["RENAME", "key", "other"]],
    "rename over": [["COPY", "key", "other"], ["RENAME", "key", "other"]],
    "move": [["MOVE", "key", Db(1)]],
    "copy": [["COPY", "key", "other"], ["COPY", "key", "other", "REPLACE"]],
    "copy elsewhere": [["COPY", "key", "other", "DB", Db(1)]],
    "expire": [["EXPIRE", "key", "100"], ["PEXPIRE", "key", "100", "GT"], ["PERSIST", "key"],
               ["PERSIST", "key"]],
    "expire in the past": [["EXPIRE", "key", "-1"]],
    "pexpireat in the past": [["PEXPIREAT", "key", "1"]],
    "in a transaction": [["MULTI"], ["EXPIREAT", "key", "1"], ["EXISTS", "key"], ["EXEC"]],
    "in a script": [["EVAL", "return redis.call('EXPIRE', 'key', -1)", "0"]],
    "native set over": [["SET", "key", "v"]],
    "flush": [["FLUSHDB"]],
}
# With keys `string`, `hash`, `list`, `zset`.
OWN = {
    "set": [["@SET", "string", "v"], ["@SET", "string", "v", "EX", "100"], ["@SET", "new", BIG]],
    "set that does not": [["@SET", "string", "v", "NX"], ["@SET", "none", "v", "XX"]],
    "set in the past": [["@SET", "string", "v", "PXAT", "1"], ["@SET", "none", "v", "EXAT", "1"]],
    "set in the past, with get": [["@SET", "string", "v", "GET", "PXAT", "1"]],
    "mset": [["@MSET", "string", "1", "new", "2"]],
    "reads": [["@GET", "string"], ["@HGETALL", "hash"], ["@LRANGE", "list", "0", "-1"],
              ["@ZSCORE", "zset", "b"], ["@GET", "none"]],
    "hset": [["@HSET", "hash", "f", "new"], ["@HSET", "hash", "f", "new"]],
    "hdel": [["@HDEL", "hash", "none"], ["@HDEL", "hash", "f"], ["@HDEL", "hash", "g"]],
    "push": [["@LPUSH", "list", "x"], ["@RPUSHX", "none", "x"]],
    "lset": [["@LSET", "list", "1", "x"], ["@LINSERT", "list", "BEFORE", "x", "y"],
             ["@LTRIM", "list", "1", "2"]],
    "lrem": [["@LREM", "list", "0", "none"], ["@LREM", "list", "0", "b"]],
    "popped to the end": [["@LPOP", "list"], ["@RPOP", "list", "5"]],
    "trimmed to nothing": [["@LTRIM", "list", "5", "9"]],
    "zadd": [["@ZADD", "zset", "1", "new"], ["@ZADD", "zset", "1", "new"],
             ["@ZADD", "zset", "NX", "5", "b"]],
    "zincrby": [["@ZINCRBY", "zset", "5", "b"]],
    "zrem": [["@ZREM", "zset", "none"], ["@ZREM", "zset", "b"], ["@ZREM", "zset", BIG]],
    "zpopmin": [["@ZPOPMIN", "zset"], ["@ZPOPMAX", "zset", "5"]],
}


class Told:
    """What a side is told, and in which of its databases."""

    def __init__(self, port, native):
        self.side = Side(port, native=native, offset=8 if native else 0)
        self._listener = Connection(port)
        self._listener.must("PSUBSCRIBE", *(f"__keyevent@{self.side.database(db)}__:*"
                                            for db in (0, 1)))
        self._listener.read()

    def of(self, commands):
        """The events of the commands: (database, event, key)."""
        for command in commands:
            self.side.call(command)
        return self.until_now()

    def until_now(self):
        self.side.call(["PUBLISH", f"__keyevent@{self.side.database(0)}__:end", ""])
        events = []
        while True:
            _, _, channel, key = self._listener.read().plain()
            place, event = channel.split(b":", 1)
            if event == b"end":
                return events
            logical = int(place[len("__keyevent@"):-2]) - self.side.database(0)
            name = event.removeprefix(b"flash.").decode()
            if name != event.decode():
                name = NATIVE_NAMES.get(name, name)
            events.append((logical, name, key.decode()))


@pytest.fixture
def sides(server):
    """A server, and what is told of FLASH keys and of native ones."""
    node = server({"notify-keyspace-events": "KEA"})
    return node, Told(node.port, native=False), Told(node.port, native=True)


def differences(sides, scenarios, shapes, cold):
    """Where what is told differs: scenario, of FLASH keys, of native ones."""
    node, *tellers = sides
    found = []
    for name, commands in scenarios.items():
        told = []
        for teller in tellers:
            for db in (0, 1):
                teller.side.call(["FLUSHDB"], db)
            for key, shape in shapes.items():
                teller.side.call([SHAPES[shape][0], key, *SHAPES[shape][2:]])
            if cold and not teller.side.native:
                chill(node, *shapes)
            teller.until_now()
            told.append(teller.of(commands))
        if told[0] != told[1]:
            found.append((name, *told))
    return found


@pytest.mark.parametrize("cold", [False, True], ids=["hot", "cold"])
def test_commands_for_any_key(sides, cold):
    for shape in SHAPES:
        assert not differences(sides, GENERIC, {"key": shape}, cold), shape


@pytest.mark.parametrize("cold", [False, True], ids=["hot", "cold"])
def test_commands_of_the_types(sides, cold):
    assert not differences(sides, OWN, {shape: shape for shape in SHAPES}, cold)


def test_times_to_live_that_run_out(sides):
    """Found by a command that looks for the key, and by the server itself."""
    node, *tellers = sides
    for active in (0, 1):
        told = []
        node.call("DEBUG", "SET-ACTIVE-EXPIRE", active)
        for teller in tellers:
            for shape, words in SHAPES.items():
                teller.side.call([words[0], shape, *words[2:]])
                teller.side.call(["PEXPIRE", shape, 30])
            teller.until_now()
            events = []
            while len(events) < len(SHAPES):
                if not active:
                    teller.side.calls([["EXISTS", shape] for shape in SHAPES])
                events += teller.until_now()
            told.append(sorted(events))
        assert told[0] == told[1] == sorted((0, "expired", shape) for shape in SHAPES)


def test_a_time_in_the_past_is_told_as_this_generation_does(sides):
    """Valkey 8.0 says `del`; `expired` since 8.1."""
    node, flash, native = sides
    told = "del" if node.version() < (8, 1) else "expired"
    for teller in (flash, native):
        for shape, words in SHAPES.items():
            teller.side.call([words[0], shape, *words[2:]])
        teller.until_now()
        assert teller.of([["EXPIRE", shape, -1] for shape in SHAPES]) == [
            (0, told, shape) for shape in SHAPES]
        teller.side.call(["@SET", "key", "v"])
        teller.until_now()
        assert teller.of([["@SET", "key", "v", "PXAT", 1]]) == [(0, told, "key")]
    flash.side.call(["FLASH.HSET", "key", "f", "v"])  # Whose clause is not native.
    flash.until_now()
    assert flash.of([["FLASH.HSET", "key", "f", "w", "PXAT", 1]]) == [
        (0, "hset", "key"), (0, told, "key")]
