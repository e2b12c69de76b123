"""Writers that remember what was acknowledged, each over keys of its own, and what may be found.

The oracle is the client: per key the state after the last acknowledged unit, and after the unit in
flight. Units are pipelines' single commands, transactions or scripts; a unit has happened whole or
not at all. Knows nothing of how the server dies. A model of a key is a tuple (kind, content); kinds
that begin with "native" are keys of the server's own types, which a log of ours does not keep.
"""

import asyncio
import collections
import random
import time

from harness.resp import Error, encode
from races.client import Client

ABSENT = ("absent", None)
VALUE_SIZES = (1, 30, 70, 200, 1000, 5000)
SORTED = ("native list", ["1", "2", "3"])
HISTORY = 200_000  # Acknowledged units remembered, where some may be lost.


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
    """Keys `prefix`:0 … and their models; `states` of acknowledged units, `flying` of others.

    leaving   keys are converted to native types, and overwritten by the server's commands, too
    drains    by FLASH.DRAIN as well, of which the server runs one at a time
    evicted   keys may vanish at any time: strings only, written whole
    loses_s   what was acknowledged in the last seconds may be lost
    """

    def __init__(self, prefix, seed, keys, leaving=False, drains=False, evicted=False, loses_s=0):
        self.random = random.Random(seed)
        self.keys = [f"{prefix}:{i}" for i in range(keys)]
        self.source = f"{prefix}:source"
        self.sure = {key: ABSENT for key in self.keys}
        self.flying = []
        self.units = 0
        self.leaving, self.drains, self.evicted = leaving, drains, evicted
        self.loses_s = loses_s
        self.past = collections.deque(maxlen=HISTORY)  # (when, what the unit replaced)

    # What to do -------------------------------------------------------------------------------

    def planned(self, key):
        """The state of a key when all units in flight are done."""
        for unit in reversed(self.flying):
            if key in unit.after:
                return unit.after[key]
        return self.sure[key]

    def next_unit(self):
        if self.evicted:
            key = self.random.choice(self.keys)
            value = self.value()
            return Unit([("FLASH.SET", key, value)], {key: ("string", value)}, False)
        choice = self.random.random()
        ours = [key for key in self.keys if not self.planned(key)[0].startswith("native")]
        key = self.random.choice(self.keys)
        if key not in ours:
            return self.renewal(key)
        if self.leaving and choice < 0.04:
            return self.departure(key)
        if 0.05 < choice < 0.15 and len(ours) >= 3:
            return self.transaction(ours)
        if 0.15 < choice < 0.25 and len(ours) >= 2:
            return self.script(ours)
        if 0.25 < choice < 0.4:
            return self.native(key, ours)
        command, after = self.change(key, self.planned(key))
        return Unit([command], {key: after}, False)

    def departure(self, key):
        """The key becomes a native one, or is overwritten by one."""
        kind, content = self.planned(key)
        choice = self.random.random()
        if choice < 0.3:
            return Unit([("SORT", self.source, "STORE", key)], {key: SORTED}, False)
        if kind == "absent":
            return Unit([("FLASH.CONVERT", key)], {key: ABSENT}, False)
        words = ("FLASH.DRAIN", "MATCH", key, "FORCE")
        command = words if self.drains and choice < 0.6 else ("FLASH.CONVERT", key)
        return Unit([command], {key: ("native " + kind, content)}, False)

    def renewal(self, key):
        value = self.value()
        return Unit([("MULTI",), ("DEL", key), ("FLASH.SET", key, value), ("EXEC",)],
                    {key: ("string", value)}, True)

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

    def native(self, key, ours):
        """A command of the server's own on keys of ours."""
        state = self.planned(key)
        other = self.random.choice(ours)
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

    def transaction(self, ours):
        keys = self.random.sample(ours, 3)
        commands, after = [("MULTI",)], {}
        for key in keys:
            command, after[key] = self.change(key, self.planned(key))
            commands.append(command)
        return Unit([*commands, ("EXEC",)], after, True)

    def script(self, ours):
        keys = self.random.sample(ours, 2)
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
            if self.leaving:  # Of a native type: a crash may have taken it.
                link.send(("DEL", self.source), ("RPUSH", self.source, 3, 1, 2))
                await link.receive(), await link.receive()
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
        if self.loses_s:
            self.past.append((time.monotonic(), {key: self.sure[key] for key in unit.after}))
        self.sure.update(unit.after)

    # Afterwards -------------------------------------------------------------------------------

    def judge(self, found, died_at=0.0):
        """Complaints about `found` (key -> model), and takes it as the new truth.

        The units in flight have happened up to some point, in their order; where some may be lost,
        those acknowledged shortly before, too.
        """
        states = [dict(self.sure)]
        for when, replaced in reversed(self.past):
            if when < died_at - self.loses_s:
                break
            states.insert(0, {**states[0], **replaced})
        certain = len(states) - 1
        for unit in self.flying:
            states.append({**states[-1], **unit.after})
        flying, self.flying = len(self.flying), []
        self.past.clear()
        self.sure = dict(found)
        if any(all(self.fits(found[key], state[key]) for key in self.keys) for state in states):
            return []
        complaints = []
        for key in self.keys:
            if not any(self.fits(found[key], state[key]) for state in states):
                complaints.append(f"{key}: found {shorten(found[key])}, "
                                  f"acknowledged {shorten(states[certain][key])}, "
                                  f"{flying} units in flight")
        return complaints or [f"{self.keys[0][:-2]}: a unit is torn: each key for itself could be"]

    def fits(self, found, expected):
        """What the log does not keep may be missing: native keys of which no snapshot was made."""
        if found == expected:
            return True
        may_be_missing = self.evicted or expected == SORTED
        return found == ABSENT and may_be_missing


def shorten(model):
    text = repr(model)
    return text if len(text) < 120 else f"{text[:80]}… ({len(text)})"
