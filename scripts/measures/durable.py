"""FLASH.SET under `flash.sync always` beside native SET under `appendfsync always`, by turns.

The log has been through its whole size once, so that it writes into segments that it used before:
what it does for good, the first minutes apart.
"""

import threading
import time

from harness.resp import Connection
from measures.tools import (Row, benchmark, flash_info, interleaved, median, median_of_ratios,
                            median_speed, verdict, wait_for)

KEYS = 100_000
VALUE = "x" * 100
LOG_BYTES = 128 << 20
NATIVE = {"appendonly": "yes", "appendfsync": "always"}
LOG = {"flash.wal": "yes", "flash.wal-max-bytes": str(LOG_BYTES)}


def measure(bench):
    nodes = {
        "native": bench.server(NATIVE, module=False),
        "log": bench.server({**LOG, "flash.sync": "always"}),
        "aof": bench.server({"appendonly": "yes", "flash.wal": "yes", "flash.sync": "always"}),
        "everysec": bench.server({**LOG, "flash.sync": "everysec"}),
        "no": bench.server({**LOG, "flash.sync": "no"}),
    }
    for name, node in nodes.items():
        go_round(bench, node, name)
    for depth, aof_floor in ((1, 0.95), (16, 0.9)):
        runs = {name: run_of(bench, nodes[name], name, depth) for name in nodes}
        results = interleaved(bench.scaled(9, 1), runs)
        speeds = {name: [run[0] for run in of] for name, of in results.items()}
        pings = {name: median([run[1] for run in of]) for name, of in results.items()}
        for name, what, floor in (("log", "AOF off", 1.0), ("aof", "AOF on", aof_floor)):
            ratio = median_of_ratios(speeds[name], speeds["native"])
            yield Row(f"FLASH.SET, flash.sync always, {what}, 50 clients, -P {depth}: >= {floor} x "
                      "native SET, appendfsync always",
                      f"{ratio:.3f} ({median_speed(speeds[name]):,.0f}/s, native "
                      f"{median_speed(speeds['native']):,.0f}/s; p99 of PING beside it "
                      f"{pings[name]:.0f} us, native {pings['native']:.0f} us)",
                      verdict(ratio >= floor),
                      {"ratio": ratio, "pings": pings,
                       "speeds": {side: median_speed(speeds[side]) for side in (name, "native")}})
        ratio = median_of_ratios(speeds["everysec"], speeds["no"])
        yield Row(f"FLASH.SET, flash.sync everysec, 50 clients, -P {depth}: >= 0.95 x `no`",
                  f"{ratio:.3f} ({median_speed(speeds['everysec']):,.0f}/s, no "
                  f"{median_speed(speeds['no']):,.0f}/s)", verdict(ratio >= 0.95),
                  {"ratio": ratio})
    for node in nodes.values():
        node._end(9)


def command(name):
    return ["SET" if name == "native" else "FLASH.SET", "key:__rand_int__", VALUE]


def go_round(bench, node, name):
    """Writes every key, and the log once through its size."""
    requests = bench.scaled(1_200_000, 30_000) if name in ("log", "everysec", "no") else KEYS
    benchmark(node, command(name), requests=requests, pipeline=64, keys=KEYS)
    if name in ("log", "everysec", "no"):
        wait_for(lambda: flash_info(node)["wal_base"] == "ok", what="the log's base")


def run_of(bench, node, name, depth):
    """(speed, p99 of PING on another connection in us)."""
    requests = bench.scaled(60_000 if depth == 1 else 400_000, 3_000)
    return lambda: beside_pings(
        node, lambda: benchmark(node, command(name), requests=requests, pipeline=depth, keys=KEYS))


def beside_pings(node, run):
    times, done = [], threading.Event()

    def ping():
        link = Connection(node.port)
        while not done.is_set():
            began = time.perf_counter()
            link.must("PING")
            times.append((time.perf_counter() - began) * 1e6)
            time.sleep(0.002)
        link.close()

    pinger = threading.Thread(target=ping)
    pinger.start()
    try:
        speed = run()
    finally:
        done.set()
        pinger.join()
    return speed, sorted(times)[len(times) * 99 // 100] if times else 0.0
