"""INFO flash: one assertion per field that predicts its value from what the test did."""

import concurrent.futures
import os
import re

import pytest
import redis

from conftest import ROOT, wait_until
from harness.resp import Connection

KIB = 1024
MIB = 1024 * KIB
HEADER = 24  # Of a hot block.


def raw_fields(node):
    """The section as text: values keep their decimals."""
    text = node.call("INFO", "flash")
    text = text.decode() if isinstance(text, bytes) else text["__raw__"]
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


@pytest.fixture
def raw(server):
    """Starts a server whose INFO is not parsed."""
    def make(settings=None, **more):
        node = server(settings, **more)
        node.client.set_response_callback("INFO", lambda reply, **_: reply)
        node.fields = lambda: raw_fields(node)
        node.number = lambda name: int(raw_fields(node)["flash_" + name])
        return node
    return make


def charge(payload):
    return (HEADER + payload + 15) // 16 * 16


def put(node, count, size):
    for start in range(0, count, 100):  # What a client sends ahead fills its query buffer.
        pipe = node.client.pipeline(transaction=False)
        for i in range(start, min(start + 100, count)):
            pipe.execute_command("FLASH.SET", f"key:{i}", os.urandom(size))
        pipe.execute()


def demote(node, *names):
    return [node.call("FLASH.DEBUG.DEMOTE", name) for name in names]


def test_every_field_is_explained_and_every_explained_field_exists(raw):
    fields = raw().fields()
    page = (ROOT / "docs" / "info.md").read_text()
    documented = set(re.findall(r"`(flash_[a-z0-9_]+)`", page))
    assert set(fields) == documented


def test_names_of_the_older_module_are_there(raw):
    fields = raw().fields()
    for name in ("cache_hits cache_misses cache_hit_ratio cache_size_bytes cache_capacity_bytes "
                 "eviction_count storage_used_bytes storage_free_bytes storage_capacity_bytes "
                 "wal_size_bytes compaction_runs compaction_bytes_reclaimed tiered_keys "
                 "auto_demotions_total auto_demotions_inflight demotion_effective_batch "
                 "demotion_tick_last_us demotion_stall_events_total module_state cluster_mode "
                 "migration_slots_in_progress migration_bytes_sent migration_bytes_received "
                 "migration_last_duration_ms migration_errors migration_bandwidth_mbps "
                 "migration_keys_migrated migration_keys_rejected convert_total "
                 "drain_in_progress drain_last_converted drain_last_skipped drain_last_errors "
                 "drain_last_scanned").split():
        assert "flash_" + name in fields


def test_header_and_where_it_appears(raw):
    node = raw()
    assert node.call("INFO", "flash").startswith(b"# flash\r\n")
    assert b"flash_version" in node.call("INFO", "everything")
    assert b"flash_version" not in node.call("INFO")


def test_a_fresh_server(raw):
    fields = raw({"flash.cache-size-bytes": "3mb", "flash.capacity-bytes": "32mb",
                  "flash.migration-bandwidth-mbps": "7"}).fields()
    assert fields["flash_module_state"] == "ready"
    assert fields["flash_cluster_mode"] == "no"
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["flash_version"])
    assert fields["flash_cache_capacity_bytes"] == str(3 * MIB)
    assert fields["flash_storage_capacity_bytes"] == str(32 * MIB)
    assert fields["flash_storage_free_bytes"] == str(32 * MIB)
    assert fields["flash_migration_bandwidth_mbps"] == "7"
    assert fields["flash_cache_hit_ratio"] == "0.0000"
    assert fields["flash_wal_base"] == fields["flash_wal_trouble"] == "none"
    assert fields["flash_writes_failing"] == fields["flash_drain_in_progress"] == "no"
    assert fields["flash_key_eviction_exhausted"] == "no"
    assert fields["flash_io_backend"] in ("uring", "threads")
    assert fields["flash_tier_state"] == "open"
    words = {"flash_module_state", "flash_tier_state", "flash_io_backend", "flash_cluster_mode",
             "flash_version", "flash_wal_base", "flash_wal_trouble", "flash_writes_failing",
             "flash_drain_in_progress", "flash_key_eviction_exhausted"}
    # What describes the machinery itself and not what was done with it.
    standing = {"flash_cache_capacity_bytes", "flash_storage_capacity_bytes",
                "flash_storage_free_bytes", "flash_storage_reserved_bytes",
                "flash_migration_bandwidth_mbps", "flash_segments_free", "flash_io_buffer_bytes",
                "flash_io_transfer_threads", "flash_block_table_bytes",
                "flash_cache_policy_bytes",
                "flash_demotion_effective_batch", "flash_demotion_tick_last_us",
                "flash_demotion_tick_max_us", "flash_wal_recovery_percent"}
    for name in set(fields) - words - standing:
        assert float(fields[name]) == 0, name
    for name in ("flash_storage_reserved_bytes", "flash_segments_free", "flash_io_buffer_bytes",
                 "flash_demotion_effective_batch"):
        assert int(fields[name]) > 0, name


