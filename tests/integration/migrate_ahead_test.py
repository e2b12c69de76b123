"""The server's own MIGRATE ... KEYS: small cold values are read together, and arrive right.

`flash_sync_waits_dump` counts how often the server waited for its drive meanwhile: once for each
value, or once for many.
"""

import os

import pytest
import redis

from conftest import free_port, wait_until
from harness.disks import spoil_value
from harness.parking import chill
from harness.resp import Connection
from hidden_commands_test import hidden

# 64 KiB are read together then.
TIER = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "64mb",
        "flash.compression": "none"}
BYTES = 500


def waits(node, call):
    """What `call` returns, and how often the server waited for values to save."""
    before = node.info("flash")["flash_sync_waits_dump"]
    answer = call()
    return answer, node.info("flash")["flash_sync_waits_dump"] - before


def migrate(source, target, *keys, options=(), db=0, client=None):
    client = client or source.client
    return client.execute_command("MIGRATE", "127.0.0.1", target.port, "", db, 10_000, *options,
                                  "KEYS", *keys)


def cold(node, prefix, count, db=0):
    client = node.connect(db=db)
    pipe = client.pipeline(transaction=False)
    names = [f"{prefix}{n}" for n in range(count)]
    for name in names:
        pipe.execute_command("FLASH.SET", name, name.encode() + os.urandom(BYTES - len(name)))
    pipe.execute()
    chill(node, *names, db=db)
    return names


def digests(node, names, db=0):
    return node.connect(db=db).execute_command("DEBUG", "DIGEST-VALUE", *names)


def warm(source, target, command="MIGRATE"):
    """Has cold values migrate: what does so in the next five seconds is looked at ahead."""
    names = cold(source, "warm", 20)
    _, waited = waits(source, lambda: source.call(command, "127.0.0.1", target.port, "", 0, 10_000,
                                                  "KEYS", *names))
    assert waited == 20  # One by one: nothing is looked at for the sake of the first.


def has_filter(node):
    ours = next(one for one in node.info("modules")["modules"] if one["name"] == "flash")
    return int(ours["filters"]) > 0


def test_values_of_one_command_are_read_together(server):
    source, target = server(TIER), server(TIER)
    names, more = cold(source, "s", 100), cold(source, "more", 400)
    before, before_more = digests(source, names), digests(source, more)
    assert not has_filter(source)
    warm(source, target)
    assert has_filter(source)
    assert waits(source, lambda: migrate(source, target, *names)) == (b"OK", 1)
    # More than fits at once; the source keeps them, cold, and can send them again.
    for options in (["COPY"], ["COPY", "REPLACE"]):
        answer, waited = waits(source,
                               lambda o=options: migrate(source, target, *more, options=o))
        assert answer == b"OK" and 400 * BYTES // 65536 <= waited <= 6
        assert digests(target, more) == before_more
    assert digests(target, names) == before
    assert digests(source, more) == before_more
    info = source.info("flash")
    assert info["flash_held_bytes"] == 0
    assert info["flash_hot_bytes_peak"] <= 1.1 * (1 << 20)
    assert info["flash_tiered_keys"] == source.call("DBSIZE") == 400


def test_among_all_kinds_of_keys(server):
    """Of another database than 0, to a third one."""
    source, target = server(TIER), server(TIER)
    source.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    names = cold(source, "s", 60, db=3)
    call = source.connect(db=3).execute_command
    for name in names[:10]:
        call("FLASH.GET", name)  # Hot.
    call("COPY", names[20], "copy")
    call("SET", "native", "n")
    call("FLASH.SET", "inline", "x")
    call("FLASH.SET", "rope", os.urandom(900_000))
    call("FLASH.HSET", "hash", "f", "v" * 300)
    call("FLASH.RPUSH", "list", "a" * 200, "b" * 300)
    call("FLASH.ZADD", "zset", 1.5, "m" * 400)
    call("FLASH.HSET", "long", *[part for n in range(300) for part in (f"f{n}", os.urandom(90))])
    call("FLASH.SET", "large", os.urandom(200_000))  # One block, more than is read together.
    call("FLASH.SET", "gone", os.urandom(BYTES))
    chill(source, "rope", "hash", "list", "zset", "long", "large", "gone", db=3)
    call("PEXPIRE", names[30], 1_000_000)
    call("PEXPIREAT", "gone", 1)
    others = ["copy", "native", "inline", "rope", "hash", "list", "zset", "long", "large"]
    mixed = [name for n, other in enumerate(others) for name in (*names[6 * n:6 * n + 6], other)]
    mixed += names[54:]
    before = digests(source, mixed, db=3)
    warm(source, target)
    answer, waited = waits(source, lambda: migrate(
        source, target, "missing", *mixed, names[25], "gone", options=["COPY", "REPLACE"], db=5,
        client=source.connect(db=3)))
    assert answer == b"OK" and waited <= 16
    assert digests(target, mixed, db=5) == before
    ask = target.connect(db=5)
    assert 0 < ask.pttl(names[30]) <= 1_000_000
    assert ask.dbsize() == len(mixed)
    assert target.call("DBSIZE") == 20  # Those that made it look.


