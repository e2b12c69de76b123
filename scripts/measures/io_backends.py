"""Cold FLASH.GET of 1 KiB over io_uring and over threads, side by side; nothing is promised."""

import os

from measures.tools import (MIB, SHOWN, Row, all_demoted, benchmark, fill, flash_info, interleaved,
                            main_thread_seconds, median, wait_for)

VALUE_BYTES = 1024
BACKENDS = ("uring", "threads")


def measure(bench):
    keys = bench.scaled(300_000, 30_000)
    nodes = {name: filled(bench, name, keys) for name in BACKENDS}
    for clients, full, quick in ((50, 150_000, 10_000), (1, 15_000, 2_000)):
        requests = bench.scaled(full, quick)
        runs = {name: lambda node=node: cold_run(node, keys, requests, clients)
                for name, node in nodes.items()}
        yield row_of(clients, interleaved(bench.scaled(7, 1), runs))
    for node in nodes.values():
        node._end(9)


def filled(bench, backend, keys):
    node = bench.server({"flash.cache-size-bytes": str(bench.scaled(16, 2) * MIB),
                         "flash.capacity-bytes": "1gb", "flash.io-backend": backend})
    fill(node, (["FLASH.SET", b"cold:%012d" % n, os.urandom(VALUE_BYTES)] for n in range(keys)))
    wait_for(lambda: all_demoted(node), what="all to be demoted")
    if flash_info(node)["io_backend"] != backend:
        raise RuntimeError(f"the server does not use {backend}")
    return node


def other_threads_seconds(node):
    cpu = node.info("cpu")
    all_threads = float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
    return all_threads - main_thread_seconds(node)


def cold_run(node, keys, requests, clients):
    """(reads a second, p50 in us, p99 in us, main thread's and other threads' us per read)."""
    main, others = main_thread_seconds(node), other_threads_seconds(node)
    speed = benchmark(node, ["FLASH.GET", "cold:__rand_int__"], requests=requests,
                      clients=clients, keys=keys)
    return (speed.per_second, speed.p50_ms * 1000, speed.p99_ms * 1000,
            (main_thread_seconds(node) - main) / requests * 1e6,
            (other_threads_seconds(node) - others) / requests * 1e6)


def row_of(clients, results):
    middle = {name: [median(column) for column in zip(*runs)] for name, runs in results.items()}
    ratio = [median(threads[i] / uring[i] for uring, threads in
                    zip(results["uring"], results["threads"])) for i in range(3)]
    texts = [f"{name}: {speed:,.0f} reads/s, p50 {p50:.0f} us, p99 {p99:.0f} us, CPU a read: main "
             f"{main:.1f}, other threads {others:.1f} us"
             for name, (speed, p50, p99, main, others) in middle.items()]
    texts.append(f"threads / uring: reads/s {ratio[0]:.2f}, p50 {ratio[1]:.2f}, p99 {ratio[2]:.2f}")
    return Row(f"cold GET, 1 KiB, {clients} client(s), io_uring and threads in turns",
               "\n    ".join(texts), SHOWN, {"medians": middle, "ratios": ratio})
