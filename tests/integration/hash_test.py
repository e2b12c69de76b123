"""FLASH hash commands: what the differential test cannot see.

The clause of FLASH.HSET (not native), events, effects on replica and AOF, cold reads, large
elements, big hashes.
"""

import time

import pytest

from conftest import wait_until
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection


@pytest.fixture
def node(server):
    return server({"flash.cache-size-bytes": "8mb", "notify-keyspace-events": "KEA"})


def pairs_of(client, key):
    reply = client.execute_command("FLASH.HGETALL", key)
    return dict(zip(reply[0::2], reply[1::2]))


@pytest.mark.parametrize("word", ["EX", "px", "ExAt", "PXAT"])
def test_a_clause_at_the_end_sets_the_time_to_live(node, word):
    now = time.time() if word.lower().endswith("at") else 0
    moment = int((now + 5000) * (1000 if word.lower().startswith("px") else 1))
    assert node.call("FLASH.HSET", "h", "f", "v", word, moment) == 1
    assert 4_000_000 < node.call("PTTL", "h") <= 5_001_000
    assert pairs_of(node.client, "h") == {b"f": b"v"}
    node.call("FLASH.HSET", "h", "g", "w")
    assert 4_000_000 < node.call("PTTL", "h") <= 5_001_000


def test_words_of_the_clause_are_data_elsewhere(node):
    assert node.call("FLASH.HSET", "h", "EX", "10") == 1
    assert node.call("FLASH.HSET", "h", "f", "v", "PX", "10", "KEEPTTL") == 2
    assert node.call("FLASH.HSET", "h", "PX", "1", "KEEPTTL", "v") == 1
    assert node.call("PTTL", "h") == -1
    assert pairs_of(node.client, "h") == {b"EX": b"10", b"f": b"v", b"PX": b"1", b"KEEPTTL": b"v"}


def test_a_field_that_only_begins_like_a_word_of_the_clause_is_data(node):
    assert node.call("FLASH.HSET", "h", "f", "v", b"ex\0z", "10") == 2
    assert node.call("PTTL", "h") == -1
    assert pairs_of(node.client, "h") == {b"f": b"v", b"ex\0z": b"10"}
    reply = Connection(node.port).call("FLASH.HSET", "h", "f", "v", b"KEEPTTL\0z")
    assert reply.value == b"ERR wrong number of arguments for 'FLASH.HSET' command"


@pytest.mark.parametrize("words", [
    ("flash.hset", "k", "a", "1", "b"), ("flash.lpop", "k", "1", "2"), ("flash.lpop",),
    ("flash.zrank", "z", "m", "withscore", "x"), ("flash.zunionstore", "d", "0", "a")])
def test_errors_name_the_command_however_it_was_spelt(node, words):
    connection = Connection(node.port)
    typed, upper = connection.call(*words), connection.call(words[0].upper(), *words[1:])
    assert typed.value == upper.value and words[0].upper().encode() in typed.value


def test_bad_clauses_change_nothing(node):
    connection = Connection(node.port)
    node.call("FLASH.HSET", "h", "f", "v")
    for clause in (["EX", "0"], ["PX", "-5"], ["EXAT", "0"], ["EX", "9223372036854775807"]):
        reply = connection.call("FLASH.HSET", "h", "g", "w", *clause)
        assert reply.value == b"ERR invalid expire time in 'FLASH.HSET' command"
    for words in (["f"], ["f", "v", "g"], ["KEEPTTL"]):
        reply = connection.call("FLASH.HSET", "h", *words)
        assert reply.value == b"ERR wrong number of arguments for 'FLASH.HSET' command"
    assert pairs_of(node.client, "h") == {b"f": b"v"}
    assert node.call("PTTL", "h") == -1


def test_a_moment_that_is_over_deletes_the_key(node):
    assert node.call("FLASH.HSET", "h", "f", "v", "PXAT", 1000) == 1
    assert node.call("EXISTS", "h") == 0
    node.call("FLASH.HSET", "h", "f", "v")
    assert node.call("FLASH.HSET", "h", "f", "w", "g", "w", "EXAT", 1) == 1
    assert node.call("EXISTS", "h") == 0


def test_events_only_when_something_changed(node):
    listener = node.connect().pubsub()
    listener.psubscribe("__keyspace@0__:*")
    listener.get_message(timeout=5)
    for command in (["FLASH.HSET", "h", "f", "v"], ["FLASH.HSET", "h", "f", "v", "EX", 100],
                    ["FLASH.HDEL", "h", "none"], ["FLASH.HGET", "h", "f"],
                    ["FLASH.DEBUG.DEMOTE", "h"], ["FLASH.HGET", "h", "f"],
                    ["FLASH.HDEL", "h", "f"], ["FLASH.HDEL", "h", "f"], ["SET", "end", "1"]):
        node.call(*command)
    events = []
    while b"set" not in events:
        message = listener.get_message(timeout=5)
        events.append(message["data"])
    assert events == [b"flash.hset", b"flash.hset", b"expire", b"flash.evict",
                      b"flash.hdel", b"del", b"set"]


