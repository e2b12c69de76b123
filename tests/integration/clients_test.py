"""Client libraries see FLASH.X as they see X: replies, errors, pipelines, redirects, round trips.

docs/clients.md is written from what is tried here; its snippets are lines of tests/clients.
"""

import re

import pytest
from redis.crc import key_slot

from conftest import ROOT, wait_until
from harness.clients import COMMANDS, FOLDER, Client, Failure, ServerError
from harness.cluster import Cluster
from harness.parking import Holder, chill, parked_now
from harness.resp import Connection

VALUE = "a value that is long enough to leave RAM " * 4
FIELDS = [word for n in range(20) for word in (f"field{n}", VALUE + str(n))]
MEMBERS = [word for n in range(20) for word in (n + 0.5, f"member{n}" + "m" * 60)]
WRITES = [
    ("SET", "s", VALUE), ("SET", "n", "1", "EX", 1000), ("MSET", "s1", VALUE, "s2", "2"),
    ("HSET", "h", *FIELDS), ("HSET", "h1", "f", VALUE),
    ("RPUSH", "l", *[VALUE + str(n) for n in range(20)]),
    ("ZADD", "z", *MEMBERS), ("ZADD", "z2", 1, "m"),
]
COLD = ("s", "s1", "h", "h1", "l", "z")
# Every shape of reply, and every kind of error that a value's command has.
ASKED = [
    ("GET", "s"), ("GET", "nobody"), ("MGET", "s", "nobody", "s2"), ("SET", "n", "2", "GET"),
    ("SET", "n", "3", "NX"), ("SET", "n", "3", "EX", "never"), ("GET", "h"), ("GET",),
    ("HGET", "h", "field3"), ("HMGET", "h", "field1", "none"), ("HGETALL", "h1"),
    ("HGETALL", "nobody"), ("HEXISTS", "h", "field1"), ("HLEN", "h"), ("HDEL", "h", "field0"),
    ("LRANGE", "l", 0, -1), ("LINDEX", "l", 99), ("LPOP", "l"), ("LPOP", "l", 2),
    ("LPOP", "nobody", 2), ("LSET", "l", 99, "x"), ("LMOVE", "l", "l3", "LEFT", "RIGHT"),
    ("BLPOP", "nobody", "l3", 1), ("BLPOP", "nobody", 0.01),
    ("BLMOVE", "l", "l3", "LEFT", "LEFT", 1),
    ("ZSCORE", "z", MEMBERS[1]), ("ZSCORE", "z", "none"), ("ZMSCORE", "z", MEMBERS[3], "none"),
    ("ZRANK", "z", MEMBERS[5]), ("ZRANK", "z", MEMBERS[5], "WITHSCORE"),
    ("ZRANGE", "z", 0, 3, "WITHSCORES"), ("ZRANGEBYSCORE", "z", "-inf", "(4", "WITHSCORES"),
    ("ZADD", "z", "INCR", "0.25", MEMBERS[1]), ("ZINCRBY", "z", "inf", "far"),
    ("ZADD", "z", "nan", "m"), ("ZSCAN", "z2", 0), ("ZPOPMIN", "z"), ("ZPOPMAX", "z", 2),
    ("BZPOPMIN", "z", 1), ("BZPOPMIN", "nobody", 0.01), ("ZUNIONSTORE", "u", 2, "z", "z2"),
    ("ZRANGESTORE", "r", "u", 0, 1), ("ZCOUNT", "z", "-inf", "+inf"), ("ZADD", "l", 1, "m"),
    ("DEL", "s", "nobody", "u"),
]
# One for each way in which keys stand among arguments.
ROUTED = [
    ("SET", "{}", VALUE), ("GET", "{}"), ("MGET", "{}", "{}b"), ("HSET", "h{}", "f", VALUE),
    ("HGET", "h{}", "f"), ("RPUSH", "l{}", "a", "b"), ("LMOVE", "l{}", "l{}b", "LEFT", "LEFT"),
    ("BLPOP", "l{}", 1), ("ZADD", "z{}", 1, "m"), ("ZUNIONSTORE", "u{}", 2, "z{}", "z{}b"),
    ("ZRANGESTORE", "r{}", "u{}", 0, -1), ("DEL", "{}", "{}b"),
]


