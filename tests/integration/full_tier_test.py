"""A full tier holds nobody up for long, and values that are gone do not fill it."""

import os
import random

import pytest
import redis

from conftest import SLOWDOWN

MIB = 1 << 20
FULL = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "16mb",
        "flash.compression": "none"}
LOG = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "32mb", "flash.compression": "none",
       "appendonly": "yes", "appendfsync": "no", "auto-aof-rewrite-percentage": "0"}


def pairs(numbers, size):
    return [part for number in numbers for part in (f"f{number}", os.urandom(size))]


def fill(node):
    """Until not even small values find room."""
    for size in (30_000, 3_000, 300):
        with pytest.raises(redis.exceptions.ResponseError, match="^FLASHFULL"):
            for number in range(10_000):
                node.call("FLASH.SET", f"key:{size}:{number}", os.urandom(size))


def waited_s(node):
    """How long the server stood still for the device, or for room that might have come."""
    return node.info("flash")["flash_sync_wait_us_total"] / 1e6


def test_large_collections_deleted_in_the_log_leave_flash_while_it_loads(server):
    node = server(LOG)
    pick = random.Random(1)
    for start in range(0, 60_000, 500):
        node.call("FLASH.HSET", "churn", *pairs(range(start, start + 500), 100))
    for turn in range(250):
        node.call("FLASH.HSET", f"hash{turn}", *pairs(range(3), 100_000))
        for _ in range(10):  # Sends the leaf of the new hash to flash, too.
            node.call("FLASH.HSET", "churn", *pairs(pick.sample(range(60_000), 50), 100))
        if turn >= 10:
            assert node.call("DEL", f"hash{turn - 10}") == 1
    assert node.info("flash")["flash_flashfull_replies"] == 0
    digest = node.call("DEBUG", "DIGEST")
    node.kill()
    node.start()
    assert waited_s(node) < 20 * SLOWDOWN
    assert node.call("DEBUG", "DIGEST") == digest
    assert node.info("flash")["flash_cache_size_bytes"] <= 1.1 * MIB + 300_000


def hashes(node, count=140):
    for number in range(count):
        node.call("FLASH.HSET", f"hash{number}", *pairs(range(2000), 300))


@pytest.mark.parametrize("first", [[], [["DEL", *[f"hash{n}" for n in range(140)]]]])
def test_large_collections_that_go_before_a_load_leave_flash_for_it(server, first):
    node = server({"flash.cache-size-bytes": "8mb", "flash.capacity-bytes": "128mb"})
    hashes(node)
    node.call("SAVE")
    digest = node.call("DEBUG", "DIGEST")
    pipe = node.client.pipeline(transaction=False)  # In one turn of the event loop.
    for command in [*first, ["DEBUG", "RELOAD", "NOSAVE"]]:
        pipe.execute_command(*command)
    assert pipe.execute()[-1] in (b"OK", True)
    assert node.call("DEBUG", "DIGEST") == digest


def test_a_server_that_becomes_a_replica_has_room_for_the_data_of_its_primary(server):
    settings = {"flash.cache-size-bytes": "8mb", "flash.capacity-bytes": "128mb"}
    primary = server({**settings, "repl-diskless-sync": "no"})
    replica = server({**settings, "replica-lazy-flush": "no", "repl-diskless-load": "disabled",
                      "flash.replica-tier-enabled": "yes"})
    hashes(primary)
    hashes(replica)
    replica.replicate_from(primary)
    replica.wait_for_offset_of(primary)
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")


def fill_mixed(node, pick, refusals):
    """Values of very different sizes, until so many of them have been refused."""
    number = 0
    while refusals > 0:
        number += 1
        try:
            size = pick.choice((100, 3000, 8000, 100_000))
            node.call("FLASH.SET", f"s{number}", os.urandom(size))
            node.call("FLASH.HSET", f"h{number}", *pairs(range(pick.choice((3, 100, 400))), 300))
        except redis.exceptions.ResponseError as error:
            assert str(error).startswith("FLASHFULL")
            refusals -= 1


@pytest.mark.parametrize("seed", range(4))
def test_what_a_full_server_holds_loads_again(server, seed):
    node = server({**FULL, "flash.cache-size-bytes": "2mb"})
    fill_mixed(node, random.Random(seed), 30)
    digest = node.call("DEBUG", "DIGEST")
    assert node.call("SAVE")
    for _ in range(3):
        node.restart(crash=True)
        assert node.call("DEBUG", "DIGEST") == digest
        assert node.call("DEBUG", "RELOAD")
        assert node.call("DEBUG", "DIGEST") == digest


