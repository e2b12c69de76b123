"""Large strings: past the cache, in slices, whole or not at all."""

import os
import random

import pytest

from conftest import wait_until
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection

MIB = 1 << 20


def content(size, seed=1):
    block = random.Random(seed).randbytes(MIB)
    return (block * (size // MIB + 1))[:size]


SIZES = [MIB - 100, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 5 * MIB + 17, 64 * MIB]


@pytest.mark.parametrize("cache", ["1mb", "256mb"])
def test_sizes_around_every_bound(server, cache):
    node = server({"flash.cache-size-bytes": cache, "flash.capacity-bytes": "512mb"})
    for size in SIZES:
        value = content(size, size)
        assert node.call("FLASH.SET", "k", value) == b"OK"
        assert node.call("FLASH.GET", "k") == value
        chill(node, "k")
        assert node.call("FLASH.GET", "k") == value
        assert node.call("FLASH.SET", "k", value[:100] + b"new", "GET") == value
        assert node.call("FLASH.GET", "k") == value[:100] + b"new"
        assert node.info("flash")["flash_cache_size_bytes"] <= 1.1 * int(cache[:-2]) * MIB


def test_an_argument_that_the_server_moves_while_its_command_is_parked(server):
    """The server trims held arguments when a command returns: those of which more than a tenth is
    unused, as in the buffer that it made for the longer argument of the command before."""
    node = server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "512mb"})
    link = Connection(node.port)
    for n in range(8):
        longer, value = content(6 * MIB, n), content(4 * MIB + n, n + 100)
        assert link.must("FLASH.SET", "longer", longer) == b"OK"
        assert link.must("FLASH.SET", "k", value) == b"OK"
        assert link.must("FLASH.GET", "k") == value
        assert link.must("FLASH.MSET", "k", value, "l", longer, "m", value) == b"OK"
        assert link.must("FLASH.MGET", "k", "l", "m") == [value, longer, value]


@pytest.mark.parametrize("how", ["multi", "script"])
def test_where_clients_cannot_be_parked(server, how):
    node = server({"flash.cache-size-bytes": "1mb"})
    value, later = content(20 * MIB), content(17 * MIB, 2)

    def call(*args):
        if how == "multi":
            pipe = node.client.pipeline(transaction=True)
            pipe.execute_command(*args)
            return pipe.execute()[0]
        return node.client.eval("return redis.call(unpack(ARGV))", 0, *args)

    assert call("FLASH.SET", "k", value) == b"OK"
    chill(node, "k")
    assert call("FLASH.GET", "k") == value
    assert call("FLASH.SET", "k", later, "GET") == value
    assert call("FLASH.MGET", "k", "none", "k") == [later, None, later]
    assert call("FLASH.MSET", "k", value, "x", later) == b"OK"
    assert call("FLASH.MGET", "k", "x") == [value, later]


def test_mget_of_more_than_the_cache(server):
    node = server({"flash.cache-size-bytes": "1mb"})
    values = [content(200_000, i) for i in range(40)]
    for i, value in enumerate(values):
        node.call("FLASH.SET", f"k{i}", value)
        chill(node, f"k{i}")
    assert node.call("FLASH.MGET", *[f"k{i}" for i in range(40)], "none", "k7") == \
        [*values, None, values[7]]
    assert node.info("flash")["flash_cache_size_bytes"] <= 1.1 * MIB


def test_mset_of_more_than_the_cache(server):
    node = server({"flash.cache-size-bytes": "1mb"})
    pairs = []
    for i in range(40):
        pairs += [f"k{i}", content(200_000, i)]
    assert node.call("FLASH.MSET", *pairs, "tiny", "t") == b"OK"
    assert node.call("FLASH.MGET", *pairs[::2], "tiny") == [*pairs[1::2], b"t"]


