"""One log at a time: the server's AOF where it is on, the module's own where it is off."""

import pytest
import redis

from conftest import LOGGED, wait_until


def base(node):
    return node.client.info("flash")["flash_wal_base"]


def wal(node):
    return node.dir / "flash.wal"


def test_with_the_aof_on_there_is_no_log_of_ours(server):
    node = server({**LOGGED, "appendonly": "yes"})
    assert node.client.config_get("appendfsync")["appendfsync"] == "always"
    node.call("FLASH.SET", "k", "x" * 100)
    node.call("RENAME", "k", "k2")
    assert base(node) == "none" and not wal(node).exists()
    node.restart(crash=True)
    assert node.call("FLASH.GET", "k2") == b"x" * 100


def test_switched_on_at_run_time(server):
    node = server(LOGGED)
    node.call("FLASH.SET", "before", "1" * 100)
    node.client.config_set("appendonly", "yes")
    node.call("FLASH.SET", "during", "2" * 100)
    wait_until(lambda: not wal(node).exists(), 30, "the log to be given up")
    node.call("FLASH.SET", "after", "3" * 100)
    assert base(node) == "none"
    node.restart({"appendonly": "yes"}, crash=True)
    assert node.call("FLASH.MGET", "before", "during", "after") == [
        b"1" * 100, b"2" * 100, b"3" * 100]


def test_a_crash_while_it_is_switched_on(server):
    """The first rewrite has not ended: RDB and log still tell everything."""
    node = server({**LOGGED, "rdb-key-save-delay": "200000"})
    for i in range(50):
        node.call("FLASH.SET", f"k{i}", "x" * 100)
    node.client.config_set("appendonly", "yes")
    node.call("FLASH.SET", "during", "y" * 100)
    assert wal(node).exists()
    node.restart({"rdb-key-save-delay": "0"}, crash=True)
    assert node.client.dbsize() == 51


def test_switched_off_at_run_time(server):
    node = server({**LOGGED, "appendonly": "yes"})
    node.call("FLASH.SET", "before", "1" * 100)
    node.client.config_set("appendonly", "no")
    wait_until(lambda: base(node) == "ok", 30, "the base of the new log")
    node.call("FLASH.SET", "after", "2" * 100)
    node.restart({"appendonly": "no"}, crash=True)
    assert node.call("FLASH.MGET", "before", "after") == [b"1" * 100, b"2" * 100]


def test_writes_are_refused_until_the_base_stands(server):
    node = server({**LOGGED, "appendonly": "yes", "rdb-key-save-delay": "1000000"})
    node.call("FLASH.SET", "k", "1" * 100)
    node.call("FLASH.SET", "k2", "1" * 100)
    node.client.config_set("appendonly", "no")
    wait_until(lambda: base(node) == "awaited")
    with pytest.raises(redis.exceptions.ResponseError, match="FLASHIO"):
        node.call("FLASH.SET", "k", "2")
    assert node.call("FLASH.GET", "k") == b"1" * 100
    with pytest.raises(redis.exceptions.ConnectionError):
        node.connect().execute_command("DEL", "k")
    wait_until(lambda: base(node) == "ok", 30, "the base")
    wait_until(lambda: node.call("FLASH.SET", "k", "3"), what="writes to be accepted")


def test_a_log_left_behind_is_put_aside(server):
    for settings, reason in (({"appendonly": "yes"}, "AOF is on"), ({"flash.wal": "no"}, "is no")):
        node = server(LOGGED)
        node.call("FLASH.SET", "k", "1")
        node.kill()
        node.settings.update(settings)
        node.start()
        assert reason in node.log_since_start()
        assert not wal(node).exists() and len(list(node.dir.glob("flash.wal*"))) == 1
        assert node.call("FLASH.GET", "k") is None


def test_after_a_drain_snapshots_load_without_the_module(server):
    node = server(LOGGED)
    node.call("FLASH.SET", "s", "x" * 100)
    node.call("FLASH.HSET", "h", "f", "v")
    node.call("FLASH.CONVERT", "s")
    node.restart(crash=True)
    assert node.call("GET", "s") == b"x" * 100
    assert node.call("FLASH.DRAIN", "ALLDBS")[0] == 1
    node.restart(crash=True)
    assert node.client.hget("h", "f") == b"v"
    assert node.call("FLASH.DRAIN", "ALLDBS")[0] == 0
    node.save()
    node.kill()
    plain = server({}, module=False, start=False)
    (plain.dir / "dump.rdb").write_bytes((node.dir / "dump.rdb").read_bytes())
    plain.start()
    assert plain.client.hget("h", "f") == b"v"
    node.start()
    node.call("FLASH.SET", "again", "y")
    node.restart(crash=True)
    assert node.call("FLASH.GET", "again") == b"y"
