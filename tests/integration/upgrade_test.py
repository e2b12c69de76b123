"""docs/upgrade.md: newer servers under a replica pair in use, newer and older modules.

A pair goes from Debian 12's server to 8.1 and 9.1 (scripts/other_servers), replicas first, with
cold keys and a writer that never stops; what a newer module wrote is refused by number, and stays.
"""

import os
import shutil
import threading

import pytest
import redis

from conftest import LOGGED, ROOT, StartError, wait_until
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
    node.call("SAVE")
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
