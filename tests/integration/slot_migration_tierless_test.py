"""Atomic slot migration where replicas have no tier: docs/adr/0023. Skipped as its twin is.

The source's replica and the target's hold all in RAM, before, meanwhile and after; each takes over
in the middle of a migration, or after it.
"""

import pytest
import redis

from conftest import free_port, wait_until
from harness.cluster import take_over
from harness.parking import chill
from replica_tier_test import digest, expect_no_tier, wait_for_link, wait_for_tier
from slot_migration_test import CLUSTER, Pair, assert_empty, digests, fill, names


class Shards(Pair):
    """Source and target, each with a replica without a tier."""

    def __init__(self, server, **settings):
        super().__init__(server, settings, settings)
        self.replicas = []
        for primary in self.nodes:
            replica = server({**CLUSTER, **settings, "cluster-port": free_port()})
            replica.call("CLUSTER", "MEET", "127.0.0.1", primary.port,
                         primary.settings["cluster-port"])
            wait_until(lambda r=replica, p=primary: self.id_of(p) in self.ask(r, "CLUSTER",
                                                                              "NODES"), 30)
            wait_until(lambda r=replica, p=primary: self.follows(r, p), 30, "the replica")
            wait_for_link(replica)
            wait_for_tier(replica, "none")
            self.replicas.append(replica)
        self.of_source, self.of_target = self.replicas
        # Whoever votes, and whoever takes over, knows everybody.
        wait_until(lambda: all(b"cluster_known_nodes:4" in self.ask(node, "CLUSTER", "INFO")
                               for node in self.everybody()), 60, "the cluster")

    def everybody(self):
        return self.nodes + self.replicas

    def follows(self, replica, primary):
        try:
            return replica.call("CLUSTER", "REPLICATE", self.id_of(primary)) == b"OK"
        except redis.ResponseError:  # Not known as a primary yet.
            return False

    def settle(self):
        for node, replica in zip(self.nodes, self.replicas):
            replica.wait_for_offset_of(node)
            assert digest(replica) == digest(node)
            expect_no_tier(replica)


def test_a_slot_moves_between_shards_whose_replicas_have_no_tier(server):
    """There, and back from the replica that took over: nothing is lost, and it tiers by then."""
    shards = Shards(server)
    fill(shards.source)
    expected = digests(shards.source)
    shards.migrate()
    shards.moved()
    wait_until(lambda: shards.source.call("DBSIZE") == 0, 30, "the source to let go")
    shards.settle()
    assert digests(shards.target) == expected
    # Else its claim would be refused as one of an older time.
    wait_until(lambda: all(shards.owner_of(node) == shards.id_of(shards.target)
                           for node in shards.everybody()), 30, "all to know the new owner")
    take_over(shards.of_target)
    wait_for_tier(shards.of_target)
    wait_for_link(shards.target)
    assert digests(shards.of_target) == expected
    chill(shards.of_target, *names())
    shards.source, shards.target = shards.of_target, shards.source
    shards.nodes = [shards.source, shards.target]
    wait_until(lambda: shards.owner_of(shards.target) == shards.id_of(shards.source), 30)
    shards.migrate()
    shards.moved()
    assert digests(shards.target) == expected
    shards.of_source.wait_for_offset_of(shards.target)
    assert digest(shards.of_source) == digest(shards.target)
    expect_no_tier(shards.of_source)


@pytest.mark.parametrize("whose", ["source", "target"])
def test_a_replica_without_a_tier_takes_over_in_the_middle_of_a_migration(server, whose):
    """The migration fails; the keys are with the owner of the slot, whole, and nowhere else."""
    shards = Shards(server, **{"cluster-require-full-coverage": "no"})
    fill(shards.source)
    expected = digests(shards.source)
    shards.of_source.wait_for_offset_of(shards.source)
    shards.source.call("CONFIG", "SET", "rdb-key-save-delay", 30_000)
    shards.migrate()
    at_target = shards.of_target
    wait_until(lambda: at_target.info("flash")["flash_blocks_hot_dirty"], 30, "the first keys")
    old, heir = {"source": (shards.source, shards.of_source),
                 "target": (shards.target, shards.of_target)}[whose]
    old.kill()
    heir.call("CLUSTER", "FAILOVER", "TAKEOVER")
    wait_for_tier(heir)
    if whose == "source":
        wait_until(lambda: shards.ask(shards.target, "DBSIZE") == 0 ==
                   shards.target.info("flash")["flash_blocks_hot_dirty"], 60, "the import to end")
        assert digests(heir) == expected
        assert_empty(shards.target)
        owner = heir
    else:
        shards.wait_for(b"failed")
        assert_empty(heir)
        assert digests(shards.source) == expected
        owner = shards.source
    assert shards.owner_of(owner) == shards.id_of(owner)
    shards.ask(owner, "FLASH.SET", "{a}after", "x" * 5000)
