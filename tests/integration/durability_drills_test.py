"""What docs/durability.md tells operators to do, done: backups, restores, disks replaced."""

import shutil
import signal

import pytest
import redis

from conftest import LOGGED, wait_until
from harness import disks
from harness.log_device import Witness

VALUES = {f"k{number}": f"{number}:".encode() + b"v" * 2000 for number in range(300)}


def fill(node, names=VALUES):
    for name in names:
        node.call("FLASH.SET", name, VALUES[name])


def holds(node, names=VALUES):
    names = list(names)
    return node.call("FLASH.MGET", *names) == [VALUES[name] for name in names]


def halves():
    names = list(VALUES)
    return names[:150], names[150:]


def state(node):
    return node.info("flash")["flash_module_state"]


def copy_files(node, other, *names):
    for name in names:
        shutil.copy(node.dir / name, other.dir / name)


def test_a_backup_of_the_rdb_alone(server):
    """Restored into the same place, and into an empty one."""
    before, after = halves()
    node = server(LOGGED)
    fill(node, before)
    node.save_in_background()
    backup = (node.dir / "dump.rdb").read_bytes()
    fill(node, after)
    node.save_in_background()
    node.stop()
    (node.dir / "dump.rdb").write_bytes(backup)
    (node.dir / "flash.wal").rename(node.dir / "flash.wal.old")
    node.start()
    assert state(node) == "error", "a log that is missing is refused"
    node.kill()
    node.settings["flash.wal-on-mismatch"] = "archive"
    node.start()
    assert holds(node, before) and node.client.dbsize() == len(before)
    fill(node, after)
    node.restart({"flash.wal-on-mismatch": "refuse"}, crash=True)
    assert holds(node)

    other = server({**LOGGED, "flash.wal-on-mismatch": "archive"}, start=False)
    (other.dir / "dump.rdb").write_bytes(backup)
    other.start()
    assert holds(other, before) and other.client.dbsize() == len(before)


@pytest.mark.parametrize("moment", ["stopped", "killed", "one moment of a running server"])
def test_a_backup_of_rdb_and_log_and_the_recovery_drill(server, moment):
    before, after = halves()
    node = server(LOGGED)
    fill(node, before)
    node.save_in_background()
    fill(node, after)
    if moment == "stopped":
        node.stop()
    elif moment == "killed":
        node.kill()
    else:  # As a snapshot of the file system sees them.
        node.process.send_signal(signal.SIGSTOP)
    copy = server(LOGGED, start=False)
    copy_files(node, copy, "dump.rdb", "flash.wal")
    if node.alive():
        node.process.send_signal(signal.SIGCONT)
    copy.start()
    assert holds(copy) and copy.client.dbsize() == len(VALUES)
    assert copy.info("flash")["flash_wal_recovered_records"] >= len(after)
    assert "records applied" in copy.log_since_start()
    copy.call("FLASH.SET", "goes on", "x")
    copy.restart(crash=True)
    assert copy.call("FLASH.GET", "goes on") == b"x"


def test_an_rdb_and_a_log_of_different_moments_are_refused_and_nothing_is_touched(server):
    node, stranger = server(LOGGED), server(LOGGED)
    for each in (node, stranger):
        fill(each, halves()[0])
        each.save_in_background()
        each.kill()
    files = {name: (node.dir / name).read_bytes() for name in ("dump.rdb", "flash.wal")}
    copy_files(stranger, node, "dump.rdb")
    node.start()
    assert state(node) == "error"
    assert "Give back the files that belong together" in node.log_since_start()
    for command in ("FLASH.GET a", "FLASH.SET a 1", "FLASH.DRAIN", "FLASH.ADOPT.SCAN 0",
                    "FLASH.MIGRATE 127.0.0.1 1 a 0 100", "FLASH.CONVERT a"):
        with pytest.raises(redis.exceptions.ResponseError, match="could not recover its data"):
            node.client.execute_command(*command.split())
    with pytest.raises(redis.exceptions.ConnectionError):
        node.call("SHUTDOWN", "NOSAVE")
    node.process.wait(30)
    assert (node.dir / "flash.wal").read_bytes() == files["flash.wal"]
    (node.dir / "dump.rdb").write_bytes(files["dump.rdb"])
    node.start()
    assert holds(node, halves()[0])


def test_the_log_moves_to_another_disk(server, tmp_path):
    new = tmp_path / "new-disk"
    new.mkdir()
    node = server(LOGGED)
    fill(node)
    node.stop()
    shutil.move(node.dir / "flash.wal", new / "flash.wal")
    node.settings["flash.wal-dir"] = str(new)
    node.start()
    assert holds(node)
    node.call("FLASH.SET", "after", "x")
    node.restart(crash=True)
    assert holds(node) and node.call("FLASH.GET", "after") == b"x"
    assert not (node.dir / "flash.wal").exists()


def test_the_disk_of_the_log_is_dead(server, tmp_path):
    """The way by a restart; by the AOF: log_device_test.py."""
    disk = disks.Disk(tmp_path, 64)
    try:
        node = server({**LOGGED, "flash.wal-dir": str(disk.path)})
        fill(node)
        witness = Witness(node.port, "witness", 8)
        wait_until(lambda: witness.acked > 20, what="writes")
        disk.break_down()
        witness.join(60)
        wait_until(lambda: node.info("flash")["flash_wal_base"] == "failed")
        node.save_in_background()
        node.kill()
        node.settings.update({"flash.wal-dir": str(node.dir), "flash.wal-on-mismatch": "archive"})
        node.start()
        assert holds(node)
        witness.judge(node)
        node.call("FLASH.SET", "after", "x")
        node.restart({"flash.wal-on-mismatch": "refuse"}, crash=True)
        assert holds(node) and node.call("FLASH.GET", "after") == b"x"
    finally:
        disk.close()


def test_a_cache_keeps_no_log_and_falls_back_to_its_rdb(server):
    before, after = halves()
    node = server({**LOGGED, "flash.wal": "no"})
    fill(node, before)
    node.save_in_background()
    fill(node, after)
    node.restart(crash=True)
    assert not list(node.dir.glob("flash.wal*"))
    assert holds(node, before) and node.client.dbsize() == len(before)
