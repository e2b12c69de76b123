"""Bad days: broken bytes, full or failing disks, files of others; on a real server.

Whatever happens: never wrong data, the key stays, the error says what it is, and the server goes
on as soon as the cause is gone. Finer faults (torn, lost, misdirected) are the simulator's.
"""

import os
import resource
import threading

import pytest
import redis

from conftest import StartError, wait_until
from harness import disks, values
from harness.launcher import launched
from harness.resp import Connection

MIB = 1 << 20
VALUE_BYTES = 8000


def name_of(number):
    return b"key:%d" % number


def put(node, numbers, version=1, size=VALUE_BYTES):
    for number in numbers:
        node.call("FLASH.SET", name_of(number), values.make(name_of(number), version, size))


def demote(node, numbers):
    for number in numbers:
        assert node.call("FLASH.DEBUG.DEMOTE", name_of(number)) in (b"OK", b"ALREADY_COLD")


def version_of(node, number):
    identity = values.parse(node.call("FLASH.GET", name_of(number)))
    assert identity.name == name_of(number)
    return identity.version


def assert_fails(word, call, *args):
    with pytest.raises(redis.exceptions.ResponseError, match="^" + word):
        call(*args)


def accounting_holds(info):
    return (info["flash_storage_used_bytes"] + info["flash_storage_free_bytes"]
            == info["flash_storage_capacity_bytes"])


# Broken bytes ----------------------------------------------------------------------------------


def test_broken_bytes_are_an_error_and_the_key_stays(server):
    node = server({"flash.capacity-bytes": "32mb"})
    put(node, range(40))
    demote(node, range(30))
    disks.spoil_file(node.dir / "flash.tier")
    for number in range(30):
        assert_fails("FLASHIO", node.call, "FLASH.GET", name_of(number))
        assert node.call("EXISTS", name_of(number)) == 1
    assert_fails("FLASHIO", node.call, "FLASH.MGET", name_of(35), name_of(3))
    assert_fails("FLASHIO", node.call, "FLASH.SET", name_of(3), "new", "GET")
    info = node.info("flash")
    assert info["flash_checksum_errors"] >= 30 and info["flash_flashio_replies"] >= 32
    assert [version_of(node, number) for number in range(30, 40)] == [1] * 10
    node.call("FLASH.SET", name_of(3), values.make(name_of(3), 2, VALUE_BYTES))
    assert version_of(node, 3) == 2
    assert node.call("DEL", name_of(4)) == 1 and node.call("RENAME", name_of(5), "other")
    assert_fails("FLASHIO", node.call, "FLASH.GET", "other")
    complaints = node.log_since_start().count("checksum")
    assert 1 <= complaints < 30, "the log line is there, and rate-limited"
    assert accounting_holds(node.info("flash"))


def test_broken_bytes_in_a_transaction_and_a_script(server):
    node = server({"flash.capacity-bytes": "32mb"})
    put(node, range(2))
    demote(node, range(2))
    disks.spoil_file(node.dir / "flash.tier")
    link = Connection(node.port)
    for words in (["MULTI"], ["FLASH.GET", name_of(0)], ["SET", "native", "x"]):
        link.must(*words)
    got, after = link.must("EXEC")
    assert got.startswith(b"FLASHIO") and after == b"OK"
    reply = link.call("EVAL", "return redis.call('FLASH.GET', KEYS[1])", 1, name_of(1))
    assert reply.is_error and b"FLASHIO" in reply.value
    link.close()
    assert node.call("EXISTS", name_of(0), name_of(1)) == 2


def test_a_save_with_broken_bytes_fails_loudly(server):
    node = server({"flash.capacity-bytes": "32mb"})
    put(node, range(5))
    node.call("SAVE")
    saved = (node.dir / "dump.rdb").read_bytes()
    demote(node, range(5))
    disks.spoil_file(node.dir / "flash.tier")
    node.call("BGSAVE")
    wait_until(lambda: not node.info("persistence")["rdb_bgsave_in_progress"], 60, "BGSAVE")
    assert node.info("persistence")["rdb_last_bgsave_status"] == "err"
    assert (node.dir / "dump.rdb").read_bytes() == saved, "the older file stays"
    # DUMP has no way to fail; what it gives is refused, so that MIGRATE keeps the key as well.
    with pytest.raises(redis.exceptions.ResponseError, match="Bad data format"):
        node.call("RESTORE", "copy", 0, node.call("DUMP", name_of(0)))
    assert node.call("EXISTS", "copy", name_of(0)) == 1
    node.restart(crash=True)
    assert [version_of(node, number) for number in range(5)] == [1] * 5


