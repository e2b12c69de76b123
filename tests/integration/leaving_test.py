"""FLASH.CONVERT and FLASH.DRAIN: content, TTL, guards, replication, a server without the module."""

import os
import random
import subprocess
import sys
import threading

import pytest
import redis

from conftest import ROOT, wait_until
from harness.resp import Connection

SMALL = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "256mb"}
NATIVE = {b"flashstr1": b"string", b"flashhsh1": b"hash", b"flashlst1": b"list",
          b"flashzst1": b"zset"}
MIB = 1 << 20


def fill(node, prefix="", seed=1):
    """Values of every shape: inline, tiny, one block, rope; collections of one leaf and of many."""
    rng = random.Random(seed)
    call = node.call
    call("FLASH.SET", prefix + "s:empty", b"")
    call("FLASH.SET", prefix + "s:inline", b"7bytes!")
    call("FLASH.SET", prefix + "s:tiny", b"t" * 50)
    call("FLASH.SET", prefix + "s:block", rng.randbytes(3000))
    call("FLASH.SET", prefix + "s:rope", rng.randbytes(3 * MIB + 17))
    call("FLASH.HSET", prefix + "h:small", "field", "value", "ex", "100", "KEEPTTL")
    call("FLASH.RPUSH", prefix + "l:small", "a", "b", "a")
    call("FLASH.ZADD", prefix + "z:small", "1", "a", "-inf", "b", "2.5e-10", "c", "inf", "d")
    for start in range(0, 6000, 1000):
        numbers = range(start, start + 1000)
        call("FLASH.HSET", prefix + "h:large",
             *[part for n in numbers for part in (b"f%d" % n, rng.randbytes(rng.randrange(60)))])
        call("FLASH.RPUSH", prefix + "l:large",
             *[rng.randbytes(rng.randrange(60)) for _ in numbers])
        call("FLASH.ZADD", prefix + "z:large",
             *[part for n in numbers for part in (repr(rng.uniform(-9, 9)), b"m%d" % n)])
    call("FLASH.HSET", prefix + "h:elements", "long", rng.randbytes(40_000), "short", "x",
         rng.randbytes(5000), rng.randbytes(MIB))
    call("FLASH.RPUSH", prefix + "l:elements", rng.randbytes(20_000), "", rng.randbytes(2 * MIB))
    call("FLASH.ZADD", prefix + "z:elements", "3", rng.randbytes(30_000), "3", "m")


def content(node, key, db=0):
    """What a key holds, by FLASH commands or native ones, in a form that both give alike."""
    client = node.connect(db=db)
    kind = client.type(key)
    ours = kind in NATIVE
    kind = NATIVE.get(kind, kind)
    call = client.execute_command
    prefix = "FLASH." if ours else ""
    if kind == b"set":
        return kind, sorted(call("SMEMBERS", key))
    if kind == b"string":
        return kind, call(prefix + "GET", key)
    if kind == b"list":
        return kind, call(prefix + "LRANGE", key, 0, -1)
    if kind == b"hash":
        flat = call(prefix + "HGETALL", key)
        pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2])
        return kind, sorted(pairs)
    return kind, call(prefix + "ZRANGE", key, 0, -1, "WITHSCORES")


def contents(node, db=0):
    return {key: content(node, key, db) for key in sorted(node.connect(db=db).keys())}


def demote_all(node):
    for key in node.client.keys():
        if node.client.type(key) in NATIVE:
            node.call("FLASH.DEBUG.DEMOTE", key)


def number(node, name):
    return node.info("flash")["flash_" + name]


def refuses(text, call, *args):
    with pytest.raises(redis.exceptions.ResponseError, match=text):
        call(*args)


