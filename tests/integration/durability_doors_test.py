"""The ways by which a reply could leave before its commit: closed, and open where a test wants it.

The commit is held up, the server is killed as soon as the reply is there, and the next one must
have the change. Each test fails for a server whose door is open; that is tried, too.
"""

import socket
import threading
import time

import pytest

from conftest import LOGGED, wait_until
from harness.resp import encode

HOLD_US = 800_000
OPEN = pytest.mark.parametrize("door_open", [False, True], ids=["closed", "open"])


def start(server, door, door_open, settings=None):
    node = server({**LOGGED, **(settings or {})}, start=False)
    node.environment["FLASH_TEST_BREAK"] = door if door_open else ""
    return node.start()


def restart_held(node):
    node.environment["FLASH_TEST_COMMIT_DELAY"] = f"{HOLD_US},0"
    node.restart()


def link(node):
    made = socket.create_connection(("127.0.0.1", node.port))
    made.settimeout(60)
    return made


def client_line(node, name):
    return next(line for line in node.client.client_list() if line["name"] == name)


def keep_busy(node, seconds):
    """Holds the server up; what others send meanwhile is met in one turn."""
    busy = threading.Thread(target=lambda: node.connect().execute_command(
        "DEBUG", "SLEEP", seconds))
    busy.start()
    time.sleep(seconds / 3)  # Nothing tells when it sleeps; too late is harmless.
    return busy


def survives(node, key):
    node.environment["FLASH_TEST_COMMIT_DELAY"] = ""
    node.kill()
    node.start()
    return node.call("FLASH.GET", key) is not None


@OPEN
def test_a_client_whose_output_waits(server, door_open):
    node = start(server, "h1", door_open)
    node.call("FLASH.SET", "big", "x" * 16000)
    restart_held(node)
    slow = link(node)
    slow.sendall(encode(("CLIENT", "SETNAME", "slow")))
    wait_until(lambda: any(line["name"] == "slow" for line in node.client.client_list()))
    asked = 0
    waiting = 0  # Looks in a row that found output waiting: the kernel may still take some.
    while waiting < 10:
        if "w" in client_line(node, "slow")["events"]:
            waiting += 1
            time.sleep(0.02)
            continue
        waiting = 0
        slow.sendall(encode(("FLASH.GET", "big")))
        asked += 1
    busy = keep_busy(node, 0.5)
    slow.sendall(encode(("FLASH.SET", "late", "y")))
    left = len(b"+OK\r\n") * 2 + asked * (len(b"$16000\r\n\r\n") + 16000)
    while left > 0:
        left -= len(slow.recv(1 << 20))
    assert survives(node, "late") is not door_open
    busy.join()
    slow.close()


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
