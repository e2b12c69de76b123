"""FLASH list commands: what the differential test cannot see. Blocking ones: blocking_test.py.

Events, effects on replica and AOF, cold reads, large elements, long lists.
"""

import pytest

from harness.parking import Holder, chill, send_and_park
from harness.resp import Connection
from hash_test import check_facts

NAMES = ["LPUSH", "RPUSH", "LPUSHX", "RPUSHX", "LPOP", "RPOP", "LLEN", "LRANGE", "LINDEX", "LSET",
         "LINSERT", "LREM", "LTRIM", "LMOVE", "RPOPLPUSH", "BLPOP", "BRPOP", "BLMOVE"]


@pytest.fixture
def node(server):
    return server({"flash.cache-size-bytes": "8mb", "notify-keyspace-events": "KEA"})


def everything(node, key):
    return node.call("FLASH.LRANGE", key, 0, -1)


def fill(node, key, count, size=100):
    expected = [b"%08d" % i + b"e" * (size - 8) for i in range(count)]
    for start in range(0, count, 1000):
        node.call("FLASH.RPUSH", key, *expected[start:start + 1000])
    return expected


@pytest.mark.parametrize("name", NAMES)
def test_command_facts_are_native(server, name):
    check_facts(server(), name)


def test_events_only_when_something_changed(node):
    listener = node.connect().pubsub()
    listener.psubscribe("__keyspace@0__:*")
    listener.get_message(timeout=5)
    for command in (["FLASH.RPUSH", "l", "a", "b", "c"], ["FLASH.LREM", "l", 0, "none"],
                    ["FLASH.LTRIM", "l", 0, -1], ["FLASH.LPUSHX", "none", "x"],
                    ["FLASH.LSET", "l", 0, "A"], ["FLASH.LINSERT", "l", "AFTER", "A", "B"],
                    ["FLASH.LMOVE", "l", "m", "LEFT", "LEFT"], ["FLASH.LPOP", "l", 0],
                    ["FLASH.RPOP", "l", 9], ["FLASH.LTRIM", "m", 5, 6], ["SET", "end", "1"]):
        node.call(*command)
    events = []
    while (b"end", b"set") not in events:
        message = listener.get_message(timeout=5)
        events.append((message["channel"].split(b":")[1], message["data"]))
    assert events == [(b"l", b"flash.rpush"), (b"l", b"flash.lset"), (b"l", b"flash.linsert"),
                      (b"m", b"flash.lmove"), (b"l", b"flash.lmove"), (b"l", b"flash.rpop"),
                      (b"l", b"del"), (b"m", b"flash.ltrim"), (b"m", b"del"), (b"end", b"set")]


def test_effects_reach_replica_and_aof(server):
    primary = server({"appendonly": "yes"})
    replica = server()
    replica.replicate_from(primary)
    for command in (["FLASH.RPUSH", "l", *"abcdef"], ["FLASH.LPOP", "l"], ["FLASH.RPOP", "l", 2],
                    ["FLASH.LSET", "l", 0, "B"], ["FLASH.LINSERT", "l", "BEFORE", "c", "x"],
                    ["FLASH.LMOVE", "l", "m", "RIGHT", "LEFT"], ["FLASH.RPOPLPUSH", "l", "l"],
                    ["FLASH.BLPOP", "none", "m", 0], ["FLASH.RPUSH", "gone", "a"],
                    ["FLASH.LREM", "gone", 1, "a"], ["FLASH.RPUSH", "n", *"xyz"],
                    ["FLASH.BLMOVE", "n", "o", "LEFT", "RIGHT", 0], ["FLASH.BRPOP", "n", 0],
                    ["FLASH.LTRIM", "o", 1, 2]):
        primary.call(*command)
    replica.wait_for_offset_of(primary)
    for node in (primary, replica, primary.restart()):
        assert everything(node, "l") == [b"c", b"B", b"x"]
        assert everything(node, "n") == [b"y"]
        assert node.call("DBSIZE") == 2