@pytest.mark.parametrize("way", ["plain", "multi", "script"])
@pytest.mark.parametrize("cold", [False, True])
def test_convert_keeps_content_and_time_to_live(server, way, cold):
    node = server(SMALL)
    fill(node)
    keys = sorted(node.client.keys())
    for key in keys[::2]:
        node.call("PEXPIREAT", key, 4_000_000_000_000)
    before = contents(node)
    expiry = {key: node.call("PEXPIRETIME", key) for key in keys}
    if cold:
        demote_all(node)
    for key in keys:
        if way == "plain":
            assert node.call("FLASH.CONVERT", key) == 1
        elif way == "multi":
            with node.client.pipeline(transaction=True) as transaction:
                transaction.execute_command("FLASH.CONVERT", key)
                assert transaction.execute() == [1]
        else:
            assert node.client.eval("return redis.call('FLASH.CONVERT', KEYS[1])", 1, key) == 1
    assert contents(node) == before
    assert {node.client.type(key) for key in keys} == set(NATIVE.values())
    assert {key: node.call("PEXPIRETIME", key) for key in keys} == expiry
    assert number(node, "convert_total") == len(keys)
    wait_until(lambda: number(node, "blocks_cold") + number(node, "blocks_hot_dirty") == 0,
               what="every block to be freed")


def test_convert_of_what_is_not_ours_answers_0(server):
    node = server()
    node.call("SET", "native", "x")
    assert node.call("FLASH.CONVERT", "native") == 0
    assert node.call("FLASH.CONVERT", "missing") == 0
    refuses("wrong number of arguments", node.call, "FLASH.CONVERT")
    refuses("wrong number of arguments", node.call, "FLASH.CONVERT", "a", "b")
    assert node.call("GET", "native") == b"x"


def test_convert_is_told_once_and_replicates_as_native_commands(server):
    primary = server({**SMALL, "notify-keyspace-events": "KEA", "appendonly": "yes"})
    replica = server()
    replica.replicate_from(primary)
    fill(primary)
    demote_all(primary)
    listener = primary.connect().pubsub()
    listener.psubscribe("__keyevent@0__:flash.convert")
    keys = sorted(primary.client.keys())
    before = contents(primary)
    for key in keys:
        assert primary.call("FLASH.CONVERT", key) == 1
    told = []
    wait_until(lambda: told.append(listener.get_message()) or
               sum(m is not None and m["type"] == "pmessage" for m in told) == len(keys),
               what="an event per key")
    replica.wait_for_offset_of(primary)
    assert contents(replica) == before
    assert {replica.client.type(key) for key in keys} == set(NATIVE.values())
    primary.restart(crash=True)  # From the AOF.
    assert contents(primary) == before


def test_a_value_that_changes_while_it_is_read_is_converted_as_it_is_then(server):
    node = server(SMALL)
    fill(node)
    node.call("FLASH.DEBUG.DEMOTE", "l:large")
    stop = threading.Event()
    acknowledged = []

    def write():
        client = node.connect()
        while not stop.is_set():
            try:
                acknowledged.append(client.execute_command("FLASH.RPUSH", "l:large", "new"))
            except redis.exceptions.ResponseError as error:
                assert "WRONGTYPE" in str(error)
                return

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: len(acknowledged) > 20, what="some writes")
    assert node.call("FLASH.CONVERT", "l:large") == 1
    writer.join(30)
    stop.set()
    assert node.call("LLEN", "l:large") == acknowledged[-1]
    assert node.call("LRANGE", "l:large", -1, -1) == [b"new"]


def test_convert_beyond_maxmemory_leaves_the_key(server):
    node = server({**SMALL, "flash.compression": "none"})
    node.call("FLASH.SET", "rope", os.urandom(24 * MIB))
    node.call("FLASH.DEBUG.DEMOTE", "rope")
    node.call("CONFIG", "SET", "maxmemory", "40mb")
    refuses("^OOM command not allowed", node.call, "FLASH.CONVERT", "rope")
    assert node.client.type("rope") == b"flashstr1"
    assert node.call("FLASH.DEBUG.DEMOTE", "rope") in (b"OK", b"ALREADY_COLD")


