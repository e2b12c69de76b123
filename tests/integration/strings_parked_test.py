"""What happens to a parked command when the world changes before it is applied."""

import time

import pytest
import redis

from conftest import wait_until
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection, Disconnected

OLD = b"old " * 300
NEW = b"new " * 300


@pytest.fixture
def holder(tmp_path, monkeypatch):
    return Holder(tmp_path, monkeypatch)


@pytest.fixture(params=Holder.POINTS)
def point(request):
    return request.param


@pytest.fixture
def node(server, holder):
    return server({"databases": 4})


def cold_key(node, key="key", value=OLD, db=0):
    node.connect(db=db).execute_command("FLASH.SET", key, value)
    chill(node, key, db=db)


def test_parked_get_answers_with_the_value(node, holder, point):
    cold_key(node)
    holder.hold(point)
    reader = send_and_park(node, "FLASH.GET", "key")
    assert node.client.ping()
    holder.let_go()
    assert reader.read().plain() == OLD
    assert parked_now(node) == 0


MEANWHILE = {
    "deleted": ([("DEL", "key")], None),
    "flash-deleted": ([("FLASH.DEL", "key")], None),
    "unlinked": ([("UNLINK", "key")], None),
    "overwritten": ([("FLASH.SET", "key", NEW)], NEW),
    "overwritten-tiny": ([("FLASH.SET", "key", "t")], b"t"),
    "expired": ([("PEXPIREAT", "key", "1")], None),
    "flushed": ([("FLUSHALL", "SYNC")], None),
    "flushed-async": ([("FLUSHALL", "ASYNC")], None),
    "flushed-db": ([("FLUSHDB", "ASYNC")], None),
    "swapped-away": ([("SWAPDB", "0", "1")], None),
    "swapped-twice": ([("SWAPDB", "0", "1"), ("SWAPDB", "0", "1")], OLD),
    "renamed-away": ([("RENAME", "key", "other")], None),
    "renamed-and-back": ([("RENAME", "key", "other"), ("RENAME", "other", "key")], OLD),
    "moved": ([("MOVE", "key", "1")], None),
    "copied": ([("COPY", "key", "other")], OLD),
    "replaced-by-copy": ([("FLASH.SET", "x", NEW), ("COPY", "x", "key", "REPLACE")], NEW),
    "persisted": ([("PERSIST", "key")], OLD),
    "deleted-and-set": ([("DEL", "key"), ("FLASH.SET", "key", NEW)], NEW),
}


@pytest.mark.parametrize("commands, expected", MEANWHILE.values(), ids=MEANWHILE)
def test_get_sees_what_is_there_when_it_is_applied(node, holder, point, commands, expected):
    cold_key(node)
    holder.hold(point)
    reader = send_and_park(node, "FLASH.GET", "key")
    for command in commands:
        node.call(*command)
    holder.let_go()
    assert reader.read().plain() == expected
    assert node.info("flash")["flash_flashio_replies"] == 0


@pytest.mark.parametrize("commands, expected", MEANWHILE.values(), ids=MEANWHILE)
def test_set_get_replaces_what_is_there_when_it_is_applied(node, holder, commands, expected):
    cold_key(node)
    holder.hold("fetch")
    writer = send_and_park(node, "FLASH.SET", "key", b"mine", "GET")
    for command in commands:
        node.call(*command)
    holder.let_go()
    assert writer.read().plain() == expected
    assert node.call("FLASH.GET", "key") == b"mine"


def test_a_native_value_that_came_meanwhile_is_a_wrong_type(node, holder, point):
    cold_key(node)
    holder.hold(point)
    reader = send_and_park(node, "FLASH.GET", "key")
    chill(node, "key")  # At the later point the first command has brought it to RAM.
    writer = send_and_park(node, "FLASH.SET", "key", "v", "GET", parked=2)
    node.call("SET", "key", "native")
    holder.let_go()
    for connection in (reader, writer):
        assert connection.read().value.startswith(b"WRONGTYPE ")
    assert node.call("GET", "key") == b"native"


