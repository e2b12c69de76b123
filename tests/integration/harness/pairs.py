"""A primary and its replica, both with a small cache, for tests of what the link between them does.

Commands are sent many at a time, so that many are on their way at once; Writer makes random ones.
"""

import random

from conftest import wait_until
from harness.parking import chill

TIERED = {"flash.cache-size-bytes": "1mb", "flash.replica-tier-enabled": "yes"}


def figures(node):
    info = node.info("flash")
    return info["flash_replication_effects_queued"], info["flash_sync_waits_replication"]


def digest(node):
    return node.call("DEBUG", "DIGEST")


def batch(client, commands):
    """Sends all commands at once; replies as they come, errors too."""
    pipe = client.pipeline(transaction=False)
    pipe.response_callbacks = {}
    for command in commands:
        pipe.execute_command(*command)
    return pipe.execute(raise_on_error=False)


def tiered_pair(server, **settings):
    primary, replica = server(TIERED), server({**TIERED, **settings})
    replicate(replica, primary)
    return primary, replica


def replicate(replica, primary):
    """Until the link is up, and an AOF holds what came by it."""
    replica.replicate_from(primary)

    def stands():
        info = replica.info("persistence")
        return not (info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])

    wait_until(stands, 30, "the AOF")


def wait_for_tier(node, state="open"):
    wait_until(lambda: node.info("flash")["flash_tier_state"] == state, 30, f"tier_state {state}")


def outrun_backlog(primary, *commands):
    """Drops the links to replicas and, before any can be back, fills the backlog: they take all
    anew, of the same history. `commands` go in between."""
    pipe = primary.connect().pipeline(transaction=True)
    pipe.execute_command("CLIENT", "KILL", "TYPE", "replica")
    for command in commands:
        pipe.execute_command(*command)
    pipe.set("filler", "x" * 300_000)
    pipe.execute()


def fill_hashes(primary, names, fields=40):
    batch(primary.client, [("FLASH.HSET", name, *[word for field in range(fields)
                                                  for word in (f"f{field}", "v" * 60)])
                           for name in names])


def open_queue(primary, replica):
    """The first effect that lacks blocks waits alone, and opens the queue for the turns to come."""
    fill_hashes(primary, ["opener"])
    replica.wait_for_offset_of(primary)
    chill(replica, "opener")
    primary.call("FLASH.HSET", "opener", "f1", "opened")
    replica.wait_for_offset_of(primary)


class Writer:
    """A stream of commands on few keys of all types, from one seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, low=8, high=120):
        return self.random.choice("abcdefgh") * self.random.randint(low, high)

    def key(self, kind):
        return f"{kind}:{self.random.randrange(40)}"

    def effect(self):
        r = self.random
        field, element = f"f{r.randrange(200)}", self.text()
        h, l, z, s = (self.key(kind) for kind in "hlzs")
        other = self.key("l"), self.key("z")
        return r.choice([
            lambda: ("FLASH.HSET", h, field, element, f"f{r.randrange(200)}", self.text()),
            lambda: ("FLASH.HSET", h, *[w for n in range(60) for w in (f"f{n}", self.text())]),
            lambda: ("FLASH.HDEL", h, field),
            lambda: ("FLASH.LPUSH", l, *[self.text() for _ in range(r.choice([1, 2, 50]))]),
            lambda: ("FLASH.RPUSH", l, element),
            lambda: ("FLASH.LPOP", l), lambda: ("FLASH.RPOP", l, r.choice([1, 40])),
            lambda: ("FLASH.LSET", l, r.randint(-60, 60), element),
            lambda: ("FLASH.LTRIM", l, 0, r.choice([30, 300])),
            lambda: ("FLASH.LMOVE", l, other[0], "LEFT", "RIGHT"),
            lambda: ("FLASH.ZADD", z, r.randrange(1000), element),
            lambda: ("FLASH.ZADD", z, *[w for n in range(60) for w in (n, f"m{n}" + "x" * 50)]),
            lambda: ("FLASH.ZINCRBY", z, 5, f"m{r.randrange(60)}" + "x" * 50),
            lambda: ("FLASH.ZPOPMIN", z),
            lambda: ("FLASH.ZREM", z, f"m{r.randrange(60)}" + "x" * 50),
            lambda: ("FLASH.ZUNIONSTORE", z, 2, other[1], self.key("z")),
            lambda: ("FLASH.SET", s, self.text(64, 3000)),
            lambda: ("FLASH.SET", s, self.text(64, 3000), "PX", r.choice([1, 40, 100_000])),
            lambda: ("FLASH.MSET", s, self.text(64, 300), self.key("s"), self.text(64, 300)),
            lambda: ("FLASH.DEL", self.key("s"), self.key("h"), self.key("l"))])()

    def native(self):
        r = self.random
        kind = r.choice("hlzs")
        return r.choice([
            ("RENAME", self.key(kind), self.key(kind)),
            ("COPY", self.key(kind), self.key(kind), "REPLACE"),
            ("COPY", self.key(kind), self.key(kind), "DB", r.randrange(3)),
            ("MOVE", self.key(kind), r.randrange(3)), ("DEL", self.key(kind)),
            ("PEXPIRE", self.key(kind), r.choice([1, 50, 100_000])), ("PERSIST", self.key(kind)),
            ("INCR", "native"), ("UNLINK", self.key(kind))])

    def commands(self, count):
        r = self.random
        while count > 0:
            draw = r.random()
            if draw < 0.03:
                inner = [self.effect() if r.random() < 0.8 else self.native()
                         for _ in range(r.randint(1, 5))]
                yield from [("MULTI",), *inner, ("EXEC",)]
                count -= len(inner)
            else:
                yield self.native() if draw < 0.10 else self.effect()
                count -= 1


def chill_some(node, rng, db):
    names = [name for name in node.connect(db=db).keys("*:*") if rng.random() < 0.5]
    batch(node.connect(db=db), [("FLASH.DEBUG.DEMOTE", name) for name in names])
