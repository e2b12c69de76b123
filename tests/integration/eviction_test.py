"""A full tier under an eviction policy: keys of ours leave as the server's policy says."""

import os
import random
import time

import pytest
import redis

from conftest import SLOWDOWN, wait_until

MIB = 1 << 20
TIER = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "16mb",
        "flash.compression": "none"}
POLICIES = ("allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
            "volatile-random", "volatile-ttl")


def put(node, first, last, *options, size=3_000, prefix="key", batch=50):
    """Sets keys by pipelines; every write must be taken."""
    for start in range(first, last, batch):
        pipe = node.client.pipeline(transaction=False)
        for number in range(start, min(start + batch, last)):
            value = random.Random(number).randbytes(size)
            pipe.execute_command("FLASH.SET", f"{prefix}:{number}", value, *options)
        assert set(pipe.execute()) == {b"OK"}


def present(node, numbers, prefix="key"):
    """Which keys are there; EXISTS does not count as a use."""
    pipe = node.client.pipeline(transaction=False)
    for number in numbers:
        pipe.execute_command("EXISTS", f"{prefix}:{number}")
    return [number for number, there in zip(numbers, pipe.execute()) if there]


def fill_refused(node, *options, prefix="fill", size=3_000, most=12_000):
    """Sets keys until one is refused; returns how many were taken."""
    for number in range(most):
        try:
            node.call("FLASH.SET", f"{prefix}:{number}", os.urandom(size), *options)
        except redis.exceptions.ResponseError as error:
            assert str(error).startswith("FLASHFULL")
            return number
    pytest.fail("nothing was refused")


def figures(node):
    """INFO flash and, as `held`, the number of keys, of one moment."""
    pipe = node.client.pipeline(transaction=True)
    pipe.info("flash")
    pipe.dbsize()
    info, held = pipe.execute()
    return {**info, "held": held}


def at_rest(node):
    """The figures once no key has left for a while: turns go on evicting after the last write."""
    def unchanged():
        before = figures(node)
        time.sleep(0.25 * SLOWDOWN)
        info = figures(node)
        return info if info["flash_evicted_keys"] == before["flash_evicted_keys"] else None

    return wait_until(unchanged, what="the end of eviction")


def accounts(node):
    info = at_rest(node)
    assert info["flash_flashfull_replies"] == 0
    assert info["flash_storage_used_bytes"] <= 16 * MIB
    return info


@pytest.mark.parametrize("policy", POLICIES)
def test_writes_go_on_at_a_full_tier_under_each_policy(server, policy):
    """RAM without limit: the policy is the operator's statement, whatever maxmemory is."""
    node = server({**TIER, "maxmemory-policy": policy})
    put(node, 0, 12_000, "EX", 10_000)
    info = accounts(node)
    held = info["held"]
    assert held + info["flash_evicted_keys"] == 12_000
    assert 3_500 < held < 5_500, "a tier of 16 MB holds some 4,400 values of 3 KB"
    assert info["flash_storage_used_bytes"] > 11 * MIB
    assert node.info("stats")["evicted_keys"] == 0, "RAM was not short"
    # 64 segments, of which four are the reserve, two are open, and a 32nd of the rest stays dead.
    assert info["flash_key_eviction_mark_bytes"] == pytest.approx(
        (64 - 6) * 262_144 * 31 / 32 * 0.9, rel=1e-5)
    assert info["flash_key_eviction_sampled"] >= 3 * info["flash_evicted_keys"]
    assert 0 < info["flash_key_eviction_us_total"] < 12_000 * 1_000
    node.client.config_set("maxmemory-policy", "noeviction")
    for number in present(node, range(0, 12_000, 100)):
        value = random.Random(number).randbytes(3_000)
        assert node.call("FLASH.GET", f"key:{number}") == value


def test_what_the_issue_says(server):
    """A 16 MB tier, 200 MB of maxmemory free: 6,000 values of 3 KB, and as many again."""
    node = server({**TIER, "maxmemory": 200 * MIB, "maxmemory-policy": "allkeys-lru"})
    put(node, 0, 12_000, batch=1)
    info = accounts(node)
    assert info["flash_evicted_keys"] > 6_000
    assert info["flash_demotion_stall_events_total"] < 200, "writers waited again and again"


