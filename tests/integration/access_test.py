"""Who may do what: every FLASH command and every position of a key, for users of limited rights.

A user limited to `~a:*` reaches nothing else: directly, in MULTI, in scripts, or by commands that
find their keys by themselves. What one may do with a FLASH command by its key rules is what he may
do with the native twin.
"""

import pytest

from harness.resp import Connection

NOWHERE = ("127.0.0.1", 1)  # No server listens there.

# One sample or more for every command; words that begin with `a:` are keys. A key stands at every
# position that can hold one. No twin: the command is ours alone.
SAMPLES = [
    ("FLASH.SET", "a:1", "v"), ("FLASH.SET", "a:1", "v", "EX", 9), ("FLASH.GET", "a:1"),
    ("FLASH.MGET", "a:1", "a:2", "a:3"), ("FLASH.MSET", "a:1", "v", "a:2", "v"),
    ("FLASH.DEL", "a:1", "a:2"),
    ("FLASH.HSET", "a:1", "f", "v"), ("FLASH.HGET", "a:1", "f"), ("FLASH.HMGET", "a:1", "f", "g"),
    ("FLASH.HGETALL", "a:1"), ("FLASH.HDEL", "a:1", "f"), ("FLASH.HEXISTS", "a:1", "f"),
    ("FLASH.HLEN", "a:1"),
    ("FLASH.LPUSH", "a:1", "v"), ("FLASH.RPUSH", "a:1", "v"), ("FLASH.LPUSHX", "a:1", "v"),
    ("FLASH.RPUSHX", "a:1", "v"), ("FLASH.LPOP", "a:1"), ("FLASH.RPOP", "a:1", 2),
    ("FLASH.LLEN", "a:1"), ("FLASH.LRANGE", "a:1", 0, -1), ("FLASH.LINDEX", "a:1", 0),
    ("FLASH.LSET", "a:1", 0, "v"), ("FLASH.LINSERT", "a:1", "BEFORE", "p", "v"),
    ("FLASH.LREM", "a:1", 0, "v"), ("FLASH.LTRIM", "a:1", 0, 5),
    ("FLASH.LMOVE", "a:1", "a:2", "LEFT", "RIGHT"), ("FLASH.RPOPLPUSH", "a:1", "a:2"),
    ("FLASH.BLPOP", "a:1", "a:2", "0.01"), ("FLASH.BRPOP", "a:1", "a:2", "0.01"),
    ("FLASH.BLMOVE", "a:1", "a:2", "LEFT", "RIGHT", "0.01"),
    ("FLASH.ZADD", "a:1", 1, "m"), ("FLASH.ZADD", "a:1", "INCR", 1, "m"),
    ("FLASH.ZREM", "a:1", "m"), ("FLASH.ZINCRBY", "a:1", 1, "m"), ("FLASH.ZPOPMIN", "a:1"),
    ("FLASH.ZPOPMAX", "a:1", 2), ("FLASH.BZPOPMIN", "a:1", "a:2", "0.01"),
    ("FLASH.BZPOPMAX", "a:1", "a:2", "0.01"), ("FLASH.ZSCORE", "a:1", "m"),
    ("FLASH.ZMSCORE", "a:1", "m", "n"), ("FLASH.ZRANK", "a:1", "m"),
    ("FLASH.ZREVRANK", "a:1", "m"), ("FLASH.ZCARD", "a:1"), ("FLASH.ZCOUNT", "a:1", 0, 5),
    ("FLASH.ZLEXCOUNT", "a:1", "-", "+"), ("FLASH.ZRANGE", "a:1", 0, -1),
    ("FLASH.ZRANGEBYSCORE", "a:1", 0, 5), ("FLASH.ZREVRANGEBYSCORE", "a:1", 5, 0),
    ("FLASH.ZRANGEBYLEX", "a:1", "-", "+"), ("FLASH.ZREVRANGEBYLEX", "a:1", "+", "-"),
    ("FLASH.ZSCAN", "a:1", 0), ("FLASH.ZUNIONSTORE", "a:1", 1, "a:2"),
    ("FLASH.ZUNIONSTORE", "a:1", 3, "a:2", "a:3", "a:4", "WEIGHTS", 1, 2, 3),
    ("FLASH.ZINTERSTORE", "a:1", 2, "a:2", "a:3", "AGGREGATE", "MAX"),
    ("FLASH.ZDIFFSTORE", "a:1", 2, "a:2", "a:3"), ("FLASH.ZRANGESTORE", "a:1", "a:2", 0, -1),
    ("FLASH.DEBUG.DEMOTE", "a:1"), ("FLASH.CONVERT", "a:1"), ("FLASH.ADOPT", "a:1"),
    ("FLASH.MIGRATE", *NOWHERE, "a:1", 0, 100),
    ("FLASH.MIGRATE", *NOWHERE, "", 0, 100, "COPY", "REPLACE", "AUTH2", "u", "p", "KEYS", "a:1",
     "a:2", "a:3"),
]
# Commands without keys; those that find keys by themselves have tests of their own.
KEYLESS = {
    "FLASH.DEBUG.STATE", "FLASH.COMPACTION.TRIGGER", "FLASH.COMPACTION.STATS", "FLASH.DRAIN",
    "FLASH.MIGRATE.PROBE", "FLASH.ADOPT.SCAN", "FLASH.DEBUG.APPLY", "FLASH.DEBUG.INFO",
    "FLASH.DEBUG.RECOVERING", "FLASH.DEBUG.CATCHUP",
}
SHAPES = {"string": ("FLASH.SET", "v" * 200), "hash": ("FLASH.HSET", "f", "v" * 200),
          "list": ("FLASH.RPUSH", "v" * 200), "zset": ("FLASH.ZADD", 1, "m" * 200)}