@pytest.fixture
def held(server, tmp_path, monkeypatch):
    holder = Holder(tmp_path, monkeypatch)
    return server({"flash.cache-size-bytes": "1mb"}), holder


@pytest.mark.parametrize("point", Holder.POINTS)
def test_a_large_value_replaced_while_it_is_read(held, point):
    node, holder = held
    value, later = content(8 * MIB), content(9 * MIB, 2)
    node.call("FLASH.SET", "k", value)
    holder.hold(point)
    reader = send_and_park(node, "FLASH.GET", "k")
    node.call("DEL", "k")
    pipe = node.client.pipeline(transaction=True)  # Not held: it waits for itself.
    pipe.execute_command("FLASH.SET", "k", later)
    pipe.execute()
    holder.let_go()
    assert reader.read().plain() == later


@pytest.mark.parametrize("point", Holder.POINTS)
def test_whoever_leaves_while_a_large_value_is_made_leaves_nothing(held, point):
    node, holder = held
    holder.hold(point)
    writer = send_and_park(node, "FLASH.SET", "k", content(30 * MIB))
    writer.close()
    wait_until(lambda: parked_now(node) == 0, 20, "the client to be gone")
    holder.let_go()
    assert node.client.dbsize() == 0
    wait_until(lambda: everything_is_free(node), 20, "the blocks to be free")


def everything_is_free(node):
    info = node.info("flash")
    return info["flash_storage_used_bytes"] == 0 and info["flash_cache_size_bytes"] == 0 \
        and info["flash_deferred_frees"] == 0


def test_other_clients_are_served_while_a_large_value_moves(server):
    node = server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "512mb"})
    value = content(100 * MIB)
    mover = Connection(node.port)
    mover.send(("FLASH.SET", "k", value))
    pings = Connection(node.port)
    wait_until(lambda: parked_now(node) == 1, 60, "the value to arrive")
    for _ in range(10):
        pings.must("PING")
    assert mover.read().plain() == b"OK"
    mover.send(("FLASH.GET", "k"))
    wait_until(lambda: parked_now(node) == 1, 60, "the read to begin")
    for _ in range(10):
        pings.must("PING")
    assert mover.read().plain() == value


def test_copy_of_a_large_value_is_shared_and_frees_in_the_end(server):
    node = server({"flash.cache-size-bytes": "1mb"})
    value = content(20 * MIB)
    node.call("FLASH.SET", "k", value)
    for i in range(5):
        assert node.call("COPY", "k", f"c{i}") == 1
    assert node.info("flash")["flash_storage_used_bytes"] < 22 * MIB
    for i in range(4):
        node.call("DEL", f"c{i}")
    node.call("DEL", "k")
    assert node.call("FLASH.GET", "c4") == value
    node.call("DEL", "c4")
    wait_until(lambda: everything_is_free(node), 20, "the blocks to be free")


@pytest.mark.parametrize("aof", ["no", "yes"])
def test_large_values_survive_restarts(server, aof):
    node = server({"flash.cache-size-bytes": "1mb", "appendonly": aof,
                   "aof-use-rdb-preamble": "no"})
    values = {f"k{i}": content(MIB * i + i, i) for i in range(1, 12, 3)}
    for key, value in values.items():
        node.call("FLASH.SET", key, value)
    if aof == "yes":
        node.rewrite_aof()
    else:
        node.save_in_background()
    node.kill()
    node.start()
    for key, value in values.items():
        assert node.call("FLASH.GET", key) == value


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("FLASH_TEST_SLOWDOWN", "1") != "1", reason="takes minutes")
def test_the_largest_value_with_the_smallest_cache(server):
    node = server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "2gb"})
    value = content(512 * MIB)
    client = node.connect(socket_timeout=240)
    assert client.execute_command("FLASH.SET", "k", value) == b"OK"
    assert client.execute_command("FLASH.GET", "k") == value
    assert node.info("flash")["flash_cache_size_bytes"] <= 1.1 * MIB
