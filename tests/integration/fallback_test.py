"""flash.native-fallback: FLASH.X on native keys is the server's own X, reply for reply."""

import threading

import pytest
import redis

from conftest import wait_until
from harness.resp import Connection
from leaving_test import number, refuses

ON = {"flash.native-fallback": "yes"}

# One value of each shape, and commands that each read or change it; run in this order.
SETUP = [("SET", "s", "v"), ("SET", "s2", "w"), ("HSET", "h", "f", "1", "g", "2"),
         ("RPUSH", "l", "a", "b", "c", "b"), ("RPUSH", "l2", "x"),
         ("ZADD", "z", "1", "a", "2.5", "b", "3", "c"), ("ZADD", "z2", "5", "b", "6", "d"),
         ("SADD", "set", "m")]
COMMANDS = [
    ("GET", "s"), ("SET", "s", "new", "GET"), ("SET", "s", "x", "NX"), ("MGET", "s", "s2"),
    ("SET", "s", "x", "EX", "1000"), ("SET", "s", "y", "KEEPTTL"), ("SET", "s", "z", "EX", "x"),
    ("MGET", "s", "missing", "l", "s2"), ("MSET", "s", "1", "s2", "2"),
    ("HGET", "h", "f"), ("HGET", "h", "none"), ("HSET", "h", "f", "3", "new", "4"),
    ("HMGET", "h", "f", "none"), ("HGETALL", "h"), ("HDEL", "h", "g", "none"), ("HLEN", "h"),
    ("HEXISTS", "h", "f"),
    ("LPUSH", "l", "z"), ("RPUSH", "l", "1", "2"), ("LPUSHX", "l", "q"), ("RPUSHX", "l", "r"),
    ("LLEN", "l"), ("LRANGE", "l", "0", "-1"), ("LINDEX", "l", "-1"), ("LSET", "l", "0", "set"),
    ("LSET", "l", "99", "set"), ("LINSERT", "l", "BEFORE", "a", "i"), ("LREM", "l", "0", "b"),
    ("LPOP", "l"), ("RPOP", "l", "2"), ("LTRIM", "l", "0", "3"),
    ("LMOVE", "l", "l2", "LEFT", "RIGHT"), ("RPOPLPUSH", "l", "l2"), ("LMOVE", "l", "l", "LEFT",
                                                                    "RIGHT"),
    ("BLPOP", "l", "l2", "1"), ("BRPOP", "missing", "l2", "1"),
    ("BLMOVE", "l2", "l", "LEFT", "LEFT", "1"),
    ("ZADD", "z", "4", "d"), ("ZADD", "z", "INCR", "1", "a"), ("ZINCRBY", "z", "1.5", "b"),
    ("ZSCORE", "z", "b"), ("ZSCORE", "z", "none"), ("ZMSCORE", "z", "a", "none"),
    ("ZRANK", "z", "c"), ("ZREVRANK", "z", "c"), ("ZCARD", "z"), ("ZCOUNT", "z", "-inf", "(3"),
    ("ZLEXCOUNT", "z", "-", "+"), ("ZRANGE", "z", "0", "-1", "WITHSCORES"),
    ("ZRANGEBYSCORE", "z", "-inf", "+inf", "LIMIT", "0", "2"), ("ZREVRANGEBYSCORE", "z", "9", "0"),
    ("ZRANGEBYLEX", "z", "-", "+"), ("ZREVRANGEBYLEX", "z", "+", "-"), ("ZSCAN", "z", "0"),
    ("ZADD", "z", "7", "g", "8", "h"), ("ZREM", "z", "d", "none"), ("ZPOPMIN", "z"),
    ("ZPOPMAX", "z", "1"), ("BZPOPMIN", "missing", "z", "1"), ("BZPOPMAX", "z", "1"),
    ("ZUNIONSTORE", "to", "2", "z", "z2"), ("ZINTERSTORE", "to", "2", "to", "z2"),
    ("ZDIFFSTORE", "to", "2", "z2", "z"), ("ZRANGESTORE", "to", "z2", "0", "-1"),
    ("ZUNIONSTORE", "set", "1", "z2"),
]


def natives(node):
    return {key: node.client.type(key) for key in node.client.keys()}


def all_native(node):
    return not any(kind.startswith(b"flash") for kind in natives(node).values())


