"""Atomic slot migration (Valkey 9.x): `CLUSTER MIGRATESLOTS` carries keys of ours, cold ones too.

The source forks and sends a rewritten AOF of its slots, then what is written meanwhile; the target
applies it to keys that nobody sees before the last step. Whatever fails leaves the keys where they
were, and nothing at the target. Skipped where the server has no such command.
"""

import os
import threading
import time

import pytest

from conftest import LOGGED, free_port, wait_until
from harness.cluster import PARTIAL, migration_outcomes
from harness.parking import chill
from harness.resp import Connection

CLUSTER = {**PARTIAL, "cluster-node-timeout": "5000",
           "flash.cache-size-bytes": "1mb", "flash.compression": "none"}
SLOT = 15495  # Of {a}.
SHAPES = ("string", "hash", "list", "zset")
COUNT = 40


class Pair:
    """Two primaries: the first has every slot at first."""

    def __init__(self, server, source=None, target=None):
        self.nodes = [server({**CLUSTER, "cluster-port": free_port(), **(settings or {})})
                      for settings in (source, target)]
        self.source, self.target = self.nodes
        if self.ask(self.source, "COMMAND", "INFO", "CLUSTER|MIGRATESLOTS") == [None]:
            pytest.skip("this server has no atomic slot migration")
        self.source.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        self.source.call("CLUSTER", "MEET", "127.0.0.1", self.target.port,
                         self.target.settings["cluster-port"])
        wait_until(lambda: all(self.settled(node) for node in self.nodes), 60, "the cluster")

    @staticmethod
    def ask(node, *args):
        return Connection(node.port).must(*args)

    def settled(self, node):
        info = self.ask(node, "CLUSTER", "INFO")
        return b"cluster_state:ok" in info and b"cluster_slots_ok:16384" in info \
            and b"cluster_known_nodes:2" in info

    def id_of(self, node):
        return self.ask(node, "CLUSTER", "MYID")

    def owner_of(self, node, slot=SLOT):
        """The id of the slot's owner as `node` sees it."""
        for first, last, owner, *_ in self.ask(node, "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return owner[2]
        return None

    def migrate(self, first=SLOT, last=SLOT):
        self.source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, last, "NODE",
                         self.id_of(self.target))

    def outcome(self):
        """State and message of the last migration, as the source has it."""
        return migration_outcomes(self.source)[0]

    def wait_for(self, *states):
        return wait_until(lambda: self.outcome() if self.outcome()[0] in states else None, 60,
                          f"a migration that is one of {states}")

    def moved(self):
        """Returns once both nodes say that the target has the slot."""
        self.wait_for(b"success")
        target = self.id_of(self.target)
        wait_until(lambda: all(self.owner_of(node) == target for node in self.nodes), 30,
                   "both nodes to know the new owner")


def names():
    return [f"{{a}}{shape}{n}" for n in range(COUNT) for shape in SHAPES] + ["{a}rope", "{a}tree",
                                                                            "{a}long", "{a}many"]


def fill(node):
    """Keys of every shape and size, all of them cold, some with a time to live."""
    c = Connection(node.port)
    for n in range(COUNT):
        value = b"%d:" % n + os.urandom(2000)
        c.must("FLASH.SET", f"{{a}}string{n}", value, *(["EX", 10_000] if n % 2 else []))
        c.must("FLASH.HSET", f"{{a}}hash{n}", "ex", "5", "f", value[:900], "keepttl", "x")
        c.must("FLASH.RPUSH", f"{{a}}list{n}", value[:700], "", value[700:1500])
        c.must("FLASH.ZADD", f"{{a}}zset{n}", "-inf", value[:600], 1.5, "m", "inf", "n")
    c.must("FLASH.SET", "{a}rope", os.urandom(900_000))
    c.must("FLASH.HSET", "{a}tree", *[part for n in range(3000) for part in (f"f{n}", "v" * 90)])
    c.must("FLASH.HSET", "{a}tree", "large", os.urandom(400_000))
    c.must("FLASH.RPUSH", "{a}long", *[f"{n}:" + "e" * 60 for n in range(4000)])
    c.must("FLASH.ZADD", "{a}many", *[part for n in range(3000) for part in (n % 7, f"m{n}" * 9)])
    c.must("EXPIRE", "{a}many", 10_000)
    c.must("FLASH.SET", "{a}tiny", "t")
    c.must("SET", "{a}native", "n")
    c.must("RPUSH", "{a}nativelist", *range(500))
    chill(node, *names())


