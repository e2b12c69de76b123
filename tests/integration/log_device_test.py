"""The log's device fails while the server runs: nothing is acknowledged that is not durable.

Writes are refused until a new log with a new base stands, and go on by themselves then. What is
below the log layer fails here on command (harness/log_device.py) or for real (harness/disks.py).
"""

import contextlib
import time

import pytest
import redis

from conftest import LOGGED, wait_until
from harness import noise
from harness.failing_reads import FailingReads
from harness.log_device import KINDS, LogFault, Witness
from harness.resp import Connection, Disconnected
from harness.turns import HeldOutput, keep_busy

FAILING = pytest.mark.parametrize("kind", KINDS)
QUICK = ("flash.io-timeout-ms", "1000")  # Else a hang is noticed after 5 s only.


def base(node):
    return node.client.info("flash")["flash_wal_base"]


def trouble(node):
    return node.client.info("flash")["flash_wal_trouble"]


def start(server, settings=None):
    node = server({**LOGGED, **(settings or {})}, module_args=QUICK, start=False)
    fault = LogFault(node)
    return node.start(), fault


def fail_under_load(node, begin_fault, writers=4):
    """Clients write until the fault has ended them all; returns what they remember."""
    witnesses = [Witness(node.port, f"w{i}", depth) for i, depth in
                 zip(range(writers), (1, 1, 8, 16))]
    wait_until(lambda: all(each.acked > 20 for each in witnesses), what="writes")
    begin_fault()
    for each in witnesses:
        each.join(60)
        assert not each.is_alive()
    return witnesses


def writes_are_refused(node):
    with pytest.raises(redis.exceptions.ResponseError, match="FLASHIO the log cannot be written"):
        node.connect().execute_command("FLASH.SET", "refused", "x")
    with pytest.raises(redis.exceptions.ConnectionError):
        node.connect().execute_command("DEL", "w0")  # Natively nothing can refuse it.
    return True


@FAILING
def test_what_was_acknowledged_survives_a_crash_in_the_middle_of_it(server, kind):
    node, fault = start(server)
    witnesses = fail_under_load(node, lambda: fault.begin(kind))
    wait_until(lambda: base(node) == "failed")
    assert trouble(node) != "none"
    node.kill()
    fault.end()
    node.start()
    for each in witnesses:
        each.judge(node)
    assert base(node) in ("ok", "due") and trouble(node) == "none"


def test_what_works_from_timers_ends_with_the_log(server):
    """A drain changes no key whose change cannot be kept, and says why it ended."""
    node, fault = start(server, {"flash.cache-size-bytes": "1mb"})
    for n in range(4000):
        node.call("FLASH.SET", f"key:{n}", f"{n}:" + "v" * 400)
    link = Connection(node.port)
    link.send(["FLASH.DRAIN", "FORCE"])
    converted = lambda: node.connect().info("flash")["flash_convert_total"]  # noqa: E731
    wait_until(lambda: converted() > 20, what="some conversions")
    fault.begin("error")
    wait_until(lambda: node.connect().info("flash")["flash_wal_base"] == "failed")
    wait_until(lambda: not node.connect().info("flash")["flash_drain_in_progress"] == "yes",
               what="the drain's end")
    before = converted()
    assert before < 4000
    with contextlib.suppress(Disconnected, ConnectionError):
        assert link.read().value.startswith(b"FLASHIO")
    assert converted() == before
    assert "drain: " in node.log() and "FLASHIO" in node.log()
    node.kill()
    fault.end()
    node.start()
    for n in range(4000):
        name = f"key:{n}"
        ours = node.client.type(name) == b"flashstr1"
        held = node.call("FLASH.GET" if ours else "GET", name)
        assert held == f"{n}:".encode() + b"v" * 400


@pytest.mark.parametrize("command", [
    ("FLASH.DRAIN", "FORCE"), ("FLASH.ADOPT.SCAN", "0", "COUNT", "1000"),
    ("FLASH.MIGRATE", "127.0.0.1", "1", "ours", "0", "10")])
def test_transactions_and_scripts_change_no_key_of_many_either(server, command):
    node, fault = start(server)
    node.call("FLASH.SET", "ours", "value")
    node.call("SET", "native", "value")
    fault.begin("error")
    with contextlib.suppress(redis.exceptions.RedisError):
        node.connect().execute_command("FLASH.SET", "other", "value")
    wait_until(lambda: node.connect().info("flash")["flash_wal_base"] == "failed")
    pipe = node.connect().pipeline(transaction=True)
    pipe.execute_command(*command)
    replies = pipe.execute(raise_on_error=False)
    with pytest.raises(redis.exceptions.ResponseError) as error:
        node.connect().execute_command("EVAL", "return redis.call(unpack(ARGV))", 0, *command)
    replies.append(error.value)
    assert all("FLASHIO the log cannot be written" in str(reply) for reply in replies), replies
    assert node.client.type("ours") == b"flashstr1"
    assert node.client.type("native") == b"string"
    fault.end()


