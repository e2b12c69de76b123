"""What happens to keys, clients and servers while long writes are under way.

The write is as if it had been done at its end, whole or not at all; the native command, sent after
what happened, says what its reply and result are. Nothing is left behind.
"""

import pytest
import redis

from conftest import wait_until
from harness.disks import spoil_file
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection, Error

SETTINGS = {"flash.cache-size-bytes": "1mb", "flash.compression": "none",
            "flash.capacity-bytes": "256mb"}
MEMBERS = 6_000
PADDING = "p" * 200


def member(number):
    return f"{number:07}{PADDING}"


def fields(numbers):
    return [member(n) for n in numbers]


KINDS = {"H": ("HSET", lambda n: (member(n), n)), "L": ("RPUSH", lambda n: (member(n % 2_000),)),
         "Z": ("ZADD", lambda n: (n % 977, member(n)))}
CONTENT = {"H": ("HGETALL",), "L": ("LRANGE", 0, -1), "Z": ("ZRANGE", 0, -1, "WITHSCORES")}


def twin(key):
    return f"native:{key}"


def fill(node, name, key, size=MEMBERS):
    command, pair = KINDS[name]
    for start in range(0, size, 1_000):
        args = [part for n in range(start, start + 1_000) for part in pair(n)]
        node.call(f"FLASH.{command}", key, *args)
        node.call(command, twin(key), *args)


WRITES = {"HDEL": ("H", fields(range(0, MEMBERS, 9))),
          "HSET": ("H", [part for n in range(3, MEMBERS * 2, 17) for part in (member(n), "new")]),
          "LREM": ("L", [-700, member(17)]),
          "LINSERT": ("L", ["AFTER", "nosuch", "x"]),
          "RPOP": ("L", [2_500]),
          "ZPOPMIN": ("Z", [1_500]),
          "ZREM": ("Z", fields(range(0, MEMBERS, 9))),
          "ZADD": ("Z", [part for n in range(1, MEMBERS * 2, 29) for part in (3, member(n))]),
          "ZUNIONSTORE": ("Z", None),
          "ZDIFFSTORE": ("Z", None),
          "ZRANGESTORE": ("Z", None)}


def command_of(write, name):
    """What is sent, with `name` telling each key's name."""
    key, args = WRITES[write]
    if write == "ZRANGESTORE":
        return [name("D"), name(key), 10, -10]
    if args is None:
        return [name("D"), 2, name(key), name("other")]
    return [name(key), *args]


@pytest.fixture
def held(server, tmp_path, monkeypatch):
    """A server whose parked writes are held when they are done."""
    holder = Holder(tmp_path, monkeypatch)
    node = server(SETTINGS)
    node.holder = holder
    return node


def at_once(node, *args):
    """In a transaction, where nobody is parked, so that a Holder does not hold it."""
    link = Connection(node.port)
    link.must("MULTI")
    link.must(*args)
    [reply] = link.call("EXEC").value
    link.close()
    return reply.plain()


def failure_of(node, how, *args):
    """The word that the error reply begins with."""
    if how == "multi":
        reply = at_once(node, *args)
    else:
        link = Connection(node.port)
        reply = link.call(*args).plain()
        link.close()
    assert isinstance(reply, Error)
    return reply.split()[0]


def blocks(node):
    info = node.info("flash")
    return sum(info[f"flash_blocks_{state}"]
               for state in ("hot_dirty", "hot_clean", "demoting", "cold"))


def both(node, command, *keys):
    for name in (str, twin):
        node.call(command, *(name(key) if isinstance(key, str) else key for key in keys))


def change_a_little(node, key):
    for name, prefix in ((str, "FLASH."), (twin, "")):
        if key == "H":
            at_once(node, f"{prefix}HSET", name(key), member(2), "changed")
        elif key == "L":
            at_once(node, f"{prefix}LPUSH", name(key), member(17))
        else:
            at_once(node, f"{prefix}ZADD", name(key), 1.5, member(18))


