"""A replica with a tier applies what the primary sends without waiting for one block at a time.

Effects on cold data wait in a queue, with their reads under way, while the link goes on; whatever
else looks at the data finds them applied (docs/adr/0024).
"""

import os
import random
import time

import pytest

from conftest import LOGGED, wait_until
from harness.parking import chill
from harness.resp import Connection

TIERED = {"flash.cache-size-bytes": "1mb", "flash.replica-tier-enabled": "yes"}
KINDS = {"nothing": {}, "aof": {"appendonly": "yes"}, "log": LOGGED}


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


# What waits ------------------------------------------------------------------------------------


def test_effects_on_cold_keys_wait_together(server):
    primary, replica = tiered_pair(server)
    names = [f"hash:{number}" for number in range(50)]
    fill_hashes(primary, names)
    open_queue(primary, replica)
    chill(replica, *names)
    queued, waits = figures(replica)
    batch(primary.client, [("FLASH.HSET", name, "f1", "new") for name in names])
    replica.wait_for_offset_of(primary)
    queued_now, waits_now = figures(replica)
    assert queued_now - queued == len(names)
    assert waits_now - waits <= 10  # One for each turn in which some came.
    assert digest(replica) == digest(primary)


def test_effects_stand_behind_others_on_their_keys(server):
    primary, replica = tiered_pair(server)
    fill_hashes(primary, ["first", "second"])
    primary.call("FLASH.SET", "hot", "x" * 100)
    open_queue(primary, replica)
    chill(replica, "first")
    queued, _ = figures(replica)
    batch(primary.client, [
        ("FLASH.HSET", "first", "f1", "a"),     # Lacks its block.
        ("FLASH.HSET", "first", "new", "b"),    # Behind it.
        ("FLASH.SET", "hot", "y" * 100),        # Lacks nothing, and goes by.
        ("FLASH.DEL", "second", "first"),       # Behind them with both its keys.
        ("FLASH.HSET", "second", "only", "c"),  # And this one behind that.
    ])
    replica.wait_for_offset_of(primary)
    assert figures(replica)[0] - queued == 4
    assert replica.call("FLASH.HGETALL", "second") in ([b"only", b"c"], {b"only": b"c"})
    assert digest(replica) == digest(primary)


@pytest.mark.parametrize("command", [
    ("RENAME", "cold", "renamed"), ("COPY", "cold", "copy"), ("MOVE", "cold", "1"),
    ("DEL", "cold"), ("PEXPIRE", "cold", "1000000"), ("FLUSHALL",), ("SWAPDB", "0", "1"),
    ("SET", "native", "1")], ids=lambda command: command[0])
def test_native_commands_of_the_link_come_behind_what_waits(server, command):
    primary, replica = tiered_pair(server, appendonly="yes")
    fill_hashes(primary, ["cold"])
    open_queue(primary, replica)
    chill(replica, "cold")
    queued, _ = figures(replica)
    batch(primary.client, [("FLASH.HSET", "cold", "f1", "before"), command,
                           ("FLASH.HSET", "cold", "f2", "behind")])
    replica.wait_for_offset_of(primary)
    assert figures(replica)[0] > queued
    assert digest(replica) == digest(primary)
    replica.restart({"replicaof": "no one"}, crash=True)
    assert digest(replica) == digest(primary)


def test_effects_in_transactions_are_applied_at_once(server):
    primary, replica = tiered_pair(server)
    fill_hashes(primary, ["one", "two", "three"])
    open_queue(primary, replica)
    chill(replica, "one", "two", "three")
    queued, _ = figures(replica)
    batch(primary.client, [
        ("FLASH.HSET", "one", "f1", "waits"),
        ("MULTI",), ("FLASH.HSET", "one", "f1", "later"), ("FLASH.HSET", "two", "f1", "x"),
        ("SET", "native", "1"), ("EXEC",),
        ("FLASH.HSET", "three", "f1", "waits")])
    replica.wait_for_offset_of(primary)
    assert figures(replica)[0] - queued == 2
    assert digest(replica) == digest(primary)


def test_clients_find_what_waits_applied(server):
    primary, replica = tiered_pair(server)
    fill_hashes(primary, ["cold"])
    primary.call("FLASH.SET", "hot", "0" * 100)
    open_queue(primary, replica)
    chill(replica, "cold")
    assert replica.call("FLASH.GET", "hot")  # Not cold.
    queued, _ = figures(replica)
    sleeper, client = Connection(replica.port), Connection(replica.port)
    sleeper.send(("DEBUG", "SLEEP", "1"))
    batch(primary.client, [("FLASH.HSET", "cold", "f1", "1"), ("FLASH.SET", "hot", "1" * 100)])
    time.sleep(0.3)  # The primary's commands are there first when the replica wakes, and both are.
    client.send(("MULTI",), ("FLASH.GET", "hot"), ("FLASH.HGET", "cold", "f1"), ("EXEC",))
    hot, cold = [client.read() for _ in range(4)][-1].plain()
    assert (hot, cold) == (b"1" * 100, b"1")
    assert figures(replica)[0] - queued == 1