def test_small_values_are_refused_at_once_where_only_large_ones_could_leave(server):
    node = server({**FULL, "flash.cache-size-bytes": "2mb"})
    pick = random.Random(1)
    fill_mixed(node, pick, 30)
    refused = 0
    for number in range(300):
        if number % 3 == 0:
            node.call("DEL", f"s{pick.randrange(200)}")
        try:
            node.call("EVAL", "return redis.call('FLASH.SET', KEYS[1], ARGV[1])", 1,
                      f"new{number}", os.urandom(pick.choice((3000, 8000, 100_000))))
        except redis.exceptions.ResponseError as error:
            refused += "FLASHFULL" in str(error)
    assert refused > 50
    assert waited_s(node) < 5 * SLOWDOWN


@pytest.mark.parametrize("way", ["script", "transaction", "pipeline"])
def test_what_is_deleted_leaves_flash_for_what_is_written_then(server, way):
    node = server({**FULL, "flash.capacity-bytes": "32mb"})
    hashes(node, 24)
    fill(node)
    value = os.urandom(30_000)
    if way == "script":
        assert node.call("EVAL", """
            for n = 0, 23 do redis.call('DEL', 'hash' .. n) end
            for n = 1, 400 do redis.call('FLASH.SET', 'new' .. n, ARGV[1] .. n) end
            return 1""", 0, value) == 1
        return
    pipe = node.client.pipeline(transaction=way == "transaction")
    pipe.delete(*[f"hash{n}" for n in range(24)])
    for number in range(400):
        pipe.execute_command("FLASH.SET", f"new{number}", value)
    assert pipe.execute(raise_on_error=False)[1:] == [b"OK"] * 400


@pytest.mark.parametrize("command", ["FLASH.SET", "RESTORE"])
def test_long_strings_overwritten_in_the_log_leave_ram_while_it_loads(server, command):
    node = server(LOG)
    node.call("FLASH.SET", "long", os.urandom(6_000_000))
    dump = node.call("DUMP", "long")
    for _ in range(40):
        if command == "RESTORE":
            node.call("RESTORE", "long", 0, dump, "REPLACE")
        else:
            node.call("FLASH.SET", "long", os.urandom(6_000_000))
    digest = node.call("DEBUG", "DIGEST")
    node.restart(crash=True)
    assert node.call("DEBUG", "DIGEST") == digest
    assert node.info("flash")["flash_cache_size_bytes"] <= 1.1 * MIB + 300_000


def test_restore_does_not_hold_up_others_for_a_minute(server):
    node = server(FULL)
    node.call("FLASH.SET", "source", os.urandom(20_000))
    string = node.call("DUMP", "source")
    node.call("FLASH.HSET", "hash", *pairs(range(300), 100))
    collection = node.call("DUMP", "hash")
    fill(node)
    for dump in (string, collection):
        with pytest.raises(redis.exceptions.ResponseError, match="Bad data format"):
            node.call("RESTORE", "copy", 0, dump)
    assert waited_s(node) < 3 * SLOWDOWN


def test_scripts_do_not_hold_up_others_again_and_again(server):
    node = server(FULL)
    node.call("FLASH.HSET", "cold", *pairs(range(200), 100))
    node.call("FLASH.DEBUG.DEMOTE", "cold")
    fill(node)
    script = ("for i = 1, 20 do "
              "redis.pcall('FLASH.HSET', KEYS[1], 'f' .. i, string.rep('x', 60000)) end")
    before = waited_s(node)
    node.call("EVAL", script, 1, "cold")
    assert waited_s(node) - before < 3 * SLOWDOWN


def test_a_full_replica_keeps_up_and_takes_what_was_restored(server):
    primary = server({**FULL, "flash.capacity-bytes": "64mb"})
    replica = server({**FULL, "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    primary.call("FLASH.SET", "source", os.urandom(30_000))
    primary.call("FLASH.HSET", "hash", *pairs(range(3000), 100))
    for number in range(600):
        primary.call("FLASH.SET", f"key:{number}", os.urandom(30_000))
    replica.wait_for_offset_of(primary)
    before = waited_s(replica)
    for number in range(0, 3000, 200):
        primary.call("FLASH.HSET", "hash", *pairs([number], 100))
    primary.call("RESTORE", "restored", 0, primary.call("DUMP", "source"))
    replica.wait_for_offset_of(primary)
    assert waited_s(replica) - before < 5 * SLOWDOWN
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")


@pytest.mark.parametrize("how", ["plain", "multi"])
def test_cold_strings_that_take_much_of_the_cache_are_read_though_nothing_makes_room(server, how):
    node = server(FULL)
    values = {f"string:{n}": os.urandom(200_000) for n in range(6)}
    for key, value in values.items():
        node.call("FLASH.SET", key, value)
        node.call("FLASH.DEBUG.DEMOTE", key)
    fill(node)
    before = waited_s(node)
    for key in [*values] * 3:
        with node.client.pipeline(transaction=how == "multi") as pipe:
            assert pipe.execute_command("FLASH.GET", key).execute() == [values[key]]
    assert waited_s(node) - before < 5 * SLOWDOWN