@pytest.fixture(params=sorted(COMMANDS))
def client(request):
    with Client(request.param) as made:
        made.library = request.param
        yield made


def named_as_the_twin(outcome):
    """Errors name a command as it is registered: 'FLASH.GET'."""
    if isinstance(outcome, str) and outcome.startswith("error"):
        return re.sub(r"'flash\.(\w+)'", r"'\1'", outcome.lower())
    return outcome


def test_replies_are_the_twins(server, client):
    node, native = server(), server(module=False)
    for resp in client.resp:
        for each in (node, native):
            each.call("FLUSHALL")
        client.open(native.port, resp)
        want = [client.outcome(*command) for command in WRITES + ASKED]
        client.close()
        client.open(node.port, resp)
        got = [client.outcome(f"FLASH.{name}", *args) for name, *args in WRITES]
        chill(node, *COLD)
        got += [client.outcome(f"FLASH.{name}", *args) for name, *args in ASKED]
        client.close()
        for command, ours, theirs in zip(WRITES + ASKED, got, want):
            assert named_as_the_twin(ours) == named_as_the_twin(theirs), (resp, command)
        assert node.info("flash")["flash_cache_misses"] > 0


@pytest.mark.parametrize("library", ["ioredis", "node_redis"])
def test_methods_that_were_taught(server, library):
    node = server()
    with Client(library) as client:
        for resp in client.resp:
            client.open(node.port, resp)
            outcomes = []
            for prefix in ("", "FLASH."):
                node.call("FLUSHALL")
                call = [client.method(prefix + name, *args) for name, *args in (
                    ("SET", "k", VALUE), ("GET", "k"), ("HSET", "h", "f", "v"), ("HGETALL", "h"),
                    ("RPUSH", "l", "a"), ("LRANGE", "l", "0" if library == "ioredis" else 0, -1))]
                outcomes.append(call)
            assert outcomes[0] == outcomes[1]
            assert outcomes[0][3] == {"f": "v"}, "not the library's own form"
            client.close()


def test_pipelines_keep_their_order(server, client):
    node = server({"flash.cache-size-bytes": "1mb"})
    for resp in client.resp:
        node.call("FLUSHALL")
        client.open(node.port, resp)
        count = 200
        replies = client.pipeline(*[("FLASH.SET", f"k{n}", f"{n}" + VALUE) for n in range(count)])
        assert replies in (["OK"] * count, [True] * count)
        client.call("SET", "native", "x")
        chill(node, *[f"k{n}" for n in range(0, count, 2)])  # Every other one is cold.
        commands = [("FLASH.GET", f"k{n}") for n in range(count)]
        commands.insert(100, ("FLASH.SET", "k150", "new"))
        wrong = ("FLASH.GET", "native")
        if client.library == "ruby":
            with pytest.raises(ServerError, match="WRONGTYPE"):
                client.pipeline(*commands[:7], wrong, *commands[7:])
            got = client.pipeline(*commands)
        else:
            got = client.pipeline(*commands[:7], wrong, *commands[7:])
            assert str(got[7]).startswith("WRONGTYPE"), got[7]
            del got[7]
        assert got.pop(100) in ("OK", True)
        want = [f"{n}" + VALUE for n in range(count)]
        want[150] = "new"
        assert got == want
        client.close()