def test_mget_waits_for_all_of_its_cold_keys(node, holder, point):
    for i in range(20):
        cold_key(node, f"k{i}", OLD + b"%d" % i)
    node.call("FLASH.SET", "tiny", "t")
    holder.hold(point)
    reader = send_and_park(node, "FLASH.MGET", "tiny", "none", *[f"k{i}" for i in range(20)])
    node.call("DEL", "k3")
    holder.let_go()
    expected = [b"t", None] + [OLD + b"%d" % i if i != 3 else None for i in range(20)]
    assert reader.read().plain() == expected


def test_parked_commands_on_one_key_are_applied_in_their_order(node, holder, point):
    cold_key(node)
    holder.hold(point)
    connections = []
    for i in range(8):
        chill(node, "key")
        connections.append(send_and_park(node, "FLASH.SET", "key", b"v%d" % i, "GET",
                                         parked=len(connections) + 1))
    holder.let_go()
    assert [c.read().plain() for c in connections] == [OLD] + [b"v%d" % i for i in range(7)]
    assert node.call("FLASH.GET", "key") == b"v7"


def test_a_command_that_lacks_nothing_overtakes(node, holder, point):
    cold_key(node)
    node.call("FLASH.SET", "hot", NEW)
    holder.hold(point)
    reader = send_and_park(node, "FLASH.GET", "key")
    assert node.call("FLASH.GET", "hot") == NEW
    node.call("FLASH.SET", "key", NEW)
    assert node.call("FLASH.GET", "key") == NEW
    holder.let_go()
    assert reader.read().plain() == NEW


def test_pipelined_commands_of_one_client_keep_their_order(node, holder):
    cold_key(node)
    holder.hold("release")
    connection = send_and_park(node, "FLASH.GET", "key")
    connection.send(("FLASH.SET", "key", "later"), ("FLASH.GET", "key"), ("PING",))
    holder.let_go()
    assert [connection.read().plain() for _ in range(4)] == [OLD, b"OK", b"later", b"PONG"]


# The client leaves --------------------------------------------------------------------------------

def test_a_client_that_disconnects_takes_its_command_along(node, holder, point):
    cold_key(node)
    holder.hold(point)
    writer = send_and_park(node, "FLASH.SET", "key", "mine", "GET")
    writer.close()
    wait_until(lambda: parked_now(node) == 0, 20, "the client to be gone")
    holder.let_go()
    assert node.call("FLASH.GET", "key") == OLD
    assert node.info("flash")["flash_parked_clients_disconnected"] == 1


def test_a_killed_client_takes_its_command_along(node, holder, point):
    cold_key(node)
    holder.hold(point)
    writer = Connection(node.port)
    number = writer.must("CLIENT", "ID")
    writer.send(("FLASH.SET", "key", "mine", "GET"))
    wait_until(lambda: parked_now(node) == 1, 20, "the client to be parked")
    node.call("CLIENT", "KILL", "ID", number)
    wait_until(lambda: parked_now(node) == 0, 20, "the client to be gone")
    holder.let_go()
    with pytest.raises((Disconnected, OSError)):
        writer.read()
    assert node.call("FLASH.GET", "key") == OLD


def test_whoever_waits_behind_a_client_that_left_goes_on(node, holder, point):
    cold_key(node)
    holder.hold(point)
    first = send_and_park(node, "FLASH.SET", "key", "first", "GET")
    chill(node, "key")
    second = send_and_park(node, "FLASH.SET", "key", "second", "GET", parked=2)
    first.close()
    wait_until(lambda: parked_now(node) == 1, 20, "the first to be gone")
    holder.let_go()
    assert second.read().plain() == OLD
    assert node.call("FLASH.GET", "key") == b"second"


def test_shutdown_with_parked_clients_ends_in_good_order(node, holder, point):
    cold_key(node)
    holder.hold(point)
    connections = []
    for i in range(3):
        chill(node, "key")
        connections.append(send_and_park(node, "FLASH.SET", "key", "v", "GET", parked=i + 1))
    assert node.stop() == 0
    for connection in connections:
        with pytest.raises((Disconnected, OSError)):
            connection.read()


