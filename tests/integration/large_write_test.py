"""Writes that are larger than the cache: built past it, whole or not at all, native's replies."""

import os
import threading

import pytest
import redis

from conftest import wait_until
from harness.parking import Holder, send_and_park

CACHE = 1 << 20
# A tenth above the bound, the leaves that the last part pins, and one part, of a sixteenth.
BOUND = CACHE + CACHE // 10 + 250_000
SMALL = {"flash.cache-size-bytes": str(CACHE), "flash.compression": "none",
         "flash.capacity-bytes": "512mb"}
COUNT = 20_000


def peak(node):
    return node.info("flash")["flash_hot_bytes_peak"]


def blocks(node):
    info = node.info("flash")
    return sum(info[f"flash_blocks_{state}"]
               for state in ("hot_dirty", "hot_clean", "demoting", "cold"))


def value(n):
    return (b"%07d" % n) * 70 + b"x" * 20


def arguments(kind, numbers, suffix=b""):
    if kind == "hash":
        return [part for n in numbers for part in (b"f%d" % n, value(n) + suffix)]
    if kind == "zset":
        return [part for n in numbers for part in (n * 7919 % COUNT, b"m%d:" % n + value(n))]
    return [value(n) + suffix for n in numbers]


COMMAND = {"hash": "FLASH.HSET", "zset": "FLASH.ZADD", "list": "FLASH.RPUSH",
           "front": "FLASH.LPUSH"}


def check(node, kind):
    if kind == "hash":
        assert node.call("FLASH.HLEN", kind) == COUNT
        for n in range(0, COUNT, 1_009):
            assert node.call("FLASH.HGET", kind, b"f%d" % n) == value(n)
    elif kind == "zset":
        for n in range(0, COUNT, 1_009):
            member = b"m%d:" % n + value(n)
            assert node.call("FLASH.ZRANK", kind, member) == n * 7919 % COUNT
            assert float(node.call("FLASH.ZSCORE", kind, member)) == n * 7919 % COUNT
    else:
        assert node.call("FLASH.LLEN", kind) == COUNT
        for n in range(0, COUNT, 1_009):
            index = n if kind == "list" else COUNT - 1 - n
            assert node.call("FLASH.LINDEX", kind, index) == value(n)


def at_once(node, *args):
    """In a transaction, where nobody is parked, so that a Holder does not hold it."""
    pipe = node.client.pipeline(transaction=True)
    pipe.execute_command(*args)
    return pipe.execute()[0]


def plainly(node, command, kind, args):
    return node.call(command, kind, *args)


def in_multi(node, command, kind, args):
    pipe = node.client.pipeline(transaction=True)
    pipe.execute_command(command, kind, *args)
    return pipe.execute()[0]


def in_a_script(node, command, kind, args):
    """A few thousand a call: Lua cannot unpack more."""
    done = 0
    for start in range(0, len(args), 4_000):
        done = node.client.eval(
            "return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))", 1, kind, command,
            *args[start:start + 4_000])
    return done


@pytest.mark.parametrize("way", [plainly, in_multi, in_a_script])
@pytest.mark.parametrize("kind", COMMAND)
def test_one_command_of_ten_times_the_cache(server, kind, way):
    node = server(SMALL)
    added = way(node, COMMAND[kind], kind, arguments(kind, range(COUNT)))
    if way is not in_a_script:
        assert added == COUNT
    assert peak(node) <= BOUND
    check(node, kind)
    assert peak(node) <= BOUND
    assert node.info("flash")["flash_flashfull_replies"] == 0


def test_many_commands_in_one_transaction(server):
    node = server(SMALL)
    pipe = node.client.pipeline(transaction=True)
    for n in range(COUNT):
        pipe.execute_command("FLASH.RPUSH", "list", value(n))
    assert pipe.execute() == list(range(1, COUNT + 1))
    check(node, "list")
    assert peak(node) <= BOUND


def test_what_is_there_already_is_changed_and_counted(server):
    """Some fields are new, some change their length, one comes twice: the last value counts."""
    node, native = server(SMALL), server()
    for n in range(0, COUNT, 500):
        half = arguments("hash", range(n, n + 500, 2), b"old")
        node.call("FLASH.HSET", "hash", *half)
        native.call("HSET", "hash", *half)
    args = arguments("hash", range(0, COUNT, 3)) + [b"f0", b"twice", b"f1", b"twice too"]
    assert node.call("FLASH.HSET", "hash", *args) == native.call("HSET", "hash", *args)
    ours = node.call("FLASH.HGETALL", "hash")
    assert dict(zip(ours[::2], ours[1::2])) == native.client.hgetall("hash")
    scores = [part for n in range(0, COUNT, 2) for part in (n, b"m%d" % n + value(n)[:100])]
    more = [part for n in range(0, COUNT, 3) for part in (n + 5, b"m%d" % n + value(n)[:100])]
    for options in ((), ("NX",), ("XX", "CH"), ("GT", "CH"), ("LT",)):
        for args in (scores, more, more + [7, b"m0" + value(0)[:100]]):
            assert (node.call("FLASH.ZADD", "zset", *options, *args)
                    == native.call("ZADD", "zset", *options, *args))
    assert (node.call("FLASH.ZRANGE", "zset", 0, 999, "WITHSCORES")
            == native.call("ZRANGE", "zset", 0, 999, "WITHSCORES"))
    assert node.call("FLASH.ZCARD", "zset") == native.call("ZCARD", "zset")


