"""Clients that wait for keys: who is served by what, and in which order.

Some clients block one after the other, then one client acts; at the end those who still wait are
unblocked by hand. All replies are compared, and all that is left in the keys.

Not here: a store over a key of another type, which natively wakes nobody, and here those who wait
for a sorted set.
"""

import select
import time

from differential import core
from differential.core import Op
from differential.generator import Action

_KEYS = [b"wait:a", b"wait:b", b"wait:c"]
_SLOT = 10  # Of the first waiter's connection; others are the generator's.
_PATIENCE_SEC = 30


def wait_command(g):
    end = g.pick(["LEFT", "RIGHT"])
    other = g.pick(["LEFT", "RIGHT"])
    keys = g.sample(_KEYS, g.number(1, 3))
    if g.chance(0.1):
        keys.append(keys[0])
    return g.pick([
        ["@BLPOP", *keys, "0"], ["@BLPOP", *keys, "0"], ["@BRPOP", *keys, "0"],
        ["@BLMOVE", g.pick(_KEYS), g.pick(_KEYS), end, other, "0"],
        ["@BZPOPMIN", *keys, "0"], ["@BZPOPMAX", *keys, "0"],
    ])


def acting_command(g):
    key = g.pick(_KEYS)
    some = [b"%d" % g.number(0, 99) for _ in range(g.number(1, 4))]
    return g.pick([
        ["@RPUSH", key, *some], ["@RPUSH", key, *some], ["@LPUSH", key, *some],
        ["@LPUSH", key, b"x" * 3000, *some],
        ["@LMOVE", key, g.pick(_KEYS), "LEFT", "RIGHT"], ["@LPOP", key], ["DEL", key],
        ["@ZADD", key, "1", "a", "2", "b"], ["@ZADD", key, "3", "c"], ["@ZINCRBY", key, "1", "a"],
        ["@ZPOPMIN", key],
        ["SET", key, "native"], ["RENAME", b"wait:from", key], ["COPY", b"wait:from", key],
    ])


class Waiters(Op):
    def __init__(self, g):
        self.before = [acting_command(g) for _ in range(g.number(0, 2))]
        self.waiting = [(wait_command(g), g.chance(0.5)) for _ in range(g.number(1, 6))]
        self.acting = [[acting_command(g) for _ in range(g.number(1, 3))]
                       for _ in range(g.number(1, 3))]
        self.together = [g.chance(0.3) for _ in self.acting]  # In MULTI.
        self.demote = [g.chance(0.3) for _ in self.acting]
        self.unblock = [g.pick(["TIMEOUT", "ERROR"]) for _ in self.waiting]

    def run(self, side):
        def call(*args):
            replies.append(side.call(args))
        replies = []
        side.call(["DEL", *_KEYS, b"wait:from"])
        side.call(["@RPUSH", b"wait:from", "1", "2"])
        if not side.native:
            side.call(["FLASH.DEBUG.DEMOTE", b"wait:from"])
        for command in self.before:
            call(*command)
        waiters = []
        for number, (command, resp3) in enumerate(self.waiting):
            connection = side.connection(0, resp3, _SLOT + number)
            client_id = connection.must("CLIENT", "ID")
            connection.send(side.words(command))
            self._until_it_waits(side, connection, client_id)
            waiters.append((connection, client_id))
        for commands, together, demote in zip(self.acting, self.together, self.demote):
            if demote and not side.native:
                for key in _KEYS:
                    side.call(["FLASH.DEBUG.DEMOTE", key])
            if together:
                call("MULTI")
            for command in commands:
                call(*command)
            if together:
                call("EXEC")
        for (connection, client_id), how in zip(waiters, self.unblock):
            call("CLIENT", "UNBLOCK", client_id, how)
            replies.append(connection.read())
        for key in _KEYS:
            replies.append(core.bulk_list([side.call(["EXISTS", key]).raw,
                                           side.call(["@LRANGE", key, 0, -1]).raw,
                                           side.call(["@ZRANGE", key, 0, -1]).raw]))
        side.call(["DEL", *_KEYS, b"wait:from"])
        return replies

    @staticmethod
    def _until_it_waits(side, connection, client_id):
        """It has its reply, or the server lists it as blocked."""
        deadline = time.monotonic() + _PATIENCE_SEC
        while not select.select([connection], [], [], 0)[0]:
            line = side.call(["CLIENT", "LIST", "ID", client_id]).value
            if b" flags=b" in line and b" cmd=client" not in line:
                # Blocked for a key, or for flash, in which case it will be served.
                if side.native or b"flash_parked_clients:0" in \
                        side.call(["INFO", "flash"]).value:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError("a client neither waits nor has a reply")

    def compare(self, flash, native):
        for number, (a, b) in enumerate(zip(flash, native)):
            # A client that was served before it could be unblocked says so with 0.
            found = core.same(a, b)
            if found:
                return f"reply {number}: {found}: {a.raw[:200]!r}, native {b.raw[:200]!r}"
        return None

    def __str__(self):
        def text(commands):
            return "; ".join(core.words_text(command) for command in commands)
        acting = " then ".join(
            f"{'[cold] ' if demote else ''}{'MULTI ' if together else ''}{text(commands)}"
            for commands, together, demote in zip(self.acting, self.together, self.demote))
        return (f"{text(self.before)}; waiting: {text(command for command, _ in self.waiting)}; "
                f"{acting}; UNBLOCK {' '.join(self.unblock)}")


TABLE = [Action("waiters", 20, Waiters)]
