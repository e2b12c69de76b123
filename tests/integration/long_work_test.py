"""Commands on values of many times the cache: in portions, nobody is evicted, nothing half done."""

import threading

import pytest

from harness.parking import chill
from harness.resp import Connection

CACHE = 4 << 20
STRINGS = 20_000
ELEMENT = 1000
ELEMENTS = 80_000


@pytest.fixture
def crowded(server):
    """64 MiB for 20,000 strings and a cold list of 80 MB, which an allkeys policy may evict."""
    node = server({"flash.cache-size-bytes": str(CACHE), "flash.capacity-bytes": "1gb",
                   "flash.compression": "none", "maxmemory": "64mb",
                   "maxmemory-policy": "allkeys-lru"})
    link = Connection(node.port)
    for start in range(0, STRINGS, 1000):
        link.send(*(["SET", f"string:{n}", "x" * 400] for n in range(start, start + 1000)))
        for _ in range(1000):
            assert not link.read().is_error
    fill_list(link, b"L", ELEMENTS)
    link.close()
    chill(node, "L")
    return node


def fill_list(link, key, count, at_once=100):
    for start in range(0, count, at_once):
        link.must("FLASH.RPUSH", key, *(element(n) for n in range(start, start + at_once)))


def element(number):
    return b"%d:" % number + b"e" * (ELEMENT - 10)


def reset_peak(node):
    for size in (CACHE + 1, CACHE):
        node.client.config_set("flash.cache-size-bytes", size)


class Writer:
    """Another client, which writes all the while."""

    def __init__(self, node):
        self._node, self._stop, self.replies = node, threading.Event(), []
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        client = self._node.connect()
        number = 0
        while not self._stop.is_set():
            self.replies.append(client.set(f"string:{number % STRINGS}", "y" * 400))
            number += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


HOW = ("plain", "multi", "script")


def run(node, how, *command):
    client = node.connect()
    if how == "plain":
        return client.execute_command(*command)
    if how == "multi":
        with client.pipeline(transaction=True) as pipeline:
            pipeline.execute_command(*command)
            return pipeline.execute()[0]
    return client.eval("return redis.call(unpack(ARGV))", 1, command[1], *command)


def check_bound(node):
    info = node.info()
    assert info["evicted_keys"] == 0
    assert info["flash_hot_bytes_peak"] <= CACHE * 1.1


@pytest.mark.parametrize("how", HOW)
def test_a_search_through_a_list_of_twenty_times_the_cache_evicts_nobody(crowded, how):
    node = crowded
    reset_peak(node)
    with Writer(node) as writer:
        assert run(node, how, "FLASH.LREM", "L", 0, "nosuch") == 0
        assert run(node, how, "FLASH.LREM", "L", -3, "nosuch") == 0
        assert run(node, how, "FLASH.LINSERT", "L", "BEFORE", "nosuch", "x") == -1
    assert len(writer.replies) > 0 and all(writer.replies)
    assert node.client.dbsize() == STRINGS + 1
    check_bound(node)


@pytest.mark.parametrize("how", HOW)
def test_what_is_taken_out_of_a_long_list_is_right_and_within_the_bound(crowded, how):
    node = crowded
    expire_at = node.client.expireat("L", 4_000_000_000) and node.client.expiretime("L")
    for position in (0, 1, 40_000, ELEMENTS - 1):
        assert node.call("FLASH.LSET", "L", position, "odd") == b"OK"
    chill(node, "L")
    reset_peak(node)
    assert run(node, how, "FLASH.LREM", "L", 2, "odd") == 2
    assert run(node, how, "FLASH.LREM", "L", -1, "odd") == 1
    assert run(node, how, "FLASH.LINSERT", "L", "AFTER", "odd", "new") == ELEMENTS - 2
    assert run(node, how, "FLASH.LREM", "L", 0, element(70_000)) == 1
    check_bound(node)
    assert node.client.expiretime("L") == expire_at
    expected = [element(n) for n in range(2, ELEMENTS - 1) if n != 70_000]
    expected[40_000 - 2:40_001 - 2] = [b"odd", b"new"]
    for start in range(0, len(expected), 1000):
        assert node.call("FLASH.LRANGE", "L", start, start + 999) == expected[start:start + 1000]


@pytest.mark.parametrize("how", HOW)
def test_taking_out_what_lies_everywhere_keeps_the_bound(server, how):
    node = server({"flash.cache-size-bytes": str(CACHE), "flash.capacity-bytes": "1gb",
                   "flash.compression": "none"})
    client = node.connect()
    for start in range(0, 200_000, 1000):
        client.execute_command("FLASH.RPUSH", "L", *(b"same" if n % 2 else b"%0200d" % n
                                                     for n in range(start, start + 1000)))
    chill(node, "L")
    reset_peak(node)
    assert run(node, how, "FLASH.LREM", "L", 0, "same") == 100_000
    check_bound(node)
    assert node.call("FLASH.LLEN", "L") == 100_000
    for start in range(0, 100_000, 5000):
        assert node.call("FLASH.LRANGE", "L", start, start + 4999) == [
            b"%0200d" % (2 * n) for n in range(start, start + 5000)]
    assert run(node, how, "FLASH.LREM", "L", 0, b"%0200d" % 0) == 1
    node.call("FLASH.RPUSH", "same", *[b"same"] * 10_000)
    assert run(node, how, "FLASH.LREM", "same", 0, "same") == 10_000
    assert node.client.exists("same") == 0