@FAILING
def test_writes_go_on_by_themselves_once_a_new_log_has_its_base(server, kind):
    node, fault = start(server)
    node.call("FLASH.SET", "kept", "k" * 100)
    witnesses = fail_under_load(node, lambda: fault.begin(kind))
    wait_until(lambda: base(node) == "failed")
    assert node.connect().execute_command("FLASH.GET", "kept") == b"k" * 100
    assert node.connect().execute_command("FLASH.MGET", "w0", "refused")[1] is None
    writes_are_refused(node)
    assert "the log cannot be written" in node.log_since_start()
    fault.end()
    wait_until(lambda: base(node) == "ok", 30, "the new base")
    assert "a new log was begun" in node.log_since_start()
    later = Witness(node.port, "later", 8)
    wait_until(lambda: later.acked > 20, what="writes again")
    node.kill()
    later.join()
    node.start()
    for each in [*witnesses, later]:
        if each.key != "w0":  # Deleted, or not, by whoever was disconnected for it.
            each.judge(node)
    assert node.call("FLASH.MGET", "kept", "refused") == [b"k" * 100, None]


def test_a_restored_key_that_cannot_be_read_again_ends_the_log(server):
    """RESTORE may leave a value on flash only; the log takes it from there, by DUMP."""
    node = server({**LOGGED, "flash.cache-size-bytes": "4mb"}, start=False,
                  module_args=("flash.io-backend", "threads"))  # Which read by pread.
    reads = FailingReads(node)
    node.start()
    node.call("FLASH.RPUSH", "list", *(noise.value(number) for number in range(4_000)))
    payload, elements = node.call("DUMP", "list"), node.call("FLASH.LRANGE", "list", 0, -1)
    with reads:
        with pytest.raises(Disconnected):
            Connection(node.port).call("RESTORE", "copy", 0, payload)
        assert "a restored key could not be read" in node.log()
    wait_until(lambda: base(node) == "ok", what="a new log with its base")
    assert node.connect().execute_command("RESTORE", "copy", 0, payload, "REPLACE")
    node.restart(crash=True)
    assert node.call("FLASH.LRANGE", "copy", 0, -1) == elements
    assert node.call("FLASH.LRANGE", "list", 0, -1) == elements


@FAILING
def test_it_fails_again_while_the_new_base_is_made(server, kind):
    node, fault = start(server, {"rdb-key-save-delay": "300000"})
    witnesses = fail_under_load(node, lambda: fault.begin(kind))
    wait_until(lambda: base(node) == "failed")
    fault.end()
    wait_until(lambda: base(node) == "awaited", 30, "the new log")
    with pytest.raises(redis.exceptions.ResponseError, match="FLASHIO .* waits for the snapshot"):
        node.connect().execute_command("FLASH.SET", "refused", "x")
    fault.begin(kind)
    time.sleep(0.5)  # The base may come to stand or not: whatever is the case must be right.
    node.kill()
    fault.end()
    node.settings["rdb-key-save-delay"] = "0"
    node.start()
    for each in witnesses:
        each.judge(node)
    assert node.call("FLASH.GET", "refused") is None


def test_every_second_loses_no_more_than_a_second(server):
    node, fault = start(server, {"flash.sync": "everysec"})
    for number in range(200):
        node.call("FLASH.SET", f"k{number}", "x" * 100)
    wait_until(lambda: node.info("flash")["flash_wal_durable_lsn"] >= 200, what="the sync")
    fault.begin("error")
    told = 0
    with contextlib.suppress(redis.exceptions.ResponseError):
        while True:
            node.call("FLASH.SET", f"later{told}", "x")
            told += 1
    assert base(node) == "failed"
    node.kill()
    fault.end()
    node.start()
    assert node.call("EXISTS", *(f"k{number}" for number in range(200))) == 200


