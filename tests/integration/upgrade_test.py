"""docs/upgrade.md: newer servers under a replica pair in use, newer and older modules.

A pair goes from Debian 12's server to 8.1 and 9.1 (scripts/other_servers), replicas first, with
cold keys and a writer that never stops; what a newer module wrote is refused by number, and stays.
"""

import fcntl
import os
import shutil
import subprocess
import threading

import pytest
import redis

from conftest import LOGGED, MODULE, ROOT, StartError, wait_until
from harness.pairs import outrun_backlog
from harness.resp import Connection
from leaving_test import contents, demote_all, fill
from strings_generic_test import crc64

SERVERS = ROOT / "third_party" / "servers"
TIERED = {**LOGGED, "flash.sync": "everysec", "flash.replica-tier-enabled": "yes",
          "flash.cache-size-bytes": "2mb", "flash.capacity-bytes": "256mb",
          "repl-backlog-size": "32mb", "save": "3600 1"}


class Writer(threading.Thread):
    """Writes numbered keys to whichever of a pair is the primary, and notes what it was told."""

    def __init__(self, pair):
        super().__init__()
        self._pair = pair
        self._stopping = threading.Event()
        self.acknowledged = []

    def run(self):
        number = 0
        while not self._stopping.wait(0.002):
            for node in self._pair:
                try:
                    with redis.Redis(port=node.port, socket_timeout=60) as client:
                        client.execute_command("FLASH.SET", f"written:{number}", b"v" * 200)
                except redis.exceptions.RedisError:
                    continue
                self.acknowledged.append(number)
                number += 1
                break

    def stop(self):
        self._stopping.set()
        self.join()


def restart_with(replica, primary, binary):
    """As an operator upgrades a replica: stopped in order, started anew over its files.

    As a replica from the start: else it would take writes for a moment, and then lose them.
    """
    replica.stop()
    replica.binary = binary
    replica.settings["replicaof"] = ["127.0.0.1", primary.port]
    replica.start()
    linked(replica)


def fail_over(primary, replica):
    replica.settings.pop("replicaof", None)
    primary.call("FAILOVER", "TO", "127.0.0.1", replica.port)
    wait_until(lambda: replica.info("replication")["role"] == "master", 60, "the failover")
    linked(primary)


def linked(replica):
    wait_until(lambda: replica.info("replication").get("master_link_status") == "up", 60,
               "the replication link")


def cold_keys(node):
    return node.info("flash")["flash_tiered_keys"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="the other servers are Debian's")
def test_a_pair_in_use_goes_from_8_0_to_8_1_and_9_1(server):
    newer = [SERVERS / name / "valkey-server" for name in ("trixie", "sid")]
    assert all(map(os.path.exists, newer)), "the servers are missing: scripts/other_servers"
    pair = [server(TIERED), server(TIERED)]
    primary, replica = pair
    replica.replicate_from(primary)
    fill(primary)
    writer = Writer(pair)
    writer.start()
    versions = []
    try:
        for binary in newer:
            replica.wait_for_offset_of(primary)
            for node in pair:
                demote_all(node)
                assert cold_keys(node) > 3
            # The replica first: a server loads what an older one sends, not the reverse.
            restart_with(replica, primary, binary)
            demote_all(replica)
            fail_over(primary, replica)
            primary, replica = replica, primary
            restart_with(replica, primary, binary)
            versions.append([node.info("server")["valkey_version"] for node in pair])
    finally:
        writer.stop()
    assert [[version[:4] for version in both] for both in versions] == \
        [["8.1."] * 2, ["9.1."] * 2]
    replica.wait_for_offset_of(primary)
    assert len(writer.acknowledged) > 100
    for node in pair:
        values = node.call("FLASH.MGET", *[f"written:{n}" for n in writer.acknowledged])
        assert values == [b"v" * 200] * len(values), "an acknowledged write is gone"
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")
    twin = server(TIERED)
    fill(twin)
    held = {key: value for key, value in contents(primary).items()
            if not key.startswith(b"written:")}
    assert held == contents(twin)


# A newer module ----------------------------------------------------------------------------------

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
AUXILIARY = 0xF7
TYPES = {"flashstr1": ("FLASH.SET", "k", "v" * 100), "flashhsh1": ("FLASH.HSET", "k", "f", "v"),
         "flashlst1": ("FLASH.RPUSH", "k", "v"), "flashzst1": ("FLASH.ZADD", "k", 1, "m")}
