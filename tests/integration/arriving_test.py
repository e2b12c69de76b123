"""FLASH.ADOPT and FLASH.ADOPT.SCAN: content, TTL, refusals, replication, crashes, bounds."""

import random
import threading

import pytest
import redis

from conftest import LOGGED, wait_until
from harness.resp import Connection
from leaving_test import MIB, SMALL, contents, number, refuses

FORMS = {b"string": b"flashstr1", b"hash": b"flashhsh1", b"list": b"flashlst1",
         b"zset": b"flashzst1"}
OURS = set(FORMS.values())
FAR = 4_000_000_000_000


def fill_native(node, prefix="", seed=1):
    """Native values of every encoding: int, embstr, raw; listpack and table; long elements."""
    rng = random.Random(seed)
    call = node.call
    call("SET", prefix + "s:empty", b"")
    call("SET", prefix + "s:int", "-9223372036854775808")
    call("SET", prefix + "s:embedded", b"t" * 40)
    call("SET", prefix + "s:raw", rng.randbytes(3000))
    call("SET", prefix + "s:large", rng.randbytes(3 * MIB + 17))
    call("HSET", prefix + "h:small", "field", "value", "ex", "100", "7", "-12", b"\0", b"\xff\0")
    call("HSET", prefix + "h:elements", "long", rng.randbytes(40_000), "short", "x",
         rng.randbytes(5000), rng.randbytes(MIB), "", "")
    call("RPUSH", prefix + "l:small", "a", "12345678901", "a", "", b"\0")
    call("RPUSH", prefix + "l:elements", rng.randbytes(20_000), "", rng.randbytes(2 * MIB))
    call("ZADD", prefix + "z:small", "1", "a", "-inf", "b", "2.5e-10", "c", "inf", "d", "-0", "e",
         "0", "f", "-0", "g", "1.7976931348623157e308", "h", "5", "17")
    call("ZADD", prefix + "z:elements", "3", rng.randbytes(30_000), "3", "m")
    for start in range(0, 6000, 1000):
        numbers = range(start, start + 1000)
        call("HSET", prefix + "h:large",
             *[part for n in numbers for part in (b"f%d" % n, rng.randbytes(rng.randrange(60)))])
        call("RPUSH", prefix + "l:large",
             *[rng.randbytes(rng.randrange(60)) for _ in numbers], *range(start, start + 9))
        call("ZADD", prefix + "z:large",
             *[part for n in numbers for part in (repr(rng.uniform(-9, 9)), b"m%d" % n)],
             "-0", "zero%d" % start, "0", "nought%d" % start)


def adopt(node, key, way="plain"):
    if way == "multi":
        with node.client.pipeline(transaction=True) as transaction:
            transaction.execute_command("FLASH.ADOPT", key)
            return transaction.execute()[0]
    if way == "script":
        return node.client.eval("return redis.call('FLASH.ADOPT', KEYS[1])", 1, key)
    return node.call("FLASH.ADOPT", key)


def adopt_all(node, *words, db=0):
    """FLASH.ADOPT.SCAN until its cursor is 0; the keys that were adopted."""
    client = node.connect(db=db)
    adopted, cursor = [], b"0"
    while True:
        cursor, keys = client.execute_command("FLASH.ADOPT.SCAN", cursor, *words)
        adopted += keys
        if cursor == b"0":
            return adopted


def types(node):
    return {key: node.client.type(key) for key in node.client.keys()}


# --- One key --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["plain", "multi", "script"])
@pytest.mark.parametrize("cache", ["1mb", "64mb"])
def test_adopt_keeps_content_and_time_to_live(server, way, cache):
    node = server({**SMALL, "flash.cache-size-bytes": cache})
    fill_native(node)
    keys = sorted(node.client.keys())
    for key in keys[::2]:
        node.call("PEXPIREAT", key, FAR)
    before, expiry = contents(node), {key: node.call("PEXPIRETIME", key) for key in keys}
    native = types(node)
    for key in keys:
        assert adopt(node, key, way) == 1
    assert types(node) == {key: FORMS[native[key]] for key in keys}
    assert contents(node) == before
    assert {key: node.call("PEXPIRETIME", key) for key in keys} == expiry
    assert number(node, "adopt_total") == len(keys)
    assert adopt(node, keys[0], way) == 0
    # The way back gives the same again.
    for key in keys:
        assert node.call("FLASH.CONVERT", key) == 1
    assert contents(node) == before


