"""Cold FLASH.GET of 1 KiB, all keys alike, beside fio on the same file; PING meanwhile."""

import os

from harness.prober import Prober
from harness.resp import Connection
from measures.tools import (FAILED, MIB, Row, all_demoted, benchmark, fill, fio_reads, flash_info,
                            has_command, interleaved, main_thread_seconds, median, pipeline,
                            verdict, wait_for)

VALUE_BYTES = 1024


def measure(bench):
    keys = bench.scaled(400_000, 40_000)
    cache = bench.scaled(16, 2) * MIB
    node = bench.server({"flash.cache-size-bytes": str(cache), "flash.capacity-bytes": "1gb"},
                        bare=True)
    fill(node, (["FLASH.SET", b"cold:%012d" % n, os.urandom(VALUE_BYTES)] for n in range(keys)))
    wait_for(lambda: all_demoted(node), what="all to be demoted")
    tier = node.dir / "flash.tier"
    span = flash_info(node)["storage_used_bytes"] // 4096 * 4096
    seconds = bench.scaled(4, 1)
    requests = bench.scaled(150_000, 10_000)
    single = bench.scaled(20_000, 2_000)
    before = flash_info(node)
    probes = []
    runs = {
        "fio 50": lambda: fio_reads(tier, span, 50, seconds),
        "cold 50": lambda: cold_run(node, keys, requests, 50, probes),
        "fio 1": lambda: fio_reads(tier, span, 1, seconds),
        "cold 1": lambda: cold_run(node, keys, single, 1, []),
    }
    results = interleaved(bench.scaled(5, 1), runs)
    after = flash_info(node)
    yield from rows_of(node, bench, results, before, after, probes)
    node._end(9)


def cold_run(node, keys, requests, clients, probes):
    """(reads a second, p50 in us, main thread's seconds per read)."""
    busy = main_thread_seconds(node)
    with Prober(node.port, interval_ms=2) as prober:
        speed = benchmark(node, ["FLASH.GET", "cold:__rand_int__"], requests=requests,
                          clients=clients, keys=keys)
    probes.append(prober.result())
    return speed.per_second, speed.p50_ms * 1000, (main_thread_seconds(node) - busy) / requests


def rows_of(node, bench, results, before, after, probes):
    hits, misses = (after[name] - before[name] for name in ("cache_hits", "cache_misses"))
    share = misses / max(1, hits + misses)
    iops = median([run[0] for run in results["fio 50"]])
    speed = median([run[0] for run in results["cold 50"]])
    ratio = median([cold[0] / fio[0] for cold, fio in
                    zip(results["cold 50"], results["fio 50"])])
    spent = median([run[2] for run in results["cold 50"]])
    text = (f"{ratio:.2f} x fio ({speed:,.0f} reads/s, fio {iops:,.0f} IOPS, {share:.0%} misses), "
            f"CPU {spent * 1e6:.1f} us a read")
    empty = empty_round_trip(node, bench)
    if empty:
        text += f" = {spent / empty:.2f} x an empty round trip of {empty * 1e6:.1f} us"
    good = share >= 0.9 and (ratio >= 0.8 or (empty and spent <= 1.25 * empty))
    yield Row("cold GET, 1 KiB, 50 clients: >= 0.8 x fio at that depth, or CPU <= 1.25 x an empty "
              "BlockClient round trip", text, verdict(good),
              {"reads": speed, "fio_iops": iops, "cpu_us": spent * 1e6, "misses": share})
    fio_us = median([run[1] for run in results["fio 1"]])
    cold_us = median([run[1] for run in results["cold 1"]])
    native = native_us(node, bench)
    yield Row("cold GET, 1 client: p50 <= fio's at depth 1 + 50 us",
              f"{cold_us:.0f} us, fio {fio_us:.0f} us; a native GET {native:.0f} us",
              verdict(cold_us <= fio_us + 50),
              {"p50_us": cold_us, "fio_p50_us": fio_us})
    with Prober(node.port, interval_ms=2) as prober:
        benchmark(node, ["GET", "nothing"], requests=bench.scaled(400_000, 20_000))
    idle = prober.result()
    p999 = median([probe.p999_us for probe in probes])
    yield Row("PING p99.9 <= 1 ms under cold load",
              f"{p999:.0f} us; {idle.p999_us:.0f} us under native GETs ({probes[-1]})",
              verdict(p999 <= 1000), {"p999_us": p999, "native_p999_us": idle.p999_us})
    tick = flash_info(node)["demotion_tick_max_us"]
    yield Row("background work <= 2 ms a stretch", f"longest {tick} us", verdict(tick <= 2000),
              {"tick_max_us": tick})


def native_us(node, bench):
    """The p50 of a native GET by one client: what a round trip costs here without any read."""
    requests = bench.scaled(20_000, 2_000)
    return benchmark(node, ["GET", "nothing"], requests=requests, clients=1).p50_ms * 1000


def empty_round_trip(node, bench):
    """Main thread's seconds for BARE.BLOCK, which parks its client and lets it go; or None."""
    if not has_command(node, "BARE.BLOCK"):
        return None
    requests = bench.scaled(150_000, 10_000)
    busy = main_thread_seconds(node)
    benchmark(node, ["BARE.BLOCK"], requests=requests, clients=50)
    return (main_thread_seconds(node) - busy) / requests
