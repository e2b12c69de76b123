"""Writes to 20 times the cache where the server itself is short of memory: nobody pays for them."""

import threading

import pytest

from harness.parking import chill
from harness.resp import Connection

CACHE = 4 << 20
STRINGS = 20_000
ELEMENTS = 80_000
ABSENT = [f"absent:{n}" for n in range(20_000)]


@pytest.fixture(params=["allkeys-lru", "noeviction"])
def crowded(server, request):
    """64 MiB for 20,000 strings, and a cold hash and a cold sorted set of 80 MB each."""
    node = server({"flash.cache-size-bytes": str(CACHE), "flash.capacity-bytes": "1gb",
                   "flash.compression": "none", "maxmemory": "64mb",
                   "maxmemory-policy": request.param})
    link = Connection(node.port)
    for start in range(0, STRINGS, 1000):
        link.send(*(["SET", f"string:{n}", "x" * 400] for n in range(start, start + 1000)))
        for _ in range(1000):
            assert not link.read().is_error
    for start in range(0, ELEMENTS, 200):
        numbers = range(start, start + 200)
        link.must("FLASH.HSET", "H", *(part for n in numbers
                                       for part in (f"field:{n}", f"{n:010}" * 100)))
        link.must("FLASH.ZADD", "Z", *(part for n in numbers for part in (n, f"{n:010}" * 50)))
    link.close()
    chill(node, "H", "Z")
    return node


class Writer:
    """Another client, which writes all the while."""

    def __init__(self, node):
        self._node, self._stop = node, threading.Event()
        self.written, self.refused = 0, []
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        link = Connection(self._node.port)
        while not self._stop.is_set():
            reply = link.call("SET", f"string:{self.written % STRINGS}", "y" * 400)
            if reply.is_error:
                self.refused.append(reply.value)
            self.written += 1
        link.close()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def run(node, how, *command):
    link = Connection(node.port)
    if how == "multi":
        link.must("MULTI")
        link.must(*command)
        [reply] = link.must("EXEC")
    else:
        reply = link.must(*command)
    link.close()
    return reply


@pytest.mark.slow
@pytest.mark.parametrize("how", ["plain", "multi"])
def test_nothing_is_evicted_and_nobody_refused(crowded, how):
    node = crowded
    for size in (CACHE + 1, CACHE):
        node.client.config_set("flash.cache-size-bytes", size)
    with Writer(node) as writer:
        assert run(node, how, "FLASH.HDEL", "H", *ABSENT) == 0
        assert run(node, how, "FLASH.ZREM", "Z", *ABSENT) == 0
        assert run(node, how, "FLASH.HDEL", "H", *(f"field:{n}" for n in range(0, ELEMENTS, 40))
                   ) == ELEMENTS // 40
        assert run(node, how, "FLASH.ZUNIONSTORE", "D", 2, "Z", "none") == ELEMENTS
        assert run(node, how, "FLASH.ZDIFFSTORE", "D", 2, "Z", "D") == 0
        assert run(node, how, "FLASH.ZRANGESTORE", "D", "Z", 10, -10) == ELEMENTS - 19
    assert writer.written > 0 and not writer.refused
    info = node.info()
    assert info["evicted_keys"] == 0
    assert info["flash_hot_bytes_peak"] <= CACHE * 1.1
    assert node.client.dbsize() == STRINGS + 3
