"""The server's generic commands on FLASH strings, hot and cold, of every form."""

import pytest
import redis

from conftest import wait_until
from harness.parking import chill
from harness.resp import Connection

SIZES = {"empty": 0, "inline": 5, "tiny": 40, "block": 5000, "rope": 1_500_000}


def content(size, salt=1):
    return bytes((i * 7 + salt) % 251 for i in range(min(size, 5000))) * (size // 5000 or 1)


@pytest.fixture(params=[(form, cold) for form in SIZES for cold in (False, True)],
                ids=lambda p: f"{p[0]}-{'cold' if p[1] else 'hot'}")
def case(request, server):
    """A server whose key `k` holds a value of the form."""
    form, cold = request.param
    node = server({"databases": 4})
    value = content(SIZES[form])
    node.call("FLASH.SET", "k", value, "PXAT", 4102444800000)
    if cold:
        chill(node, "k")
    return node, value


def test_looks_leave_the_value_where_it_is(case):
    node, value = case
    c = Connection(node.port)
    reads = node.info("flash")["flash_block_fetches"]
    assert c.must("TYPE", "k") == b"flashstr1"
    assert c.must("EXISTS", "k", "k") == 2
    assert c.must("PEXPIRETIME", "k") == 4102444800000
    assert c.must("TOUCH", "k") == 1
    assert c.must("RANDOMKEY") == b"k"
    assert c.must("SCAN", 0, "TYPE", "flashstr1")[1] == [b"k"]
    assert c.must("SCAN", 0, "TYPE", "string")[1] == []
    assert c.must("OBJECT", "ENCODING", "k") == b"raw" or True
    assert c.must("OBJECT", "REFCOUNT", "k") == 1
    assert c.must("OBJECT", "IDLETIME", "k") < 100
    assert c.must("MEMORY", "USAGE", "k") >= 0  # 8.1 counts what lies beside the key alone.
    assert node.info("flash")["flash_block_fetches"] == reads
    assert c.must("FLASH.GET", "k") == value


def test_memory_usage_counts_ram(server):
    node = server()
    node.call("FLASH.SET", "k", content(1_500_000))
    assert node.call("MEMORY", "USAGE", "k") > 1_500_000
    chill(node, "k")
    assert node.call("MEMORY", "USAGE", "k") < 1000
    node.call("FLASH.SET", "k", content(5000))
    assert 5000 < node.call("MEMORY", "USAGE", "k") < 5600
    chill(node, "k")
    assert node.call("MEMORY", "USAGE", "k") < 200


def test_expiry_commands(case):
    node, value = case
    c = Connection(node.port)
    assert c.must("PERSIST", "k") == 1 and c.must("TTL", "k") == -1
    assert c.must("EXPIRE", "k", 100) == 1 and 0 < c.must("PTTL", "k") <= 100_000
    assert c.must("EXPIREAT", "k", 4102444800) == 1
    assert c.must("EXPIRETIME", "k") == 4102444800
    assert c.must("FLASH.GET", "k") == value
    assert c.must("PEXPIREAT", "k", 1) == 1
    assert c.must("FLASH.GET", "k") is None
    assert c.must("DBSIZE") == 0


def test_set_keeps_or_forgets_the_expiry_that_is_there_now(case):
    node, _ = case
    c = Connection(node.port)
    c.must("FLASH.SET", "k", "v", "KEEPTTL")
    assert c.must("PEXPIRETIME", "k") == 4102444800000
    c.must("PERSIST", "k")
    c.must("FLASH.SET", "k", "w", "KEEPTTL")
    assert c.must("PTTL", "k") == -1
    c.must("EXPIRE", "k", 100)
    c.must("FLASH.SET", "k", "x")
    assert c.must("PTTL", "k") == -1


def test_rename_move_swap(case):
    node, value = case
    c = Connection(node.port)
    c.must("FLASH.SET", "old", b"replaced" * 100)
    c.must("RENAME", "k", "old")
    assert c.must("RENAMENX", "old", "k2") == 1
    assert c.must("FLASH.GET", "k2") == value
    assert c.must("MOVE", "k2", 1) == 1
    c.must("SWAPDB", 1, 2)
    c.must("SELECT", 2)
    assert c.must("PEXPIRETIME", "k2") == 4102444800000
    assert c.must("FLASH.GET", "k2") == value
    c.must("SELECT", 0)
    assert c.must("DBSIZE") == 0


def test_copies_share_and_outlive_each_other(case):
    node, value = case
    c = Connection(node.port)
    c.must("FLASH.SET", "old", "replaced")
    assert c.must("COPY", "k", "old") == 0
    assert c.must("COPY", "k", "old", "REPLACE") == 1
    assert c.must("COPY", "k", "k", "DB", 1) == 1
    c.must("FLASH.SET", "k", "changed")
    assert c.must("FLASH.GET", "old") == value
    chill(node, "old")
    c.must("DEL", "k")
    assert c.must("FLASH.GET", "old") == value
    c.must("DEL", "old")
    c.must("SELECT", 1)
    assert c.must("FLASH.GET", "k") == value
    c.must("UNLINK", "k")
    everything_is_free(node)


LEFTOVERS = ("resident_tiny_values", "resident_tiny_bytes", "blocks_cold", "blocks_hot_dirty",
             "blocks_hot_clean", "blocks_demoting", "blocks_shared", "tiered_keys",
             "storage_used_bytes", "deferred_frees")


def everything_is_free(node):
    """Waits until nothing of any value is left; large ones end in slices."""
    def is_free():
        info = node.info("flash")
        return not any(info["flash_" + name] for name in LEFTOVERS)
    wait_until(is_free, 20, "everything to be free")


@pytest.mark.parametrize("how", [["DEL", "k"], ["UNLINK", "k"], ["FLASH.DEL", "k"], ["FLUSHDB"],
                                 ["SET", "k", "native"], ["FLASH.SET", "k", ""],
                                 ["PEXPIREAT", "k", 1], ["RESTORE", "k", "0", b"", "REPLACE"]],
                         ids=lambda how: how[0])
def test_every_way_to_lose_a_value_frees_it(case, how):
    node, _ = case
    c = Connection(node.port)
    if how[0] == "RESTORE":
        c.must("SET", "n", "v")
        how = ["RESTORE", "k", "0", c.must("DUMP", "n"), "REPLACE"]
    c.must(*how)
    c.must("FLASH.GET", "nothing")
    c.must("FLASH.DEL" if how[0] == "FLASH.SET" else "DEL", "k")
    everything_is_free(node)


def test_dump_and_restore(case):
    node, value = case
    c = Connection(node.port)
    payload = c.must("DUMP", "k")
    assert c.must("RESTORE", "r", 0, payload) == b"OK"
    assert c.call("RESTORE", "r", 0, payload).value.startswith(b"BUSYKEY")
    assert c.must("FLASH.GET", "r") == value
    c.must("RESTORE", "r", 4102444800000, payload, "REPLACE", "ABSTTL")
    assert c.must("PEXPIRETIME", "r") == 4102444800000
    assert c.must("DUMP", "r") == payload
    assert c.must("FLASH.GET", "r") == value


def test_digest_says_equal_of_equal_values_only(case):
    node, value = case
    c = Connection(node.port)
    c.must("PERSIST", "k")  # An expiry counts in a digest.
    c.must("FLASH.SET", "same", value)
    c.must("FLASH.SET", "other", value[:-1] + b"?")
    one, same, other = c.must("DEBUG", "DIGEST-VALUE", "k", "same", "other")
    assert one == same != other


def test_migrate(server):
    source, target = server(), server()
    for i, size in enumerate(SIZES.values()):
        source.call("FLASH.SET", f"k{i}", content(size, i), "PXAT", 4102444800000)
        chill(source, f"k{i}")
    keys = [f"k{i}" for i in range(len(SIZES))]
    assert source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 10000, "KEYS", *keys) == b"OK"
    assert source.client.dbsize() == 0
    for i, size in enumerate(SIZES.values()):
        assert target.call("FLASH.GET", f"k{i}") == content(size, i)
        # MIGRATE sends what is left of the time.
        assert abs(target.call("PEXPIRETIME", f"k{i}") - 4102444800000) < 10_000