def test_hot_bytes_blocks_hits_and_ratio(raw):
    node = raw()
    put(node, 10, 1000)
    assert node.number("cache_size_bytes") == 10 * charge(1000)
    assert node.number("blocks_hot_dirty") == 10
    for _ in range(3):
        node.call("FLASH.GET", "key:0")
    assert node.number("cache_hits") == 3
    demote(node, "key:1")
    node.call("FLASH.GET", "key:1")
    fields = node.fields()
    assert fields["flash_cache_misses"] == "1"
    assert fields["flash_cache_hit_ratio"] == "0.7500"
    assert fields["flash_block_fetches"] == "1"
    assert fields["flash_blocks_hot_clean"] == "1"
    assert fields["flash_blocks_hot_dirty"] == "9"


@pytest.mark.parametrize("fill, read", [
    (("HSET", "f", "x" * 500), ("HGET", "f")), (("HSET", "f", "x" * 500), ("HGETALL",)),
    (("RPUSH", "x" * 500), ("LINDEX", 0)), (("RPUSH", "x" * 500), ("LPUSH", "y")),
    (("ZADD", 1, "x" * 500), ("ZSCORE", "x" * 500)), (("ZADD", 1, "x" * 500), ("ZRANGE", 0, -1)),
])
def test_a_cold_read_of_a_collection_is_one_miss_and_no_hit(raw, fill, read):
    node = raw()
    node.call("FLASH." + fill[0], "key", *fill[1:])
    demote(node, "key")
    before = node.fields()
    node.call("FLASH." + read[0], "key", *read[1:])
    after = node.fields()
    grown = {name: int(after["flash_cache_" + name]) - int(before["flash_cache_" + name])
             for name in ("hits", "misses")}
    assert grown == {"hits": 0, "misses": 1}


def test_tiny_values(raw):
    node = raw()
    node.call("FLASH.SET", "inline", "1234567")
    node.call("FLASH.SET", "small", "x" * 63)
    node.call("FLASH.SET", "block", "x" * 64)
    fields = node.fields()
    assert fields["flash_resident_tiny_values"] == "2"
    assert 63 <= int(fields["flash_resident_tiny_bytes"]) <= 96
    assert fields["flash_cache_size_bytes"] == str(charge(64))
    node.call("DEL", "inline", "small")
    assert node.number("resident_tiny_values") == node.number("resident_tiny_bytes") == 0


def test_cold_keys_and_what_they_take(raw):
    node = raw({"flash.compression": "none"})
    put(node, 20, 4000)
    demote(node, *[f"key:{i}" for i in range(5)])
    fields = node.fields()
    assert fields["flash_tiered_keys"] == fields["flash_blocks_cold"] == "5"
    assert fields["flash_commanded_demotions_total"] == "5"
    assert fields["flash_auto_demotions_total"] == fields["flash_auto_demotions_inflight"] == "0"
    assert fields["flash_cache_size_bytes"] == str(15 * charge(4000))
    used = int(fields["flash_storage_used_bytes"])
    assert 5 * 4000 <= used <= 5 * 4064
    assert used + int(fields["flash_storage_free_bytes"]) == 256 * MIB
    assert fields["flash_storage_compression_ratio"] == "%.4f" % (used / 20000)
    written = int(fields["flash_storage_device_bytes_written"])
    assert written >= used
    assert fields["flash_storage_write_amplification"] == "%.4f" % (written / used)
    node.call("DEL", "key:0", "key:1")
    assert node.number("tiered_keys") == 3
    assert node.number("storage_used_bytes") == used * 3 // 5