def test_scores_are_the_very_same_doubles(server):
    node = server()
    fill_native(node)
    scores = {key: node.call("ZRANGE", key, 0, -1, "WITHSCORES") for key in ("z:small", "z:large")}
    for key, native in scores.items():
        assert adopt(node, key) == 1
        assert node.call("FLASH.ZRANGE", key, 0, -1, "WITHSCORES") == native


def test_what_cannot_be_adopted_stays(server):
    node = server()
    node.call("SADD", "set", "a")
    node.call("XADD", "stream", "*", "f", "v")
    node.call("FLASH.SET", "ours", "x")
    assert adopt(node, "missing") == 0
    assert adopt(node, "ours") == 0
    for key in ("set", "stream"):
        refuses("only strings, hashes, lists and sorted sets", node.call, "FLASH.ADOPT", key)
    refuses("wrong number of arguments", node.call, "FLASH.ADOPT")
    assert types(node) == {b"set": b"set", b"stream": b"stream", b"ours": b"flashstr1"}
    assert number(node, "adopt_total") == 0


def test_a_key_whose_time_is_over_is_no_key(server):
    node = server()
    node.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    node.call("SET", "k", "v", "PX", "1")
    wait_until(lambda: node.call("EXISTS", "k") == 0, what="the key to expire")
    node.call("SET", "k", "v", "PX", "1")
    wait_until(lambda: node.call("PTTL", "k") < 0, what="the key to expire")
    assert adopt(node, "k") == 0
    assert node.call("EXISTS", "k") == 0


def test_a_hash_whose_fields_expire_is_refused(server):
    node = server()
    try:
        node.call("HSET", "h", "a", "1", "b", "2")
        node.call("HEXPIRE", "h", "1000", "FIELDS", "1", "a")
    except redis.exceptions.ResponseError:
        pytest.skip("this server has no expiry of fields")
    node.call("HSET", "plain", *[part for n in range(2000) for part in (f"f{n}", n)])
    refuses("fields with a time to live", node.call, "FLASH.ADOPT", "h")
    assert adopt(node, "plain") == 1  # Its fields were asked, all of them.
    node.call("HPERSIST", "h", "FIELDS", "1", "a")
    assert adopt(node, "h") == 1
    assert node.call("FLASH.HGET", "h", "a") == b"1"


def test_watch_tracking_and_events_are_told(server):
    node = server({"notify-keyspace-events": "KEA"})
    node.call("SET", "k", "v")
    listener = node.connect().pubsub()
    listener.psubscribe("__keyevent@0__:*")
    watcher = node.connect().pipeline(transaction=True)
    watcher.watch("k")
    caching = Connection(node.port)
    caching.call("HELLO", "3")
    caching.call("CLIENT", "TRACKING", "on")
    caching.call("GET", "k")
    assert adopt(node, "k") == 1
    watcher.multi()
    watcher.set("other", "1")
    with pytest.raises(redis.exceptions.WatchError):
        watcher.execute()
    told = []
    wait_until(lambda: told.append(listener.get_message()) or
               any(m and m["channel"] == b"__keyevent@0__:flash.adopt" for m in told),
               what="the event")
    assert not any(m and m["channel"].endswith((b":del", b":expired")) for m in told)
    caching.call("PING")
    assert any(push.plain()[0] == b"invalidate" for push in caching.pushes)
    caching.close()


def test_access_history_stays(server):
    node = server({"maxmemory-policy": "allkeys-lfu"})
    node.call("SET", "k", "v" * 100)
    for _ in range(200):
        node.call("GET", "k")
    before = node.client.object("FREQ", "k")
    assert before > 5
    assert adopt(node, "k") == 1
    assert node.client.object("FREQ", "k") == before


