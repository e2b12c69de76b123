"""Slots move between nodes by valkey-cli, with cold keys, while clients write and read."""

import random

import pytest

from harness.cluster import Cluster, cluster_cli, owned_slots
from harness.slot_writers import KEYS_EACH, SMALL, WRITERS, Writers

SLOTS = 600


@pytest.mark.slow
def test_slots_move_under_load_with_cold_keys(server):
    cluster = Cluster(server, primaries=3, replicated=False, settings=SMALL)
    writers = Writers(cluster, random)
    source, target = cluster.primaries[:2]
    moved = owned_slots(source)
    held = target.call("DBSIZE")
    with writers.at_work():
        cluster_cli("reshard", f"127.0.0.1:{source.port}",
                    "--cluster-from", source.call("CLUSTER", "MYID").decode(),
                    "--cluster-to", target.call("CLUSTER", "MYID").decode(),
                    "--cluster-slots", SLOTS, "--cluster-yes", timeout=300)
        writers.go_on()
    assert len(moved - owned_slots(source)) == SLOTS
    assert target.call("DBSIZE") > held + SLOTS * WRITERS * KEYS_EACH // 16384 // 2
    writers.expect_all()
