"""The module's own log: what was acknowledged is there after kill -9, with the AOF off.

Every test writes, kills the server without warning and looks at what the next one has. How often
and at which moments is the crash harness's business (tests/integration/crash).
"""

import re
import time

import pytest
import redis

from conftest import LOGGED, wait_until
from harness.cluster import single_node
from harness.resp import Connection

PAST_MS = 1500


def base_stands(node):
    return node.client.info("flash")["flash_wal_base"] == "ok"


def crash(node, settings=None):
    """kill -9 and start; returns once it is ready."""
    node.restart(settings, crash=True)
    return node


def records_applied(node):
    found = re.findall(r"(\d+) records applied", node.log_since_start())
    return int(found[-1]) if found else None


def test_every_type_is_there_without_any_snapshot(server):
    node = server(LOGGED)
    call = node.call
    call("FLASH.SET", "s", "value" * 100)
    call("FLASH.SET", "tiny", "v")
    call("FLASH.MSET", "m1", "1", "m2", "2")
    call("FLASH.HSET", "h", "f", "v", "g", "w")
    call("FLASH.HDEL", "h", "g")
    call("FLASH.RPUSH", "l", *range(20))
    call("FLASH.LPOP", "l", 3)
    call("FLASH.ZADD", "z", 1, "a", 2, "b", 3, "c")
    call("FLASH.ZPOPMIN", "z")
    call("FLASH.ZUNIONSTORE", "z2", 1, "z")
    call("FLASH.SET", "gone", "x")
    call("FLASH.DEL", "gone")
    crash(node)
    assert call("FLASH.GET", "s") == b"value" * 100
    assert call("FLASH.MGET", "tiny", "m1", "m2", "gone") == [b"v", b"1", b"2", None]
    assert call("FLASH.HGETALL", "h") in ({b"f": b"v"}, [b"f", b"v"])
    assert call("FLASH.LRANGE", "l", 0, -1) == [b"%d" % i for i in range(3, 20)]
    assert call("FLASH.ZRANGE", "z2", 0, -1) == [b"b", b"c"]
    assert node.client.dbsize() == 8
    assert records_applied(node) is not None
    assert "recovered" in node.log_since_start()


def test_nothing_is_applied_twice(server):
    node = server(LOGGED)
    for _ in range(5):
        node.call("FLASH.RPUSH", "l", "x")
        node.save_in_background()
        node.call("FLASH.RPUSH", "l", "y")
        crash(node)
    assert node.call("FLASH.LRANGE", "l", 0, -1) == [b"x", b"y"] * 5
    for _ in range(3):
        crash(node)
        assert node.call("FLASH.LLEN", "l") == 10


def test_the_position_is_exact_at_the_fork(server):
    """Pushes go on while snapshots are made; each element is there once."""
    node = server(LOGGED)
    pushed = 0
    for _ in range(4):
        node.client.bgsave()
        while node.info("persistence")["rdb_bgsave_in_progress"] or pushed % 50:
            node.call("FLASH.RPUSH", "l", pushed)
            pushed += 1
        node.call("FLASH.RPUSH", "l", pushed)
        pushed += 1
        crash(node)
        assert node.call("FLASH.LRANGE", "l", 0, -1) == [b"%d" % i for i in range(pushed)]


