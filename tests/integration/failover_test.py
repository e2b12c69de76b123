"""Failovers of tiered nodes: nothing confirmed is lost, cold keys are there at once, and the old
primary comes back, cold keys on both sides, by PSYNC and by full synchronisation.

By hand and by FAILOVER; by Sentinel and in a cluster: failover_automatic_test.py; under load and
failing in worse ways: failures_test.py.
"""

import asyncio
import signal

import pytest

from async_load_test import digest, fill, names, tiered
from conftest import LOGGED, wait_until
from failures.load import Load
from harness.pairs import wait_for_tier
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection

TIER = {"flash.cache-size-bytes": "1mb", "flash.compression": "none",
        "flash.replica-tier-enabled": "yes", "repl-backlog-size": "16mb"}
TIERLESS = {"flash.replica-tier-enabled": "no"}
BOTH = pytest.mark.parametrize("settings", [{}, TIERLESS], ids=["tier", "no tier"])
COLD = ["rope", "tree", *names(60)]


@pytest.fixture
def pair(server):
    """A primary with cold keys of every shape and its replica, as cold if it has a tier."""
    def make(settings=None):
        primary, replica = [server({**TIER, **(settings or {})}) for _ in range(2)]
        fill(primary)
        replica.replicate_from(primary)
        replica.wait_for_offset_of(primary)
        if replica.settings["flash.replica-tier-enabled"] == "yes":
            chill(replica, *COLD)
        else:
            wait_for_tier(replica, "none")
        return primary, replica
    return make


def promote(node):
    node.client.replicaof("NO", "ONE")
    assert node.call("FLASH.DEBUG.STATE") == b"ready"


def change_every_shape(node, text):
    """Writes to cold keys, most of which park; what they leave is known by `text`."""
    c = Connection(node.port)
    for n in range(0, 60, 3):
        c.must("FLASH.HSET", f"hash{n}", "f", text, text, "new")
        c.must("FLASH.RPUSH", f"list{n}", text)
        c.must("FLASH.ZADD", f"zset{n}", 5, text)
        c.must("FLASH.SET", f"string{n + 1}", text * 30)
    c.must("FLASH.HSET", "tree", "f1999", text)
    c.close()


def is_changed(node, text):
    c = Connection(node.port)
    try:
        return all(c.must("FLASH.HGET", f"hash{n}", "f") == text.encode()
                   and c.must("FLASH.LRANGE", f"list{n}", -1, -1) == [text.encode()]
                   and c.must("FLASH.ZSCORE", f"zset{n}", text) == b"5"
                   and c.must("FLASH.GET", f"string{n + 1}") == text.encode() * 30
                   for n in range(0, 60, 3)) and c.must("FLASH.HGET", "tree", "f1999") == \
            text.encode()
    finally:
        c.close()


def syncs(node):
    stats = node.info("stats")
    return stats["sync_full"], stats["sync_partial_ok"]


# By hand -----------------------------------------------------------------------------------------

@BOTH
def test_a_promoted_replica_has_its_cold_keys_and_takes_writes(pair, settings):
    primary, replica = pair(settings)
    before, cold = digest(primary), tiered(replica)
    assert cold > 200 or (settings and cold == 0)
    primary.kill()
    promote(replica)
    assert digest(replica) == before and tiered(replica) >= cold
    change_every_shape(replica, "after")
    wait_for_tier(replica)
    assert is_changed(replica, "after")
    chill(replica, *COLD)
    assert is_changed(replica, "after")


@BOTH
def test_the_old_primary_comes_back_by_psync(pair, settings):
    primary, replica = pair(settings)
    promote(replica)
    change_every_shape(replica, "after")
    wait_for_tier(replica)
    chill(replica, *COLD)
    full = syncs(replica)[0]
    primary.replicate_from(replica)
    primary.wait_for_offset_of(replica)
    assert syncs(replica) == (full, 1), "a full synchronisation"
    assert is_changed(primary, "after") and digest(primary) == digest(replica)
    assert tiered(primary) > 100


@pytest.mark.parametrize("how, settings", [("disk", {}), ("diskless", {}), ("swapdb", {}),
                                           ("swapdb", TIERLESS)],
                         ids=["disk", "diskless", "swapdb", "swapdb, no tier"])
