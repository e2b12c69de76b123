"""A tiered replica and its primary hold the same data whatever they are sent, and when it is saved.

With demotions on both sides, transactions, native commands, several databases and clients in
between; with an AOF, the module's log or neither; at a full tier.
"""

import os
import random

import pytest

from conftest import LOGGED, wait_until
from harness.pairs import (TIERED, Writer, batch, chill_some, digest, figures, fill_hashes,
                           open_queue, replicate, tiered_pair)

KINDS = {"nothing": {}, "aof": {"appendonly": "yes"}, "log": LOGGED, "threads": {"io-threads": "3"}}


# Everything at random ------------------------------------------------------------------------


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
    # How many find their blocks cold depends on who gets ahead.
    while done < operations or (done < 10 * operations and figures(replica)[0] <= done / 50):
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
    assert queued > done / 50
    # Keys may expire in between.
    wait_until(lambda: digest(replica) == digest(primary), 20, "equal digests")
    assert "could not be applied" not in replica.log()
    assert "sending an error to its" not in replica.log()
    if kind in ("nothing", "threads"):
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


def test_a_replica_of_a_replica_gets_each_effect_once(server):
    primary, replica = tiered_pair(server, appendonly="yes")
    last = server(TIERED)
    replicate(last, replica)
    writer = Writer(11)
    rounds = 0
    # How many find their blocks cold depends on who gets ahead.
    while rounds < 20 or (rounds < 400 and min(figures(replica)[0], figures(last)[0]) <= 100):
        batch(primary.client, list(writer.commands(500)))
        chill_some(replica, writer.random, 0)
        chill_some(last, writer.random, 0)
        rounds += 1
    replica.wait_for_offset_of(primary)
    last.wait_for_offset_of(primary)
    assert figures(replica)[0] > 100 and figures(last)[0] > 100
    wait_until(lambda: digest(primary) == digest(replica) == digest(last), 60, "equal digests")


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

    rounds = 0
    while rounds < 4 or (rounds < 40 and queued <= 1000):
        rounds += 1
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
