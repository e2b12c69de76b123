"""flash_storage_prepared_bytes: what of the tier file was written at least once, over restarts."""

import os
import subprocess

import pytest


def write(node, count):
    for i in range(count):
        node.call("FLASH.SET", f"key:{i}", os.urandom(8000))
        node.call("FLASH.DEBUG.DEMOTE", f"key:{i}")
    return node.info()["flash_storage_prepared_bytes"]


def test_prepared_bytes_survive_a_restart(server):
    node = server({"flash.capacity-bytes": "32mb", "flash.compression": "none"})
    prepared = write(node, 100)
    assert prepared == node.info()["flash_storage_device_bytes_written"] > 100 * 8000
    kind = subprocess.check_output(["stat", "-f", "-c", "%T", node.dir], text=True).strip()
    if kind not in ("ext2/ext3", "xfs", "btrfs"):
        pytest.skip(f"{kind}: may not say what was written")
    node.client.flushall()
    node.restart()
    again = node.info()["flash_storage_prepared_bytes"]
    assert prepared <= again < 2 * prepared
    assert write(node, 50) == again, "the first segments are written a second time"
    assert node.info()["flash_storage_device_bytes_written"] > 50 * 8000
