"""Debian's own units of valkey-server with the drop-ins of packaging/systemd, under a real systemd.

The machine is harness/machine.py's: this machine's systemd and packages in namespaces. The unit's
filter kills for a system call that it does not name, so a server that lives has made none.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import redis

from conftest import MODULE, ROOT, wait_until
from harness import machine as machines
from harness.noise import expect_every_value, value

UNIT = "valkey-server"
UNIT_FILE = Path("/lib/systemd/system/valkey-server.service")
LIBRARY = "/usr/lib/valkey/libvalkey_flash.so"
KEYS = 1500
OURS = ("StateDirectory", "StateDirectoryMode", "LimitMEMLOCK", "LimitMEMLOCKSoft",
        "SystemCallFilter", "TimeoutStopUSec", "TimeoutAbortUSec")
CONSEQUENCES = ("After", "Requires", "RequiresMountsFor", "CanClean", "DropInPaths")

REASON = machines.missing() or (None if UNIT_FILE.exists() else "no unit of Debian's here") or (
    "the system's server is not what is tested" if os.environ.get("FLASH_SERVER") else None)
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@pytest.fixture
def machine(tmp_path):
    """Booted, with the library, and the tiers' folders on the real drive."""
    folders = {}
    for name in ("valkey-flash", "valkey-flash-one"):
        (tmp_path / name).mkdir()
        folders[tmp_path / name] = f"/var/lib/{name}"
    folders[ROOT] = ROOT  # It may lie where the machine has a folder of its own.
    with machines.Machine(tmp_path / "machine", folders) as made:
        made.write(LIBRARY, MODULE.read_bytes(), 0o755)
        yield made


def set_up(machine, unit=UNIT, tier="/var/lib/valkey-flash/tier.bin", more=""):
    """The configuration as packaging/systemd says; `more` is a drop-in beside ours."""
    instance = unit.partition("@")[2]
    name = f"valkey{'-' if instance else ''}{instance}"
    conf = Path("/etc/valkey/valkey.conf").read_text()
    if instance:
        conf = re.sub(r"(?m)^logfile .*", f"logfile /var/log/valkey/{name}.log", conf)
        conf = re.sub(r"(?m)^pidfile .*", f"pidfile /run/{name}/valkey-server.pid", conf)
    conf += (f"\nunixsocket /run/{name}/server.sock\nloadmodule {LIBRARY}\nflash.path {tier}\n"
             "flash.capacity-bytes 64mb\nflash.cache-size-bytes 1mb\nsave 3600 1\n"
             # Locked memory is the user's, and tests of several machines may run at once.
             "flash.io-timeout-ms 60000\nflash.io-threads 1\n")
    machine.write(f"/etc/valkey/{name}.conf", conf)
    machine.must("chown", "-R", "valkey:valkey", "/etc/valkey")
    kind = "valkey-server@" if instance else "valkey-server"
    folder = f"/etc/systemd/system/{kind}.service.d"
    drop_in = ROOT / "packaging" / "systemd" / f"{kind}.service.d" / "flash.conf"
    machine.write(f"{folder}/flash.conf", drop_in.read_bytes())
    if more:
        machine.write(f"{folder}/more.conf", f"[Service]\n{more}\n")
    machine.must("systemctl", "daemon-reload")
    log = name if instance else "valkey-server"
    return f"/run/{name}/server.sock", f"/var/log/valkey/{log}.log"


def connect(machine, socket):
    return redis.Redis(unix_socket_path=str(machine.path(socket)), socket_timeout=120)


def expect_works(machine, unit, socket):
    """All kinds of work by one process, a restart, and an end in good order."""
    client = connect(machine, socket)
    pipe = client.pipeline(transaction=False)
    for i in range(KEYS):
        pipe.execute_command("FLASH.SET", f"key{i}", value(i))
        pipe.execute_command("FLASH.RPUSH", "list", value(i)[:500])
        pipe.execute_command("FLASH.HSET", "hash", f"field{i}", value(i)[:500])
        pipe.execute_command("FLASH.ZADD", "set", i, f"member{i}".ljust(300, "."))
    pipe.execute()
    expect_every_value(client, KEYS)
    for key, length in (("list", "LLEN"), ("hash", "HLEN"), ("set", "ZCARD")):
        assert client.execute_command("FLASH.DEBUG.DEMOTE", key) in (b"OK", b"ALREADY_COLD")
        assert client.execute_command(f"FLASH.{length}", key) == KEYS
    assert len(client.execute_command("FLASH.HGETALL", "hash")) in (KEYS, 2 * KEYS)
    for setting, word in (("flash.sync", "always"), ("flash.cache-size-bytes", "2mb"),
                          ("appendonly", "yes"), ("appendonly", "no")):
        assert client.config_set(setting, word)
        client.execute_command("FLASH.SET", "after", setting)
    client.execute_command("FLASH.COMPACTION.TRIGGER")
    client.execute_command("FLASH.CONVERT", "set")
    client.execute_command("FLASH.ADOPT", "set")
    client.execute_command("FLASH.DRAIN", "MATCH", "set", "FORCE")
    client.config_rewrite()
    wait_until(lambda: not client.info("persistence")["rdb_bgsave_in_progress"], 60, "BGSAVE")
    client.bgsave()
    wait_until(lambda: not client.info("persistence")["rdb_bgsave_in_progress"], 60, "BGSAVE")
    assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"
    assert client.info("flash")["flash_cache_misses"] > KEYS // 2
    before = machine.unit(unit, "MainPID", "NRestarts")
    assert before["NRestarts"] == "0", "systemd had to restart it"
    machine.must("systemctl", "restart", unit)
    after = machine.unit(unit, "MainPID", "NRestarts", "Result", "ActiveState")
    assert after["MainPID"] != before["MainPID"] and after["NRestarts"] == "0"
    assert (after["Result"], after["ActiveState"]) == ("success", "active")
    client = connect(machine, socket)
    wait_until(lambda: client.ping(), 30, "the server")
    expect_every_value(client, KEYS)
    assert client.execute_command("FLASH.GET", "after") == b"appendonly"
    machine.must("systemctl", "stop", unit)
    assert machine.unit(unit, "Result")["Result"] == "success"


