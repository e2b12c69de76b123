"""Parked commands on a node of a cluster: the slot may leave while they wait."""

import pytest

from conftest import free_port, wait_until
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection

VALUE = b"value" * 100


@pytest.fixture
def holder(tmp_path, monkeypatch):
    return Holder(tmp_path, monkeypatch)


@pytest.fixture
def node(server, holder):
    """A cluster of one node that owns every slot."""
    made = server({"cluster-enabled": "yes", "cluster-config-file": "nodes.conf",
                   "cluster-port": free_port()})
    made.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: b"cluster_state:ok" in Connection(made.port).must("CLUSTER", "INFO"), 30,
               "the cluster to be up")
    return made


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
