"""What else meets a node without a tier (docs/adr/0023), as a replica and when it is promoted.

Keys that move to it and from it; keys that arrive from native types and leave for them; `maxmemory`
below what it holds in RAM. Slots: slot_migration_tierless_test.py.
"""

import pytest

from arriving_test import FORMS, OURS, adopt_all, fill_native, types
from conftest import wait_until
from harness.pairs import batch
from harness.parking import chill
from leaving_test import contents
from migrate_test import digests, migrate, refuses
from migrate_test import fill as fill_to_move
from replica_tier_test import (MIB, SMALL, digest, expect_no_tier, fill, flash, tier_file,
                               wait_for_link, wait_for_tier, wait_until_down)


def replica_of(server, primary, settings=None):
    replica = server({**SMALL, **(settings or {}), "replicaof": f"127.0.0.1 {primary.port}"})
    wait_for_link(replica)
    replica.wait_for_offset_of(primary)
    return replica


# --- Keys that move, one by one ----------------------------------------------------------------


def test_keys_come_to_and_leave_a_primary_whose_tier_cannot_be_opened(server):
    """Promoted, and still without a tier: cold keys that come are hot, and what goes goes whole."""
    primary, other = server(SMALL), server(SMALL)
    keys = fill_to_move(primary)
    node = replica_of(server, primary)
    before = digests(primary, keys)
    # As a replica it takes nothing, and the source keeps all.
    refuses("READONLY", migrate, primary, node, "list")
    refuses("READONLY", primary.call, "MIGRATE", "127.0.0.1", node.port, "list", 0, 10_000)
    refuses("can't write against a read only replica", migrate, node, other, "list")
    assert digests(primary, keys) == before and other.call("DBSIZE") == 0
    tier_file(node).write_bytes(b"somebody's data")
    node.client.replicaof("NO", "ONE")
    wait_for_tier(node, "failed")
    sub = replica_of(server, node)
    # All goes, by both commands, and comes back cold.
    half = len(keys) // 2
    assert migrate(node, other, "", "KEYS", *keys[:half]) == b"OK"
    assert node.call("MIGRATE", "127.0.0.1", other.port, "", 0, 10_000, "KEYS",
                     *keys[half:]) == b"OK"
    assert node.call("DBSIZE") == 0 and digests(other, keys) == before
    chill(other, *keys)
    assert migrate(other, node, "", "KEYS", *keys[half:]) == b"OK"
    other.call("MIGRATE", "127.0.0.1", node.port, "", 0, 10_000, "KEYS", *keys[:half])
    assert digests(node, keys) == before and other.call("DBSIZE") == 0
    assert flash(node, "tier_state") == "failed" and flash(node, "tiered_keys") == 0
    sub.wait_for_offset_of(node)
    assert digest(sub) == digest(node)
    expect_no_tier(sub)
    # And leaves RAM once there is a tier.
    tier_file(node).unlink()
    wait_for_tier(node)
    wait_until_down(node)
    assert flash(node, "tiered_keys") > 0
    assert digests(node, keys) == before


# --- Arriving and leaving ----------------------------------------------------------------------


def test_adoption_and_drain_come_by_the_link_and_go_on_after_a_promotion(server):
    primary = server(SMALL)
    fill_native(primary)
    replica = replica_of(server, primary)
    sub = replica_of(server, replica)
    native, kinds = contents(primary), types(primary)
    ours = {key: FORMS[kind] for key, kind in kinds.items()}
    adopt_all(primary)
    for key in native:  # The large ones, which the scan leaves.
        primary.call("FLASH.ADOPT", key)
    chill(primary, *native)
    for node in (replica, sub):
        node.wait_for_offset_of(primary)
        assert types(node) == ours
        assert contents(node) == native
        expect_no_tier(node)
    # Back, half of it from flash, and once more.
    primary.call("FLASH.DRAIN", "MATCH", "*l*")
    for node in (replica, sub):
        node.wait_for_offset_of(primary)
        assert types(node) == types(primary) != ours
        assert contents(node) == native
    # The promoted node does both itself, while what it holds leaves RAM.
    replica.client.replicaof("NO", "ONE")
    fill(replica, keys=200)
    added = contents(replica)
    adopt_all(replica)
    assert set(types(replica).values()) == OURS
    assert replica.call("FLASH.DRAIN")[1:3] == [0, 0]
    assert contents(replica) == added
    assert set(types(replica).values()) == set(FORMS)
    wait_for_tier(replica)
    assert flash(replica, "tiered_keys") == 0
    sub.wait_for_offset_of(replica)
    assert digest(sub) == digest(replica)
    expect_no_tier(sub)


# --- Too little memory -------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_maxmemory_below_what_a_promoted_node_holds(server, policy):
    """A replica takes all and evicts nothing. Promoted, it is short of memory until its values
    have left RAM: refuses, or evicts, as docs/replication.md says, and never again thereafter."""
    primary = server(SMALL)
    names = [f"k{n}" for n in range(3000)]
    assert batch(primary.client, [("FLASH.SET", name, f"{name}:" * 500) for name in names]) == \
        [b"OK"] * len(names)
    node = replica_of(server, primary, {"maxmemory-policy": policy, "repl-backlog-size": "64kb"})
    sub = replica_of(server, node)
    limit = node.info("memory")["used_memory"] - 5 * MIB
    node.client.config_set("maxmemory", limit)
    for name in names[:500]:  # It is above its limit, and takes them.
        primary.call("FLASH.SET", name, f"{name}:" * 600)
    node.wait_for_offset_of(primary)
    assert digest(node) == digest(primary)
    before = digests(primary, names)
    primary.stop()
    answers = batch(node.client, [("REPLICAOF", "NO", "ONE"), ("FLASH.SET", "first", "x" * 500)])
    if policy == "noeviction":
        assert str(answers[1]).startswith("OOM command not allowed when used memory"), answers
    else:
        assert answers[1] == b"OK"
        assert node.call("DEL", "first") == 1
    wait_for_tier(node)
    wait_until_down(node)
    wait_until(lambda: node.info("memory")["used_memory"] < limit, 30, "memory below its limit")
    evicted = node.info("stats")["evicted_keys"]
    assert (evicted > 0) == (policy == "allkeys-lru")
    assert node.call("DBSIZE") == len(names) - evicted
    left = [n for n, name in enumerate(names) if node.call("EXISTS", name)]
    assert digests(node, [names[n] for n in left]) == [before[n] for n in left]
    for n in range(3000):  # More than the limit holds.
        assert node.call("FLASH.SET", f"more{n}", f"{n}:" * 500) == b"OK"
    assert node.info("stats")["evicted_keys"] == evicted
    assert flash(node, "evicted_keys") == 0
    sub.wait_for_offset_of(node)
    assert digest(sub) == digest(node)