def test_client_unblock_cannot_end_a_parked_command(node, holder):
    cold_key(node)
    holder.hold("release")
    reader = Connection(node.port)
    number = reader.must("CLIENT", "ID")
    reader.send(("FLASH.GET", "key"))
    wait_until(lambda: parked_now(node) == 1, 20, "the client to be parked")
    assert node.call("CLIENT", "UNBLOCK", number) == 0
    holder.let_go()
    assert reader.read().plain() == OLD


# The server changes -------------------------------------------------------------------------------

def test_a_parked_write_waits_for_the_end_of_a_pause(server, node, holder):
    replica = server()
    replica.replicate_from(node)
    cold_key(node)
    holder.hold("release")
    writer = send_and_park(node, "FLASH.SET", "key", "mine", "GET")
    pauser = Connection(node.port)
    pauser.must("CLIENT", "PAUSE", 600000, "WRITE")
    holder.let_go()
    turns = node_turns(node)
    wait_until(lambda: node_turns(node) > turns + 3, 20, "some turns of the event loop")
    assert parked_now(node) == 1
    pauser.must("CLIENT", "UNPAUSE")
    assert writer.read().plain() == OLD
    replica.wait_for_offset_of(node)
    assert replica.call("FLASH.GET", "key") == b"mine"


@pytest.mark.parametrize("threads", [1, 2])
def test_a_write_that_is_let_go_when_a_pause_begins_waits(server, holder, threads):
    """Both in one turn of the event loop: the pause comes behind the end of the wait."""
    node = server({"io-threads": threads})
    waited = 0
    for _ in range(10):
        cold_key(node)
        holder.hold("release")
        writer = send_and_park(node, "FLASH.SET", "key", "mine", "GET")
        sleeper, pauser = Connection(node.port), Connection(node.port)
        pauser.must("PING")
        sleeper.send(("DEBUG", "SLEEP", "0.1"))
        holder.let_go()
        pauser.send(("CLIENT", "PAUSE", 600_000, "WRITE"))  # While the server sleeps.
        assert sleeper.read().value == pauser.read().value == b"OK"
        turns = node_turns(node)
        wait_until(lambda: node_turns(node) > turns + 3, 20, "some turns of the event loop")
        waited += parked_now(node)  # None: it was done before the pause.
        pauser.must("CLIENT", "UNPAUSE")
        assert writer.read().plain() == OLD
        for link in (sleeper, pauser, writer):
            link.close()
    assert waited > 0


def test_a_parked_write_outlasts_a_pause_of_everything(server, node, holder):
    replica = server()
    replica.replicate_from(node)
    cold_key(node)
    holder.hold("release")
    writer = send_and_park(node, "FLASH.SET", "key", "mine", "GET")
    node.call("CLIENT", "PAUSE", 500, "ALL")
    holder.let_go()
    assert writer.read().plain() == OLD
    replica.wait_for_offset_of(node)
    assert replica.call("FLASH.GET", "key") == b"mine"


def node_turns(node):
    return node.info("stats")["eventloop_cycles"]


def test_a_parked_read_is_answered_during_a_pause_of_writes(node, holder):
    cold_key(node)
    holder.hold("release")
    reader = send_and_park(node, "FLASH.GET", "key")
    node.call("CLIENT", "PAUSE", 600000, "WRITE")
    holder.let_go()
    assert reader.read().plain() == OLD
    node.call("CLIENT", "UNPAUSE")


def test_a_write_parked_when_its_node_becomes_a_replica_is_not_applied(server, node, holder,
                                                                       point):
    primary = server()
    cold_key(node)
    holder.hold(point)
    writer = send_and_park(node, "FLASH.SET", "mine", NEW * 3000)
    node.client.replicaof("127.0.0.1", primary.port)
    reply = writer.read()
    assert reply.value.startswith((b"UNBLOCKED", b"READONLY"))
    holder.let_go()
    wait_until(lambda: parked_now(node) == 0, 20, "nobody to be parked")
    wait_until(lambda: node.info("replication")["master_link_status"] == "up", 30, "the link")
    assert primary.client.dbsize() == 0 and node.client.dbsize() == 0


