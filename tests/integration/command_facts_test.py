"""COMMAND INFO, DOCS and GETKEYS of FLASH.X say what those of X say on the same server.

Cluster clients, proxies and ACL rules go by these; what differs is listed here with its reason.
"""

import pytest

from harness.resp import Connection

MODULE_FLAGS = {b"module"}
# Commands that are not those of values: the first word of the name.
ADMINISTRATION = {b"DEBUG", b"COMPACTION", b"CONVERT", b"DRAIN", b"MIGRATE", b"ADOPT"}

# Of what the server itself says by a callback that modules lack (dispatch/read_permission.h).
SET_READS = {b"RW": b"OW", b"access": None, b"variable_flags": None}

SAMPLES = [
    ("GET", "a"), ("SET", "a", "b"), ("SET", "a", "b", "EX", 5), ("MGET", "a", "b"),
    ("MSET", "a", "1", "b", "2"), ("DEL", "a", "b"), ("HSET", "a", "f", "v"),
    ("HGETALL", "a"), ("LMOVE", "a", "b", "LEFT", "LEFT"), ("RPOPLPUSH", "a", "b"),
    ("BLPOP", "a", "b", "0"), ("BLMOVE", "a", "b", "LEFT", "LEFT", "0"),
    ("BZPOPMIN", "a", "b", "0"),
    ("ZADD", "a", 1, "m"), ("ZRANGE", "a", 0, -1), ("ZRANGESTORE", "a", "b", 0, -1),
    ("ZUNIONSTORE", "a", 2, "b", "c"), ("ZUNIONSTORE", "a", 2, "b", "c", "WEIGHTS", 1, 2),
    ("ZINTERSTORE", "a", 1, "b"), ("ZDIFFSTORE", "a", 1, "b"), ("ZSCAN", "a", 0),
    # The number of keys is no number, or not that of the keys.
    ("ZUNIONSTORE", "a", "x", "b"), ("ZUNIONSTORE", "a", 0, "b"), ("ZUNIONSTORE", "a", -1, "b"),
    ("ZUNIONSTORE", "a", 9, "b"), ("ZINTERSTORE", "a", 9, "b"), ("ZDIFFSTORE", "a", "", "b"),
    # The number of arguments is wrong.
    ("GET",), ("ZUNIONSTORE", "a"), ("LMOVE", "a"),
]


@pytest.fixture
def connection(server):
    return Connection(server().port)


def twins(connection):
    for name in sorted(connection.must("COMMAND", "LIST", "FILTERBY", "MODULE", "flash")):
        twin = name[len("FLASH."):]
        if twin.split(b".")[0] in ADMINISTRATION:
            continue
        if connection.must("COMMAND", "INFO", twin)[0] is not None:
            yield name, twin


def as_dict(flat):
    return dict(zip(flat[0::2], flat[1::2]))


def key_specs_of(info, is_set):
    specs = []
    for flat in info[8]:
        spec = as_dict(flat)
        spec.pop(b"notes", None)
        flags = set(spec.pop(b"flags"))
        if is_set:
            flags = {SET_READS.get(flag, flag) for flag in flags} - {None}
        specs.append((flags, repr(spec)))
    return specs


def arguments_of(flat_list):
    """The tree of arguments without what is the server's own history."""
    result = []
    for flat in flat_list:
        arg = as_dict(flat)
        result.append({
            "name": arg[b"name"], "type": arg[b"type"], "token": arg.get(b"token"),
            "key": arg.get(b"key_spec_index"), "flags": sorted(arg.get(b"flags", [])),
            "arguments": arguments_of(arg.get(b"arguments", []))})
    return result


def test_every_data_command_has_a_twin(connection):
    names = {name for name, _ in twins(connection)}
    others = set(connection.must("COMMAND", "LIST", "FILTERBY", "MODULE", "flash")) - names
    assert len(names) > 45
    assert {name.split(b".")[1] for name in others} <= ADMINISTRATION


def test_info_is_the_twins(connection):
    for name, twin in twins(connection):
        flash, native = (connection.must("COMMAND", "INFO", each)[0] for each in (name, twin))
        assert flash[1] == native[1], (name, "arity")
        assert set(flash[2]) - MODULE_FLAGS == set(native[2]), (name, "flags")
        assert flash[3:6] == native[3:6], (name, "first, last, step")
        assert set(flash[6]) - {b"@flash"} == set(native[6]), (name, "ACL categories")
        assert set(flash[7]) == set(native[7]), (name, "tips")
        assert key_specs_of(flash, False) == key_specs_of(native, twin == b"SET"), name