def test_native_commands_on_our_keys(server):
    node = server(LOGGED)
    call = node.call
    for name in "abcdefghij":
        call("FLASH.SET", name, name * 100)
    call("DEL", "a")
    call("UNLINK", "b")
    call("RENAME", "c", "c2")
    call("COPY", "d", "d2")
    call("COPY", "d", "d3", "DB", 3)
    call("MOVE", "e", 2)
    call("SET", "f", "native")
    call("EXPIRE", "g", 1000)
    call("EXPIRE", "h", 1000)
    call("PERSIST", "h")
    call("RENAME", "i", "j")
    payload = call("DUMP", "j")
    call("RESTORE", "r", 0, payload)
    call("RESTORE", "r2", 100000, payload)
    call("RESTORE", "d", 0, payload, "REPLACE")
    ttl = node.client.pexpiretime("g")
    crash(node)
    keys = {key.decode() for key in node.client.keys()}
    assert keys == {"c2", "d", "d2", "g", "h", "j", "r", "r2"}
    values = call("FLASH.MGET", "c2", "d", "d2", "g", "h", "j", "r", "r2")
    assert [v[:1] for v in values] == [b"c", b"i", b"d", b"g", b"h", b"i", b"i", b"i"]
    assert all(len(v) == 100 for v in values)
    assert node.client.pexpiretime("g") == ttl
    assert node.client.ttl("h") == -1
    assert 0 < node.client.pttl("r2") <= 100000
    assert node.connect(db=2).execute_command("FLASH.GET", "e") == b"e" * 100
    assert node.connect(db=3).execute_command("FLASH.GET", "d3") == b"d" * 100


def test_rename_over_a_key_of_ours_and_of_others(server):
    node = server(LOGGED)
    node.call("FLASH.SET", "a", "1" * 80)
    node.call("FLASH.SET", "b", "2" * 80)
    node.call("RENAME", "a", "b")
    node.call("SET", "native", "x")
    node.call("FLASH.SET", "c", "3" * 80)
    node.call("RENAME", "native", "c")
    node.call("FLASH.SET", "d", "4" * 80)
    node.call("RENAMENX", "d", "e")
    crash(node)
    assert node.call("FLASH.MGET", "a", "b", "c", "d", "e") == [
        None, b"1" * 80, None, None, b"4" * 80]


def test_databases_swapped_and_flushed(server):
    node = server(LOGGED)
    other = node.connect(db=5)
    node.call("FLASH.SET", "k", "zero" * 30)
    other.execute_command("FLASH.SET", "k", "five" * 30)
    node.call("SWAPDB", 0, 5)
    crash(node)
    assert node.call("FLASH.GET", "k") == b"five" * 30
    node.connect(db=5).flushdb()
    crash(node)
    assert node.call("FLASH.GET", "k") == b"five" * 30
    assert node.connect(db=5).dbsize() == 0
    node.client.flushall()
    node.call("FLASH.SET", "after", "x")
    crash(node)
    assert node.client.keys() == [b"after"]


def test_expired_and_evicted_keys_stay_away(server):
    node = server(LOGGED)
    node.call("FLASH.SET", "short", "x" * 100, "PX", 50)
    node.call("FLASH.SET", "long", "x" * 100, "PX", 100000)
    wait_until(lambda: node.client.dbsize() == 1, what="expiry")
    node.call("FLASH.RPUSH", "short", "a list now")
    crash(node)
    assert node.call("FLASH.LRANGE", "short", 0, -1) == [b"a list now"]
    assert node.client.pttl("long") > 0


def test_a_key_that_expired_while_down_but_was_persisted_comes_back(server):
    node = server(LOGGED)
    node.call("FLASH.SET", "kept", "x" * 100, "PX", PAST_MS)
    node.call("FLASH.SET", "prolonged", "y" * 100, "PX", PAST_MS)
    node.call("FLASH.RPUSH", "list", *range(100))
    node.call("PEXPIRE", "list", PAST_MS)
    node.call("FLASH.SET", "over", "z" * 100, "PX", PAST_MS)
    node.save_in_background()
    node.call("PERSIST", "kept")
    node.call("PEXPIRE", "prolonged", 10_000_000)
    node.call("FLASH.RPUSH", "list", "more")
    node.call("PERSIST", "list")
    node.kill()
    time.sleep(PAST_MS / 1000 + 0.1)  # Until the RDB's moments are over: nothing tells of it.
    node.start()
    assert node.call("FLASH.GET", "kept") == b"x" * 100
    assert node.call("FLASH.GET", "prolonged") == b"y" * 100
    assert node.call("FLASH.LLEN", "list") == 101
    assert node.client.ttl("kept") == -1
    assert node.call("FLASH.GET", "over") is None


