"""Eviction at a full tier beside replicas, logs, snapshots, transactions, scripts and pauses."""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from conftest import LOGGED, wait_until
from eviction_test import MIB, TIER, at_rest, fill_refused, present, put
from harness.cluster import single_node

CACHE = {**TIER, "maxmemory-policy": "allkeys-lru"}


KEEP = {"maxmemory-policy": "noeviction"}


def evicted(node):
    return node.info("flash")["flash_evicted_keys"]


def last_digest(node):
    """Of what is left: nothing goes from now on, also after a restart with KEEP."""
    at_rest(node)
    node.client.config_set("maxmemory-policy", "noeviction")
    return node.call("DEBUG", "DIGEST")


def test_replicas_follow_and_evict_nothing_themselves(server):
    primary = server(CACHE)
    replica = server({**CACHE, "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    put(primary, 0, 12_000)
    digest = last_digest(primary)
    replica.wait_for_offset_of(primary)
    assert evicted(primary) > 6_000
    assert evicted(replica) == 0
    assert replica.call("DEBUG", "DIGEST") == digest
    assert replica.call("DBSIZE") == primary.call("DBSIZE")
    # Promoted, it is a cache of its own.
    replica.call("REPLICAOF", "NO", "ONE")
    put(replica, 20_000, 26_000)
    assert evicted(replica) > 3_000


def test_the_append_only_file_holds_what_is_left(server):
    node = server({**CACHE, "appendonly": "yes", "appendfsync": "no",
                   "auto-aof-rewrite-percentage": "0"})
    put(node, 0, 9_000)
    digest = last_digest(node)
    assert evicted(node) > 3_000
    node.restart(KEEP, crash=True)
    assert node.call("DEBUG", "DIGEST") == digest


@pytest.mark.parametrize("sync", ["always", "everysec"])
def test_our_log_holds_what_is_left(server, sync):
    node = server({**CACHE, **LOGGED, "flash.sync": sync})
    put(node, 0, 7_000)
    digest = last_digest(node)
    assert evicted(node) > 1_500
    wait_until(lambda: node.info("flash")["flash_wal_durable_lsn"]
               == node.info("flash")["flash_wal_appended_lsn"], what="the log to be durable")
    node.restart(KEEP, crash=True)
    assert node.call("DEBUG", "DIGEST") == digest


def test_a_full_cache_loads_again(server):
    node = server(CACHE)
    put(node, 0, 8_000)
    digest = last_digest(node)
    assert node.call("SAVE")
    for _ in range(2):
        node.restart(KEEP, crash=True)
        assert node.call("DEBUG", "DIGEST") == digest
    node.client.config_set("maxmemory-policy", "allkeys-lru")
    put(node, 20_000, 24_000)
    assert evicted(node) > 2_000


@pytest.mark.parametrize("way", ["script", "transaction"])
def test_no_key_goes_in_the_middle_of_a_script_or_transaction(server, way):
    """They use the room that is kept free; what they wrote is there to the end."""
    node = server(CACHE)
    put(node, 0, 8_000)
    at_rest(node)
    value = os.urandom(3_000)
    if way == "script":
        before, after, found = node.call("EVAL", """
            local function evicted()
              return tonumber(string.match(redis.call('INFO', 'flash'), 'evicted_keys:(%d+)'))
            end
            local before, found = evicted(), 0
            for n = 1, 300 do redis.call('FLASH.SET', 'new:' .. n, ARGV[1]) end
            for n = 1, 300 do found = found + redis.call('EXISTS', 'new:' .. n) end
            return {before, evicted(), found}""", 0, value)
    else:
        pipe = node.client.pipeline(transaction=True)
        pipe.info("flash")
        for number in range(300):
            pipe.execute_command("FLASH.SET", f"new:{number}", value)
        pipe.exists(*[f"new:{number}" for number in range(300)])
        pipe.info("flash")
        first, *_, found, last = pipe.execute()
        before, after = first["flash_evicted_keys"], last["flash_evicted_keys"]
    assert found == 300
    assert after == before > 3_000
    put(node, 20_000, 20_500)
    assert at_rest(node)["flash_evicted_keys"] > after


def test_writes_go_on_while_a_snapshot_is_saved(server):
    """What a child reads keeps its place on flash: the cache goes on as one of RAM."""
    node = server(CACHE)
    put(node, 0, 6_000)
    digest = last_digest(node)
    node.client.config_set("rdb-key-save-delay", 2_000)
    node.call("BGSAVE")
    node.client.config_set("maxmemory-policy", "allkeys-lru")
    before = evicted(node)
    put(node, 20_000, 26_000)
    assert node.info("persistence")["rdb_bgsave_in_progress"] == 1, "the child ended too soon"
    info = node.info("flash")
    assert info["flash_flashfull_replies"] == 0
    assert info["flash_evicted_keys"] - before > 5_000
    assert info["flash_cache_size_bytes"] <= 1.2 * MIB
    # Of RAM's worth of values all are of the same second, so chance chooses among them.
    assert len(present(node, range(25_900, 26_000))) > 50
    node.client.config_set("rdb-key-save-delay", 0)
    wait_until(lambda: node.info("persistence")["rdb_bgsave_in_progress"] == 0, 60,
               what="the snapshot")
    assert node.info("persistence")["rdb_last_bgsave_status"] == "ok"
    put(node, 30_000, 34_000)
    assert node.info("flash")["flash_flashfull_replies"] == 0
    assert node.call("DBSIZE") > 3_000
    node.restart(KEEP, crash=True)
    assert node.call("DEBUG", "DIGEST") == digest


def test_nothing_goes_while_writes_are_paused(server):
    node = server({**CACHE, "maxmemory-policy": "noeviction"})
    fill_refused(node)
    node.call("CLIENT", "PAUSE", 60_000, "WRITE")
    node.client.config_set("maxmemory-policy", "allkeys-lru")
    time.sleep(0.5)
    assert evicted(node) == 0
    node.call("CLIENT", "UNPAUSE")
    wait_until(lambda: evicted(node) > 0, what="an eviction")


def test_a_server_that_is_told_to_evict_evicts_to_its_mark(server):
    node = server({**CACHE, "maxmemory-policy": "noeviction"})
    held = fill_refused(node)
    node.client.config_set("maxmemory-policy", "allkeys-random")
    info = at_rest(node)
    gone = info["flash_evicted_keys"]
    assert held / 20 < gone < held / 4
    assert info["held"] == held - gone


def test_writers_at_full_speed_rarely_wait(server):
    """Eight clients with pipelines, at a tier that is full from the first third on."""
    node = server({**CACHE, "flash.cache-size-bytes": "16mb", "flash.capacity-bytes": "64mb"})

    def write(number):
        client = node.connect()
        for start in range(0, 8_000, 100):
            pipe = client.pipeline(transaction=False)
            for n in range(start, start + 100):
                pipe.execute_command("FLASH.SET", f"key:{number}:{n}", os.urandom(3_000))
            assert pipe.execute() == [b"OK"] * 100

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    info = at_rest(node)
    assert info["flash_flashfull_replies"] == 0
    assert info["flash_evicted_keys"] + info["held"] == 64_000
    assert info["flash_demotion_stall_events_total"] < 6_400, "one in ten waited"


def test_clients_that_cannot_wait_are_served(server):
    node = server(CACHE)
    put(node, 0, 8_000)
    told = node.connect(single_connection_client=True)
    client = node.connect(single_connection_client=True)
    client.execute_command("CLIENT", "TRACKING", "ON", "REDIRECT", told.client_id(), "BCAST")
    for number in range(3_000):
        assert client.execute_command("FLASH.SET", f"new:{number}", os.urandom(3_000)) == b"OK"
    assert node.info("flash")["flash_flashfull_replies"] == 0


def test_reads_writes_and_deletions_at_a_full_tier_agree_with_a_model(server):
    """Every value found is the last one written; whatever is missing was evicted."""
    node = server({**CACHE, "maxmemory-policy": "allkeys-lfu"})
    pick = random.Random(7)
    model = {}
    for step in range(12_000):
        key = f"k{pick.randrange(5_000)}"
        action = pick.random()
        if action < 0.6:
            seed = pick.randrange(1 << 30)
            model[key] = seed
            node.call("FLASH.SET", key, random.Random(seed).randbytes(4_000))
        elif action < 0.9:
            value = node.call("FLASH.GET", key)
            if value is not None:
                assert value == random.Random(model[key]).randbytes(4_000), f"step {step}"
        else:
            node.call("DEL", key)
            model.pop(key, None)
    at_rest(node)
    found = node.call("DBSIZE")
    assert found < len(model)
    assert evicted(node) >= len(model) - found > 0
    with pytest.raises(redis.exceptions.ResponseError, match="WRONGTYPE"):
        node.call("FLASH.LPUSH", node.client.randomkey(), "x")


def test_a_node_of_a_cluster_evicts_from_all_its_slots(server):
    node = single_node(server, CACHE)
    put(node, 0, 8_000)
    info = at_rest(node)
    assert info["flash_evicted_keys"] > 3_000
    assert info["flash_evicted_keys"] + info["held"] == 8_000
