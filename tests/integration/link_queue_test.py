"""A replica with a tier applies what the primary sends without waiting for one block at a time.

Effects on cold data wait in a queue, with their reads under way, while the link goes on; whatever
else looks at the data finds them applied (docs/adr/0024).
"""

import random
import time

import pytest

from harness import disks
from harness.cluster import Cluster
from harness.pairs import (TIERED, batch, digest, figures, fill_hashes, open_queue, replicate,
                           tiered_pair)
from harness.parking import chill
from harness.resp import Connection


# What waits ------------------------------------------------------------------------------------


def open_pair(server, names, **settings):
    """A tiered pair with hashes of these names, whose queue is open."""
    primary, replica = tiered_pair(server, **settings)
    fill_hashes(primary, names)
    open_queue(primary, replica)
    return primary, replica


def test_effects_on_cold_keys_wait_together(server):
    names = [f"hash:{number}" for number in range(50)]
    primary, replica = open_pair(server, names)
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
    primary, replica = open_pair(server, ["cold"], appendonly="yes")
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
    primary, replica = open_pair(server, ["one", "two", "three"])
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
    primary, replica = open_pair(server, ["mortal", "other"])
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


def test_an_effect_whose_block_cannot_be_read_is_told_of(server):
    primary, replica = open_pair(server, ["lost", "other"])
    chill(replica, "lost")
    disks.spoil_file(replica.dir / "flash.tier")
    queued, _ = figures(replica)
    batch(primary.client, [("FLASH.HSET", "lost", "f1", "new"), ("FLASH.HSET", "lost", "f2", "new"),
                           ("FLASH.HSET", "other", "f1", "new")])
    replica.wait_for_offset_of(primary)
    assert figures(replica)[0] - queued == 2
    assert replica.info("flash")["flash_flashio_replies"] >= 2
    assert "an effect of the primary's could not be applied (FLASH.HSET)" in replica.log()
    assert replica.call("FLASH.HGET", "other", "f1") == b"new"
    # Whoever writes the whole value anew needs the old one no longer.
    batch(primary.client, [("FLASH.DEL", "lost"), ("FLASH.HSET", "lost", "f1", "again")])
    replica.wait_for_offset_of(primary)
    assert digest(replica) == digest(primary)


# Around it ------------------------------------------------------------------------------------


def test_wait_counts_a_replica_when_it_has_applied(server):
    names = [f"hash:{number}" for number in range(30)]
    primary, replica = open_pair(server, names)
    for turn in range(20):
        chill(replica, *names)
        batch(primary.client, [("FLASH.HSET", name, "turn", turn) for name in names])
        assert primary.call("WAIT", 1, 60_000) == 1
        found = batch(replica.client, [("FLASH.HGET", name, "turn") for name in names])
        assert found == [b"%d" % turn] * len(names)


def test_a_replica_in_a_cluster(server):
    """It owns no slot, so nothing that waits may be applied by commands that name keys."""
    cluster = Cluster(server, primaries=3, settings=TIERED)
    rng = random.Random(3)
    names = [f"hash:{number}" for number in range(300)]
    client = cluster.client()
    for name in names:
        client.execute_command("FLASH.HSET", name, *[word for field in range(40)
                                                     for word in (f"f{field}", "v" * 60)])
    for _ in range(3):
        for primary, replica in zip(cluster.primaries, cluster.replicas):
            replica.wait_for_offset_of(primary)
            here = replica.client.keys("hash:*")
            batch(replica.client, [("READONLY",),
                                   *[("FLASH.DEBUG.DEMOTE", name) for name in here]])
            batch(primary.client, [("FLASH.HSET", rng.choice(here), f"f{rng.randrange(60)}", turn)
                                   for turn in range(500)])
    for primary, replica in zip(cluster.primaries, cluster.replicas):
        replica.wait_for_offset_of(primary)
        assert figures(replica)[0] > 100
        assert digest(replica) == digest(primary)


def test_promotion_applies_what_waits_and_takes_the_filter_away(server):
    names = [f"hash:{number}" for number in range(50)]
    primary, replica = open_pair(server, names)
    assert b"filters=1" in module_line(replica)
    chill(replica, *names)
    batch(primary.client, [("FLASH.HSET", name, "f1", "last") for name in names])
    replica.wait_for_offset_of(primary)
    replica.client.replicaof("NO", "ONE")
    assert b"filters=0" in module_line(replica)
    assert digest(replica) == digest(primary)
    replicate(primary, replica)
    chill(primary, *names)
    open_queue(replica, primary)
    chill(primary, *names)
    queued, _ = figures(primary)
    batch(replica.client, [("FLASH.HSET", name, "f1", "other way") for name in names])
    primary.wait_for_offset_of(replica)
    assert figures(primary)[0] - queued == len(names)
    assert digest(replica) == digest(primary)


def module_line(node):
    """What INFO modules says of this module."""
    lines = Connection(node.port).must("INFO", "modules").splitlines()
    return next(line for line in lines if line.startswith(b"module:name=flash"))