@pytest.mark.parametrize("resp3", [False, True])
def test_replies_and_values_are_natives(server, resp3):
    ours, oracle = server(ON), server(module=False)
    left, right = Connection(ours.port, resp3=resp3), Connection(oracle.port, resp3=resp3)
    for command in SETUP:
        left.must(*command), right.must(*command)
    for name, *args in COMMANDS:
        assert left.call("FLASH." + name, *args).raw == right.call(name, *args).raw, (name, args)
    assert natives(ours) == natives(oracle)
    assert ours.call("DEBUG", "DIGEST") == oracle.call("DEBUG", "DIGEST")
    assert number(ours, "native_fallback_total") > 60
    left.close(), right.close()


def test_every_command_of_the_four_shapes_is_in_the_list_above(server):
    node = server()
    names = {name.decode().upper() for name in
             node.call("COMMAND LIST", "FILTERBY", "MODULE", "flash")}
    admin = {name for name in names if name.startswith((
        "FLASH.DEBUG", "FLASH.COMPACTION", "FLASH.MIGRATE", "FLASH.CONVERT", "FLASH.DRAIN",
        "FLASH.ADOPT"))}
    assert {"FLASH." + name for name, *_ in COMMANDS} | {"FLASH.DEL"} == names - admin


def test_off_by_default_and_switched_at_run_time(server):
    node = server()
    node.call("SET", "s", "v")
    refuses("WRONGTYPE", node.call, "FLASH.GET", "s")
    node.call("CONFIG", "SET", "flash.native-fallback", "yes")
    assert node.call("FLASH.GET", "s") == b"v"
    node.call("CONFIG", "SET", "flash.native-fallback", "no")
    refuses("WRONGTYPE", node.call, "FLASH.GET", "s")
    refuses("WRONGTYPE", node.call, "FLASH.DEL", "s")
    assert node.call("FLASH.MGET", "s") == [None]


def test_other_shapes_are_refused_as_before(server):
    node = server(ON)
    for command in SETUP:
        node.call(*command)
    for command in (("SET", "l", "x"), ("MSET", "s", "1", "l", "x"), ("GET", "h"),
                    ("HGET", "s", "f"), ("RPUSH", "z", "x"), ("ZADD", "l", "1", "x"),
                    ("LMOVE", "l", "s", "LEFT", "LEFT"), ("BLPOP", "s", "l", "1")):
        refuses("WRONGTYPE", node.call, "FLASH." + command[0], *command[1:])
    assert node.call("GET", "s") == b"v"
    refuses("WRONGTYPE", node.call, "FLASH.DEL", "s", "set")
    assert node.call("EXISTS", "s", "set") == 2
    assert node.call("FLASH.DEL", "s", "h", "l", "z", "z", "missing") == 4
    assert node.call("EXISTS", "s", "h", "l", "z") == 0


def test_new_keys_are_flash_keys(server):
    node = server(ON)
    node.call("FLASH.SET", "s", "v")
    node.call("FLASH.RPUSH", "l", "v")
    assert natives(node) == {b"s": b"flashstr1", b"l": b"flashlst1"}


def test_hset_with_its_clause(server):
    node = server({**ON, "appendonly": "yes", "appendfsync": "always"})
    node.call("HSET", "h", "f", "1")
    assert node.call("FLASH.HSET", "h", "g", "2", "ex", "3", "EX", "1000") == 2
    assert 990 < node.call("TTL", "h") <= 1000
    assert node.call("FLASH.HSET", "h", "f", "2", "KEEPTTL") == 0
    assert 990 < node.call("TTL", "h") <= 1000
    assert node.call("FLASH.HGETALL", "h") == [b"f", b"2", b"g", b"2", b"ex", b"3"]
    refuses("invalid expire time", node.call, "FLASH.HSET", "h", "f", "1", "PX", "0")
    node.restart(crash=True)
    assert node.client.type("h") == b"hash" and 980 < node.call("TTL", "h") <= 1000
    assert node.call("FLASH.HSET", "h", "n", "1", "PXAT", "5") == 1
    assert node.call("EXISTS", "h") == 0


