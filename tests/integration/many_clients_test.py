"""Thousands of connections read a cold key each, at once: all are answered, and rightly.

The figures (PING meanwhile, RAM before, during and after) go to the report and, with -s, to the
terminal. FLASH_MANY_CLIENTS changes the number of connections.
"""

import os

import pytest

from harness import values
from harness.flood import Flood, connections_possible
from harness.prober import Prober
from harness.resp import Connection

WANTED = int(os.environ.get("FLASH_MANY_CLIENTS", "10000"))
VALUE_BYTES = 1024


def fill_cold(node, count):
    """`count` keys of 1 KiB, each demoted; returns their names."""
    names = [b"cold:%d" % number for number in range(count)]
    link = Connection(node.port)
    for start in range(0, count, 500):
        part = names[start:start + 500]
        link.send(*(["FLASH.SET", name, values.make(name, 1, VALUE_BYTES)] for name in part))
        assert all(link.read().value == b"OK" for _ in part)
    for start in range(0, count, 500):
        part = names[start:start + 500]
        link.send(*(["FLASH.DEBUG.DEMOTE", name] for name in part))
        assert all(link.read().value in (b"OK", b"ALREADY_COLD") for _ in part)
    link.close()
    return names


@pytest.mark.slow
@pytest.mark.parametrize("parked_max", [1024, 100_000], ids=["default", "all-park"])
def test_each_of_ten_thousand_connections_gets_its_cold_value(server, record_property, parked_max):
    count, reason = connections_possible(WANTED)
    if reason:
        print(f"{count} connections instead of {WANTED}: {reason}")
    node = server({"maxclients": count + 100, "flash.cache-size-bytes": "4mb",
                   "flash.max-parked-clients": parked_max})
    names = fill_cold(node, count)
    flood = Flood(node.port, count)
    before = node.info()
    with Prober(node.port) as prober:
        replies, seconds = flood.ask([["FLASH.GET", name] for name in names])
    after = node.info()
    for name, raw in zip(names, replies):
        head, data = raw.split(b"\r\n", 1)
        assert head == b"$%d" % VALUE_BYTES, f"{name}: {raw[:100]!r}"
        assert values.parse(data[:-2]).name == name
    flood.close()
    misses = after["flash_cache_misses"] - before["flash_cache_misses"]
    figures = {
        "connections": count, "seconds": round(seconds, 3), "ping": str(prober.result()),
        "misses": misses,
        "used_memory_mib": [before["used_memory"] >> 20, after["used_memory"] >> 20],
        "used_memory_peak_mib": after["used_memory_peak"] >> 20,
        "rss_mib": [before["used_memory_rss"] >> 20, after["used_memory_rss"] >> 20],
    }
    for name, figure in figures.items():
        record_property(name, str(figure))
    print(figures)
    assert misses >= count * 9 // 10, "the keys were not cold"
    assert after["flash_parked_clients"] == 0
    assert node.client.ping()
