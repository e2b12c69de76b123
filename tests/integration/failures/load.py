"""Clients that write and read through failovers, and judge every reply.

Each client owns keys (models.py) of which it alone changes any, and reads everybody's: of the
primary, where reads must be right as history.py says, and of replicas, which may be behind but show
no value that was never written. Some writes are followed by WAIT; what that confirms is never lost.
Who is the primary is told by `promote`; links to the one before are then cut, as clients that find
out do. Thread: one asyncio loop.
"""

import asyncio
import random

from failures.models import KINDS, Torn
from harness.history import Histories, lost_out_of_order
from harness.resp import Error
from races.client import Client

# What FLASH.DEBUG.DEMOTE says of a key that is gone, and where there is no tier.
STAYS = (b"ERR key does not exist", b"ERR there is no tier now")
# Nothing was changed, as the server itself says.
REFUSALS = (b"READONLY", b"LOADING", b"MASTERDOWN", b"NOREPLICAS", b"UNBLOCKED", b"TRYAGAIN",
            b"MOVED", b"CLUSTERDOWN", b"FLASHFULL", b"ASK", b"EXECABORT", b"FLASHIO the log waits",
            # A replica that died before its snapshot stood, until its primary has sent its data.
            b"ERR valkey-flash could not recover")
GONE = (ConnectionError, OSError, asyncio.IncompleteReadError)
WAIT_MS = 2000


class Wrong(AssertionError):
    """A reply that neither the writes nor the guarantees of replication explain."""


class Line:
    """What one node takes writes for while it is the primary."""

    def __init__(self, node, histories, number=0):
        self.node, self.histories, self.number = node, histories, number


class Link(Client):
    """A connection to a node, in a line; `unconfirmed` are this link's acknowledged events."""

    @classmethod
    async def to(cls, node, line=None):
        if hasattr(node, "socket_path"):
            streams = await asyncio.open_unix_connection(node.socket_path, limit=1 << 22)
        else:
            streams = await asyncio.open_connection(node.host, node.port, limit=1 << 22)
        link = cls(*streams)
        link.line, link.unconfirmed = line, []
        return link

    def abort(self):
        self._writer.transport.abort()

    def node_name(self):
        return self.line.node.dir.name