def about_backend(machine, log):
    return [line for line in machine.path(log).read_text().splitlines()
            if "flash" in line and ("io_uring" in line or "locked-memory" in line)]


def backend(machine, socket):
    return connect(machine, socket).info("flash")["flash_io_backend"]


def expect_confined(machine, unit):
    """What the unit promises holds for the process itself."""
    status = machine.process_status(unit)
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert "0" not in status["Uid"].split()
    pid = machine.unit(unit, "MainPID")["MainPID"]
    mounts = machine.path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    [root] = [line.split() for line in mounts if line.split()[4] == "/"]
    assert "ro" in root[5].split(",")
    assert "noexec" in root[5].split(",")


def test_the_drop_in_takes_no_protection_away(machine):
    machine.must("systemctl", "daemon-reload")
    before = machine.unit(UNIT)
    set_up(machine)
    after = machine.unit(UNIT)
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed - set(CONSEQUENCES) <= set(OURS), changed
    allowed = set(after["SystemCallFilter"].split()) - set(before["SystemCallFilter"].split())
    assert allowed <= {"io_uring_setup", "io_uring_enter", "io_uring_register"}
    assert before["SystemCallFilter"] and "ptrace" not in after["SystemCallFilter"].split()


@pytest.mark.parametrize("unit, tier", [
    (UNIT, "/var/lib/valkey-flash/tier.bin"),
    ("valkey-server@one", "/var/lib/valkey-flash-one/tier.bin")])
def test_it_starts_and_works_under_debians_unit(machine, unit, tier):
    socket, log = set_up(machine, unit, tier)
    machine.must("systemctl", "start", unit)
    expect_confined(machine, unit)
    if backend(machine, socket) == "uring":
        assert about_backend(machine, log) == []
    expect_works(machine, unit, socket)


@pytest.mark.parametrize("filtered, cause", [
    ("~io_uring_setup io_uring_enter io_uring_register", "a sandbox that kills for it"),
    ("~io_uring_setup:EPERM io_uring_enter:EPERM io_uring_register:EPERM",
     "io_uring is forbidden by a sandbox")])
def test_where_the_filter_leaves_io_uring_out_threads_take_over(machine, filtered, cause):
    socket, log = set_up(machine, more=f"SystemCallFilter={filtered}")
    machine.must("systemctl", "start", UNIT)
    expect_confined(machine, UNIT)
    assert backend(machine, socket) == "threads"
    [line] = about_backend(machine, log)
    assert cause in line and "going on with flash.io-backend threads" in line
    expect_works(machine, UNIT, socket)


def test_a_small_limit_of_locked_memory(machine):
    socket, log = set_up(machine, more="LimitMEMLOCK=64K")
    machine.must("systemctl", "start", UNIT)
    pid = machine.unit(UNIT, "MainPID")["MainPID"]
    limits = machine.path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max locked memory +65536 +65536", limits)
    lines = about_backend(machine, log)
    assert 1 <= len(lines) <= 2 and all("64 KiB" in line for line in lines)  # Tier; log.
    expect_works(machine, UNIT, socket)


SLICES = {"auto": ("strings_parked_test.py", "snapshots_test.py", "migrate_test.py"),
          "threads": ("snapshots_test.py",)}
PROTECTIONS = ("CapabilityBoundingSet", "LockPersonality", "MemoryDenyWriteExecute",
               "NoNewPrivileges", "ProtectClock", "ProtectControlGroups", "ProtectHostname",
               "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
               "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime",
               "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter", "PrivateDevices")


@pytest.mark.slow
@pytest.mark.parametrize("io", SLICES)
def test_other_files_under_the_units_filter(machine, io, tmp_path):
    """Their servers run with the unit's own lines, but for where files may lie."""
    lines = [line for line in UNIT_FILE.read_text().splitlines()
             if line.partition("=")[0] in PROTECTIONS]
    assert len(lines) > len(PROTECTIONS) - 2
    shutil.copy(MODULE, tmp_path / "valkey-flash" / "library.so")  # Seen at the same place.
    words = [f"--property={line}" for line in lines]
    done = machine.run(
        "systemd-run", "--quiet", "--wait", "--pipe", *words, "--property=LimitNOFILE=8192",
        "--setenv=FLASH_MODULE=/var/lib/valkey-flash/library.so",
        "--setenv=TMPDIR=/var/lib/valkey-flash", f"--setenv=FLASH_IO_BACKEND={io}",
        f"--working-directory={ROOT / 'tests' / 'integration'}", sys.executable, "-m", "pytest",
        "-q", "-p", "no:cacheprovider", "-m", "not slow", *SLICES[io])
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed.group(1)) > 20, done.stdout[-2000:]
