"""How little others notice: PING beside cold reads and beside native GETs, of the same throughput
and of the same load of the main thread; and the longest turn of the event loop, in CPU time of the
main thread, while everything that works in the background is at work, beside one with the same
commands and nothing in the background."""

import subprocess
import threading

from harness.prober import Prober
from measures.cold import VALUE_BYTES, cold_server, fill_native, reads
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
    cold, cold_us, _ = reads(node, "FLASH.GET", "cold", keys, requests, 50)()
    fill_native(node, keys)
    _, native_us, _ = reads(node, "GET", "native", keys, requests, 50)()
    node._end(9)
    rate = int(cold.per_second * SHARE)
    yield ping_row(bench, keys, rate, int(rate * max(1, cold_us / native_us)))
    yield stretch_row(bench, keys)


def ping_row(bench, keys, rate, as_busy_rate):
    """An open loop, since a closed one does as many native GETs as it can."""
    node = bench.server({"flash.cache-size-bytes": str(bench.scaled(16, 2) << 20),
                         "flash.capacity-bytes": "1gb"})
    for side in ("flash", "native"):
        paced(node, side, keys, rate, 1, ("--keep",))
    seconds = bench.scaled(5, 1)
    results = interleaved(bench.scaled(7, 1), {
        "native": lambda: pings(node, "native", keys, rate, seconds),
        "as busy": lambda: pings(node, "native", keys, as_busy_rate, seconds),
        "flash": lambda: pings(node, "flash", keys, rate, seconds)})
    node._end(9)
    probes = {side: sum(latency.count for latency in runs) for side, runs in results.items()}
    ours, native, as_busy = (median([latency.p999_us for latency in results[side]])
                             for side in ("flash", "native", "as busy"))
    return Row(f"PING p99.9 under {rate:,} cold reads a second: <= {PATIENCE} x that under as many "
               "native GETs",
               f"{ours:.0f} us, native {native:.0f} us: {ours / native:.2f} x "
               f"({probes['flash']:,} and {probes['native']:,} probes); {as_busy:.0f} us under "
               f"{as_busy_rate:,}, which keep the main thread as busy: {ours / as_busy:.2f} x",
               verdict(ours <= PATIENCE * native),
               {"p999_us": ours, "native_p999_us": native, "as_busy_p999_us": as_busy})


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
    """Reads by 50 clients beside 30 MB/s that are overwritten; those of FLASH keys are demoted,
    and the reads cold. A turn's commands are in it: so native turns say what is theirs."""
    clock = TurnClock(bench, {"flash.cache-size-bytes": "16mb", "flash.capacity-bytes": "600mb"})
    node = clock.node
    for side in ("flash", "native"):
        paced(node, side, keys, 20_000, 1, ("--keep",))
    before = flash_info(node)
    results = interleaved(bench.scaled(5, 1), {
        side: lambda side=side: longest_turn(bench, clock, side, keys)
        for side in ("native", "flash")})
    after = flash_info(node)
    node._end(9)
    ours, native = (median([turn_ms for turn_ms, _ in results[side]])
                    for side in ("flash", "native"))
    pace = median([pace for _, pace in results["flash"]])
    done = {name: after[name] - before[name] for name in ("compaction_segments", "cache_misses")
            if name in after}
    return Row(f"background work on the main thread: <= {BACKGROUND_MS} ms of its CPU a stretch",
               f"longest turn, commands and all, {ours:.2f} ms while {pace:.0f} MB/s were "
               f"demoted ({', '.join(f'{name} {count:,}' for name, count in done.items())}); "
               f"{native:.2f} ms with the same commands natively",
               verdict(ours <= native + BACKGROUND_MS), {"turn_ms": ours, "native_ms": native})


def longest_turn(bench, clock, side, keys):
    """In ms, and the writer's MB/s."""
    writer = Writer(clock.node, "FLASH.SET" if side == "flash" else "SET")
    writer.start()
    clock.reset()
    try:
        paced(clock.node, side, keys, 10_000, bench.scaled(10, 2), ("--no-fill", "--keep"))
        return clock.longest_ms(), writer.pace()
    finally:
        writer.stop()