def test_who_waits_for_a_flash_list_is_served_when_it_arrives(server):
    node = server()
    waiting = node.connect()
    got = []
    thread = threading.Thread(
        target=lambda: got.append(waiting.execute_command("FLASH.BLPOP", "q", 20)))
    thread.start()
    wait_until(lambda: node.info("clients")["blocked_clients"] == 1, what="the client to wait")
    node.call("RPUSH", "q", "a", "b")
    assert adopt(node, "q") == 1
    thread.join(20)
    assert got == [[b"q", b"a"]]
    assert node.call("FLASH.LRANGE", "q", 0, -1) == [b"b"]


def test_a_full_tier_leaves_the_key_native(server):
    node = server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "16mb",
                   "flash.compression": "none"})
    rng = random.Random(3)
    node.call("SET", "s", rng.randbytes(40 * MIB))
    for start in range(0, 400):
        node.call("HSET", "h", *[part for n in range(100) for part in
                                 (b"%d:%d" % (start, n), rng.randbytes(800))])
        node.call("RPUSH", "l", *[rng.randbytes(800) for _ in range(100)])
        node.call("ZADD", "z", *[part for n in range(100) for part in (n, rng.randbytes(800))])
    before = contents(node)
    for key in ("s", "h", "l", "z"):
        refuses("FLASHFULL", node.call, "FLASH.ADOPT", key)
    assert contents(node) == before
    assert {node.client.type(key) for key in "shlz"} == set(FORMS)
    # What was begun is freed: there is room for what fits.
    node.call("SET", "small", rng.randbytes(5 * MIB))
    wait_until(lambda: number(node, "storage_used_bytes") < MIB, what="the halves to be freed")
    assert adopt(node, "small") == 1


# --- Replicas, logs, crashes ----------------------------------------------------------------


def test_replicas_and_the_aof_have_the_flash_form(server):
    primary = server({**SMALL, "appendonly": "yes", "appendfsync": "always"})
    replica = server(SMALL)
    replica.replicate_from(primary)
    fill_native(primary)
    for key in sorted(primary.client.keys())[::2]:
        primary.call("PEXPIREAT", key, FAR)
    before = contents(primary)
    for key in sorted(before):
        assert adopt(primary, key) == 1
    replica.wait_for_offset_of(primary)
    assert contents(replica) == before
    assert set(types(replica).values()) == OURS
    assert {key: replica.call("PEXPIRETIME", key) for key in before} == \
           {key: primary.call("PEXPIRETIME", key) for key in before}
    primary.restart(crash=True)  # From the AOF.
    assert contents(primary) == before
    assert set(types(primary).values()) == OURS


def test_a_replica_without_room_adopts_all_the_same(server):
    primary = server({"flash.cache-size-bytes": "64mb"})
    replica = server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "16mb",
                      "flash.compression": "none", "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    value = random.Random(2).randbytes(24 * MIB)
    primary.call("SET", "s", value)
    assert adopt(primary, "s") == 1
    replica.wait_for_offset_of(primary)
    assert replica.client.type("s") == b"flashstr1"
    assert replica.call("FLASH.GET", "s") == value


def test_a_replica_refuses_both_commands(server):
    primary, replica = server(), server()
    primary.call("SET", "k", "v")
    replica.replicate_from(primary)
    for words in (("FLASH.ADOPT", "k"), ("FLASH.ADOPT.SCAN", "0")):
        with pytest.raises(redis.exceptions.ReadOnlyError):
            replica.call(*words)
    assert replica.client.type("k") == b"string"


