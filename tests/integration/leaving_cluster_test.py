"""The way out of a cluster of 3 primaries and 3 replicas: drained, then started without the module.
"""

import pytest

from conftest import wait_until
from harness.cluster import Cluster
from leaving_test import NATIVE, content, fill

SMALL = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "256mb"}


def contents(node):
    return {key: content(node, key) for key in sorted(node.client.keys())}


def leave(node):
    """Starts a node again without the module."""
    node.stop()
    node.module = None
    for name in [name for name in node.settings if name.startswith("flash.")]:
        del node.settings[name]
    node.start()


@pytest.mark.slow
def test_a_cluster_leaves_primaries_first_and_loses_nothing(server):
    """docs/leaving.md: drain primaries, wait for replicas, restart replicas, then primaries."""
    cluster = Cluster(server, settings={**SMALL, "flash.replica-tier-enabled": "yes"})
    tags = {}
    for n in range(2000):
        tags.setdefault(cluster.owner(f"{{{n}}}"), f"{{{n}}}")
        if len(tags) == len(cluster.primaries):
            break
    for node, tag in tags.items():
        fill(node, tag, seed=node.port)
        for key in node.client.keys():
            node.call("FLASH.DEBUG.DEMOTE", key)
    before = {node: contents(node) for node in cluster.primaries}
    assert all(len(held) > 10 for held in before.values())

    for node in cluster.primaries:
        assert node.call("FLASH.DRAIN", "ALLDBS", "FORCE")[2] == 0
    for primary, replica in zip(cluster.primaries, cluster.replicas):
        replica.wait_for_offset_of(primary)
        replica.call("READONLY")
        assert {replica.client.type(key) for key in replica.client.keys()} == \
            set(NATIVE.values())
        assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")
    digests = {node: node.call("DEBUG", "DIGEST") for node in cluster.primaries}

    for node in cluster.nodes:
        node.call("SAVE")
    for node in cluster.replicas + cluster.primaries:
        leave(node)
    cluster.wait_until_up()
    for primary, replica in zip(cluster.primaries, cluster.replicas):
        assert primary.call("DEBUG", "DIGEST") == digests[primary]
        assert contents(primary) == before[primary]
        wait_until(lambda r=replica, p=primary: r.call("DEBUG", "DIGEST") == digests[p], 60,
                   "the replica's copy")
