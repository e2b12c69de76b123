"""Clients that race: each reads anything, writes its own keys and some that all share.

Only commands whose effect on every key is known are sent, so that each reply can be judged:
shared keys are SET, MSET and deleted by anybody; keys of one owner are also renamed, copied,
restored and expired by it; databases 1 and 2 belong to one client, which swaps and flushes them.
Thread: one asyncio loop. Judgement: history.py.
"""

import asyncio
import random

from harness import values
from harness.resp import Error
from races.client import Client
from harness.history import Histories, now

SHARED_KEYS = 64
OWN_KEYS = 6
SWAP_KEYS = 32
CHURNERS = 4
CHURN_KEYS = 4
EXPIRY_MS = 15
EXPIRY_MARGIN_SEC = 0.1


class Wrong(AssertionError):
    """A reply that no order of the operations explains."""


class Gate:
    """Lets writers through together, and one FLUSHALL alone."""

    def __init__(self):
        self._writers = 0
        self._closed = False
        self._changed = asyncio.Condition()

    async def enter(self):
        async with self._changed:
            await self._changed.wait_for(lambda: not self._closed)
            self._writers += 1

    async def leave(self):
        async with self._changed:
            self._writers -= 1
            self._changed.notify_all()

    async def close(self):
        async with self._changed:
            await self._changed.wait_for(lambda: not self._closed)
            self._closed = True
            await self._changed.wait_for(lambda: not self._writers)

    async def open(self):
        async with self._changed:
            self._closed = False
            self._changed.notify_all()


