"""FLASH.MIGRATE and FLASH.MIGRATE.PROBE: keys move whole, once, or stay; every documented error."""

import mmap
import os
import socket
import threading

import pytest
import redis

from conftest import wait_until
from harness.resp import Connection
from harness.tls import certificate

TIER = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "64mb",
        "flash.compression": "none"}
MIB = 1 << 20


def refuses(text, call, *args, **options):
    """redis-py takes the word ERR off."""
    with pytest.raises(redis.exceptions.ResponseError, match=text.replace("ERR ", "")):
        call(*args, **options)


def number(node, name):
    return node.info("flash")["flash_" + name]


def fill(node):
    call = node.call
    call("FLASH.SET", "inline", "x")
    call("FLASH.SET", "string", os.urandom(5000))
    call("FLASH.SET", "rope", os.urandom(3 * MIB))
    call("FLASH.HSET", "hash", *[part for n in range(2000) for part in (f"f{n}", os.urandom(40))])
    call("FLASH.RPUSH", "list", *[os.urandom(90) for _ in range(1500)], os.urandom(30_000))
    call("FLASH.ZADD", "zset", *[part for n in range(1500) for part in (n / 7, f"member:{n}")])
    keys = sorted(node.client.keys())
    for key in keys:
        call("FLASH.DEBUG.DEMOTE", key)
    return keys


def digests(node, keys):
    return node.call("DEBUG", "DIGEST-VALUE", *keys)


def migrate(node, target, key, *options, timeout=10_000, db=0):
    return node.call("FLASH.MIGRATE", "127.0.0.1", target.port, key, db, timeout, *options)