def test_compression_shows(raw):
    node = raw()
    node.call("FLASH.SET", "key", "abcd" * 4000)
    demote(node, "key")
    assert float(node.fields()["flash_storage_compression_ratio"]) < 0.1


def test_several_blocks_are_one_tiered_key(raw):
    node = raw()
    node.call("FLASH.SET", "rope", os.urandom(1 * MIB))
    demote(node, "rope")
    assert node.number("tiered_keys") == 1
    assert node.number("blocks_cold") == node.number("commanded_demotions_total") > 1


def test_shared_blocks(raw):
    node = raw()
    put(node, 1, 1000)
    node.call("COPY", "key:0", "copy")
    assert node.number("blocks_shared") == 1
    demote(node, "copy")
    assert node.number("tiered_keys") == 2 and node.number("blocks_cold") == 1
    node.call("DEL", "copy")
    assert node.number("blocks_shared") == 0 and node.number("tiered_keys") == 1


def test_copies_of_a_collection_that_parted_count_apart(raw):
    node = raw({"flash.cache-size-bytes": "64mb"})
    fields = [f"field:{i:04}" for i in range(500)]

    def write(key, value):
        node.call("FLASH.HSET", key, *[word for field in fields for word in (field, value)])

    write("a", "x" * 100)
    demote(node, "a")
    assert node.number("tiered_keys") == 1
    node.call("COPY", "a", "b")
    assert node.number("tiered_keys") == 2
    write("b", "y" * 100)  # What is left of the shared blocks is the other's alone.
    assert node.number("tiered_keys") == node.number("blocks_cold") == 0
    demote(node, "a")
    assert node.number("blocks_cold") > 10
    assert node.number("tiered_keys") == 1
    demote(node, "b")
    assert node.number("tiered_keys") == 2
    node.call("FLASH.HGETALL", "a")
    assert node.number("tiered_keys") == 1
    node.call("COPY", "a", "c")
    node.call("FLASH.HSET", "c", fields[0], "z")
    assert node.number("tiered_keys") == 1
    node.call("FLASH.HGETALL", "b")
    demote(node, "c")  # With all but one of the blocks of a.
    assert node.number("tiered_keys") == 2
    node.call("DEL", "c")
    assert node.number("tiered_keys") == 1
    node.call("DEL", "a")
    assert node.number("tiered_keys") == node.number("blocks_shared") == 0


def test_policy_keeps_the_cache_within_its_bound(raw):
    node = raw({"flash.cache-size-bytes": "2mb", "flash.compression": "none"})
    count = 1000
    put(node, count, 8000)
    wait_until(lambda: node.number("cache_size_bytes") <= 2 * MIB, what="the bound")
    wait_until(lambda: node.number("blocks_demoting") == 0, what="demotions")
    fields = {name: int(value) for name, value in node.fields().items() if value.isdigit()}
    cold = count - fields["flash_cache_size_bytes"] // charge(8000)
    assert fields["flash_blocks_cold"] == fields["flash_tiered_keys"] == cold
    assert fields["flash_auto_demotions_total"] == fields["flash_eviction_count"] == cold
    assert fields["flash_auto_demotions_inflight"] == 0
    assert fields["flash_demotion_tick_max_us"] >= fields["flash_demotion_tick_last_us"]
    assert fields["flash_demotion_tick_max_us"] > 0
    assert fields["flash_block_table_bytes"] >= 8 * count
    assert fields["flash_storage_used_bytes"] >= cold * 8000
    assert fields["flash_device_writes"] > 0
    # Full segments stay, one or two are open, the rest is free.
    segments = [fields["flash_segments_" + name]
                for name in ("free", "open", "sealed", "waiting", "bad")]
    assert segments[2] >= 1 and 1 <= segments[1] <= 2 and segments[3] == segments[4] == 0


