"""FLASH.DEBUG.STATE, FLASH.DEBUG.DEMOTE, FLASH.COMPACTION.*: replies, waiting, what others see."""

import os
import select
import time

import pytest
import redis

from conftest import SLOWDOWN, wait_until
from harness.resp import Connection

MIB = 1 << 20


def put(node, *names, size=4000):
    for name in names:
        node.call("FLASH.SET", name, os.urandom(size))


def demote(node, name):
    return node.call("FLASH.DEBUG.DEMOTE", name)


def number(node, name):
    return node.info("flash")["flash_" + name]


def refuses(text, call, *args):
    with pytest.raises(redis.exceptions.ResponseError, match=text):
        call(*args)


class TestState:
    def test_is_a_simple_string(self, server):
        link = Connection(server().port)
        assert link.call("FLASH.DEBUG.STATE").raw == b"+ready\r\n"
        link.close()

    def test_needs_a_password_where_there_is_one(self, server):
        node = server()
        node.call("CONFIG", "SET", "requirepass", "secret")
        link = Connection(node.port)
        assert link.call("FLASH.DEBUG.STATE").raw.startswith(b"-NOAUTH ")
        link.must("AUTH", "secret")
        assert link.must("FLASH.DEBUG.STATE") == b"ready"
        link.close()

    def test_takes_no_argument(self, server):
        refuses("wrong number of arguments", server().call, "FLASH.DEBUG.STATE", "x")