def test_a_key_whose_time_is_over_takes_effects_until_it_is_deleted(server):
    """As from the link itself: on a replica a key expires when the primary says so."""
    primary, replica = tiered_pair(server)
    fill_hashes(primary, ["mortal", "other"])
    open_queue(primary, replica)
    chill(replica, "mortal", "other")
    queued, _ = figures(replica)
    sleeper = Connection(replica.port)
    sleeper.send(("DEBUG", "SLEEP", "2"))  # What comes meanwhile is found when it is over.
    several_turns = "x" * (2 << 20)
    assert batch(primary.client, [
        ("PEXPIRE", "mortal", 1000), ("FLASH.HSET", "other", "f1", "x"),
        ("FLASH.HSET", "mortal", "f1", "x"), ("SET", "native", several_turns),
        ("PERSIST", "mortal")])[-1] == 1
    assert sleeper.read().value == b"OK"
    replica.wait_for_offset_of(primary)
    assert figures(replica)[0] - queued == 2
    assert len(replica.client.execute_command("FLASH.HGETALL", "mortal")) >= 40
    assert digest(replica) == digest(primary)


# Everything at random ------------------------------------------------------------------------


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


def look_around(replica, writer, db):
    """A client of the replica's, in the middle of everything."""
    client = replica.connect(db=db)
    kind = writer.random.choice("hlzs")
    look = {"h": ("FLASH.HGETALL",), "l": ("FLASH.LRANGE",), "z": ("FLASH.ZRANGE",),
            "s": ("FLASH.GET",)}[kind]
    ends = ("0", "-1") if kind in "lz" else ()
    batch(client, [(*look, writer.key(kind), *ends), ("EXISTS", writer.key("h")),
                   ("DUMP", writer.key("z")), ("MULTI",), ("FLASH.GET", writer.key("s")),
                   ("EXEC",)])


@pytest.mark.parametrize("kind", KINDS)
def test_random_effects_leave_the_same_data(server, kind):
    operations = {"nothing": 100_000}.get(kind, 25_000)
    primary, replica = tiered_pair(server, **KINDS[kind])
    writer = Writer(7)
    done = 0
    while done < operations:
        db = writer.random.choice([0, 0, 0, 1, 2])
        size = writer.random.choice([1, 20, 200, 1000])
        batch(primary.connect(db=db), list(writer.commands(size)))
        done += size
        draw = writer.random.random()
        if draw < 0.5:
            look_around(replica, writer, db)
        if draw < 0.25:
            chill_some(replica, writer.random, db)
            chill_some(primary, writer.random, db)
        if draw < 0.02:
            primary.call("SWAPDB", "0", "1")
        if 0.9 < draw < 0.93 and not replica.info("persistence")["rdb_bgsave_in_progress"]:
            replica.client.bgsave()
    replica.wait_for_offset_of(primary)
    wait_until(lambda: not replica.info("persistence")["rdb_bgsave_in_progress"], 60, "BGSAVE")
    queued, waits = figures(replica)
    print(f"{done} operations, {queued} effects queued, {waits} waits")
    assert queued > operations / 50
    # Keys may expire in between.
    wait_until(lambda: digest(replica) == digest(primary), 20, "equal digests")
    assert "could not be applied" not in replica.log()
    assert "sending an error to its" not in replica.log()
    if kind == "nothing":
        replica.save_in_background()
    if kind == "log":
        wait_until(lambda: log_is_whole(replica), 60, "the log")
    replica.restart({"replicaof": "no one"}, crash=True)
    assert values(replica, kind) == values(primary, kind)


def log_is_whole(node):
    info = node.info("flash")
    return (info["flash_wal_base"] == "ok"
            and info["flash_wal_durable_lsn"] == info["flash_wal_appended_lsn"])


def values(node, kind):
    """Digests of all values that do not expire; of the module's log, its own types'."""
    found = {}
    for db in range(3):
        client = node.connect(db=db)
        for name in client.keys("?:*" if kind == "log" else "*"):
            if client.ttl(name) == -1:
                found[db, name] = client.execute_command("DEBUG", "DIGEST-VALUE", name)[0]
    return found


# What is saved in between --------------------------------------------------------------------


LEDGERS = 600
TOLD_EVERY = 10


def ledger_commands(first, count):
    """Entries in cold hashes, and now and then a native key that tells how far they have come."""
    for number in range(first, first + count):
        yield ("FLASH.HSET", f"ledger:{number % LEDGERS}", "last", number)
        if number % TOLD_EVERY == 0:
            yield ("SET", "told", number)


def last_entry(ledger, end):
    """The last of the entries up to `end` that this ledger holds."""
    return end - (end - ledger) % LEDGERS


def check_ledgers(node, whole_turns):
    """Everything told stands; and, where whole turns are kept, no entry without all before it."""
    told = int(node.call("GET", "told"))
    last = [int(entry) for entry in batch(
        node.client, [("FLASH.HGET", f"ledger:{ledger}", "last") for ledger in range(LEDGERS)])]
    end = max(last)
    assert told <= end < told + TOLD_EVERY or not whole_turns
    for ledger, entry in enumerate(last):
        assert entry >= last_entry(ledger, told)
        assert entry == last_entry(ledger, end) or not whole_turns


