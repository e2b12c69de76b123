"""A shard of a cluster in networks of their own: its primary and replica, and two other primaries.

The others own the other slots, vote, and hold nothing. Who is the shard's primary is the cluster's
affair: the load is told what it decided. All keys are in one slot. Needs root: harness/network.py.
"""

import os

from conftest import MODULE, SLOWDOWN, wait_until
from failures.world import FILLER, World
from harness.network import PORT

TIMEOUT_MS = int(2000 * SLOWDOWN)
# Not cluster-replica-validity-factor 0: a primary that comes back to find itself replaced would
# stand for election before it has synchronised, with what was lost already.
SETTINGS = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": TIMEOUT_MS}
SLOT = 15_495  # Of {a}: among the first.
SLOTS = ((10_000, 16_383), (0, 4_999), (5_000, 9_999))


class ClusterWorld(World):
    PREFIX = b"{a}"
    NODES = 2

    def __init__(self, network, folder, seed, tier="yes"):
        super().__init__(network, folder, seed, tier, SETTINGS)
        self.voters = [network.server(folder / f"voter{n}", self.settings, MODULE)
                       for n in range(2)]
        self.everybody += self.voters

    def start(self):
        for node in self.everybody:
            node.start()
        replica = self.nodes[1]
        for epoch, (node, slots) in enumerate(zip((self.primary, *self.voters), SLOTS), 1):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            node.call("CLUSTER", "ADDSLOTSRANGE", *slots)
        for node in self.everybody[1:]:
            node.call("CLUSTER", "MEET", self.primary.host, PORT)
        self.wait_for_votes(known=4)
        replica.call("CLUSTER", "REPLICATE", self.primary.call("CLUSTER", "MYID"))
        self.follows[replica] = self.primary
        self.wait_for_link(replica)
        pipe = self.primary.client.pipeline(transaction=False)
        for n in range(FILLER):
            pipe.execute_command("FLASH.SET", f"{{a}}filler{n}", os.urandom(5000))
        pipe.execute()

    def wait_for_votes(self, known=4):
        """Everybody says that the cluster is well, and knows everybody."""
        def well(node):
            info = node.client.cluster("info")
            return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == known \
                and int(info["cluster_slots_ok"]) == 16_384
        for node in self.everybody:
            wait_until(lambda n=node: well(n), 60, f"the cluster, as {node.dir.name} sees it")

    # Who follows whom -------------------------------------------------------------------------

    def heir(self):
        return self.replicas()[0]

    def voted(self):
        """True once the replica is the primary; the load is told.

        Not who thinks so for not having heard yet: a primary that was replaced has the older epoch.
        """
        heir, old = self.heir(), self.primary
        if heir.info("replication")["role"] != "master":
            return False
        if old.info("replication")["role"] == "master" and epoch(heir) <= epoch(old):
            return False
        self.primary = heir
        self.follows = {old: heir}
        self.load.promote(heir)
        self.load.topology([old], 0)
        self.count("failovers")
        return True

    def arrange(self):
        """The cluster has settled, with one primary of the shard and one replica that follows it.

        A machine that held up everything for long may have had it vote meanwhile.
        """
        for node in self.everybody:
            node.call("CONFIG", "SET", "min-replicas-to-write", 0)
        self.load.topology(self.replicas(), 0)
        self.wait_for_votes()
        heir = self.heir()

        def settled():
            if self.voted():
                return False
            role = self.heir().info("replication")
            return role["role"] == "slave" and role["master_link_status"] == "up" \
                and role["master_host"] == self.primary.host \
                and self.primary.info("replication")["connected_slaves"] == 1

        wait_until(settled, 120, f"{heir.dir.name} or its primary to follow the other")
        self.load.topology(self.replicas(), 1)
        self.count_replicas()


def epoch(node):
    """Of its own vote, or of its primary's."""
    return int(node.client.cluster("info")["cluster_my_epoch"])
