"""FLASH.SET, GET, MGET, MSET, DEL against the server's own commands, option by option.

Each case runs on a native key and on a FLASH key of the same server, in every way a command can
reach its value: tiny, hot, cold and parked, cold in a transaction, cold in a script.
"""

import itertools

import pytest

from harness.parking import chill
from harness.resp import Connection

VALUE = b"\x00binary\r\n\xff" * 20
WAYS = ["tiny", "hot", "parked", "multi", "script"]
LATER_S, LATER_MS = 4_102_444_800, 4_102_444_800_000  # The year 2100.


class Pair:
    """One connection; each command runs natively on `n` and as FLASH on `f`."""

    def __init__(self, node, way, resp3=False):
        self.node, self.way = node, way
        self.connection = Connection(node.port, resp3=resp3)

    def prepare(self, value, expire_at_ms=None):
        self.connection.must("DEL", "n", "f")
        if value is None:
            return
        self.connection.must("SET", "n", value)
        self.connection.must("FLASH.SET", "f", value)
        if expire_at_ms:
            for key in ("n", "f"):
                self.connection.must("PEXPIREAT", key, expire_at_ms)
        if self.way not in ("tiny", "hot"):
            chill(self.node, "f")

    def run(self, *args):
        if self.way == "multi":
            self.connection.send(("MULTI",), args, ("EXEC",))
            replies = [self.connection.read() for _ in range(3)]
            return replies[1] if replies[1].is_error else replies[2].value[0]
        if self.way == "script":
            words = ", ".join(f"ARGV[{i + 1}]" for i in range(len(args)))
            script = f"local r = redis.pcall({words}); if type(r) == 'table' and r.err then " \
                     "return {err = r.err} end; return r"
            return self.connection.call("EVAL", script, 0, *args)
        return self.connection.call(*args)

    def both(self, command, *rest):
        native = self.run(command, "n", *rest)
        flash = self.run("FLASH." + command, "f", *rest)
        return native, flash

    def state(self, key):
        get = "GET" if key == "n" else "FLASH.GET"
        ttl = self.connection.must("PEXPIRETIME", key)
        return self.connection.must(get, key), ttl


def as_native(raw):
    """The bytes of a reply, with the name of the command as native errors give it."""
    return raw.replace(b"'FLASH.SET'", b"'set'").replace(b"'FLASH.GET'", b"'get'") \
              .replace(b"'FLASH.MSET'", b"'mset'").replace(b"'FLASH.MGET'", b"'mget'") \
              .replace(b"'FLASH.DEL'", b"'del'")


def check(pair, value, expire_at_ms, *rest):
    pair.prepare(value, expire_at_ms)
    native, flash = pair.both("SET", *rest)
    context = f"{pair.way}: {value and value[:10]} {rest}"
    assert as_native(flash.raw) == native.raw, context
    (native_value, native_ttl), (flash_value, flash_ttl) = pair.state("n"), pair.state("f")
    assert flash_value == native_value, context
    # Relative times were given a moment apart.
    assert (flash_ttl < 0) == (native_ttl < 0) and abs(flash_ttl - native_ttl) < 2000, context


OPTIONS = [("NX",), ("xx",), ("GET",), ("KEEPTTL",), ("EX", "100"), ("px", "100000"),
           ("EXAT", LATER_S), ("PXAT", LATER_MS), ("PXAT", "1"), ("EXAT", "1"), ("EX",),
           ("PX", "0"), ("EX", "-1"), ("EX", "x"), ("EX", "9223372036854775807"),
           ("PX", "9223372036854775807"), ("PXAT", "9223372036854775807"),
           ("EXAT", "9223372036854776"), ("junk",), ("",), ("IFEQ", VALUE), ("IFEQ", "other"),
           ("IFEQ",)]


@pytest.fixture(scope="module", params=WAYS)
def way(request):
    return request.param


@pytest.mark.parametrize("resp3", [False, True])
def test_every_combination_of_two_options(server, way, resp3):
    node = server()
    pair = Pair(node, way, resp3)
    value = b"tiny" if way == "tiny" else VALUE
    combinations = [(), *[(a,) for a in OPTIONS], *itertools.product(OPTIONS, OPTIONS)]
    for number, combination in enumerate(combinations):
        words = list(itertools.chain(*combination))
        existing = [(value, None), (value, LATER_MS - 5), (None, None)][number % 3]
        check(pair, *existing, b"new value" * (number % 20), *words)


@pytest.mark.parametrize("combination", [
    ("NX", "GET"), ("XX", "GET"), ("XX", "GET", "EX", 100), ("NX", "GET", "PX", 100000),
    ("GET", "GET", "NX", "NX"), ("GET", "KEEPTTL", "XX"), ("GET", "PXAT", 1), ("XX", "PXAT", 1),
    ("NX", "XX"), ("EX", 5, "EX", 6), ("EX", 5, "PX", 6), ("KEEPTTL", "EX", 5),
    ("EX", 5, "KEEPTTL"), ("KEEPTTL", "KEEPTTL"), ("NX", "EX"),
])
@pytest.mark.parametrize("existing", ["value", "value with expiry", "nothing"])
def test_longer_combinations(server, way, combination, existing):
    pair = Pair(server(), way)
    value = None if existing == "nothing" else VALUE
    check(pair, value, LATER_MS if "expiry" in existing else None, b"new" * 50, *combination)


