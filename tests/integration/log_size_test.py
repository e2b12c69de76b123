"""The log beyond flash.wal-max-bytes: a snapshot that takes long, and one that fails."""

import os
import re

import pytest
import redis

from conftest import LOGGED, wait_until
from harness.children import child_of

LIMIT = 16 << 20
SETTINGS = {**LOGGED, "flash.sync": "no", "flash.wal-max-bytes": str(LIMIT)}
VALUE = os.urandom(100_000)


def log_bytes(node):
    return node.info("flash")["flash_wal_size_bytes"]


def write_until(node, done, most=2_000):
    """Overwrites a few keys until `done()`; returns what refused a write, or None."""
    for number in range(most):
        try:
            node.call("FLASH.SET", f"key:{number % 8}", VALUE)
        except redis.exceptions.ResponseError as error:
            return str(error)
        if done():
            return None
    pytest.fail("neither refused nor done")


def test_writes_go_on_while_a_snapshot_takes_long(server):
    """What refuses at twice the size, as after a failed BGSAVE, ends the first loop early."""
    node = server({**SETTINGS, "rdb-key-save-delay": "60000000"})
    node.call("SET", "slow", "a minute of the snapshot's child")
    assert write_until(node, lambda: log_bytes(node) > 3 * LIMIT) is None
    assert node.info("persistence")["rdb_bgsave_in_progress"] == 1
    error = write_until(node, lambda: False)
    assert re.match("FLASHFULL .*four times the size of flash.wal-max-bytes", error)
    assert 4 * LIMIT < log_bytes(node) < 4.25 * LIMIT
    # The child ends as the OOM killer ends it: that snapshot failed, the next one is quick.
    node.client.config_set("rdb-key-save-delay", "0")
    os.kill(child_of(node), 9)
    wait_until(lambda: write_until(node, lambda: True) is None, 30, "writes to be taken")
    wait_until(lambda: log_bytes(node) < LIMIT, 30, "the log's cut")
    assert node.call("FLASH.GET", "key:0") == VALUE


def test_writes_are_refused_at_twice_the_size_when_snapshots_fail(server):
    node = server(SETTINGS)
    (node.dir / "dump.rdb").mkdir()  # In the way of the rename.
    assert write_until(node, lambda: log_bytes(node) > LIMIT) is None
    wait_until(lambda: "Background saving error" in node.log(), 30, "a snapshot's failure")
    error = write_until(node, lambda: False)
    assert re.match("FLASHFULL .*twice the size of flash.wal-max-bytes, and BGSAVE fails", error)
    assert 2 * LIMIT < log_bytes(node) < 2.25 * LIMIT
    (node.dir / "dump.rdb").rmdir()
    wait_until(lambda: write_until(node, lambda: True) is None, 30, "writes to be taken")
    wait_until(lambda: log_bytes(node) < LIMIT, 30, "the log's cut")
