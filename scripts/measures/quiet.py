"""How little others notice: PING beside cold reads and beside native GETs of the same throughput,
and the longest turn of the event loop, in CPU time of the main thread, while everything that works
in the background is at work."""

import subprocess
import threading

from harness.prober import Prober
from measures.cold import VALUE_BYTES, cold_server, reads
from measures.filling import Writer
from measures.tools import ROOT, Row, flash_info, interleaved, median, verdict
from measures.turns import TurnClock

BENCH = ROOT / "build" / "flash-bench"
PATIENCE = 1.2
SHARE = 0.6  # Of the cold reads that the machine can do: both sides keep up with it.
BACKGROUND_MS = 2


def measure(bench):
    keys = bench.scaled(400_000, 40_000)
    node = cold_server(bench, keys)
    requests = bench.scaled(150_000, 10_000)
    most = reads(node, "FLASH.GET", "cold", keys, requests, 50)()[0].per_second
    node._end(9)
    yield ping_row(bench, keys, int(most * SHARE))
    yield stretch_row(bench, keys)


def ping_row(bench, keys, rate):
    """An open loop, since a closed one does as many native GETs as it can."""
    node = bench.server({"flash.cache-size-bytes": str(bench.scaled(16, 2) << 20),
                         "flash.capacity-bytes": "1gb"})
    for side in ("flash", "native"):
        paced(node, side, keys, rate, 1, ("--keep",))
    seconds = bench.scaled(5, 1)
    results = interleaved(bench.scaled(7, 1), {
        side: lambda side=side: pings(node, side, keys, rate, seconds)
        for side in ("native", "flash")})
    node._end(9)
    probes = {side: sum(latency.count for latency in runs) for side, runs in results.items()}
    ours, native = (median([latency.p999_us for latency in results[side]])
                    for side in ("flash", "native"))
    return Row(f"PING p99.9 under {rate:,} cold reads a second: <= {PATIENCE} x that under as many "
               "native GETs",
               f"{ours:.0f} us, native {native:.0f} us: {ours / native:.2f} x "
               f"({probes['flash']:,} and {probes['native']:,} probes)",
               verdict(ours <= PATIENCE * native), {"p999_us": ours, "native_p999_us": native})


def pings(node, side, keys, rate, seconds):
    with Prober(node.port, interval_ms=1) as prober:
        paced(node, side, keys, rate, seconds, ("--no-fill", "--keep"))
    return prober.result()


def paced(node, side, keys, rate, seconds, more):
    subprocess.run([BENCH, f"valkey://127.0.0.1:{node.port}", "--commands", side, "--keys",
                    str(keys), "--value-bytes", str(VALUE_BYTES), "--pattern", "uniform",
                    "--reads", "1", "--rate", str(rate), "--threads", "1", "--duration",
                    f"{seconds}s", "--warm-up", "1s", "--quiet", "--prefix", f"{side}:", *more],
                   check=True, capture_output=True, text=True)


def stretch_row(bench, keys):
    """Cold reads by 50 clients beside 30 MB/s that are demoted and overwritten."""
    clock = TurnClock(bench, {"flash.cache-size-bytes": "16mb", "flash.capacity-bytes": "600mb"})
    node = clock.node
    paced(node, "flash", keys, 20_000, 1, ("--keep",))
    before = flash_info(node)
    writer = Writer(node)
    writer.start()
    clock.reset()
    try:
        paced(node, "flash", keys, 10_000, bench.scaled(30, 3), ("--no-fill", "--keep"))
        longest = clock.longest_ms()
    finally:
        pace = writer.stop()
    after = flash_info(node)
    node._end(9)
    done = {name: after[name] - before[name] for name in ("compaction_segments", "cache_misses")
            if name in after}
    return Row(f"background work on the main thread: <= {BACKGROUND_MS} ms of its CPU a stretch",
               f"longest turn, commands and all, {longest:.2f} ms while {pace:.0f} MB/s were "
               f"demoted ({', '.join(f'{name} {count:,}' for name, count in done.items())})",
               verdict(longest <= BACKGROUND_MS), {"turn_ms": longest})
