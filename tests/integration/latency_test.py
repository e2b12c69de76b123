"""What the server's own tools say of time spent on flash: SLOWLOG and the latency monitor."""

import time

import pytest

from conftest import LOGGED, wait_until
from harness.parking import Holder, chill, send_and_park

WAIT_SEC = 0.05


@pytest.fixture
def holder(tmp_path, monkeypatch):
    made = Holder(tmp_path, monkeypatch)
    yield made
    made.let_go()


def events(node):
    """{event: longest time in milliseconds}."""
    return {row[0].decode(): row[3] for row in node.call("LATENCY", "LATEST")}


def park_and_read(node, holder):
    """A read of a cold key, parked for WAIT_SEC."""
    node.call("FLASH.SET", "key", "x" * 1000)
    chill(node, "key")
    holder.hold("fetch")
    connection = send_and_park(node, "FLASH.GET", "key")
    time.sleep(WAIT_SEC)
    holder.let_go()
    assert connection.read().plain() == b"x" * 1000


def test_the_time_of_a_parked_command_is_in_slowlog(server, holder):
    node = server({"slowlog-log-slower-than": str(int(WAIT_SEC * 1e6 * 0.9))})
    park_and_read(node, holder)
    slow = [row for row in node.client.slowlog_get() if row["command"] == b"FLASH.GET key"]
    assert len(slow) == 1
    assert slow[0]["duration"] >= WAIT_SEC * 1e6 * 0.9


def test_the_time_of_a_parked_command_is_an_event(server, holder):
    node = server({"latency-monitor-threshold": "1"})
    park_and_read(node, holder)
    assert events(node)["flash-park"] >= WAIT_SEC * 1000 * 0.9
    assert "flash-commit" not in events(node)


def test_reads_on_the_main_thread_are_an_event(server):
    node = server({"latency-monitor-threshold": "1"})
    names = [f"key:{i}" for i in range(3000)]
    for name in names:
        node.call("FLASH.SET", name, "x" * 300)
    chill(node, *names)
    assert "flash-wait" not in events(node) or node.call("LATENCY", "RESET", "flash-wait") == 1
    pipe = node.client.pipeline(transaction=True)
    pipe.execute_command("FLASH.MGET", *names)
    assert pipe.execute()[0] == [b"x" * 300] * len(names)
    assert wait_until(lambda: events(node).get("flash-wait"), 10, "the event") >= 1


def test_commits_of_the_log_are_an_event(server, monkeypatch):
    monkeypatch.setenv("FLASH_TEST_COMMIT_DELAY", str(int(WAIT_SEC * 1e6)))
    node = server({**LOGGED, "latency-monitor-threshold": "1"})
    node.call("FLASH.SET", "key", "value")
    assert wait_until(lambda: events(node).get("flash-commit"), 10, "the event") >= WAIT_SEC * 1000


def test_nothing_is_noted_while_the_monitor_is_off(server, holder):
    node = server()
    park_and_read(node, holder)
    assert events(node) == {}