def digests(node):
    c = Connection(node.port)
    keys = [*names(), "{a}tiny", "{a}native", "{a}nativelist"]
    return list(zip(c.must("DEBUG", "DIGEST-VALUE", *keys),
                    [c.must("PEXPIRETIME", key) for key in keys]))


def used(node):
    return node.info("flash")["flash_storage_used_bytes"]


def assert_empty(node):
    """No key, and nothing that a key has left."""
    assert node.call("DBSIZE") == 0
    wait_until(lambda: used(node) == 0, 20, "the tier to be given back")
    info = node.info("flash")
    for field in ("tiered_keys", "blocks_cold", "blocks_hot_dirty", "blocks_hot_clean",
                  "resident_tiny_values", "held_bytes", "cache_pinned_bytes"):
        assert info[f"flash_{field}"] == 0, (field, info[f"flash_{field}"])


class Writer(threading.Thread):
    """A client that goes on writing to keys of its own wherever the slot is, and knows them."""

    def __init__(self, pair):
        super().__init__()
        self._ports = [node.port for node in pair.nodes]
        self._over = threading.Event()
        self.model = {"h": {}, "l": [], "z": {}, "s": b""}
        self.redirected = 0
        self.failure = None

    def run(self):
        try:
            connections = [Connection(port) for port in self._ports]
            turn = 0
            while not self._over.is_set() or self.redirected == 0 and turn < 100_000:
                self._step(connections, turn)
                turn += 1
        except Exception as error:  # Shown by end().
            self.failure = error

    def _step(self, connections, turn):
        field, value = f"f{turn % 300}", b"%d " % turn * 40
        changes = [
            (("FLASH.HSET", "{a}wh", field, value), lambda: self.model["h"].update({field: value})),
            (("FLASH.RPUSH", "{a}wl", value), lambda: self.model["l"].append(value)),
            (("FLASH.LPOP", "{a}wl"), lambda: self.model["l"].pop(0)),
            (("FLASH.RPUSH", "{a}wl", value, field), lambda: self.model["l"].extend(
                [value, field.encode()])),
            (("FLASH.ZADD", "{a}wz", turn, field), lambda: self.model["z"].update({field: turn})),
            (("FLASH.SET", "{a}ws", value), lambda: self.model.update(s=value)),
        ]
        command, change = changes[turn % len(changes)]
        while True:
            reply = connections[min(self.redirected, 1)].call(*command)
            if not reply.is_error:
                return change()
            if reply.value.startswith(b"MOVED ") and self.redirected == 0:
                self.redirected = 1
            elif not reply.value.startswith((b"TRYAGAIN ", b"MOVED ", b"CLUSTERDOWN ")):
                raise AssertionError(reply.value)
            else:
                time.sleep(0.01)

    def end(self):
        self._over.set()
        self.join(60)
        assert not self.is_alive() and self.failure is None, self.failure

    def check(self, node):
        c = Connection(node.port)
        flat = c.must("FLASH.HGETALL", "{a}wh")
        assert dict(zip(flat[::2], flat[1::2])) == {
            field.encode(): value for field, value in self.model["h"].items()}
        assert c.must("FLASH.LRANGE", "{a}wl", 0, -1) == self.model["l"]
        assert c.must("FLASH.GET", "{a}ws") == self.model["s"]
        flat = c.must("FLASH.ZRANGE", "{a}wz", 0, -1, "WITHSCORES")
        assert {member: int(score) for member, score in zip(flat[::2], flat[1::2])} == {
            field.encode(): score for field, score in self.model["z"].items()}


