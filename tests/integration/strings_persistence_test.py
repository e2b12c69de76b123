"""Strings over restarts: RDB, AOF with and without preamble, more data than the cache, replicas."""

import itertools

import pytest
import redis

from conftest import wait_until
from harness import disks
from harness.parking import chill

LATER_MS = 4102444800000


def value_of(i):
    """Sizes of every form, contents that differ."""
    sizes = (0, 3, 7, 8, 40, 63, 64, 65, 200, 1000, 5000, 20000)
    size = sizes[i % len(sizes)]
    return (b"%d:" % i + bytes(range(256)) * (size // 200 + 1))[:size]


def fill(node, count, db=0):
    client = node.connect(db=db)
    for start in range(0, count, 500):
        pipe = client.pipeline(transaction=False)
        for i in range(start, min(start + 500, count)):
            expiry = ("PXAT", LATER_MS + i) if i % 3 == 0 else ()
            pipe.execute_command("FLASH.SET", f"k{i}", value_of(i), *expiry)
        pipe.execute()


def verify(node, count, db=0):
    client = node.connect(db=db)
    assert client.dbsize() == count
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        values = client.execute_command("FLASH.MGET", *[f"k{i}" for i in numbers])
        assert values == [value_of(i) for i in numbers]
    for i in range(0, count, 97):
        assert client.pexpiretime(f"k{i}") == (LATER_MS + i if i % 3 == 0 else -1)


COUNT = 3000
SMALL_CACHE = {"flash.cache-size-bytes": "1mb", "save": ""}


def test_rdb_restart(server):
    node = server(SMALL_CACHE)
    fill(node, COUNT)
    fill(node, 50, db=3)
    node.save_in_background()
    node.kill()
    node.start()
    verify(node, COUNT)
    verify(node, 50, db=3)
    node.call("SAVE")
    node.kill()
    node.start()
    verify(node, COUNT)


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_aof_restart_before_and_after_a_rewrite(server, preamble):
    node = server({**SMALL_CACHE, "appendonly": "yes", "appendfsync": "always",
                   "aof-use-rdb-preamble": preamble})
    fill(node, COUNT)
    node.call("FLASH.SET", "gone", "x" * 1000)
    node.call("FLASH.DEL", "gone")
    node.call("FLASH.MSET", "a", "1", "b", "2" * 500)
    node.call("DEL", "a", "b")
    node.kill()
    node.start()
    verify(node, COUNT)
    node.rewrite_aof()
    node.call("FLASH.SET", "k1", value_of(1), "KEEPTTL", "GET")
    node.kill()
    node.start()
    verify(node, COUNT)


def test_the_cache_bound_holds_while_loading(server):
    node = server({"flash.cache-size-bytes": "2mb", "save": ""})
    big = [bytes([i % 251]) * 8000 for i in range(2000)]
    pipe = node.client.pipeline(transaction=False)
    for i, value in enumerate(big):
        pipe.execute_command("FLASH.SET", f"k{i}", b"%d" % i + value)
    pipe.execute()
    node.call("SAVE")
    node.restart({"flash.cache-size-bytes": "2mb"}, crash=True)
    info = node.info("flash")
    assert info["flash_cache_size_bytes"] <= 2.2 * 1024 * 1024
    assert info["flash_tiered_keys"] > 1500
    # Eight times the cache was loaded; the server's own memory shows no trace of it.
    assert node.info("memory")["used_memory_peak"] < 8_000_000
    for i in range(0, 2000, 37):
        assert node.call("FLASH.GET", f"k{i}") == b"%d" % i + big[i]


def test_save_reads_cold_values_without_loading_them_into_the_cache(server):
    node = server(SMALL_CACHE)
    fill(node, COUNT)
    before = node.info("flash")
    node.save_in_background()
    node.call("SAVE")
    after = node.info("flash")
    assert after["flash_block_fetches"] == before["flash_block_fetches"]
    assert after["flash_cache_size_bytes"] <= 1.1 * 1024 * 1024


def test_debug_reload_and_loadaof(server):
    node = server({**SMALL_CACHE, "appendonly": "yes"})
    fill(node, 600)
    node.call("DEBUG", "RELOAD")
    verify(node, 600)
    node.call("DEBUG", "LOADAOF")
    verify(node, 600)


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("load", ["disabled", "swapdb"])
def test_full_synchronisation(server, diskless, load):
    primary = server({**SMALL_CACHE, "repl-diskless-sync": diskless})
    replica = server({**SMALL_CACHE, "repl-diskless-load": load,
                      "flash.replica-tier-enabled": "yes"})
    fill(replica, 100)  # To be replaced.
    fill(primary, COUNT)
    chill(primary, "k11")
    replica.replicate_from(primary)
    verify(replica, COUNT)
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")


def test_replication_carries_effects(server):
    primary = server(SMALL_CACHE)
    replica = server({**SMALL_CACHE, "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    fill(primary, 300)
    for i in range(0, 300, 5):
        chill(primary, f"k{i}")
    p = primary.client
    for i, options in enumerate(itertools.product(
            ["", "XX", "NX"], ["", "GET"], ["", "EX 1000", "PX 1000000", "KEEPTTL", "PXAT 1"])):
        words = " ".join(options).split()
        p.execute_command("FLASH.SET", f"k{i}", b"new %d" % i, *words)
    p.execute_command("FLASH.DEL", "k100", "none", "k101", "k100")
    p.execute_command("FLASH.MSET", "k102", "a", "k103", "b" * 700, "k102", "c")
    pipe = p.pipeline(transaction=True)
    pipe.execute_command("FLASH.SET", "k105", "in exec", "GET")
    pipe.execute_command("FLASH.DEL", "k106")
    pipe.execute()
    p.eval("redis.call('FLASH.SET', KEYS[1], 'script', 'EX', 500)", 1, "k107")
    replica.wait_for_offset_of(primary)
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")
    keys = [key for key in p.scan_iter(count=1000)]
    assert len(keys) == replica.client.dbsize()
    for key in keys:
        assert replica.client.pexpiretime(key) == p.pexpiretime(key)


def stream_of(node, *commands):
    """What the AOF holds after commands, as lists of words, without SELECT."""
    size = len(aof(node))
    for command in commands:
        node.call(*command)
    words = aof(node)[size:].split(b"\r\n")
    result, at = [], 0
    while at < len(words) and words[at].startswith(b"*"):
        count = int(words[at][1:])
        result.append([words[at + 2 + 2 * i] for i in range(count)])
        at += 1 + 2 * count
    return [command for command in result if command[0] != b"SELECT"]


def aof(node):
    return b"".join(path.read_bytes()
                    for path in sorted((node.dir / "appendonlydir").glob("*.incr.aof")))


def test_what_is_propagated(server):
    node = server({"appendonly": "yes", "appendfsync": "always"})
    assert stream_of(node, ("FLASH.SET", "k", "v" * 100, "GET")) == [
        [b"FLASH.SET", b"k", b"v" * 100]]
    chill(node, "k")
    assert stream_of(node, ("FLASH.GET", "k"), ("FLASH.SET", "k", "x", "NX"),
                     ("FLASH.SET", "none", "x", "XX"), ("FLASH.DEL", "none")) == []
    [[name, key, value, word, moment]] = stream_of(node, ("FLASH.SET", "k", "v", "EX", "1000"))
    assert [name, key, value, word] == [b"FLASH.SET", b"k", b"v", b"PXAT"]
    assert int(moment) == node.call("PEXPIRETIME", "k")
    assert stream_of(node, ("FLASH.SET", "k", "v", "XX", "KEEPTTL")) == [
        [b"FLASH.SET", b"k", b"v", b"KEEPTTL"]]
    assert stream_of(node, ("FLASH.SET", "k", "v", "PXAT", "1")) == [[b"DEL", b"k"]]
    assert stream_of(node, ("FLASH.SET", "k", "v", "PXAT", "1")) == []
    node.call("FLASH.MSET", "a", "1", "b", "2")
    [command] = stream_of(node, ("FLASH.DEL", "a", "none", "b", "a"))
    assert command == [b"FLASH.DEL", b"a", b"b"]


def test_a_replica_reads_cold_keys_and_follows(server):
    primary, replica = server(SMALL_CACHE), server({**SMALL_CACHE, "flash.replica-tier-enabled":
                                                   "yes"})
    fill(primary, 500)
    replica.replicate_from(primary)
    verify(replica, 500)
    primary.call("FLASH.SET", "k9", value_of(9))
    replica.wait_for_offset_of(primary)
    replica.client.replicaof("NO", "ONE")
    replica.call("FLASH.SET", "k10", value_of(10), "GET")
    verify(replica, 500)


def test_a_child_that_cannot_read_fails_the_save_and_keeps_the_last_file(server):
    node = server({**SMALL_CACHE, "flash.compression": "none"})
    fill(node, 300)
    node.call("SAVE")
    good = (node.dir / "dump.rdb").read_bytes()
    node.call("FLASH.SET", "victim", b"victim" * 500)
    chill(node, "victim")
    disks.spoil_value(node.dir / "flash.tier", b"victimvictim")
    node.client.bgsave()
    wait_until(lambda: not node.info("persistence")["rdb_bgsave_in_progress"], 30, "BGSAVE")
    assert node.info("persistence")["rdb_last_bgsave_status"] == "err"
    assert (node.dir / "dump.rdb").read_bytes() == good
    with pytest.raises(redis.exceptions.ResponseError):
        node.call("SAVE")
    assert (node.dir / "dump.rdb").read_bytes() == good
    assert not list(node.dir.glob("temp-*"))
    assert "could not be read from flash while saving" in node.log()
    # A payload of it is refused by whoever gets it.
    payload = node.call("DUMP", "victim")
    with pytest.raises(Exception, match="Bad data format"):
        node.call("RESTORE", "copy", 0, payload)
    with pytest.raises(Exception, match="FLASHIO"):
        node.call("FLASH.GET", "victim")
    assert node.call("EXISTS", "victim") == 1
    node.call("FLASH.DEL", "victim")
    node.save_in_background()