def test_wrong_numbers_of_arguments(server):
    connection = Connection(server().port)
    for args in [("SET",), ("SET", "k"), ("GET",), ("GET", "a", "b"), ("MGET",), ("MSET",),
                 ("MSET", "k"), ("MSET", "k", "v", "k2"), ("DEL",)]:
        native = connection.call(*args)
        flash = connection.call("FLASH." + args[0], *args[1:])
        assert native.is_error and as_native(flash.raw) == native.raw, args
    assert connection.must("DBSIZE") == 0


def test_mset_and_mget(server, way):
    node = server()
    pair = Pair(node, way)
    pairs = list(itertools.chain(*[(f"k{i}", VALUE + b"%d" % i) for i in range(30)]))
    assert pair.run("FLASH.MSET", *pairs, "k0", "twice", "empty", "").plain() == b"OK"
    keys = [f"k{i}" for i in range(30)]
    if way not in ("tiny", "hot"):
        chill(node, *keys[1:])
    expected = [b"twice"] + [VALUE + b"%d" % i for i in range(1, 30)]
    reply = pair.run("FLASH.MGET", *keys, "none", "empty", "k0")
    assert reply.plain() == [*expected, None, b"", b"twice"]


def test_mset_forgets_expiries(server):
    client = Connection(server().port)
    client.must("FLASH.SET", "a", VALUE, "EX", 100)
    client.must("FLASH.MSET", "a", "1", "b", VALUE)
    assert client.must("TTL", "a") == -1


def test_del_counts_each_key_once(server, way):
    node = server()
    pair = Pair(node, way)
    for key in ("a", "b", "c"):
        pair.connection.must("FLASH.SET", key, b"t" if way == "tiny" else VALUE)
        if way not in ("tiny", "hot"):
            chill(node, key)
    assert pair.run("FLASH.DEL", "a", "none", "a", "b").plain() == 2
    assert pair.connection.must("EXISTS", "a", "b", "c") == 1
    assert pair.run("FLASH.DEL", "a").plain() == 0


FOREIGN = [("SET", "x", "native"), ("RPUSH", "x", "a"), ("HSET", "x", "f", "v"), ("SADD", "x", "m"),
           ("ZADD", "x", 1, "m"), ("XADD", "x", "1-1", "f", "v")]


@pytest.mark.parametrize("make", FOREIGN, ids=lambda make: make[0])
def test_native_keys_are_refused_and_left_alone(server, make):
    client = Connection(server().port)
    client.must(*make)
    client.must("FLASH.SET", "mine", VALUE)
    before = client.must("DEBUG", "DIGEST")
    for args in [("GET", "x"), ("SET", "x", "v"), ("SET", "x", "v", "NX"), ("SET", "x", "v", "XX"),
                 ("SET", "x", "v", "GET"), ("SET", "x", "v", "PXAT", 1),
                 ("MSET", "mine", "v", "x", "v"), ("DEL", "mine", "x"), ("DEL", "x", "mine")]:
        reply = client.call("FLASH." + args[0], *args[1:])
        assert reply.value == b"WRONGTYPE Operation against a key holding the wrong kind of value"
    assert client.must("FLASH.MGET", "x", "mine", "x") == [None, VALUE, None], "as MGET does"
    assert client.must("DEBUG", "DIGEST") == before


@pytest.mark.parametrize("command", [("GET", "f"), ("APPEND", "f", "x"), ("LPUSH", "f", "x"),
                                     ("HGET", "f", "x"), ("SADD", "f", "x"), ("INCR", "f"),
                                     ("GETRANGE", "f", 0, 1), ("ZADD", "f", 1, "x")],
                         ids=lambda command: command[0])
def test_native_commands_refuse_flash_keys(server, command):
    node = server()
    client = Connection(node.port)
    client.must("FLASH.SET", "f", VALUE)
    assert client.call(*command).value.startswith(b"WRONGTYPE ")
    assert client.must("FLASH.GET", "f") == VALUE


def test_binary_keys_and_values_of_all_bytes(server):
    node = server()
    client = Connection(node.port)
    every = bytes(range(256))
    for key in (b"", b"\x00", every, b"k" * 1000):
        for value in (b"", b"\x00", every, b"\x00" * 7, b"\xff" * 63, every * 16):
            client.must("FLASH.SET", key, value)
            chill(node, key)
            assert client.must("FLASH.GET", key) == value


# Events -------------------------------------------------------------------------------------------

def events_of(node, *commands):
    """The keyspace events that commands cause, in order."""
    node.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
    listener = Connection(node.port)
    listener.must("PSUBSCRIBE", "__keyevent@*")
    for command in commands:
        node.connect().execute_command(*command)
    node.connect().publish("__keyevent@0__:end", "")
    events = []
    while True:
        _, _, channel, key = listener.read().plain()
        if channel.endswith(b":end"):
            return events
        events.append((channel.split(b":")[1].decode(), key.decode()))