def test_demotion_batch_in_force(raw):
    node = raw({"flash.demotion-batch": "5"})
    put(node, 10, 1000)
    wait_until(lambda: node.number("demotion_effective_batch") == 5, what="the batch")
    node.client.config_set("flash.demotion-batch", "9")
    wait_until(lambda: node.number("demotion_effective_batch") == 9, what="the new batch")


def test_shrinking_the_cache_demotes_at_once(raw):
    node = raw()
    put(node, 500, 8000)
    assert node.number("cache_size_bytes") == 500 * charge(8000)
    node.client.config_set("flash.cache-size-bytes", "1mb")
    assert node.number("cache_capacity_bytes") == MIB
    wait_until(lambda: node.number("cache_size_bytes") <= MIB, what="the smaller cache")
    assert node.number("auto_demotions_total") >= 500 - MIB // charge(8000)


def test_compaction(raw):
    node = raw({"flash.capacity-bytes": "32mb", "flash.compression": "none",
                "flash.compaction-interval-sec": "3600"})
    put(node, 400, 8000)
    demote(node, *[f"key:{i}" for i in range(400)])
    node.call("DEL", *[f"key:{i}" for i in range(0, 400, 2)])
    before = {name: int(v) for name, v in node.fields().items() if v.isdigit()}
    assert before["flash_storage_dead_bytes"] > 100 * 8000
    assert before["flash_compaction_runs"] == before["flash_compaction_segments"] == 0
    assert node.call("FLASH.COMPACTION.TRIGGER") == b"OK"
    after = {name: int(v) for name, v in node.fields().items() if v.isdigit()}
    assert after["flash_compaction_runs"] == 1
    assert after["flash_compaction_segments"] > 0
    assert after["flash_compaction_bytes_reclaimed"] >= before["flash_storage_dead_bytes"]
    assert after["flash_compaction_bytes_moved"] > 50 * 8000
    assert after["flash_storage_dead_bytes"] < before["flash_storage_dead_bytes"]
    assert after["flash_storage_used_bytes"] == before["flash_storage_used_bytes"]
    stats = dict(pair.split(b":") for pair in node.call("FLASH.COMPACTION.STATS"))
    assert int(stats[b"compaction_runs"]) == after["flash_compaction_runs"]
    assert int(stats[b"bytes_reclaimed"]) == after["flash_compaction_bytes_reclaimed"]
    assert int(stats[b"free_blocks"]) == after["flash_storage_free_bytes"] // 4096
    assert int(stats[b"bytes_moved"]) == after["flash_compaction_bytes_moved"]


def test_compaction_by_the_clock(raw):
    node = raw({"flash.capacity-bytes": "32mb", "flash.compression": "none",
                "flash.compaction-interval-sec": "3600"})
    put(node, 200, 8000)
    demote(node, *[f"key:{i}" for i in range(200)])
    node.call("DEL", *[f"key:{i}" for i in range(0, 200, 2)])
    assert node.number("compaction_segments") == 0
    node.client.config_set("flash.compaction-interval-sec", "1")
    wait_until(lambda: node.number("compaction_segments") > 0, what="the periodic compaction")


def test_reads_and_parking(raw):
    node = raw()
    put(node, 30, 2000)
    demote(node, *[f"key:{i}" for i in range(30)])
    demoted = node.number("parked_clients_total")
    for i in range(30):
        node.call("FLASH.GET", f"key:{i}")
    fields = {name: int(v) for name, v in node.fields().items() if v.isdigit()}
    assert fields["flash_parked_clients"] == 0
    assert fields["flash_parked_clients_total"] == demoted + 30
    assert fields["flash_parked_clients_disconnected"] == 0
    assert fields["flash_block_fetches"] == fields["flash_cache_misses"] == 30
    assert fields["flash_device_reads"] + fields["flash_device_coalesced_reads"] == 30
    assert fields["flash_device_read_bytes"] >= 30 * 2000
    latencies = [fields[f"flash_read_latency_{p}_us"] for p in ("p50", "p90", "p99", "p999")]
    assert latencies == sorted(latencies) and latencies[0] > 0
    assert fields["flash_block_reads_inflight"] == fields["flash_block_fetch_errors"] == 0