NEWER = 7


def identity(name, encoding):
    """A type's name and encoding version as RDB and DUMP have them."""
    number = 0
    for letter in name:
        number = number << 6 | LETTERS.index(letter)
    return b"\x81" + (number << 10 | encoding).to_bytes(8, "big")


def of_newer_module(data, name, encoding, auxiliary=None):
    """The bytes with one type's values (or what it stores beside the keys) of a newer encoding."""
    old, new = identity(name, encoding), identity(name, NEWER)
    at = data.find(old)
    while auxiliary is not None and at > 0 and (data[at - 1] == AUXILIARY) != auxiliary:
        at = data.find(old, at + 1)
    assert at > 0, f"no {name} in there"
    return data[:at] + new + data[at + len(new):]


@pytest.mark.parametrize("name", TYPES)
def test_a_payload_of_a_newer_module_is_refused_by_number(server, name):
    node = server()
    node.call(*TYPES[name])
    payload = node.call("DUMP", "k")
    newer = of_newer_module(payload, name, 2)[:-8]
    newer += crc64(newer).to_bytes(8, "little")
    reply = Connection(node.port).call("RESTORE", "other", 0, newer)
    assert reply.value == b"ERR Bad data format"
    assert f"encoding {NEWER}" in node.log() and "reads up to 2" in node.log()
    assert node.call("EXISTS", "other") == 0
    assert node.call("RESTORE", "other", 0, payload) == b"OK"


FILES = [(name, 2, False) for name in TYPES] + [("flashstr1", 2, True), ("flashlog1", 1, True)]


@pytest.mark.parametrize("name, encoding, auxiliary", FILES)
def test_a_file_of_a_newer_module_is_refused_by_number_and_kept(server, name, encoding, auxiliary):
    """N to N + 1 and back to N: N names the number and does not start; N's own backup loads."""
    node = server({**LOGGED, "rdbchecksum": "no", "save": ""})
    node.call(*TYPES.get(name, TYPES["flashstr1"]))
    node.call("FLASH.SET", "long", "x" * 500)
    before = contents(node)
    node.save()
    node.kill()
    backup = (node.dir / "dump.rdb").read_bytes()
    newer = of_newer_module(backup, name, encoding, auxiliary)
    (node.dir / "dump.rdb").write_bytes(newer)
    with pytest.raises(StartError) as refused:
        node.start()
    assert f"encoding {NEWER}" in str(refused.value), str(refused.value)
    assert f"reads up to {encoding}" in str(refused.value)
    assert (node.dir / "dump.rdb").read_bytes() == newer, "what was refused must stay as it is"
    (node.dir / "dump.rdb").write_bytes(backup)
    node.start()
    assert contents(node) == before


# The next version --------------------------------------------------------------------------------

# Two that differ from this version in what they write: the numbers of values and of what stands
# before the keys, or those of the tier file and the log. cmake/FlashTargets.cmake makes them.
NEXT = {"values": "encoding 3", "files": "format version 3"}


def next_library(kind):
    """The library of the next version, built where it is not yet: `make test` has done so."""
    folder = ROOT / "build" / "release"
    if not (folder / "build.ninja").exists():
        pytest.skip("no release build here: scripts/build release")
    target = f"valkey_flash_next_{kind}"
    with open(folder / "next.lock", "w") as lock:  # Tests may run beside each other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(["cmake", "--build", folder, "--target", target], check=False,
                              capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / f"lib{target}.so"


def with_library(node, library):
    node.module = library
    return node


def files_of(node):
    """Everything that holds data, by name."""
    return {path.name: path.read_bytes() for path in node.dir.iterdir()
            if path.name == "dump.rdb" or ".wal" in path.name or "flash.tier" == path.name}


def restored(node):
    """In the log as it came: by RESTORE, thus with the number of its encoding."""
    payload = node.call("DUMP", "s:block")
    node.call("RESTORE", "s:restored", 0, payload, "REPLACE")


def refused_start(node, number):
    """It does not start, names the number, and leaves all as it was."""
    before = files_of(node)
    with pytest.raises(StartError) as refused:
        node.start()
    assert number in str(refused.value) and "newer" in str(refused.value), str(refused.value)
    assert files_of(node) == before, "what was refused must stay as it is"