def expire(node, key):
    both(node, "PEXPIRE", key, 1)
    wait_until(lambda: not node.call("EXISTS", key, twin(key)), what="the expiry")


MEANWHILE = {
    "nothing": lambda node, key: None,
    "a change": change_a_little,
    "DEL": lambda node, key: both(node, "DEL", key),
    "UNLINK": lambda node, key: both(node, "UNLINK", key),
    "RENAME": lambda node, key: both(node, "RENAME", key, "elsewhere"),
    "RENAME over it": lambda node, key: both(node, "RENAME", f"spare {key}", key),
    "overwritten": lambda node, key: node.client.mset({key: "text", twin(key): "text"}),
    "expiry": expire,
    "SWAPDB": lambda node, key: node.call("SWAPDB", 0, 1),
    "FLUSHALL": lambda node, key: node.call("FLUSHALL", "ASYNC"),
}


def check_same(node, key):
    ours, native = node.call("TYPE", key), node.call("TYPE", twin(key))
    if native in (b"none", b"string"):
        assert ours == native
        return
    command = {b"hash": "H", b"list": "L", b"zset": "Z"}[native]
    word, *args = CONTENT[command]
    ours = at_once(node, f"FLASH.{word}", key, *args)
    native = node.call(word, twin(key), *args)
    if command == "H":
        ours = dict(zip(ours[::2], ours[1::2]))
    assert ours == native if command != "Z" else flat(ours) == flat(native)
    assert node.call("EXPIRETIME", key) == node.call("EXPIRETIME", twin(key))


def flat(pairs):
    return [part if isinstance(part, bytes) else str(part).encode()
            for pair in pairs for part in (pair if isinstance(pair, (tuple, list)) else (pair,))]


@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_as_if_it_had_been_sent_at_its_end(held, write):
    node = held
    for event, happens in MEANWHILE.items():
        node.call("FLUSHALL")
        key, _ = WRITES[write]
        fill(node, key, key)
        fill(node, key, f"spare {key}", 2_000)
        if key == "Z":
            fill(node, key, "other", 2_000)
        both(node, "EXPIREAT", key, 4_000_000_000)
        chill(node, key)
        node.holder.hold("release")
        link = send_and_park(node, f"FLASH.{write}", *command_of(write, str))
        happens(node, key)
        node.holder.let_go()
        reply = link.read()
        native = Connection(node.port)
        assert reply.raw == native.call(write, *command_of(write, twin)).raw, event
        for one in (key, "D", "elsewhere", "other"):
            check_same(node, one)
        link.close()
        native.close()
    node.call("FLUSHALL")
    wait_until(lambda: blocks(node) == 0, what="the end of all blocks")


@pytest.mark.parametrize("leaves", ["closes", "CLIENT KILL"])
@pytest.mark.parametrize("write", WRITES)
def test_a_client_that_leaves_takes_its_write_along(held, write, leaves):
    node = held
    key, _ = WRITES[write]
    fill(node, key, key)
    fill(node, "Z", "other", 2_000)
    chill(node, key, "other")
    before = blocks(node)
    node.holder.hold("release")
    link = send_and_park(node, f"FLASH.{write}", *command_of(write, str))
    if leaves == "closes":
        link.close()
    else:
        [other] = [client for client in node.client.client_list() if "b" in client["flags"]]
        assert node.call("CLIENT", "UNBLOCK", other["id"]) == 0  # As of any command of a module.
        assert node.client.client_kill_filter(_id=other["id"]) == 1
    wait_until(lambda: parked_now(node) == 0, what="the client to be gone")
    wait_until(lambda: blocks(node) == before, what="the end of the draft")
    node.holder.let_go()
    check_same(node, key)
    assert node.call("EXISTS", "D") == 0