def test_noeviction_answers_as_before(server):
    node = server({**TIER, "maxmemory-policy": "noeviction"})
    held = fill_refused(node)
    info = node.info("flash")
    assert info["flash_evicted_keys"] == info["flash_key_eviction_mark_bytes"] == 0
    assert node.call("DBSIZE") == held
    node.client.config_set("maxmemory-policy", "allkeys-lru")
    put(node, 0, 3_000)
    assert node.info("flash")["flash_evicted_keys"] > 2_000


def test_the_least_recently_used_go_first(server):
    node = server({**TIER, "maxmemory-policy": "allkeys-lru", "maxmemory-samples": "10"})
    put(node, 0, 3_600)
    time.sleep(2.1)  # The server keeps idle times in seconds.
    used = range(0, 3_600, 3)
    for number in used:
        node.call("FLASH.GET", f"key:{number}")
    time.sleep(2.1)
    put(node, 10_000, 11_500)
    kept_of_used = len(present(node, used)) / len(used)
    others = [number for number in range(3_600) if number % 3]
    kept_of_others = len(present(node, others)) / len(others)
    assert accounts(node)["flash_evicted_keys"] > 300
    assert kept_of_used > 0.97 > 0.9 > kept_of_others
    assert len(present(node, range(10_000, 11_500))) == 1_500


def test_the_least_frequently_used_go_first(server):
    node = server({**TIER, "maxmemory-policy": "allkeys-lfu", "lfu-log-factor": "0"})
    put(node, 0, 3_600)
    used = range(0, 3_600, 3)
    for _ in range(5):
        for number in used:
            node.call("FLASH.GET", f"key:{number}")
    put(node, 10_000, 11_500)
    others = [number for number in range(3_600) if number % 3]
    assert accounts(node)["flash_evicted_keys"] > 300
    assert len(present(node, used)) / len(used) > 0.97
    assert len(present(node, others)) / len(others) < 0.9


def test_what_expires_first_goes_first(server):
    node = server({**TIER, "maxmemory-policy": "volatile-ttl"})
    put(node, 0, 1_200, "EX", 1_000)
    put(node, 1_200, 2_400, "EX", 500_000)
    put(node, 2_400, 3_600)
    put(node, 10_000, 11_500, "EX", 900_000)
    evicted = accounts(node)["flash_evicted_keys"]
    assert evicted > 200
    assert 1_200 - len(present(node, range(1_200))) > 0.95 * evicted
    assert len(present(node, range(2_400, 3_600))) == 1_200


def test_keys_without_expiry_stay_under_a_volatile_policy(server):
    node = server({**TIER, "maxmemory-policy": "volatile-lru"})
    put(node, 0, 1_500)
    put(node, 10_000, 20_000, "EX", 10_000)
    assert len(present(node, range(1_500))) == 1_500
    assert accounts(node)["flash_evicted_keys"] > 6_000


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-random", "volatile-ttl"])
def test_without_volatile_keys_a_volatile_policy_refuses_at_once(server, policy):
    node = server({**TIER, "maxmemory-policy": policy})
    for number in range(2_000):
        node.call("SET", f"native:{number}", "x", "EX", 10_000)
        node.call("FLASH.SET", f"tiny:{number}", "x", "EX", 10_000)
    held = fill_refused(node)
    wait_until(lambda: node.info("flash")["flash_key_eviction_exhausted"] == "yes",
               what="eviction to find nothing")
    began = time.monotonic()
    for number in range(50):
        with pytest.raises(redis.exceptions.ResponseError, match="^FLASHFULL"):
            node.call("FLASH.SET", f"more:{number}", os.urandom(30_000))
    assert time.monotonic() - began < 10 * SLOWDOWN
    info = node.info("flash")
    assert info["flash_evicted_keys"] == 0
    assert node.call("DBSIZE") == held + 4_000
    # One that may go is found, and makes room.
    node.call("EXPIRE", "fill:7", 10_000)
    wait_until(lambda: node.call("EXISTS", "fill:7") == 0, what="the volatile key to go")
    assert node.info("flash")["flash_evicted_keys"] == 1


