"""Commands for keys of any type, whole databases, DUMP and RESTORE, demotion, saving, settings."""

import time

from differential import core
from differential.core import Db, Op, Single, TypeName, alike, near, same_set, same_type
from differential.generator import GARBAGE, Action, Command

_CACHE_SIZES = ["1mb", "1mb", "2mb", "8mb", "64mb"]
CACHE_DEFAULT = "2mb"


def expire_args(unit, absolute):
    def make(g):
        time_arg = (g.moment() if absolute else g.seconds()) * unit
        if g.chance(0.08):
            time_arg = g.pick([0, -1, *GARBAGE])
        words = [g.case(g.pick(["NX", "XX", "GT", "LT"]))] if g.chance(0.3) else []
        words += [g.case(g.pick(["NX", "XX", "GT", "LT"]))] if g.chance(0.05) else []
        return [g.key(), time_arg, *words]
    return make


def one_key(g):
    return [g.key()]


def some_keys(g):
    return g.keys(g.number(1, g.pick([1, 3, 8])))


def two_keys(g):
    return g.keys(2)


def copy_args(g):
    words = []
    if g.chance(0.3):
        words += [g.case("DB"), Db(g.db())]
    if g.chance(0.5):
        words += [g.case("REPLACE")]
    return [*g.keys(2), *words, *(["bogus"] if g.chance(0.02) else [])]


def swapdb_args(g):
    if g.chance(0.1):
        return g.pick([["a", "0"], ["0", "b"], ["0", "99"], ["-1", "0"]])
    return [Db(g.db()), Db(g.db())]


def move_args(g):
    return [g.key(), g.pick(["99", "x", "-1"]) if g.chance(0.05) else Db(g.db())]


def other_type(g):
    """A command of another type that changes nothing: WRONGTYPE if the key exists."""
    command = g.pick([["LLEN"], ["LRANGE", "0", "-1"], ["HGET", "f"], ["HGETALL"], ["SCARD"],
                      ["ZSCORE", "m"], ["ZRANGE", "0", "1"], ["LPUSHX", "a"], ["XLEN"]])
    return Single([command[0], g.key(), *command[1:]], db=g.db(), resp3=g.chance(0.5))


COMMANDS = [
    Command("DEL", 20, some_keys),
    Command("UNLINK", 15, some_keys),
    Command("EXISTS", 20, some_keys),
    Command("TOUCH", 8, some_keys),
    Command("TYPE", 12, one_key, same_type),
    Command("EXPIRE", 12, expire_args(1, False)),
    Command("PEXPIRE", 8, expire_args(1000, False)),
    Command("EXPIREAT", 8, expire_args(1, True)),
    Command("PEXPIREAT", 8, expire_args(1000, True)),
    Command("TTL", 12, one_key, near(1000)),
    Command("PTTL", 12, one_key, near(1)),
    Command("EXPIRETIME", 8, one_key, near(1000)),
    Command("PEXPIRETIME", 8, one_key, near(1)),
    Command("PERSIST", 15, one_key),
    Command("RENAME", 20, two_keys),
    Command("RENAMENX", 12, two_keys),
    Command("COPY", 25, copy_args, plain=False),
    Command("MOVE", 10, move_args, plain=False),
    Command("SWAPDB", 3, swapdb_args, plain=False),
    Command("OBJECT ENCODING", 5, one_key, alike),
    Command("OBJECT IDLETIME", 3, one_key, alike),
    Command("OBJECT REFCOUNT", 3, one_key, alike),
    Command("OBJECT FREQ", 2, one_key),
    Command("OBJECT HELP", 0.2, lambda g: []),
    Command("MEMORY USAGE", 6, lambda g: [g.key()], alike),
    Command("MEMORY USAGE", 2, lambda g: [g.key(), "SAMPLES", g.pick(["0", "5", "x", "-1"])],
            alike),
    Command("KEYS", 2, lambda g: [g.pick(["*", "key:0*", "k?y:*", "[^k]*", "none"])], same_set),
    Command("FLUSHDB", 0.3, lambda g: g.pick([[], ["ASYNC"], ["SYNC"], ["bogus"]]), plain=False),
]


class FlushAll(Op):
    """Both sides share the server, so that the first FLUSHALL empties both; then again."""

    def __init__(self, g):
        self.words = ["FLUSHALL", *g.pick([[], ["ASYNC"], ["SYNC"]])]

    def run(self, side):
        return side.call(self.words)

    def __str__(self):
        return " ".join(self.words)


class Scan(Op):
    """SCAN to its end: the same keys, in whatever order."""

    def __init__(self, g):
        self.db = g.db()
        self.words = ["COUNT", g.pick([1, 7, 1000])]
        if g.chance(0.4):
            self.words += ["MATCH", g.pick(["key:*", "*1*", "\\0*"])]
        if g.chance(0.4):
            self.words += ["TYPE", TypeName(g.pick(g.types))]

    def run(self, side):
        cursor, found = b"0", set()
        while True:
            reply = side.call(["SCAN", cursor, *self.words], self.db)
            if reply.is_error:
                return reply
            cursor = reply.value[0].value
            found |= {item.value for item in reply.value[1].value}
            if cursor == b"0":
                return core.bulk_list(sorted(found))

    def __str__(self):
        return f"db{self.db} SCAN to its end {core.words_text(self.words)}"


class DatabaseSize(Op):
    """DBSIZE, after keys whose time is over were asked for and so removed."""

    def __init__(self, g):
        self.db, self.names = g.db(), g.keys_all

    def run(self, side):
        side.call(["EXISTS", *self.names], self.db)
        return side.call(["DBSIZE"], self.db)


