"""FLASH sorted set commands: what the differential test cannot see.

Events, effects on replica and AOF, cold reads, large members, big sets, scanning, waiting; and
where FLASH chose among what native forms do differently.
"""

import random

import pytest

from blocking_test import blocked_now, send_and_wait
from conftest import wait_until
from harness.cluster import single_node
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection
from hash_test import check_facts

NAMES = ["ZADD", "ZREM", "ZINCRBY", "ZPOPMIN", "ZPOPMAX", "BZPOPMIN", "BZPOPMAX", "ZSCORE",
         "ZMSCORE", "ZRANK", "ZREVRANK", "ZCARD", "ZCOUNT", "ZLEXCOUNT", "ZRANGE",
         "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZSCAN",
         "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE", "ZRANGESTORE"]


@pytest.fixture
def node(server):
    return server({"flash.cache-size-bytes": "8mb", "notify-keyspace-events": "KEA"})


def everything(node, key):
    flat = node.call("FLASH.ZRANGE", key, 0, -1, "WITHSCORES")
    return list(zip(flat[0::2], map(float, flat[1::2])))


def fill(node, key, count, score=lambda i: i, size=40):
    """A set of `count` members; returns it in order."""
    expected = [(b"%08d" % i + b"m" * (size - 8), float(score(i))) for i in range(count)]
    for start in range(0, count, 500):
        words = [word for member, number in expected[start:start + 500]
                 for word in (repr(number), member)]
        node.call("FLASH.ZADD", key, *words)
    return sorted(expected, key=lambda pair: (pair[1], pair[0]))


@pytest.mark.parametrize("name", NAMES)
def test_command_facts_are_native(server, name):
    check_facts(server(), name)


def test_events_only_when_something_changed(node):
    listener = node.connect().pubsub()
    listener.psubscribe("__keyspace@0__:*")
    listener.get_message(timeout=5)
    for command in (["FLASH.ZADD", "z", 1, "a", 2, "b", 3, "c"], ["FLASH.ZADD", "z", 1, "a"],
                    ["FLASH.ZADD", "z", "NX", 5, "a"], ["FLASH.ZREM", "z", "none"],
                    ["FLASH.ZINCRBY", "z", 0, "a"], ["FLASH.ZINCRBY", "z", 1, "a"],
                    ["FLASH.ZUNIONSTORE", "u", 1, "z"], ["FLASH.ZRANGESTORE", "u", "z", 0, 0],
                    ["FLASH.ZINTERSTORE", "u", 2, "z", "none"], ["FLASH.ZDIFFSTORE", "u", 1, "x"],
                    ["FLASH.ZPOPMIN", "z", 2], ["FLASH.ZPOPMAX", "z"], ["SET", "end", "1"]):
        node.call(*command)
    events = []
    while (b"end", b"set") not in events:
        message = listener.get_message(timeout=5)
        events.append((message["channel"].split(b":")[1], message["data"]))
    assert events == [(b"z", b"flash.zadd"), (b"z", b"flash.zincrby"),
                      (b"u", b"flash.zunionstore"), (b"u", b"flash.zrangestore"), (b"u", b"del"),
                      (b"z", b"flash.zpopmin"), (b"z", b"flash.zpopmax"), (b"z", b"del"),
                      (b"end", b"set")]