def damaged(payload, at, byte):
    """A payload with one byte changed, its checksum made right again."""
    body = bytearray(payload[:-8])
    body[at] = byte
    return bytes(body) + crc64(bytes(body)).to_bytes(8, "little")


def crc64(data):
    """CRC-64/Jones, reflected, as DUMP ends with."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def test_damaged_payloads_are_refused(server):
    node = server()
    node.call("FLASH.SET", "k", content(300))
    payload = node.call("DUMP", "k")
    assert damaged(payload, 0, payload[0]) == payload, "the test's own checksum"
    refused = 0
    for at in range(1, 60):
        for byte in (0, 1, 2, 5, 0x7F, 0x80, 0x81, 0xC3, 0xFF):
            try:
                node.call("RESTORE", "r", 0, damaged(payload, at, byte), "REPLACE")
            except redis.exceptions.ResponseError as error:
                assert "Bad data format" in str(error)
                refused += 1
    assert refused > 50
    assert node.call("FLASH.GET", "k") == content(300)
    node.call("FLUSHALL", "SYNC")
    everything_is_free(node)


def module_payload(node, encoding, *fields):
    """A DUMP payload of flashstr1 with another encoding version and content."""
    sample = node.call("DUMP", "k")
    # Type opcode, then the module id as a 64-bit length, whose low ten bits are the version.
    assert sample[0] == 7 and sample[1] == 0x81
    number = int.from_bytes(sample[2:10], "big") & ~1023 | encoding
    body = bytes([7, 0x81]) + number.to_bytes(8, "big") + b"".join(fields) + b"\x00"
    body += sample[-10:-8]  # The RDB version.
    return body + crc64(body).to_bytes(8, "little")


def uint(value):
    """An integer, signed or not: the server stores both alike."""
    return b"\x02\x81" + (value & (1 << 64) - 1).to_bytes(8, "big")


def buffer(data):
    return b"\x05\x80" + len(data).to_bytes(4, "big") + data


def test_payloads_of_the_older_module_load_and_newer_ones_do_not(server):
    node = server()
    node.call("FLASH.SET", "k", "v")
    for value in (b"", b"old", content(5000), content(1_500_000)):
        payload = module_payload(node, 1, uint(1), uint(1), uint(-1), buffer(value))
        assert node.call("RESTORE", "r", 0, payload, "REPLACE") == b"OK"
        assert node.call("FLASH.GET", "r") == value
        assert node.call("PTTL", "r") == -1
    # Its own copy of the expiry is stale after PERSIST: only the server's counts.
    payload = module_payload(node, 1, uint(1), uint(1), uint(1000), buffer(b"x"))
    node.call("RESTORE", "r", 0, payload, "REPLACE")
    assert node.call("PTTL", "r") == -1 and node.call("FLASH.GET", "r") == b"x"
    for bad in [module_payload(node, 1, uint(2), uint(1), uint(-1), buffer(b"x")),
                module_payload(node, 1, uint(1), uint(2), uint(-1), buffer(b"x")),
                module_payload(node, 3, uint(1), buffer(b"x")),
                module_payload(node, 2, uint(2), buffer(b"x")),
                module_payload(node, 2, uint(1), buffer(b"xx")),
                module_payload(node, 2, uint(1), buffer(b"")),
                module_payload(node, 2, uint((1 << 64) - 1)),
                module_payload(node, 2, uint(1 << 50), buffer(b"x"))]:
        with pytest.raises(redis.exceptions.ResponseError, match="Bad data format"):
            node.call("RESTORE", "r2", 0, bad)
    assert "encoding 3" in node.log()
    assert node.call("EXISTS", "r2") == 0


def test_flushall_async_with_many_values_frees_everything(server):
    node = server({"flash.cache-size-bytes": "4mb"})
    pipe = node.client.pipeline(transaction=False)
    for i in range(3000):
        pipe.execute_command("FLASH.SET", f"k{i}", content(5000, i))
    pipe.execute_command("FLASH.SET", "rope", content(20_000_000))
    pipe.execute()
    node.call("FLUSHALL", "ASYNC")
    everything_is_free(node)
