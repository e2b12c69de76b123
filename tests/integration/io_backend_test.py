"""flash.io-backend: io_uring, or threads where it is forbidden; on real servers.

Forbidden is real: a seccomp filter, a limit of locked memory. The tests of other files that lean
most on the drive run once more over threads. What is refused in which words and by which system
call is tested closer to it, in src/io/tier_devices_test.cc.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from conftest import StartError
from harness.launcher import launched
from harness.noise import expect_every_value, value
from harness.threads import thread_names

KIB = 1 << 10
VALUES = 3000
FORBIDDEN = "--deny-io-uring="
SLICE = ("strings_parked_test.py", "collections_test.py", "snapshots_test.py",
         "block_reads_test.py", "bad_days_test.py")


def module_lines(text):
    return [line for line in text.splitlines() if "<flash>" in line or "<module> flash:" in line]


def about_backend(node):
    return [line for line in module_lines(node.log_since_start())
            if "io_uring" in line or "io-backend" in line or "locked-memory" in line]


def settings(**others):
    return {"flash.cache-size-bytes": "1mb", **{f"flash.{name.replace('_', '-')}": value
                                                for name, value in others.items()}}


def started(server, option=None, **others):
    node = server(settings(**others), start=False)
    if option:
        launched(node, option)
    return node.start()


def expect_works(node):
    """Fills several times the cache, reads all, alone and many at once, saves and loads it."""
    pipe = node.client.pipeline(transaction=False)
    for i in range(VALUES):
        pipe.execute_command("FLASH.SET", f"key{i}", value(i))
    pipe.execute()
    for i in range(0, VALUES, 10):
        assert node.call("FLASH.GET", f"key{i}") == value(i)
    expect_every_value(node.client, VALUES)
    info = node.info("flash")
    assert info["flash_cache_misses"] > VALUES // 2
    assert info["flash_device_reads"] > 0 and info["flash_device_writes"] > 0
    node.save_in_background()
    node.restart()
    expect_every_value(node.client, VALUES)
    node.call("SAVE")
    assert node.info("flash")["flash_read_errors"] == 0


def test_threads_when_asked_for(server):
    node = started(server, io_backend="threads")
    expect_works(node)
    assert node.info("flash")["flash_io_backend"] == "threads"
    assert about_backend(node) == []
    assert 1 <= node.info("flash")["flash_io_transfer_threads"] <= 64
    assert node.client.config_get("flash.io-backend") == {"flash.io-backend": "threads"}
    with pytest.raises(redis.exceptions.ResponseError, match="restart"):
        node.client.config_set("flash.io-backend", "auto")


def test_auto_takes_io_uring_where_it_may(server):
    node = started(server, io_backend="auto")
    if node.info("flash")["flash_io_backend"] != "uring":
        pytest.skip("no io_uring on this machine")
    assert node.info("flash")["flash_io_transfer_threads"] == 0
    assert about_backend(node) == []


@pytest.mark.parametrize("error, cause", [("EPERM", "is forbidden by"), ("ENOSYS", "is missing")])
def test_auto_goes_on_where_io_uring_is_forbidden_and_says_why_in_one_line(server, error, cause):
    node = started(server, FORBIDDEN + error, io_backend="auto")
    [line] = about_backend(node)
    assert f"io_uring {cause}" in line and "going on with flash.io-backend threads" in line
    expect_works(node)
    assert node.info("flash")["flash_io_backend"] == "threads"
    assert node.client.config_get("flash.io-backend") == {"flash.io-backend": "auto"}
    assert len(about_backend(node)) == 1, "one line for each start"


@pytest.mark.parametrize("error, cause, remedy", [
    ("EPERM", "io_uring is forbidden", "io_uring_setup, io_uring_enter and io_uring_register"),
    ("ENOSYS", "io_uring is missing", "Linux 5.11 or newer")])
def test_uring_stops_the_load_where_it_is_forbidden(server, error, cause, remedy):
    with pytest.raises(StartError) as caught:
        started(server, FORBIDDEN + error, io_backend="uring")
    [line] = [line for line in module_lines(str(caught.value)) if "io_uring" in line]
    for words in (cause, remedy, "set flash.io-backend to auto or threads"):
        assert words in line


def test_the_log_too_goes_on_where_io_uring_is_forbidden(server):
    node = started(server, FORBIDDEN + "EPERM", wal="yes", sync="always")
    node.call("FLASH.SET", "key", value(1))
    node.call("FLASH.RPUSH", "list", "a", "b")
    node.call("DEL", "list")
    assert node.info("flash")["flash_wal_durable_lsn"] > 0
    node.restart(crash=True)
    assert node.call("FLASH.GET", "key") == value(1)
    assert node.call("EXISTS", "list") == 0


def test_threads_ask_for_no_io_uring(server):
    node = started(server, FORBIDDEN + "EPERM", io_backend="threads")
    assert about_backend(node) == []
    assert node.info("flash")["flash_io_backend"] == "threads"


@pytest.mark.parametrize("threads", [2, 64])
def test_a_small_limit_of_locked_memory(server, threads):
    node = started(server, f"--memlock={64 * KIB}", io_backend="auto", io_threads=threads)
    lines = about_backend(node)
    if node.info("flash")["flash_io_backend"] == "uring":
        # Some kernels charge the rings too: with many threads they do not fit.
        assert "read buffers not registered" in lines[0]
    [line] = lines
    assert "64 KiB" in line and "LimitMEMLOCK=" in line
    expect_works(node)


def threads_of(node):
    names = thread_names(node.pid)
    return names.count("flash-transfer"), sum(name.startswith("flash-io-") for name in names)


def test_many_io_threads_share_one_bounded_pool(server):
    node = started(server, io_backend="threads", io_threads=64)
    transfer, io = threads_of(node)
    assert io == 64
    assert transfer == node.info("flash")["flash_io_transfer_threads"] <= 2, "idle"
    expect_works(node)
    transfer, io = threads_of(node)
    assert io == 64
    assert transfer == node.info("flash")["flash_io_transfer_threads"] <= 64


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("FLASH_IO_BACKEND") == "threads", reason="this is that run")
def test_other_files_over_threads():
    folder = Path(__file__).parent
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow",
         *SLICE], cwd=folder,
        env={**os.environ, "FLASH_IO_BACKEND": "threads"}, capture_output=True, text=True,
        check=False)
    assert run.returncode == 0, run.stdout[-20000:] + run.stderr[-2000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed and int(passed.group(1)) > 50, run.stdout[-2000:]