def test_a_write_that_waited_is_refused_when_memory_is_out(node, holder):
    cold_key(node)
    holder.hold("release")
    writer = send_and_park(node, "FLASH.SET", "key", "mine", "GET")
    chill(node, "key")
    reader = send_and_park(node, "FLASH.GET", "key", parked=2)
    node.call("CONFIG", "SET", "maxmemory", "1mb")
    holder.let_go()
    assert writer.read().value == b"OOM command not allowed when used memory > 'maxmemory'."
    assert reader.read().plain() == OLD
    node.call("CONFIG", "SET", "maxmemory", "0")
    assert node.call("FLASH.GET", "key") == OLD


# Where a client cannot be parked ------------------------------------------------------------------

def waits(node, cause):
    return node.info("flash")[f"flash_sync_waits_{cause}"]


def test_no_more_clients_are_parked_than_allowed(server, holder):
    node = server({"flash.max-parked-clients": 2})
    for i in range(3):
        cold_key(node, f"k{i}")
    holder.hold("release")
    parked = [send_and_park(node, "FLASH.GET", f"k{i}", parked=i + 1) for i in range(2)]
    assert node.call("FLASH.GET", "k2") == OLD
    assert waits(node, "parked_limit") == 1
    holder.let_go()
    assert [c.read().plain() for c in parked] == [OLD, OLD]


@pytest.mark.parametrize("resp3", [False, True])
def test_a_tracking_client_is_answered_at_once_and_invalidated(node, resp3):
    cold_key(node)
    reader = Connection(node.port, resp3=True)
    reader.must("CLIENT", "TRACKING", "ON")
    assert reader.call("FLASH.GET", "key").plain() == OLD
    assert waits(node, "tracking") == 1
    node.call("FLASH.SET", "key", NEW)
    assert reader.must("PING") == b"PONG"
    assert [push.plain() for push in reader.pushes] == [[b"invalidate", [b"key"]]]
    # Neither demotion nor promotion is a change.
    reader.pushes.clear()
    assert reader.call("FLASH.GET", "key").plain() == NEW
    chill(node, "key")
    assert node.call("FLASH.GET", "key") == NEW
    assert reader.must("PING") == b"PONG" and reader.pushes == []


def test_a_subscribed_resp3_client_reads_cold_keys(node):
    cold_key(node)
    reader = Connection(node.port, resp3=True)
    reader.send(("SUBSCRIBE", "channel"), ("FLASH.GET", "key"), ("FLASH.SET", "key", "v", "GET"))
    assert reader.read().plain() == OLD
    assert reader.read().plain() == OLD


SYNCHRONOUS = [
    (("FLASH.GET", "key"), OLD), (("FLASH.MGET", "key", "key"), [OLD, OLD]),
    (("FLASH.SET", "key", "v", "GET"), OLD), (("FLASH.SET", "key", "v", "XX", "GET"), OLD),
    (("FLASH.SET", "key", "v"), b"OK"), (("FLASH.DEL", "key"), 1),
    (("FLASH.MSET", "key", "a", "b", "c"), b"OK"),
]


@pytest.mark.parametrize("command, expected", SYNCHRONOUS)
def test_in_a_transaction(node, command, expected):
    cold_key(node)
    connection = Connection(node.port)
    connection.send(("MULTI",), command, ("PING",), ("EXEC",))
    assert [connection.read().plain() for _ in range(4)] == [
        b"OK", b"QUEUED", b"QUEUED", [expected, b"PONG"]]


@pytest.mark.parametrize("command, expected", SYNCHRONOUS)
def test_in_a_script(node, command, expected):
    cold_key(node)
    words = ", ".join(f"'{word}'" for word in command)
    connection = Connection(node.port)
    result = connection.must("EVAL", f"return redis.call({words})", 0)
    assert result == expected
    assert waits(node, "multi") == 0


def test_synchronous_waits_are_counted_by_cause(node):
    cold_key(node)
    node.call("EVAL", "return redis.call('FLASH.GET', KEYS[1])", 1, "key")
    assert waits(node, "script") == 1
    chill(node, "key")
    pipe = node.client.pipeline(transaction=True)
    pipe.execute_command("FLASH.GET", "key")
    assert pipe.execute() == [OLD]
    assert waits(node, "multi") == 1