def test_native_and_tiny_values_stay(server):
    node = server({**TIER, "maxmemory-policy": "allkeys-random"})
    for number in range(1_000):
        node.call("SET", f"native:{number}", os.urandom(100))
        node.call("FLASH.SET", f"tiny:{number}", "tiny")
    put(node, 0, 8_000)
    assert len(present(node, range(1_000), "native")) == 1_000
    assert len(present(node, range(1_000), "tiny")) == 1_000
    assert accounts(node)["flash_evicted_keys"] > 3_000


def test_every_database_gives(server):
    node = server({**TIER, "maxmemory-policy": "allkeys-lru"})
    other = node.connect(db=9)
    pipe = other.pipeline(transaction=False)
    for number in range(1_500):
        pipe.execute_command("FLASH.SET", f"other:{number}", os.urandom(3_000))
    pipe.execute()
    time.sleep(2.1)
    put(node, 0, 9_000)
    accounts(node)
    assert other.dbsize() < 200, "the oldest are in database 9"


def test_events_are_those_of_an_eviction(server):
    node = server({**TIER, "maxmemory-policy": "allkeys-lru", "notify-keyspace-events": "EA"})
    listener = node.connect().pubsub()
    listener.psubscribe("__keyevent@0__:*")
    assert listener.get_message(timeout=5)["type"] == "psubscribe"
    put(node, 0, 6_000)
    told = []
    while (message := listener.get_message(timeout=1)) is not None:
        event = message["channel"].rsplit(b":", 1)[1]
        assert event in (b"evicted", b"flash.set", b"new")
        if event == b"evicted":
            told.append(message["data"])
    gone = set(range(6_000)) - set(present(node, range(6_000)))
    assert len(told) == len(gone) == accounts(node)["flash_evicted_keys"]
    assert set(told) == {b"key:%d" % number for number in gone}


def test_watch_hears_of_it(server):
    node = server({**TIER, "maxmemory-policy": "allkeys-lru"})
    put(node, 0, 3_000)
    client = node.connect()
    pipe = client.pipeline(transaction=True)
    pipe.watch("key:0")
    time.sleep(2.1)
    for number in range(100):
        put(node, 10_000 + 200 * number, 10_200 + 200 * number)
        if not node.call("EXISTS", "key:0"):
            break
    pipe.multi()
    pipe.set("done", "1")
    with pytest.raises(redis.exceptions.WatchError):
        pipe.execute()


@pytest.mark.parametrize("kind", ["hash", "list", "zset", "rope"])
def test_large_values_go_whole_and_no_more_than_must(server, kind):
    node = server({**TIER, "flash.cache-size-bytes": "4mb", "flash.capacity-bytes": "32mb",
                   "maxmemory-policy": "allkeys-lru"})

    def write(number):
        if kind == "rope":
            return node.call("FLASH.SET", f"big:{number}", os.urandom(1_500_000))
        for start in range(0, 1_000, 200):
            parts = []
            for n in range(start, start + 200):
                item = os.urandom(1_500)
                parts += {"hash": [f"f{n}", item], "list": [item], "zset": [n, item]}[kind]
            command = {"hash": "FLASH.HSET", "list": "FLASH.RPUSH", "zset": "FLASH.ZADD"}[kind]
            node.call(command, f"big:{number}", *parts)

    for number in range(50):
        write(number)
    info = at_rest(node)
    assert info["flash_flashfull_replies"] == 0
    held = present(node, range(50), "big")
    # The server tells ages by seconds: a key may go while it is written, and begin anew.
    assert len(held) + info["flash_evicted_keys"] >= 50
    assert len(held) >= 13, "more went than had to"
    wait_until(lambda: node.info("flash")["flash_storage_used_bytes"]
               <= info["flash_key_eviction_mark_bytes"], what="the values to be freed")
    for number in held:
        assert node.call("DUMP", f"big:{number}")


def test_a_value_larger_than_the_room_kept_free_gets_it(server):
    node = server({**TIER, "flash.capacity-bytes": "64mb", "maxmemory-policy": "allkeys-lru"})
    put(node, 0, 25_000)
    value = os.urandom(20 * MIB)
    assert node.call("FLASH.SET", "large", value) == b"OK"
    assert node.call("FLASH.GET", "large") == value
    assert node.info("flash")["flash_flashfull_replies"] == 0