def test_synchronous_waits_by_cause(raw):
    node = raw()
    put(node, 8, 2000)

    def waits():
        fields = node.fields()
        return {name[len("flash_sync_waits_"):]: int(value) for name, value in fields.items()
                if name.startswith("flash_sync_waits_") and value != "0"}

    def cold(name):
        demote(node, name)

    cold("key:0")
    with node.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("FLASH.GET", "key:0")
        transaction.execute()
    assert waits() == {"multi": 1, "total": 1}
    cold("key:1")
    node.client.eval("return redis.call('FLASH.GET', KEYS[1])", 1, "key:1")
    assert waits() == {"multi": 1, "script": 1, "total": 2}
    cold("key:2")
    assert node.call("DUMP", "key:2")
    assert waits()["dump"] == 1
    cold("key:3")
    node.client.config_set("flash.max-parked-clients", "0")
    node.call("FLASH.GET", "key:3")
    assert waits()["parked_limit"] == 1
    node.client.config_set("flash.max-parked-clients", "1024")
    cold("key:4")
    tracker = Connection(node.port)
    tracker.must("HELLO", "3")
    tracker.must("CLIENT", "TRACKING", "ON")
    assert len(tracker.must("FLASH.GET", "key:4")) == 2000
    tracker.close()
    assert waits()["tracking"] == 1
    cold("key:5")
    node.client.eval("return redis.call('FLASH.SET', KEYS[1], ARGV[1])", 1, "key:6", "z" * 3000)
    node.client.eval("return redis.call('FLASH.DEBUG.DEMOTE', KEYS[1])", 1, "key:6")
    assert waits()["demote_command"] == 1
    cold("key:7")
    node.call("SAVE")
    found = waits()
    assert found["save"] >= 1
    assert found["total"] == sum(found.values()) - found["total"]
    assert int(node.fields()["flash_sync_wait_us_total"]) > 0


def test_most_hot_bytes(raw):
    node = raw({"flash.cache-size-bytes": "64mb"})
    put(node, 500, 8000)
    node.call("FLASH.DEL", *[f"key:{n}" for n in range(400)])
    assert node.number("hot_bytes_peak") == 500 * charge(8000)
    assert node.number("cache_size_bytes") == 100 * charge(8000)
    node.client.config_set("flash.cache-size-bytes", 32 * MIB)
    assert node.number("hot_bytes_peak") == 100 * charge(8000)


def test_memory_pressure(raw):
    node = raw({"flash.cache-size-bytes": "64mb", "flash.compression": "none"})
    used = int(re.search(rb"used_memory:(\d+)", node.call("INFO", "memory"))[1])
    assert node.number("cache_pressure_limit_bytes") == 0
    node.client.config_set("maxmemory", used + 20 * MIB)
    limit = wait_until(lambda: node.number("cache_pressure_limit_bytes"), what="the lower bound")
    assert 10 * MIB < limit < 20 * MIB
    put(node, 5000, 8000)  # 40 MB: neither refused nor evicted, although noeviction is in force.
    assert node.number("cache_size_bytes") <= 20 * MIB
    assert node.call("DBSIZE") == 5000
    assert len(node.call("FLASH.GET", "key:0")) == 8000
    node.client.config_set("maxmemory", 0)
    wait_until(lambda: node.number("cache_pressure_limit_bytes") == 0, what="its end")


