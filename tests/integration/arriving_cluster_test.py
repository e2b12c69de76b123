"""The way in on a node of a cluster: its own keys alone, redirects, fallback."""

import pytest
import redis
from redis.crc import key_slot

from harness.cluster import single_node
from leaving_test import refuses

LAST_SLOT = 16383


@pytest.fixture
def node(server):
    """A node that owns every slot but the last."""
    return single_node(server, {"flash.native-fallback": "yes"}, slots=LAST_SLOT)


def foreign_key():
    return next(f"key{n}" for n in range(10**6) if key_slot(b"key%d" % n) == LAST_SLOT)


def test_all_keys_of_a_node_arrive(node):
    want = {}
    for n in range(300):
        node.call("SET", f"s{n}", f"v{n}")
        node.call("HSET", f"h{n}", "f", n)
        want |= {b"s%d" % n: b"flashstr1", b"h%d" % n: b"flashhsh1"}
    adopted, cursor = [], b"0"
    while True:
        cursor, keys = node.call("FLASH.ADOPT.SCAN", cursor, "COUNT", "20")
        assert int(cursor) < 1 << 48
        adopted += keys
        if cursor == b"0":
            break
    assert sorted(adopted) == sorted(want)
    assert {key: node.client.type(key) for key in want} == want
    assert node.call("FLASH.GET", "s7") == b"v7"


def test_keys_of_others_are_redirected(node):
    foreign = foreign_key()
    for command in (("FLASH.ADOPT", foreign), ("FLASH.GET", foreign)):
        refuses("not served|MOVED|CLUSTERDOWN", node.call, *command)
    node.call("SET", "k", "v")
    assert node.call("FLASH.GET", "k") == b"v"
    assert node.call("FLASH.ADOPT", "k") == 1
    with pytest.raises(redis.exceptions.ResponseError, match="(?i)slot"):
        node.call("FLASH.MGET", "k", "other")


def test_fallback_on_several_keys_of_one_slot(node):
    node.call("RPUSH", "{t}:n", "a", "b")
    node.call("FLASH.RPUSH", "{t}:f", "x")
    assert node.call("FLASH.LMOVE", "{t}:n", "{t}:f", "LEFT", "LEFT") == b"a"
    assert node.client.type("{t}:n") == b"flashlst1"
    node.call("SET", "{t}:s", "v")
    assert node.call("FLASH.MSET", "{t}:s", "1", "{t}:s2", "2") == b"OK"
    assert node.call("FLASH.MGET", "{t}:s", "{t}:s2") == [b"1", b"2"]
