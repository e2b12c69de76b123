"""FLASH.BLPOP, BRPOP, BLMOVE: waiting for keys, and for the bytes of keys.

Who is served in which order is compared with native in differential/waiters.py; here are time
limits, leaving clients, cold lists, pauses, replication, and many clients at once.
"""

import threading
import time

import pytest

from conftest import wait_until
from harness.parking import Holder, chill, parked_now, send_and_park
from harness.resp import Connection, Disconnected

ELEMENT = b"element " * 100


@pytest.fixture
def node(server):
    return server()


def blocked_now(node):
    return node.info("clients")["blocked_clients"]


def send_and_wait(node, *args, resp3=False, blocked=1):
    """Sends a blocking command from a connection of its own; returns once it waits."""
    connection = Connection(node.port, resp3=resp3)
    connection.send(args)
    wait_until(lambda: blocked_now(node) == blocked, 20, f"{args[0]} to wait")
    return connection


def cold_list(node, key="l", count=2):
    node.call("FLASH.RPUSH", key, *[ELEMENT + b"%d" % i for i in range(count)])
    chill(node, key)


def test_a_client_with_subscriptions_waits_where_the_server_lets_modules_block_it(node):
    """On servers from 8.1 on nothing that a module can do makes such a client wait."""
    may_wait = node.version() < (8, 1)
    connection = Connection(node.port, resp3=True)
    connection.send(("SUBSCRIBE", "channel"))
    connection.send(("FLASH.BLPOP", "empty", "0.05"), ("FLASH.BZPOPMIN", "empty", "0.05"))
    for reply in (connection.read(), connection.read()):
        assert reply.is_null if may_wait else b"client with subscriptions wait" in reply.value
    cold_list(node)
    assert connection.must("FLASH.BLPOP", "empty", "l", 0) == [b"l", ELEMENT + b"0"]

    # Nor could the native command wait in its place: no FLASH list serves it.
    connection.send(("BLPOP", "empty", "0.3"))
    wait_until(lambda: blocked_now(node) == 1, 20, "native BLPOP to wait")
    assert node.call("FLASH.RPUSH", "empty", "x") == 1
    assert connection.read().is_null


# Time limits and other ends ----------------------------------------------------------------------

@pytest.mark.parametrize("command", [["FLASH.BLPOP", "l"], ["FLASH.BRPOP", "l", "m"],
                                     ["FLASH.BLMOVE", "l", "m", "LEFT", "LEFT"]])
def test_the_time_limit_ends_in_a_null_array(node, command):
    began = time.monotonic()
    assert Connection(node.port).call(*command, "0.05").raw == b"*-1\r\n"
    assert Connection(node.port, resp3=True).call(*command, "0.05").raw == b"_\r\n"
    assert time.monotonic() - began >= 0.1
    assert blocked_now(node) == 0


def test_where_clients_cannot_wait_the_reply_is_that_of_a_time_out(node):
    connection = Connection(node.port)
    connection.must("MULTI")
    for command in (["FLASH.BLPOP", "l", 0], ["FLASH.BLMOVE", "l", "m", "LEFT", "LEFT", 0]):
        connection.call(*command)
    assert connection.call("EXEC").raw == b"*2\r\n*-1\r\n$-1\r\n"
    script = "return type(redis.call('FLASH.BLPOP', 'l', 0))"
    assert connection.must("EVAL", script, 0) == b"boolean"


