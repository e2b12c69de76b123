"""Clients over keys of their own; each reply is compared with the one that is due.

Most operations go to a few keys, which stay hot; the rest go to all alike, most of which are cold.
Beside them live keys that nobody reads again: they expire. Thread: one asyncio loop.
"""

import asyncio
import random

from crash.writer import Link
from harness.resp import Error
from soak.model import KINDS, Key, Operation, content, copying, fresh, renaming, size_of, SIZES

DEPTH = 16
HOT_SHARE = 0.7
# (how many, kind, elements about which a collection settles)
SHELF = ((600, "string", 1), (60, "hash", 20), (3, "hash", 2500), (60, "list", 20),
         (3, "list", 2500), (60, "set", 20), (3, "set", 8000))


class Wrong(AssertionError):
    """A reply, or a value after a restart, that is not what was acknowledged."""


def shorten(data):
    text = repr(data)
    return text if len(text) < 160 else f"{text[:120]}… ({len(text)})"


class Worker:
    """Keys with the prefix `name`. `done`: operations acknowledged."""

    def __init__(self, name, seed):
        self.random = random.Random(seed)
        self.name = name
        self.keys = [Key(b"%s:%s:%d:%d" % (name, kind.encode(), scale, i), kind, scale)
                     for count, kind, scale in SHELF for i in range(count)]
        self.random.shuffle(self.keys)
        self.hot = self.keys[:len(self.keys) // 20]
        self.flying = []
        self.done = 0

    # The load ---------------------------------------------------------------------------------

    async def fill(self, port):
        """Brings every key to about its size."""
        link = await Link.connect(port)
        for key in self.keys:
            await self.carry_out(link, [KINDS[key.kind].create(key, self.random)])
            while key.scale > 20 and len(key.value) < key.scale // 2:
                await self.carry_out(link, [KINDS[key.kind].create(key, self.random)])
        link.close()

    async def run(self, port, stop):
        """Until `stop` is set or the server is gone."""
        link = await Link.connect(port)
        try:
            while not stop.is_set():
                await self.carry_out(link, self.batch())
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            link.close()

    def batch(self):
        taken, operations = set(), []
        for _ in range(DEPTH):
            shelf = self.hot if self.random.random() < HOT_SHARE else self.keys
            key = self.random.choice(shelf)
            if key in taken:
                continue
            taken.add(key)
            operations.append(self.pair(key, taken) or key.operation(self.random))
        if self.random.random() < 0.3:
            operations.append(self.passing())
        return operations

    def pair(self, key, taken):
        """Sometimes an operation on two keys of one kind."""
        draw = self.random.random()
        if draw > 0.02 or key.value is None:
            return None
        other = self.random.choice(self.keys)
        if other in taken or (other.kind, other.scale) != (key.kind, key.scale):
            return None
        taken.add(other)
        return copying(key, other) if draw < 0.01 else renaming(key, other)

    def passing(self):
        """A key that expires soon."""
        name = b"%s:passing:%d" % (self.name, fresh())
        piece = (name, fresh(), size_of(self.random, SIZES[:5]))
        return Operation([], ("FLASH.SET", name, content(piece), "PX",
                              self.random.randint(200, 3000)), b"OK")

    async def carry_out(self, link, operations):
        self.flying = list(operations)
        link.send(*(operation.command for operation in operations))
        for operation in operations:
            self.settle(operation, await link.receive())

    def settle(self, operation, reply):
        if isinstance(reply, Error):
            raise Wrong(f"{shorten(operation.command)}: {reply!r}")
        expect(operation, reply)
        operation.apply()
        self.flying.remove(operation)
        self.done += 1

    # Afterwards -------------------------------------------------------------------------------

    async def audit(self, port):
        """Every key, whole; after a crash what was under way has happened or not. Raises Wrong."""
        link = await Link.connect(port)
        flying, self.flying = self.flying, []
        for operation in flying:
            if not await self.holds(link, operation.keys):
                operation.apply()
                if not await self.holds(link, operation.keys):
                    raise Wrong(f"{shorten(operation.command)} was under way: its keys hold "
                                f"neither what they held before nor what is due after it")
        for key in self.keys:
            reading = key.read()
            link.send(reading.command)
            expect(reading, await link.receive())
        link.close()

    async def holds(self, link, keys):
        for key in keys:
            reading = key.read()
            link.send(reading.command)
            if not fits(reading, await link.receive()):
                return False
        return True


def fits(operation, reply):
    due = operation.due
    if isinstance(due, dict) and isinstance(reply, list) and not isinstance(reply, Error):
        return len(reply) == 2 * len(due) and dict(zip(reply[::2], reply[1::2])) == due
    return due == reply


def expect(operation, reply):
    if operation.due is None and operation.command[0] not in ("FLASH.GET", "FLASH.ZSCORE"):
        return  # Any that is no error.
    if not fits(operation, reply):
        raise Wrong(f"{shorten(operation.command)}: {shorten(reply)} instead of "
                    f"{shorten(operation.due)}")