class TestDemote:
    def test_ok_then_already_cold_then_hot_again_by_reading(self, server):
        node = server()
        put(node, "key")
        value = node.call("FLASH.GET", "key")
        assert demote(node, "key") == b"OK"
        assert (number(node, "blocks_cold"), number(node, "tiered_keys")) == (1, 1)
        assert demote(node, "key") == b"ALREADY_COLD"
        assert node.call("FLASH.GET", "key") == value
        assert number(node, "blocks_hot_clean") == 1
        assert demote(node, "key") == b"OK"  # Clean: leaves without a write.
        assert number(node, "commanded_demotions_total") >= 1
        assert node.call("FLASH.GET", "key") == value

    def test_all_blocks_of_a_large_value_are_on_flash_when_it_answers(self, server):
        node = server({"flash.compression": "none"})
        put(node, "rope", size=5 * MIB)
        assert demote(node, "rope") == b"OK"
        info = node.info("flash")
        assert info["flash_blocks_hot_dirty"] == info["flash_blocks_demoting"] == 0
        assert info["flash_storage_device_bytes_written"] >= 5 * MIB
        assert demote(node, "rope") == b"ALREADY_COLD"

    def test_values_that_never_tier_have_nothing_to_demote(self, server):
        node = server()
        node.call("FLASH.SET", "inline", "1")
        node.call("FLASH.SET", "tiny", "x" * 63)
        assert demote(node, "inline") == demote(node, "tiny") == b"ALREADY_COLD"
        assert node.call("FLASH.MGET", "inline", "tiny") == [b"1", b"x" * 63]
        assert node.call("FLASH.GET", "tiny") == b"x" * 63
        assert number(node, "tiered_keys") == number(node, "cache_hits") == 0
        assert number(node, "cache_misses") == 0

    @pytest.mark.parametrize("size", [20_000, 3_000])
    def test_values_of_several_blocks_do_not_wait_for_the_cron(self, server, size):
        """Which comes once a second here."""
        node = server({"hz": "1"})
        names = [f"l{n}" for n in range(30)]
        for name in names:
            node.call("FLASH.RPUSH", name, *[os.urandom(size) for _ in range(3)])
        began = time.monotonic()
        for name in names:
            assert demote(node, name) == b"OK"
        assert time.monotonic() - began < 15 * SLOWDOWN, "each waited for the cron"
        assert demote(node, names[0]) == b"ALREADY_COLD"

    def test_missing_expired_and_native_keys(self, server):
        node = server()
        node.call("SET", "native", "x")
        node.call("RPUSH", "list", "x")
        node.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        node.call("FLASH.SET", "old", "x" * 100, "PX", "1")
        wait_until(lambda: node.call("PTTL", "old") == -2, what="the expiry")
        refuses("^ERR key does not exist$|^key does not exist$", demote, node, "nothing")
        refuses("key does not exist", demote, node, "old")
        refuses("^WRONGTYPE Operation against", demote, node, "native")
        refuses("^WRONGTYPE Operation against", demote, node, "list")
        refuses("wrong number of arguments", node.call, "FLASH.DEBUG.DEMOTE")
        refuses("wrong number of arguments", node.call, "FLASH.DEBUG.DEMOTE", "a", "b")

    def test_keys_of_the_selected_database(self, server):
        node = server()
        other = node.connect(db=3)
        other.execute_command("FLASH.SET", "key", "x" * 100)
        refuses("key does not exist", demote, node, "key")
        assert other.execute_command("FLASH.DEBUG.DEMOTE", "key") == b"OK"

    def test_inside_transactions_and_scripts(self, server):
        node = server()
        put(node, "a", "b")
        with node.client.pipeline(transaction=True) as transaction:
            transaction.execute_command("FLASH.DEBUG.DEMOTE", "a")
            transaction.execute_command("FLASH.DEBUG.DEMOTE", "a")
            assert transaction.execute() == [b"OK", b"ALREADY_COLD"]
        script = "return redis.call('FLASH.DEBUG.DEMOTE', KEYS[1])"
        assert node.client.eval(script, 1, "b") == b"OK"
        assert node.client.eval(script, 1, "b") == b"ALREADY_COLD"
        assert number(node, "sync_waits_demote_command") == 2

    def test_nobody_notices(self, server):
        """No WATCH abort, no replication, no change of the data set: what an event tells aside."""
        node = server({"notify-keyspace-events": "KEA"})
        put(node, "key")
        listener = node.connect().pubsub()
        listener.psubscribe("__keyspace@0__:*")
        assert listener.get_message(timeout=5)["type"] == "psubscribe"
        dirty = node.info("persistence")["rdb_changes_since_last_save"]
        offset = node.info("replication")["master_repl_offset"]
        with node.client.pipeline(transaction=True) as watcher:
            watcher.watch("key")
            assert demote(node, "key") == b"OK"
            watcher.multi()
            watcher.execute_command("FLASH.GET", "key")
            assert len(watcher.execute()[0]) == 4000
        assert demote(node, "key") == b"OK"
        assert demote(node, "key") == b"ALREADY_COLD"
        assert node.info("persistence")["rdb_changes_since_last_save"] == dirty
        assert node.info("replication")["master_repl_offset"] == offset
        events = [listener.get_message(timeout=5)["data"] for _ in range(2)]
        assert events == [b"flash.evict", b"flash.evict"]
        assert listener.get_message(timeout=0.2) is None

    def test_on_a_read_only_replica(self, server):
        primary, replica = server(), server({"flash.replica-tier-enabled": "yes"})
        put(primary, "key")
        replica.replicate_from(primary)
        replica.wait_for_offset_of(primary)
        assert demote(replica, "key") == b"OK"
        assert number(replica, "tiered_keys") == 1 and number(primary, "tiered_keys") == 0
        assert replica.call("FLASH.GET", "key") == primary.call("FLASH.GET", "key")

    def test_many_clients_at_once_and_some_leave(self, server):
        node = server()
        names = [f"key:{i}" for i in range(60)]
        put(node, *names, size=60_000)
        links = [Connection(node.port) for _ in names]
        for link, name in zip(links, names):
            link.send(["FLASH.DEBUG.DEMOTE", name])
        for link in links[::3]:
            link.close()
        for i, link in enumerate(links):
            if i % 3:
                assert link.read().value == b"OK"
                link.close()
        # Of those who left, what was on its way still arrives.
        wait_until(lambda: number(node, "blocks_demoting") == 0, what="the others' blocks")
        assert number(node, "blocks_cold") >= 40
        assert node.call("FLASH.DEBUG.STATE") == b"ready"

    def test_the_event_loop_goes_on_meanwhile(self, server):
        """A second client is served while the first one waits; seen at least once in 30 tries."""
        node = server({"flash.compression": "none"})
        slow = Connection(node.port)
        pings = 0
        for i in range(30):
            put(node, f"rope:{i}", size=5 * MIB)
            slow.send(["FLASH.DEBUG.DEMOTE", f"rope:{i}"])
            while not select.select([slow], [], [], 0)[0]:
                assert node.client.ping()
                pings += 1
            assert slow.read().value == b"OK"
        assert pings > 0
        slow.close()

    def test_key_that_changes_while_it_is_demoted(self, server):
        node = server({"flash.compression": "none"})
        put(node, "gone", "other", size=30 * MIB)
        first, second = Connection(node.port), Connection(node.port)
        first.send(["FLASH.DEBUG.DEMOTE", "gone"])
        second.send(["FLASH.DEBUG.DEMOTE", "other"])
        node.call("DEL", "gone")
        node.call("DEL", "other")
        node.call("SET", "other", "native")
        assert first.read().value in (b"OK", b"ERR key does not exist")
        assert second.read().value in (b"OK", b"ERR key does not exist",
                                       b"WRONGTYPE Operation against a key holding the wrong "
                                       b"kind of value")
        first.close()
        second.close()
        assert number(node, "blocks_cold") + number(node, "blocks_hot_dirty") == 0