def test_client_unblock(node):
    for how, reply in (("TIMEOUT", b"*-1\r\n"),
                       ("ERROR", b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")):
        connection = Connection(node.port)
        number = connection.must("CLIENT", "ID")
        connection.send(["FLASH.BLPOP", "l", "0"])
        wait_until(lambda: blocked_now(node) == 1)
        assert node.call("CLIENT", "UNBLOCK", number, how) == 1
        assert connection.read().raw == reply
        assert connection.call("PING").value == b"PONG"


def test_a_client_that_leaves_takes_nothing(node):
    gone = send_and_wait(node, "FLASH.BLPOP", "l", "0")
    gone.close()
    wait_until(lambda: blocked_now(node) == 0)
    waiting = send_and_wait(node, "FLASH.BLPOP", "l", "0")
    node.call("FLASH.RPUSH", "l", "a")
    assert waiting.read().plain() == [b"l", b"a"]


def test_a_new_replica_unblocks_its_clients(server):
    primary, node = server(), server()
    waiting = send_and_wait(node, "FLASH.BLPOP", "l", "0")
    node.replicate_from(primary)
    assert waiting.read().value.startswith(b"UNBLOCKED ")


# Cold lists --------------------------------------------------------------------------------------

def test_a_cold_list_is_brought_beside_the_event_loop(node):
    cold_list(node)
    before = node.info("flash")["flash_sync_waits_total"]
    assert Connection(node.port).call("FLASH.BLPOP", "x", "l", "0").plain() == [
        b"l", ELEMENT + b"0"]
    chill(node, "l")
    assert Connection(node.port).call("FLASH.BLMOVE", "l", "m", "LEFT", "LEFT", "0").plain() == \
        ELEMENT + b"1"
    assert node.info("flash")["flash_sync_waits_total"] == before
    assert node.info("flash")["flash_parked_clients_total"] == 2
    assert parked_now(node) == 0


@pytest.fixture(params=Holder.POINTS)
def held(request, server, tmp_path, monkeypatch):
    """A server whose waiting commands are held at one of the points."""
    holder = Holder(tmp_path, monkeypatch)
    node = server()
    holder.point = request.param
    return node, holder


def test_list_gone_before_it_came_means_waiting_for_another(held):
    node, holder = held
    cold_list(node)
    holder.hold("fetch")
    waiting = send_and_park(node, "FLASH.BLPOP", "l", "0")
    node.call("DEL", "l")
    holder.let_go()
    wait_until(lambda: parked_now(node) == 0)
    assert blocked_now(node) == 1
    node.call("FLASH.RPUSH", "l", "new")
    assert waiting.read().plain() == [b"l", b"new"]


def test_list_replaced_before_it_came(held):
    node, holder = held
    cold_list(node)
    holder.hold("fetch")
    waiting = send_and_park(node, "FLASH.BRPOP", "x", "l", "0")
    node.call("DEL", "l")
    node.call("FLASH.RPUSH", "l", "new", "newer")
    holder.let_go()
    assert waiting.read().plain() == [b"l", b"newer"]


def test_another_type_that_came_instead_is_a_wrong_type(held):
    node, holder = held
    cold_list(node)
    holder.hold("fetch")
    waiting = send_and_park(node, "FLASH.BLPOP", "l", "0")
    node.call("SET", "l", "native")
    holder.let_go()
    assert waiting.read().value.startswith(b"WRONGTYPE ")


def test_the_time_limit_in_the_middle_of_the_first_fetch_serves_the_client(held):
    node, holder = held
    cold_list(node)
    holder.hold(holder.point)
    waiting = Connection(node.port)
    waiting.send(["FLASH.BLPOP", "l", "0.2"])
    assert waiting.read().plain() == [b"l", ELEMENT + b"0"]
    holder.let_go()
    assert parked_now(node) == 0


def test_a_client_that_leaves_during_the_fetch_takes_nothing(held):
    node, holder = held
    cold_list(node)
    holder.hold("fetch")
    waiting = send_and_park(node, "FLASH.BLPOP", "l", "0")
    waiting.close()
    wait_until(lambda: parked_now(node) == 0)
    holder.let_go()
    assert node.call("FLASH.LLEN", "l") == 2


def test_waiting_clients_keep_their_order_while_a_list_is_brought(held):
    node, holder = held
    cold_list(node, count=3)
    holder.hold("fetch")
    waiting = [send_and_park(node, "FLASH.BLPOP", "l", "0", parked=n + 1) for n in range(4)]
    holder.let_go()
    for n in range(3):
        assert waiting[n].read().plain() == [b"l", ELEMENT + b"%d" % n]
    node.call("FLASH.RPUSH", "l", "late")
    assert waiting[3].read().plain() == [b"l", b"late"]


@pytest.mark.parametrize("bring", [["RENAME", "other", "l"], ["COPY", "other", "l"]])
def test_a_cold_list_that_appears_wakes_and_is_read_at_once(node, bring):
    cold_list(node, "other", 1)
    waiting = send_and_wait(node, "FLASH.BLPOP", "l", "0")
    node.call(*bring)
    assert waiting.read().plain() == [b"l", ELEMENT + b"0"]
    assert node.info("flash")["flash_sync_waits_callback_miss"] == 1


def test_a_cold_destination_of_a_woken_move(node):
    cold_list(node, "to", 2)
    waiting = send_and_wait(node, "FLASH.BLMOVE", "from", "to", "LEFT", "RIGHT", "0")
    node.call("FLASH.RPUSH", "from", "x")
    assert waiting.read().plain() == b"x"
    assert node.call("FLASH.LINDEX", "to", -1) == b"x"


# Pauses, replication -----------------------------------------------------------------------------

def test_a_pause_of_writes_holds_what_was_brought(held):
    node, holder = held
    cold_list(node)
    holder.hold("fetch")
    waiting = send_and_park(node, "FLASH.BLPOP", "l", "0")
    node.call("CLIENT", "PAUSE", 60_000, "WRITE")
    holder.let_go()
    wait_until(lambda: parked_now(node) == 0)
    assert node.call("FLASH.LLEN", "l") == 2
    node.call("CLIENT", "UNPAUSE")
    assert waiting.read().plain() == [b"l", ELEMENT + b"0"]


def test_the_time_limit_during_a_pause_of_writes_takes_nothing(held):
    node, holder = held
    cold_list(node)
    holder.hold(holder.point)
    waiting = Connection(node.port)
    waiting.send(["FLASH.BLPOP", "l", "0.5"])
    wait_until(lambda: blocked_now(node) == 1)
    node.call("CLIENT", "PAUSE", 60_000, "WRITE")
    assert waiting.read().raw == b"*-1\r\n"
    assert node.call("FLASH.LLEN", "l") == 2
    node.call("CLIENT", "UNPAUSE")
    holder.let_go()
    assert parked_now(node) == 0


def test_wakes_replicate_in_plain_form(server):
    primary = server()
    replica = server()
    replica.replicate_from(primary)
    monitor = Connection(replica.port)
    monitor.must("MONITOR")
    first = send_and_wait(primary, "FLASH.BLPOP", "l", "0")
    second = send_and_wait(primary, "FLASH.BLMOVE", "l", "m", "LEFT", "RIGHT", "0", blocked=2)
    primary.call("FLASH.RPUSH", "l", "a", "b", "c")
    assert first.read().plain() == [b"l", b"a"]
    assert second.read().plain() == b"b"
    primary.call("SET", "end", "1")
    seen = []
    while not seen or b'"end"' not in seen[-1]:
        seen.append(monitor.read().value)
    text = b"\n".join(seen)
    assert b'"FLASH.LPOP" "l"' in text and b'"FLASH.LMOVE" "l" "m" "LEFT" "RIGHT"' in text
    assert b"BLPOP" not in text and b"BLMOVE" not in text
    assert replica.call("FLASH.LRANGE", "l", 0, -1) == [b"c"]
    assert replica.call("FLASH.LRANGE", "m", 0, -1) == [b"b"]


# Many --------------------------------------------------------------------------------------------

def test_many_clients_pop_every_element_once(server):
    node = server({"flash.cache-size-bytes": "1mb"})
    queues = [b"q%d" % n for n in range(8)]
    pushed = [b"%06d" % n + b"p" * 600 for n in range(4000)]
    popped, lock = [], threading.Lock()

    def pop(number):
        connection = Connection(node.port)
        mine = queues[number % 8:] + queues[:number % 8]
        command = ["FLASH.BLPOP", *mine, "0"] if number % 3 else ["FLASH.BRPOP", *mine, "0"]
        try:
            while True:
                element = connection.call(*command).plain()[1]
                if element == b"stop":
                    return
                with lock:
                    popped.append(element)
        except Disconnected:
            return

    threads = [threading.Thread(target=pop, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    client = Connection(node.port)
    for n, element in enumerate(pushed):
        client.call("FLASH.RPUSH" if n % 2 else "FLASH.LPUSH", queues[n % 8], element)
        if n % 25 == 0:
            client.call("FLASH.DEBUG.DEMOTE", queues[n // 25 % 8])
    wait_until(lambda: len(popped) == len(pushed), 60, "all elements to be popped")
    for _ in threads:
        client.call("FLASH.RPUSH", queues[0], "stop")
    for thread in threads:
        thread.join()
    assert sorted(popped) == pushed
    assert node.call("DBSIZE") == 0