def test_the_old_primary_comes_back_by_full_synchronisation(pair, how, settings):
    """With cold keys of its own, some of which its replica never got, and from its own snapshot."""
    primary, replica = pair({"repl-diskless-sync": "no" if how == "disk" else "yes",
                             "repl-diskless-load": "swapdb" if how == "swapdb" else "disabled",
                             **settings})
    wait_until(lambda: not primary.info("persistence")["rdb_bgsave_in_progress"], 30, "the child")
    primary.call("SAVE")
    replica.process.send_signal(signal.SIGSTOP)
    change_every_shape(primary, "lost")
    primary.kill()
    replica.process.send_signal(signal.SIGCONT)
    promote(replica)
    change_every_shape(replica, "after")
    primary.start()
    chill(primary, *COLD)
    used = primary.info("flash")["flash_storage_used_bytes"]
    primary.replicate_from(replica)
    primary.wait_for_offset_of(replica)
    assert syncs(replica)[0] == 1
    assert is_changed(primary, "after") and digest(primary) == digest(replica)
    if settings:
        wait_for_tier(primary, "none")
    else:
        chill(primary, *COLD)
    wait_until(lambda: primary.info("flash")["flash_storage_used_bytes"] < used * 1.1, 30,
               "the tier to be given back")
    primary.client.replicaof("NO", "ONE")
    wait_for_tier(primary)
    primary.call("FLUSHALL", "SYNC")
    wait_until(lambda: primary.info("flash")["flash_storage_used_bytes"] == 0, 30, "free blocks")


@BOTH
def test_failover_there_and_back_under_writers(pair, settings):
    """FAILOVER loses nothing that was acknowledged, and neither side synchronises fully."""
    nodes = list(pair(settings))
    load = Load(nodes[0], seed=1, clients=3, prefix=b"l:")
    full = [syncs(node)[0] for node in nodes]

    def swap():
        old, new = load.line.node, nodes[1 - nodes.index(load.line.node)]
        old.call("FAILOVER", "TIMEOUT", 60_000)
        wait_until(lambda: old.info("replication")["master_failover_state"] == "no-failover", 90,
                   "the failover")
        assert new.info("replication")["role"] == "master"
        load.promote(new, in_good_order=True)
        wait_until(lambda: old.info("replication").get("master_link_status") == "up", 30, "link")
        load.topology([old], 1)

    async def director():
        await asyncio.to_thread(load.topology, [nodes[1]], 1)
        for _ in range(4):
            await writes(load, 200)
            await asyncio.to_thread(swap)
            await load.all_swept()
        await writes(load, 200)

    asyncio.run(load.run(director()))
    assert load.counts["lost unconfirmed"] == 0 and load.counts["lines"] == 4
    assert [syncs(node)[0] for node in nodes] == full
    nodes[1].wait_for_offset_of(nodes[0])
    assert digest(nodes[0]) == digest(nodes[1])


async def writes(load, count):
    goal = load.counts["writes"] + count
    while load.counts["writes"] < goal and not load.stopping:
        await asyncio.sleep(0.01)


# WAIT and min-replicas-to-write ------------------------------------------------------------------

@pytest.fixture
def holder(tmp_path, monkeypatch):
    return Holder(tmp_path, monkeypatch)


def test_wait_behind_a_parked_write_means_that_write(holder, pair):
    primary, replica = pair()
    chill(primary, "hash0")
    holder.hold("release")
    client = send_and_park(primary, "FLASH.HSET", "hash0", "f", "parked")
    client.send(("WAIT", 1, 60_000))
    other = Connection(primary.port)
    other.must("SET", "native", "x")
    assert other.must("WAIT", 1, 60_000) == 1  # Of what it wrote itself, whoever is parked.
    read = "return redis.call('FLASH.HGET', KEYS[1], 'f')"  # Scripts are not held.
    assert Connection(replica.port).must("EVAL", read, 1, "hash0") == b"old "
    holder.let_go()
    assert client.read().value == 0
    assert client.read().value == 1
    primary.kill()
    promote(replica)
    assert Connection(replica.port).must("FLASH.HGET", "hash0", "f") == b"parked"