class TestCompaction:
    def test_trigger_returns_when_the_pass_is_done(self, server):
        node = server({"flash.compression": "none", "flash.compaction-interval-sec": "3600"})
        put(node, *[f"key:{i}" for i in range(300)], size=8000)
        for i in range(300):
            demote(node, f"key:{i}")
        node.call("DEL", *[f"key:{i}" for i in range(0, 300, 3)])
        dead = number(node, "storage_dead_bytes")
        assert node.call("FLASH.COMPACTION.TRIGGER") == b"OK"
        # What the open segment holds cannot be compacted.
        assert number(node, "storage_dead_bytes") < dead / 10
        assert number(node, "compaction_bytes_reclaimed") > dead * 9 // 10
        for i in range(300):
            assert node.call("EXISTS", f"key:{i}") == (1 if i % 3 else 0)
            assert i % 3 == 0 or len(node.call("FLASH.GET", f"key:{i}")) == 8000

    def test_nothing_to_do(self, server):
        node = server()
        assert [node.call("FLASH.COMPACTION.TRIGGER") for _ in range(3)] == [b"OK"] * 3
        assert number(node, "compaction_runs") == 3
        assert number(node, "compaction_segments") == 0

    def test_a_trigger_waits_for_the_end_of_a_snapshot(self, server):
        node = server({"flash.compression": "none", "flash.compaction-interval-sec": "3600",
                       "rdb-key-save-delay": "5000"})
        names = [f"key:{i}" for i in range(300)]
        put(node, *names, size=8000)
        for name in names:
            demote(node, name)
        node.call("DEL", *names[::3])
        dead = number(node, "storage_dead_bytes")
        node.call("BGSAVE")
        with node.client.pipeline(transaction=True) as transaction:
            transaction.execute_command("FLASH.COMPACTION.TRIGGER")
            [reply] = transaction.execute(raise_on_error=False)
        assert "nothing was compacted" in str(reply)
        assert number(node, "storage_dead_bytes") == dead
        assert node.info("persistence")["rdb_bgsave_in_progress"] == 1, "the snapshot was too quick"
        assert node.call("FLASH.COMPACTION.TRIGGER") == b"OK"
        assert node.info("persistence")["rdb_bgsave_in_progress"] == 0
        assert number(node, "storage_dead_bytes") < dead / 10

    def test_several_at_once_and_inside_others(self, server):
        node = server()
        links = [Connection(node.port) for _ in range(20)]
        for link in links:
            link.send(["FLASH.COMPACTION.TRIGGER"])
        for link in links:
            assert link.read().value == b"OK"
            link.close()
        with node.client.pipeline(transaction=True) as transaction:
            transaction.execute_command("FLASH.COMPACTION.TRIGGER")
            transaction.execute_command("FLASH.COMPACTION.TRIGGER")
            assert transaction.execute() == [b"OK", b"OK"]
        assert node.client.eval("return redis.call('FLASH.COMPACTION.TRIGGER')", 0) == b"OK"

    def test_stats_are_pairs_in_their_order(self, server):
        node = server({"flash.capacity-bytes": "32mb"})
        pairs = [pair.split(b":") for pair in node.call("FLASH.COMPACTION.STATS")]
        assert [name for name, _ in pairs[:3]] == [b"compaction_runs", b"bytes_reclaimed",
                                                   b"free_blocks"]
        values = dict(pairs)
        put(node, "key", size=100_000)
        demote(node, "key")
        later = dict(pair.split(b":") for pair in node.call("FLASH.COMPACTION.STATS"))
        assert all(value.isdigit() for value in [*values.values(), *later.values()])
        assert later[b"live_ppm"] == b"1000000"
        assert 1000 <= int(later[b"write_amplification_thousandths"]) < 20_000
        assert values[b"compaction_runs"] == values[b"bytes_reclaimed"] == b"0"
        assert int(values[b"free_blocks"]) == 32 * MIB // 4096
        refuses("wrong number of arguments", node.call, "FLASH.COMPACTION.STATS", "x")


