"""The library loads in a real server, and the house's fixture does what it says."""

import pytest
import redis

from conftest import MODULE, StartError
from harness.resp import Connection


def test_module_is_listed_by_name(server):
    modules = server().client.module_list()
    assert b"flash" in [module[b"name"] for module in modules]  # 9.x lists its own, too: lua.


def test_the_version_is_the_same_everywhere(server):
    node = server()
    (listed,) = [module[b"ver"] for module in node.client.module_list()
                 if module[b"name"] == b"flash"]
    version = node.info("flash")["flash_version"]
    major, minor, patch = map(int, version.split("."))
    assert listed == major * 10_000 + minor * 100 + patch
    assert f"valkey-flash {version} loaded" in node.log()


def test_load_is_logged_once(server):
    assert server().log().count("valkey-flash ") == 1


def test_server_ends_in_good_order_with_the_module(server):
    assert server().stop() == 0


def test_kill_and_start_find_the_same_folder(server):
    node = server({"appendonly": "yes", "appendfsync": "always"})
    node.client.set("key", "value")
    node.kill()
    assert not node.alive()
    node.start()
    assert node.client.get("key") == b"value"


def test_replica_follows_primary(server):
    primary, replica = server(), server()
    replica.replicate_from(primary)
    primary.client.set("key", "value")
    replica.wait_for_offset_of(primary)
    assert replica.client.get("key") == b"value"


def test_failed_start_carries_the_log(server):
    with pytest.raises(StartError, match="no-such-setting"):
        server({"no-such-setting": "1"})


def test_server_without_the_module(server):
    node = server(module=False)
    assert b"flash" not in [module[b"name"] for module in node.client.module_list()]
    with pytest.raises(redis.exceptions.ResponseError, match="unknown command"):
        node.call("FLASH.GET", "key")


def test_a_command_right_behind_module_load(server):
    node = server(module=False)
    link = Connection(node.port)
    if node.version() >= (9, 0):
        pytest.skip("looks up all commands of a packet before it runs the first")
    link.send(("MODULE", "LOAD", str(MODULE), "flash.path", str(node.dir / "flash.tier"),
               "flash.capacity-bytes", "64mb"),
              ("FLASH.SET", "k", "v" * 100), ("FLASH.GET", "k"), ("FLASH.DEBUG.STATE",))
    assert [link.read().plain() for _ in range(4)] == [b"OK", b"OK", b"v" * 100, b"ready"]
