"""The way in: on a node of a cluster its own keys alone, redirects, fallback; and 3 + 3, in use."""

import pytest
import redis
from redis.crc import key_slot

from conftest import MODULE
from harness.cluster import Cluster, single_node, take_over
from leaving_test import contents, refuses

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


TIERED = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "256mb"}


def enter(node):
    """Starts a node again with the module, over its files."""
    node.stop()
    node.module = MODULE
    node.settings.update(TIERED)
    node.start()


def adopt_all(node):
    cursor = b"0"
    while True:
        cursor, _ = node.call("FLASH.ADOPT.SCAN", cursor, "COUNT", "100")
        if cursor == b"0":
            return


@pytest.mark.slow
def test_a_cluster_arrives_replicas_first_and_loses_nothing(server):
    """docs/upgrade.md: replicas get the module, take over, then the others get it; then adopt."""
    cluster = Cluster(server, settings={"save": "3600 1"}, module=False)
    with cluster.client() as client:
        for n in range(600):
            client.set(f"s{n}", f"{n}" * 50)
            client.hset(f"h{n}", mapping={"f": n, "g": "x" * 100})
            client.rpush(f"l{n}", "a", "b" * 90)
            client.zadd(f"z{n}", {"m": n, "k" * 70: 1})
        before = {}
        for node in cluster.primaries:
            before |= contents(node)
        assert len(before) == 2400

        for replica in cluster.replicas:
            enter(replica)
        cluster.wait_until_up()
        for replica, primary in zip(cluster.replicas, cluster.primaries):
            replica.wait_for_offset_of(primary)
            take_over(replica)
        for replaced in cluster.primaries:
            enter(replaced)
        cluster.wait_until_up()
        cluster.find_roles()

        for node in cluster.nodes:
            node.call("CONFIG", "SET", "flash.native-fallback", "yes")
        for n in range(0, 600, 50):  # Clients may switch before the keys have moved.
            assert client.execute_command("FLASH.GET", f"s{n}") == b"%d" % n * 50
        for node in cluster.primaries:
            adopt_all(node)
    after = {}
    for primary, replica in zip(cluster.primaries, cluster.replicas):
        assert all(node.client.type(key).startswith(b"flash")
                   for node in (primary,) for key in node.client.keys())
        after |= contents(primary)
        replica.wait_for_offset_of(primary)
        assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")
    assert after == before