def test_watch_does_not_see_demotion_or_promotion(node):
    cold_key(node)
    watcher = Connection(node.port)
    watcher.must("WATCH", "key")
    assert node.call("FLASH.GET", "key") == OLD
    chill(node, "key")
    watcher.send(("MULTI",), ("FLASH.GET", "key"), ("EXEC",))
    assert [watcher.read().plain() for _ in range(3)] == [b"OK", b"QUEUED", [OLD]]
    watcher.must("WATCH", "key")
    with pytest.raises(redis.exceptions.ResponseError):
        node.call("FLASH.SET", "key", "v", "EX", "0")
    node.call("FLASH.SET", "key", "v", "NX")
    watcher.send(("MULTI",), ("PING",), ("EXEC",))
    assert [watcher.read().plain() for _ in range(3)] == [b"OK", b"QUEUED", [b"PONG"]]
    watcher.must("WATCH", "key")
    node.call("FLASH.SET", "key", "v")
    watcher.send(("MULTI",), ("PING",), ("EXEC",))
    assert [watcher.read().plain() for _ in range(3)] == [b"OK", b"QUEUED", None]


def test_a_cold_access_is_noticed_once(node):
    """By keyspace statistics, access frequency and keymiss events, as one of a hot value is."""
    node.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", "0",
              "lfu-decay-time", "0", "notify-keyspace-events", "Em")
    cold_key(node)
    node.call("FLASH.HSET", "hash", "f", "x" * 500)
    chill(node, "hash")
    listener, link = Connection(node.port), Connection(node.port)
    listener.must("PSUBSCRIBE", "__keyevent@*")

    def noticed():
        stats = node.call("INFO", "stats")
        return [stats["keyspace_hits"], stats["keyspace_misses"],
                link.must("OBJECT", "FREQ", "key"), link.must("OBJECT", "FREQ", "hash")]

    before = noticed()
    assert link.must("FLASH.MGET", "none", "key") == [None, OLD]
    assert link.must("FLASH.HGET", "hash", "f") == b"x" * 500
    # Four hits, as OBJECT FREQ counts two itself.
    assert [now - then for now, then in zip(noticed(), before)] == [4, 1, 1, 1]
    node.client.publish("__keyevent@0__:end", "")
    assert listener.read().plain()[3] == b"none"
    assert listener.read().plain()[2].endswith(b":end")


def read_many_cold(connection, seconds):
    """Reads of one client that find their keys cold: more keys than the cache holds, in turn."""
    keys = [f"many-{i}" for i in range(4000)]
    connection.send(*(("FLASH.SET", key, OLD) for key in keys))
    for _ in keys:
        connection.read()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        connection.send(*(("FLASH.GET", key) for key in keys[:400]))
        for _ in keys[:400]:
            assert connection.read().plain() == OLD
        keys = keys[400:] + keys[:400]


def switched_on(connection, _port):
    connection.must("CLIENT", "tracking", "ON")


def switched_on_in_multi(connection, _port):
    connection.must("MULTI")
    connection.must("CLIENT", "TRACKING", "ON")
    connection.must("EXEC")


def switched_on_behind_a_pause(connection, port):
    other = Connection(port)
    other.must("CLIENT", "PAUSE", "200", "ALL")  # It would put off UNPAUSE, too.
    connection.send(("CLIENT", "TRACKING", "ON"))
    assert connection.read().plain() == b"OK"


@pytest.mark.parametrize("switch", [switched_on, switched_on_in_multi, switched_on_behind_a_pause])
def test_a_client_of_many_cold_reads_that_begins_to_track(server, switch):
    node = server({"flash.cache-size-bytes": "1mb"})
    reader = Connection(node.port, resp3=True)
    read_many_cold(reader, 1.5)  # By now the server is not asked for each of them.
    assert waits(node, "tracking") == 0
    cold_key(node)
    switch(reader, node.port)
    assert reader.call("FLASH.GET", "key").plain() == OLD
    assert waits(node, "tracking") == 1
    node.call("FLASH.SET", "key", NEW)
    assert reader.must("PING") == b"PONG"
    assert [push.plain() for push in reader.pushes] == [[b"invalidate", [b"key"]]]
