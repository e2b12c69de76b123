"""A server that nothing else wakes: what a command begins goes on without the server's cron."""

import os
import time

import pytest

KEYS = 12
CRON_S = 1  # hz 1


@pytest.mark.parametrize("owner_reads", (1, 32))
def test_large_reads_do_not_wait_for_the_cron(server, owner_reads):
    node = server({"hz": "1", "flash.cache-size-bytes": "1mb", "flash.compression": "none",
                   "flash.main-thread-reads": owner_reads})
    values = [os.urandom(400_000) for _ in range(KEYS)]
    for number, value in enumerate(values):
        assert node.call("FLASH.SET", f"k{number}", value) == b"OK"
        node.call("FLASH.DEBUG.DEMOTE", f"k{number}")
    began = time.monotonic()
    for number, value in enumerate(values):
        assert node.call("FLASH.GET", f"k{number}") == value
    # Not a matter of speed: each read that the cron has to wake takes one period of it.
    assert time.monotonic() - began < KEYS * CRON_S / 2
