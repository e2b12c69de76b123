"""Atomic slot migration (Valkey 9.x) that goes wrong while clients write: nothing is lost.

The clients' judge knows what was acknowledged (failures/load.py): a migration is a failover in good
order, or it never was. Meanwhile the source serves its data, and what came to the target is not
seen and goes away again. Skipped where the server has no such command.
"""

import asyncio
import contextlib
import os
import random
import signal

import pytest
import redis

from conftest import LOGGED, wait_until
from failures.load import Load
from harness.cluster import migration_outcomes
from harness.resp import Connection
from slot_migration_test import Pair, assert_empty, digests, fill

pytestmark = pytest.mark.slow

# Whoever gives its last slot away stays a primary.
NODE = {**LOGGED, "cluster-allow-replica-migration": "no"}
ENDED = (b"failed", b"cancelled", b"success")
# Seconds into a migration whose snapshot takes about two.
MOMENTS = (0, 0.5, 1.5, 2.4)
# Not at its end: a source that is told to cancel when the target has taken over already, before it
# heard of that, goes on to take writes, which are lost. So does the server with its own keys.
CANCEL_MOMENTS = (0, 0.4, 0.8, 1.2)


class Migrations:
    """Migrations of a pair's slot to and fro under load, each disturbed."""

    def __init__(self, pair, seed):
        self.pair, self.random = pair, random.Random(seed)
        self.load = Load(pair.source, seed, clients=4, prefix=b"{a}")
        self.failed = self.moved = 0

    def begin(self, delay_us):
        for node in self.pair.nodes:
            node.call("CONFIG", "SET", "rdb-key-save-delay", delay_us)
        self.pair.migrate()

    def ended(self):
        """Waits for the end, also where the node that knew of it has forgotten; True if moved."""
        pair = self.pair
        wait_until(lambda: all(pair.settled(node) for node in pair.nodes), 90, "the cluster")
        wait_until(lambda: not migration_outcomes(pair.source) or pair.outcome()[0] in ENDED, 90,
                   "the migration's end")
        ids = [pair.id_of(node) for node in pair.nodes]
        wait_until(lambda: pair.owner_of(pair.source) == pair.owner_of(pair.target) in ids, 60,
                   "one owner")
        return pair.owner_of(pair.source) == pair.id_of(pair.target)

    def settle(self):
        """After a migration: who has the slot serves it, the other has nothing of it."""
        pair = self.pair
        if self.ended():
            self.moved += 1
            self.load.promote(pair.target, in_good_order=True)
            pair.source, pair.target = pair.target, pair.source
        else:
            self.failed += 1
        wait_until(lambda: pair.target.call("DBSIZE") == 0, 60, "the other to have nothing")
        wait_until(lambda: not pair.target.info("persistence")["rdb_bgsave_in_progress"], 60)

    async def writes(self, count):
        goal = self.load.counts["writes"] + count
        while self.load.counts["writes"] < goal and not self.load.stopping:
            await asyncio.sleep(0.01)

    async def disturbed(self, disturb, moments=MOMENTS):
        for moment in moments:
            await self.writes(100)
            await asyncio.to_thread(self.begin, 5000)
            await asyncio.sleep(moment * self.random.uniform(0.7, 1.3))
            await asyncio.to_thread(disturb, self.pair)
            await asyncio.to_thread(self.settle)
            await self.load.all_swept()

    async def whole(self):
        """And one that nobody disturbs."""
        before = self.moved
        await asyncio.to_thread(self.begin, 0)
        await asyncio.to_thread(self.settle)
        assert self.moved == before + 1
        await self.load.all_swept()
        await self.writes(200)


def cancel(pair):
    with contextlib.suppress(redis.exceptions.ResponseError):  # It has ended by itself.
        pair.source.call("CLUSTER", "CANCELSLOTMIGRATIONS")


def kill_source(pair):
    pair.source.restart(crash=True)


def kill_target(pair):
    pair.target.restart(crash=True)


def stand_still(node, other):
    """While the other works on."""
    node.process.send_signal(signal.SIGSTOP)
    try:
        Connection(other.port).must("DEBUG", "SLEEP", "0.2")
    finally:
        node.process.send_signal(signal.SIGCONT)


def stop_target(pair):
    stand_still(pair.target, pair.source)


def stop_source(pair):
    stand_still(pair.source, pair.target)


@pytest.mark.parametrize("disturb", [cancel, kill_source, kill_target, stop_target, stop_source],
                         ids=lambda disturb: disturb.__name__)
def test_disturbed_migrations_lose_nothing(server, disturb):
    pair = Pair(server, NODE, NODE)
    fill(pair.source)
    Connection(pair.source.port).must("DEL", "{a}native", "{a}nativelist")  # Have no log.
    expected = digests(pair.source)
    migrations = Migrations(pair, seed=11)

    async def director():
        await migrations.disturbed(disturb, CANCEL_MOMENTS if disturb is cancel else MOMENTS)
        await migrations.whole()

    asyncio.run(migrations.load.run(director()))
    assert digests(pair.source) == expected
    assert migrations.load.counts["lost unconfirmed"] == 0
    assert migrations.load.counts["writes"] > 500
    if disturb in (cancel, kill_source, kill_target):
        assert migrations.failed >= 2, "no migration was disturbed"
    wait_until(lambda: pair.target.call("DBSIZE") == 0, 30, "the source to let go")
    assert_empty(pair.target)
    for node in pair.nodes:
        assert node.info("flash")["flash_checksum_errors"] == 0


def test_a_target_that_is_nearly_full_keeps_nobody_from_writing(server):
    pair = Pair(server, NODE, {**NODE, "flash.capacity-bytes": "16mb"})
    c = Connection(pair.source.port)
    for n in range(2200):
        c.must("FLASH.SET", f"{{a}}big{n}", os.urandom(10_000))
    migrations = Migrations(pair, seed=12)

    async def director():
        for _ in range(2):
            await migrations.writes(200)
            await asyncio.to_thread(migrations.begin, 0)
            await asyncio.to_thread(migrations.settle)
            await migrations.load.all_swept()
        for n in range(2200):
            await asyncio.to_thread(c.must, "DEL", f"{{a}}big{n}")
        await migrations.whole()

    asyncio.run(migrations.load.run(director()))
    assert migrations.failed == 2 and migrations.moved == 1
    assert migrations.load.counts["lost unconfirmed"] == 0