class RandomKey(Op):
    """RANDOMKEY: null on an empty database, else some key that exists."""

    def __init__(self, g):
        self.db = g.db()

    def run(self, side):
        reply = side.call(["RANDOMKEY"], self.db)
        if reply.value is not None:
            reply = side.call(["EXISTS", reply.value], self.db)
        return reply


class DumpRestore(Op):
    """DUMP, then RESTORE of each side's own payload, whole or damaged, under some key."""

    def __init__(self, g):
        self.db, self.source, self.target = g.db(), g.key(), g.key()
        absolute = g.chance(0.3)
        self.ttl = g.pick([0, 0, -1]) if g.chance(0.6) else (
            g.moment() * 1000 if absolute else g.seconds() * 1000)
        self.words = ["ABSTTL"] if absolute else []
        self.words += ["REPLACE"] if g.chance(0.6) else []
        self.words += g.pick([["IDLETIME", "5"], ["FREQ", "5"], ["IDLETIME", "x"],
                              ["bogus"]]) if g.chance(0.1) else []
        self.damage = g.chance(0.1)

    def run(self, side):
        dumped = side.call(["DUMP", self.source], self.db)
        if not isinstance(dumped.value, bytes):
            return dumped
        payload = bytearray(dumped.value)
        if self.damage:
            payload[len(payload) // 2] ^= 0x20
        return side.call(["RESTORE", self.target, self.ttl, bytes(payload), *self.words], self.db)

    def after(self, sides):
        for side in sides:  # A time to live in the past leaves nothing, once asked for.
            side.call(["EXISTS", self.target], self.db)

    def __str__(self):
        return (f"db{self.db} DUMP {core.short(self.source)}, RESTORE {core.short(self.target)} "
                f"{self.ttl} {' '.join(self.words)}{' (one bit flipped)' if self.damage else ''}")


class Demote(Op):
    """FLASH.DEBUG.DEMOTE of some keys. It must answer for each what EXISTS says on the other."""

    def __init__(self, g):
        self.db = g.db()
        self.names = list(dict.fromkeys(g.keys_all if g.chance(0.1) else g.keys(g.number(1, 6))))

    def run(self, side):
        if side.native:
            replies = side.calls([["EXISTS", name] for name in self.names], self.db)
            return core.bulk_list([b"%d" % reply.value for reply in replies])
        found = []
        for reply in side.calls([["FLASH.DEBUG.DEMOTE", name] for name in self.names], self.db):
            if reply.value in (b"OK", b"ALREADY_COLD"):
                found.append(b"1")
            else:
                found.append(b"0" if reply.value == b"ERR key does not exist" else reply.raw)
        return core.bulk_list(found)

    def __str__(self):
        return f"db{self.db} DEMOTE {core.words_text(self.names)}"


class ServerCommand(Op):
    """A command to the server as a whole: sent once, by the tiered side."""

    def __init__(self, words, flash_only=False, wait=None):
        self.words, self.flash_only, self.wait = words, flash_only, wait
        self.done = core.Reply(b"+", b"OK", b"+OK\r\n")

    def run(self, side):
        if side.database(0) != 0 or (self.flash_only and side.native):
            return self.done
        if self.words == ["BGSAVE"]:
            wait_for_save(side)  # An earlier one that nobody waited for.
        reply = side.call(self.words)
        if self.wait == "save":
            wait_for_save(side)
        return self.done if not reply.is_error else reply

    def __str__(self):
        return " ".join(map(str, self.words))


def wait_for_save(side, seconds=300):
    deadline = time.monotonic() + seconds
    while b"rdb_bgsave_in_progress:1" in side.call(["INFO", "persistence"]).value:
        if time.monotonic() > deadline:
            raise TimeoutError("BGSAVE does not end")
        time.sleep(0.01)
    if b"rdb_last_bgsave_status:ok" not in side.call(["INFO", "persistence"]).value:
        raise AssertionError("BGSAVE failed: see the server's log")


class Reload(Op):
    """DEBUG RELOAD: all is saved, flushed and loaded again, and the digest stays."""

    def __init__(self, g):
        self.names = g.keys_all

    def run(self, side):
        for db in range(core.DATABASES):  # Keys whose time is over are not saved.
            side.call(["EXISTS", *self.names], db)
        if side.database(0) == 0:
            return side.call(["PING"])
        before = side.call(["DEBUG", "DIGEST"])
        reloaded = side.call(["DEBUG", "RELOAD"])
        after = side.call(["DEBUG", "DIGEST"])
        if reloaded.is_error or before.raw != after.raw:
            return core.bulk_list([reloaded.raw, before.raw, after.raw])
        return side.call(["PING"])


def save_in_background(g):
    return ServerCommand(["BGSAVE"], wait="save" if g.chance(0.5) else None)


def resize_cache(g):
    return ServerCommand(["CONFIG", "SET", "flash.cache-size-bytes", g.pick(_CACHE_SIZES)],
                         flash_only=True)


ACTIONS = [
    Action("other-type", 10, other_type),
    Action("flushall", 0.15, FlushAll),
    Action("scan", 2, Scan),
    Action("dbsize", 2, DatabaseSize),
    Action("randomkey", 3, RandomKey),
    Action("dump-restore", 20, DumpRestore),
    Action("demote", 60, Demote),
    Action("cache-size", 0.4, resize_cache),
    Action("compact", 0.5, lambda g: ServerCommand(["FLASH.COMPACTION.TRIGGER"], True)),
    Action("bgsave", 0.1, save_in_background),
    Action("reload", 0.05, Reload),
]

TABLE = COMMANDS + ACTIONS

# Native commands of other types are those of these types there.
FOR_COLLECTIONS = [entry for entry in TABLE if entry[0] != "other-type"]