class Deaf:
    """A server that accepts connections and never answers."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *_exception):
        self.socket.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_cold_values_of_every_shape_move(server):
    source, target = server(TIER), server(TIER)
    keys = fill(source)
    source.call("PEXPIREAT", "hash", 4_000_000_000_000)
    before = digests(source, keys)
    assert migrate(source, target, "string") == b"OK"
    assert migrate(source, target, "", "KEYS", *[key for key in keys if key != b"string"]) == b"OK"
    assert source.call("DBSIZE") == 0
    assert digests(target, keys) == before
    # MIGRATE sends what is left of it.
    assert abs(target.call("PEXPIRETIME", "hash") - 4_000_000_000_000) < 60_000
    info = source.info("flash")
    assert info["flash_migration_keys_migrated"] == len(keys)
    assert info["flash_migration_bytes_sent"] >= 3 * MIB
    assert info["flash_migration_errors"] == info["flash_migration_keys_rejected"] == 0
    assert info["flash_migration_slots_in_progress"] == 0
    assert migrate(source, target, "string") == b"NOKEY"


def test_cold_keys_arrive_cold_and_hot_ones_hot(server):
    """The target's cache has room for all of it. The server's own MIGRATE alike, and DUMP."""
    tier = {**TIER, "flash.cache-size-bytes": "64mb", "flash.capacity-bytes": "256mb"}
    source, target = server(tier), server(tier)
    keys = [key for key in fill(source) if key != b"inline"]  # That one is never cold.
    before = digests(source, keys)
    for here, there in ((source, target), (target, source)):
        wait_until(lambda node=here: number(node, "tiered_keys") == len(keys), 10, "cold keys")
        if here is source:
            assert migrate(here, there, "", "KEYS", *keys) == b"OK"
            received = number(there, "migration_bytes_received")
            assert received == pytest.approx(number(here, "migration_bytes_sent"), rel=0.01)
        else:
            here.call("MIGRATE", "127.0.0.1", there.port, "", 0, 10_000, "KEYS", *keys)
        # The last blocks may still be on their way.
        wait_until(lambda node=there: number(node, "tiered_keys") == len(keys), 10, "cold keys")
        assert number(there, "blocks_hot_dirty") + number(there, "blocks_hot_clean") == 0
    for key in keys:
        payload = source.call("DUMP", key)
        source.call("DEL", key)
        source.call("RESTORE", key, 0, payload)
    wait_until(lambda: number(source, "tiered_keys") == len(keys), 10, "cold keys")
    assert digests(source, keys) == before  # Which reads, and leaves them cold.
    for key in keys:
        words = {b"string": ["FLASH.GET"], b"rope": ["FLASH.GET"], b"hash": ["FLASH.HGETALL"],
                 b"list": ["FLASH.LRANGE", 0, -1], b"zset": ["FLASH.ZRANGE", 0, -1]}[key]
        source.call(words[0], key, *words[1:])
    assert migrate(source, target, "", "KEYS", *keys) == b"OK"
    assert number(target, "tiered_keys") == 0
    assert digests(target, keys) == before


@pytest.mark.parametrize("way", ["multi", "script"])
def test_where_clients_cannot_wait(server, way):
    source, target = server(TIER), server(TIER)
    keys = fill(source)
    before = digests(source, keys)
    words = ["FLASH.MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "KEYS", *keys]
    if way == "multi":
        with source.client.pipeline(transaction=True) as transaction:
            transaction.execute_command(*words)
            assert transaction.execute() == [b"OK"]
    else:
        answer = source.client.eval("return redis.call(unpack(ARGV))", 0, *words)
        assert answer == b"OK"
    assert digests(target, keys) == before
    assert source.call("DBSIZE") == 0


def test_copy_replace_and_the_targets_own_error(server):
    source, target = server(TIER), server(TIER)
    fill(source)
    target.call("FLASH.SET", "string", "old")
    refuses("^ERR Target instance replied with error: BUSYKEY", migrate, source, target, "string")
    assert source.call("EXISTS", "string") == 1
    assert number(source, "migration_errors") == number(source, "migration_keys_rejected") == 1
    assert migrate(source, target, "string", "COPY", "REPLACE", db=3) == b"OK"
    assert migrate(source, target, "string", "copy", "replace") == b"OK"
    assert source.call("EXISTS", "string") == 1
    assert digests(target, ["string"]) == digests(source, ["string"])
    assert target.connect(db=3).exists("string") == 1


def test_replicates_as_a_deletion(server):
    source, target, replica = server({**TIER, "appendonly": "yes"}), server(TIER), server()
    fill(source)
    replica.replicate_from(source)
    migrate(source, target, "hash")
    replica.wait_for_offset_of(source)
    assert replica.call("EXISTS", "hash", "list") == 1
    source.restart(crash=True)
    assert source.call("EXISTS", "hash", "list") == 1


def test_authentication(server):
    source, target = server(TIER), server(TIER)
    keys = fill(source)
    target.call("CONFIG", "SET", "requirepass", "secret")
    target.client.close()
    refuses("^ERR Target instance replied with error: NOAUTH", migrate, source, target, "list")
    refuses("WRONGPASS|invalid password", migrate, source, target, "list", "AUTH", "wrong")
    assert migrate(source, target, "list", "AUTH", "secret") == b"OK"
    admin = redis.Redis(port=target.port, password="secret")
    admin.execute_command("ACL", "SETUSER", "mover", "on", ">key", "~*", "+@all")
    assert migrate(source, target, "hash", "AUTH2", "mover", "key") == b"OK"
    assert admin.dbsize() == 2
    assert source.call("DBSIZE") == len(keys) - 2


def test_a_target_that_speaks_tls(server, tmp_path):
    """As MIGRATE does: with `tls-cluster yes`, by the server's own certificates."""
    certificate(tmp_path, "ca")
    certificate(tmp_path, "server", "ca")
    tls = {**TIER, "tls-cert-file": tmp_path / "server.crt",
           "tls-key-file": tmp_path / "server.key", "tls-ca-cert-file": tmp_path / "ca.crt"}
    source, target = server({**tls, "tls-cluster": "yes"}), server({**tls, "tls-port": free_port()})
    bare = server({"tls-port": free_port(), **{name: tls[name] for name in tls if "tls" in name}},
                  module=False)
    keys = fill(source)
    before = digests(source, keys)
    secure = int(target.client.config_get("tls-port")["tls-port"])
    words = ["FLASH.MIGRATE", "127.0.0.1", secure, "", 0, 10_000, "KEYS", *keys]
    assert source.call(*words) == b"OK"
    assert digests(target, keys) == before
    assert source.call("DBSIZE") == 0
    # Without the module: the target's own error, and the key stays.
    source.call("FLASH.SET", "string", "x" * 100)
    port = int(bare.client.config_get("tls-port")["tls-port"])
    refuses("Target instance replied with error", source.call, "FLASH.MIGRATE", "127.0.0.1", port,
            "string", 0, 10_000)
    # Plain words to a port that speaks TLS.
    source.client.config_set("tls-cluster", "no")
    with pytest.raises(redis.exceptions.ResponseError):
        source.call("FLASH.MIGRATE", "127.0.0.1", port, "string", 0, 1000)
    assert source.call("FLASH.GET", "string") == b"x" * 100