def test_transactions_and_scripts(server):
    node = server(LOGGED)
    pipe = node.client.pipeline(transaction=True)
    pipe.execute_command("FLASH.SET", "a", "1")
    pipe.execute_command("FLASH.RPUSH", "l", "1", "2")
    pipe.execute_command("RENAME", "a", "b")
    pipe.execute()
    node.client.eval("server.call('FLASH.SET', KEYS[1], 'x') "
                     "server.call('FLASH.DEL', KEYS[2]) return 1", 2, "s", "l")
    crash(node)
    assert node.call("FLASH.MGET", "a", "b", "s") == [None, b"1", b"x"]
    assert node.client.exists("l") == 0


def test_a_native_key_in_the_way_goes(server):
    """Native keys fall back to the RDB; what the log says of a name counts."""
    node = server(LOGGED)
    node.call("SET", "k", "native")
    node.call("FLASH.SET", "other", "x")
    node.save_in_background()
    node.call("DEL", "k")
    node.call("FLASH.SET", "k", "ours")
    crash(node)
    assert node.call("FLASH.GET", "k") == b"ours"


def test_the_log_is_cut_by_snapshots_and_starts_them(server):
    node = server(LOGGED)
    value = "v" * 10000
    pipe = node.client.pipeline(transaction=False)
    peak = 0
    for i in range(6000):
        pipe.execute_command("FLASH.SET", f"k{i % 100}", value + str(i))
        if i % 200 == 199:
            pipe.execute()
            peak = max(peak, node.client.info("flash")["flash_wal_size_bytes"])
            wait_until(lambda: node.client.info("flash")["flash_wal_size_bytes"] < 24 << 20, 60,
                       "the log to be cut")
    assert peak < 34 << 20
    wait_until(lambda: node.client.info("flash")["flash_wal_size_bytes"] < 17 << 20, 60,
               "the log to be cut at last")
    crash(node)
    assert node.client.dbsize() == 100
    for i in range(5900, 6000):
        assert node.call("FLASH.GET", f"k{i % 100}") == (value + str(i)).encode()


def test_a_snapshot_without_position_gets_a_base(server):
    node = server({"flash.wal": "no"})
    node.call("FLASH.SET", "old", "x" * 100)
    node.save_in_background()
    node.stop()
    node.settings.update(LOGGED)
    node.start()
    node.call("FLASH.SET", "new", "y")
    crash(node)
    assert node.call("FLASH.MGET", "old", "new") == [b"x" * 100, b"y"]
    wait_until(lambda: base_stands(node), 30, "the base")


def test_everysec_and_no_lose_nothing_when_only_the_process_dies(server):
    for mode in ("everysec", "no"):
        node = server({**LOGGED, "flash.sync": mode})
        for i in range(100):
            node.call("FLASH.SET", f"k{i}", "x" * 100)
        wait_until(lambda: (node.client.info("flash")["flash_wal_appended_lsn"] >= 100), 10,
                   "the log's thread")
        crash(node)
        assert node.client.dbsize() == 100


def test_order_of_a_clean_restart(server):
    node = server(LOGGED)
    node.call("FLASH.SET", "k", "x" * 100)
    node.restart()
    assert node.call("FLASH.GET", "k") == b"x" * 100


def test_mismatch_is_refused_and_archived_when_told(server):
    node = server(LOGGED)
    node.call("FLASH.SET", "k", "x" * 100)
    node.save_in_background()
    wait_until(lambda: base_stands(node))
    backup = (node.dir / "dump.rdb").read_bytes()
    node.kill()
    other = server(LOGGED)
    other.call("FLASH.SET", "k", "other")
    other.save_in_background()
    other.kill()
    (other.dir / "dump.rdb").write_bytes(backup)
    other.start()
    assert other.call("FLASH.DEBUG.STATE") in (b"error", "error")
    assert "flash.wal-on-mismatch" in other.log_since_start()
    with pytest.raises(redis.exceptions.ResponseError):
        other.call("FLASH.GET", "k")
    with pytest.raises(redis.exceptions.ResponseError):
        other.save()
    assert (other.dir / "dump.rdb").read_bytes() == backup
    crash(other, {"flash.wal-on-mismatch": "archive"})
    assert other.call("FLASH.GET", "k") == b"x" * 100
    assert len(list(other.dir.glob("flash.wal*"))) == 2
    other.call("FLASH.SET", "k", "on")
    crash(other, {"flash.wal-on-mismatch": "refuse"})
    assert other.call("FLASH.GET", "k") == b"on"