def test_memory_pressure_comes_before_eviction(raw):
    node = raw({"flash.cache-size-bytes": "64mb", "maxmemory-policy": "allkeys-lru"})
    used = int(re.search(rb"used_memory:(\d+)", node.call("INFO", "memory"))[1])
    node.client.config_set("maxmemory", used + 20 * MIB)
    wait_until(lambda: node.number("cache_pressure_limit_bytes"), what="the lower bound")
    put(node, 5000, 8000)
    assert node.call("DBSIZE") == 5000
    assert b"evicted_keys:0\r" in node.call("INFO", "stats")


def test_deferred_frees_end_at_nothing(raw):
    node = raw()
    put(node, 3000, 500)
    node.call("FLUSHALL", "ASYNC")
    wait_until(lambda: node.number("blocks_hot_dirty") == 0, what="the values' end")
    assert node.number("deferred_frees") == node.number("cache_size_bytes") == 0


def test_frozen_while_a_child_saves(raw):
    node = raw({"flash.compression": "none", "rdb-key-save-delay": "20000"})
    put(node, 100, 8000)
    demote(node, *[f"key:{i}" for i in range(100)])
    assert node.number("storage_frozen_bytes") == 0
    node.call("BGSAVE")  # 100 keys at 20 ms each.
    frozen = node.number("storage_frozen_bytes")
    assert frozen >= 100 * 8000
    wait_until(lambda: b"rdb_bgsave_in_progress:0" in node.call("INFO", "persistence"), 30)
    wait_until(lambda: node.number("storage_frozen_bytes") == 0, what="the thaw")
    assert b"rdb_last_bgsave_status:ok" in node.call("INFO", "persistence")


def test_writers_that_wait_are_counted(raw):
    node = raw({"flash.cache-size-bytes": "1mb", "flash.demotion-max-inflight": "1",
                "flash.demotion-batch": "1"})
    links = [node.connect() for _ in range(4)]

    def write(number):
        pipe = links[number].pipeline(transaction=False)
        for i in range(200):
            pipe.execute_command("FLASH.SET", f"w{number}:{i}", os.urandom(60_000))
        pipe.execute()

    def writers_have_waited():
        with concurrent.futures.ThreadPoolExecutor() as writers:
            list(writers.map(write, range(4)))
        return node.number("demotion_stall_events_total") > 0

    wait_until(writers_have_waited, what="a writer that waits")  # The drive may be quick once.
    assert node.number("room_waiters") == 0
    assert node.call("DBSIZE") == 800


def test_state_while_data_loads(raw):
    node = raw({"key-load-delay": "0"})
    put(node, 50, 1000)
    node.client.save()
    node.settings["key-load-delay"] = "20000"
    node.settings["loading-process-events-interval-bytes"] = "1024"
    node.stop()
    node.start(wait=False)
    seen = wait_until(lambda: node.call("FLASH.DEBUG.STATE"), what="an answer while loading")
    assert seen == b"recovering"
    wait_until(lambda: node.call("FLASH.DEBUG.STATE") == b"ready", what="ready")
    assert node.call("DBSIZE") == 50


def test_in_a_crash_report(raw):
    node = raw()
    put(node, 3, 1000)
    with pytest.raises(redis.exceptions.ConnectionError):
        node.call("DEBUG", "SEGFAULT")
    node.process.wait(30)
    assert "flash_module_state:ready" in node.log()
    assert "flash_blocks_hot_dirty:3" in node.log()


def test_the_fork_of_a_script_debugger_does_not_freeze_for_ever(raw):
    """Such a child is born as far as events go, and never dies."""
    node = raw()
    put(node, 20, 4000)
    for i in range(20):
        demote(node, f"key:{i}")
    debugger = Connection(node.port)
    if debugger.call("SCRIPT", "DEBUG", "YES").is_error:
        pytest.skip("this server has no script debugger")
    debugger.send(["EVAL", "return 1", "0"])
    debugger.read()
    wait_until(lambda: node.number("storage_frozen_bytes") == 0, what="the thaw")
    node.call("DEL", *[f"key:{i}" for i in range(10)])
    assert node.call("FLASH.COMPACTION.TRIGGER") == b"OK"
    debugger.close()