def test_what_was_written_in_between_is_what_arrives(server):
    source, target = server(TIER), server(TIER)
    names = cold(source, "s", 60) + ["hash"]
    source.call("FLASH.HSET", "hash", "f", "v" * 300)
    chill(source, "hash")
    warm(source, target)
    words = ["MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "COPY", "REPLACE", "KEYS", *names]
    pipe = source.client.pipeline(transaction=False)
    for text in ("first", "second"):  # All in one turn of the event loop.
        pipe.execute_command(*words)
        for name in names[:60:2]:
            pipe.execute_command("FLASH.SET", name, text * 100)
            pipe.execute_command("FLASH.DEBUG.DEMOTE", name)
        pipe.execute_command("FLASH.HSET", "hash", text, "new")
    pipe.execute_command(*words)
    pipe.execute()
    assert digests(target, names) == digests(source, names)
    assert target.call("FLASH.GET", names[0]) == b"second" * 100
    fields = target.call("FLASH.HMGET", "hash", "f", "first", "second")
    assert fields == [b"v" * 300, b"new", b"new"]


def test_a_command_that_is_put_off_or_refused_reads_nothing(server):
    source, target = server(TIER), server(TIER)
    names = cold(source, "s", 40)
    warm(source, target)

    def refused(client, *words):
        with pytest.raises((redis.exceptions.ResponseError, redis.exceptions.ConnectionError)):
            client.execute_command("MIGRATE", "127.0.0.1", *words)

    def refuse():
        refused(source.client, target.port, "key", 0, 100, "KEYS", *names)
        refused(source.client, target.port, "", "x", 100, "KEYS", *names)
        refused(source.client, target.port, "", 0, 100, "NOWORD", "KEYS", *names)
        source.call("ACL", "SETUSER", "poor", "on", "nopass", "~*", "+@read")
        refused(source.connect(username="poor", password="x"), target.port, "", 0, 100, "KEYS",
                *names)

    assert waits(source, refuse)[1] == 0
    refused(source.client, free_port(), "", 0, 100, "KEYS", *names)  # Found out when all is saved.
    source.call("CLIENT", "PAUSE", 100_000, "WRITE")
    late = Connection(source.port)
    late.send(["MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "KEYS", *names])
    wait_until(lambda: source.info("clients")["blocked_clients"] == 1, 10, "the pause")
    source.call("CLIENT", "UNPAUSE")
    assert late.read().value == b"OK"
    assert target.call("DBSIZE") == 60 and source.call("DBSIZE") == 0


@pytest.mark.parametrize("way", ["multi", "script"])
def test_in_transactions_and_scripts(server, way):
    """Nothing is read ahead: what stands between two commands there goes by no filter."""
    source, target = server(TIER), server(TIER)
    names = cold(source, "s", 20)
    warm(source, target)
    words = ["MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "COPY", "REPLACE", "KEYS", *names]
    if way == "multi":
        with source.client.pipeline(transaction=True) as transaction:
            transaction.execute_command(*words)
            transaction.execute_command("FLASH.SET", names[5], "new")
            transaction.execute_command(*words)
            assert all(transaction.execute())
    else:
        script = ("redis.call(unpack(ARGV)); redis.call('FLASH.SET', KEYS[1], 'new'); "
                  "return redis.call(unpack(ARGV))")
        assert source.client.eval(script, 1, names[5], *words) == b"OK"
    assert digests(target, names) == digests(source, names)
    assert target.call("FLASH.GET", names[5]) == b"new"


def test_under_another_name_it_works_as_ever(server):
    source, target = server(TIER, args=hidden("MIGRATE")), server(TIER)
    warm(source, target, "XMIGRATE")
    names = cold(source, "s", 30)
    before = digests(source, names)
    answer, waited = waits(source, lambda: source.call(
        "XMIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "KEYS", *names))
    assert answer == b"OK" and waited == 30
    assert digests(target, names) == before


def test_a_value_that_cannot_be_read_stays_and_the_others_leave(server):
    source, target = server(TIER), server(TIER)
    names = cold(source, "s", 30)
    warm(source, target)
    good = [name for name in names if name != "s7"]
    before = digests(source, good)
    spoil_value(source.dir / "flash.tier", source.call("FLASH.GET", "s7")[:60])
    source.call("FLASH.DEBUG.DEMOTE", "s7")
    with pytest.raises(redis.exceptions.ResponseError, match="Bad data format"):
        migrate(source, target, *names)
    assert source.client.keys() == [b"s7"]
    assert digests(target, good) == before


def test_a_target_that_hung_up_is_sent_all_again(server):
    """The server keeps the connection, and finds it broken when it has saved everything once."""
    source, target = server(TIER), server(TIER)
    names = cold(source, "s", 50)
    before = digests(source, names)
    warm(source, target)
    target.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert waits(source, lambda: migrate(source, target, *names)) == (b"OK", 2)
    assert digests(target, names) == before