def test_the_log_brings_adopted_keys_back_after_a_crash(server):
    node = server({**SMALL, **LOGGED, "flash.cache-size-bytes": "1mb"})
    fill_native(node)
    node.call("SAVE")
    # Newer than the snapshot: the log alone knows what they were when they were adopted.
    node.call("HSET", "h:small", "late", "yes")
    node.call("ZADD", "z:large", "17", "late")
    node.call("RPUSH", "l:large", "late")
    node.call("SET", "s:raw", b"late" * 999)
    node.call("SET", "new", "newer than the snapshot")
    for key in sorted(node.client.keys())[::2]:
        node.call("PEXPIREAT", key, FAR)
    before = contents(node)
    expiry = {key: node.call("PEXPIRETIME", key) for key in before}
    for key in sorted(before):
        assert adopt(node, key) == 1
    node.call("FLASH.RPUSH", "l:small", "after")
    before[b"l:small"] = (before[b"l:small"][0], before[b"l:small"][1] + [b"after"])
    node.restart(crash=True)
    assert set(types(node).values()) == OURS
    assert contents(node) == before
    assert {key: node.call("PEXPIRETIME", key) for key in before} == expiry
    node.restart(crash=True)  # And the log goes on from there.
    assert contents(node) == before


def test_a_key_that_expired_while_the_server_was_down_stays_away(server):
    node = server({**SMALL, **LOGGED})
    node.call("HSET", "h", "f", "v" * 100)
    node.call("SAVE")
    node.call("PEXPIRE", "h", "1500")
    assert adopt(node, "h") == 1
    node.kill()
    import time
    time.sleep(1.6)  # The clock of the expiry itself: nothing else can be waited for.
    node.start()
    assert node.call("EXISTS", "h") == 0


# --- All keys -------------------------------------------------------------------------------


def test_scan_adopts_everything_that_has_a_flash_form(server):
    node = server(SMALL)
    fill_native(node)
    for n in range(500):
        node.call("SET", f"many:{n}", "x" * (n % 200))
    node.call("SADD", "set", "a")
    node.call("FLASH.SET", "ours", "x")
    before, native = contents(node), types(node)
    adopted = adopt_all(node)
    assert sorted(adopted) == sorted(k for k in before if native[k] in FORMS)
    assert len(set(adopted)) == len(adopted)
    assert contents(node) == before
    assert node.client.type("set") == b"set"
    assert adopt_all(node) == []


def test_match_count_minbytes_and_minidle(server):
    node = server()
    for n in range(50):
        node.call("SET", f"a:{n}", "x" * 2000)
        node.call("SET", f"b:{n}", "y")
    assert len(adopt_all(node, "MATCH", "a:1*", "COUNT", "5")) == 11
    assert len(adopt_all(node, "minbytes", "1500")) == 39
    assert adopt_all(node, "MINIDLE", "1000") == []
    assert len(adopt_all(node, "MINIDLE", "0", "COUNT", "1000")) == 50
    for words, text in ((("x",), "invalid cursor"), (("0", "COUNT", "0"), "syntax"),
                        (("0", "COUNT"), "syntax"), (("0", "FORCE", "1"), "syntax"),
                        (("0", "MINBYTES", "-1"), "not an integer"),
                        (("0", "MINIDLE", "x"), "not an integer")):
        refuses(text, node.call, "FLASH.ADOPT.SCAN", *words)


def test_minidle_goes_by_the_servers_idle_time(server):
    node = server()
    node.call("SET", "old", "x")
    node.call("SET", "new", "x")
    dump = node.call("DUMP", "old")
    node.call("RESTORE", "old", "0", dump, "REPLACE", "IDLETIME", "5000")
    assert adopt_all(node, "MINIDLE", "4000") == [b"old"]
    assert node.client.object("IDLETIME", "old") >= 5000
    node.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    refuses("LFU", node.call, "FLASH.ADOPT.SCAN", "0", "MINIDLE", "1")


def test_large_keys_are_left_to_adopt_by_name(server):
    node = server({"flash.drain-max-elements": "100"})
    node.call("RPUSH", "large", *range(101))
    node.call("RPUSH", "small", *range(100))
    assert adopt_all(node) == [b"small"]
    assert adopt(node, "large") == 1


