"""The ways by which a reply could leave before its commit: closed, and open where a test wants it.

The server is killed as soon as the reply is there, and the next one must have the change. The test
of a closed door fails for a server whose door is open; that is tried, too.
"""

import socket
import time

import pytest

from conftest import LOGGED, wait_until
from harness.resp import encode
from harness.turns import HeldOutput, keep_busy

OPEN = pytest.mark.parametrize("door_open", [False, True], ids=["closed", "open"])


def start(server, door, door_open, settings=None):
    node = server({**LOGGED, **(settings or {})}, start=False)
    node.environment["FLASH_TEST_BREAK"] = door if door_open else ""
    return node.start()


def link(node):
    made = socket.create_connection(("127.0.0.1", node.port))
    made.settimeout(60)
    return made


def survives(node, key):
    node.environment["FLASH_TEST_COMMIT_DELAY"] = ""
    node.kill()
    node.start()
    return node.call("FLASH.GET", key) is not None


@OPEN
@pytest.mark.parametrize("command", [("FLASH.SET", "k", "v"), ("RENAME", "other", "k")],
                         ids=["ours", "the server's"])
def test_a_client_with_a_write_handler(server, command, door_open):
    node = start(server, "h1", door_open)
    node.call("FLASH.SET", "other", "v")
    node.restart(crash=True)
    node.environment["FLASH_TEST_COMMIT_DELAY"] = "1000000,0"
    node.restart(crash=True)
    with HeldOutput(node) as held:
        assert held.call_and_read_in_one_turn(*command).value == b"OK"
        assert survives(node, "k") is not door_open


@OPEN
def test_a_script_that_runs_long(server, door_open):
    node = start(server, "h2", door_open, {"busy-reply-threshold": "100"})
    quick, long = link(node), link(node)
    for each in (quick, long):  # Known to the server, in this order.
        each.sendall(encode(("PING",)))
        assert each.recv(100) == b"+PONG\r\n"
    busy = keep_busy(node, 0.5)
    quick.sendall(encode(("FLASH.SET", "k", "v")))
    long.sendall(encode(("EVAL", "while true do end", 0)))
    assert quick.recv(100) == b"+OK\r\n"
    assert survives(node, "k") is not door_open
    busy.join()
    quick.close()
    long.close()


def test_a_transaction_is_not_torn_by_what_runs_long_within_it(server):
    """What ended before a long script is committed meanwhile; what its own unit did, is not."""
    node = start(server, "h2", False, {"busy-reply-threshold": "100"})
    node.call("FLASH.SET", "known", "v")
    quick, long = link(node), link(node)
    loop = ("EVAL", "while true do end", 0)
    for command in (("MULTI",), ("FLASH.SET", "k", "v"), loop, ("EXEC",)):
        long.sendall(encode(command))
    quick.sendall(encode(("FLASH.GET", "known")))
    while not quick.recv(100).startswith(b"-BUSY"):
        quick.sendall(encode(("FLASH.GET", "known")))
    time.sleep(0.5)  # Ten times the age at which ended units are committed.
    assert not survives(node, "k")
    assert node.call("FLASH.GET", "known") == b"v"
    quick.close()
    long.close()


def test_threads_that_may_answer_early_are_put_away_while_needed(server):
    node = server({**LOGGED, "io-threads": "2"})
    if node.version() < (9, 0):
        pytest.skip("threads of this server answer at the turn's end alone")
    threads = lambda: node.client.config_get("io-threads")["io-threads"]  # noqa: E731
    assert threads() == "1"
    node.client.config_set("flash.sync", "everysec")
    wait_until(lambda: threads() == "2", what="the operator's value")
    node.client.config_set("flash.sync", "always")
    wait_until(lambda: threads() == "1", what="one thread")
    node.client.config_set("io-threads", "3")  # Remembered.
    wait_until(lambda: threads() == "1", what="one thread")
    node.client.config_set("appendonly", "yes")
    wait_until(lambda: threads() == "3", what="the operator's value, under an AOF")


def test_appendfsync_is_always_while_needed_and_the_operators_value_comes_back(server):
    node = server({**LOGGED, "flash.sync": "everysec", "appendfsync": "no"})
    fsync = lambda: node.client.config_get("appendfsync")["appendfsync"]  # noqa: E731
    assert fsync() == "no"
    node.client.config_set("flash.sync", "always")
    assert fsync() == "always"
    node.client.config_set("appendfsync", "everysec")  # Kept always, and remembered.
    assert fsync() == "always"
    node.client.config_set("flash.sync", "no")
    assert fsync() == "everysec"
