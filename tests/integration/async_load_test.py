"""`repl-diskless-load swapdb`: new data loads beside the old, which clients read meanwhile.

Whatever comes of it, nothing of the data set that lost is left: no byte of the tier, no RAM. The
settings make loads slow and let commands in after every key.
"""

import os

import pytest

from conftest import LOGGED, wait_until
from harness.pairs import outrun_backlog
from harness.parking import chill
from harness.resp import Connection

TIGHT = {"flash.cache-size-bytes": "1mb", "flash.compression": "none",
         "flash.replica-tier-enabled": "yes"}
PRIMARY = {**TIGHT, "repl-diskless-sync": "yes", "repl-backlog-size": "16kb",
           "repl-timeout": "20"}
REPLICA = {**TIGHT, "repl-diskless-load": "swapdb", "loading-process-events-interval-bytes": "1024",
           "replica-lazy-flush": "yes"}
SHAPES = ("string", "hash", "list", "zset")
TIERED = 4 * 60 + 2


def names(keys):
    return [f"{shape}{n}" for n in range(keys) for shape in SHAPES]


def fill(node, keys=60, old=True):
    """Keys of every shape, all cold; the same names with other content when `old` is False."""
    text = b"old " if old else b"new "
    pipe = node.client.pipeline(transaction=False)
    for n in range(keys):
        value = text + os.urandom(3000)
        pipe.execute_command("FLASH.SET", f"string{n}", value)
        pipe.execute_command("DEL", f"hash{n}", f"list{n}", f"zset{n}")
        pipe.execute_command("FLASH.HSET", f"hash{n}", "f", text, "g", value[:800])
        pipe.execute_command("FLASH.RPUSH", f"list{n}", text, value[:900], value[900:1800])
        pipe.execute_command("FLASH.ZADD", f"zset{n}", 1, text + value[:700], 2, value[700:1500])
    pipe.execute_command("FLASH.SET", "rope", text + os.urandom(600_000))
    pipe.execute_command("DEL", "tree")
    pipe.execute_command("FLASH.HSET", "tree", *[part for n in range(2000)
                                                 for part in (f"f{n}", text + b"%d" % n * 9)])
    pipe.execute_command("FLASH.SET", "tiny", text)
    pipe.execute_command("SET", "native", text)
    pipe.execute()
    chill(node, "rope", "tree", *names(keys))


def digest(node):
    return node.call("DEBUG", "DIGEST")


def tiered(node):
    return node.info("flash")["flash_tiered_keys"]


def blocks(node):
    info = node.info("flash")
    return sum(info[f"flash_blocks_{state}"]
               for state in ("hot_dirty", "hot_clean", "demoting", "cold"))


def renew(primary, replica):
    """Other data, which the replica has, too."""
    fill(primary, old=False)
    replica.wait_for_offset_of(primary)


def force_full_sync(primary, delay_us=3000):
    """Drops the link so that no backlog can help: the same history."""
    client = Connection(primary.port)
    client.must("CONFIG", "SET", "rdb-key-save-delay", delay_us)
    outrun_backlog(primary, ("SET", "native", "new"))


def loads_beside(node):
    return node.info("persistence")["async_loading"] == 1


@pytest.fixture
def pair(server):
    def make(primary=None, replica=None, keys=60):
        made = server({**PRIMARY, **(primary or {})}), server({**REPLICA, **(replica or {})})
        fill(made[0], keys)
        made[1].replicate_from(made[0])
        made[1].wait_for_offset_of(made[0])
        assert digest(made[0]) == digest(made[1])
        return made
    return make


def test_the_module_consents(server):
    node = server()
    modules = Connection(node.port).must("INFO", "modules")
    [line] = [line for line in modules.split(b"\r\n") if b"name=flash" in line]
    assert b"handle-repl-async-load" in line and b"handle-io-errors" in line


