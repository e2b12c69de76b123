"""Failovers that nobody asked for: by Sentinel, which is the server's own binary, and by a cluster.

Clients write all the time (failures/load.py); what WAIT confirmed must be there, the old primary
comes back as a replica, with cold keys on both sides.
"""

import asyncio
import subprocess

import pytest
import redis

from async_load_test import digest
from conftest import LOGGED, SERVER_BINARY, SLOWDOWN, free_port, wait_until
from failures.load import Load
from harness.cluster import Cluster, take_over

pytestmark = pytest.mark.slow

TIER = {"flash.cache-size-bytes": "1mb", "flash.replica-tier-enabled": "yes",
        "repl-backlog-size": "16mb"}


class Sentinel:
    """A sentinel that decides alone about `primary` and finds its replicas."""

    def __init__(self, folder, primary):
        folder.mkdir()
        self.port = free_port()
        conf = folder / "sentinel.conf"
        conf.write_text(f"""bind 127.0.0.1
port {self.port}
dir {folder}
logfile {folder}/sentinel.log
sentinel monitor pair 127.0.0.1 {primary.port} 1
sentinel down-after-milliseconds pair {int(2000 * SLOWDOWN)}
sentinel failover-timeout pair {int(60_000 * SLOWDOWN)}
sentinel parallel-syncs pair 2
""")
        self._process = subprocess.Popen([SERVER_BINARY, str(conf), "--sentinel"],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         start_new_session=True)
        self._client = redis.Redis(port=self.port, socket_timeout=60 * SLOWDOWN)

    def ask(self, *words):
        return self._client.execute_command("SENTINEL", *words)

    def primary_port(self):
        return int(self._client.sentinel_get_master_addr_by_name("pair")[1])

    def wait_for_replicas(self, count):
        wait_until(lambda: self._client.sentinel_master("pair")["num-slaves"] == count
                   and all(replica["master-link-status"] == "ok"
                           for replica in self._client.sentinel_slaves("pair")), 60,
                   "the sentinel to know the replicas")

    def close(self):
        self._client.close()
        self._process.terminate()
        self._process.wait(30)


async def writes(load, count):
    goal = load.counts["writes"] + count
    while load.counts["writes"] < goal and not load.stopping:
        await asyncio.sleep(0.01)


def link_up(node):
    return node.info("replication").get("master_link_status") == "up"


def follow_all(load, nodes, primary):
    """Returns once all others are replicas of the primary with their links up."""
    others = [node for node in nodes if node is not primary]
    wait_until(lambda: all(node.info("replication").get("master_port") == primary.port
                           and link_up(node) for node in others), 120, "all replicas")
    load.topology(others, len(others))


def digests_agree(nodes, primary):
    for node in nodes:
        if node is not primary:
            node.wait_for_offset_of(primary)
    assert len({digest(node) for node in nodes}) == 1


def test_sentinel_replaces_a_primary_that_died(server, tmp_path):
    """One of the three has a tier while it is a replica; in the cluster below, all have."""
    nodes = [server({**TIER, **LOGGED, "flash.replica-tier-enabled": tier})
             for tier in ("no", "yes", "no")]
    for node in nodes[1:]:
        node.replicate_from(nodes[0])
    sentinel = Sentinel(tmp_path / "sentinel", nodes[0])
    try:
        load = Load(nodes[0], seed=5)

        def replace(fail):
            old = load.line.node
            load.topology(load.replicas, 0)
            fail(old)
            wait_until(lambda: sentinel.primary_port() != old.port, 120, "the failover")
            [new] = [node for node in nodes if node.port == sentinel.primary_port()]
            load.promote(new)
            if not old.alive():
                old.start()
            return new

        async def director():
            await asyncio.to_thread(sentinel.wait_for_replicas, 2)
            primary = nodes[0]
            for fail in (lambda node: node.kill(),
                         lambda _: sentinel.ask("FAILOVER", "pair")):
                await asyncio.to_thread(follow_all, load, nodes, primary)
                await writes(load, 500)
                primary = await asyncio.to_thread(replace, fail)
                await load.all_swept()
                await writes(load, 300)
            await asyncio.to_thread(follow_all, load, nodes, primary)

        asyncio.run(load.run(director()))
        assert load.counts["lines"] == 2 and load.counts["confirmed"] > 100
        digests_agree(nodes, load.line.node)
        assert load.counts["demotions"] > 200
    finally:
        sentinel.close()


def test_a_clusters_replica_takes_over_and_gives_back(server):
    """Kill -9 of a primary of 3+3; it comes back as a replica, and CLUSTER FAILOVER makes it
    primary again, which loses nothing at all."""
    cluster = Cluster(server, settings={**TIER, **LOGGED, "cluster-node-timeout": "5000"})
    old = cluster.owner(b"{a}")
    new = cluster.replicas[cluster.primaries.index(old)]
    load = Load(old, seed=6, prefix=b"{a}")

    def is_primary(node):
        return node.info("replication")["role"] == "master"

    def die():
        load.topology([new], 0)
        old.kill()
        wait_until(lambda: is_primary(new), 120, "the replica to take over")
        load.promote(new)

    def come_back():
        old.start()
        wait_until(lambda: not is_primary(old) and link_up(old), 120, "the old primary")
        load.topology([old], 1)

    def give_back():
        load.topology([old], 0)
        take_over(old)
        wait_until(lambda: not is_primary(new), 60, "the other to become a replica")
        load.promote(old, in_good_order=True)
        wait_until(lambda: link_up(new), 120, "the link")
        load.topology([new], 1)

    async def director():
        await asyncio.to_thread(load.topology, [new], 1)
        await writes(load, 500)
        await asyncio.to_thread(die)
        await load.all_swept()
        await writes(load, 300)
        await asyncio.to_thread(come_back)
        await writes(load, 300)
        lost = load.counts["lost unconfirmed"]
        await asyncio.to_thread(give_back)
        await load.all_swept()
        assert load.counts["lost unconfirmed"] == lost
        await writes(load, 300)

    asyncio.run(load.run(director()))
    assert load.counts["lines"] == 2 and load.counts["confirmed"] > 100
    assert load.counts["replica reads"] > 10
    digests_agree([old, new], old)
    assert load.counts["demotions"] > 200