def key_positions(sample):
    return [at for at, word in enumerate(sample) if str(word).startswith("a:")]


def is_refused(reply):
    return reply.is_error and b"ermission" in reply.value


@pytest.fixture
def admin(server):
    return Connection(server().port)


@pytest.fixture
def user(admin):
    """user(rules…): a connection of a user with these rules, as root of `admin`'s server."""
    def make(*rules):
        port = admin.must("CONFIG", "GET", "port")[1]
        admin.must("ACL", "SETUSER", "ann", "reset", "on", "nopass", *rules)
        made = Connection(int(port))
        made.must("AUTH", "ann", "x")
        return made
    return make


def fill(admin, prefix):
    """A FLASH key of each shape, and native ones, under `prefix`."""
    for shape, (command, *args) in SHAPES.items():
        admin.must("DEL", f"{prefix}{shape}")
        admin.must(command, f"{prefix}{shape}", *args)
        admin.must("FLASH.DEBUG.DEMOTE", f"{prefix}{shape}")
    admin.must("SET", f"{prefix}native", "n")


def digests(admin, prefix):
    return admin.must("DEBUG", "DIGEST-VALUE",
                      *(f"{prefix}{name}" for name in (*SHAPES, "native")))


def test_every_command_has_a_sample_and_every_key_is_declared(admin):
    commands = {name.decode() for name in
                admin.must("COMMAND", "LIST", "FILTERBY", "MODULE", "flash")}
    sampled = {sample[0] for sample in SAMPLES}
    assert sampled | (KEYLESS & commands) == commands
    assert not sampled & KEYLESS
    for sample in SAMPLES:
        declared = admin.must("COMMAND", "GETKEYS", *sample)
        assert declared == [sample[at].encode() for at in key_positions(sample)], sample


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_outside_his_keys_is_reached(admin, user, shape):
    """Each position in turn names a key of another, whatever it holds."""
    fill(admin, "b:")
    before = digests(admin, "b:")
    ann = user("+@all", "~a:*")
    script = "return redis.call(unpack(ARGV))"
    holes = []
    for sample in SAMPLES:
        for at in key_positions(sample):
            words = list(map(str, sample))
            words[at] = f"b:{shape}"
            ways = {"direct": ann.call(*words), "script": ann.call("EVAL", script, 0, *words)}
            ann.must("MULTI")
            ways["multi"] = ann.call(*words)
            ann.call("DISCARD")
            holes += [(way, words) for way, reply in ways.items() if not is_refused(reply)]
        assert digests(admin, "b:") == before, sample
    assert not holes


def test_what_is_allowed_is_not_refused(admin, user):
    ann = user("+@all", "~a:*")
    for sample in SAMPLES:
        admin.must("DEL", "a:1", "a:2", "a:3", "a:4")
        assert not is_refused(ann.call(*sample)), sample
        assert not is_refused(ann.call("EVAL", "return redis.pcall(unpack(ARGV))", 0, *sample))


def verdict(admin, *words):
    return admin.must("ACL", "DRYRUN", "ann", *words) == b"OK"


@pytest.mark.parametrize("rules", [("%R~a:*",), ("%W~a:*",), ("%R~a:1", "%W~a:*"),
                                   ("%R~a:*", "%W~a:1"), ("%RW~a:1",), ("~b:*",), ("~*",)])
def test_key_rules_allow_what_they_allow_with_the_twin(admin, user, rules):
    user("+@all", *rules)
    allowed = 0
    for sample in SAMPLES:
        twin = (sample[0][len("FLASH."):], *sample[1:])
        if twin[0] in ("DEBUG.DEMOTE", "CONVERT", "ADOPT"):
            continue
        ours = verdict(admin, *sample)
        assert ours == verdict(admin, *twin), sample
        allowed += ours
    assert (allowed == 0) == (rules == ("~b:*",))
    assert (allowed == 0) or (allowed < len(SAMPLES) - 3) or rules == ("~*",)