class Race:
    """One run: histories, counters and the clients' common knowledge.

    native  native commands instead of FLASH ones (to test the test).
    """

    def __init__(self, port, seed=1, clients=64, native=False, client_type=Client):
        self.port, self.native, self.clients = port, native, clients
        self.client_type = client_type
        self.random = random.Random(seed)
        self.histories = Histories()
        self.births = {}  # Version -> the name it was made for.
        self.gate = Gate()
        self.counts = {}
        self.stopping = False
        self.shared = [(0, b"shared:%d" % n) for n in range(SHARED_KEYS)]
        self.swapped = [(db, b"swap:%d" % n) for db in (1, 2) for n in range(SWAP_KEYS)]
        self.owned = {c: [(0, b"own:%d:%d" % (c, n)) for n in range(OWN_KEYS)]
                      for c in range(clients)}
        self.churned = {c: [(0, b"churn:%d:%d" % (c, n)) for n in range(CHURN_KEYS)]
                        for c in range(CHURNERS)}
        self.everywhere = self.shared + self.swapped + [
            where for some in (self.owned, self.churned) for own in some.values()
            for where in own]

    def word(self, command):
        return command if self.native else "FLASH." + command

    def count(self, what, by=1):
        self.counts[what] = self.counts.get(what, 0) + by

    def value(self, name):
        """A new value: (version, bytes)."""
        version = now()
        self.births[version] = name
        draw = self.random.random()
        size = (self.random.randint(100, 1000) if draw < 0.5 else
                self.random.randint(1000, 30_000) if draw < 0.995 else
                self.random.randint(1_000_000, 1_500_000))
        return version, values.make(name, version, size)

    def judge(self, where, data, frontier, until=float("inf"), what="read"):
        """Raises Wrong unless a read may have returned `data`."""
        if isinstance(data, Error):
            raise Wrong(f"{what} of {where}: {data!r}")
        content = None
        if data is not None:
            try:
                identity = values.parse(data)
            except values.Damaged as damaged:
                raise Wrong(f"{what} of {where}: {damaged}") from None
            content = identity.version
            if self.births.get(content) != identity.name:
                raise Wrong(f"{what} of {where}: {identity} was never made")
        complaint = self.histories[where].complaint(content, frontier, until)
        if complaint:
            raise Wrong(f"{what} of {where}: {complaint} (frontier {frontier})")
        self.count("reads")

    # Writing ----------------------------------------------------------------------------------

    async def write(self, client, command, changes, happened=None, db=0):
        """Sends `command`, which leaves `changes` (where -> content); returns its reply.

        happened(reply) tells whether it took effect; an error reply never does.
        """
        events = [(self.histories[where], self.histories[where].begin(content))
                  for where, content in changes.items()]
        if db:
            reply = (await client.calls(("SELECT", db), command, ("SELECT", 0)))[1]
        else:
            reply = await client.call(*command)
        took = not isinstance(reply, Error) and (happened is None or happened(reply))
        for key, event in events:
            key.end(event, took)
            if took:
                key.certain = event.content
        self.count(command[0].lower() if isinstance(command[0], str) else "command")
        return reply

    def must(self, reply, *wanted):
        if reply not in wanted:
            raise Wrong(f"{reply!r} instead of {wanted}")

    # Clients ----------------------------------------------------------------------------------

    async def run(self, seconds, extras=()):
        """Runs everything for `seconds`; the first Wrong, or any other failure, ends it."""
        tasks = [asyncio.create_task(self._loop(self._member, number))
                 for number in range(self.clients)]
        tasks += [asyncio.create_task(self._loop(self._churner, number))
                  for number in range(CHURNERS)]
        tasks += [asyncio.create_task(self._loop(part))
                  for part in (self._swapper, self._flusher, self._demoter, *extras)]
        _, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        self.stopping = True
        await asyncio.gather(*tasks)

    async def _loop(self, part, *args):
        client = await self.client_type.connect(self.port)
        try:
            while not self.stopping:
                await part(client, *args)
        except BaseException:
            self.stopping = True
            raise
        finally:
            client.close()

    async def _member(self, client, number):
        draw = self.random.random()
        if draw < 0.6:
            await self._read(client)
            return
        await self.gate.enter()
        try:
            late = await (self._write_shared(client) if draw < 0.75
                          else self._write_own(client, number))
        finally:
            await self.gate.leave()
        if late:  # A key that is about to expire: its owner leaves it alone until then.
            where, event = late
            await asyncio.sleep(EXPIRY_MS / 1000 + EXPIRY_MARGIN_SEC)
            self.histories[where].end(event)
            self.histories[where].certain = None

    async def _read(self, client):
        """One key, several at once, or inside a transaction or a script (where none may wait)."""
        how = self.random.random()
        places = [self.random.choice(self.everywhere)]
        if how > 0.8:
            places = self.random.sample([w for w in self.everywhere if w[0] == places[0][0]], 5)
        frontiers = [self.histories[where].frontier for where in places]
        db, names = places[0][0], [name for _, name in places]
        if how > 0.8:
            command = [(self.word("MGET"), *names)]
        elif how > 0.76:
            command = [("EVAL", "return redis.call(ARGV[1], KEYS[1])", 1, names[0],
                        self.word("GET"))]
        elif how > 0.72:
            command = [("MULTI",), (self.word("GET"), names[0]), ("EXEC",)]
        else:
            command = [(self.word("GET"), names[0])]
        select = [("SELECT", db)] if db else []
        replies = await client.calls(*select, *command, *([("SELECT", 0)] if db else []))
        reply = replies[len(select) + len(command) - 1]
        if isinstance(reply, Error):
            raise Wrong(f"read of {places}: {reply!r}")
        for where, data, frontier in zip(places, reply if isinstance(reply, list) else [reply],
                                         frontiers):
            self.judge(where, data, frontier)

    async def _write_shared(self, client):
        places = self.random.sample(self.shared, self.random.choice([1, 1, 1, 3]))
        names = [name for _, name in places]
        draw = self.random.random()
        if draw < 0.2:
            command = self.random.choice(["DEL", "UNLINK", self.word("DEL")])
            await self.write(client, (command, *names), dict.fromkeys(places))
        elif draw < 0.25:
            await self.write(client, ("PEXPIRE", names[0], -1), {places[0]: None})
        elif draw < 0.45:
            made = [self.value(name) for name in names]
            words = [word for name, (_, data) in zip(names, made) for word in (name, data)]
            self.must(await self.write(client, (self.word("MSET"), *words), {
                where: version for where, (version, _) in zip(places, made)}), b"OK")
        elif draw < 0.6:
            where, (version, data) = places[0], self.value(names[0])
            frontier = self.histories[where].frontier
            old = await self.write(client, (self.word("SET"), names[0], data, "GET"),
                                   {where: version})
            self.judge(where, old, frontier, what="SET GET")
        else:
            version, data = self.value(names[0])
            self.must(await self.write(client, (self.word("SET"), names[0], data),
                                       {places[0]: version}), b"OK")

    async def _write_own(self, client, number):
        source, target = self.random.sample(self.owned[number], 2)
        content = self.histories[source].certain
        draw = self.random.random()
        if content is None or draw < 0.4:
            version, data = self.value(source[1])
            self.must(await self.write(client, (self.word("SET"), source[1], data),
                                       {source: version}), b"OK")
        elif draw < 0.5:
            await self.write(client, ("DEL", source[1]), {source: None})
        elif draw < 0.65:
            self.must(await self.write(client, ("RENAME", source[1], target[1]),
                                       {source: None, target: content}), b"OK")
        elif draw < 0.8:
            self.must(await self.write(client, ("COPY", source[1], target[1], "REPLACE"),
                                       {target: content}), 1)
        elif draw < 0.88:
            payload = await client.call("DUMP", source[1])
            self.must(await self.write(client, ("RESTORE", target[1], 0, payload, "REPLACE"),
                                       {target: content}), b"OK")
        elif draw < 0.93:
            await self._transaction(client, source, target)
        else:
            event = self.histories[source].begin(None)
            self.must(await client.call("PEXPIRE", source[1], EXPIRY_MS), 1)
            self.count("pexpire")
            return source, event
        return None

    async def _transaction(self, client, source, target):
        """SET and COPY as one: nobody may see a state between, and the copy is the new value."""
        version, data = self.value(source[1])
        events = [(self.histories[where], self.histories[where].begin(version))
                  for where in (source, target)]
        replies = await client.calls(
            ("MULTI",), (self.word("SET"), source[1], data),
            ("COPY", source[1], target[1], "REPLACE"), ("EXEC",))
        self.must(replies[3], [b"OK", 1])
        for key, event in events:
            key.end(event)
            key.certain = version
        self.count("exec")

    async def _swapper(self, client):
        """The only writer of databases 1 and 2."""
        await self.gate.enter()
        try:
            where = self.random.choice(self.swapped)
            twin = (3 - where[0], where[1])
            content = self.histories[where].certain
            draw = self.random.random()
            if draw < 0.1:
                changes = {(db, name): self.histories[(3 - db, name)].certain
                           for db, name in self.swapped}
                self.must(await self.write(client, ("SWAPDB", 1, 2), changes), b"OK")
            elif draw < 0.11:
                self.must(await self.write(client, ("FLUSHDB", "ASYNC"), {
                    place: None for place in self.swapped if place[0] == where[0]},
                    db=where[0]), b"OK")
            elif content is None or draw < 0.6:
                version, data = self.value(where[1])
                self.must(await self.write(client, (self.word("SET"), where[1], data),
                                           {where: version}, db=where[0]), b"OK")
            elif draw < 0.8:
                command = ("COPY", where[1], where[1], "DB", twin[0], "REPLACE")
                self.must(await self.write(client, command, {twin: content}, db=where[0]), 1)
            else:
                self.must(await self.write(client, ("MOVE", where[1], twin[0]),
                                           {where: None, twin: content}, lambda r: r == 1,
                                           db=where[0]), 0, 1)
        finally:
            await self.gate.leave()

    async def _churner(self, client, number):
        """Overwrites and deletes keys while they are on their way to flash, then reads them."""
        if not hasattr(client, "second"):
            client.second = await self.client_type.connect(self.port)
        places = self.churned[number]
        await self.gate.enter()
        try:
            names = [name for _, name in places]
            demotion = [] if self.native else [("FLASH.DEBUG.DEMOTE", name) for name in names]
            sent = asyncio.create_task(client.second.calls(*demotion))
            await asyncio.sleep(0)
            for where in self.random.sample(places, 3):
                if self.random.random() < 0.3:
                    await self.write(client, ("DEL", where[1]), {where: None})
                version, data = self.value(where[1])
                self.must(await self.write(client, (self.word("SET"), where[1], data),
                                           {where: version}), b"OK")
            for reply in await sent:
                self.must(reply, b"OK", b"ALREADY_COLD", b"ERR key does not exist")
            frontiers = [self.histories[where].frontier for where in places]
            for where, frontier, data in zip(places, frontiers,
                                             await client.call(self.word("MGET"), *names)):
                self.judge(where, data, frontier, what="churned read")
        finally:
            await self.gate.leave()

    async def _flusher(self, client):
        await asyncio.sleep(self.random.uniform(1, 3))
        await self.gate.close()
        try:
            self.must(await self.write(client, ("FLUSHALL", "ASYNC"),
                                       dict.fromkeys(self.everywhere)), b"OK")
        finally:
            await self.gate.open()

    async def _demoter(self, client):
        if self.native:
            await asyncio.sleep(0.01)
            return
        where = self.random.choice(self.everywhere)
        replies = await client.calls(("SELECT", where[0]), ("FLASH.DEBUG.DEMOTE", where[1]),
                                     ("SELECT", 0))
        self.must(replies[1], b"OK", b"ALREADY_COLD", b"ERR key does not exist")
        self.count("demotions asked")
        if self.random.random() < 0.02:
            self.must(await client.call("FLASH.COMPACTION.TRIGGER"), b"OK")
            self.count("compactions asked")
