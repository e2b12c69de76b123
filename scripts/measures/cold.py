"""Cold FLASH.GET of 1 KiB, all keys alike, beside native GETs of as many and fio on the
same file."""

import os

from measures.tools import (MIB, Row, all_demoted, benchmark, fill, fio_reads, flash_info,
                            has_command, interleaved, io_threads_seconds, main_thread_seconds,
                            median, verdict, wait_for)

VALUE_BYTES = 1024
MAIN_US, IO_US, LONE_US = 5, 5, 20  # Beyond what a native GET takes, and fio.


def measure(bench):
    keys = bench.scaled(400_000, 40_000)
    node = cold_server(bench, keys)
    fill_native(node, keys)
    tier = node.dir / "flash.tier"
    span = flash_info(node)["storage_used_bytes"] // 4096 * 4096
    seconds = bench.scaled(4, 1)
    before = flash_info(node)
    runs = {}
    for clients, requests in ((50, bench.scaled(150_000, 10_000)),
                              (1, bench.scaled(20_000, 2_000))):
        runs |= {("fio", clients): lambda n=clients: (fio_reads(tier, span, n, seconds),),
                 ("cold", clients): reads(node, "FLASH.GET", "cold", keys, requests, clients),
                 ("native", clients): reads(node, "GET", "native", keys, requests, clients)}
    results = interleaved(bench.scaled(5, 1), runs)
    after = flash_info(node)
    hits, misses = (after[name] - before[name] for name in ("cache_hits", "cache_misses"))
    yield from rows_of(results, misses / max(1, hits + misses), empty_round_trip(node, bench))
    node._end(9)


def fill_native(node, keys):
    """As many native keys of the same size, native:N."""
    fill(node, (["SET", b"native:%012d" % n, os.urandom(VALUE_BYTES)] for n in range(keys)))


def cold_server(bench, keys, **settings):
    """A server whose keys cold:N are of VALUE_BYTES each, all but a few on flash."""
    node = bench.server({"flash.cache-size-bytes": str(bench.scaled(16, 2) * MIB),
                         "flash.capacity-bytes": "1gb", **settings}, bare=True)
    fill(node, (["FLASH.SET", b"cold:%012d" % n, os.urandom(VALUE_BYTES)] for n in range(keys)))
    wait_for(lambda: all_demoted(node), what="all to be demoted")
    return node


def reads(node, command, prefix, keys, requests, clients):
    """A run: (Speed, main thread's us a read, I/O threads' us a read)."""
    def run():
        main, io_threads = main_thread_seconds(node), io_threads_seconds(node)
        speed = benchmark(node, [command, f"{prefix}:__rand_int__"], requests=requests,
                          clients=clients, keys=keys)
        return (speed, (main_thread_seconds(node) - main) / requests * 1e6,
                (io_threads_seconds(node) - io_threads) / requests * 1e6)
    return run


def rows_of(results, share, empty_us):
    def column(name, clients, pick):
        return [pick(run) for run in results[name, clients]]

    def p50_us(run):
        return run[0].p50_ms * 1000

    def p99_us(run):
        return run[0].p99_ms * 1000

    speeds = {name: column(name, 50, lambda run: run[0].per_second) for name in ("cold", "native")}
    iops = median(column("fio", 50, lambda run: run[0].per_second))
    ratio = median([cold / native for cold, native in zip(speeds["cold"], speeds["native"])])
    yield Row("cold GET, 1 KiB, 50 clients: >= 0.75 x hot native GET's throughput",
              f"{ratio:.2f} x ({median(speeds['cold']):,.0f}, native "
              f"{median(speeds['native']):,.0f} a second, fio {iops:,.0f}; {share:.0%} misses)",
              verdict(ratio >= 0.75 and share >= 0.9),
              {"reads": median(speeds["cold"]), "native": median(speeds["native"]),
               "fio_iops": iops, "misses": share})
    cold_us, native_us = (median(column(name, 50, lambda run: run[1]))
                          for name in ("cold", "native"))
    yield Row(f"cold GET, 50 clients: main thread's CPU <= a native GET's + {MAIN_US} us",
              f"{cold_us:.1f} us, native {native_us:.1f} us: + {cold_us - native_us:.1f} us"
              + (f"; an empty BlockClient round trip {empty_us:.1f} us" if empty_us else ""),
              verdict(cold_us <= native_us + MAIN_US), {"cold_us": cold_us, "native_us": native_us})
    io_us = median(column("cold", 50, lambda run: run[2]))
    yield Row(f"cold GET, 50 clients: I/O threads' CPU <= {IO_US} us a read", f"{io_us:.1f} us",
              verdict(io_us <= IO_US), {"io_us": io_us})
    cold, native, fio = (median(column(name, 50, p99_us)) for name in ("cold", "native", "fio"))
    yield Row("cold GET, 50 clients: p99 <= 3 x fio's at depth 50 + a native GET's",
              f"{cold:.0f} us, fio {fio:.0f} us, native {native:.0f} us",
              verdict(cold <= 3 * fio + native), {"p99_us": cold, "fio": fio, "native": native})
    cold, native, fio = (median(column(name, 1, p50_us)) for name in ("cold", "native", "fio"))
    yield Row(f"cold GET, 1 client: p50 <= fio's at depth 1 + a native GET's + {LONE_US} us",
              f"{cold:.0f} us, fio {fio:.0f} us, native {native:.0f} us: "
              f"+ {cold - fio - native:.0f} us",
              verdict(cold <= fio + native + LONE_US),
              {"p50_us": cold, "fio_us": fio, "native_us": native})


def empty_round_trip(node, bench):
    """Main thread's us for BARE.BLOCK, which parks its client and lets it go; or None."""
    if not has_command(node, "BARE.BLOCK"):
        return None
    requests = bench.scaled(150_000, 10_000)
    busy = main_thread_seconds(node)
    benchmark(node, ["BARE.BLOCK"], requests=requests, clients=50)
    return (main_thread_seconds(node) - busy) / requests * 1e6