def test_a_time_out_while_parked_confuses_nobody(server, client, tmp_path, monkeypatch):
    """The late reply is nobody's: neither the next command's, nor the next connection's."""
    holder = Holder(tmp_path, monkeypatch)
    node = server()
    observer = Connection(node.port)
    for resp in client.resp:
        observer.must("FLUSHALL")
        observer.must("FLASH.SET", "k", VALUE)
        observer.must("FLASH.SET", "other", "another value")
        for command, after in ((("FLASH.GET", "k"), {VALUE}),
                               (("FLASH.SET", "k", "new", "GET"), {VALUE, "new"})):
            chill(node, "k")
            client.open(node.port, resp, timeout_ms=700)
            assert client.call("ECHO", "hello") == "hello"
            holder.hold("fetch")
            with pytest.raises(Failure):
                client.call(*command)
            holder.let_go()
            assert client.call("FLASH.GET", "other") == "another value"
            wait_until(lambda: parked_now(node) == 0, 20, "the parked command to end")
            assert client.call("FLASH.GET", "k") in after
            assert [client.call("ECHO", word) for word in "abc"] == list("abc")
            client.close()


def errors_of(node, kind):
    """How many error replies of a kind a node has given."""
    said = Connection(node.port).must("INFO", "errorstats").decode()
    found = re.search(rf"errorstat_{kind}:count=(\d+)", said)
    return int(found[1]) if found else 0


def calls_of(cluster):
    """How often commands reached any node, redirected ones too; and redirections."""
    calls = moved = 0
    for node in cluster.nodes:
        for name, stat in node.info("commandstats").items():
            if re.fullmatch(r"cmdstat_(info|ping|cluster.*|client.*|hello)", name):
                continue  # Our own questions, and what clients ask by the clock.
            calls += stat["calls"] + stat["rejected_calls"]
        moved += errors_of(node, "MOVED")
    return calls, moved


def trips_of(cluster, client, prefix):
    """Of ROUTED over keys of all nodes: (commands that reached a node, MOVED among them)."""
    for node in cluster.nodes:
        node.call("FLUSHALL")
        node.call("CONFIG", "RESETSTAT")
    before = calls_of(cluster)
    for n in range(12):
        for name, *args in ROUTED:
            key = f"{{{n}}}"
            client.call(prefix + name, *[str(arg).replace("{}", key) for arg in args])
    after = calls_of(cluster)
    return after[0] - before[0], after[1] - before[1]


@pytest.fixture
def cluster(server):
    return Cluster(server, replicated=False)


@pytest.mark.slow
def test_a_cluster_client_makes_no_more_round_trips(cluster):
    """All libraries over one cluster, which takes seconds to make."""
    for library in sorted(COMMANDS):
        with Client(library) as client:
            for resp in client.resp:
                client.open(cluster.nodes[0].port, resp, cluster=True)
                for n in range(30):  # Connections to all nodes, and tables of commands.
                    client.call("FLASH.SET", f"warm{n}", "x")
                    client.call("SET", f"warm-native{n}", "x")
                native = trips_of(cluster, client, "")
                ours = trips_of(cluster, client, "FLASH.")
                assert native[0] >= 12 * len(ROUTED)
                assert ours == native, (library, resp)
                assert native[1] == 0 or library == "hiredis", "no table, no slots: it asks"
                client.close()
    with Client("ioredis", "untaught") as client:
        client.open(cluster.nodes[0].port, cluster=True)
        assert trips_of(cluster, client, "FLASH.")[1] > 0, "its table knows FLASH commands?"
    redirected(cluster)


def redirected(cluster):
    """ASK while a slot moves, MOVED once it has: every library finds the value."""
    key = next(f"key{n}" for n in range(10**6)
               if cluster.owner(f"key{n}") is cluster.primaries[0])
    source, target = cluster.primaries[:2]
    ids = {node: node.call("CLUSTER", "MYID") for node in cluster.primaries}
    slot = key_slot(key.encode())
    clients = []
    for library in sorted(COMMANDS):
        client = Client(library)
        clients.append(client)
        client.open(source.port, cluster=True)
    try:
        clients[0].call("FLASH.SET", key, VALUE)
        chill(source, key)
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        assert source.call("FLASH.MIGRATE", "127.0.0.1", target.port, key, 0, 10_000) == b"OK"
        for client in clients:
            assert client.call("FLASH.GET", key) == VALUE
        assert errors_of(source, "ASK") >= len(clients)
        for node in (target, source, cluster.primaries[2]):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        for client in clients:
            assert client.call("FLASH.GET", key) == VALUE
        assert errors_of(source, "MOVED") > 0
    finally:
        for client in clients:
            client.__exit__()