def test_docs_offer_the_twins_arguments(connection):
    for name, twin in twins(connection):
        flash, native = (as_dict(connection.must("COMMAND", "DOCS", each)[1])
                         for each in (name, twin))
        if twin == b"HSET":  # And the clause about the key's time to live.
            flash[b"arguments"] = flash[b"arguments"][:2]
        assert arguments_of(flash.get(b"arguments", [])) == \
            arguments_of(native.get(b"arguments", [])), name


@pytest.mark.parametrize("question", ["GETKEYS", "GETKEYSANDFLAGS"])
def test_keys_are_the_twins(connection, question):
    for sample in SAMPLES:
        flash, native = (connection.call("COMMAND", question, prefix + sample[0], *sample[1:])
                         for prefix in ("FLASH.", ""))
        assert flash.is_error == native.is_error, sample
        if flash.is_error:
            assert flash.value == native.value, sample
        elif question == "GETKEYS":
            assert flash.plain() == native.plain(), sample
        else:
            assert [[key, set(flags)] for key, flags in flash.plain()] == \
                [[key, set(flags)] for key, flags in native.plain()], sample


def key_replies(connection, question, prefix, name, words):
    reply = connection.call("COMMAND", question, prefix + name, *words)
    if reply.is_error:
        return reply.value
    if question == "GETKEYS":
        return reply.plain()
    return [[key, set(flags)] for key, flags in reply.plain()]


@pytest.mark.parametrize("question", ["GETKEYS", "GETKEYSANDFLAGS"])
def test_keys_of_every_command_are_the_twins(connection, question):
    """With as many words as it may have, up to eight, so that keys stand wherever they can."""
    found = 0
    for _, twin in twins(connection):
        for count in range(9):
            for words in (["a", "2", "b", "c", "d", "3", "e", "f"], ["k%d" % n for n in range(8)]):
                args = (twin.decode(), words[:count])
                flash, native = (key_replies(connection, question, prefix, *args)
                                 for prefix in ("FLASH.", ""))
                assert flash == native, args
                found += isinstance(flash, list)
    assert found > 300


# A user of several selectors may read a key by one of them and set it by another: SET with GET
# needs one that allows both, and so does FLASH.SET. {} is the command's name.
RULES = [
    ("%RW~k", "+{}"), ("%W~k", "+{}"), ("%R~k", "+{}"), ("~other", "+{}"), ("%RW~k", "-@all"),
    ("%W~k", "+{}", "(%R~k +get +flash.get)"), ("%W~k", "+{}", "(%RW~k +get +flash.get)"),
    ("%W~k", "+{}", "(%RW~k +{} +ping)"), ("%R~k", "+get", "(~k +{})"),
    ("%W~k", "+{}", "(%R~k +{})"), ("~(k", "+{}", "(%W~k +{})"), ("%W~k", "%R~k", "+{}"),
]


@pytest.mark.parametrize("rules", RULES, ids=range(len(RULES)))
def test_set_with_get_needs_permission_to_read(server, rules):
    node = server()
    node.call("SET", "k", "v")
    outcomes = []
    for name in ("set", "flash.set"):
        node.call("DEL", "k")
        node.call("ACL", "SETUSER", "ann", "reset", "on", "nopass", "+eval", "+multi", "+exec",
                  *(rule.replace("{}", name) for rule in rules))
        ann = Connection(node.port)
        ann.must("AUTH", "ann", "x")
        node.call("ACL", "LOG", "RESET")
        script = "return redis.pcall(ARGV[1], 'k', 'v', ARGV[2])"
        replies = [ann.call(name, "k", "v"), ann.call(name, "k", "v", "get"),
                   *(ann.call("EVAL", script, 0, name, option) for option in ("GET", "XX"))]
        refused = [reply.is_error and b"ermission" in reply.value for reply in replies]
        ann.call("MULTI")
        ann.call(name, "k", "v", "GET")
        done = ann.call("EXEC")
        refused.append(done.is_error or done.value[0].is_error)
        logged = [entry[b"object"] for entry in
                  map(as_dict, Connection(node.port).must("ACL", "LOG"))]
        outcomes.append((refused, b"k" in logged))
    assert outcomes[0] == outcomes[1], rules


def test_set_with_get_where_nobody_is_asked(server):
    """What the AOF and the primary bring has no user."""
    primary = server({"appendonly": "yes"})
    primary.call("FLASH.SET", "k", "v")
    primary.call("ACL", "SETUSER", "default", "resetkeys", "%W~*")
    with pytest.raises(Exception, match="No permissions"):
        primary.call("FLASH.SET", "k", "w", "GET")
    primary.call("FLASH.SET", "k", "w", "PX", 10_000_000)
    primary.restart()
    assert primary.call("FLASH.GET", "k") == b"w"
