"""Clients that write and read keys while slots move.

The oracle is what each was told: every key is written by one thread alone, so after the move it
must hold the last acknowledged value, or the one whose answer never came.
"""

import contextlib
import random
import threading

from redis.exceptions import RedisError

from conftest import wait_until

KEYS_EACH = 1500
WRITERS = 3
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


class Writers:
    """WRITERS of them over a cluster, whose keys are there, nine of ten cold."""

    def __init__(self, cluster, rng):
        self._cluster = cluster
        self._all = [Writer(cluster, n) for n in range(WRITERS)]
        for writer in self._all:
            for key in writer.keys():
                writer.write(key)
        for node in cluster.nodes:
            for key in node.client.keys():
                if rng.random() < 0.9:
                    node.call("FLASH.DEBUG.DEMOTE", key)

    @contextlib.contextmanager
    def at_work(self):
        for writer in self._all:
            writer.start()
        try:
            yield
        finally:
            for writer in self._all:
                writer.stopping.set()
            for writer in self._all:
                writer.join()

    def go_on(self):
        """Waits until they have done more."""
        done = lambda: sum(writer.done for writer in self._all)  # noqa: E731
        before = done()
        wait_until(lambda: done() > before + 300, 60, "writers to go on")

    def expect_all(self):
        """Every key is there, right, and in one place."""
        for writer in self._all:
            writer.check()
            assert not writer.wrong, writer.wrong[:3]
        assert sum(node.call("DBSIZE") for node in self._cluster.nodes) == WRITERS * KEYS_EACH
        for node in self._cluster.nodes:
            assert node.info("flash")["flash_checksum_errors"] == 0