def test_a_missing_log_is_refused(server):
    node = server(LOGGED)
    node.call("FLASH.SET", "k", "x")
    node.save_in_background()
    node.kill()
    (node.dir / "flash.wal").unlink()
    node.start()
    assert node.call("FLASH.DEBUG.STATE") in (b"error", "error")


def test_a_promoted_replica_keeps_what_it_acknowledges(server):
    primary = server(LOGGED)
    replica = server(LOGGED)
    primary.call("FLASH.SET", "a", "1" * 100)
    replica.replicate_from(primary)
    primary.call("FLASH.SET", "b", "2" * 100)
    replica.wait_for_offset_of(primary)
    wait_until(lambda: base_stands(replica), 30, "the replica's base")
    replica.client.execute_command("REPLICAOF", "NO", "ONE")
    replica.call("FLASH.SET", "c", "3" * 100)
    crash(replica)
    assert replica.call("FLASH.MGET", "a", "b", "c") == [b"1" * 100, b"2" * 100, b"3" * 100]


def empty_some(node):
    """Commands that leave keys empty: replicas and the log are told to delete them."""
    node.call("FLASH.RPUSH", "{e}l", "x")
    node.call("FLASH.LPOP", "{e}l")
    node.call("FLASH.HSET", "{e}h", "f", "v")
    node.call("FLASH.HDEL", "{e}h", "f")
    node.call("FLASH.ZADD", "{e}z", 1, "m")
    node.call("FLASH.ZDIFFSTORE", "{e}z", 2, "{e}z", "{e}z")
    node.call("FLASH.SET", "{e}s", "v")
    node.call("FLASH.SET", "{e}s", "v", "PXAT", 1)


def test_what_was_left_empty_stays_away(server):
    node = server(LOGGED)
    empty_some(node)
    node.call("FLASH.SET", "stays", "v")
    crash(node)
    assert node.client.keys() == [b"stays"]


def test_a_node_of_a_cluster_recovers(server):
    """Before the cluster is up, and whatever slots the keys are in."""
    node = single_node(server, LOGGED)
    for i in range(50):
        node.call("FLASH.HSET", f"h{i}", "f", "v" * i)
    node.call("COPY", "h0", "{h0}copy")
    node.call("RENAME", "h1", "{h1}renamed")
    node.call("DEL", "h2")
    empty_some(node)
    node.call("RESTORE", "h3", 0, node.call("DUMP", "h4"), "REPLACE")
    node.call("PEXPIREAT", "h5", 10_000_000_000_000)
    crash(node)
    assert records_applied(node) is not None
    assert node.client.dbsize() == 50
    assert node.call("DEBUG", "DIGEST-VALUE", "h3") == node.call("DEBUG", "DIGEST-VALUE", "h4")
    wait_until(lambda: b"cluster_state:ok" in Connection(node.port).must("CLUSTER", "INFO"), 30,
               "the cluster to be up")
    assert Connection(node.port).must("FLASH.HGET", "{h1}renamed", "f") == b"v"
    assert node.call("PEXPIRETIME", "h5") == 10_000_000_000_000
    other = Connection(node.port)
    slot = other.must("CLUSTER", "KEYSLOT", "h7")
    other.must("CLUSTER", "DELSLOTS", slot)
    assert other.call("FLASH.HLEN", "h7").value.startswith(b"CLUSTERDOWN"), "slots are ignored"