def test_effects_reach_replica_and_aof(server):
    primary = server({"appendonly": "yes"})
    replica = server()
    replica.replicate_from(primary)
    for command in (["FLASH.ZADD", "z", "0.1", "a", "2", "b", "inf", "c"],
                    ["FLASH.ZADD", "z", "GT", "CH", "5", "b", "1", "c"],
                    ["FLASH.ZADD", "z", "XX", "INCR", "0.2", "a"],
                    ["FLASH.ZADD", "z", "NX", "7", "a", "7", "d"],
                    ["FLASH.ZINCRBY", "z", "1e-3", "a"], ["FLASH.ZREM", "z", "c", "none"],
                    ["FLASH.ZUNIONSTORE", "u", 2, "z", "z", "WEIGHTS", 2, "0.5"],
                    ["FLASH.ZRANGESTORE", "r", "z", 0, 1], ["FLASH.ZINTERSTORE", "r", 1, "none"],
                    ["FLASH.BZPOPMAX", "u", 0], ["FLASH.ZADD", "gone", 1, "x"],
                    ["FLASH.BZPOPMIN", "none", "gone", 0]):
        primary.call(*command)
    expected = everything(primary, "z"), everything(primary, "u")
    assert expected[0] == [(b"a", 0.1 + 0.2 + 1e-3), (b"b", 5), (b"d", 7)]
    replica.wait_for_offset_of(primary)
    for node in (replica, primary.restart()):
        assert (everything(node, "z"), everything(node, "u")) == expected
        assert node.call("DBSIZE") == 2


def test_reads_of_a_big_cold_set_cost_one_or_two_blocks(node):
    expected = fill(node, "z", 20_000, lambda i: (i * 7919) % 20_011)
    member, score = expected[9_000]
    chill(node, "z")
    for command, answer, blocks in (
            (["FLASH.ZSCORE", "z", member], repr(score)[:-2].encode(), 1),
            (["FLASH.ZRANK", "z", expected[3_000][0]], 3_000, 2),
            (["FLASH.ZREVRANK", "z", expected[4_000][0]], 15_999, 2),
            (["FLASH.ZCARD", "z"], 20_000, 0),
            (["FLASH.ZCOUNT", "z", 5_000, 15_000], None, 2),
            (["FLASH.ZRANGE", "z", 11_000, 11_000], [expected[11_000][0]], 1),
            (["FLASH.ZADD", "z", "4321.5", "another"], 1, 3),
            (["FLASH.ZADD", "z", "17.5", expected[12_345][0]], 0, 3)):
        before = node.info("flash")["flash_cache_misses"]
        reply = node.call(*command)
        assert answer is None or reply == answer
        assert node.info("flash")["flash_cache_misses"] - before <= blocks, command


def test_a_set_larger_than_the_cache(node):
    expected = fill(node, "z", 60_000, lambda i: (i * 7919) % 60_013, 150)
    assert node.call("FLASH.ZRANGE", "z", 30_000, 30_500) == [m for m, _ in expected[30_000:30_501]]
    node.save_in_background()
    node.restart()
    assert everything(node, "z") == expected
    assert node.call("FLASH.ZRANGESTORE", "part", "z", 100, 20_099) == 20_000
    assert everything(node, "part") == expected[100:20_100]
    assert node.call("FLASH.ZDIFFSTORE", "rest", 2, "z", "part") == 40_000
    assert everything(node, "rest") == expected[:100] + expected[20_100:]
    assert node.call("FLASH.ZUNIONSTORE", "all", 2, "part", "rest") == 60_000
    assert everything(node, "all") == expected
    while expected:
        popped = node.call("FLASH.ZPOPMAX", "z", 5000)
        assert popped[0::2] == [m for m, _ in expected[:-5001:-1]]
        del expected[-5000:]
    assert node.call("EXISTS", "z") == 0


def test_a_scan_sees_what_stays_from_its_beginning_to_its_end(node):
    expected = {m for m, _ in fill(node, "z", 5_000)}
    gone = {m for m in expected if m.startswith(b"000001")}
    seen, cursor, steps = [], b"0", 0
    while True:
        cursor, items = node.call("FLASH.ZSCAN", "z", cursor, "COUNT", 100)
        seen += items[0::2]
        steps += 1
        if cursor == b"0":
            break
        node.call("FLASH.ZADD", "z", steps, b"new%d" % steps)
        if steps == 10:
            node.call("FLASH.ZREM", "z", *gone)
        chill(node, "z")
    assert expected - gone <= set(seen) <= expected | {b"new%d" % n for n in range(steps)}
    assert len(seen) == len(set(seen))
    assert 30 < steps < 60
    assert node.call("FLASH.ZSCAN", "z", 0, "COUNT", 5, "NOSCORES", "MATCH", "no*")[1] == []