def test_a_client_that_would_be_answered_early_is_cut_off_too(server):
    """Its unit is committed in the middle of the turn, where it cannot be killed."""
    node, fault = start(server)
    node.call("FLASH.SET", "k", "before")
    with HeldOutput(node) as held:
        fault.begin("error")
        with pytest.raises((Disconnected, ConnectionError)):
            held.call_and_read_in_one_turn("FLASH.SET", "k", "after")
    assert node.connect().ping()
    node.kill()
    fault.end()
    node.start()
    assert node.call("FLASH.GET", "k") in (b"before", b"after")


@pytest.mark.parametrize("kind", ["error", "hang"])
def test_a_long_script_while_it_fails(server, kind):
    """The server serves others from within the script, where it tells nobody of it."""
    node, fault = start(server, {"busy-reply-threshold": "3000"})
    node.call("FLASH.SET", "k", "before")
    quick, long = Connection(node.port), Connection(node.port)
    for each in (quick, long):
        each.must("PING")
    busy = keep_busy(node, 0.6)
    fault.begin(kind)
    quick.send(("FLASH.SET", "k", "after"))
    long.send(("EVAL", "while true do end", 0))
    with pytest.raises((Disconnected, ConnectionError)):
        pytest.fail(f"was told {quick.read()}")
    busy.join()
    node.kill()


# Real disks ------------------------------------------------------------------------------------


def on_disk(server, disk, settings=None):
    return server({**LOGGED, "flash.wal-dir": str(disk.path), **(settings or {})},
                  module_args=QUICK)


def test_a_full_disk_refuses_writes_beforehand_and_a_snapshot_makes_room(server, disk):
    """Of 20 MiB the log may take 32: it is cut, again and again, by the snapshots it asks for."""
    node = on_disk(server, disk(20))
    value = "v" * 20000
    done, refused = {}, 0
    for number in range(2500):
        try:
            node.call("FLASH.SET", f"k{number % 50}", f"{number}:" + value)
            done[number % 50] = number
        except redis.exceptions.ResponseError as full:
            assert "FLASHFULL the log cannot grow" in str(full)
            told = trouble(node)  # Cutting may have made room since.
            assert told == "none" or "disk is full" in told
            refused += 1
            wait_until(lambda: not node.info("persistence")["rdb_bgsave_in_progress"], 30)
    assert refused < 1250
    node.restart(crash=True)
    for key, number in done.items():
        assert node.call("FLASH.GET", f"k{key}").startswith(b"%d:" % number)


def test_a_disk_that_others_filled(server, disk):
    volume = disk(64)
    node = on_disk(server, volume)
    node.call("FLASH.SET", "k", "x")
    with open(volume.path / "others", "wb") as others, contextlib.suppress(OSError):
        while True:
            others.write(b"\0" * (1 << 16))
            others.flush()
    value = "v" * 50000
    acked = 0
    with contextlib.suppress(redis.exceptions.ResponseError):
        while acked < 2000:
            node.call("FLASH.SET", "k", f"{acked + 1}:" + value)
            acked += 1
    assert acked > 0
    (volume.path / "others").unlink()

    def accepted():
        with contextlib.suppress(redis.exceptions.ResponseError):
            return node.call("FLASH.SET", "after", "x")

    wait_until(accepted, 30, "writes to go on")
    node.restart(crash=True)
    assert node.call("FLASH.GET", "after") == b"x"
    assert node.call("FLASH.GET", "k").startswith(b"%d:" % acked)


def test_a_disk_that_dies_and_the_aof_as_the_way_on(server, disk):
    """Its file can never be written again: with the AOF on, writes go on without a restart."""
    volume = disk(64)
    node = on_disk(server, volume)
    witnesses = fail_under_load(node, volume.break_down)
    wait_until(lambda: base(node) == "failed")
    writes_are_refused(node)
    node.client.config_set("appendonly", "yes")
    wait_until(lambda: base(node) == "none", 30, "the AOF to take over")
    node.call("FLASH.SET", "after", "x")
    node.restart({"appendonly": "yes", "flash.wal-dir": str(node.dir)}, crash=True)
    for each in witnesses:
        if each.key != "w0":
            each.judge(node)
    assert node.call("FLASH.GET", "after") == b"x"


def test_a_disk_that_hangs_and_comes_back(server, disk):
    volume = disk(64)
    node = on_disk(server, volume)
    witnesses = fail_under_load(node, volume.freeze)
    wait_until(lambda: base(node) == "failed")
    assert node.connect().ping()
    volume.thaw()
    wait_until(lambda: base(node) == "ok", 30, "the new base")
    node.call("FLASH.SET", "after", "x")
    node.restart(crash=True)
    for each in witnesses:
        each.judge(node)
    assert node.call("FLASH.GET", "after") == b"x"