def test_events(server):
    node = server()
    assert events_of(node, ("FLASH.SET", "k", VALUE)) == [("new", "k"), ("flash.set", "k")] or \
        events_of(node, ("FLASH.SET", "k", VALUE)) == [("flash.set", "k")]
    assert events_of(node, ("FLASH.SET", "k", VALUE, "EX", 100)) == [
        ("flash.set", "k"), ("expire", "k")]
    assert events_of(node, ("FLASH.SET", "k", VALUE, "NX"), ("FLASH.SET", "none", "v", "XX"),
                     ("FLASH.GET", "k"), ("FLASH.GET", "none"), ("FLASH.MGET", "k", "none"),
                     ("FLASH.DEL", "none")) == [("keymiss", "none")] * 0
    chill(node, "k")
    assert events_of(node, ("FLASH.GET", "k")) == []
    assert events_of(node, ("FLASH.MSET", "k", "1", "k", "2")) == [("flash.set", "k")] * 2
    node.call("SET", "n", "v")
    for when in (("PXAT", 1), ("EXAT", 1)):
        node.call("SET", "n", "v")
        node.call("FLASH.SET", "k", "v")
        told = events_of(node, ("FLASH.SET", "k", "v", *when), ("SET", "n", "v", *when))
        assert [name for name, key in told if key == "k"] == \
            [name for name, key in told if key == "n"] in (["del"], ["expired"])
    node.call("FLASH.MSET", "a", "1", "b", VALUE)
    assert events_of(node, ("FLASH.DEL", "a", "none", "b", "a")) == [
        ("flash.del", "a"), ("flash.del", "b")]


def test_commands_describe_themselves_as_native_ones(server):
    node = server()
    for name in ("get", "set", "mget", "mset", "del"):
        native = node.call("COMMAND", "INFO", name)[name]
        flash = node.call("COMMAND", "INFO", "flash." + name)
        flash = flash[next(iter(flash))]
        assert flash["arity"] == native["arity"]
        assert set(flash["flags"]) == {*native["flags"], "module"}, name
        for field in ("first_key_pos", "last_key_pos", "step_count"):
            assert flash[field] == native[field], (name, field)


def test_key_specs_let_read_only_users_read(server):
    node = server()
    node.call("FLASH.SET", "k", VALUE)
    node.call("ACL", "SETUSER", "reader", "on", "nopass", "%R~k", "+@flash")
    node.call("ACL", "SETUSER", "other", "on", "nopass", "~k", "-@all", "+@flash", "-@write")
    reader = Connection(node.port)
    reader.must("AUTH", "reader", "x")
    assert reader.must("FLASH.GET", "k") == VALUE
    assert reader.must("FLASH.MGET", "k", "k") == [VALUE, VALUE]
    for args in [("FLASH.SET", "k", "v"), ("FLASH.DEL", "k"), ("FLASH.MSET", "k", "v"),
                 ("FLASH.GET", "x"), ("FLASH.MGET", "k", "x")]:
        assert reader.call(*args).value.startswith(b"NOPERM"), args
    other = Connection(node.port)
    other.must("AUTH", "other", "x")
    assert other.must("FLASH.GET", "k") == VALUE
    for args in [("FLASH.SET", "k", "v"), ("FLASH.DEL", "k"), ("FLASH.MSET", "k", "v")]:
        assert other.call(*args).value.startswith(b"NOPERM"), args


def test_key_specs_let_write_only_users_write(server):
    node = server()
    node.call("FLASH.SET", "k", VALUE)
    node.call("ACL", "SETUSER", "writer", "on", "nopass", "%W~k", "+@flash")
    writer = Connection(node.port)
    writer.must("AUTH", "writer", "x")
    writer.must("FLASH.SET", "k", "v")
    writer.must("FLASH.MSET", "k", "v", "k", "w")
    for args in [("FLASH.SET", "k", "v", "GET"), ("FLASH.GET", "k"), ("FLASH.SET", "x", "v")]:
        assert writer.call(*args).value.startswith(b"NOPERM"), args
    assert writer.must("FLASH.DEL", "k") == 1


def test_getkeys(server):
    client = Connection(server().port)
    for command, keys in [(("FLASH.MSET", "a", "1", "b", "2"), [b"a", b"b"]),
                          (("FLASH.MGET", "a", "b"), [b"a", b"b"]), (("FLASH.GET", "a"), [b"a"]),
                          (("FLASH.SET", "a", "b"), [b"a"]),
                          (("FLASH.DEL", "a", "b"), [b"a", b"b"])]:
        assert client.must("COMMAND", "GETKEYS", *command) == keys
        flags = client.must("COMMAND", "GETKEYSANDFLAGS", *command)
        native = client.must("COMMAND", "GETKEYSANDFLAGS", command[0][6:], *command[1:])
        assert [[key, sorted(of)] for key, of in flags] == [
            [key, sorted(of)] for key, of in native], command
