"""Large values arrive within the cache, in parts while others are served, and as they are then."""

import random
import threading

import pytest
import redis

from arriving_test import adopt, adopt_all, types
from conftest import LOGGED, wait_until
from harness.parking import Holder, send_and_park
from harness.resp import Connection
from leaving_test import MIB, number


@pytest.mark.slow
def test_a_hash_of_100_mb_stays_within_the_cache(server):
    node = server({"flash.cache-size-bytes": "4mb", "flash.capacity-bytes": "1gb"})
    pipe = node.client.pipeline(transaction=False)
    rng = random.Random(5)
    block = rng.randbytes(1 << 16)
    for n in range(400_000):
        at = rng.randrange(60_000)
        pipe.execute_command("HSET", "h", b"field:%d" % n, block[at:at + 250])
        if n % 5000 == 4999:
            pipe.execute()
    sample = {b"field:%d" % n: node.call("HGET", "h", b"field:%d" % n)
              for n in range(0, 400_000, 997)}
    assert number(node, "hot_bytes_peak") < MIB
    assert adopt(node, "h") == 1
    assert number(node, "hot_bytes_peak") <= 4 * MIB * 1.1
    assert node.call("FLASH.HLEN", "h") == 400_000
    for field, value in sample.items():
        assert node.call("FLASH.HGET", "h", field) == value
    assert number(node, "held_bytes") == 0


def fill_large(node, fields=60_000):
    """A hash and a sorted set that are put in order beside the event loop."""
    rng = random.Random(6)
    pipe = node.client.pipeline(transaction=False)
    for n in range(fields):
        pipe.execute_command("HSET", "h", b"f%d" % n, rng.randbytes(50))
        pipe.execute_command("ZADD", "z", rng.uniform(-9, 9), b"member:%d" % n)
        if n % 5000 == 4999:
            pipe.execute()
    pipe.execute()


@pytest.mark.parametrize("way", ["adopt", "scan"])
def test_a_large_value_that_changes_on_its_way_arrives_as_it_is_then(server, way):
    node = server({"flash.cache-size-bytes": "2mb", "flash.native-fallback": "yes"})
    fill_large(node)
    over, counts = threading.Event(), {"h": 0, "z": 0}

    def write(client):
        while not over.is_set():
            n = counts["h"] + 1
            client.execute_command("FLASH.HSET", "h", "f%d" % (n % 999), "new%d" % n)
            client.execute_command("FLASH.ZADD", "z", n, "member:%d" % (n % 999))
            counts["h"] = counts["z"] = n
    thread = threading.Thread(target=write, args=(node.connect(),))
    thread.start()
    try:
        wait_until(lambda: counts["h"] > 20, what="the writer")
        if way == "adopt":
            assert adopt(node, "h") == 1 and adopt(node, "z") == 1
        else:
            assert sorted(adopt_all(node)) == [b"h", b"z"]
        last = counts["h"]
        wait_until(lambda: counts["h"] > last + 20 or not thread.is_alive(), what="the writer")
    finally:
        over.set()
        thread.join()
    assert types(node) == {b"h": b"flashhsh1", b"z": b"flashzst1"}
    assert node.call("FLASH.HLEN", "h") == node.call("FLASH.ZCARD", "z") == 60_000
    for n in range(counts["h"], max(0, counts["h"] - 998), -1):
        assert node.call("FLASH.HGET", "h", "f%d" % (n % 999)) == b"new%d" % n
        assert float(node.call("FLASH.ZSCORE", "z", "member:%d" % (n % 999))) == n
    assert number(node, "held_bytes") == 0 and number(node, "cache_pinned_bytes") == 0


def test_a_large_value_that_goes_on_its_way(server):
    node = server({"flash.cache-size-bytes": "2mb"})
    for gone in (("DEL", "h"), ("SET", "h", "other"), ("FLUSHALL",), ("PEXPIRE", "h", "1")):
        fill_large(node)
        asking = Connection(node.port)
        asking.send(("FLASH.ADOPT", "h"))
        wait_until(lambda: number(node, "parked_clients") == 1, what="the client to be parked")
        node.call(*gone)
        assert asking.read().value in (0, 1)
        kind = node.client.type("h")
        # What was set meanwhile is what is there, and what is adopted.
        assert kind == (b"flashstr1" if gone[0] == "SET" else b"none"), kind
        asking.close()
        node.call("FLUSHALL")
    fill_large(node)
    leaving = Connection(node.port)
    leaving.send(("FLASH.ADOPT", "h"))
    wait_until(lambda: number(node, "parked_clients") == 1, what="the client to be parked")
    leaving.close()
    wait_until(lambda: number(node, "parked_clients") == 0, what="the client to be gone")
    assert node.client.type("h") == b"hash"
    wait_until(lambda: number(node, "storage_used_bytes") == 0, what="the half to be freed")
    assert adopt(node, "h") == 1 and node.call("FLASH.HLEN", "h") == 60_000
    assert number(node, "held_bytes") == 0 and number(node, "cache_pinned_bytes") == 0


@pytest.mark.parametrize("way", ["adopt", "scan"])
def test_a_hash_whose_fields_begin_to_expire_on_its_way_stays_native(
        server, way, tmp_path, monkeypatch):
    holder = Holder(tmp_path, monkeypatch)
    node = server({"flash.cache-size-bytes": "2mb"})
    try:
        node.call("HEXPIRE", "none", "1000", "FIELDS", "1", "a")
    except redis.exceptions.ResponseError:
        pytest.skip("this server has no expiry of fields")
    fill_large(node)
    node.call("DEL", "z")
    holder.hold("portion")
    if way == "adopt":
        asking = send_and_park(node, "FLASH.ADOPT", "h")
    else:
        asking = Connection(node.port)
        asking.send(("FLASH.ADOPT.SCAN", "0"))
        wait_until(lambda: number(node, "held_bytes") > 0 or number(node, "blocks_cold") > 0,
                   what="the adoption to begin")
    assert node.call("HEXPIRE", "h", "1000", "FIELDS", "1", "f7") == [1]
    holder.let_go()
    reply = asking.read()
    if way == "adopt":
        assert b"fields with a time to live" in reply.value
    else:
        assert reply.raw == b"*2\r\n$1\r\n0\r\n*0\r\n"
    assert node.client.type("h") == b"hash"
    assert node.call("HTTL", "h", "FIELDS", "1", "f7")[0] > 0
    wait_until(lambda: number(node, "storage_used_bytes") == 0, what="the half to be freed")


def test_replicas_and_the_log_have_what_was_put_in_order(server):
    settings = {"flash.cache-size-bytes": "2mb"}
    primary = server({**settings, **LOGGED, "flash.wal-max-bytes": "64mb"})
    replica = server({**settings, "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    fill_large(primary)
    before = {"h": sorted(primary.call("HGETALL", "h").items()),
              "z": primary.call("ZRANGE", "z", 0, -1, "WITHSCORES")}

    def content(node):
        return {"h": sorted(zip(*[iter(node.call("FLASH.HGETALL", "h"))] * 2)),
                "z": node.call("FLASH.ZRANGE", "z", 0, -1, "WITHSCORES")}
    primary.call("PEXPIREAT", "h", 4_000_000_000_000)
    assert adopt(primary, "h") == 1 and adopt_all(primary) == [b"z"]
    assert content(primary) == before
    replica.wait_for_offset_of(primary)
    assert content(replica) == before
    primary.restart(crash=True)  # No snapshot holds them: from the log alone.
    assert content(primary) == before
    assert primary.call("PEXPIRETIME", "h") == 4_000_000_000_000