def test_snippets_of_the_page_are_lines_of_the_programs():
    page = (ROOT / "docs" / "clients.md").read_text()
    tried = [[line.strip() for line in path.read_text().splitlines()]
             for path in FOLDER.iterdir() if path.suffix in (".py", ".js", ".rb", ".cc")]
    snippets = re.findall(r"```(?:python|js|ruby|cpp)\n(.*?)```", page, re.DOTALL)
    assert len(snippets) >= 4
    for snippet in snippets:
        lines = [line.strip() for line in snippet.strip().splitlines()]
        assert any(lines == text[at:at + len(lines)] for text in tried
                   for at in range(len(text))), snippet


ERRORS = "ERR|FLASHIO|FLASHFULL|LOADING|TRYAGAIN|READONLY|UNBLOCKED|OOM|NOPERM|WRONGTYPE"
# What a replay of the log says to the server's log, and nobody else.
OF_REPLAY = {"ERR no command that this version knows"}


def error_texts():
    """Every text of the sources that is an error reply, or the beginning of one."""
    texts = set()
    for source in (ROOT / "src").rglob("*"):
        if source.suffix in (".cc", ".h") and not source.name.endswith("_test.cc"):
            text = re.sub(r'"\s*\n\s*"', "", source.read_text())
            texts |= {found.strip() for found in
                      re.findall(rf'"((?:{ERRORS}) [^"\n]+)"', text)}
    return texts - OF_REPLAY


def test_every_error_reply_is_on_the_page():
    shown = re.findall(r"`([^`]+)`", (ROOT / "docs" / "clients.md").read_text())
    texts = error_texts()
    assert len(texts) > 60
    missing = [text for text in sorted(texts)
               if text not in shown and not any(each.startswith(text + "…")
                                                or each.startswith(text + " …") for each in shown)]
    assert not missing, "\n".join(missing)
    beginnings = [each.split("…")[0].strip() for each in shown
                  if re.match(rf"(?:{ERRORS}) \S", each)]
    invented = [each for each in beginnings if not any(text.startswith(each) for text in texts)]
    assert not invented, "\n".join(invented)


@pytest.mark.parametrize("how", ["multi", "script", "tracking"])
def test_where_a_client_cannot_wait_it_is_counted_as_the_page_says(server, how):
    page = (ROOT / "docs" / "clients.md").read_text()
    node = server()
    connection = Connection(node.port, resp3=True)
    connection.must("FLASH.SET", "k", VALUE)
    if how == "tracking":
        connection.must("CLIENT", "TRACKING", "ON")
    for command in ("FLASH.GET", "FLASH.MGET"):
        chill(node, "k")
        before = node.info("flash")[f"flash_sync_waits_{how}"]
        if how == "multi":
            for words in (("MULTI",), (command, "k"), ("EXEC",)):
                connection.must(*words)
        elif how == "script":
            connection.must("EVAL", "return redis.call(ARGV[1], KEYS[1])", 1, "k", command)
        else:
            connection.must(command, "k")
        assert node.info("flash")[f"flash_sync_waits_{how}"] > before
        assert f"`flash_sync_waits_{how}`" in page
        # Read beforehand, nothing is left to wait for.
        before = node.info("flash")["flash_sync_waits_total"]
        connection.must("FLASH.MGET", "k")
        connection.must("EVAL", "return redis.call('FLASH.GET', KEYS[1])", 1, "k")
        assert node.info("flash")["flash_sync_waits_total"] == before
