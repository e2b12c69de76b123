"""Room in the cache: what was acknowledged never lacks it, what fits nowhere is refused."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

SMALL = {"flash.cache-size-bytes": "1mb", "flash.compression": "none"}
LARGE = {"flash.cache-size-bytes": "64mb", "flash.compression": "none"}


def fill(node, fields=60_000):
    for start in range(0, fields, 50):
        write(node, range(start, start + 50))


def write(node, numbers):
    node.call("FLASH.HSET", "hash", *[part for n in numbers for part in (f"f{n}", os.urandom(100))])


def write_scattered(node):
    """Small writes whose leaves lie all over a hash that is larger than the small cache."""
    for step in (3, 7, 11, 13, 17, 23):
        write(node, range(3_000))
        write(node, range(0, 3_000 * step // 7, step))
        write(node, range(0, 60_000, step * 5))


def test_scattered_writes_arrive_where_the_cache_is_smaller(server):
    primary = server({**LARGE, "appendonly": "yes"})
    replica = server({**SMALL, "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    fill(primary)
    write_scattered(primary)
    digest = primary.call("DEBUG", "DIGEST")
    replica.wait_for_offset_of(primary)
    assert replica.call("DEBUG", "DIGEST") == digest
    primary.restart(SMALL, crash=True)
    assert primary.call("DEBUG", "DIGEST") == digest


@pytest.mark.slow
def test_a_write_that_follows_one_of_more_than_the_cache_waits_for_room(server):
    node = server(SMALL)
    fill(node)
    for step in (3, 7, 11, 13, 17, 23):
        write(node, range(0, 60_000, 3))
        write(node, range(0, 60_000, step * 5))
        write(node, range(0, 3_000 * step // 7, step))
    assert node.info("flash")["flash_flashfull_replies"] == 0


def test_nobody_is_refused_while_there_is_room_on_flash(server):
    """Writes that need most of the cache, and more leaves than it holds, among small ones."""
    node = server(SMALL)
    fill(node, 20_000)

    def writer(number):
        client = node.connect()
        for turn in range(12):
            if number % 3 == 0:
                fields = range(number, 20_000, 17 + turn)
                pairs = [part for n in fields for part in (f"f{n}", os.urandom(100))]
                assert client.execute_command("FLASH.HSET", "hash", *pairs) == 0
            elif number % 3 == 1:
                pipe = client.pipeline(transaction=True)
                for n in range(20):
                    pipe.execute_command("FLASH.SET", f"s{number}:{n}", os.urandom(20_000))
                assert pipe.execute(raise_on_error=False) == [b"OK"] * 20
            else:
                for n in range(40):
                    client.execute_command("FLASH.SET", f"s{number}:{n}", os.urandom(9_000))

    with ThreadPoolExecutor(9) as pool:
        for done in [pool.submit(writer, number) for number in range(9)]:
            done.result()
    info = node.info("flash")
    assert info["flash_flashfull_replies"] == 0
    assert info["flash_demotion_stall_events_total"] > 0, "nobody had to wait"


def test_what_was_acknowledged_is_applied_without_room_on_flash(server):
    primary = server({**LARGE, "appendonly": "yes"})
    replica = server({**SMALL, "flash.capacity-bytes": "16mb",
                      "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    for number in range(6):
        primary.call("FLASH.SET", f"large{number}", os.urandom(3_000_000))
    for number in range(60):
        primary.call("FLASH.SET", f"string{number}", os.urandom(60_000))
        primary.call("FLASH.RPUSH", "list", *[os.urandom(1_000) for _ in range(30)])
    digest = primary.call("DEBUG", "DIGEST")
    replica.wait_for_offset_of(primary)
    assert replica.call("DEBUG", "DIGEST") == digest
    primary.restart({**SMALL, "flash.capacity-bytes": "16mb"}, crash=True)
    assert primary.call("DEBUG", "DIGEST") == digest


def test_a_script_cannot_make_a_large_value_that_fits_nowhere(server):
    node = server({**SMALL, "flash.capacity-bytes": "16mb"})
    with pytest.raises(redis.ResponseError, match="FLASHFULL"):
        node.client.eval("return redis.call('FLASH.SET', KEYS[1], ARGV[1])", 1, "key",
                         os.urandom(32 << 20))
    assert node.call("EXISTS", "key") == 0
    assert node.info("flash")["flash_cache_size_bytes"] <= 2 << 20