def test_a_target_without_the_module(server):
    source, target = server(TIER), server(module=False)
    keys = fill(source)
    name = f"FLASH-MIGRATE target 127.0.0.1:{target.port} does not have flash-module loaded"
    refuses(f"^{name}$", migrate, source, target, "list")
    refuses(f"^{name}$", source.call, "FLASH.MIGRATE.PROBE", "127.0.0.1", target.port)
    assert source.call("DBSIZE") == len(keys)


def test_a_target_that_is_too_small(server):
    source = server(TIER)
    target = server({**TIER, "flash.capacity-bytes": "16mb"})
    source.call("FLASH.SET", "large", os.urandom(30 * MIB))
    source.call("FLASH.DEBUG.DEMOTE", "large")
    free = number(target, "storage_free_bytes")
    refuses(rf"^ERR FLASH-MIGRATE target 127.0.0.1:{target.port} insufficient flash capacity "
            rf"\(need \d+ bytes free, has {free}\)$", migrate, source, target, "large")
    assert source.call("EXISTS", "large") == 1
    assert number(source, "migration_keys_rejected") == 1


def test_a_target_that_is_silent_or_not_there(server):
    source = server(TIER)
    fill(source)
    with Deaf() as deaf:
        refuses(f"^ERR FLASH-MIGRATE target 127.0.0.1:{deaf.port} did not respond within timeout$",
                migrate, source, deaf, "list", "COPY", timeout=200)
    gone = free_port()
    refuses(f"^ERR FLASH-MIGRATE target 127.0.0.1:{gone} did not respond within timeout$",
            source.call, "FLASH.MIGRATE", "127.0.0.1", gone, "list", 0, 200)
    refuses("did not respond within timeout$", source.call, "FLASH.MIGRATE.PROBE", "127.0.0.1",
            gone)
    assert source.call("EXISTS", "list") == 1


def test_others_are_served_while_a_silent_target_is_asked(server):
    source = server(TIER)
    fill(source)
    with Deaf() as deaf:
        answers = []

        def move():
            try:
                source.connect().execute_command("FLASH.MIGRATE", "127.0.0.1", deaf.port, "list", 0,
                                                 3000)
            except redis.exceptions.ResponseError as error:
                answers.append(str(error))

        mover = threading.Thread(target=move)
        mover.start()
        wait_until(lambda: number(source, "migration_slots_in_progress") == 1, what="the question")
        assert not answers  # INFO was answered meanwhile.
        mover.join()
        assert "did not respond" in answers[0]


def test_a_target_that_dies_in_the_middle_loses_and_doubles_nothing(server):
    source = server({**TIER, "flash.migration-bandwidth-mbps": "4"})
    target = server({**TIER, "appendonly": "yes", "appendfsync": "always"})
    keys = [f"key:{n}" for n in range(300)]
    for key in keys:
        source.call("FLASH.SET", key, os.urandom(4000))
        source.call("FLASH.DEBUG.DEMOTE", key)
    answers = []

    def move():
        try:
            answers.append(source.connect().execute_command(
                "FLASH.MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS", *keys))
        except redis.exceptions.ResponseError as error:
            answers.append(str(error))

    mover = threading.Thread(target=move)
    mover.start()
    wait_until(lambda: number(source, "migration_keys_migrated") > 20, what="some keys to move")
    target.kill()
    mover.join()
    assert "IOERR" in answers[0]
    target.start()
    here, there = set(source.client.keys()), set(target.client.keys())
    assert here | there == {key.encode() for key in keys}
    assert len(here & there) <= 1  # One may have arrived whose acknowledgement did not.


