"""What happens within one turn of the server's event loop, brought about on purpose."""

import contextlib
import threading
import time
from pathlib import Path

import redis

from harness.resp import Connection


def keep_busy(node, seconds):
    """Holds the server up; what others send meanwhile is met in one turn. Join what it returns."""
    def sleep():
        with contextlib.suppress(redis.exceptions.ConnectionError):  # It may be disconnected.
            node.connect().execute_command("DEBUG", "SLEEP", seconds)

    busy = threading.Thread(target=sleep)
    busy.start()
    deadline = time.monotonic() + 10
    while not sleeps(node.pid) and time.monotonic() < deadline:
        time.sleep(0.002)
    return busy


def sleeps(pid):
    """Is the main thread in nanosleep or clock_nanosleep, of x86_64 or aarch64?"""
    number = Path(f"/proc/{pid}/syscall").read_text().split()[0]
    return number in ("35", "230", "101", "115")


class HeldOutput:
    """A client that reads nothing, so that its output waits in the server: it has a write handler.

    The server serves a connection's input before its output, in one turn: what it sends once both
    are possible is answered before the turn ends.
    """

    VALUE_BYTES = 16000

    def __init__(self, node):
        self._node = node
        node.call("FLASH.SET", "held-output", "x" * self.VALUE_BYTES)
        self._link = Connection(node.port)
        self._number = self._link.must("CLIENT", "ID")
        self._owed = 0
        while not self.has_write_handler():
            assert self._owed < 10_000, "the system takes it all"
            self._link.send(("FLASH.GET", "held-output"))
            self._owed += 1

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._link.close()

    def has_write_handler(self):
        (client,) = self._node.client.client_list(client_id=[str(self._number)])
        return "w" in client["events"]

    def call_and_read_in_one_turn(self, *command):
        """The reply to `command`, which the server met together with room for its output."""
        busy = keep_busy(self._node, 0.9)
        for _ in range(self._owed // 2):  # Makes room, while the server looks elsewhere.
            assert len(self._link.read().value) == self.VALUE_BYTES
        self._link.send(command)
        try:
            for _ in range(self._owed - self._owed // 2):
                assert len(self._link.read().value) == self.VALUE_BYTES
            return self._link.read()
        finally:
            busy.join()
