"""Little may be done: no locked memory, a read-only root, a user without rights, many I/O threads.

Under systemd, with a real unit's protections: systemd_test.py.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from conftest import LOGGED, MODULE, PATIENT, Server, wait_until
from harness.launcher import launched
from harness.machine import namespaces_refused
from harness.noise import expect_every_value, value
from harness.threads import thread_names

MIB = 1 << 20
KEYS = 1000
NOBODY = 65534


def expect_works(node):
    """More than the cache, a crash, a save and a start from it."""
    pipe = node.client.pipeline(transaction=False)
    for i in range(KEYS):
        pipe.execute_command("FLASH.SET", f"key{i}", value(i))
        pipe.execute_command("FLASH.ZADD", "set", i, f"member{i}".ljust(1000, "."))
    pipe.execute()
    expect_every_value(node.client, KEYS)
    assert node.info("flash")["flash_cache_misses"] > 0
    node.restart(crash=True)
    expect_every_value(node.client, KEYS)
    wait_until(lambda: not node.info("persistence")["rdb_bgsave_in_progress"], 60, "its own save")
    node.save_in_background()
    node.restart()
    expect_every_value(node.client, KEYS)
    assert node.call("FLASH.ZCARD", "set") == KEYS


@pytest.fixture
def confined():
    """Factory: confined(*options, **settings): a server of user nobody on a read-only root."""
    folder = Path(tempfile.mkdtemp(prefix="confined-"))  # pytest's own folders are root's alone.
    servers = []

    def make(*options, **settings):
        library = folder / "library.so"
        shutil.copy(MODULE, library)
        node = Server(folder / "server", {**LOGGED, "flash.cache-size-bytes": "1mb", **settings},
                      library, (), PATIENT)
        os.chmod(folder, 0o755)
        os.chown(node.dir, NOBODY, NOBODY)
        launched(node, f"--read-only-but={node.dir}", *options, f"--user={NOBODY}")
        servers.append(node)
        return node.start()

    yield make
    for node in servers:
        node.kill()
    shutil.rmtree(folder)


REFUSED = "not root" if os.geteuid() != 0 else namespaces_refused()
needs_root = pytest.mark.skipif(REFUSED is not None, reason=str(REFUSED))


@needs_root
@pytest.mark.parametrize("backend", ["auto", "threads"])
def test_read_only_root_no_rights_and_64_kib_of_locked_memory(confined, backend):
    node = confined(f"--memlock={64 << 10}", **{"flash.io-backend": backend})
    status = dict(line.split(":", 1)
                  for line in Path(f"/proc/{node.pid}/status").read_text().splitlines())
    assert status["Uid"].split() == [str(NOBODY)] * 4 and int(status["CapEff"], 16) == 0
    assert "Max locked memory         65536" in Path(f"/proc/{node.pid}/limits").read_text()
    mounts = Path(f"/proc/{node.pid}/mountinfo").read_text().splitlines()
    assert any(line.split()[4] == "/" and "ro" in line.split()[5].split(",") for line in mounts)
    expect_works(node)


@needs_root
def test_a_filter_that_kills_for_io_uring(confined):
    node = confined("--kill-for-io-uring")
    assert node.info("flash")["flash_io_backend"] == "threads"
    [line] = [line for line in node.log_since_start().splitlines() if "io_uring" in line]
    assert "a sandbox that kills for it" in line
    expect_works(node)


def rss(node):
    status = Path(f"/proc/{node.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines()
                if line.startswith("VmRSS:")) * 1024


@pytest.mark.parametrize("flash_threads, server_threads", [(2, 2), (64, 2), (2, 64), (64, 64)])
@pytest.mark.parametrize("backend", ["auto", "threads"])
def test_two_and_sixty_four_io_threads(server, flash_threads, server_threads, backend):
    """The module's and the server's. Idle, each of ours takes its read buffers, 2 MiB, at most."""
    node = server({**LOGGED, "flash.cache-size-bytes": "1mb", "io-threads": server_threads,
                   "flash.io-threads": flash_threads, "flash.io-backend": backend})
    names = thread_names(node.pid)
    assert sum(name.startswith("flash-io-") for name in names) == flash_threads
    bare = server({"io-threads": server_threads}, module=False)
    time.sleep(0.5)
    if "FLASH_LD_PRELOAD" not in os.environ:  # A sanitizer's memory is its own.
        assert rss(node) - rss(bare) < 8 * MIB + flash_threads * 2.2 * MIB
    expect_works(node)