def test_large_members(node):
    large = [(b"a" * 300_000, 1.0), (b"small", 2.0), (b"b" * 2_000_000, 3.0), (b"c" * 2000, 3.0)]
    node.call("FLASH.ZADD", "z", *[word for member, score in large for word in (score, member)])
    for _ in range(2):
        chill(node, "z")
        assert everything(node, "z") == large
        chill(node, "z")
        assert node.call("FLASH.ZRANK", "z", large[2][0]) == 2
        assert node.call("FLASH.ZSCAN", "z", 0, "COUNT", 100, "MATCH", "a*", "NOSCORES")[1] == [
            large[0][0]]
        node.call("DEBUG", "RELOAD")
    node.call("FLASH.ZINCRBY", "z", 9, large[0][0])
    assert node.call("FLASH.ZPOPMAX", "z")[0] == large[0][0]
    assert node.call("FLASH.ZUNIONSTORE", "u", 1, "z") == 3
    node.call("FLASH.ZREM", "z", *[m for m, _ in large])
    assert everything(node, "u") == large[1:]


def test_a_store_replaces_whatever_the_destination_holds(node):
    node.call("FLASH.ZADD", "z", 1, "a")
    for make in (["SET", "d", "x", "EX", 100], ["FLASH.SET", "d", "x", "EX", 100],
                 ["FLASH.HSET", "d", "f", "v", "EX", 100], ["RPUSH", "d", "x"],
                 ["FLASH.ZADD", "d", 5, "old"]):
        node.call("DEL", "d")
        node.call(*make)
        node.call("EXPIRE", "d", 100)
        assert node.call("FLASH.ZUNIONSTORE", "d", 1, "z") == 1
        assert everything(node, "d") == [(b"a", 1)]
        assert node.call("TTL", "d") == -1
        node.call("DEL", "d")
        node.call(*make)
        assert node.call("FLASH.ZINTERSTORE", "d", 2, "z", "none") == 0
        assert node.call("EXISTS", "d") == 0
    node.call("ZADD", "native", 1, "a")
    reply = Connection(node.port).call("FLASH.ZUNIONSTORE", "d", 2, "z", "native")
    assert reply.value.startswith(b"WRONGTYPE ")


def test_infinities_never_make_nan(node):
    node.call("FLASH.ZADD", "p", "inf", "m", "1", "n")
    node.call("FLASH.ZADD", "q", "-inf", "m", "1", "n")
    assert node.call("FLASH.ZUNIONSTORE", "u", 2, "p", "q") == 2
    assert everything(node, "u") == [(b"m", 0), (b"n", 2)]
    assert node.call("FLASH.ZUNIONSTORE", "u", 1, "p", "WEIGHTS", 0) == 2
    assert everything(node, "u") == [(b"m", 0), (b"n", 0)]
    connection = Connection(node.port)
    nan = b"ERR resulting score is not a number (NaN)"
    assert connection.call("FLASH.ZINCRBY", "p", "-inf", "m").value == nan
    assert connection.call("FLASH.ZADD", "p", "INCR", "-inf", "m").value == nan


def test_where_native_forms_differ(node):
    """A negative offset selects nothing; scores of larger sets are scanned with 17 digits."""
    node.call("FLASH.ZADD", "small", "0.1", "a", "-0", "b")
    fill(node, "large", 300, lambda i: 0.1)
    for key in ("small", "large"):
        assert node.call("FLASH.ZRANGEBYSCORE", key, "-inf", "inf", "LIMIT", -1, 5) == []
    assert node.call("FLASH.ZSCAN", "small", 0)[1] == [b"b", b"0", b"a", b"0.1"]
    assert node.call("FLASH.ZSCAN", "large", 0)[1][1] == b"0.10000000000000001"


@pytest.mark.parametrize("text", ["0x10", "0X1p3", "+5", " 1", "1e400", "nan", "inf", "5.",
                                  "1e5"])