def test_both_kinds_in_one_command(server):
    node = server(ON)
    call = node.call
    call("SET", "ns", "n"), call("FLASH.SET", "fs", "f"), call("RPUSH", "nl", "a", "b")
    assert call("FLASH.MGET", "fs", "ns", "none", "nl", "fs", "ns") == \
           [b"f", b"n", None, None, b"f", b"n"]
    assert node.client.type("ns") == b"string"  # Key by key: nothing was moved.
    call("FLASH.SET", "fs2", "f"), call("SET", "ns2", "n")
    assert call("FLASH.DEL", "fs2", "ns2", "ns2", "none") == 2
    assert call("FLASH.MSET", "fs", "1", "ns", "2", "new", "3") == b"OK"
    assert natives(node) == {b"ns": b"flashstr1", b"fs": b"flashstr1", b"new": b"flashstr1",
                             b"nl": b"list"}
    assert call("FLASH.MGET", "fs", "ns", "new") == [b"1", b"2", b"3"]
    # What moves elements between keys adopts the native ones first.
    call("FLASH.RPUSH", "fl", "x")
    call("PEXPIREAT", "nl", 4_000_000_000_000)
    assert call("FLASH.LMOVE", "nl", "fl", "LEFT", "RIGHT") == b"a"
    assert node.client.type("nl") == b"flashlst1"
    assert call("PEXPIRETIME", "nl") == 4_000_000_000_000
    assert call("FLASH.LRANGE", "fl", 0, -1) == [b"x", b"a"]
    call("ZADD", "nz", "1", "a"), call("FLASH.ZADD", "fz", "2", "b"), call("SET", "to", "x")
    assert call("FLASH.ZUNIONSTORE", "to", "2", "nz", "fz") == 2
    assert {k: node.client.type(k) for k in ("nz", "to")} == {"nz": b"flashzst1",
                                                              "to": b"flashzst1"}
    call("RPUSH", "nl2", "q")
    assert call("FLASH.BLMOVE", "nl2", "fl", "LEFT", "LEFT", "1") == b"q"
    # Pops take from the first key that there is, whatever the others are.
    call("RPUSH", "n1", "a")
    assert call("FLASH.BLPOP", "none", "n1", "fl", "1") == [b"n1", b"a"]
    call("RPUSH", "n1", "a")
    assert call("FLASH.BLPOP", "fl", "n1", "1") == [b"fl", b"q"]
    assert node.client.type("n1") == b"list"


@pytest.mark.parametrize("way", ["multi", "script"])
def test_in_transactions_and_scripts(server, way):
    node = server(ON)
    for command in SETUP:
        node.call(*command)
    commands = [("FLASH.GET", "s"), ("FLASH.HSET", "h", "n", "1"), ("FLASH.LPOP", "l"),
                ("FLASH.BLPOP", "l", "0"), ("FLASH.BLPOP", "none", "0"), ("FLASH.ZSCORE", "z", "a"),
                ("FLASH.MGET", "s", "s2"), ("FLASH.DEL", "s2")]
    want = [b"v", 1, b"a", [b"l", b"b"], None, b"1", [b"v", b"w"], 1]
    if way == "multi":
        with node.client.pipeline(transaction=True) as transaction:
            for command in commands:
                transaction.execute_command(*command)
            got = transaction.execute()
            got[5] = b"%g" % float(got[5])
            assert got == want
    else:
        for command, reply in zip(commands, want):
            words = ", ".join(f"'{word}'" for word in command)
            assert node.client.eval(f"return redis.call({words})", 0) == reply
    assert all_native(node)


def test_who_waits_is_served_by_a_native_push(server):
    node = server(ON)

    def wait_for(*command):
        client, got = node.connect(), []
        thread = threading.Thread(target=lambda: got.append(client.execute_command(*command)))
        thread.start()
        wait_until(lambda: node.info("clients")["blocked_clients"] == 1, what="the client to wait")
        return thread, got
    for command, push, want in (
            (("FLASH.BLPOP", "other", "q", 20), ("RPUSH", "q", "a"), [b"q", b"a"]),
            (("FLASH.BLMOVE", "q", "to", "LEFT", "LEFT", 20), ("RPUSH", "q", "b"), b"b"),
            (("FLASH.BZPOPMIN", "z", 20), ("ZADD", "z", "1", "m"), [b"z", b"m", b"1"])):
        thread, got = wait_for(*command)
        node.call(*push)
        thread.join(20)
        assert [item if not isinstance(item, tuple) else list(item) for item in got] == \
               [want] or got[0][:2] == want[:2]
    assert node.call("EXISTS", "q", "z") == 0
    assert node.call("LRANGE", "to", 0, -1) == [b"b"]


