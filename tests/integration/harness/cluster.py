"""A cluster of primaries and replicas, made by valkey-cli as an operator makes it."""

import os
import re
import subprocess
import time

from redis.cluster import ClusterNode, RedisCluster

from conftest import SLOWDOWN, free_port, wait_until

CLI = os.environ.get("FLASH_CLI", "valkey-cli")
SETTINGS = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(int(15_000 * SLOWDOWN))}
# A node that serves the slots that it has, whoever has the others.
PARTIAL = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf",
           "cluster-require-full-coverage": "no"}
SLOTS = 16384


def cluster_cli(*words, timeout=120):
    """valkey-cli --cluster …; returns what it printed, fails with it if it fails."""
    run = subprocess.run([CLI, "--cluster", *map(str, words)], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, check=False,
                         timeout=timeout * SLOWDOWN)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def single_node(server, settings=None, slots=SLOTS):
    """A cluster of one node that owns the first `slots` slots."""
    node = server({**PARTIAL, "cluster-port": free_port(), **(settings or {})})
    node.call("CLUSTER", "ADDSLOTSRANGE", 0, slots - 1)
    wait_until(lambda: node.client.cluster("info")["cluster_state"] == "ok", 30,
               "the cluster to be up")
    return node


class Cluster:
    """Nodes: the primaries in `primaries`, the replica of primaries[i] in `replicas[i]`."""

    def __init__(self, server, primaries=3, replicated=True, settings=None, **options):
        count = primaries * (2 if replicated else 1)
        self.nodes = [server({**SETTINGS, "cluster-port": free_port(), **(settings or {})},
                             **options) for _ in range(count)]
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        cluster_cli("create", *addresses, "--cluster-replicas", 1 if replicated else 0,
                    "--cluster-yes")
        self.primaries, self.replicas = [], []
        self.wait_until_up()
        self.wait_until_written()
        self.find_roles()

    def find_roles(self):
        roles = [(node, node.info("replication")) for node in self.nodes]
        self.primaries = [node for node, role in roles if role["role"] == "master"]
        replica_of = {role["master_port"]: node for node, role in roles if role["role"] != "master"}
        self.replicas = [replica_of.get(node.port) for node in self.primaries]

    def wait_until_up(self):
        for node in self.nodes:
            wait_until(lambda n=node: n.client.cluster("info")["cluster_state"] == "ok", 60,
                       "the cluster to be up")
            if node.info("replication")["role"] != "master":
                wait_until(lambda n=node: n.info("replication")["master_link_status"] == "up", 60,
                           "the replication link")

    def wait_until_written(self):
        """Until each node's own file says of each replica that it is in its primary's shard.

        The server refuses to start over a file that says otherwise, as it does for a while after
        the cluster was created.
        """
        for node in self.nodes:
            wait_until(lambda n=node: shards_agree(n.dir / "nodes.conf"), 60, "nodes.conf")

    def client(self):
        """A cluster client of redis-py; close it."""
        nodes = [ClusterNode("127.0.0.1", node.port) for node in self.nodes]
        return RedisCluster(startup_nodes=nodes, socket_timeout=60 * SLOWDOWN)

    def owner(self, key):
        """The primary that has the key's slot."""
        slot = self.nodes[0].call("CLUSTER", "KEYSLOT", key)
        for node in self.primaries:
            if slot in owned_slots(node):
                return node
        raise AssertionError(f"nobody has slot {slot}")


def take_over(replica, seconds=120):
    """CLUSTER FAILOVER of `replica`; asked again where the votes do not come in time.

    A node that has just come back may not yet count as one that can be voted for.
    """
    asked = None
    deadline = seconds * SLOWDOWN / 10  # Longer than the server's own limit of 5 s.

    def took_over():
        nonlocal asked
        if replica.info("replication")["role"] == "master":
            return True
        if asked is None or time.monotonic() - asked > deadline:
            asked = time.monotonic()
            replica.call("CLUSTER", "FAILOVER")
        return False

    wait_until(took_over, seconds, "the manual failover")


def migration_outcomes(node):
    """State and message of each atomic slot migration the node knows of, the last one first."""
    jobs = [dict(zip(job[::2], job[1::2])) for job in node.call("CLUSTER", "GETSLOTMIGRATIONS")]
    return [(job[b"state"], job[b"message"]) for job in jobs]


def shards_agree(path):
    """Does a node's file name the same shard for each replica and its primary?"""
    lines = [line.split() for line in path.read_text().splitlines() if "shard-id=" in line]
    shard_of = {line[0]: re.search("shard-id=([0-9a-f]+)", line[1])[1] for line in lines}
    return all(line[3] == "-" or shard_of[line[0]] == shard_of.get(line[3]) for line in lines)


def owned_slots(node):
    """The slots that a node says it owns."""
    mine = node.call("CLUSTER", "MYID")
    mine = mine.decode() if isinstance(mine, bytes) else mine
    slots = set()
    for first, last, *nodes in node.call("CLUSTER", "SLOTS"):
        if nodes[0][2].decode() == mine:
            slots.update(range(first, last + 1))
    return slots