def test_what_wait_confirmed_is_read_at_once_from_a_cold_replica(pair):
    """The replica applies it to a leaf that is on its way: nobody sees it without."""
    primary, replica = pair()
    c, r = Connection(primary.port), Connection(replica.port)
    for n in range(60):
        c.must("FLASH.HSET", f"hash{n}", "f", f"v{n}")
        c.must("FLASH.RPUSH", f"list{n}", f"v{n}")
        c.must("FLASH.ZADD", f"zset{n}", 9, f"v{n}")
        assert c.must("WAIT", 1, 60_000) == 1
        assert r.must("FLASH.HGET", f"hash{n}", "f") == b"v%d" % n
        assert r.must("FLASH.LRANGE", f"list{n}", -1, -1) == [b"v%d" % n]
        assert r.must("FLASH.ZSCORE", f"zset{n}", f"v{n}") == b"9"


def test_min_replicas_to_write(holder, pair):
    """Asked when a command comes, hot or cold, as the server asks; what is parked was let in."""
    primary, replica = pair()
    c = Connection(primary.port)
    c.must("CONFIG", "SET", "min-replicas-to-write", 1)
    chill(primary, "hash0", "hash1")
    c.must("FLASH.HSET", "hash2", "f", "hot")
    holder.hold("release")
    parked = send_and_park(primary, "FLASH.HSET", "hash0", "f", "parked")
    replica.kill()
    wait_until(lambda: primary.info("replication")["min_slaves_good_slaves"] == 0, 60, "the loss")
    for key in ("hash1", "hash2"):
        refused = c.call("FLASH.HSET", key, "f", "x")
        assert refused.is_error and refused.value.startswith(b"NOREPLICAS"), refused
    assert parked_now(primary) == 1
    holder.let_go()
    assert parked.read().value == 0
    assert c.must("FLASH.HGET", "hash1", "f") == b"old "
    replica.start()
    replica.replicate_from(primary)
    wait_until(lambda: primary.info("replication")["min_slaves_good_slaves"] == 1, 60, "a replica")
    c.must("FLASH.HSET", "hash1", "f", "x")
    replica.wait_for_offset_of(primary)
    assert digest(primary) == digest(replica)


def test_a_parked_write_does_not_outlive_its_primarys_role(holder, pair):
    primary, replica = pair()
    chill(primary, "hash0")
    holder.hold("release")
    client = send_and_park(primary, "FLASH.HSET", "hash0", "f", "parked")
    promote(replica)
    primary.client.replicaof(replica.host, replica.port)
    holder.let_go()
    try:
        reply = client.read()
        assert reply.is_error and reply.value.startswith((b"UNBLOCKED", b"READONLY")), reply
    except ConnectionError:
        pass
    wait_until(lambda: primary.info("replication")["master_link_status"] == "up", 30, "the link")
    primary.wait_for_offset_of(replica)
    for node in (primary, replica):
        assert Connection(node.port).must("FLASH.HGET", "hash0", "f") == b"old "
    assert digest(primary) == digest(replica)


def test_who_promotes_is_told(pair):
    """Also where the log has no snapshot yet and the link brought something in the same turn."""
    primary, replica = pair(LOGGED)
    replica.call("CONFIG", "SET", "rdb-key-save-delay", 100_000)
    replica.client.replicaof("NO", "ONE")
    replica.call("SET", "elsewhere", "x")
    replica.replicate_from(primary)
    wait_until(lambda: replica.info("flash")["flash_wal_base"] == "awaited", 30, "the log")
    sleeper, boss, writer = (Connection(node.port) for node in (replica, replica, primary))
    boss.must("PING")
    sleeper.send(("DEBUG", "SLEEP", "1"))
    writer.must("FLASH.HSET", "hash0", "f", "x")
    writer.must("FLASH.HSET", "hash1", "f", "x")
    boss.send(("REPLICAOF", "NO", "ONE"))
    assert sleeper.read().plain() == b"OK"
    assert boss.read().plain() == b"OK"
    replica.call("CONFIG", "SET", "rdb-key-save-delay", 0)
