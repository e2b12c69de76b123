"""While a log is replayed the server answers: LOADING, and INFO; and nothing else happens.

FLASH_TEST_REPLAY_DELAY makes the replay last as long as a test needs.
"""

import contextlib
import re
import time

import pytest
import redis

from conftest import LOGGED, wait_until
from harness.resp import Connection, Disconnected

RECORDS = 400
DELAY_US = "10000"  # Four seconds and more altogether.


def refuses(node):
    with contextlib.suppress(OSError):
        link = Connection(node.port)
        try:
            return link.call("PING").is_error
        finally:
            link.close()


@pytest.fixture
def recovering(server):
    """Starts a server over a log of RECORDS records, and returns it in the middle of them."""
    def make(prepare=lambda node: None, settings=None):
        node = server({**LOGGED, "flash.wal-max-bytes": "64mb", **(settings or {})})
        for number in range(RECORDS):
            node.call("FLASH.SET", f"k{number}", f"{number}:" + "x" * 100)
        prepare(node)
        node.kill()
        node.environment["FLASH_TEST_REPLAY_DELAY"] = DELAY_US
        node.start(wait=False)
        wait_until(lambda: refuses(node), what="a refusal")
        return node

    yield make


def until_ready(node):
    wait_until(lambda: refuses(node) is False, 60, "the end")
    applied = int(re.search(r"recovered: (\d+) records applied", node.log_since_start())[1])
    assert applied >= RECORDS


def info_of(link):
    text = link.must("INFO", "flash").decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def test_clients_are_told_and_info_shows_how_far_it_is(recovering):
    node = recovering()
    link = Connection(node.port)
    for command in (("GET", "k1"), ("FLASH.GET", "k1"), ("SET", "n", "x"), ("DEL", "k1"),
                    ("MULTI",), ("FLUSHALL",), ("CONFIG", "SET", "appendonly", "yes"),
                    ("BGSAVE",), ("nonsense",),
                    ("DBSIZE",), ("EVAL", "return 1", 0), ("REPLICAOF", "NO", "ONE")):
        reply = link.call(*command)
        assert reply.is_error and reply.value.startswith(b"LOADING "), (command, reply)
    assert link.must("FLASH.DEBUG.STATE") == b"recovering"
    first = info_of(link)
    assert first["flash_module_state"] == "recovering"
    assert 0 < int(first["flash_wal_recovered_records"]) < RECORDS
    assert int(first["flash_wal_recovery_percent"]) < 100
    later = wait_until(lambda: int(info_of(link)["flash_wal_recovered_records"]) >
                       int(first["flash_wal_recovered_records"]), what="progress")
    assert later
    until_ready(node)
    assert info_of(link)["flash_wal_recovery_percent"] == "100"
    assert link.must("FLASH.DEBUG.STATE") == b"ready"
    assert link.must("FLASH.DEBUG.RECOVERING") == b"OK"
    values = node.call("FLASH.MGET", *(f"k{number}" for number in range(RECORDS)))
    assert all(value.startswith(b"%d:" % number) for number, value in enumerate(values))
    assert node.client.dbsize() == RECORDS
    assert node.client.config_get("busy-reply-threshold") == {"busy-reply-threshold": "5000"}


def test_users_with_few_rights_are_told_too(recovering):
    node = recovering(settings={"user": "narrow on >secret ~only:* -@all +flash.get".split()})
    link = Connection(node.port)
    link.must("AUTH", "narrow", "secret")
    assert link.call("FLASH.GET", "only:1").value.startswith(b"LOADING ")
    assert link.call("INFO").value.startswith(b"NOPERM ")
    assert link.call("FLASH.DEBUG.STATE").value.startswith(b"NOPERM ")
    until_ready(node)
    assert not link.call("FLASH.GET", "only:1").is_error
    assert link.call("FLASH.GET", "k1").value.startswith(b"NOPERM ")


def test_nothing_expires_and_nothing_is_evicted_meanwhile(recovering):
    """Half of the keys have a time that is over before the record that takes it away is read."""
    def prepare(node):
        for number in range(100):
            node.call("PEXPIRE", f"k{number}", 500)
        for number in range(50):
            node.call("PERSIST", f"k{number}")
        node.settings.update({"maxmemory": "1mb", "maxmemory-policy": "allkeys-random"})

    node = recovering(prepare)
    link = Connection(node.port)
    looks = 0
    while True:
        text = link.must("INFO", "everything").decode()
        if "flash_module_state:recovering" not in text:
            break
        assert re.search(r"evicted_keys:0\r", text) and re.search(r"expired_keys:0\r", text)
        looks += 1
    assert looks > 10
    node.client.config_set("maxmemory", 0)
    survivors = node.client.dbsize() + node.info("stats")["evicted_keys"]
    assert survivors <= RECORDS
    assert all(node.call("EXISTS", f"k{number}") == 0 for number in range(50, 100))


