"""Slots move between nodes by valkey-cli, with cold keys, while clients write and read.

The oracle is what each writer was told: every key is written by one thread alone, so after the move
it must hold the last acknowledged value, or the one whose answer never came.
"""

import random
import threading

import pytest
from redis.exceptions import RedisError

from conftest import wait_until
from harness.cluster import Cluster, cluster_cli, owned_slots

KEYS_EACH = 1500
WRITERS = 3
SLOTS = 600
SMALL = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "256mb"}


class Writer(threading.Thread):
    """Writes and reads keys of its own through a cluster client until told to stop."""

    def __init__(self, cluster, number):
        super().__init__()
        self.client = cluster.client()
        self.rng = random.Random(number)
        self.number = number
        self.known = {}     # Key: what it holds.
        self.open = {}      # Key: what it may hold as well; an answer is missing.
        self.wrong = []
        self.done = 0
        self.stopping = threading.Event()

    def write(self, key):
        value = b"%s:%d:" % (key, self.rng.getrandbits(60)) + self.rng.randbytes(
            self.rng.choice([30, 300, 900]))
        self.open[key] = value
        if b"h" in key:
            self.client.execute_command("FLASH.HSET", key, "f", value, "g", b"x" * 200)
        else:
            self.client.execute_command("FLASH.SET", key, value)
        self.known[key] = value
        del self.open[key]

    def read(self, key):
        if b"h" in key:
            return self.client.execute_command("FLASH.HGET", key, "f")
        return self.client.execute_command("FLASH.GET", key)

    def keys(self):
        return [b"%s%d:%d" % (b"h" if n % 4 == 0 else b"s", self.number, n)
                for n in range(KEYS_EACH)]

    def run(self):
        names = self.keys()
        while not self.stopping.is_set():
            key = self.rng.choice(names)
            try:
                if self.rng.random() < 0.4:
                    self.write(key)
                elif key not in self.open:
                    value = self.read(key)
                    if value != self.known[key]:
                        self.wrong.append((key, value, self.known[key]))
                self.done += 1
            except RedisError:
                continue  # The key keeps both possibilities.

    def check(self):
        for key in self.keys():
            value = self.read(key)
            if value not in (self.known[key], self.open.get(key)):
                self.wrong.append((key, value, self.known[key]))


@pytest.mark.slow
def test_slots_move_under_load_with_cold_keys(server):
    cluster = Cluster(server, primaries=3, replicated=False, settings=SMALL)
    writers = [Writer(cluster, n) for n in range(WRITERS)]
    for writer in writers:
        for key in writer.keys():
            writer.write(key)
    for node in cluster.nodes:
        for key in node.client.keys():
            if random.random() < 0.9:
                node.call("FLASH.DEBUG.DEMOTE", key)
    source, target = cluster.primaries[:2]
    moved = owned_slots(source)
    held = target.call("DBSIZE")
    for writer in writers:
        writer.start()
    try:
        cluster_cli("reshard", f"127.0.0.1:{source.port}",
                    "--cluster-from", source.call("CLUSTER", "MYID").decode(),
                    "--cluster-to", target.call("CLUSTER", "MYID").decode(),
                    "--cluster-slots", SLOTS, "--cluster-yes", timeout=300)
        before = sum(writer.done for writer in writers)
        wait_until(lambda: sum(writer.done for writer in writers) > before + 300, 60,
                   "writers to go on")
    finally:
        for writer in writers:
            writer.stopping.set()
        for writer in writers:
            writer.join()
    assert len(moved - owned_slots(source)) == SLOTS
    assert target.call("DBSIZE") > held + SLOTS * WRITERS * KEYS_EACH // 16384 // 2
    for writer in writers:
        writer.check()
        assert not writer.wrong, writer.wrong[:3]
    # Each key is in one place.
    assert sum(node.call("DBSIZE") for node in cluster.nodes) == WRITERS * KEYS_EACH
    for node in cluster.nodes:
        assert node.info("flash")["flash_checksum_errors"] == 0