def test_the_module_consents(server):
    pair = Pair(server)
    pair.source.call("SET", "{a}native", "n")
    pair.migrate()
    pair.moved()
    assert Connection(pair.target.port).must("GET", "{a}native") == b"n"


def test_cold_keys_of_every_type_move_under_a_writer(server):
    pair = Pair(server)
    fill(pair.source)
    expected = digests(pair.source)
    reads = pair.source.info("flash")["flash_block_fetches"]
    writer = Writer(pair)
    writer.start()
    pair.source.call("CONFIG", "SET", "rdb-key-save-delay", 5000)
    pair.migrate()
    pair.moved()
    writer.end()
    assert writer.redirected == 1
    assert digests(pair.target) == expected
    writer.check(pair.target)
    # The child reads for itself: it brings nothing to the parent's RAM.
    assert pair.source.info("flash")["flash_block_fetches"] - reads < 3 * COUNT
    wait_until(lambda: pair.source.call("DBSIZE") == 0, 30, "the source to let go")
    assert_empty(pair.source)
    chill(pair.target, *names())
    assert digests(pair.target) == expected


def test_the_targets_replica_and_logs_have_it_too(server):
    pair = Pair(server, LOGGED, LOGGED)
    replica = server({**CLUSTER, **LOGGED, "cluster-port": free_port()})
    replica.call("CLUSTER", "MEET", "127.0.0.1", pair.target.port,
                 pair.target.settings["cluster-port"])
    target_id = pair.id_of(pair.target)
    wait_until(lambda: target_id in pair.ask(replica, "CLUSTER", "NODES"), 30, "the replica")
    wait_until(lambda: replica.call("CLUSTER", "REPLICATE", target_id), 30)
    wait_until(lambda: replica.info("replication").get("master_link_status") == "up", 30, "link")
    fill(pair.source)
    expected = digests(pair.source)
    writer = Writer(pair)
    writer.start()
    pair.migrate()
    pair.moved()
    writer.end()
    replica.wait_for_offset_of(pair.target)
    assert pair.ask(replica, "DEBUG", "DIGEST") == pair.ask(pair.target, "DEBUG", "DIGEST")
    for node in (pair.source, pair.target):
        node.restart(crash=True)
    wait_until(lambda: all(b"cluster_state:ok" in pair.ask(node, "CLUSTER", "INFO")
                           for node in pair.nodes), 60, "the cluster")
    # Native keys are no concern of our log.
    assert digests(pair.target)[:-2] == expected[:-2]
    writer.check(pair.target)
    wait_until(lambda: pair.source.call("DBSIZE") == 0, 30, "the source to let go")


@pytest.mark.parametrize("how", ["cancelled", "target flushed", "link lost"])
def test_an_aborted_migration_leaves_nothing(server, how):
    pair = Pair(server)
    fill(pair.source)
    expected, before = digests(pair.source), used(pair.source)
    pair.source.call("CONFIG", "SET", "rdb-key-save-delay", 30_000)
    pair.migrate()
    wait_until(lambda: used(pair.target) > 0 or pair.target.info("flash")["flash_blocks_hot_dirty"],
               30, "the first keys to arrive")
    assert pair.ask(pair.target, "DBSIZE") == 0, "keys on their way can be seen"
    if how == "cancelled":
        pair.source.call("CLUSTER", "CANCELSLOTMIGRATIONS")
    elif how == "target flushed":
        pair.target.call("FLUSHALL")
    else:
        [client] = [line for line in pair.ask(pair.target, "CLIENT", "LIST").split(b"\n")
                    if b" cmd=cluster|syncslots " in line or b" flags=i" in line]
        pair.target.call("CLIENT", "KILL", "ID", client.split()[0][3:])
    pair.wait_for(b"failed", b"cancelled")
    wait_until(lambda: not pair.source.info("persistence").get("rdb_bgsave_in_progress"), 30)
    assert_empty(pair.target)
    assert digests(pair.source) == expected
    assert used(pair.source) == before
    # And once more, to the end.
    pair.source.call("CONFIG", "SET", "rdb-key-save-delay", 0)
    pair.migrate()
    pair.moved()
    assert digests(pair.target) == expected