def test_it_can_be_ended_and_loses_nothing_by_that(recovering):
    node = recovering()
    with pytest.raises((Disconnected, ConnectionError)):
        Connection(node.port).must("SHUTDOWN")
    node.process.wait(30)
    assert node.process.returncode == 0 and not (node.dir / "dump.rdb").exists()
    node.environment["FLASH_TEST_REPLAY_DELAY"] = ""
    node.start()
    assert node.client.dbsize() == RECORDS


def test_killed_in_the_middle_again_and_again(recovering):
    node = recovering()
    for _ in range(5):
        node.kill()
        node.start(wait=False)
        wait_until(lambda: refuses(node), what="a refusal")
    node.kill()
    node.environment["FLASH_TEST_REPLAY_DELAY"] = ""
    node.start()
    assert node.client.dbsize() == RECORDS


def test_a_replica_that_comes_meanwhile_waits(recovering, server):
    node = recovering()
    replica = server(LOGGED)
    with contextlib.suppress(redis.exceptions.RedisError):
        replica.replicate_from(node, wait=False)
    until_ready(node)
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", 60, "the link")
    assert replica.client.dbsize() == RECORDS


def test_a_primary_mends_what_could_not_be_recovered(server):
    """A replica that died before its snapshot stood, and then was started without its primary.

    Its RDB is the one that its primary sent.
    """
    primary = server(LOGGED)
    replica = server({**LOGGED, "repl-diskless-load": "disabled"})
    for number in range(200):
        primary.call("FLASH.HSET", f"h{number}", "f", "x" * 200)
    replica.replicate_from(primary)
    replica.wait_for_offset_of(primary)
    wait_until(lambda: replica.info("flash")["flash_wal_base"] == "ok", 30, "a snapshot")
    replica.call("CONFIG", "SET", "rdb-key-save-delay", "100000")
    replica.client.replicaof("NO", "ONE")
    replica.call("SET", "elsewhere", "x")
    replica.replicate_from(primary)
    wait_until(lambda: replica.info("flash")["flash_wal_base"] == "awaited", 30, "a log")
    replica.kill()
    replica.start()
    assert replica.call("FLASH.DEBUG.STATE") == b"error"
    with pytest.raises(redis.ResponseError, match="could not recover"):
        replica.call("FLASH.HGET", "h1", "f")
    replica.replicate_from(primary)
    primary.call("FLASH.HSET", "h1", "f", "y")  # By the link, which nobody may refuse.
    replica.wait_for_offset_of(primary)
    assert replica.call("FLASH.DEBUG.STATE") == b"ready"
    assert replica.call("FLASH.HGET", "h1", "f") == b"y"
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")
    assert len(list(replica.dir.glob("flash.wal*"))) == 2, "the old log is kept"
    wait_until(lambda: replica.info("flash")["flash_wal_base"] == "ok", 30, "a snapshot")
    primary.call("FLASH.HSET", "h2", "f", "in the log")
    wait_until(lambda: b"in the log" in (replica.dir / "flash.wal").read_bytes(), 30,
               "the log's thread")
    replica.kill()
    replica.start()
    assert replica.call("FLASH.HGET", "h2", "f") == b"in the log"
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")


def test_a_failover_mends_it_without_a_full_synchronisation(server):
    """The log was lost, but its RDB had all: the old primary follows the new one by PSYNC."""
    nodes = [server({**LOGGED, "save": "3600 1", "repl-backlog-size": "16mb"}) for _ in range(2)]
    old, new = nodes
    for number in range(50):
        old.call("FLASH.HSET", f"h{number}", "f", "x" * 200)
    new.replicate_from(old)
    new.wait_for_offset_of(old)
    old.stop()
    assert new.info("replication")["master_link_status"] == "down"
    (old.dir / "flash.wal").unlink()
    old.start()
    assert old.call("FLASH.DEBUG.STATE") == b"error"
    wait_until(lambda: new.info("replication")["master_link_status"] == "up", 30, "the link")
    old.call("FAILOVER", "TO", new.host, new.port)
    wait_until(lambda: old.info("replication").get("master_link_status") == "up", 30, "the link")
    assert new.info("stats")["sync_full"] == 0
    new.call("FLASH.HSET", "h1", "f", "y")
    old.wait_for_offset_of(new)
    assert old.call("FLASH.DEBUG.STATE") == b"ready"
    assert old.call("FLASH.HGET", "h1", "f") == b"y"
    assert old.call("DEBUG", "DIGEST") == new.call("DEBUG", "DIGEST")