def test_a_read_of_a_long_cold_list_costs_one_block(node):
    expected = fill(node, "l", 20_000)
    chill(node, "l")
    for command, answer, blocks in (
            (["FLASH.LINDEX", "l", 9_000], expected[9_000], 1),
            (["FLASH.LINDEX", "l", -5_000], expected[-5_000], 1),
            (["FLASH.LLEN", "l"], 20_000, 0),
            (["FLASH.RPUSH", "l", "last"], 20_001, 1),
            (["FLASH.LPUSH", "l", "first"], 20_002, 1),
            (["FLASH.LPOP", "l"], b"first", 0),
            (["FLASH.LTRIM", "l", 10_000, 10_100], b"OK", 2)):
        before = node.info("flash")["flash_cache_misses"]
        assert node.call(*command) == answer
        assert node.info("flash")["flash_cache_misses"] - before <= blocks, command
    assert everything(node, "l") == expected[10_000:10_101]


def test_a_list_larger_than_the_cache(node):
    expected = fill(node, "l", 60_000, 300)
    assert node.call("FLASH.LRANGE", "l", 30_000, 30_500) == expected[30_000:30_501]
    node.save_in_background()
    node.restart()
    assert everything(node, "l") == expected
    assert node.call("FLASH.LREM", "l", 0, expected[777]) == 1
    assert node.call("FLASH.LINSERT", "l", "BEFORE", expected[778], expected[777]) == 60_000
    assert everything(node, "l") == expected
    while expected:
        assert node.call("FLASH.LPOP", "l", 5000) == expected[:5000]
        del expected[:5000]
    assert node.call("EXISTS", "l") == 0


def test_large_elements(node):
    large = [b"a" * 300_000, b"small", b"b" * 3_000_000, b"c" * 2000]
    node.call("FLASH.RPUSH", "l", *large)
    for _ in range(2):
        chill(node, "l")
        assert everything(node, "l") == large
        chill(node, "l")
        assert node.call("FLASH.LINDEX", "l", 2) == large[2]
        node.call("DEBUG", "RELOAD")
    node.call("COPY", "l", "m")
    assert node.call("FLASH.LMOVE", "l", "m", "LEFT", "RIGHT") == large[0]
    assert node.call("FLASH.RPOP", "l", 9) == large[:0:-1]
    assert node.call("FLASH.LREM", "m", 0, large[2]) == 1
    assert everything(node, "m") == [large[0], large[1], large[3], large[0]]


def test_a_move_to_another_type_loses_nothing(node):
    node.call("FLASH.RPUSH", "l", "a", "b")
    node.call("SET", "s", "native")
    node.call("FLASH.HSET", "h", "f", "v")
    connection = Connection(node.port)
    for destination in ("s", "h"):
        for command in (["FLASH.LMOVE", "l", destination, "LEFT", "LEFT"],
                        ["FLASH.RPOPLPUSH", "l", destination],
                        ["FLASH.BLMOVE", "l", destination, "LEFT", "LEFT", 0]):
            assert connection.call(*command).value.startswith(b"WRONGTYPE ")
    assert everything(node, "l") == [b"a", b"b"]


def test_parked_pops_take_what_is_there_when_applied(server, tmp_path, monkeypatch):
    holder = Holder(tmp_path, monkeypatch)
    node = server()
    fill(node, "l", 3, 500)
    chill(node, "l")
    holder.hold("fetch")
    first = send_and_park(node, "FLASH.LPOP", "l")
    second = send_and_park(node, "FLASH.LPOP", "l", "5", parked=2)
    node.call("DEL", "l")
    node.call("FLASH.RPUSH", "l", "x", "y", "z")
    holder.let_go()
    assert first.read().plain() == b"x"
    assert second.read().plain() == [b"y", b"z"]


@pytest.mark.parametrize("words", [(0, -1), (-100, 100), (1, -1), (5, 6)])
def test_a_trim_lets_watch_fail_as_the_server_at_hand_does(server, words):
    node = server()
    outcomes = []
    for key, prefix in (("n", ""), ("f", "FLASH.")):
        watcher = Connection(node.port)
        node.call(prefix + "RPUSH", key, "a", "b")
        watcher.must("WATCH", key)
        node.call(prefix + "LTRIM", key, *words)
        watcher.must("MULTI")
        watcher.must("PING")
        outcomes.append(watcher.must("EXEC"))
    assert outcomes[0] == outcomes[1]
