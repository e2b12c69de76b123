"""Snapshots of cold values: the table at their head, exactness, damage, loads that fail midway."""

import random
import time

import pytest
import redis

from collections_test import crc64
from conftest import StartError, wait_until
from harness.disks import spoil_value
from harness.parking import chill
from harness.resp import Connection

TIGHT = {"flash.cache-size-bytes": "1mb", "rdbcompression": "no", "flash.compression": "none"}
IN_TABLE = 2**64 - 2


def value_of(n, size=900):
    return (b"value %d " % n * (size // 8 + 1))[:size]


def fill_strings(node, count, size=900, start=0, expiry=()):
    pipe = node.client.pipeline(transaction=False)
    for n in range(start, start + count):
        pipe.execute_command("FLASH.SET", f"s{n}", value_of(n, size), *expiry)
    pipe.execute()


def fill_small_collections(node, count):
    pipe = node.client.pipeline(transaction=False)
    for n in range(count):
        pairs = [word for i in range(8) for word in (f"f{i}", value_of(n + i, 90))]
        pipe.execute_command("FLASH.HSET", f"h{n}", *pairs)
        pipe.execute_command("FLASH.RPUSH", f"l{n}", *(value_of(n + i, 90) for i in range(8)))
        pipe.execute_command("FLASH.ZADD", f"z{n}", *(
            word for i in range(8) for word in (i * 1.5 - n, value_of(n + i, 90))))
    pipe.execute()


def fill_everything(node, count=400):
    """Values of all shapes, most of them cold; some shared, some larger than a block."""
    fill_strings(node, 2 * count)
    fill_small_collections(node, count)
    node.call("FLASH.SET", "rope", value_of(1, 900_000))
    node.call("FLASH.HSET", "large", "f", value_of(2, 400_000), "g", value_of(3, 5000))
    node.call("FLASH.RPUSH", "long", *(value_of(n, 300) for n in range(2000)))
    for n in range(0, count, 7):
        node.call("COPY", f"s{n}", f"copy{n}")
        node.call("COPY", f"h{n}", f"hcopy{n}")
    names = [f"{kind}{n}" for kind in "shlz" for n in range(0, count, 2)]
    chill(node, "rope", "large", "long", *names)


def digest(node):
    return node.call("DEBUG", "DIGEST")


def rdb(node):
    return (node.dir / "dump.rdb").read_bytes()


def used(node):
    return node.info("flash")["flash_storage_used_bytes"]


def assert_nothing_is_left(node):
    node.call("FLUSHALL", "SYNC")
    wait_until(lambda: used(node) == 0, 20, "all blocks to be freed")


@pytest.mark.parametrize("how", ["BGSAVE", "SAVE"])
def test_every_shape_comes_back(server, how):
    node = server(TIGHT)
    fill_everything(node)
    expected = digest(node)
    if how == "SAVE":
        node.call("SAVE")
    else:
        node.save_in_background()
    assert rdb(node).index(b"value 100 ") < rdb(node).index(b"\x04s100")  # Before its key.
    node.kill()
    node.start()
    assert digest(node) == expected
    assert node.info("flash")["flash_cache_size_bytes"] <= 1.1 * (1 << 20)
    assert_nothing_is_left(node)


def test_what_was_cold_is_cold_after_a_load(server):
    node = server(TIGHT)
    fill_strings(node, 5000)
    node.call("FLASH.SET", "hot", b"x" * 500)
    node.call("SAVE")
    node.restart({"flash.cache-size-bytes": "64mb"}, crash=True)
    info = node.info("flash")
    assert info["flash_tiered_keys"] > 3500
    assert node.call("FLASH.DEBUG.DEMOTE", "hot") == b"OK"  # It was not cold yet.


def test_debug_reload_keeps_all(server):
    node = server(TIGHT)
    fill_everything(node)
    expected = digest(node)
    for _ in range(2):
        node.call("DEBUG", "RELOAD")
        assert digest(node) == expected
    wait_until(lambda: node.call("FLUSHALL", "ASYNC") and used(node) == 0, 20, "free blocks")


def test_a_save_sees_the_moment_of_the_fork(server):
    """Everything is overwritten, deleted and compacted while the child is at work."""
    node = server({**TIGHT, "flash.capacity-bytes": "64mb"})
    fill_strings(node, 8000)
    chill(node, *(f"s{n}" for n in range(0, 8000, 5)))
    expected = digest(node)
    node.client.bgsave()
    pipe = node.client.pipeline(transaction=False)
    for n in range(0, 8000, 2):
        pipe.execute_command("FLASH.SET", f"s{n}", value_of(n + 7, 700))
    for n in range(1, 8000, 4):
        pipe.execute_command("DEL", f"s{n}")
    pipe.execute_command("FLASH.COMPACTION.TRIGGER")
    pipe.execute(raise_on_error=False)
    wait_until(lambda: not node.info("persistence")["rdb_bgsave_in_progress"], 60, "BGSAVE")
    assert node.info("persistence")["rdb_last_bgsave_status"] == "ok"
    node.kill()
    node.start()
    assert digest(node) == expected


@pytest.mark.parametrize("rewrite", ["yes", "no"])
def test_aof_rewrite(server, rewrite):
    node = server({**TIGHT, "appendonly": "yes", "aof-use-rdb-preamble": rewrite})
    fill_everything(node)
    expected = digest(node)
    node.rewrite_aof()
    node.call("FLASH.SET", "s1", "after")
    node.call("FLASH.SET", "s1", value_of(1))
    node.kill()
    node.start()
    assert digest(node) == expected


def test_expired_keys_leave_no_block(server):
    node = server(TIGHT)
    node.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    at_ms = int(time.time() * 1000) + 2000
    fill_strings(node, 3000, expiry=("PXAT", at_ms))
    fill_strings(node, 10, start=3000)
    node.call("SAVE")
    node.kill()
    wait_until(lambda: time.time() * 1000 > at_ms)  # The load drops them.
    node.start()
    assert node.client.dbsize() == 10
    assert node.call("FLASH.GET", "s3003") == value_of(3003)
    assert_nothing_is_left(node)


@pytest.mark.parametrize("diskless, load", [("yes", "swapdb"), ("yes", "on-empty-db"),
                                            ("no", "disabled")])
def test_full_synchronisation(server, diskless, load):
    primary = server({**TIGHT, "repl-diskless-sync": diskless})
    replica = server({**TIGHT, "repl-diskless-load": load, "flash.replica-tier-enabled": "yes"})
    fill_everything(primary)
    if load != "on-empty-db":
        fill_strings(replica, 500)  # To be replaced.
    replica.replicate_from(primary)
    assert digest(replica) == digest(primary)
    replica.client.replicaof("NO", "ONE")
    assert_nothing_is_left(replica)


def test_a_primary_that_dies_while_it_sends_leaves_a_replica_as_good_as_before(server):
    primary = server({**TIGHT, "repl-diskless-sync": "yes", "rdb-key-save-delay": "300"})
    replica = server({**TIGHT, "repl-diskless-load": "swapdb",
                      "flash.replica-tier-enabled": "yes"})
    fill_everything(primary)
    replica.replicate_from(primary, wait=False)
    wait_until(lambda: replica.info("replication").get("master_sync_in_progress")
               or replica.info("persistence")["loading"], 20, "the synchronisation")
    primary.kill()
    wait_until(lambda: replica.client.ping() and not replica.info("persistence")["loading"], 20)
    replica.client.replicaof("NO", "ONE")
    fill_strings(replica, 50)
    assert replica.call("FLASH.GET", "s7") == value_of(7)
    assert_nothing_is_left(replica)


def test_kill_in_the_middle_of_a_load(server):
    node = server(TIGHT)
    fill_everything(node)
    expected = digest(node)
    node.call("SAVE")
    node.settings.update({"key-load-delay": "500", "loading-process-events-interval-bytes": "1024"})
    for part in (0, 0.2, 0.5):
        node.kill()
        node.start(wait=False)
        wait_until(lambda: (info := node.info("persistence"))["loading"]
                   and info["loading_loaded_perc"] >= 100 * part, what="the load")
    node.settings["key-load-delay"] = "0"
    node.kill()
    node.start()
    assert digest(node) == expected


@pytest.mark.parametrize("prefix", ["s", "h"])
def test_a_spoilt_record_fails_the_save(server, prefix):
    node = server(TIGHT)
    fill_everything(node)
    node.call("SAVE")
    good = rdb(node)
    victim = b"a victim of 13 " * 40
    if prefix == "s":
        node.call("FLASH.SET", "victim", victim)
    else:
        node.call("FLASH.HSET", "victim", "field", victim)
    chill(node, "victim")
    spoil_value(node.dir / "flash.tier", victim)
    node.client.bgsave()
    wait_until(lambda: not node.info("persistence")["rdb_bgsave_in_progress"], 30, "BGSAVE")
    assert node.info("persistence")["rdb_last_bgsave_status"] == "err"
    with pytest.raises(redis.exceptions.ResponseError):
        node.call("SAVE")
    assert rdb(node) == good
    assert "could not be read from flash while saving" in node.log()
    node.call("DEL", "victim")
    node.save_in_background()


def test_a_dump_never_refers_to_a_table(server):
    node = server(TIGHT)
    fill_strings(node, 3000)
    node.call("SAVE")
    chill(node, "s5")
    payload = node.call("DUMP", "s5")
    node.call("RESTORE", "restored", 0, payload)
    assert node.call("FLASH.GET", "restored") == value_of(5)
    # A reference made by hand: behind the type's byte and its id.
    broken = payload[:10] + b"\x02\x81" + IN_TABLE.to_bytes(8, "big") + b"\x02\x05\x00"
    broken += payload[-10:-8]
    reply = Connection(node.port).call("RESTORE", "r", 0, broken + crc64(broken))
    assert reply.is_error and b"Bad data format" in reply.value
    assert "not in the table" in node.log()


def test_no_cold_value_no_table(server):
    node = server({"flash.cache-size-bytes": "16mb"})
    fill_strings(node, 10)
    node.call("FLASH.DEL", *(f"s{n}" for n in range(10)))
    node.client.set("native", "value")
    node.call("SAVE")
    plain = server({"dbfilename": "dump.rdb"}, module=False, start=False)
    (plain.dir / "dump.rdb").write_bytes(rdb(node))
    plain.start()
    assert plain.client.get("native") == b"value"


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_are_refused_and_never_crash(server, part):
    """Bytes flipped, cut and doubled all over a file; the server loads it or says why not."""
    node = server({**TIGHT, "rdbchecksum": "no"})
    fill_strings(node, 60)
    fill_small_collections(node, 20)
    node.call("FLASH.SET", "rope", value_of(1, 600_000))
    chill(node, *(key.decode() for key in node.call("KEYS", "*")))
    node.call("SAVE")
    whole = rdb(node)
    node.kill()
    rng = random.Random(part)
    keys_at = whole.index(b"\x03s10")
    for trial in range(12):
        broken = bytearray(whole)
        area = keys_at if trial % 3 else len(broken)
        kind = rng.randrange(3) if area == keys_at else 0
        at = rng.randrange(100, area)
        if kind == 0:
            for _ in range(rng.randrange(1, 4)):
                broken[rng.randrange(100, area)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del broken[at:at + rng.randrange(1, 40)]
        else:
            broken[at:at] = broken[at:at + rng.randrange(1, 2000)]
        (node.dir / "dump.rdb").write_bytes(broken)
        try:
            node.start()
        except StartError:
            # It ended in good order, but for two keys of one name, which no server stands.
            assert node.process.returncode >= 0 or "Duplicated key" in node.log_since_start(), (
                f"trial {trial}: {node.log_since_start()}")
        else:
            digest(node)
            assert_nothing_is_left(node)
            node.kill()
    (node.dir / "dump.rdb").write_bytes(whole)
    node.start()
    assert node.client.dbsize() == 121
