"""Safeguards of recovery: each in place, and left out (src/durability/test_switches.h).

What a test here checks with the safeguard must turn out wrong without it. The doors have
durability_doors_test.py, position and commit the crash harness (crash_test.py).
"""

import time

import pytest

from conftest import LOGGED, wait_until

LEFT_OUT = pytest.mark.parametrize("left_out", [False, True], ids=["in place", "left out"])
PAST_MS = 1500


def start(server, safeguard, left_out, settings=None):
    node = server({**LOGGED, **(settings or {})}, start=False)
    node.environment["FLASH_TEST_BREAK"] = safeguard if left_out else ""
    return node.start()


@LEFT_OUT
@pytest.mark.parametrize("command", [("DEBUG", "RELOAD"), ("DEBUG", "RELOAD", "NOSAVE")],
                         ids=" ".join)
def test_the_flush_of_a_reload_is_no_effect(server, command, left_out):
    node = start(server, "reload", left_out)
    if left_out and node.version() >= (9, 0):
        pytest.skip("this server tells of the load before it tells of the flush")
    node.call("FLASH.SET", "k", "x" * 100)
    node.save_in_background()
    node.call(*command)
    node.call("FLASH.SET", "after", "y")
    node.restart(crash=True)
    assert node.call("FLASH.GET", "after") == b"y"
    assert (node.call("FLASH.GET", "k") == b"x" * 100) is not left_out


@LEFT_OUT
def test_keys_that_the_loader_drops_are_kept_for_the_replay(server, left_out):
    node = start(server, "limbo", left_out)
    node.call("FLASH.RPUSH", "list", *range(100))
    node.call("PEXPIRE", "list", PAST_MS)
    node.save_in_background()
    node.call("PERSIST", "list")
    node.kill()
    time.sleep(PAST_MS / 1000 + 0.1)  # Until the RDB's moment is over: nothing tells of it.
    node.start()
    if left_out:
        assert node.call("FLASH.DEBUG.STATE") in (b"error", "error")
    else:
        assert node.call("FLASH.LLEN", "list") == 100


@LEFT_OUT
def test_no_replica_continues_from_before_the_replay(server, left_out):
    """It stands exactly where the primary's RDB does, and the log goes on from there."""
    primary = start(server, "replid", left_out, {"repl-backlog-size": "10mb"})
    replica = server(LOGGED)
    replica.replicate_from(primary)
    primary.call("FLASH.SET", "a", "1")
    replica.wait_for_offset_of(primary)
    replica.client.replicaof("127.0.0.1", 1)  # Nobody: it keeps its place in the stream.
    wait_until(lambda: primary.info("replication")["connected_slaves"] == 0)
    primary.save_in_background()
    primary.call("FLASH.SET", "b", "2")
    primary.restart(crash=True)
    replica.replicate_from(primary)
    primary.call("FLASH.SET", "c", "3")
    wait_until(lambda: replica.call("FLASH.GET", "c") == b"3", 20, "the link")
    assert primary.call("FLASH.MGET", "a", "b", "c") == [b"1", b"2", b"3"]
    assert (replica.call("FLASH.GET", "b") == b"2") is not left_out