class TestAccess:
    COMMANDS = ("flash.debug.state", "flash.debug.demote", "flash.compaction.trigger",
                "flash.compaction.stats")

    def test_categories(self, server):
        node = server()
        link = Connection(node.port)
        for name in self.COMMANDS:
            shown = link.must("COMMAND", "INFO", name)[0]
            assert {b"@flash", b"@admin"} <= set(shown[6]), name
        assert b"@dangerous" in link.must("COMMAND", "INFO", "flash.debug.demote")[0][6]
        link.close()
        node.call("ACL", "SETUSER", "eve", "on", "nopass", "~*", "+@flash", "-@dangerous")
        eve = node.connect(username="eve", password="x")
        assert eve.execute_command("FLASH.DEBUG.STATE") == b"ready"
        with pytest.raises(redis.exceptions.NoPermissionError):
            eve.execute_command("FLASH.DEBUG.DEMOTE", "key")

    def test_a_user_without_admin_is_refused(self, server):
        node = server()
        put(node, "key")
        node.call("ACL", "SETUSER", "joe", "on", "nopass", "~*", "+@all", "-@admin")
        joe = node.connect(username="joe", password="x")
        for words in (["FLASH.DEBUG.STATE"], ["FLASH.DEBUG.DEMOTE", "key"],
                      ["FLASH.COMPACTION.TRIGGER"], ["FLASH.COMPACTION.STATS"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                joe.execute_command(*words)

    def test_keys_are_declared(self, server):
        node = server()
        put(node, "mine", "theirs")
        link = Connection(node.port)
        assert link.must("COMMAND", "GETKEYS", "FLASH.DEBUG.DEMOTE", "mine") == [b"mine"]
        link.close()
        node.call("ACL", "SETUSER", "ann", "on", "nopass", "%R~mine", "+@all")
        ann = node.connect(username="ann", password="x")
        assert ann.execute_command("FLASH.DEBUG.DEMOTE", "mine") == b"OK"
        with pytest.raises(redis.exceptions.NoPermissionError):
            ann.execute_command("FLASH.DEBUG.DEMOTE", "theirs")
