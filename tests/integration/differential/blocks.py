"""Commands of the tables put together: MULTI, WATCH, Lua, functions, pipelines, two clients.

Scripts get the command as arguments, so that their text (and its hash in error messages) is the
same on both sides.
"""

from differential import core
from differential.core import Op, Reply, same
from differential.generator import Action

_ONE = "return redis.{call}(unpack(ARGV))"
_ONE_RESP3 = "redis.setresp(3) return redis.{call}(unpack(ARGV))"
# ARGV: for each command the number of its words, then the words.
_SEVERAL = """
local replies, at = {}, 1
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  replies[#replies + 1] = redis.pcall(unpack(ARGV, at + 1, at + count))
  if not replies[#replies] then replies[#replies] = 'null' end
  at = at + count + 1
end
return replies
"""
_FUNCTION = """#!lua name=differential
redis.register_function('one', function(keys, args) return redis.call(unpack(args)) end)
"""


class Transaction(Op):
    """MULTI … EXEC or DISCARD, with or without WATCH and another client in between."""

    def __init__(self, g):
        self.db, self.resp3 = g.db(), g.chance(0.5)
        self.commands = [g.command() for _ in range(g.number(1, 6))]
        self.watched = g.keys(g.number(1, 3)) if g.chance(0.4) else []
        # What another client does between WATCH and EXEC; demotion must not matter.
        self.between = [g.command()[0] for _ in range(g.number(0, 2))] if self.watched else []
        self.demoted = g.pick(self.watched) if self.watched and g.chance(0.5) else None
        self.end = "DISCARD" if g.chance(0.05) else "EXEC"
        self.missing_multi = g.chance(0.01)

    def run(self, side):
        def call(*args):
            replies.append(side.call(args, self.db, self.resp3))
        replies = []
        if self.watched:
            call("WATCH", *self.watched)
            for command in self.between:
                side.call(command, self.db, slot=1)
            if self.demoted is not None and not side.native:
                side.call(["FLASH.DEBUG.DEMOTE", self.demoted], self.db, slot=1)
        if self.missing_multi:
            call(self.end)
            call("UNWATCH")
            return replies
        call("MULTI")
        queued = []
        for args, compare in self.commands:
            call(*args)
            if not replies[-1].is_error:
                queued.append(compare)
        call(self.end)
        self.compares = [same] * (len(replies) - 1) + [core.same_items(queued)]
        return replies

    def compare(self, flash, native):
        if self.missing_multi:
            self.compares = [same] * len(native)
        for check, a, b in zip(self.compares, flash, native):
            found = check(a, b)
            if found:
                return f"{found}: {a.raw[:200]!r}, native {b.raw[:200]!r}"
        return None

    def __str__(self):
        text = f"db{self.db} resp{3 if self.resp3 else 2} "
        if self.watched:
            text += f"WATCH {core.words_text(self.watched)}; "
            text += "".join(f"[other: {core.words_text(c)}] " for c in self.between)
            text += f"[DEMOTE {core.short(self.demoted)}] " if self.demoted is not None else ""
        text += "MULTI; " + "; ".join(core.words_text(args) for args, _ in self.commands)
        return f"{text}; {self.end}"


class Script(Op):
    """One command through EVAL or FCALL, or several in one script."""

    def __init__(self, g):
        self.db, self.resp3 = g.db(), g.chance(0.5)
        self.kind = g.pick(["one", "one", "resp3", "several", "function"])
        self.text = {"one": _ONE, "resp3": _ONE_RESP3}.get(self.kind, "").replace(
            "{call}", g.pick(["call", "pcall"])) or _SEVERAL
        count = g.number(2, 6) if self.kind == "several" else 1
        # What expiry times answer depends on the moment; inside a script no tolerance applies.
        self.commands = [self._timeless(g) for _ in range(count)]

    @staticmethod
    def _timeless(g):
        while True:
            args, compare = g.command()
            if compare is same:
                return args

    def run(self, side):
        commands = [side.words(args) for args in self.commands]
        if self.kind == "function":
            self._load(side)
            return side.call(["FCALL", "one", 0, *commands[0]], self.db, self.resp3)
        words = commands[0] if self.kind != "several" else [
            word for command in commands for word in (len(command), *command)]
        return side.call(["EVAL", self.text, 0, *words], self.db, self.resp3)

    @staticmethod
    def _load(side):
        if b"differential" not in side.call(["FUNCTION", "LIST"]).raw:
            side.call(["FUNCTION", "LOAD", "REPLACE", _FUNCTION])

    def __str__(self):
        return (f"db{self.db} resp{3 if self.resp3 else 2} script {self.kind} "
                f"{'pcall ' if 'pcall(unpack(ARGV))' in self.text else ''}"
                + "; ".join(core.words_text(args) for args in self.commands))


class Pipeline(Op):
    """Commands of one client sent in one go: their order must stay, whoever waits for flash."""

    def __init__(self, g):
        self.db, self.resp3 = g.db(), g.chance(0.5)
        self.commands = [g.command() for _ in range(g.number(2, 12))]

    def run(self, side):
        connection = side.connection(self.db, self.resp3)
        connection.send(*(side.words(args) for args, _ in self.commands))
        replies = [connection.read() for _ in self.commands]
        return Reply(b"*", replies, b"".join(reply.raw for reply in replies))

    def compare(self, flash, native):
        return core.same_items([compare for _, compare in self.commands])(flash, native)

    def __str__(self):
        return (f"db{self.db} resp{3 if self.resp3 else 2} pipeline "
                + "; ".join(core.words_text(args) for args, _ in self.commands))


class TwoClients(Op):
    """Two clients at once on different keys: neither may disturb the other's reply."""

    def __init__(self, g):
        self.db = g.db()
        names = g.sample(g.keys_all, 12)
        self.scripts = [[self._command(g, names[half::2]) for _ in range(g.number(1, 6))]
                        for half in (0, 1)]

    @staticmethod
    def _command(g, names):
        key = g.pick(names)
        return g.pick([["@GET", key], ["@GET", key], ["@SET", key, g.value()],
                       ["@MGET", *names], ["@SET", key, g.value(), "GET"], ["@DEL", key]])

    def run(self, side):
        clients = [side.connection(self.db, False, slot) for slot in (2, 3)]
        for client, script in zip(clients, self.scripts):
            client.send(*(side.words(args) for args in script))
        replies = [client.read() for client, script in zip(clients, self.scripts)
                   for _ in script]
        return Reply(b"*", replies, b"".join(reply.raw for reply in replies))

    def __str__(self):
        return f"db{self.db} at once: " + " | ".join(
            "; ".join(core.words_text(args) for args in script) for script in self.scripts)


TABLE = [
    Action("transaction", 25, Transaction),
    Action("script", 25, Script),
    Action("pipeline", 25, Pipeline),
    Action("two-clients", 15, TwoClients),
]

# For families in which a key is no string.
COLLECTIONS = [action for action in TABLE if action.name != "two-clients"]
