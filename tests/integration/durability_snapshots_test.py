"""Snapshots of data of eight times the cache, with the log on and writers at work: exact.

Lists and scores that are appended to and added to would show any effect that is applied twice, or
not at all, between a snapshot and what is behind it; values that say who they are would show any
cold block that is another's. Demotions and compactions go on all the time.
"""

import asyncio
import contextlib
import threading

import pytest
import redis

from conftest import LOGGED, wait_until
from crash.reader import read_all
from crash.writer import Writer
from harness import values
from harness.children import child_of, has_ended

CACHE_MIB, VALUE_BYTES = 2, 4000
NUMBERS = range(8 * CACHE_MIB * (1 << 20) // VALUE_BYTES + 1)
SETTINGS = {**LOGGED, "flash.cache-size-bytes": f"{CACHE_MIB}mb", "flash.capacity-bytes": "64mb",
            "flash.compaction-interval-sec": "1", "flash.wal-max-bytes": "256mb"}


def test_a_child_that_saves_dies_with_its_server(server):
    """Else its snapshot would take the place of the next life's, behind which the log was cut."""
    node = server({**LOGGED, "rdb-key-save-delay": "1000000"}, start=False).start()
    node.save_in_background()
    saved = (node.dir / "dump.rdb").read_bytes()
    for number in range(5):
        node.call("FLASH.SET", f"key{number}", number)
    node.call("BGSAVE")
    child = child_of(node)
    # It reports after the first key, and would notice then; after that, with the 1,025th.
    wait_until(lambda: node.info("persistence")["current_save_keys_processed"] > 0, 60, "a key")
    node.kill()
    wait_until(lambda: has_ended(child), 60, "the child's end")
    assert (node.dir / "dump.rdb").read_bytes() == saved
    node.start()
    for number in range(5):
        assert node.call("FLASH.GET", f"key{number}") == str(number).encode()


def wait_until_cron_ran(node):
    """Till the server has looked after its replication, which it does each second."""
    ticks = lambda: node.info("server")["uptime_in_seconds"]  # noqa: E731
    end = ticks() + 2
    wait_until(lambda: ticks() >= end, 30, "the server's cron")


def name_of(number):
    return b"bulk:%d" % number


class Storm:
    """Writers at work from a block's begin to its end; judge() compares with what is there."""

    def __init__(self, node):
        self.node = node
        self.version = 1
        self.writers = [Writer(f"w{i}", i, 12) for i in range(4)]
        pipe = node.client.pipeline(transaction=False)
        for number in NUMBERS:
            pipe.execute_command("FLASH.SET", name_of(number),
                                 values.make(name_of(number), 1, VALUE_BYTES))
            if number % 200 == 199:
                pipe.execute()
        pipe.execute()

    def __enter__(self):
        async def work():
            await asyncio.gather(*(each.run(self.node.port, 8) for each in self.writers))

        self._stop = threading.Event()
        self._threads = [threading.Thread(target=lambda: asyncio.run(work())),
                         threading.Thread(target=self._churn)]
        for thread in self._threads:
            thread.start()
        wait_until(lambda: all(each.units > 50 for each in self.writers), what="writes")

    def _churn(self):
        """Overwrites values far beyond the cache with themselves: demotions, dead records."""
        client = self.node.connect()
        with contextlib.suppress(redis.exceptions.RedisError):
            while True:
                for number in NUMBERS:
                    if self._stop.is_set():
                        return
                    client.execute_command("FLASH.SET", name_of(number),
                                           values.make(name_of(number), 1, VALUE_BYTES))

    def __exit__(self, *_error):
        self._stop.set()
        with contextlib.suppress(redis.exceptions.RedisError):
            self.node.connect().client_kill_filter(_type="normal", skipme=True)
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def judge(self, node=None):
        node = node or self.node
        for each in self.writers:
            assert each.judge(read_all(node, each.keys)) == []
        client = node.connect()
        for first in range(0, len(NUMBERS), 200):
            names = [name_of(number) for number in NUMBERS[first:first + 200]]
            for name, value in zip(names, client.execute_command("FLASH.MGET", *names)):
                assert values.parse(value).name == name


def was_busy(node):
    """Values leave RAM and segments are compacted, and the cache keeps to its size."""
    before = node.info("flash")["flash_auto_demotions_total"]

    def moved():
        info = node.info("flash")
        return (info["flash_auto_demotions_total"] > before + 300
                and info["flash_compaction_bytes_reclaimed"] > 0)

    wait_until(moved, 60, "demotions and compactions")
    assert node.info("flash")["flash_cache_size_bytes"] <= 1.1 * CACHE_MIB * (1 << 20)


@pytest.mark.parametrize("save", ["BGSAVE", "SAVE"])
def test_a_snapshot_and_the_log_behind_it(server, save):
    node = server(SETTINGS)
    storm = Storm(node)
    with storm:
        for _ in range(3):
            node.save_in_background() if save == "BGSAVE" else node.save()
        was_busy(node)
        node.kill()
    node.start()
    assert node.info("flash")["flash_wal_recovered_records"] > 0
    storm.judge()


def test_reloads(server):
    """Nobody writes while data loads; what was written just before is in log and RDB alike."""
    node = server(SETTINGS)
    storm = Storm(node)
    for _ in range(2):
        with storm:
            was_busy(node)
        node.call("DEBUG", "RELOAD")
        storm.judge()
    with storm:
        node.kill()
    node.start()
    storm.judge()


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_a_rewrite_of_the_aof(server, preamble):
    node = server({**SETTINGS, "appendonly": "yes", "aof-use-rdb-preamble": preamble})
    storm = Storm(node)
    with storm:
        for _ in range(2):
            node.rewrite_aof()
        was_busy(node)
        node.kill()
    node.start()
    storm.judge()


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_full_synchronisation(server, diskless):
    node = server({**SETTINGS, "repl-diskless-sync": diskless})
    replica = server({**SETTINGS, "flash.replica-tier-enabled": "yes"})
    storm = Storm(node)
    with storm:
        replica.replicate_from(node, wait=False)
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", 60, "a link")
        was_busy(node)
    replica.wait_for_offset_of(node)
    models = [read_all(replica, each.keys) for each in storm.writers]
    storm.judge()
    assert models == [read_all(node, each.keys) for each in storm.writers]
    wait_until(lambda: replica.info("flash")["flash_wal_base"] == "ok", 60, "the replica's base")
    replica.client.replicaof("NO", "ONE")
    replica.restart(crash=True)
    storm.judge(replica)


def test_a_snapshot_made_for_a_replica_stays_for_the_log_that_was_cut_behind_it(server):
    # Without save points and AOF the server would delete it, once the replica has it.
    primary = server({**LOGGED, "rdb-del-sync-files": "yes", "repl-diskless-sync": "no"})
    primary.call("FLASH.SET", "before", "v")
    replica = server()
    replica.replicate_from(primary)
    wait_until(lambda: "Synchronization with replica" in primary.log(), 30, "the replica")
    wait_until_cron_ran(primary)
    primary.call("FLASH.SET", "after", "w")
    primary.restart(crash=True)
    assert primary.call("FLASH.DEBUG.STATE") == b"ready"
    assert primary.call("FLASH.MGET", "before", "after") == [b"v", b"w"]


def test_the_operators_rdb_del_sync_files_comes_back_when_there_is_no_log(server):
    name = "rdb-del-sync-files"
    node = server({**LOGGED, name: "yes"})
    setting = lambda: node.client.config_get(name)[name]  # noqa: E731
    assert setting() == "no"
    node.client.config_set("appendonly", "yes")
    wait_until(lambda: setting() == "yes", 30, "the AOF to stand")
    node.client.config_set("appendonly", "no")
    wait_until(lambda: setting() == "no", 30, "a log to begin")
    node.client.config_set(name, "yes")
    assert setting() == "no"
    assert server({name: "yes"}).client.config_get(name) == {name: "yes"}