def test_readers_read_and_writers_write(admin, user):
    fill(admin, "a:")
    reads = [("FLASH.GET", "a:string"), ("FLASH.HGETALL", "a:hash"),
             ("FLASH.LRANGE", "a:list", 0, -1), ("FLASH.ZRANGE", "a:zset", 0, -1)]
    writes = [("FLASH.SET", "a:string", "v"), ("FLASH.HSET", "a:hash", "f", "v"),
              ("FLASH.RPUSH", "a:list", "v"), ("FLASH.ZADD", "a:zset", 2, "m")]
    for rule, allowed, refused in (("%R~a:*", reads, writes), ("%W~a:*", writes, reads)):
        ann = user("+@all", rule)
        for command in allowed:
            assert not ann.call(*command).is_error, (rule, command)
        for command in (*refused, ("FLASH.CONVERT", "a:hash"), ("FLASH.ADOPT", "a:native")):
            assert is_refused(ann.call(*command)), (rule, command)
    # He who changes the form of a value need be able to read and write it.
    ann = user("+@all", "%R~a:*", "%W~a:*")
    assert ann.call("FLASH.CONVERT", "a:hash").plain() == 1
    assert ann.call("FLASH.ADOPT", "a:hash").plain() == 1


def test_drain_takes_the_callers_keys_only(admin, user):
    for prefix in ("a:", "b:"):
        fill(admin, prefix)
    before = digests(admin, "b:")
    for rules in (("~a:*",), ("%R~b:*", "~a:*"), ("%W~b:*", "~a:*")):
        fill(admin, "a:")
        ann = user("+@all", *rules)
        assert ann.must("FLASH.DRAIN")[0] == len(SHAPES)
        ann.must("MULTI")
        ann.must("FLASH.DRAIN", "ALLDBS", "FORCE")
        assert ann.must("EXEC")[0][0] == 0
        assert digests(admin, "b:") == before
        assert admin.must("TYPE", "b:hash") == b"flashhsh1"
        assert admin.must("TYPE", "a:hash") == b"hash"
    ann = user("+flash.drain", "~*")
    assert ann.must("FLASH.DRAIN")[0] == len(SHAPES)


def test_adopt_scan_takes_the_callers_keys_only(admin, user):
    admin.must("SET", "a:native", "n")
    admin.must("SET", "b:native", "n")
    ann = user("+@all", "~a:*")
    cursor, adopted = b"0", []
    while True:
        cursor, some = ann.must("FLASH.ADOPT.SCAN", cursor)
        adopted += some
        if cursor == b"0":
            break
    assert adopted == [b"a:native"]
    assert admin.must("TYPE", "b:native") == b"string"


def test_nobody_applies_a_log(admin):
    """What a replay runs commands by knows of no keys, so it must not run for anybody else."""
    admin.must("FLASH.SET", "b:k", "v")
    words = ("FLASH.DEBUG.APPLY", "FLASH.DEL", "b:k")
    assert admin.call(*words).is_error
    assert admin.call("EVAL", "return redis.call(unpack(ARGV))", 0, *words).is_error
    admin.must("MULTI")
    admin.must(*words)
    assert admin.must("EXEC")[0].startswith(b"ERR ")
    assert admin.must("FLASH.GET", "b:k") == b"v"
    assert admin.call("FLASH.DEBUG.CATCHUP").is_error


def names_by(admin, *categories):
    found = set()
    for category in categories:
        found |= {name.decode().upper() for name in
                  admin.must("COMMAND", "LIST", "FILTERBY", "ACLCAT", category)}
    return {name for name in found if name.startswith("FLASH.")}


def test_categories(admin, user):
    samples = [*SAMPLES, *((name,) for name in ("FLASH.DEBUG.STATE", "FLASH.COMPACTION.STATS",
                                                "FLASH.COMPACTION.TRIGGER", "FLASH.DRAIN"))]
    every = names_by(admin, "flash")
    assert {sample[0] for sample in samples} <= every
    for rules, allowed in (
            (("-@all", "+@flash"), every), (("+@all", "-@flash"), set()),
            (("+@all", "-@dangerous"), every - names_by(admin, "dangerous")),
            (("+@all", "-@admin"), every - names_by(admin, "admin")),
            (("-@all", "+@read", "-@write"), names_by(admin, "read") - names_by(admin, "write")),
            (("-@all", "+@hash"), names_by(admin, "hash"))):
        user("~*", *rules)
        for sample in samples:
            assert verdict(admin, *sample) == (sample[0] in allowed), (rules, sample)
        assert verdict(admin, "GET", "k") == ("+@all" in rules or "+@read" in rules), rules
    # What disturbs others, or the server, is not for everybody.
    assert {"FLASH.DEBUG.DEMOTE", "FLASH.DRAIN", "FLASH.MIGRATE", "FLASH.COMPACTION.TRIGGER",
            "FLASH.DEBUG.APPLY", "FLASH.DEBUG.CATCHUP"} <= names_by(admin, "dangerous")
    assert not names_by(admin, "string", "hash", "list", "sortedset") & names_by(
        admin, "dangerous", "admin")
