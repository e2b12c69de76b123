"""Writers that remember what was acknowledged, each over keys of its own, and what may be found.

The oracle is the client: per key the state after the last acknowledged unit, and after the unit in
flight. Units are pipelines' single commands, transactions or scripts; a unit has happened whole or
not at all. Knows nothing of how the server dies. A model of a key is a tuple (kind, content).
"""

import asyncio
import random

from harness.resp import Error, encode
from races.client import Client

ABSENT = ("absent", None)
VALUE_SIZES = (1, 30, 70, 200, 1000, 5000)


class Link(Client):
    """Requests and replies apart, so that what came before the end counts."""

    def send(self, *commands):
        self._writer.write(b"".join(encode(command) for command in commands))

    async def receive(self):
        return await self._read()


class Refused(Exception):
    """An error reply where none is due."""


def has_error(reply):
    return isinstance(reply, Error) or (isinstance(reply, list) and any(map(has_error, reply)))


class Unit:
    """Commands that are one, the keys they touch, and the states they leave."""

    def __init__(self, commands, after, whole):
        self.commands = commands  # As sent, MULTI and EXEC included.
        self.after = after        # key -> model
        self.whole = whole        # Several keys: all or none.


class Writer:
    """Keys `prefix`:0 … and their models; `states` of acknowledged units, `flying` of others."""

    def __init__(self, prefix, seed, keys, native_commands=True):
        self.random = random.Random(seed)
        self.keys = [f"{prefix}:{i}" for i in range(keys)]
        self.sure = {key: ABSENT for key in self.keys}
        self.flying = []
        self.units = 0
        self.native_commands = native_commands

    # What to do -------------------------------------------------------------------------------

    def planned(self, key):
        """The state of a key when all units in flight are done."""
        for unit in reversed(self.flying):
            if key in unit.after:
                return unit.after[key]
        return self.sure[key]

    def next_unit(self):
        choice = self.random.random()
        if choice < 0.1:
            return self.transaction()
        if choice < 0.2:
            return self.script()
        key = self.random.choice(self.keys)
        if choice < 0.35 and self.native_commands:
            return self.native(key)
        command, after = self.change(key, self.planned(key))
        return Unit([command], {key: after}, False)

    def value(self):
        self.units += 1
        return (f"{self.units}-" * self.random.choice(VALUE_SIZES))[:5000]

    def change(self, key, state):
        """One command of ours on a key in `state`, and what it leaves."""
        kind, content = state
        value = self.value()
        if kind == "absent":
            kind = self.random.choice(("string", "hash", "list", "zset"))
            content = "" if kind == "string" else [] if kind == "list" else {}
        elif self.random.random() < 0.1:
            return ("FLASH.DEL", key), ABSENT
        if kind == "string":
            return ("FLASH.SET", key, value), (kind, value)
        if kind == "list":
            if len(content) > 30:
                return ("FLASH.LPOP", key, 20), (kind, content[20:])
            if self.random.random() < 0.3:
                return ("FLASH.LPUSH", key, value), (kind, [value] + content)
            return ("FLASH.RPUSH", key, value, "x"), (kind, content + [value, "x"])
        field = f"f{self.random.randrange(20)}"
        if kind == "hash":
            return ("FLASH.HSET", key, field, value), (kind, {**content, field: value})
        step = self.random.randrange(1, 9)
        return (("FLASH.ZINCRBY", key, step, field),
                (kind, {**content, field: content.get(field, 0) + step}))

    def native(self, key):
        """A command of the server's own on keys of ours."""
        state = self.planned(key)
        other = self.random.choice(self.keys)
        if state == ABSENT or other == key:
            return Unit([("DEL", key)], {key: ABSENT}, False)
        choice = self.random.randrange(5)
        if choice == 0:
            return Unit([("RENAME", key, other)], {key: ABSENT, other: state}, True)
        if choice == 1:
            return Unit([("COPY", key, other, "REPLACE")], {other: state}, False)
        if choice == 2:
            return Unit([("UNLINK", key)], {key: ABSENT}, False)
        if choice == 3:
            return Unit([("PEXPIRE", key, 10**9)], {key: state}, False)
        return Unit([("PERSIST", key)], {key: state}, False)

    def transaction(self):
        keys = self.random.sample(self.keys, 3)
        commands, after = [("MULTI",)], {}
        for key in keys:
            command, after[key] = self.change(key, self.planned(key))
            commands.append(command)
        return Unit([*commands, ("EXEC",)], after, True)

    def script(self):
        keys = self.random.sample(self.keys, 2)
        text, arguments, after = "", [], {}
        for key in keys:
            command, after[key] = self.change(key, self.planned(key))
            first = len(arguments) + 1
            arguments += map(str, command)
            text += f"server.call(unpack(ARGV, {first}, {len(arguments)})) "
        return Unit([("EVAL", text, len(keys), *keys, *arguments)], after, True)

    # Doing it ---------------------------------------------------------------------------------

    async def run(self, port, depth):
        """Writes until the connection ends; `depth` units are in flight at a time."""
        link = await Link.connect(port)
        try:
            while True:
                for _ in range(depth):
                    unit = self.next_unit()
                    self.flying.append(unit)
                    link.send(*unit.commands)
                for _ in range(depth):
                    unit = self.flying[0]
                    replies = [await link.receive() for _ in unit.commands]
                    self.acknowledge(unit, replies)
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            link.close()

    def acknowledge(self, unit, replies):
        if any(map(has_error, replies)):
            raise Refused(f"{shorten(unit.commands)}: {replies}")
        self.flying.pop(0)
        self.sure.update(unit.after)

    # Afterwards -------------------------------------------------------------------------------

    def judge(self, found):
        """Complaints about `found` (key -> model), and takes it as the new truth.

        The units in flight have happened up to some point, in their order.
        """
        states = [dict(self.sure)]
        for unit in self.flying:
            states.append({**states[-1], **unit.after})
        self.flying = []
        if found in states:
            self.sure = dict(found)
            return []
        complaints = []
        for key in self.keys:
            if all(state[key] != found[key] for state in states):
                complaints.append(f"{key}: found {shorten(found[key])}, "
                                  f"acknowledged {shorten(states[0][key])}, "
                                  f"{len(states) - 1} units in flight")
        self.sure = dict(found)
        return complaints or [f"{self.keys[0][:-2]}: a unit is torn: each key for itself could be"]


def shorten(model):
    text = repr(model)
    return text if len(text) < 120 else f"{text[:80]}… ({len(text)})"
