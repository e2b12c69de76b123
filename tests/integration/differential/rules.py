"""The differences that the contract lists, each as an operation that asserts it.

They run on the tiered side alone, with keys that the other operations do not use, and leave
nothing behind; so the two sides stay comparable.
"""

from differential.core import Op, short, words_text
from differential.generator import Action

WRONGTYPE = b"WRONGTYPE Operation against a key holding the wrong kind of value"
_FOREIGN = b"foreign"
_TIERED = b"tiered"
_MAKE_FOREIGN = [["SET", _FOREIGN, "native"], ["RPUSH", _FOREIGN, "a", "b"],
                 ["SADD", _FOREIGN, "m"], ["HSET", _FOREIGN, "f", "v"],
                 ["ZADD", _FOREIGN, "1", "m"], ["XADD", _FOREIGN, "1-1", "f", "v"]]


class OneSided(Op):
    """Asserts on the tiered side; the outcome is the list of what does not hold."""

    def run(self, side):
        self.problems = []
        if not side.native:
            self.side = side
            self.check()
        return self.problems

    def check(self):
        raise NotImplementedError

    def compare(self, flash, native):
        return "; ".join(flash) or None

    def call(self, *args):
        return self.side.call(args, resp3=self.resp3)

    def expect(self, reply, wanted, what):
        if (wanted is WRONGTYPE and not (reply.is_error and reply.value == WRONGTYPE)) or \
                (wanted is not WRONGTYPE and reply.raw != wanted):
            self.problems.append(f"{what}: {reply.raw[:200]!r} instead of {wanted!r}")


class FlashOnForeign(OneSided):
    """A FLASH command on a native key: WRONGTYPE, and neither it nor a key beside it changes.

    Native SET and MSET would replace it, DEL delete it: the listed difference.
    """

    def __init__(self, g):
        self.resp3 = g.chance(0.5)
        self.make = g.pick(_MAKE_FOREIGN)
        self.value = g.value()
        self.command = g.pick([
            ["@SET", _FOREIGN, g.value()],
            ["@SET", _FOREIGN, g.value(), "XX"],
            ["@SET", _FOREIGN, g.value(), "GET"],
            ["@SET", _FOREIGN, g.value(), "EX", 100],
            ["@GET", _FOREIGN],
            ["@DEL", _FOREIGN],
            ["@DEL", _TIERED, _FOREIGN, _TIERED],
            ["@MSET", _TIERED, g.value(), _FOREIGN, g.value()],
            ["@MSET", _FOREIGN, g.value(), _TIERED, g.value()],
        ])
        self.demote = g.chance(0.5)

    def check(self):
        self.call(*self.make)
        self.call("@SET", _TIERED, self.value)
        if self.demote:
            self.call("FLASH.DEBUG.DEMOTE", _TIERED)
        before = self.call("DUMP", _FOREIGN).raw, self.call("@GET", _TIERED).raw
        self.expect(self.call(*self.command), WRONGTYPE, words_text(self.command))
        after = self.call("DUMP", _FOREIGN).raw, self.call("@GET", _TIERED).raw
        if before != after:
            self.problems.append(f"{words_text(self.command)} changed something")
        self.call("DEL", _FOREIGN, _TIERED)

    def __str__(self):
        return f"{words_text(self.make)}; {words_text(self.command)}"


class NativeOnFlash(OneSided):
    """A native command on a FLASH key: WRONGTYPE, unchanged; native SET replaces the key."""

    COMMANDS = [["GET", _TIERED], ["APPEND", _TIERED, "x"], ["STRLEN", _TIERED], ["INCR", _TIERED],
                ["GETRANGE", _TIERED, "0", "1"], ["SETRANGE", _TIERED, "0", "x"],
                ["GETSET", _TIERED, "x"], ["GETDEL", _TIERED], ["GETEX", _TIERED, "PERSIST"],
                ["SETBIT", _TIERED, "1", "1"], ["BITCOUNT", _TIERED], ["PFADD", _TIERED, "x"],
                ["LPUSH", _TIERED, "x"], ["HSET", _TIERED, "f", "v"], ["SADD", _TIERED, "m"],
                ["ZADD", _TIERED, "1", "m"], ["SET", _TIERED, "x", "GET"], ["SORT", _TIERED],
                ["XADD", _TIERED, "*", "f", "v"]]

    def __init__(self, g):
        self.resp3, self.value = g.chance(0.5), g.value()
        self.command, self.demote = g.pick(self.COMMANDS), g.chance(0.5)

    def check(self):
        self.call("@SET", _TIERED, self.value)
        before = self.call("@GET", _TIERED).raw
        if self.demote:
            self.call("FLASH.DEBUG.DEMOTE", _TIERED)
        self.expect(self.call(*self.command), WRONGTYPE, words_text(self.command))
        if self.call("@GET", _TIERED).raw != before:
            self.problems.append(f"{words_text(self.command)} changed the value")
        self.expect(self.call("SETNX", _TIERED, "x"), b":0\r\n", "SETNX")
        self.expect(self.call("SET", _TIERED, "native"), b"+OK\r\n", "SET")
        self.expect(self.call("TYPE", _TIERED), b"+string\r\n", "TYPE after SET")
        self.expect(self.call("@GET", _TIERED), WRONGTYPE, "FLASH.GET after SET")
        self.call("DEL", _TIERED)

    def __str__(self):
        return f"FLASH.SET {short(_TIERED)} {short(self.value)}; {words_text(self.command)}"


TABLE = [
    Action("flash-on-foreign", 6, FlashOnForeign),
    Action("native-on-flash", 6, NativeOnFlash),
]