class Load:
    """One run. `replicas` and `confirmers` are kept by whoever changes the topology:

    replicas    nodes that may be read from.
    confirmers  WAIT must hear from so many for every node that may be promoted to have a write.
    epoch       changes with the topology: a WAIT over a change confirms nothing.
    """

    def __init__(self, node, seed, clients=6, keys=30, prefix=b"", cold=True):
        self.random = random.Random(seed)
        self.clients, self.cold = clients, cold
        self.line = Line(node, Histories())
        self.replicas, self.confirmers, self.epoch = [], 0, 0
        self.owned = [[KINDS[k % len(KINDS)](b"%sc%d:k%d" % (prefix, c, k),
                                             random.Random(seed * 10_000 + c * 100 + k))
                       for k in range(keys)] for c in range(clients)]
        self.models = [model for models in self.owned for model in models]
        self.counts = dict.fromkeys(("writes", "reads", "replica reads", "confirmed", "refused",
                                     "unanswered", "lines", "lost unconfirmed"), 0)
        self.stopping = False
        self._links = set()
        self._loop = None

    def count(self, what, by=1):
        self.counts[what] = self.counts.get(what, 0) + by

    # Who is the primary -----------------------------------------------------------------------

    def topology(self, replicas, confirmers):
        self._in_loop(self._topology, list(replicas), confirmers)

    def promote(self, node, in_good_order=False):
        """`node` is the primary from now on. in_good_order: nothing acknowledged may be lost."""
        self._in_loop(self._promote, node, in_good_order)

    def _in_loop(self, function, *args):
        async def call():
            function(*args)
        asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    def _topology(self, replicas, confirmers):
        self.replicas, self.confirmers = replicas, confirmers
        self.epoch += 1

    def _promote(self, node, in_good_order):
        for link in list(self._links):
            if link.line is not None:
                link.abort()
        histories = self.line.histories
        if in_good_order:
            for key in histories.values():
                key.confirm_all()
        self.line = Line(node, histories.fork(), self.line.number + 1)
        self.epoch += 1
        self.count("lines")

    async def all_swept(self):
        """Returns once every client has read its keys of the new primary."""
        line = self.line
        while len([link for link in self._links if link.line is line
                   and getattr(link, "swept", False)]) < self.clients:
            if self.stopping:
                return
            await asyncio.sleep(0.02)
        complaint = lost_out_of_order(line.histories)
        if complaint:
            raise Wrong(complaint)
        self.count("lost unconfirmed", sum(len(key.lost()) for key in line.histories.values()))

    # Clients ----------------------------------------------------------------------------------

    async def run(self, director):
        """Clients go on until `director`, a coroutine, has ended; what fails first is raised."""
        self._loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(self._client(models)) for models in self.owned]
        tasks += [asyncio.create_task(self._replica_reader())]
        if self.cold:
            tasks += [asyncio.create_task(self._demoter())]
        ending = asyncio.create_task(director)
        running = {*tasks, ending}
        while ending in running and not any(task.done() for task in tasks):
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        self.stopping = True
        ending.cancel()
        for link in list(self._links):
            link.abort()
        results = await asyncio.gather(*tasks, ending, return_exceptions=True)
        wrong = [result for result in results if isinstance(result, Wrong)] or [
            result for result in results if isinstance(result, BaseException)
            and not isinstance(result, asyncio.CancelledError)]
        if wrong:
            raise wrong[0]

    async def _client(self, models):
        link = None
        while not self.stopping:
            try:
                if link is None or link.line is not self.line:
                    link = await self._join(models)
                elif self.random.random() < 0.5:
                    await self._write(link, self.random.choice(models))
                else:
                    await self._read(link, self.random.choice(self.models))
            except GONE:
                if link is not None:
                    self._links.discard(link)
                    link.close()
                link = None
                await asyncio.sleep(0.05)

    async def _join(self, models):
        """A link to the primary; what it has of this client's keys is what they go on from."""
        link = await Link.to(self.line.node, self.line)
        self._links.add(link)
        try:
            for model in models:
                while not await self._read(link, model, own=True):
                    await asyncio.sleep(0.02)
        except BaseException:
            self._links.discard(link)
            link.abort()
            raise
        link.swept = True
        return link

    async def _read(self, link, model, own=False):
        """False if the server would not say."""
        key = link.line.histories[model.name]
        frontier = key.frontier
        replies = await link.calls(*model.read())
        refused = self._refusal(replies)
        if refused:
            self.count("refused")
            return False
        content = self._version(model, replies, f"read of {link.node_name()}")
        complaint = key.complaint(content, frontier)
        if complaint:
            raise Wrong(f"{model.name} on {link.node_name()} in line {link.line.number}: "
                        f"{complaint}, last {model.last}")
        key.saw(content)
        if own:
            key.certain = content
        self.count("reads")
        return True

    def _version(self, model, replies, where):
        try:
            return model.version(replies)
        except Torn as torn:
            raise Wrong(f"{where}: {torn}") from None

    @staticmethod
    def _refusal(replies):
        """The error among them, if they are refusals; any other error is Wrong."""
        flat = [item for reply in replies
                for item in (reply if isinstance(reply, list) else [reply])]
        errors = [item for item in flat if isinstance(item, Error)]
        for error in errors:
            if not error.startswith(REFUSALS):
                raise Wrong(f"an error: {error!r}")
        return errors[0] if errors else None

    async def _write(self, link, model):
        key = link.line.histories[model.name]
        draw = self.random.random()
        if draw < 0.05:
            commands, version = [("FLASH.DEL", name) for name in model.names], None
        elif key.certain == model.last and draw < 0.9:
            commands, version = model.change()
        else:
            commands, version = model.anew()
        if len(commands) > 1:
            commands = [("MULTI",), *commands, ("EXEC",)]
        event = key.begin(version)
        key.certain = ...  # Until the reply comes.
        try:
            replies = await link.calls(*commands)
        except GONE:
            self.count("unanswered")
            raise
        if self._refusal(replies):
            # One command alone, or a transaction as a whole: nothing happened.
            key.end(event, happened=False)
            self.count("refused")
            await asyncio.sleep(0.02)
            return
        key.end(event)
        key.certain = version
        link.unconfirmed.append((key, event))
        self.count("writes")
        if self.confirmers and self.random.random() < 0.15:
            await self._wait(link)

    async def _wait(self, link):
        epoch, wanted = self.epoch, self.confirmers
        heard = await link.call("WAIT", wanted, WAIT_MS)
        if isinstance(heard, int) and heard >= wanted and epoch == self.epoch:
            for key, event in link.unconfirmed:
                key.confirm(event)
            self.count("confirmed", len(link.unconfirmed))
            link.unconfirmed.clear()

    # Beside them ------------------------------------------------------------------------------

    async def _beside(self, step):
        """Runs `step(link)` again and again on links to nodes that it may lose at any time."""
        links = {}
        while not self.stopping:
            await asyncio.sleep(0.005)
            node = self.random.choice([self.line.node, *self.replicas])
            try:
                if node not in links:
                    links[node] = await Link.to(node)
                    self._links.add(links[node])
                    await links[node].call("READONLY")  # For a replica in a cluster.
                await asyncio.wait_for(step(node, links[node]), 5)
            except (*GONE, asyncio.TimeoutError):
                if node in links:
                    self._links.discard(links[node])
                    links.pop(node).abort()

    async def _replica_reader(self):
        async def step(node, link):
            if node not in self.replicas:
                return
            model = self.random.choice(self.models)
            key = self.line.histories[model.name]
            replies = await link.calls(*model.read())
            if self._refusal(replies):
                return
            content = self._version(model, replies, f"read of a replica, {node.dir.name}")
            if content is not None and not key.knows(content) and \
                    not self.line.histories[model.name].knows(content):
                raise Wrong(f"{model.name}: version {content} of a replica was never written")
            self.count("replica reads")
        await self._beside(step)

    async def _demoter(self):
        async def step(_, link):
            names = [self.random.choice(self.random.choice(self.models).names) for _ in range(8)]
            self._refusal([reply for reply in await link.calls(
                *[("FLASH.DEBUG.DEMOTE", name) for name in names])
                if not (isinstance(reply, Error) and reply.startswith(STAYS))])
            self.count("demotions", len(names))
        await self._beside(step)