@pytest.mark.parametrize("write", WRITES)
def test_what_cannot_be_read_changes_nothing(server, write):
    node = server(SETTINGS)
    key, _ = WRITES[write]
    fill(node, key, key)
    fill(node, "Z", "other", 2_000)
    node.call("FLASH.ZADD", "D", 1, "one")
    chill(node, key, "other")
    size = {"H": "FLASH.HLEN", "L": "FLASH.LLEN", "Z": "FLASH.ZCARD"}[key]
    before = blocks(node)
    spoil_file(node.dir / "flash.tier")
    for how in ("plain", "multi"):
        assert failure_of(node, how, f"FLASH.{write}", *command_of(write, str)) == b"FLASHIO"
        assert node.call(size, key) == MEMBERS
        assert node.call("FLASH.ZRANGE", "D", 0, -1) == [b"one"]
        wait_until(lambda: blocks(node) == before, what="the end of the draft")


@pytest.mark.parametrize("write", ["HSET", "ZUNIONSTORE", "ZRANGESTORE", "LREM"])
def test_what_finds_no_room_changes_nothing(server, write):
    node = server({**SETTINGS, "flash.capacity-bytes": "16mb"})
    key, _ = WRITES[write]
    fill(node, key, key, MEMBERS // 2)
    if key == "Z":
        fill(node, key, "other", 2_000)
    with pytest.raises(redis.exceptions.ResponseError, match="^FLASHFULL"):
        while True:
            node.call("FLASH.RPUSH", "filler", *["f" * 900] * 50)
    before = blocks(node)
    for how in ("plain", "multi"):
        assert failure_of(node, how, f"FLASH.{write}", *command_of(write, str)) == b"FLASHFULL"
        check_same(node, key)
        assert node.call("EXISTS", "D") == 0
        wait_until(lambda: blocks(node) == before, what="the end of the draft")


@pytest.mark.parametrize("write", WRITES)
def test_a_role_that_changes_meanwhile_refuses_the_write(held, write):
    node = held
    key, _ = WRITES[write]
    fill(node, key, key)
    fill(node, "Z", "other", 2_000)
    chill(node, key)
    node.holder.hold("release")
    link = send_and_park(node, f"FLASH.{write}", *command_of(write, str))
    node.call("REPLICAOF", "127.0.0.1", 1)
    node.holder.let_go()
    reply = link.read()
    assert reply.is_error and reply.value.split()[0] in (b"READONLY", b"UNBLOCKED")
    node.call("REPLICAOF", "NO", "ONE")
    check_same(node, key)
    assert node.call("EXISTS", "D") == 0
    link.close()


def test_a_server_that_ends_meanwhile_saves_what_was(held):
    node = held
    fill(node, "H", "H")
    chill(node, "H")
    node.holder.hold("release")
    send_and_park(node, "FLASH.HDEL", *command_of("HDEL", str))
    node.client.config_set("save", "3600 1")
    assert node.stop() == 0
    node.holder.let_go()
    node.start()
    check_same(node, "H")


@pytest.mark.parametrize("how", ["plain", "multi"])
def test_replicas_and_the_aof_follow(server, how):
    primary = server({**SETTINGS, "appendonly": "yes"})
    replica = server({**SETTINGS, "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    for key in KINDS:
        fill(primary, key, key)
    fill(primary, "Z", "other", 2_000)
    chill(primary, *KINDS, "other")
    for write in WRITES:
        run = primary.call if how == "plain" else lambda *args: at_once(primary, *args)
        run(f"FLASH.{write}", *command_of(write, str))
        primary.call(write, *command_of(write, twin))
        replica.wait_for_offset_of(primary)
        assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST"), write
    for key in (*KINDS, "D"):
        check_same(primary, key)
    digest = primary.call("DEBUG", "DIGEST")
    primary.restart()
    assert primary.call("DEBUG", "DIGEST") == digest
    assert primary.info("flash")["flash_hot_bytes_peak"] <= 1.1 * (1 << 20)
