"""Parked commands on a node of a cluster: the slot may leave while they wait."""

import pytest

from conftest import free_port, wait_until
from harness.cluster import PARTIAL, single_node
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection

VALUE = b"value" * 100


@pytest.fixture
def holder(tmp_path, monkeypatch):
    return Holder(tmp_path, monkeypatch)


@pytest.fixture
def node(server, holder):
    """A cluster of one node that owns every slot."""
    return single_node(server)


def test_commands_run_and_park(node, holder):
    c = Connection(node.port)
    assert c.must("FLASH.SET", "k", VALUE) == b"OK"
    assert c.call("FLASH.MGET", "k", "other").value.startswith(b"CROSSSLOT")
    assert c.call("FLASH.SET", "k", VALUE, "GET", "EX", 100).plain() == VALUE
    chill(node, "k")
    holder.hold("release")
    reader = send_and_park(node, "FLASH.GET", "k")
    holder.let_go()
    assert reader.read().plain() == VALUE


def test_ownership_is_asked_without_a_trace(node, holder):
    """A cold command counts as a hot one does: once."""
    c = Connection(node.port)
    c.must("FLASH.SET", "k", VALUE)
    commands = [("FLASH.GET", "k"), ("FLASH.MGET", "k", "k"), ("FLASH.SET", "k", VALUE, "GET")]
    hits, traces = {False: 0, True: 0}, []
    with node.connect().monitor() as monitor:
        for cold in (False, True):
            for command in commands:
                if cold:
                    node.call("CONFIG", "RESETSTAT")
                    chill(node, "k")
                    holder.hold("release")
                    client = send_and_park(node, *command)
                    holder.let_go()
                    assert not client.read().is_error
                else:
                    c.must("FLASH.GET", "k")  # Hot again: a SET may have left it so, or not.
                    node.call("CONFIG", "RESETSTAT")
                    c.must(*command)
                stats = node.info("stats")
                hits[cold] += stats["keyspace_hits"] + 100 * stats["keyspace_misses"]
            seen = []
            node.call("PING")
            while "PING" not in seen:
                seen.append(monitor.next_command()["command"].split()[0].strip('"'))
            traces.append([seen.count(command[0]) - (not cold and command[0] == "FLASH.GET") * 3
                           for command in commands])
            assert "EXISTS" not in seen and "cmdstat_exists" not in node.info("commandstats")
    assert traces == [[1, 1, 1], [1, 1, 1]]
    assert hits[True] == hits[False] == 3, hits


@pytest.mark.parametrize("command", [("FLASH.GET", "k"), ("FLASH.SET", "k", "mine", "GET")])
def test_a_slot_that_left_is_found_before_the_command_is_applied(node, holder, command):
    c = Connection(node.port)
    c.must("FLASH.SET", "k", VALUE)
    chill(node, "k")
    holder.hold("release")
    client = send_and_park(node, *command)
    slot = c.must("CLUSTER", "KEYSLOT", "k")
    c.must("CLUSTER", "DELSLOTS", slot)
    holder.let_go()
    assert client.read().value.startswith(b"TRYAGAIN ")
    assert client.call(*command).value.startswith(b"CLUSTERDOWN ")
    assert parked_now(node) == 0
    c.must("CLUSTER", "ADDSLOTS", slot)
    wait_until(lambda: c.call("FLASH.GET", "k").plain() == VALUE, 30, "the slot to be back")


@pytest.fixture
def other(server, node):
    """A second node of that cluster, which is to get the slot of `{a}`."""
    made = server({**PARTIAL, "cluster-port": free_port()})
    node.call("CLUSTER", "MEET", "127.0.0.1", made.port, made.settings["cluster-port"])
    wait_until(lambda: all(sees_all_slots(each) for each in (node, made)), 60,
               "the nodes to know each other")
    return made


def sees_all_slots(node):
    info = Connection(node.port).must("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_slots_ok:16384" in info \
        and b"cluster_known_nodes:2" in info


def collections_of(c):
    for name in ("{a}src", "{a}dst"):
        c.must("FLASH.RPUSH", name, *[f"{name}{n}" * 10 for n in range(50)])
    for name in ("{a}z1", "{a}z2", "{a}out"):
        c.must("FLASH.ZADD", name, *[part for n in range(50) for part in (n, f"{name}{n}" * 10)])
    for name in ("{a}x", "{a}y"):
        c.must("FLASH.SET", name, VALUE)


def test_a_key_that_left_with_its_slot_is_not_taken_for_missing(node, other, holder):
    commands = {"{a}y": ("FLASH.MGET", "{a}x", "{a}y"),
                "{a}dst": ("FLASH.LMOVE", "{a}src", "{a}dst", "LEFT", "LEFT"),
                "{a}z2": ("FLASH.ZUNIONSTORE", "{a}out", "2", "{a}z1", "{a}z2")}
    c = Connection(node.port)
    collections_of(c)
    slot = c.must("CLUSTER", "KEYSLOT", "{a}")
    Connection(other.port).must("CLUSTER", "SETSLOT", slot, "IMPORTING",
                                c.must("CLUSTER", "MYID"))
    c.must("CLUSTER", "SETSLOT", slot, "MIGRATING", Connection(other.port).must("CLUSTER", "MYID"))
    for moves, command in commands.items():
        chill(node, *[arg for arg in command if arg.startswith("{a}")])
        holder.hold("release")
        client = send_and_park(node, *command)
        assert c.must("MIGRATE", "127.0.0.1", other.port, moves, 0, 5000) == b"OK"
        holder.let_go()
        assert client.read().value.startswith(b"TRYAGAIN "), command
        assert client.call(*command).value.startswith(b"TRYAGAIN "), "as the server says"