def spoil_page_of(tier, value):
    """One page of where a value lies, past the page cache, as the server writes."""
    at = tier.read_bytes().find(value[8000:8064])
    assert at > 0, "not on flash yet"
    junk = mmap.mmap(-1, 4096)  # Aligned as O_DIRECT demands.
    file = os.open(tier, os.O_WRONLY | os.O_DIRECT)
    try:
        assert os.pwritev(file, [junk], (at + 4096) // 4096 * 4096) == 4096
    finally:
        os.close(file)


def test_an_unreadable_value_ends_it_and_those_before_it_have_moved(server):
    """Values are read ahead many at a time; the error is about one of them all the same."""
    source = server({**TIER, "flash.cache-size-bytes": "8mb", "flash.compression": "none"})
    target = server(TIER)
    values = {f"key:{n}": os.urandom(20_000) for n in range(40)}
    for key, value in values.items():
        source.call("FLASH.SET", key, value)
        source.call("FLASH.DEBUG.DEMOTE", key)
    source.call("FLASH.SET", "last", os.urandom(3 * MIB))  # Then no buffer holds the others.
    source.call("FLASH.DEBUG.DEMOTE", "last")
    spoil_page_of(source.dir / "flash.tier", values["key:25"])
    with pytest.raises(redis.exceptions.ResponseError, match="FLASHIO .* keys after it are kept"):
        migrate(source, target, "", "KEYS", *values)
    moved = [f"key:{n}".encode() for n in range(25)]
    assert sorted(target.client.keys()) == sorted(moved)
    assert source.call("EXISTS", *moved) == 0 and source.call("DBSIZE") == 16
    for key in moved:
        assert target.call("FLASH.GET", key) == values[key.decode()]
    rest = [f"key:{n}" for n in range(26, 40)]
    assert migrate(source, target, "", "KEYS", *rest, "key:26") == b"OK"  # One twice.
    assert target.call("DBSIZE") == 39 and source.call("DBSIZE") == 2
    assert number(source, "migration_keys_migrated") == 39


def test_probe_answers_the_state_of_this_server_and_of_another(server):
    here, there = server(TIER), server({**TIER, "flash.capacity-bytes": "128mb"})
    for asked, words in ((here, []), (there, ["127.0.0.1", there.port])):
        reply = here.call("FLASH.MIGRATE.PROBE", *words)
        fields = dict(zip(reply[::2], reply[1::2]))
        assert list(reply[::2]) == [b"state", b"capacity_bytes", b"free_bytes", b"path"]
        assert fields[b"state"] == b"ready"
        info = asked.info("flash")
        assert fields[b"capacity_bytes"] == info["flash_storage_capacity_bytes"]
        assert fields[b"free_bytes"] == info["flash_storage_free_bytes"]
        assert fields[b"path"].decode() == asked.client.config_get("flash.path")["flash.path"]


def test_an_answer_is_kept_for_as_long_as_the_setting_says(server):
    target = server(TIER)
    for seconds, connections in (("3600", 1), ("0", 3)):
        source = server({**TIER, "flash.migration-probe-cache-sec": seconds})
        before = target.info("stats")["total_connections_received"]
        for _ in range(3):
            source.call("FLASH.MIGRATE.PROBE", "127.0.0.1", target.port)
        # The question of the test itself is one more on a connection that stands already.
        assert target.info("stats")["total_connections_received"] - before == connections


@pytest.mark.parametrize("words, error", [
    (["h", "1", "", "0", "1"], "NOKEY"),
    (["h", "x", "k", "0", "1"], "not an integer"),
    (["h", "0", "k", "0", "1"], "invalid port"),
    (["h", "70000", "k", "0", "1"], "invalid port"),
    (["h", "1", "k", "x", "1"], "not an integer"),
    (["h", "1", "k", "0", "x"], "not an integer"),
    (["h", "1", "k", "0", "1", "KEYS", "a"], "key argument must be set to the empty string"),
    (["h", "1", "", "0", "1", "KEYS"], "syntax error"),
    (["h", "1", "k", "0", "1", "AUTH"], "syntax error"),
    (["h", "1", "k", "0", "1", "AUTH2", "u"], "syntax error"),
    (["h", "1", "k", "0", "1", "MOVE"], "syntax error"),
    (["h", "1", "k", "0"], "wrong number of arguments"),
])
def test_bad_arguments(server, words, error):
    node = server()
    if error == "NOKEY":
        refuses("did not respond", node.call, "FLASH.MIGRATE", *words)
    else:
        refuses(error, node.call, "FLASH.MIGRATE", *words)
        assert number(node, "migration_errors") == 0


def test_keys_are_declared(server):
    node = server()
    single = ["FLASH.MIGRATE", "h", "1", "k", "0", "1", "AUTH", "keys"]
    several = ["FLASH.MIGRATE", "h", "1", "", "0", "1", "AUTH2", "keys", "keys", "KEYS", "a", "b"]
    link = Connection(node.port)
    assert link.must("COMMAND", "GETKEYS", *single) == [b"k"]
    assert link.must("COMMAND", "GETKEYS", *several) == [b"a", b"b"]
    link.close()
    node.call("ACL", "SETUSER", "limited", "on", ">pw", "~a*", "+@all")
    client = node.connect(username="limited", password="pw")
    for words in (single, [*several[:-2], "a", "secret"]):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*words)