def test_expiry_and_replicas_follow(server):
    primary = server(SMALL)
    replica = server({**SMALL, "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    primary.call("FLASH.HSET", "hash", *arguments("hash", range(COUNT)), "EX", 1000)
    primary.call("FLASH.RPUSH", "list", *arguments("list", range(COUNT)))
    primary.call("EXPIRE", "list", 500)
    primary.call("FLASH.RPUSH", "list", *arguments("list", range(COUNT)))
    replica.wait_for_offset_of(primary)
    assert 900 < replica.call("TTL", "hash") <= 1000
    assert 400 < primary.call("TTL", "list") <= 500
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")
    assert peak(replica) <= BOUND


def test_writes_of_others_meanwhile_are_not_lost(server):
    """A large push is made to a copy; what changes the list meanwhile is there, too."""
    node = server(SMALL)
    node.call("FLASH.RPUSH", "list", *arguments("list", range(2_000)))
    ended = threading.Event()
    pushed = 0

    def push_large():
        client = node.connect()
        for _ in range(4):
            client.execute_command("FLASH.RPUSH", "list", *arguments("list", range(8_000)))
        ended.set()

    large = threading.Thread(target=push_large)
    large.start()
    while not ended.is_set():
        node.call("FLASH.LPUSH", "list", b"small")
        pushed += 1
    large.join()
    assert pushed > 0
    assert node.call("FLASH.LLEN", "list") == 2_000 + 4 * 8_000 + pushed
    assert node.call("FLASH.LRANGE", "list", 0, pushed - 1) == [b"small"] * pushed


def test_what_fits_nowhere_changes_nothing(server):
    node = server({**SMALL, "flash.capacity-bytes": "16mb"})
    node.call("FLASH.RPUSH", "list", b"a", b"b")
    node.call("FLASH.HSET", "hash", b"f", b"v")
    for command, kind in (("FLASH.RPUSH", "list"), ("FLASH.HSET", "hash"), ("FLASH.ZADD", "zset")):
        args = [part for n in range(4_000) for part in arguments(kind, [n], os.urandom(6_000))]
        if kind == "zset":
            args = [part for n in range(4_000) for part in (n, os.urandom(6_000))]
        for way in (plainly, in_multi):
            with pytest.raises(redis.ResponseError, match="FLASHFULL"):
                way(node, command, kind, args)
    assert node.call("FLASH.LRANGE", "list", 0, -1) == [b"a", b"b"]
    assert node.call("FLASH.HGETALL", "hash") == [b"f", b"v"]
    assert node.call("DBSIZE") == 2


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(server, tmp_path, monkeypatch):
    holder = Holder(tmp_path, monkeypatch)
    node = server(SMALL)
    node.call("FLASH.RPUSH", "list", b"a", b"b")
    before = blocks(node)
    holder.hold("release")
    client = send_and_park(node, "FLASH.RPUSH", "list", *arguments("list", range(8_000)))
    wait_until(lambda: blocks(node) > 8_000 * 500 // 4096, what="the copy")
    assert at_once(node, "FLASH.LRANGE", "list", 0, -1) == [b"a", b"b"]
    client.close()
    wait_until(lambda: blocks(node) == before, what="the end of the copy")
    holder.let_go()
    assert node.call("FLASH.LRANGE", "list", 0, -1) == [b"a", b"b"]


def test_a_value_that_changes_while_its_copy_is_made(server, tmp_path, monkeypatch):
    """Changed by others before the copy takes its place, it is written to once more."""
    holder = Holder(tmp_path, monkeypatch)
    node = server(SMALL)
    node.call("FLASH.HSET", "hash", *arguments("hash", range(8_000), b"old"))
    node.call("FLASH.RPUSH", "list", b"a")
    holder.hold("release")
    clients = [send_and_park(node, "FLASH.HSET", "hash", *arguments("hash", range(4_000, 12_000)),
                             parked=1),
               send_and_park(node, "FLASH.RPUSH", "list", *arguments("list", range(8_000)),
                             parked=2)]
    assert at_once(node, "FLASH.HDEL", "hash", b"f1", b"f5000") == 2
    assert at_once(node, "FLASH.HSET", "hash", b"f11999", b"mine") == 1
    assert at_once(node, "FLASH.LPOP", "list") == b"a"
    holder.let_go()
    assert clients[0].read().value == 4_000
    assert clients[1].read().value == 8_000
    assert node.call("FLASH.HLEN", "hash") == 11_999
    assert node.call("FLASH.HGET", "hash", b"f11999") == value(11_999)
    assert node.call("FLASH.HGET", "hash", b"f5000") == value(5_000)
    assert node.call("FLASH.HEXISTS", "hash", b"f1") == 0
    assert node.call("FLASH.LINDEX", "list", 0) == value(0)
    node.call("FLASH.DEL", "hash", "list")
    wait_until(lambda: blocks(node) == 0, what="the end of all blocks")
