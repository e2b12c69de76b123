"""The longest stall of everybody else while one client sets or gets a big value."""

import os
import time

from harness.prober import Prober
from harness.resp import Connection, encode
from measures.tools import MIB, Row, interleaved, median, verdict


def measure(bench):
    for mib in bench.scaled((64, 512), (16,)):
        node = bench.server({"flash.cache-size-bytes": "2gb", "flash.capacity-bytes": "4gb",
                             "flash.compression": "none"})
        value = os.urandom(mib * MIB)
        node.call("FLASH.SET", "flash", value)
        node.call("SET", "native", value)
        runs = {
            "native SET": lambda: stall(node, ["SET", "native", value]),
            "FLASH.SET, hot": lambda: stall(node, ["FLASH.SET", "flash", value]),
            "native GET": lambda: stall(node, ["GET", "native"]),
            "FLASH.GET, hot": lambda: stall(node, ["FLASH.GET", "flash"]),
            "FLASH.GET, cold": lambda: cold_stall(node, ["FLASH.GET", "flash"]),
            "FLASH.SET, cold": lambda: cold_stall(node, ["FLASH.SET", "flash", value]),
        }
        results = interleaved(bench.scaled(5, 2), runs)
        for verb in ("SET", "GET"):
            native = median(results[f"native {verb}"])
            for warmth in ("hot", "cold"):
                ours = median(results[f"FLASH.{verb}, {warmth}"])
                yield Row(f"longest stall, {verb} of {mib} MiB, {warmth}: <= 1.5 x native's",
                          f"{ours:.1f} ms, native {native:.1f} ms, {ours / native:.2f} x",
                          verdict(ours <= 1.5 * native), {"ours_ms": ours, "native_ms": native})
        node._end(9)


def stall(node, command, after_sec=0):
    """The longest PING in ms while one command runs, and for `after_sec` after its reply."""
    link = Connection(node.port, timeout=600)
    request = encode(command)
    with Prober(node.port, interval_ms=0.2) as prober:
        link.send_raw(request)
        reply = link.read()
        time.sleep(after_sec)
    link.close()
    if reply.is_error:
        raise RuntimeError(f"{command[0]}: {reply.value.decode()}")
    return prober.result().max_us / 1000


def cold_stall(node, command):
    node.call("FLASH.DEBUG.DEMOTE", "flash")
    return stall(node, command)