# Full ------------------------------------------------------------------------------------------


def fill_until_full(node, size=64_000):
    """Writes values until FLASHFULL; returns how many were acknowledged."""
    for number in range(100_000):
        try:
            put(node, [number], size=size)
        except redis.exceptions.ResponseError as error:
            assert str(error).startswith("FLASHFULL"), error
            return number
    raise AssertionError("16 MiB of flash never get full")


def test_full_flash_refuses_writes_reads_on_and_recovers(server):
    node = server({"flash.capacity-bytes": "16mb", "flash.cache-size-bytes": "1mb",
                   "flash.compression": "none"})
    count = fill_until_full(node)
    assert count * 64_000 > 8 * MIB, "it gave up with half of the flash empty"
    assert node.call("EXISTS", name_of(count)) == 0, "the refused write left something"
    assert [version_of(node, number) for number in range(count)] == [1] * count
    assert_fails("FLASHFULL", node.call, "FLASH.SET", name_of(0),
                 values.make(name_of(0), 2, 10 * MIB))
    assert version_of(node, 0) == 1
    info = node.info("flash")
    assert accounting_holds(info) and info["flash_flashfull_replies"] >= 2
    assert info["flash_cache_size_bytes"] <= 1.1 * MIB + 2 * 64_000
    node.call("DEL", *(name_of(number) for number in range(count // 2)))
    wait_until(lambda: writes_again(node, count // 2 - 2), 30, "writes to go on")
    assert [version_of(node, number) for number in range(count // 2, count)] == \
        [1] * (count - count // 2)
    assert accounting_holds(node.info("flash"))


def writes_again(node, count):
    try:
        put(node, range(count), version=3, size=64_000)
    except redis.exceptions.ResponseError as error:
        assert str(error).startswith("FLASHFULL"), error
        return False
    return [version_of(node, number) for number in range(count)] == [3] * count


# Failing disks ---------------------------------------------------------------------------------


def test_writes_that_fail_leave_the_values_in_ram_and_are_retried(server):
    node = launched(server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "64mb"},
                           start=False), "--survive-file-limit").start()
    soft, hard = resource.prlimit(node.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (MIB // 2, hard))
    acknowledged = 0
    try:
        for number in range(2000):
            put(node, [number])
            acknowledged += 1
    except redis.exceptions.ResponseError as error:
        assert str(error).startswith("FLASHFULL"), error
    assert acknowledged >= 50
    info = wait_until(lambda: failing(node), 20, "INFO to say that writes fail")
    assert info["flash_writes_failing"] == "yes"
    assert [version_of(node, number) for number in range(acknowledged)] == [1] * acknowledged
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (soft, hard))
    wait_until(lambda: writes_again(node, 150), 60, "demotion to go on")
    wait_until(lambda: node.info("flash")["flash_writes_failing"] == "no", 30, "the all-clear")
    assert node.info("flash")["flash_tiered_keys"] > 0


def failing(node):
    info = node.info("flash")
    return info if info["flash_write_errors"] > 0 else None


def test_a_disk_that_breaks_down(server, disk):
    place = disk(128)
    node = server({"flash.path": place.path / "flash.tier", "flash.capacity-bytes": "64mb",
                   "flash.cache-size-bytes": "2mb"})
    put(node, range(300))
    demote(node, range(200))
    place.break_down()
    assert_fails("FLASHIO", node.call, "FLASH.GET", name_of(7))
    assert node.call("EXISTS", name_of(7)) == 1
    node.call("FLASH.SET", name_of(7), values.make(name_of(7), 2, VALUE_BYTES))
    assert version_of(node, 7) == 2
    assert node.info("flash")["flash_read_errors"] >= 1
    outcomes = {"ok": 0, "FLASHFULL": 0}
    for number in range(1000, 2000):
        try:
            put(node, [number])
            outcomes["ok"] += 1
        except redis.exceptions.ResponseError as error:
            outcomes[str(error).split()[0]] += 1
            break
    assert outcomes["FLASHFULL"] == 1, "RAM is bounded although nothing can be demoted"
    assert [version_of(node, number) for number in range(1000, 1000 + outcomes["ok"])] == \
        [1] * outcomes["ok"]


def test_a_disk_whose_writes_hang(server, disk):
    place = disk(128)
    node = server({"flash.path": place.path / "flash.tier", "flash.capacity-bytes": "64mb",
                   "flash.cache-size-bytes": "1mb"})
    place.freeze()
    acknowledged = 0
    try:
        for number in range(1000):
            put(node, [number])
            acknowledged += 1
    except redis.exceptions.ResponseError as error:
        assert str(error).startswith("FLASHFULL"), error
    assert 50 <= acknowledged < 1000
    assert [version_of(node, number) for number in range(acknowledged)] == [1] * acknowledged
    assert node.client.ping()
    place.thaw()
    wait_until(lambda: writes_again(node, 400), 60, "demotion to go on")


def test_a_disk_that_pauses_refuses_no_transaction(server, disk):
    place = disk(128)
    node = server({"flash.path": place.path / "flash.tier", "flash.capacity-bytes": "64mb",
                   "flash.cache-size-bytes": "1mb"})
    place.freeze()
    timer = threading.Timer(3, place.thaw)  # Three times as long as a failing disk is given.
    timer.start()
    try:
        for start in range(0, 2000, 20):
            pipe = node.client.pipeline(transaction=True)
            for number in range(start, start + 20):
                name = name_of(number)
                pipe.execute_command("FLASH.SET", name, values.make(name, 1, VALUE_BYTES))
            assert pipe.execute(raise_on_error=False) == [b"OK"] * 20
    finally:
        timer.join()
    assert [version_of(node, number) for number in range(2000)] == [1] * 2000


def test_a_read_that_hangs_is_given_up(server, disk):
    place = disk(128)
    node = server({"flash.path": place.path / "flash.tier", "flash.capacity-bytes": "64mb",
                   "flash.io-timeout-ms": "300"})
    put(node, range(100))
    demote(node, range(100))
    throttle = disks.Throttle(node.pid, place.device_number())
    try:
        throttle.reads_per_second(1)
        link = Connection(node.port)
        link.send(*(["FLASH.GET", name_of(number)] for number in range(8)))
        assert node.client.ping(), "nobody else waits"
        replies = [link.read() for _ in range(8)]
        assert any(reply.is_error and reply.value.startswith(b"FLASHIO") for reply in replies)
        for reply in replies:
            assert reply.is_error or values.parse(reply.value)
        throttle.reads_per_second(0)
        link.close()
    finally:
        throttle.close()
    wait_until(lambda: reads_all(node, 100), 30, "the disk to answer again")
    assert node.info("flash")["flash_read_timeouts"] >= 1


@pytest.mark.parametrize("owner_reads", (1, 32))
def test_many_reads_that_hang_hold_up_nobody_else(server, disk, owner_reads):
    """More at a time than the main thread hands to the device itself."""
    place = disk(128)
    node = server({"flash.path": place.path / "flash.tier", "flash.capacity-bytes": "64mb",
                   "flash.io-timeout-ms": "300", "flash.main-thread-reads": owner_reads})
    put(node, range(80))
    demote(node, range(80))
    throttle = disks.Throttle(node.pid, place.device_number())
    try:
        throttle.reads_per_second(1)
        links = [Connection(node.port) for _ in range(80)]
        for number, link in enumerate(links):
            link.send(["FLASH.GET", name_of(number)])
        put(node, range(100, 120))
        for link in links:
            reply = link.read()
            assert (reply.value.startswith(b"FLASHIO") if reply.is_error
                    else values.parse(reply.value))
            link.close()
    finally:
        throttle.close()
    wait_until(lambda: reads_all(node, 80), 30, "the disk to answer again")
    assert node.info("flash")["flash_read_timeouts"] > owner_reads


def test_a_rewrite_whose_reads_hang_fails(server, disk):
    """The child has many reads under way when the device stops answering."""
    place = disk(128)
    node = server({"flash.path": place.path / "flash.tier", "flash.capacity-bytes": "64mb",
                   "flash.io-timeout-ms": "300", "aof-use-rdb-preamble": "no"})
    put(node, range(100))
    demote(node, range(100))
    throttle = disks.Throttle(node.pid, place.device_number())
    try:
        throttle.reads_per_second(1)
        node.client.bgrewriteaof()
        wait_until(lambda: not node.info("persistence")["aof_rewrite_in_progress"], 30, "its end")
        throttle.reads_per_second(0)
    finally:
        throttle.close()
    assert node.info("persistence")["aof_last_bgrewrite_status"] == "err"
    assert "while saving (no answer from the device)" in node.log()
    node.rewrite_aof()


def test_a_transaction_does_not_wait_to_demote_what_waits_for_the_disk(server, disk):
    place = disk(128)
    node = server({"flash.path": place.path / "flash.tier", "flash.capacity-bytes": "64mb"})
    node.call("FLASH.HSET", "hash", *[part for n in range(500) for part in (f"f{n}", "v" * 100)])
    assert node.call("FLASH.DEBUG.DEMOTE", "hash") == b"OK"
    node.call("FLASH.HGET", "hash", "f7")  # One leaf is hot, and in use while the others come.
    throttle = disks.Throttle(node.pid, place.device_number())
    try:
        throttle.reads_per_second(1)
        link = Connection(node.port)
        link.send(("FLASH.HGETALL", "hash"))
        wait_until(lambda: node.info("flash")["flash_parked_clients"] == 1, 20, "a parked reader")
        pipe = node.client.pipeline(transaction=True)
        pipe.execute_command("FLASH.DEBUG.DEMOTE", "hash")
        pipe.execute_command("PING")
        error, pong = pipe.execute(raise_on_error=False)
        assert "in use" in str(error) and pong is True
        throttle.reads_per_second(0)
        assert len(link.read().value) == 1000
        link.close()
    finally:
        throttle.close()


def reads_all(node, count):
    try:
        return [version_of(node, number) for number in range(count)] == [1] * count
    except redis.exceptions.ResponseError as error:
        assert str(error).startswith("FLASHIO"), error
        return False


# The load stops with one clear line ------------------------------------------------------------


def load_error(server, settings):
    """Starts a server that must not come up; returns the module's lines of its log."""
    node = server(settings, start=False)
    with pytest.raises(StartError) as caught:
        node.start()
    lines = [line for line in str(caught.value).splitlines() if "<flash>" in line]
    assert lines, str(caught.value)
    return lines


def one_line_with(lines, *words):
    """Exactly one line of the module names what is wrong."""
    matching = [line for line in lines if all(word.lower() in line.lower() for word in words)]
    assert len(matching) == 1, "\n".join(lines)


def test_a_file_in_use_by_a_second_server(server):
    first = server()
    path = first.dir / "flash.tier"
    one_line_with(load_error(server, {"flash.path": path}), str(path), "use")
    put(first, range(3))
    demote(first, range(3))
    assert version_of(first, 1) == 1


def test_a_foreign_file_is_refused_and_stays_as_it_is(server, tmp_path):
    path = tmp_path / "photographs"
    text = b"somebody's photographs, not ours\n" * 100_000
    path.write_bytes(text)
    one_line_with(load_error(server, {"flash.path": path}), str(path))
    assert path.read_bytes() == text


def test_capacity_beyond_the_disk(server, disk):
    place = disk(64)
    path = place.path / "flash.tier"
    one_line_with(load_error(server, {"flash.path": path, "flash.capacity-bytes": "1gb"}),
                  str(path))
    assert not path.exists() or path.stat().st_blocks * 512 < 64 * MIB


def test_a_read_only_file_system(server, disk):
    place = disk(64)
    assert os.system(f"mount -o remount,ro {place.path}") == 0
    one_line_with(load_error(server, {"flash.path": place.path / "flash.tier",
                                      "flash.capacity-bytes": "16mb"}), "read-only")


def test_no_folder_for_the_file(server, tmp_path):
    path = tmp_path / "missing" / "flash.tier"
    one_line_with(load_error(server, {"flash.path": path}), str(path))

