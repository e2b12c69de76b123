"""Replicas hold the same keys as their primary after thousands of random operations of every kind.

The generator of the differential test writes to a primary; a replica and one chained behind it
follow: over full synchronisations by disk, diskless and beside the old data, made while the writes
go on, over broken links, with values sent to flash on every node all the time. Judged by
DEBUG DIGEST, which has values and whether keys expire. Each node has a tier, with a cache that
holds a part of the data or all of it, or none: who feeds whom are all four pairs of both.

FLASH_DIGEST_OPS=1000000 for the long run (of each line); a seed's operations are always the same.
"""

import collections
import os
import random

import pytest

from async_load_test import digest
from conftest import wait_until
from differential import __main__ as program
from differential.core import DATABASES, Side
from differential.generator import Generator

OPS = int(os.environ.get("FLASH_DIGEST_OPS", "4000"))
EVERY = 500 if OPS <= 50_000 else 2000  # Operations between two synchronisations.

SMALL = {"flash.cache-size-bytes": "1mb", "flash.replica-tier-enabled": "yes"}
LARGE = {"flash.cache-size-bytes": "512mb", "flash.replica-tier-enabled": "yes"}
TIERLESS = {"flash.cache-size-bytes": "1mb", "flash.replica-tier-enabled": "no"}
# Primary, replica, and the one that is chained behind it.
LINES = {"all tier": (SMALL, SMALL, SMALL), "replica in RAM": (SMALL, LARGE, SMALL),
         "primary in RAM": (LARGE, SMALL, SMALL),
         "replica without a tier": (SMALL, TIERLESS, SMALL),
         "no replica with a tier": (LARGE, TIERLESS, TIERLESS)}
SYNCS = {"disk": ("no", "disabled"), "diskless": ("yes", "disabled"), "swapdb": ("yes", "swapdb")}
COMMON = {"databases": "16", "flash.capacity-bytes": "512mb", "flash.compaction-interval-sec": "1",
          "repl-backlog-size": "64mb", "hz": "100"}


class Line:
    """A primary, its replica, and one behind that; random operations go to the primary."""

    def __init__(self, nodes, seed, families):
        self.primary, self.replica, self.chained = self.nodes = nodes
        self.rng = random.Random(seed)
        self.sides = [Side(node.port, native=False, offset=0) for node in nodes]
        self.side = self.sides[0]
        self.generator = Generator(seed, program.present(families, self.side))
        self.done = 0
        self.counts = collections.Counter()

    def close(self):
        for side in self.sides:
            side.close()

    def operate(self, count):
        for _ in range(count):
            operation = self.generator.operation()
            operation.run(self.side)
            operation.after([self.side])
            self.done += 1
            if self.rng.random() < 0.1:
                self.demote()

    def demote(self):
        """A few values of some node go to flash, whatever it is."""
        side, [db] = self.rng.choice(self.sides), self.rng.choices(range(DATABASES), [8, 1, 1])
        replies = side.calls([["FLASH.DEBUG.DEMOTE", key]
                              for key in self.rng.sample(self.generator.keys_all, 4)], db)
        self.counts["demotions"] += sum(reply.value == b"OK" for reply in replies)

    def compare(self, what):
        self.settle_expiry()
        self.replica.wait_for_offset_of(self.primary)
        self.chained.wait_for_offset_of(self.replica)
        found = [digest(node) for node in self.nodes]
        assert len(set(found)) == 1, f"{what}, {self.done} operations: {found}"
        self.counts["comparisons"] += 1
        assert sum(node.info("flash")["flash_checksum_errors"] for node in self.nodes) == 0

    def settle_expiry(self):
        """What has expired is gone, not only said to be."""
        for db in range(DATABASES):
            names = self.side.call(["KEYS", "*"], db).plain()
            self.side.calls([["EXISTS", key] for key in names], db)

    def break_link(self, node):
        """Of whoever follows `node`; the backlog bridges it."""
        self.counts["links broken"] += node.call("CLIENT", "KILL", "TYPE", "replica")

    def sync_fully(self, how):
        """The replica takes everything anew, while operations go on."""
        diskless, load = SYNCS[how]
        self.primary.call("CONFIG", "SET", "repl-diskless-sync", diskless)
        self.primary.call("CONFIG", "SET", "rdb-key-save-delay", 5000)
        self.replica.call("CONFIG", "SET", "repl-diskless-load", load)
        before = self.primary.info("stats")["sync_full"]
        self.replica.client.replicaof("NO", "ONE")
        self.replica.call("SET", "elsewhere", "x")  # A history of its own.
        self.replica.replicate_from(self.primary, wait=False)
        wait_until(lambda: self.primary.info("stats")["sync_full"] > before, 60, "a full sync")
        self.operate(50)
        self.primary.call("CONFIG", "SET", "rdb-key-save-delay", 0)
        wait_until(lambda: self.replica.info("replication")["master_link_status"] == "up", 90,
                   "the link")
        wait_until(lambda: self.chained.info("replication")["master_link_status"] == "up", 90,
                   "the chained link")
        self.counts[f"full synchronisations ({how})"] += 1


def test_one_value_that_differs_is_noticed(server):
    nodes = [server({**COMMON, **SMALL}) for _ in range(3)]
    nodes[1].replicate_from(nodes[0])
    nodes[2].replicate_from(nodes[1])
    line = Line(nodes, 1, program.FAMILIES)
    line.operate(100)
    line.compare("of the stream")
    nodes[1].call("CONFIG", "SET", "replica-read-only", "no")
    nodes[1].call("FLASH.HSET", "only-here", "f", "v")
    with pytest.raises(AssertionError, match="of the stream, 100 operations"):
        line.compare("of the stream")
    line.close()


@pytest.mark.slow
@pytest.mark.timeout(0 if OPS > 50_000 else 300)
@pytest.mark.parametrize("tables", program.TABLES)
@pytest.mark.parametrize("kinds", LINES)
def test_replicas_hold_what_their_primary_does(server, kinds, tables):
    nodes = [server({**COMMON, **settings}) for settings in LINES[kinds]]
    nodes[1].replicate_from(nodes[0])
    nodes[2].replicate_from(nodes[1])
    line = Line(nodes, seed=1 + list(LINES).index(kinds), families=program.TABLES[tables])
    ops = OPS // len(program.TABLES)
    partial = 0
    while line.done < ops:
        how = list(SYNCS)[line.done // EVERY % len(SYNCS)]
        line.operate(EVERY // 2)
        if line.rng.random() < 0.5 or line.done < EVERY:
            line.sync_fully(how)
            line.compare(f"after a full synchronisation ({how})")
        else:
            before = nodes[0].info("stats")["sync_partial_ok"]
            line.break_link(nodes[0])
            line.operate(20)
            wait_until(lambda: nodes[1].info("replication")["master_link_status"] == "up", 60,
                       "the link")
            partial += nodes[0].info("stats")["sync_partial_ok"] - before
            line.compare("after a broken link")
        line.break_link(nodes[1])
        line.operate(EVERY // 2)
        line.compare("of the stream")
    line.close()
    print(f"{kinds}, {tables}: {line.done} operations, {dict(line.counts)}, {partial} PSYNC")
    assert partial > 0 or OPS < 5000
    for node, settings in zip(nodes, LINES[kinds]):
        assert (node.info("flash")["flash_tier_state"] == "none") == (settings is TIERLESS)
    if LINES[kinds][0] is SMALL:
        assert nodes[0].info("flash")["flash_block_fetches"] > 0
