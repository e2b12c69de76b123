"""Cold reads while the tier is filled for the first time, beside one that was filled before.

A file system that only reserved blocks converts them as they are first written, and holds up reads
of the same file meanwhile. In each round a new tier and one that was written to its end take the
same data at the same pace; the reads are of what both hold already.
"""

import os
import threading
import time

from harness.resp import Connection
from measures.tools import (MIB, Row, all_demoted, benchmark, fill, interleaved, median, pipeline,
                            verdict, wait_for)

READ_BYTES, WRITTEN_BYTES = 1024, 16 * 1024
MB_PER_SECOND = 30
KEYS = 16_000  # A quarter of the tier; then they are overwritten.


class Writer(threading.Thread):
    """Sets at a steady pace until stop(); `megabytes` is what it has written."""

    def __init__(self, node, command="FLASH.SET"):
        super().__init__()
        self._command, self._prefix = command, b"new:" + command.encode()
        self.megabytes = 0.0
        self._link = Connection(node.port)
        self._end = threading.Event()
        self._began = time.monotonic()

    def run(self):
        noise, number = os.urandom(4 * MIB), 0
        while not self._end.wait(max(0, self.megabytes / MB_PER_SECOND - self._seconds())):
            batch = []
            for _ in range(8):
                start = number * 4099 % (len(noise) - WRITTEN_BYTES)
                batch.append([self._command, self._prefix + b"%d" % (number % KEYS),
                              noise[start:start + WRITTEN_BYTES]])
                number += 1
            pipeline(self._link, batch)
            self.megabytes += 8 * WRITTEN_BYTES / 1e6

    def pace(self):
        """Megabytes a second so far."""
        return self.megabytes / self._seconds()

    def stop(self):
        """The pace over its whole life."""
        self._end.set()
        self.join()
        self._link.close()
        return self.pace()

    def _seconds(self):
        return time.monotonic() - self._began


def measure(bench):
    results = interleaved(bench.scaled(5, 1), {
        "first": lambda: one_round(bench, written_before=False),
        "again": lambda: one_round(bench, written_before=True)})
    for clients in (1, 50):
        first, again = (median([run[clients] for run in results[name]])
                        for name in ("first", "again"))
        pace = median([run["pace"] for run in results["first"]])
        quiet = median([run["quiet", clients] for run in results["first"]])
        yield Row(f"cold GET, {clients} clients, while {MB_PER_SECOND} MB/s are demoted into a new "
                  "tier: p99 <= 1.5 x that of a tier written before",
                  f"{first * 1000:.0f} us, written before {again * 1000:.0f} us, "
                  f"{first / again:.2f} x ({pace:.0f} MB/s; without writes {quiet * 1000:.0f} us)",
                  verdict(first <= 1.5 * again),
                  {"first_us": first * 1000, "again_us": again * 1000, "quiet_us": quiet * 1000})


def one_round(bench, written_before):
    """clients -> p99 in ms of reads beside the writer; ("quiet", clients) -> without it."""
    node = bench.server({"flash.cache-size-bytes": "8mb", "flash.capacity-bytes": "1gb",
                         "flash.compression": "none"})
    try:
        if written_before:
            write_all(node.dir / "flash.tier")
        keys = bench.scaled(100_000, 20_000)
        fill(node, (["FLASH.SET", b"cold:%012d" % n, os.urandom(READ_BYTES)] for n in range(keys)))
        wait_for(lambda: all_demoted(node), what="all to be demoted")
        reads = {1: bench.scaled(30_000, 4_000), 50: bench.scaled(100_000, 10_000)}
        result = {("quiet", clients): p99(node, keys, clients, reads[clients] // 4)
                  for clients in reads}
        writer = Writer(node)
        writer.start()
        result |= {clients: p99(node, keys, clients, reads[clients]) for clients in reads}
        result["pace"] = writer.stop()
    finally:
        node._end(9)
    (node.dir / "flash.tier").unlink()
    return result


def write_all(path):
    """The whole file but for its beginning, while nothing is in it."""
    zeros = bytes(MIB)
    with open(path, "r+b") as tier:
        tier.seek(MIB)
        for _ in range(os.path.getsize(path) // MIB - 1):
            tier.write(zeros)
        os.fsync(tier.fileno())


def p99(node, keys, clients, requests):
    return benchmark(node, ["FLASH.GET", "cold:__rand_int__"], requests=requests, clients=clients,
                     keys=keys).p99_ms
