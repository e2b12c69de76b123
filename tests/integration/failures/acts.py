"""What happens to the nodes of a World, one act at a time, while the load goes on.

Each act is a function of the world that blocks; it leaves the nodes as they fell, and heal() sets
them right. A replica is promoted only if it was one, with its link up, when the primary failed:
otherwise the primary comes back with its log, in the same line.
"""

import contextlib
import signal
import time

import redis

from conftest import wait_until
from failures.world import syncs_begun


def _replace(world, fail):
    """`fail()` ends the primary's service; a replica takes over, if one could."""
    heir = world.fit()
    begun = syncs_begun(heir) if heir else 0
    fail()
    if heir is None or syncs_begun(heir) != begun:
        return False
    world.promote(heir)
    return True


def primary_killed_and_replaced(world):
    old = world.primary
    if _replace(world, lambda: world.kill(old)):
        if world.rng.random() < 0.5:
            old.start()  # A primary with its log's keys, before it is told whom to follow.
        else:
            old.settings["replicaof"] = [world.primary.host, world.primary.port]
            old.start()
            del old.settings["replicaof"]


def primary_killed_and_back(world):
    world.kill(world.primary)
    world.primary.start()


def primary_stopped_and_replaced(world):
    old = world.primary
    _replace(world, lambda: old.process.send_signal(signal.SIGSTOP))
    pause(world)


def primary_stopped(world):
    world.primary.process.send_signal(signal.SIGSTOP)
    pause(world)


def primary_cut_off_and_replaced(world):
    """Its clients still reach it, and write what will be lost."""
    old = world.primary

    def cut():
        world.network.cut(old)
        pause(world)

    _replace(world, cut)


def primary_cut_off(world):
    world.network.cut(world.primary)
    pause(world, 12)


def failover_in_good_order(world):
    heir = world.fit()
    if heir is None:
        return
    old = world.primary
    old.call("FAILOVER", "TO", heir.host, heir.port, "TIMEOUT", 20_000)
    wait_until(lambda: old.info("replication")["master_failover_state"] == "no-failover", 60,
               "the failover's end")
    if old.info("replication")["role"] != "slave":
        return  # It gave up: in 20 s the replica did not come up to it.
    world.primary = heir
    world.follows.pop(heir, None)
    world.follows[old] = heir
    world.load.promote(heir, in_good_order=True)
    world.load.topology(world.replicas(), 0)
    world.count("failovers in good order")


def replica_killed(world):
    node = world.rng.choice(world.replicas())
    world.kill(node)
    pause(world)


def replica_stopped(world):
    world.rng.choice(world.replicas()).process.send_signal(signal.SIGSTOP)
    pause(world, 12)


def replica_cut_off(world):
    world.network.cut(world.rng.choice(world.replicas()))
    pause(world, 12)


def begin_full_sync(world):
    """A replica loses its data's history: it must take everything anew."""
    node = world.rng.choice(world.replicas())
    for each in world.nodes:
        each.call("CONFIG", "SET", "rdb-key-save-delay", 500)
    begun = syncs_begun(node)
    node.client.replicaof("NO", "ONE")  # A primary of its own for a moment,
    node.call("SET", "elsewhere", "x")  # which goes its own way.
    world.follow(node, world.primary)
    wait_until(lambda: syncs_begun(node) > begun, 60, "a full synchronisation")
    world.count("full syncs begun")
    return node


def end_full_sync(world):
    for each in world.nodes:
        if each.alive():
            each.call("CONFIG", "SET", "rdb-key-save-delay", 0)


def sync_and_kill(world, victim_of):
    node = begin_full_sync(world)
    pause(world, 1)
    world.kill(victim_of(node))
    end_full_sync(world)


def replica_killed_during_full_sync(world):
    sync_and_kill(world, lambda node: node)


def primary_killed_during_full_sync(world):
    sync_and_kill(world, lambda node: world.primary)
    world.primary.start()


def replica_cut_off_during_full_sync(world):
    node = begin_full_sync(world)
    world.network.cut(node)
    pause(world, 10)
    end_full_sync(world)


def full_sync_to_the_end(world):
    begin_full_sync(world)
    end_full_sync(world)


def begin_bgsave(node):
    node.call("CONFIG", "SET", "rdb-key-save-delay", 300)
    with contextlib.suppress(redis.exceptions.ResponseError):  # One is under way.
        node.client.bgsave()


def primary_killed_during_bgsave(world):
    begin_bgsave(world.primary)
    pause(world, 1)
    primary_killed_and_replaced(world)


def replica_killed_during_bgsave(world):
    node = world.rng.choice(world.replicas())
    begin_bgsave(node)
    pause(world, 0.5)
    world.kill(node)


def pause(world, most=2.0):
    time.sleep(world.rng.uniform(0.05, most))


ACTS = (primary_killed_and_replaced, primary_killed_and_back, primary_stopped_and_replaced,
        primary_stopped, primary_cut_off_and_replaced, primary_cut_off, failover_in_good_order,
        replica_killed, replica_stopped, replica_cut_off, replica_killed_during_full_sync,
        primary_killed_during_full_sync, replica_cut_off_during_full_sync, full_sync_to_the_end,
        primary_killed_during_bgsave, replica_killed_during_bgsave)
BY_NAME = {act.__name__: act for act in ACTS}
