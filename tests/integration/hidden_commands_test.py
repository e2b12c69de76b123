"""Commands of the server's that rename-command hides, from modules too."""

import pytest
import redis

from conftest import LOGGED, StartError, wait_until
from harness.resp import Connection

WORDS = ["a", "1", "b", "2"]


def hidden(*commands):
    return [word for command in commands for word in ("--rename-command", command, "X" + command)]


def refused(node, *args):
    with pytest.raises(redis.exceptions.ResponseError) as refusal:
        node.call(*args)
    return str(refusal.value)


def test_without_config_the_aof_counts(server):
    node = server({"appendonly": "yes", "appendfsync": "always", "flash.wal": "yes"},
                  args=hidden("CONFIG"))
    node.call("FLASH.RPUSH", "l", *WORDS)
    node.restart(crash=True)
    assert node.call("FLASH.DEBUG.STATE") == b"ready"
    assert node.call("FLASH.LRANGE", "l", 0, -1) == [b"a", b"1", b"b", b"2"]


def test_without_config_there_is_no_log_and_the_load_says_so(server):
    node = server(LOGGED, args=hidden("CONFIG"), start=False)
    with pytest.raises(StartError, match="CONFIG is hidden from modules"):
        node.start()
    node.settings["flash.wal"] = "no"
    node.start()
    assert node.call("FLASH.SET", "k", "v") == b"OK"


@pytest.mark.parametrize("args", [[], hidden("UNWATCH")], ids=["there", "hidden"])
def test_ok_is_the_same_where_the_command_that_gives_it_is_hidden(server, args):
    """The reply OK is kept from a command at load: whole in every protocol, order and place."""
    node = server({}, args=args)
    for resp3 in (False, True):
        ask = Connection(node.port, resp3=resp3)
        ask.send(*[["FLASH.SET", f"k{i}", "v"] for i in range(40)], ["FLASH.GET", "k39"])
        assert [ask.read().raw for _ in range(41)] == [b"+OK\r\n"] * 40 + [b"$1\r\nv\r\n"]
    assert node.call("EVAL", "return redis.call('FLASH.SET', 'k', 'w').ok", 0) == b"OK"
    ask.send(["CLIENT", "REPLY", "SKIP"], ["FLASH.SET", "k", "x"], ["FLASH.GET", "k"])
    assert ask.read().value == b"x"


def test_without_config_the_aof_that_is_switched_off_leaves_no_log(server):
    node = server({"appendonly": "yes", "flash.wal": "yes"}, args=hidden("CONFIG"))
    node.call("XCONFIG", "SET", "appendonly", "no")
    wait_until(lambda: "the AOF is off, but CONFIG is hidden" in node.log(), what="the line")
    assert node.call("FLASH.SET", "k", "v") == b"OK"


def test_without_config_keys_leave_a_full_tier(server):
    node = server({"maxmemory": "200mb", "maxmemory-policy": "allkeys-lru",
                   "flash.capacity-bytes": "16mb", "flash.cache-size-bytes": "1mb",
                   "flash.compression": "none"}, args=hidden("CONFIG"))
    for number in range(3000):
        node.call("FLASH.SET", number, b"v" * 10_000)
    assert node.info("flash")["flash_evicted_keys"] > 0


@pytest.mark.parametrize("command, key", [("SET", "s"), ("HSET", "h"), ("RPUSH", "l"),
                                          ("ZADD", "z"), ("PEXPIREAT", "h")])
def test_a_key_that_cannot_become_native_stays(server, command, key):
    node = server(LOGGED, args=hidden(command))
    node.call("FLASH.SET", "s", "v" * 100)
    node.call("FLASH.HSET", "h", *WORDS)
    node.call("FLASH.RPUSH", "l", *WORDS)
    node.call("FLASH.ZADD", "z", "1", "a")
    before = node.call("DUMP", key)
    for leaving in (("FLASH.CONVERT", key), ("FLASH.DRAIN",)):
        assert f"{command}, which is hidden" in refused(node, *leaving)
        assert node.call("DUMP", key) == before


def test_a_key_that_cannot_migrate_stays_and_the_caller_hears_of_it(server):
    source, target = server(args=hidden("MIGRATE")), server()
    source.call("FLASH.SET", "k", "v" * 100)
    answer = refused(source, "FLASH.MIGRATE", "127.0.0.1", target.port, "k", 0, 5000)
    assert "MIGRATE is hidden" in answer
    assert source.call("EXISTS", "k") == 1 and target.call("EXISTS", "k") == 0


def test_a_log_tells_of_a_conversion_that_is_not_possible_any_more(server):
    node = server(LOGGED)
    node.call("FLASH.HSET", "h", *WORDS)
    assert node.call("FLASH.CONVERT", "h") == 1
    node.kill()
    node.args = hidden("HSET")
    node.start()
    assert node.call("FLASH.DEBUG.STATE") == b"ready"
    assert sorted(node.call("FLASH.HGETALL", "h")) == [b"1", b"2", b"a", b"b"]


def test_a_restore_is_logged_without_dump(server):
    node = server(LOGGED, args=hidden("DUMP"))
    node.call("FLASH.HSET", "h", *WORDS)
    dump = node.call("XDUMP", "h")
    assert node.call("RESTORE", "copy", 0, dump) == b"OK"
    assert node.info("flash")["flash_wal_base"] == "ok"
    node.call("FLASH.HSET", "copy", "c", "3")
    node.restart(crash=True)
    assert sorted(node.call("FLASH.HGETALL", "copy")) == [b"1", b"2", b"3", b"a", b"b", b"c"]