def test_the_same_texts_are_numbers(node, text):
    connection = Connection(node.port)
    for command in (["ZADD", "{0}", text, "m"], ["ZINCRBY", "{0}", text, "m"],
                    ["ZCOUNT", "{0}", text, "inf"], ["ZCOUNT", "{0}", "-inf", "(" + text]):
        flash = connection.call("FLASH." + command[0], "f", *command[2:])
        native = connection.call(command[0], "n", *command[2:])
        assert flash.raw == native.raw, command


# Waiting -----------------------------------------------------------------------------------------

def test_waiting_for_a_member(node):
    waiting = [send_and_wait(node, name, "x", "z", "0", resp3=resp3, blocked=n + 1)
               for n, (name, resp3) in enumerate([("FLASH.BZPOPMIN", False),
                                                  ("FLASH.BZPOPMAX", True)])]
    node.call("FLASH.ZADD", "z", "1.5", "a", 2, "b", 3, "c")
    assert waiting[0].read().raw == b"*3\r\n$1\r\nz\r\n$1\r\na\r\n$3\r\n1.5\r\n"
    assert waiting[1].read().raw == b"*3\r\n$1\r\nz\r\n$1\r\nc\r\n,3\r\n"
    assert everything(node, "z") == [(b"b", 2)]
    assert Connection(node.port).call("FLASH.BZPOPMIN", "none", "0.01").raw == b"*-1\r\n"


def test_a_cold_set_is_brought_beside_the_event_loop(server, tmp_path, monkeypatch):
    holder = Holder(tmp_path, monkeypatch)
    node = server()
    expected = fill(node, "z", 1000)
    chill(node, "z")
    holder.hold("fetch")
    waiting = [send_and_park(node, "FLASH.BZPOPMAX", "z", "0", parked=n + 1) for n in range(3)]
    holder.let_go()
    for n in range(3):
        assert waiting[n].read().plain()[1] == expected[-1 - n][0]
    # What another takes instead may be found in other blocks: a wake-up does not wait twice.
    waits = node.info("flash")
    assert waits["flash_sync_waits_total"] == waits["flash_sync_waits_callback_miss"] <= 2
    assert parked_now(node) == 0 and blocked_now(node) == 0


def test_wakes_replicate_in_plain_form(server):
    primary, replica = server(), server()
    replica.replicate_from(primary)
    waiting = send_and_wait(primary, "FLASH.BZPOPMIN", "z", "0")
    primary.call("FLASH.ZADD", "z", 1, "a", 2, "b")
    assert waiting.read().plain() == [b"z", b"a", b"1"]
    replica.wait_for_offset_of(primary)
    wait_until(lambda: everything(replica, "z") == [(b"b", 2)])
    stats = replica.info("commandstats")
    assert "cmdstat_FLASH.ZPOPMIN" in stats and "cmdstat_FLASH.BZPOPMIN" not in stats


def test_a_cluster_redirects_by_every_key(server):
    node = single_node(server)
    connection = Connection(node.port)
    for command in (["ZUNIONSTORE", "a", 1, "b"], ["ZUNIONSTORE", "a", 2, "a", "b"],
                    ["ZINTERSTORE", "{x}a", 2, "{x}b", "c"], ["ZDIFFSTORE", "{x}a", 1, "{x}b"],
                    ["ZRANGESTORE", "a", "b", 0, 1], ["LMOVE", "a", "b", "LEFT", "LEFT"],
                    ["BLPOP", "a", "b", "0.01"], ["BZPOPMIN", "{x}a", "{x}b", "0.01"],
                    ["ZUNIONSTORE", "a", 9, "b"], ["ZUNIONSTORE", "a", "x", "b"]):
        flash, native = (connection.call(prefix + command[0], *command[1:])
                         for prefix in ("FLASH.", ""))
        assert flash.raw == native.raw, command
        keys = [connection.call("COMMAND", "GETKEYS", prefix + command[0], *command[1:]).raw
                for prefix in ("FLASH.", "")]
        assert keys[0] == keys[1], command