def test_too_little_room_at_the_target_fails(server):
    """What the target cannot hold stays with the source, whole."""
    pair = Pair(server, target={"flash.capacity-bytes": "16mb"})
    c = Connection(pair.source.port)
    for n in range(3000):
        c.must("FLASH.SET", f"{{a}}k{n}", os.urandom(10_000))
    before = used(pair.source)
    pair.migrate()
    state, _ = pair.wait_for(b"failed", b"success")
    assert state == b"failed"
    assert pair.target.info("flash")["flash_flashfull_replies"] >= 1
    assert pair.owner_of(pair.source) == pair.id_of(pair.source)
    assert pair.ask(pair.source, "CLUSTER", "COUNTKEYSINSLOT", SLOT) == 3000
    assert used(pair.source) == before
    assert_empty(pair.target)
    assert pair.target.info("memory")["used_memory"] < 30 << 20
    c.must("FLASH.SET", "{a}k0", "still writable" * 10)


def test_a_target_that_crashes_on_the_way_keeps_no_key(server):
    """Its log has the keys that came; the slot is not its own, so they go."""
    pair = Pair(server, target=LOGGED)
    fill(pair.source)
    Connection(pair.target.port).must("CONFIG", "SET", "cluster-require-full-coverage", "no")
    expected = digests(pair.source)
    pair.source.call("CONFIG", "SET", "rdb-key-save-delay", 30_000)
    pair.migrate()
    wait_until(lambda: pair.target.info("flash")["flash_wal_appended_lsn"] > 20, 30, "keys to come")
    pair.target.restart(crash=True)
    pair.wait_for(b"failed")
    wait_until(lambda: pair.settled(pair.target), 60, "the cluster")
    assert "records applied" in pair.target.log_since_start()
    assert_empty(pair.target)
    pair.target.restart(crash=True)
    assert_empty(pair.target)
    assert digests(pair.source) == expected


def test_what_waits_when_writes_are_paused_goes_to_the_new_owner(server):
    """A cold write that was parked when the slot left is not applied at the source."""
    pair = Pair(server)
    fill(pair.source)
    over = threading.Event()
    done, failures = [0], []

    def push():
        connections = {node.port: Connection(node.port) for node in pair.nodes}
        port = pair.source.port
        while not over.is_set():
            # Cold for the most part: the cache is much smaller than the data.
            key = f"{{a}}hash{done[0] % COUNT}"
            reply = connections[port].call("FLASH.HSET", key, f"n{done[0]}", "x" * 20)
            if not reply.is_error:
                done[0] += 1
            elif reply.value.startswith(b"MOVED "):
                port = pair.target.port if port == pair.source.port else pair.source.port
            elif not reply.value.startswith((b"TRYAGAIN ", b"CLUSTERDOWN ")):
                failures.append(reply.value)
                return

    thread = threading.Thread(target=push)
    thread.start()
    pair.migrate()
    pair.moved()
    time.sleep(0.2)
    over.set()
    thread.join(60)
    assert not failures and done[0] > COUNT
    c = Connection(pair.target.port)
    for n in range(COUNT):
        fields = {f"n{i}".encode() for i in range(n, done[0], COUNT)}
        assert fields <= set(c.must("FLASH.HGETALL", f"{{a}}hash{n}")[::2])