def test_effects_reach_replica_and_aof(server):
    primary = server({"appendonly": "yes"})
    replica = server()
    replica.replicate_from(primary)
    primary.call("FLASH.HSET", "h", "a", "1", "b", "2", "c", "3", "EX", 1000)
    primary.call("FLASH.HSET", "data", "f", "v", "EX", "10", "KEEPTTL")
    primary.call("FLASH.HDEL", "h", "a", "none")
    primary.call("FLASH.HSET", "gone", "a", "1")
    primary.call("FLASH.HDEL", "gone", "a")
    primary.call("FLASH.HSET", "over", "a", "1")
    primary.call("FLASH.HSET", "over", "a", "1", "PXAT", 1)
    primary.call("FLASH.HDEL", "missing", "a")
    replica.wait_for_offset_of(primary)
    expected = primary.call("PEXPIRETIME", "h")
    for node in (replica, primary.restart()):
        assert pairs_of(node.client, "h") == {b"b": b"2", b"c": b"3"}
        assert node.call("PEXPIRETIME", "h") == expected
        assert pairs_of(node.client, "data") == {b"f": b"v", b"EX": b"10"}
        assert node.call("DBSIZE") == 2


def test_replies_are_resp3(node):
    connection = Connection(node.port, resp3=True)
    connection.call("FLASH.HSET", "h", "f", "v")
    assert connection.call("FLASH.HGETALL", "h").raw == b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n"
    assert connection.call("FLASH.HGETALL", "none").raw == b"%0\r\n"
    assert connection.call("FLASH.HGET", "h", "x").raw == b"_\r\n"
    assert connection.call("FLASH.HMGET", "h", "x", "f").raw == b"*2\r\n_\r\n$1\r\nv\r\n"


def fill(node, key, count, size=100):
    """A hash of `count` fields; returns it as a dict."""
    expected = {}
    for start in range(0, count, 500):
        words = []
        for i in range(start, min(start + 500, count)):
            value = b"%08d" % i + b"v" * (size - 8)
            words += [b"f%d" % i, value]
            expected[b"f%d" % i] = value
        node.call("FLASH.HSET", key, *words)
    return expected


def test_a_field_of_a_big_cold_hash_costs_one_block(node):
    fill(node, "h", 20_000)
    chill(node, "h")
    for command, expected, blocks in (
            (["FLASH.HGET", "h", "f77"], b"%08d" % 77 + b"v" * 92, 1),
            (["FLASH.HEXISTS", "h", "f400"], 1, 1),
            (["FLASH.HSET", "h", "f500", "new"], 0, 1),
            (["FLASH.HLEN", "h"], 20_000, 0)):
        before = node.info("flash")["flash_cache_misses"]
        assert node.call(*command) == expected
        assert node.info("flash")["flash_cache_misses"] - before == blocks, command


def test_a_hash_larger_than_the_cache(node):
    expected = fill(node, "h", 60_000, 300)
    assert node.call("FLASH.HLEN", "h") == 60_000
    fields = [b"f%d" % i for i in range(0, 60_000, 601)]
    assert node.call("FLASH.HMGET", "h", *fields) == [expected[f] for f in fields]
    node.save_in_background()
    node.restart()
    assert pairs_of(node.client, "h") == expected
    assert node.call("FLASH.HDEL", "h", *expected) == 60_000
    assert node.call("EXISTS", "h") == 0


def test_large_elements(node):
    large = {b"f" * 5000: b"x" * 300_000, b"g": b"y" * 3_000_000, b"h" * 2000: b"small"}
    node.call("FLASH.HSET", "h", *[item for pair in large.items() for item in pair])
    for _ in range(2):
        chill(node, "h")
        assert pairs_of(node.client, "h") == large
        chill(node, "h")
        assert node.call("FLASH.HMGET", "h", *large) == list(large.values())
        node.call("DEBUG", "RELOAD")
    digest = node.client.execute_command("DEBUG", "DIGEST-VALUE", "h")
    payload = node.call("DUMP", "h")
    node.call("RESTORE", "copy", 0, payload)
    node.call("COPY", "copy", "again")
    assert node.client.execute_command("DEBUG", "DIGEST-VALUE", "copy", "again") == digest * 2
    node.call("DEL", "h", "copy")
    assert pairs_of(node.client, "again") == large
    node.call("FLUSHALL")
    wait_until(lambda: node.info("flash")["flash_storage_used_bytes"] < 3_000_000, 20,
               "the blocks of the large elements to be freed")


def test_parked_commands_see_what_is_there_when_applied(server, tmp_path, monkeypatch):
    holder = Holder(tmp_path, monkeypatch)
    node = server()
    node.call("FLASH.HSET", "h", "f", "v" * 2000)
    chill(node, "h")
    holder.hold("fetch")
    getter = send_and_park(node, "FLASH.HGET", "h", "f")
    setter = send_and_park(node, "FLASH.HSET", "h", "g", "w", parked=2)
    node.call("DEL", "h")
    holder.let_go()
    assert getter.read().is_null
    assert setter.read().value == 1
    assert parked_now(node) == 0
    assert pairs_of(node.client, "h") == {b"g": b"w"}


def test_command_facts_are_native(server):
    node = server()
    for name in ("HSET", "HGET", "HMGET", "HGETALL", "HDEL", "HEXISTS", "HLEN"):
        check_facts(node, name)


def check_facts(node, name):
    """COMMAND INFO of FLASH.X says what that of X says."""
    flash, native = (Connection(node.port).call("COMMAND", "INFO", prefix + name).plain()[0]
                     for prefix in ("FLASH.", ""))
    assert flash[1] == native[1], "arity"
    assert sorted(set(flash[2]) - {b"module"}) == sorted(native[2]), "flags"
    assert flash[3:6] == native[3:6], "keys"
    assert sorted(flash[6]) == sorted([*native[6], b"@flash"]), "ACL categories"
    assert flash[8] == native[8], "key specs"
