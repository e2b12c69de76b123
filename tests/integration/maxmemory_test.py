"""Living within maxmemory: blocks leave RAM before the server evicts or refuses anything.

FLASH_MAXMEMORY_MB (default 64) and FLASH_MAXMEMORY_KEYS (default 400000) make it larger:
256 and 2000000 is what the design promises.
"""

import os

import pytest
import redis

from conftest import wait_until
from harness.flood import Flood

MIB = 1 << 20
MAXMEMORY = int(os.environ.get("FLASH_MAXMEMORY_MB", "64")) * MIB
KEYS = int(os.environ.get("FLASH_MAXMEMORY_KEYS", "400000"))
POLICIES = ("noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru",
            "volatile-ttl")
VALUE = os.urandom(64) * 16


def evicted(node):
    return node.info("stats")["evicted_keys"]


def beside_the_cache(node):
    return node.info("memory")["used_memory"] - node.info("flash")["flash_cache_size_bytes"]


def set_many(node, names, value, command="FLASH.SET"):
    """Sets keys by pipelines; returns how many were refused."""
    refused = 0
    for start in range(0, len(names), 500):
        pipe = node.client.pipeline(transaction=False)
        for name in names[start:start + 500]:
            pipe.execute_command(command, name, value)
        for reply in pipe.execute(raise_on_error=False):
            refused += isinstance(reply, redis.ResponseError)
    return refused


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_keys_held_against_native_under_the_same_limit(server, policy):
    """Ours: none evicted and none refused. Native in the same run: a small part of them."""
    settings = {"maxmemory": MAXMEMORY, "maxmemory-policy": policy}
    node = server({**settings, "flash.capacity-bytes": "1gb"})
    native = server(settings, module=False)
    names = [b"key:%012d" % n for n in range(KEYS)]
    assert set_many(node, names, VALUE) == 0
    assert evicted(node) == 0
    assert node.call("DBSIZE") == KEYS
    for name in names[::KEYS // 50]:
        assert node.call("FLASH.GET", name) == VALUE
    assert evicted(node) == 0
    set_many(native, names[:KEYS // 4], VALUE, "SET")
    held = native.call("DBSIZE")
    print(f"{policy}: {KEYS} of ours, {held} native keys in {MAXMEMORY // MIB} MiB")
    assert KEYS > 5 * held


def test_eviction_that_must_come_sees_freed_memory_at_once(server):
    """More keys than fit even without any value in RAM: the server evicts some, never most."""
    node = server({"maxmemory": 16 * MIB, "maxmemory-policy": "allkeys-lru",
                   "flash.capacity-bytes": "1gb"})
    names = [b"key:%012d" % n for n in range(200_000)]
    assert set_many(node, names, VALUE) == 0
    held = node.call("DBSIZE")
    assert evicted(node) > 0
    assert held + evicted(node) == 200_000
    assert held > 60_000  # About 110 bytes a key.
    # No more than has to go: a read of what is left evicts nothing.
    before = evicted(node)
    found = sum(node.call("FLASH.GET", name) == VALUE for name in names[-1_000:])
    assert found > 900
    assert evicted(node) - before < 1_000


@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_memory_taken_at_one_stroke_costs_nobody_a_key(server, policy):
    """The table of keys doubles in the middle of a packet and takes all that maxmemory left."""
    node = server({"maxmemory-policy": policy, "flash.capacity-bytes": "1gb",
                   "flash.cache-size-bytes": "24mb", "flash.compression": "none"})
    if node.version() > (8, 0):
        pytest.skip("the table grows at other sizes, in smaller steps")
    assert set_many(node, [b"hot:%d" % n for n in range(16_000)], VALUE) == 0
    node.call("DEBUG", "POPULATE", 2 ** 18 - 8 - node.call("DBSIZE"), "native", 8)
    wait_until(lambda: b"rehashing target" not in node.call("DEBUG", "HTSTATS", 0), what="rehash")
    table = 2 ** 19 * 8
    used, others = node.info("memory")["used_memory"], beside_the_cache(node)
    assert used - others > 3 * table
    node.client.config_set("maxmemory", used + table + 40 * 1024)
    assert set_many(node, [b"n%d" % n for n in range(380)], b"v") == 0
    assert beside_the_cache(node) > others + table // 2, "the table did not grow meanwhile"
    assert evicted(node) == 0


@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_waiting_clients_cost_nobody_a_key(server, policy):
    """A thousand clients ask for cold values at once; inside the server each takes 36 KB."""
    node = server({"maxmemory": 80 * MIB, "maxmemory-policy": policy,
                   "flash.capacity-bytes": "1gb", "flash.compression": "none"})
    names = [b"key:%012d" % n for n in range(300_000)]
    assert set_many(node, names, VALUE) == 0
    flood = Flood(node.port, 1_000)
    before = node.info("stats")
    try:
        for turn in range(5):
            replies, _ = flood.ask([["FLASH.GET", names[turn * 1_000 + n]] for n in range(1_000)])
            for raw in replies:
                assert raw == b"$1024\r\n" + VALUE + b"\r\n"
    finally:
        flood.close()
    info = node.info("flash")
    assert info["flash_cache_misses"] > 3_000, "the values were not cold"
    assert info["flash_parked_clients_total"] > 100
    assert evicted(node) == before["evicted_keys"] == 0
    assert node.call("DBSIZE") == 300_000


def test_waiting_clients_again_once_memory_is_there(server):
    node = server({"flash.cache-size-bytes": "1mb"})
    names = [b"key:%d" % n for n in range(5_000)]
    assert set_many(node, names, VALUE) == 0
    for name in names[:200]:
        node.call("FLASH.DEBUG.DEMOTE", name)
    parked = node.info("flash")["flash_parked_clients_total"]  # Those demotions, too.
    used = node.info("memory")["used_memory"]
    node.client.config_set("maxmemory", used * 101 // 100)
    reads = iter(names[:200])
    node.call("FLASH.GET", next(reads))
    waits = node.info("flash")
    assert waits["flash_sync_waits_memory"] == 1 and waits["flash_parked_clients_total"] == parked
    node.client.config_set("maxmemory", 0)
    node.call("FLASH.GET", next(reads))
    assert node.info("flash")["flash_parked_clients_total"] == parked + 1
    assert node.info("flash")["flash_sync_waits_memory"] == 1