SAVED_BY = {
    "command": {},
    "cron": {"save": "1 1", "hz": "500"},  # Forks between the file events and the next sleep.
    "aof": {"appendonly": "yes"},
}


@pytest.mark.parametrize("kind", SAVED_BY)
def test_what_is_saved_in_between_is_a_prefix_of_the_stream(server, kind):
    primary, replica = tiered_pair(server, **SAVED_BY[kind])
    fill_hashes(primary, [f"ledger:{ledger}" for ledger in range(LEDGERS)])
    batch(primary.client, list(ledger_commands(0, LEDGERS)))
    open_queue(primary, replica)
    number, queued = LEDGERS, 0

    def go_on():
        nonlocal number
        batch(primary.client, list(ledger_commands(number, 3000)))
        number += 3000

    for _ in range(4):
        replica.wait_for_offset_of(primary)
        go_on()
        saves = replica.info("persistence")["rdb_saves"]
        if kind == "command":
            replica.save_in_background()
        while kind == "cron" and replica.info("persistence")["rdb_saves"] < saves + 2:
            go_on()
        queued += figures(replica)[0]
        replica.restart({"replicaof": "no one"}, crash=True)
        check_ledgers(replica, whole_turns=kind != "aof")
        replicate(replica, primary)
    assert queued > 1000
    assert "the save fails" not in replica.log()


# A full tier ---------------------------------------------------------------------------------

FULL = {**TIERED, "flash.compression": "none", "flash.capacity-bytes": "16mb"}
KEPT_IN_RAM = "stays in RAM, beyond flash.cache-size-bytes"


def fill_at_random(primary, rng, operations, share_of_deletes=0.2):
    commands = []
    for _ in range(operations):
        number = rng.randrange(6000)
        draw = rng.random()
        if draw < share_of_deletes:
            commands.append(("FLASH.HDEL", f"h:{number % 200}", f"f{number}"))
        elif draw < 0.5:
            commands.append(("FLASH.SET", f"s:{number}", os.urandom(3000)))
        else:
            commands.append(("FLASH.HSET", f"h:{number % 200}", f"f{number}", os.urandom(3000)))
    for start in range(0, operations, 250):
        batch(primary.client, commands[start:start + 250])


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_a_replica_at_a_full_tier_stays_near_its_bound(server, policy):
    """Both tiers are full; what one node has in its cache, the other may have on flash."""
    settings = {**FULL, "maxmemory": "1gb", "maxmemory-policy": policy}
    primary, replica = server(settings), server(settings)
    replicate(replica, primary)
    fill_at_random(primary, random.Random(1), 12_000)
    replica.wait_for_offset_of(primary)
    of_primary, info = primary.info("flash"), replica.info("flash")
    refused, evicted = of_primary["flash_flashfull_replies"], of_primary["flash_evicted_keys"]
    assert (refused if policy == "noeviction" else evicted) > 500
    cache = info["flash_cache_capacity_bytes"]
    assert info["flash_hot_bytes_peak"] <= cache * 3 // 2
    assert info["flash_sync_waits_hard_mark"] < 200
    assert info["flash_flashfull_replies"] == info["flash_evicted_keys"] == 0
    assert digest(replica) == digest(primary)


def test_a_replica_whose_tier_is_too_small_keeps_the_rest_in_ram_and_says_so(server):
    primary = server({**FULL, "flash.capacity-bytes": "256mb"})
    replica = server(FULL)
    replicate(replica, primary)
    fill_at_random(primary, random.Random(2), 12_000, share_of_deletes=0)
    replica.wait_for_offset_of(primary)
    info = replica.info("flash")
    cache = info["flash_cache_capacity_bytes"]
    assert info["flash_cache_size_bytes"] > 2 * cache
    assert KEPT_IN_RAM in replica.log()
    assert info["flash_sync_waits_hard_mark"] < 200
    assert digest(replica) == digest(primary)
    # It comes back when there is room again.
    batch(primary.client, [("DEL", f"s:{number}") for number in range(6000)])
    replica.wait_for_offset_of(primary)
    wait_until(lambda: replica.info("flash")["flash_cache_size_bytes"] <= cache * 11 // 10, 30,
               "the cache to be within its bound")
    assert digest(replica) == digest(primary)


def test_a_replica_of_a_replica_gets_each_effect_once(server):
    primary, replica = tiered_pair(server, appendonly="yes")
    last = server(TIERED)
    replicate(last, replica)
    writer = Writer(11)
    for _ in range(20):
        batch(primary.client, list(writer.commands(500)))
        chill_some(replica, writer.random, 0)
        chill_some(last, writer.random, 0)
    replica.wait_for_offset_of(primary)
    last.wait_for_offset_of(primary)
    assert figures(replica)[0] > 100 and figures(last)[0] > 100
    wait_until(lambda: digest(primary) == digest(replica) == digest(last), 20, "equal digests")
