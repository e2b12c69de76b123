"""Clients that wait for keys while others push, demote, rename, unblock, kill and pause.

Lists `q:*` and sorted sets `z:*` are pushed to; BLMOVE carries elements on to lists `relay:*`, from
which they are popped as well. Every waiter waits for several keys, and every key has waiters, so
that at the end all must become empty by themselves: a key that does not has lost a wake-up.
Thread: one asyncio loop. Judgement: ledger.py.
"""

import asyncio
import itertools
import random

from harness.resp import Error
from races.client import Client
from waits.ledger import Ledger, Wrong, element

QUEUES = [b"q:%d" % n for n in range(6)]
RELAYS = [b"relay:%d" % n for n in range(3)]
SETS = [b"z:%d" % n for n in range(4)]
PUSHERS = 12
KINDS, MOVER = 6, 2  # Kinds of waiters; the one that moves elements on.
PATIENCE_SEC = 60
BACKLOG = 3000  # Elements not yet popped above which pushers wait.


class Storm:
    """One run.

    native  native commands instead of FLASH ones (to test the test).
    """

    def __init__(self, port, seed=1, clients=200, native=False):
        self.port, self.native, self.clients = port, native, clients
        self.random = random.Random(seed)
        self.ledger = Ledger()
        self.counts = {}
        self.stopping = False
        self.ids = {}  # Client id of each waiter that may be unblocked or killed.
        self._names = itertools.count()

    def word(self, command):
        return command if self.native else "FLASH." + command

    def count(self, what, by=1):
        self.counts[what] = self.counts.get(what, 0) + by

    def make(self, count):
        size = self.random.choice([10, 200, 700, 3000, 3000])
        made = [element(b"e%d" % next(self._names), size) for _ in range(count)]
        self.ledger.push(made)
        return made

    # Running ----------------------------------------------------------------------------------

    async def run(self, seconds):
        """Storms for `seconds`, then waits until every key is empty; raises Wrong."""
        waiters = [asyncio.create_task(self._waiter(n)) for n in range(self.clients)]
        actors = [asyncio.create_task(self._loop(self._pusher)) for _ in range(PUSHERS)]
        actors += [asyncio.create_task(self._loop(part))
                   for part in (self._demoter, self._troubler, self._carrier)]
        await asyncio.wait(waiters + actors, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        self.stopping = True
        await asyncio.gather(*actors)
        try:
            await self._until_empty([task for task in waiters if task.done()])
        finally:
            for task in waiters:
                task.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)
        return self.ledger.close()

    async def _until_empty(self, ended):
        for task in ended:
            task.result()  # A waiter ends by what it found wrong.
        client = await Client.connect(self.port)
        try:
            for _ in range(PATIENCE_SEC * 50):
                if await client.call("DBSIZE") == 0:
                    await asyncio.sleep(0.2)  # For replies on their way.
                    return
                await asyncio.sleep(0.02)
            raise Wrong(f"keys that nobody is woken for: {await client.call('KEYS', '*')}, "
                        f"{await client.call('INFO', 'clients')}")
        finally:
            client.close()

    async def _loop(self, part):
        client = await Client.connect(self.port)
        try:
            while not self.stopping:
                await part(client)
        finally:
            client.close()

    # Waiting ----------------------------------------------------------------------------------

    async def _waiter(self, number):
        while True:
            client = await Client.connect(self.port, resp3=number % 2 == 1)
            try:
                self.ids[number] = await client.call("CLIENT", "ID")
                while await self._wait(client, number):
                    pass
            except ConnectionError:
                self.count("killed")
            finally:
                client.close()

    def _command(self, number):
        """What this waiter waits for next."""
        limit = self.random.choice(["0", "0", "0.02", "0.3", "5"])
        # A few wait for all: else, at the end, all might happen to wait for other keys.
        all_keys = number < 2 * KINDS

        def mine(keys, count):
            return self.random.sample(keys, len(keys) if all_keys else count)

        kind = number % KINDS
        if kind < 2:
            words = ["BLPOP", "BRPOP"][kind], *mine(QUEUES + RELAYS, 5), limit
        elif kind == MOVER:
            words = ("BLMOVE", self.random.choice(QUEUES), self.random.choice(RELAYS),
                     *self.random.choices(["LEFT", "RIGHT"], k=2), limit)
        elif kind == 3:
            words = "BLPOP", *mine(RELAYS, 3), b"nobody", limit
        else:
            words = ["BZPOPMIN", "BZPOPMAX"][kind - 4], *mine(SETS, 3), limit
        return self.word(words[0]), *words[1:]

    async def _wait(self, client, number):
        """One command; False if the client has left."""
        command = self._command(number)
        pops = "MOVE" not in command[0]
        # What BLMOVE took for a client that left is still to be found; so they leave more.
        leaves = self.random.random() < (0.005 if pops else 0.05)
        wait = asyncio.ensure_future(client.call(*command))
        try:
            if leaves:
                await asyncio.wait([wait], timeout=self.random.uniform(0, 0.05))
                client.leave()
                self.count("left")
            reply = await wait
        except ConnectionError:
            self.ledger.left_while_popping += pops
            raise
        finally:
            wait.cancel()
        if isinstance(reply, Error):
            if not reply.startswith(b"UNBLOCKED"):
                raise Wrong(f"{command}: {reply!r}")
            self.count("unblocked")
        elif reply is None:
            self.count("timed out")
        elif pops:
            if reply[0] not in command:
                raise Wrong(f"{command} served from {reply[0]!r}")
            self.ledger.pop(reply[1], f"{command[0]} of {reply[0].decode()} by {number}")
            self.count(command[0].lower())
        else:
            self.count(command[0].lower())
        return not leaves

    # Pushing ----------------------------------------------------------------------------------

    def _push(self):
        """One command that pushes, its elements, and how many elements its key then gained."""
        made = self.make(self.random.choice([1, 1, 2, 5, 40]))
        if self.random.random() < 0.35:
            pairs = [word for one in made for word in (self.random.randint(-50, 50), one)]
            return (self.word("ZADD"), self.random.choice(SETS), *pairs), made
        end = self.random.choice(["LPUSH", "RPUSH"])
        return (self.word(end), self.random.choice(QUEUES + RELAYS[:1]), *made), made

    async def _pusher(self, client):
        while len(self.ledger.pushed) - len(self.ledger.popped) > BACKLOG and not self.stopping:
            await asyncio.sleep(0.01)
        draw = self.random.random()
        pushes = [self._push() for _ in range(1 if draw < 0.6 else self.random.randint(1, 4))]
        commands = [command for command, _ in pushes]
        if draw < 0.6:
            replies = [await self._insist(client, command) for command in commands]
        elif draw < 0.85:
            replies = (await client.calls(("MULTI",), *commands, ("EXEC",)))[-1]
        else:
            words = [word for command in commands for word in (len(command), *command)]
            replies = await client.call("EVAL", _SCRIPT, 0, *words)
        if isinstance(replies, Error) or any(isinstance(reply, Error) for reply in replies):
            raise Wrong(f"push: {replies!r}")
        self.count("pushes", len(pushes))
        if self.random.random() < 0.3:
            await asyncio.sleep(self.random.uniform(0, 0.02))

    async def _carrier(self, client):
        """A cold list that comes by RENAMENX, or inside a transaction."""
        made = self.make(self.random.choice([1, 3, 30]))
        staging = b"staging:%d" % next(self._names)
        await self._insist(client, (self.word("RPUSH"), staging, *made))
        if not self.native:
            await client.call("FLASH.DEBUG.DEMOTE", staging)
        target = self.random.choice(QUEUES)
        while True:
            reply = await client.call("RENAMENX", staging, target)
            if reply == 1:
                break
            if reply != 0:
                raise Wrong(f"RENAMENX: {reply!r}")
            target = self.random.choice(QUEUES + RELAYS)
            if self.stopping or self.random.random() < 0.2:
                for _ in made:
                    await self._insist(
                        client, (self.word("LMOVE"), staging, target, "LEFT", "RIGHT"))
                break
            await asyncio.sleep(0.002)
        self.count("carried", len(made))

    async def _insist(self, client, command):
        """Sends it again when a pause of writes has turned it away while it waited for flash."""
        while isinstance(reply := await client.call(*command), Error):
            if not reply.startswith(b"TRYAGAIN"):
                raise Wrong(f"{command[0]}: {reply!r}")
            self.count("turned away")
        return reply

    # Trouble ----------------------------------------------------------------------------------

    async def _demoter(self, client):
        if self.native:
            await asyncio.sleep(0.01)
            return
        reply = await client.call("FLASH.DEBUG.DEMOTE",
                                  self.random.choice(QUEUES + RELAYS + SETS))
        if reply not in (b"OK", b"ALREADY_COLD", b"ERR key does not exist"):
            raise Wrong(f"demotion: {reply!r}")
        self.count("demoted", reply == b"OK")

    async def _troubler(self, client):
        """Unblocks, kills and pauses; never both: servers die of unblocking a postponed one."""
        await asyncio.sleep(self.random.uniform(0, 0.05))
        if not self.ids:
            return  # Nobody waits yet.
        number = self.random.choice(list(self.ids))
        draw = self.random.random() if "pauses" in self.counts else 1
        if draw < (0.5 if number % KINDS == MOVER else 0.02):
            await client.call("CLIENT", "KILL", "ID", self.ids[number])
        elif draw < 0.8:
            # Not ERROR: the server answers twice to one that was served in this very turn.
            how = ["TIMEOUT", "ERROR"] if self.native else ["TIMEOUT"]
            await client.call("CLIENT", "UNBLOCK", self.ids[number], self.random.choice(how))
        else:
            # A pause of all postpones its own end as well: it ends by its time.
            kind, limit_ms = self.random.choice([("WRITE", 10_000), ("ALL", 50)])
            await client.call("CLIENT", "PAUSE", limit_ms, kind)
            await asyncio.sleep(self.random.uniform(0, 0.06))
            await client.call("CLIENT", "UNPAUSE")
            self.count("pauses")


_SCRIPT = """
local replies, at = {}, 1
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  replies[#replies + 1] = redis.call(unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
return replies
"""
