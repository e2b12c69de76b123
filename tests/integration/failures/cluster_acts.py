"""Links that are cut inside a cluster, one act at a time, while the load goes on: ClusterWorld.

The cut node's clients still reach it. What it says to them is judged as ever; and once it has
refused a write because it is cut off, it takes none until it is back.
"""

import re
import subprocess
import threading
import time

import redis

from conftest import wait_until
from failures.cluster_world import SLOT, TIMEOUT_MS
from harness.cluster import migration_outcomes

CUT_OFF = ("CLUSTERDOWN", "NOREPLICAS")


class Stubborn(threading.Thread):
    """A client of the node that is cut off, which knows no other, from before the cut on."""

    def __init__(self, node):
        super().__init__()
        self._node = node
        self._over = threading.Event()
        self.taken, self.refusals, self.wrong = 0, set(), []

    def run(self):
        client = self._node.connect()
        while not self._over.wait(0.005):
            try:
                client.execute_command("FLASH.HSET", "{a}stubborn", f"f{self.taken % 500}",
                                       f"{self.taken}" * 20)
            except redis.exceptions.RedisError as error:
                self._refused(type(error).__name__ + " " + str(error))
                continue
            self.taken += 1
            if self.refusals:
                self.wrong.append(f"write {self.taken} is taken after {self.refusals}")
                return

    def _refused(self, text):
        words = [word for word in (*CUT_OFF, "NoReplicas", "ClusterDown") if word in text]
        if words:
            self.refusals.update(words)
        elif "FLASHIO the log waits" not in text:
            self.wrong.append(text)

    def end(self):
        """Before the node is back."""
        self._over.set()
        self.join()
        assert not self.wrong, self.wrong
        assert self.taken > 0


def _isolate(world, until):
    """Cuts the primary off, goes on once `until` is true and it takes no write any more."""
    old = world.primary
    client = Stubborn(old)
    client.start()
    wait_until(lambda: client.taken, 30, "a first write")
    world.network.cut(old)
    try:
        wait_until(lambda: until(client), 120, "what follows the cut")
        wait_until(lambda: client.refusals, 60, "the primary that is cut off to refuse writes")
        time.sleep(world.rng.uniform(0, 1))
    finally:
        client.end()


def primary_isolated_and_replaced(world):
    """Longer than cluster-node-timeout: the replica takes over, and it comes back as one."""
    _isolate(world, lambda _: world.voted())


def primary_isolated_that_wants_a_replica(world):
    """With min-replicas-to-write it says so before the cluster does."""
    for node in world.nodes:
        node.call("CONFIG", "SET", "min-replicas-max-lag", 1)
    world.primary.call("CONFIG", "SET", "min-replicas-to-write", 1)
    _isolate(world, lambda _: world.voted())


def primary_isolated_for_a_moment(world):
    """Shorter than cluster-node-timeout: nobody need notice."""
    world.network.cut(world.primary)
    time.sleep(world.rng.uniform(0.1, 0.5) * TIMEOUT_MS / 1000)


def replica_isolated(world):
    world.network.cut(world.heir())
    time.sleep(world.rng.uniform(1.2, 2) * TIMEOUT_MS / 1000)


def majority_isolated(world):
    """Both others are cut off: nobody votes, and the shard takes no write until they are back."""
    for node in world.voters:
        world.network.cut(node)
    wait_until(lambda: world.primary.client.cluster("info")["cluster_state"] == "fail", 60,
               "the primary to notice")


ACTS = (primary_isolated_and_replaced, primary_isolated_that_wants_a_replica,
        primary_isolated_for_a_moment, replica_isolated, majority_isolated)
BY_NAME = {act.__name__: act for act in ACTS}

# Where the server moves slots by itself (9.x) ----------------------------------------------------


def _begin_migration(world):
    """Of the slot that has all keys, to the first of the others, which outlasts the cut."""
    target = world.voters[0]
    world.primary.call("CONFIG", "SET", "rdb-key-save-delay", 30_000)
    world.primary.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", SLOT, SLOT, "NODE",
                       target.call("CLUSTER", "MYID"))
    wait_until(lambda: target.info("flash")["flash_blocks_hot_dirty"], 60, "the first keys to come")
    world.count("migrations begun")
    return target


def _nothing_stays(world, target):
    """Once all are reachable. What came is gone, and the slot is where it was."""
    for node in world.nodes:
        node.call("CONFIG", "SET", "rdb-key-save-delay", 0)
    wait_until(lambda: target.call("DBSIZE") == 0, 60, "what had come to be dropped")


def source_isolated_while_its_slot_moves(world):
    target = _begin_migration(world)
    primary_isolated_and_replaced(world)
    _nothing_stays(world, target)


def target_isolated_while_a_slot_comes(world):
    target = _begin_migration(world)
    world.network.cut(target)
    wait_until(lambda: migration_outcomes(world.primary)[0][0] in (b"failed", b"cancelled"), 120,
               "the migration to fail")
    world.network.join(target)
    _nothing_stays(world, target)


MIGRATIONS = (source_isolated_while_its_slot_moves, target_isolated_while_a_slot_comes)
BY_NAME.update({act.__name__: act for act in MIGRATIONS})


def those_for(binary):
    """Names of the acts that a server can play."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    major = int(re.search(r"v=(\d+)", said)[1])
    return [act.__name__ for act in ACTS + (MIGRATIONS if major >= 9 else ())]
