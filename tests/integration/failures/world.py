"""Three nodes in networks of their own: a primary, its replicas, of which one may be chained.

Whoever is the primary is told to the load, with what WAIT must hear. Blocking calls: the acts run
them in threads. Needs root: harness/network.py.
"""

import os
import random
import signal

from conftest import LOGGED, MODULE, wait_until

NODES = 3
FILLER = 600
SETTINGS = {**LOGGED, "flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "128mb",
            "flash.compaction-interval-sec": "1", "repl-ping-replica-period": "1",
            "repl-timeout": "8"}
TIERS = {"yes": ("yes",) * NODES, "no": ("no",) * NODES, "mixed": ("yes", "no", "no")}


def settings_of(rng):
    """Settings of one round: how full synchronisations go, and how much PSYNC can bridge."""
    return {**SETTINGS, "repl-diskless-sync": rng.choice(["yes", "no"]),
            "repl-diskless-load": rng.choice(["disabled", "swapdb", "swapdb"]),
            "repl-backlog-size": rng.choice(["16kb", "1mb", "16mb"])}


class World:
    """tier: which nodes have a tier while they are replicas, one of TIERS."""

    PREFIX = b""  # Of all keys.
    NODES = NODES

    def __init__(self, network, folder, seed, tier="yes", more=None):
        self.rng = random.Random(seed)
        self.network = network
        self.settings = {**settings_of(self.rng), **(more or {})}
        tiers = self.rng.sample(TIERS[tier], self.NODES)
        self.nodes = [network.server(folder / f"node{n}",
                                     {**self.settings, "flash.replica-tier-enabled": tiers[n]},
                                     MODULE)
                      for n in range(self.NODES)]
        self.everybody = list(self.nodes)
        self.primary = self.nodes[0]
        self.follows = {}  # Of each replica: whom.
        self.load = None
        self.counts = {}

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def start(self):
        for node in self.nodes:
            node.start()
        pipe = self.primary.client.pipeline(transaction=False)
        for n in range(FILLER):
            pipe.execute_command("FLASH.SET", f"filler{n}", os.urandom(5000))
        pipe.execute()

    # Who follows whom -------------------------------------------------------------------------

    def replicas(self):
        return [node for node in self.nodes if node is not self.primary]

    def direct(self):
        return [node for node in self.replicas() if self.follows.get(node) is self.primary]

    def arrange(self):
        """The other two follow the primary, or one of them the other; told to the load."""
        first, second = self.rng.sample(self.replicas(), 2)
        chained = self.rng.random() < 0.4
        wanted = {first: self.primary, second: first if chained else self.primary}
        # Nothing is confirmed meanwhile: whom WAIT hears is not known.
        self.load.topology(self.replicas(), 0)
        for node, target in wanted.items():
            self.follow(node, target)
        for node in (first, second):
            self.wait_for_link(node)
        # Whoever was a replica of the primary is one no longer before its word counts.
        count = len(self.direct())
        wait_until(lambda: self.primary.info("replication")["connected_slaves"] == count, 60,
                   "the replicas that are meant")
        self.load.topology(self.replicas(), count)
        self.count_replicas()

    def count_replicas(self):
        for node in self.replicas():
            assert node.call("FLASH.DEBUG.STATE") == b"ready", node.dir.name
            self.count(f"replicas with tier {node.info('flash')['flash_tier_state']}")

    def follow(self, node, target):
        role = node.info("replication")
        if role["role"] != "slave" or role.get("master_host") != target.host:
            node.client.replicaof(target.host, target.port)
        self.follows[node] = target

    def wait_for_link(self, node):
        wait_until(lambda: node.info("replication").get("master_link_status") == "up", 120,
                   f"the link of {node.dir.name}")

    def heal(self):
        """Everything runs, is reachable, and follows the primary."""
        for node in self.everybody:
            self.network.join(node)
            if not node.alive():
                node.start()
            node.process.send_signal(signal.SIGCONT)
        self.arrange()

    def fit(self):
        """A replica that may be promoted, as the primary's end finds it; None if there is none."""
        ready = [node for node in self.direct()
                 if node.info("replication").get("master_link_status") == "up"]
        return self.rng.choice(ready) if ready else None

    def promote(self, node):
        """`node` is the primary; the others are told by the next heal()."""
        node.client.replicaof("NO", "ONE")
        self.primary = node
        self.follows.pop(node, None)
        self.load.promote(node)
        self.load.topology(self.replicas(), 0)
        self.count("failovers")

    def kill(self, node):
        node.kill()
        self.count("kills")

    # In the end -------------------------------------------------------------------------------

    def settle(self):
        """All nodes have the same keys, in the end; returns the digest."""
        for node in self.replicas():
            node.wait_for_offset_of(self.primary)
        digests = {node.dir.name: node.call("DEBUG", "DIGEST") for node in self.nodes}
        assert len(set(digests.values())) == 1, digests
        return digests.popitem()[1]

    def flash_sum(self, field):
        return sum(node.info("flash").get(f"flash_{field}", 0) for node in self.nodes)


def syncs_begun(node):
    """Full synchronisations that a node has begun in its lives."""
    return node.log().count("Full resync from")
