"""What happens to a key, a client or the device during a long read: the right reply, and
nothing is left behind."""

import threading
import time

import pytest

from conftest import PATIENT, wait_until
from harness.disks import Disk
from harness.long_values import HOW, run_how
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection, Disconnected

CACHE = 1 << 20
ELEMENTS = [f"{n}:".ljust(1000, "e").encode() for n in range(20_000)]
SETTINGS = {"flash.cache-size-bytes": str(CACHE), "flash.capacity-bytes": "256mb",
            "flash.compression": "none"}


def fill(node, key=b"L", elements=ELEMENTS):
    link = Connection(node.port)
    for start in range(0, len(elements), 500):
        link.must("FLASH.RPUSH", key, *elements[start:start + 500])
    link.close()
    chill(node, key)


@pytest.fixture
def holder(tmp_path, monkeypatch):
    return Holder(tmp_path, monkeypatch)


@pytest.fixture
def half_read(server, holder):
    """A server, and a connection in the middle of an LRANGE of all of `L`."""
    node = server(SETTINGS)
    fill(node)
    node.used_before = node.info()["used_memory"]
    holder.hold("portion")
    reader = send_and_park(node, "FLASH.LRANGE", "L", 0, -1)
    yield node, reader
    reader.close()


def reader_ids(node):
    return [each["id"] for each in node.client.client_list()
            if each["cmd"].lower() == "flash.lrange"]


def nothing_is_left(node):
    def at_rest():
        info = node.info()
        return (info["flash_parked_clients"] == 0 and info["flash_cache_pinned_bytes"] == 0
                and info["flash_blocks_shared"] == 0 and info["flash_deferred_frees"] == 0
                and info["flash_held_bytes"] == 0)
    wait_until(at_rest, 20, "everything to be given back")


def check_reply(holder, node, reader, expected=None):
    holder.let_go()
    assert reader.read().plain() == (ELEMENTS if expected is None else expected)
    nothing_is_left(node)


def test_renamed_deleted_overwritten_and_expired_keys_give_the_reply_of_before(half_read, holder):
    node, reader = half_read
    client = node.client
    client.rename("L", "M")
    more = send_and_park(node, "FLASH.LRANGE", "M", 1, -2, parked=2)
    client.delete("M")
    node.call("FLASH.SET", "L", "something else")
    node.call("FLASH.SET", "M", "x", "PX", 1)
    wait_until(lambda: client.exists("M") == 0, 5, "expiry")
    holder.let_go()
    assert more.read().plain() == ELEMENTS[1:-1]
    check_reply(holder, node, reader)
    assert node.call("FLASH.GET", "L") == b"something else"


def test_changes_in_the_meantime_are_not_seen(half_read, holder):
    node, reader = half_read
    node.call("FLASH.RPUSH", "L", "new")
    node.call("FLASH.LSET", "L", 0, "first")
    node.call("FLASH.LTRIM", "L", 0, 5000)
    check_reply(holder, node, reader)
    assert node.call("FLASH.LLEN", "L") == 5001
    assert node.call("FLASH.LRANGE", "L", 0, 0) == [b"first"]


@pytest.mark.parametrize("command", [
    ("SWAPDB", 0, 1), ("FLUSHALL", "ASYNC"), ("FLUSHALL", "SYNC"), ("MOVE", "L", 3),
    ("PEXPIRE", "L", 1)])
def test_a_key_that_goes_elsewhere_gives_the_reply_of_before(half_read, holder, command):
    node, reader = half_read
    node.call(*command)
    wait_until(lambda: node.client.exists("L") == 0, 5, "the key to be gone")
    check_reply(holder, node, reader)
    if command[0] in ("FLUSHALL", "PEXPIRE"):
        wait_until(lambda: node.info()["flash_storage_used_bytes"] == 0, 20, "the tier to be empty")


@pytest.mark.parametrize("leave", ["disconnect", "CLIENT KILL"])
def test_a_client_that_leaves_takes_its_read_along(half_read, holder, leave):
    node, reader = half_read
    if leave == "disconnect":
        reader.close()
    else:
        number = reader_ids(node)
        assert node.client.execute_command("CLIENT", "KILL", "ID", number[0]) == 1
        with pytest.raises((Disconnected, ConnectionError)):
            reader.read()
    wait_until(lambda: parked_now(node) == 0, 5, "the client to be gone")
    nothing_is_left(node)
    # What was read so far is given back, though the read was never let go.
    assert node.info()["used_memory"] < node.used_before + CACHE + (1 << 20)
    holder.let_go()
    assert node.call("FLASH.LRANGE", "L", 0, -1) == ELEMENTS


def test_client_unblock_finds_nobody_to_unblock(half_read, holder):
    node, reader = half_read
    number = reader_ids(node)
    assert node.client.client_unblock(number[0]) == 0
    check_reply(holder, node, reader)


def test_the_server_shuts_down_in_the_middle_of_a_read(half_read):
    node, reader = half_read
    assert node.stop() == 0
    with pytest.raises((Disconnected, ConnectionError)):
        reader.read()


def test_many_readers_at_once_get_their_replies_within_the_bound(server):
    node = server(SETTINGS)
    fill(node)
    for size in (CACHE + 1, CACHE):
        node.client.config_set("flash.cache-size-bytes", size)
    replies = []

    def read(begin):
        link = Connection(node.port)
        replies.append(link.must("FLASH.LRANGE", "L", begin, -1) == ELEMENTS[begin:])
        link.close()

    readers = [threading.Thread(target=read, args=(n * 500,)) for n in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert replies == [True] * 8
    nothing_is_left(node)
    assert node.call("FLASH.LRANGE", "L", 0, 1) == ELEMENTS[:2]


@pytest.mark.parametrize("how", HOW)
def test_a_device_that_fails_in_the_middle_is_an_error_and_the_key_stays(server, tmp_path, holder,
                                                                          how):
    disk = Disk(tmp_path, 400)
    try:
        node = server({**SETTINGS, "flash.path": str(disk.path / "tier")}, module_args=PATIENT)
        fill(node)
        reader = Connection(node.port)
        if how == "plain":
            holder.hold("portion")
            reader = send_and_park(node, "FLASH.LRANGE", "L", 0, -1)
        disk.break_down()
        if how == "plain":
            holder.let_go()
            reply = reader.read()
        else:
            reply = run_how(reader, how, "FLASH.LRANGE", "L", 0, -1)
        assert reply.is_error and b"FLASHIO" in reply.value
        reader.close()
        nothing_is_left(node)
        assert node.call("FLASH.LLEN", "L") == len(ELEMENTS)
        node.kill()
    finally:
        disk.close()