@pytest.mark.parametrize("transaction", [False, True])
def test_an_unreadable_value_stays(server, transaction):
    node = server({**SMALL, "flash.compression": "none"})
    node.call("FLASH.SET", "bad", os.urandom(MIB))
    node.call("FLASH.DEBUG.DEMOTE", "bad")
    node.call("FLASH.SET", "good", os.urandom(100))
    with open(node.call("CONFIG", "GET", "flash.path")[1], "r+b") as tier:
        size = os.fstat(tier.fileno()).st_size
        for offset in range(8192, min(size, 16 * MIB), MIB // 2):
            tier.seek(offset)
            tier.write(b"\0" * 4096)
        tier.flush()
        os.fsync(tier.fileno())
    refuses("^FLASHIO", node.call, "FLASH.CONVERT", "bad")
    # In a transaction everything is read at once.
    draining = node.connect(socket_timeout=20).pipeline(transaction=transaction)
    draining.execute_command("FLASH.DRAIN")
    [[converted, skipped, errors, scanned]] = draining.execute()
    assert (converted, skipped, errors, scanned) == (1, 0, 1, 2)
    assert node.client.type("bad") == b"flashstr1"


def test_drain_converts_what_its_options_select(server):
    node = server(SMALL)
    fill(node, "a:")
    fill(node, "b:")
    node.call("SET", "a:native", "x")
    node.call("SADD", "b:set", "x")
    before = contents(node)
    demote_all(node)
    ours = len(before) // 2 - 1
    assert node.call("FLASH.DRAIN", "COUNT", "0") == [0, 0, 0, 0]
    assert node.call("FLASH.DRAIN", "MATCH", "nobody*") == [0, 0, 0, 0]
    assert node.call("FLASH.DRAIN", "count", "2", "match", "a:[sl]*")[0] == 2
    converted, skipped, errors, scanned = node.call("FLASH.DRAIN", "MATCH", "a:*", "FORCE")
    assert (converted, skipped, errors, scanned) == (ours - 2, 3, 0, ours + 1)
    assert {node.client.type(key) for key in node.client.keys("b:*")} == {*NATIVE, b"set"}
    assert node.call("FLASH.DRAIN") == [ours, ours + 2, 0, 2 * ours + 2]
    assert contents(node) == before
    info = node.info("flash")
    assert info["flash_drain_in_progress"] == "no"
    assert (info["flash_drain_last_converted"], info["flash_drain_last_skipped"],
            info["flash_drain_last_errors"], info["flash_drain_last_scanned"]) \
        == (ours, ours + 2, 0, 2 * ours + 2)
    assert info["flash_convert_total"] == 2 * ours


def test_drain_of_one_database_names_the_others(server):
    node = server(SMALL)
    for db in (0, 3, 5):
        node.connect(db=db).execute_command("FLASH.SET", "key", "x" * 200)
    assert node.call("FLASH.DRAIN") == [1, 0, 0, 1]
    assert "FLASH keys are left in other databases: 3, 5" in node.log()
    assert node.call("FLASH.DRAIN", "ALLDBS") == [2, 1, 0, 3]
    assert [node.connect(db=db).type("key") for db in (0, 3, 5)] == [b"string"] * 3


def test_drain_leaves_keys_of_many_elements_unless_forced(server):
    node = server({**SMALL, "flash.drain-max-elements": "1000"})
    fill(node)
    assert node.call("FLASH.DRAIN", "MATCH", "*:large") == [0, 3, 0, 3]
    assert node.call("FLASH.DRAIN", "FORCE", "MATCH", "*:large") == [3, 0, 0, 3]


def test_drain_guards_maxmemory(server):
    node = server({**SMALL, "flash.compression": "none"})
    for n in range(30):
        node.call("FLASH.SET", f"key:{n}", os.urandom(MIB))
    demote_all(node)
    node.call("CONFIG", "SET", "maxmemory", "20mb")
    refuses(r"FLASH.DRAIN would exceed maxmemory \(used_memory=\d+ \+ projected_cold=3\d{7} "
            r"> maxmemory=20971520\); pass FORCE to override", node.call, "FLASH.DRAIN")
    assert number(node, "convert_total") == 0
    node.call("CONFIG", "SET", "maxmemory", "200mb")
    assert node.call("FLASH.DRAIN") == [30, 0, 0, 30]


def test_bad_arguments(server):
    node = server()
    for args in (["MATCH"], ["COUNT"], ["COUNT", "x"], ["COUNT", "-1"], ["FORCED"],
                 ["ALLDBS", "1"]):
        refuses("syntax error|not an integer|must not be negative", node.call, "FLASH.DRAIN", *args)


def test_one_drain_at_a_time_and_it_goes_on_without_its_client(server):
    node = server(SMALL)
    for n in range(3000):
        node.call("FLASH.SET", f"key:{n}", os.urandom(500))
    demote_all(node)
    node.call("CLIENT", "PAUSE", "600000", "WRITE")  # A drain waits, too.
    link = Connection(node.port)
    link.send(["FLASH.DRAIN"])
    node.call("CLIENT", "UNPAUSE")
    other = Connection(node.port)

    def second():
        reply = other.call("FLASH.DRAIN", "COUNT", "0").raw
        return b"drain already in progress" in reply

    # The first may be over before it is seen; then its work shows that it was done.
    wait_until(lambda: second() or number(node, "drain_last_converted") == 3000,
               what="the drain to be noticed")
    link.close()
    wait_until(lambda: number(node, "convert_total") == 3000, what="the drain to end by itself")
    other.close()


def test_a_read_only_replica_refuses(server):
    primary, replica = server(SMALL), server()
    replica.replicate_from(primary)
    refuses("read only replica", replica.call, "FLASH.DRAIN")
    refuses("read only replica", replica.call, "FLASH.CONVERT", "key")


@pytest.mark.parametrize("how", ["rdb", "aof"])
def test_a_server_without_the_module_loads_what_a_drained_one_saved(server, how, tmp_path):
    node = server({**SMALL, "appendonly": "yes" if how == "aof" else "no"})
    fill(node)
    node.connect(db=2).execute_command("FLASH.SET", "elsewhere", "x" * 300)
    demote_all(node)
    before = contents(node)
    assert node.call("FLASH.DRAIN", "ALLDBS")[2] == 0
    assert contents(node) == before
    digest = node.call("DEBUG", "DIGEST")
    if how == "aof":
        node.rewrite_aof()
    else:
        node.call("SAVE")
    node.stop()
    bare = server({"appendonly": "yes" if how == "aof" else "no"}, module=False, start=False)
    for name in ("dump.rdb", "appendonlydir"):
        if (node.dir / name).exists():
            os.rename(node.dir / name, bare.dir / name)
    bare.start()
    assert bare.call("DEBUG", "DIGEST") == digest
    assert contents(bare) == before


def test_kill_in_the_middle_of_a_drain_leaves_every_key_whole(server):
    node = server({**SMALL, "appendonly": "yes", "appendfsync": "always"})
    fill(node)
    for n in range(2000):
        node.call("FLASH.SET", f"key:{n}", b"%d:" % n + os.urandom(300))
    demote_all(node)
    before = contents(node)
    link = Connection(node.port)
    link.send(["FLASH.DRAIN", "FORCE"])
    wait_until(lambda: number(node, "convert_total") > 100, what="some conversions")
    node.restart(crash=True)
    link.close()
    assert contents(node) == before
    assert node.call("FLASH.DRAIN", "FORCE")[2] == 0
    assert contents(node) == before
    assert {node.client.type(key) for key in node.client.keys()} == set(NATIVE.values())


def leave_check(port, *args):
    return subprocess.run([sys.executable, ROOT / "scripts" / "leave-check", "--port", str(port),
                           *args], capture_output=True, text=True, check=False)


def test_leave_check_lists_what_is_in_the_way(server, tmp_path):
    node = server({**SMALL, "appendonly": "yes", "auto-aof-rewrite-percentage": "0"})
    node.call("FLASH.SET", "a", "x" * 100)
    node.connect(db=4).execute_command("FLASH.RPUSH", "b", "x")
    node.call("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@flash")
    conf = tmp_path / "other.conf"
    conf.write_text("port 1\n  flash.cache-size-bytes 1gb\n"
                    "loadmodule /lib/libvalkey_flash.so\n"
                    "user old on +flash.get ~*\n")
    run = leave_check(node.port, "--conf", str(conf))
    assert run.returncode == 1, run.stderr
    for text in ("database 0: 1 of 1 keys", "database 4: 1 of 1 keys", "ACL user app:",
                 "other.conf:2: remove `flash.cache-size-bytes`",
                 "other.conf:3: remove `loadmodule",
                 "other.conf:4: an ACL user's", "holds FLASH."):
        assert text in run.stdout, run.stdout
    node.call("FLASH.DRAIN", "ALLDBS")
    node.call("ACL", "DELUSER", "app")
    node.rewrite_aof()
    conf.write_text("port 1\n")
    run = leave_check(node.port, "--conf", str(conf))
    assert run.returncode == 0, run.stdout
    assert "nothing is in the way" in run.stdout
    wrong = leave_check(1)
    assert wrong.returncode == 1 and wrong.stderr.startswith("leave-check: ")