def test_old_data_is_read_while_new_data_loads(pair):
    primary, replica = pair()
    renew(primary, replica)
    force_full_sync(primary)
    before = digest(replica)
    c = Connection(replica.port)
    wait_until(lambda: loads_beside(replica), 30, "the load beside the old data")
    script = "return redis.call('FLASH.HGET', KEYS[1], 'f')"
    reads = 0
    while loads_beside(replica):
        n = reads % 60
        assert c.call("FLASH.DEBUG.STATE").plain() == b"ready"
        assert c.call("FLASH.GET", f"string{n}").plain().startswith(b"new ")
        assert c.call("FLASH.HGET", f"hash{n}", "f").plain() == b"new "
        assert c.call("FLASH.LRANGE", f"list{n}", 0, 0).plain() == [b"new "]
        assert c.call("FLASH.ZCARD", f"zset{n}").plain() == 2
        assert c.call("FLASH.HGET", "tree", "f7").plain() == b"new " + b"7" * 9
        assert len(c.call("FLASH.GET", "rope").plain()) == 600_004
        assert c.call("EVAL", script, 1, f"hash{n}").plain() == b"new "
        c.send(("MULTI",), ("FLASH.GET", f"string{n}"), ("EXEC",))
        assert [c.read().is_error for _ in range(3)] == [False] * 3
        reads += 1
        c.must("PING")
    assert reads > 0, "the load was over before anything was read"
    assert "aware of async replication" not in replica.log()
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", 30, "the link")
    replica.wait_for_offset_of(primary)
    assert digest(replica) == digest(primary) != before
    assert c.call("EXISTS", "filler").plain() == 1
    chill(replica, "rope", "tree", *names(60))
    wait_until(lambda: tiered(replica) == TIERED, 30, "the old data to be gone")
    replica.client.replicaof("NO", "ONE")
    replica.call("FLUSHALL", "SYNC")
    wait_until(lambda: replica.info("flash")["flash_storage_used_bytes"] == 0, 30, "free blocks")


@pytest.mark.parametrize("history", ["same", "other"])
def test_an_aborted_load_leaves_nothing(pair, server, history):
    primary, replica = pair(replica=LOGGED)
    wait_until(lambda: replica.info("flash")["flash_wal_base"] == "ok", 30, "the log's base")
    before = blocks(replica)
    if history == "same":
        renew(primary, replica)
        before = blocks(replica)
        force_full_sync(primary, delay_us=100_000)
        source = primary
        wait_until(lambda: loads_beside(replica), 30, "the load")
    else:
        source = server({**PRIMARY, "rdb-key-save-delay": "3000"})
        fill(source, 200, old=False)
        replica.replicate_from(source, wait=False)
        wait_until(lambda: replica.info("persistence")["loading"], 30, "the load")
    expected = digest(replica) if history == "same" else None
    wait_until(lambda: blocks(replica) > before + 50, 30, "new values beside the old")
    source.kill()
    wait_until(lambda: not loads_beside(replica) and not replica.info("persistence")["loading"], 60,
               "the end of the load")
    replica.client.replicaof("NO", "ONE")
    assert "Discarding temporary DB" in replica.log()
    if expected is not None:
        assert digest(replica) == expected
    replica.call("DEL", "native")  # No concern of our log.
    expected = digest(replica)
    assert replica.call("EXISTS", *names(60)) == 240
    chill(replica, "rope", "tree", *names(60))
    wait_until(lambda: tiered(replica) == TIERED, 30, "the new data to be gone")
    # The log is still the log of this data.
    assert replica.info("flash")["flash_wal_base"] == "ok"
    assert blocks(replica) == before
    replica.call("FLASH.SET", "later", "x" * 100)
    replica.restart({"replicaof": "no one"}, crash=True)
    assert replica.call("FLASH.GET", "later") == b"x" * 100
    replica.call("DEL", "later", "native")
    assert digest(replica) == expected
    replica.call("FLUSHALL", "SYNC")
    wait_until(lambda: replica.info("flash")["flash_storage_used_bytes"] == 0, 30, "free blocks")


def test_too_little_room_for_both_keeps_the_old(server):
    """16 MB hold one data set of 11 MB and no second one."""
    primary = server({**PRIMARY, "flash.capacity-bytes": "64mb"})
    replica = server({**REPLICA, "flash.capacity-bytes": "16mb"})
    pipe = primary.client.pipeline(transaction=False)
    for n in range(1100):
        pipe.execute_command("FLASH.SET", f"k{n}", os.urandom(10_000))
    pipe.execute()
    replica.replicate_from(primary)
    replica.wait_for_offset_of(primary)
    before = digest(replica)
    outrun_backlog(primary)
    wait_until(lambda: "Discarding temporary DB" in replica.log(), 100, "the sync to fail")
    replica.client.replicaof("NO", "ONE")
    assert "the flash file are full" in replica.log()
    assert digest(replica) == before
    assert replica.info("flash")["flash_tiered_keys"] <= 1100
    used = replica.info("memory")["used_memory"]
    assert used < 20 << 20, used
    # Instead of the old data there is room.
    replica.client.config_set("repl-diskless-load", "disabled")
    replica.replicate_from(primary)
    assert digest(replica) == digest(primary)