def test_blmove_waits_for_its_source_though_the_destination_is_native(server):
    node = server(ON)
    node.call("RPUSH", "to", "x")
    client, got = node.connect(), []
    thread = threading.Thread(target=lambda: got.append(
        client.execute_command("FLASH.BLMOVE", "q", "to", "LEFT", "LEFT", 20)))
    thread.start()
    wait_until(lambda: node.info("clients")["blocked_clients"] == 1, what="the client to wait")
    node.call("RPUSH", "q", "a")
    thread.join(20)
    assert got == [b"a"]
    assert node.call("LRANGE", "to", 0, -1) == [b"a", b"x"]


def test_rules_of_the_native_command_count(server):
    node = server(ON)
    for command in SETUP:
        node.call(*command)
    node.call("ACL", "SETUSER", "half", "on", ">pw", "~*", "+@flash", "+get", "+multi", "+exec",
              "+eval")
    user = node.connect(username="half", password="pw")
    assert user.execute_command("FLASH.GET", "s") == b"v"
    for command in (("FLASH.SET", "s", "x"), ("FLASH.MGET", "s"), ("FLASH.LPOP", "l"),
                    ("FLASH.HSET", "h", "f", "x"), ("FLASH.HSET", "h", "f", "x", "EX", "5"),
                    ("FLASH.DEL", "s"), ("FLASH.BLPOP", "l", "1")):
        with pytest.raises(redis.exceptions.ResponseError, match="(?i)no permissions"):
            user.execute_command(*command)
    node.call("FLASH.SET", "ours", "x")
    with pytest.raises(redis.exceptions.ResponseError, match="(?i)no permissions"):
        user.execute_command("FLASH.DEL", "ours", "s")
    assert node.call("EXISTS", "ours") == 1  # Refused before anything was deleted.
    with pytest.raises(redis.exceptions.ResponseError, match="(?i)no permissions"):
        user.eval("return redis.call('FLASH.SET', 's', 'x')", 0)
    assert user.eval("return redis.call('FLASH.GET', 's')", 0) == b"v"
    assert node.call("GET", "s") == b"v" and node.call("LLEN", "l") == 4
    node.call("ACL", "SETUSER", "half", "+hset")  # The clause is a part of FLASH.HSET.
    assert user.execute_command("FLASH.HSET", "h", "f", "x", "EX", "500") == 0
    assert 400 < node.call("TTL", "h") <= 500


def test_replicas_the_aof_watch_and_tracking_see_the_native_command(server):
    primary = server({**ON, "appendonly": "yes", "appendfsync": "always"})
    replica = server()
    replica.replicate_from(primary)
    for command in SETUP:
        primary.call(*command)
    watcher = primary.connect().pipeline(transaction=True)
    watcher.watch("h")
    caching = Connection(primary.port, resp3=True)
    caching.call("CLIENT", "TRACKING", "on")
    assert caching.call("FLASH.GET", "s").value == b"v"
    primary.call("FLASH.HSET", "h", "f", "9")
    primary.call("FLASH.SET", "s", "new", "EX", "1000")
    primary.call("FLASH.BLPOP", "l", "1")
    watcher.multi()
    watcher.set("other", "1")
    with pytest.raises(redis.exceptions.WatchError):
        watcher.execute()
    caching.call("PING")
    assert any(push.plain() == [b"invalidate", [b"s"]] for push in caching.pushes)
    replica.wait_for_offset_of(primary)
    digest = primary.call("DEBUG", "DIGEST")
    assert replica.call("DEBUG", "DIGEST") == digest and all_native(replica)
    assert replica.connect().execute_command("GET", "s") == b"new"
    replica.call("CONFIG", "SET", "flash.native-fallback", "yes")
    assert replica.call("FLASH.LRANGE", "l", 0, -1) == [b"b", b"c", b"b"]
    primary.restart(crash=True)
    assert primary.call("DEBUG", "DIGEST") == digest
    caching.close()


def test_a_key_that_becomes_native_while_its_read_is_on_its_way(server):
    node = server({**ON, "flash.cache-size-bytes": "1mb"})
    node.call("FLASH.SET", "k", "x" * 5000)
    node.call("FLASH.DEBUG.DEMOTE", "k")
    node.call("DEBUG", "SLEEP", "0")
    reader = Connection(node.port)
    reader.send(("FLASH.GET", "k"), ("FLASH.GET", "k"))
    node.call("SET", "k", "native")
    answers = [reader.read().value, reader.read().value]
    assert answers[1] in (b"native", b"x" * 5000) and answers[0] in (b"native", b"x" * 5000)
    assert node.call("FLASH.GET", "k") == b"native"
    reader.close()