def refused_log(node, number):
    """It starts, since a log is applied beside the server's own data, and answers no command."""
    before = files_of(node)
    node.start()
    assert node.info("flash")["flash_module_state"] == "error"
    with pytest.raises(redis.ResponseError, match="could not recover its data"):
        node.call("FLASH.GET", "s:block")
    with pytest.raises(redis.ResponseError):
        node.save()
    [line] = [line for line in node.log_since_start().splitlines() if "cannot be applied" in line]
    assert number in line and "comes from a newer valkey-flash; this one reads up to 2" in line
    node.kill()
    after = files_of(node)
    assert after.pop("flash.tier") and before.pop("flash.tier")  # It holds nothing over a restart.
    assert after == before, "what was refused must stay as it is"


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEXT)
def test_a_version_to_the_next_and_back(server, kind):
    """N's snapshot and log load under N + 1; N refuses what that wrote and uses its own."""
    this, library = MODULE, next_library(kind)
    node = server({**TIERED, "flash.sync": "always", "save": ""})
    fill(node)
    node.save()
    node.call("FLASH.SET", "s:late", "l" * 500)  # In the log alone.
    restored(node)
    demote_all(node)
    before = contents(node)
    node.kill()
    backup = files_of(node)
    with_library(node, library).start()
    assert contents(node) == before
    assert "records applied" in node.log_since_start()
    # What N + 1 writes: first in the log alone, over N's snapshot, then in a snapshot too.
    node.call("FLASH.SET", "s:next", "n" * 500)
    restored(node)
    after = contents(node)
    node.kill()
    refused = refused_log if kind == "values" else refused_start
    refused(with_library(node, this), NEXT[kind])
    with_library(node, library).start()
    assert contents(node) == after, "the refusal has changed something"
    node.save()
    node.kill()
    refused_start(with_library(node, this), NEXT[kind])
    # N goes on with its own backup: snapshot and log together, which lose nothing of N's time.
    newer = files_of(node)
    for name in newer:
        (node.dir / name).unlink()
    for name, data in backup.items():
        (node.dir / name).write_bytes(data)
    node.start()
    assert contents(node) == before
    node.call("FLASH.SET", "s:again", "a" * 500)
    # And N + 1 with what it wrote.
    node.kill()
    for name, data in newer.items():
        (node.dir / name).write_bytes(data)
    with_library(node, library).start()
    assert contents(node) == after


DISK = {"repl-diskless-sync": "no", "repl-diskless-load": "disabled"}
BESIDE = {"repl-diskless-sync": "yes", "repl-diskless-load": "swapdb"}


@pytest.mark.slow
@pytest.mark.parametrize("sync", [DISK, BESIDE], ids=["disk", "beside the old data"])
def test_a_pair_in_use_goes_to_the_next_version_replica_first(server, sync):
    """Half way the older one follows by PSYNC, and takes no full synchronisation: by number."""
    settings = {**TIERED, **sync, "repl-backlog-size": "16kb", "flash.wal": "no", "save": ""}
    library = next_library("values")
    primary = server(settings)
    replica = server(settings, module=library)
    fill(primary)
    demote_all(primary)
    replica.replicate_from(primary)
    replica.wait_for_offset_of(primary)
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")
    fail_over(primary, replica)
    primary, replica = replica, primary
    primary.call("FLASH.HSET", "h:large", "f1", "by the newer one")
    replica.wait_for_offset_of(primary)
    held = replica.call("DEBUG", "DIGEST")
    assert held == primary.call("DEBUG", "DIGEST")
    assert primary.info("stats")["sync_full"] == 0
    outrun_backlog(primary)
    wait_until(lambda: "encoding 3" in replica.log(), 60, "the refusal")
    assert "reads up to 2" in replica.log()
    if sync is DISK:
        wait_until(lambda: not replica.alive(), 60, "the server to end, as it does by itself")
    else:
        assert replica.call("DEBUG", "DIGEST") == held, "the old data must stay"
        replica.stop()
    # Then it gets the newer one, too.
    (replica.dir / "dump.rdb").unlink(missing_ok=True)
    replica.settings["replicaof"] = ["127.0.0.1", primary.port]
    with_library(replica, library).start()
    linked(replica)
    replica.wait_for_offset_of(primary)
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST") != held