def test_cursors_fit_into_a_double(node):
    expected = {m for m, _ in fill(node, "z", 5_000)}
    seen, cursor, largest = set(), b"0", 0
    while True:
        cursor, items = node.call("FLASH.ZSCAN", "z", cursor, "COUNT", 50)
        seen |= set(items[0::2])
        largest = max(largest, int(cursor))
        if cursor == b"0":
            break
    assert seen == expected and 1 << 40 < largest <= 1 << 48
    assert node.call("FLASH.ZSCAN", "z", (1 << 64) - 1) == [b"0", []]


LEX_EDGES = ["-", "+", "[b", "(b", "[c", "(c", "[", "(", "[bb", "(zz", "[zz", "[00000010",
             "(000002"]


@pytest.mark.parametrize("count", [4, 40, 3000])
@pytest.mark.parametrize("step", [1, 3])
def test_ranges_by_member_over_scores_that_rise_with_them(node, count, step):
    names = "abcd" if count == 4 else [f"{i:08d}" + "m" * 30 for i in range(count)]
    words = [word for i, name in enumerate(names) for word in (i // step, name)]
    for key, prefix in (("n", ""), ("f", "FLASH.")):
        for start in range(0, len(words), 1000):
            node.call(prefix + "ZADD", key, *words[start:start + 1000])
    if count > 4:
        chill(node, "f")
    both = [(connection, "n" if prefix == "" else "f", prefix)
            for connection in [Connection(node.port)] for prefix in ("", "FLASH.")]
    for low in LEX_EDGES:
        for high in LEX_EDGES:
            for name, rest in (("ZRANGEBYLEX", ()), ("ZREVRANGEBYLEX", ("LIMIT", 1, 2)),
                               ("ZLEXCOUNT", ()), ("ZRANGE", ("BYLEX",)),
                               ("ZRANGE", ("BYLEX", "REV", "LIMIT", 0, 3)),
                               ("ZRANGESTORE", ("BYLEX", "LIMIT", 1, 5))):
                keys = ("out",) if name == "ZRANGESTORE" else ()
                native, flash = [c.call(prefix + name, *(prefix + k for k in keys), key, low, high,
                                        *rest).raw for c, key, prefix in both]
                assert flash == native, (name, low, high, rest)
    assert everything(node, "FLASH.out") == [
        (m, float(s)) for m, s in node.client.zrange("out", 0, -1, withscores=True)]


@pytest.mark.parametrize("count", [1, 128, 129, 200])
def test_minus_zero_in_a_zadd_of_many_members(node, count):
    words = [word for n in range(count) for word in ("-0.0", f"m{n:03d}")]
    replies = []
    for key, prefix in (("n", ""), ("f", "FLASH.")):
        node.call(prefix + "ZADD", key, *words)
        connection = Connection(node.port, resp3=True)
        replies.append(connection.call(prefix + "ZRANGE", key, 0, -1, "WITHSCORES").raw)
    assert replies[0] == replies[1]


def test_a_store_is_no_loading(server):
    node = server({"flash.cache-size-bytes": "1mb", "flash.compression": "none"})
    for start in range(0, 30_000, 500):
        node.call("FLASH.ZADD", "z", *[word for n in range(start, start + 500)
                                       for word in (n, f"{n:07d}" * 20)])
    for n in range(4):
        assert node.call("FLASH.ZINTERSTORE", f"out{n}", 1, "z") == 30_000
    assert node.info("flash")["flash_sync_waits_loading"] == 0
    assert node.info("flash")["flash_sync_waits_hard_mark"] == 0


def full_leaf(node, key):
    """As many members as fit into a lone leaf with whole numbers as scores, the first of which
    then got a longer one; in order."""
    members = [b"m%03d" % i for i in range(406)]
    node.call("FLASH.ZADD", key, *(word for member in members for word in (1, member)))
    assert node.call("FLASH.ZADD", key, "1.5", members[0]) == 0
    return [(member, 1.0) for member in members[1:]] + [(members[0], 1.5)]


def test_a_longer_score_in_a_full_leaf_loses_no_member(node):
    expected = full_leaf(node, "z")
    assert node.call("FLASH.ZCARD", "z") == len(expected)
    assert everything(node, "z") == expected
    payload = node.call("DUMP", "z")
    assert node.call("RESTORE", "copy", 0, payload) == b"OK"
    assert everything(node, "copy") == expected


def test_a_count_that_was_saved_too_low_loads_every_member(server):
    node = server({"rdbchecksum": "no", "flash.cache-size-bytes": "8mb"})
    expected = full_leaf(node, "z")
    node.call("SAVE")
    path = node.dir / "dump.rdb"
    saved = path.read_bytes()
    count, too_low = b"\x02\x41\x96", b"\x02\x41\x95"  # 406 and 405 as RDB writes numbers.
    assert saved.count(count) == 1
    node.kill()
    path.write_bytes(saved.replace(count, too_low))
    node.start()
    assert node.call("FLASH.ZCARD", "z") == 406
    assert everything(node, "z") == expected


def large(number):
    return b"k" * 3000 + b"%02d" % number


@pytest.mark.parametrize("scores, command", [
    ([1, 0, 1, 1, 1], ["FLASH.ZINCRBY", "z", 1, large(1)]),
    ([1, 0, 1, 1, 1], ["FLASH.ZADD", "z", 1, large(1)]),
    ([1] * 8, ["FLASH.ZADD", "z", *(w for i in (20, 21, 22, 23) for w in (1, large(i)))]),
    ([1] * 8, ["FLASH.ZREM", "z", large(1), large(2), large(3), large(0)]),
    ([1] * 8, ["FLASH.ZADD", "z", 2, large(3), 1, large(3), 2, large(4)]),
])
def test_cold_large_members_with_equal_scores(node, scores, command):
    words = [word for i, score in enumerate(scores) for word in (score, large(i))]
    node.call("ZADD", "native", *words)
    node.call("FLASH.ZADD", "z", *words)
    chill(node, "z")
    native = [command[0].removeprefix("FLASH."), "native", *command[2:]]
    ours, theirs = node.call(*command), node.call(*native)
    assert ours == theirs or float(ours) == float(theirs)
    flat = node.call("ZRANGE", "native", 0, -1, "WITHSCORES")
    assert everything(node, "z") == list(zip(flat[0::2], map(float, flat[1::2])))


def alike(number, size):
    """A member that is told from others by what lies behind its first bytes."""
    return b"https://example.com/a/very/long/common/prefix/%08d" % number + b"x" * size


def in_random_order(count, size):
    numbers = list(range(count))
    random.Random(count).shuffle(numbers)
    return [alike(number, size) for number in numbers]


@pytest.mark.parametrize("script", [False, True])
@pytest.mark.parametrize("size, at_once", [(9500, 6), (7000, 1)])
def test_comparing_more_than_the_cache_holds(server, size, at_once, script):
    node = server({"flash.cache-size-bytes": "1mb"})
    members = in_random_order(400, size)
    for start in range(0, len(members), at_once):
        words = [word for member in members[start:start + at_once] for word in (0, member)]
        command = ["FLASH.ZADD", "z", *words]
        if script:
            command = ["EVAL", "return redis.call(unpack(ARGV))", 0, *command]
        assert node.call(*command) == at_once or start + at_once > len(members)
    assert node.call("FLASH.ZRANGE", "z", 0, -1) == sorted(members)


def test_an_aof_loads_into_a_smaller_cache(server):
    node = server({"flash.cache-size-bytes": "64mb", "appendonly": "yes", "appendfsync": "always"})
    members = in_random_order(900, 6000)
    for member in members:
        node.call("FLASH.ZADD", "z", 0, member)
    node.restart({"flash.cache-size-bytes": "1mb"}, crash=True)
    assert node.call("FLASH.ZRANGE", "z", 0, -1) == sorted(members)