def test_each_database_by_itself_in_multi_and_scripts(server):
    node = server()
    other = node.connect(db=3)
    other.set("k", "there")
    node.call("SET", "k", "here")
    assert adopt_all(node, db=3) == [b"k"]
    assert node.client.type("k") == b"string" and other.type("k") == b"flashstr1"
    with node.client.pipeline(transaction=True) as transaction:
        transaction.execute_command("FLASH.ADOPT.SCAN", "0", "COUNT", "100")
        assert transaction.execute() == [[b"0", [b"k"]]]
    node.call("SET", "k2", "here")
    assert node.client.eval("return redis.call('FLASH.ADOPT.SCAN', '0', 'COUNT', '100')", 0) == \
           [b"0", [b"k2"]]


def test_a_user_adopts_only_what_he_may(server):
    node = server()
    for key in ("a:1", "a:2", "b:1", "r:1"):
        node.call("SET", key, "v")
    node.call("ACL", "SETUSER", "some", "on", ">pw", "+flash.adopt.scan", "+flash.adopt",
              "+multi", "+exec", "+eval", "~a:*", "%R~r:*")
    node.call("ACL", "SETUSER", "none", "on", ">pw", "+flash.adopt.scan", "~*")
    def as_user(name):
        return node.connect(username=name, password="pw", db=0)
    with pytest.raises(redis.exceptions.NoPermissionError):
        as_user("some").execute_command("FLASH.ADOPT", "b:1")
    with pytest.raises(redis.exceptions.NoPermissionError):
        as_user("some").execute_command("FLASH.ADOPT", "r:1")
    assert as_user("none").execute_command("FLASH.ADOPT.SCAN", "0") == [b"0", []]
    script = "return redis.call('FLASH.ADOPT.SCAN', '0')"
    assert as_user("some").eval(script, 0) == [b"0", [b"a:2", b"a:1"]] or \
           {key for key, kind in types(node).items() if kind in OURS} == {b"a:1", b"a:2"}
    node.call("SET", "a:3", "v")
    with as_user("some").pipeline(transaction=True) as transaction:
        transaction.execute_command("FLASH.ADOPT.SCAN", "0")
        assert transaction.execute() == [[b"0", [b"a:3"]]]
    node.call("SET", "a:4", "v")
    assert as_user("some").execute_command("FLASH.ADOPT.SCAN", "0") == [b"0", [b"a:4"]]
    assert {key for key, kind in types(node).items() if kind not in OURS} == {b"b:1", b"r:1"}


def test_a_full_tier_ends_the_scan_and_the_cursor_goes_on(server):
    node = server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "16mb",
                   "flash.compression": "none"})
    rng = random.Random(4)
    values = {b"k%d" % n: rng.randbytes(MIB) for n in range(40)}
    for key, value in values.items():
        node.call("SET", key, value)
    with pytest.raises(redis.exceptions.ResponseError, match="FLASHFULL .*same cursor"):
        adopt_all(node, "COUNT", "100")
    adopted = [key for key, kind in types(node).items() if kind in OURS]
    assert 5 < len(adopted) < 20
    for key in adopted:
        assert node.call("FLASH.GET", key) == values.pop(key)
        node.call("DEL", key)
    for key, value in values.items():
        assert node.call("GET", key) == value


def test_scan_and_drain_do_not_fight(server):
    node = server({"flash.cache-size-bytes": "1mb"})
    for n in range(3000):
        node.call("FLASH.SET", f"k{n}", "x" * 700)
    node.call("SET", "native", "x")
    draining = node.connect()
    answer = []
    thread = threading.Thread(target=lambda: answer.append(draining.execute_command("FLASH.DRAIN")))
    thread.start()
    seen = set()
    while thread.is_alive():
        try:
            node.call("FLASH.ADOPT.SCAN", "0", "MATCH", "native")
        except redis.exceptions.ResponseError as error:
            seen.add(str(error))
    thread.join()
    assert answer[0][0] == 3000 and answer[0][2] == 0
    assert all("FLASH.DRAIN is in progress" in text for text in seen)
