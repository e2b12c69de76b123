"""Room that is promised to parked writers does not lock out who runs on the main thread meanwhile.

Transactions, scripts and RESTORE wait while the event loop stands still, so whoever holds a grant
of room cannot use it up before them.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from harness.resp import Connection

MIB = 1 << 20
SET_BY_SCRIPT = "return redis.call('FLASH.SET', KEYS[1], ARGV[1])"


@pytest.fixture
def crowd():
    """crowd(node, clients, sizes): clients that set values of these sizes until the test ends."""
    over = Event()
    pool = ThreadPoolExecutor(64)
    writers = []

    def write(port, number, sizes):
        connection = Connection(port)
        values = [os.urandom(size) for size in sizes]
        turn = 0
        while not over.is_set():
            turn += 1
            connection.send(("FLASH.SET", f"crowd{number}:{turn % 4}", values[turn % len(values)]))
            reply = connection.read()
            assert not reply.is_error, reply.value
        connection.close()
        return turn

    def start(node, clients, sizes):
        writers.extend(pool.submit(write, node.port, n, sizes) for n in range(clients))

    yield start
    over.set()
    assert all(writer.result() > 0 for writer in writers)
    pool.shutdown()


def test_restore_and_long_values_find_room(server, crowd):
    node = server({"flash.cache-size-bytes": "4mb", "flash.capacity-bytes": "1gb"})
    node.call("FLASH.HSET", "hash", *[part for n in range(2000)
                                      for part in (f"f{n}", os.urandom(300))])
    node.call("FLASH.SET", "string", os.urandom(3 * MIB))
    node.call("FLASH.RPUSH", "list", *[os.urandom(90_000) for _ in range(8)])
    dumps = {name: node.call("DUMP", name) for name in ("hash", "string", "list")}
    crowd(node, 40, (150_000, 200_000, 240_000))
    for _ in range(20):
        for name, dump in dumps.items():
            assert node.call("RESTORE", f"{name}2", 0, dump, "REPLACE") == b"OK"
        assert node.call("EVAL", SET_BY_SCRIPT, 1, "long", b"q" * (8 * MIB)) == b"OK"
        assert node.call("EVAL", SET_BY_SCRIPT, 1, "short", b"q" * 200_000) == b"OK"
    info = node.info("flash")
    assert info["flash_demotion_stall_events_total"] > 0, "nobody had to wait"
    assert info["flash_flashfull_replies"] == 0


def test_transactions_and_scripts_find_room(server, crowd):
    node = server({"flash.cache-size-bytes": "8mb", "flash.capacity-bytes": "1gb"})
    crowd(node, 64, (50_000, 100_000))
    for _ in range(100):
        assert node.call("EVAL", SET_BY_SCRIPT, 1, "script", os.urandom(100_000)) == b"OK"
        pipe = node.client.pipeline(transaction=True)
        for number in range(4):
            pipe.execute_command("FLASH.SET", f"m{number}", os.urandom(100_000))
        assert pipe.execute() == [b"OK"] * 4
        pipe = node.client.pipeline(transaction=True)
        pipe.execute_command("DEL", "l")
        pipe.execute_command("FLASH.RPUSH", "l", *[os.urandom(1_000) for _ in range(100)])
        assert pipe.execute()[1] == 100
    assert node.info("flash")["flash_flashfull_replies"] == 0
