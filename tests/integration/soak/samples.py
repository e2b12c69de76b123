"""Figures of the server over time, from outside (/proc) and from its INFO, and as CSV.

A sample is a dict with the fields of COLUMNS. `truth_bytes` is what the module says it takes of
used_memory; `unexplained_bytes` is what is neither that nor the server's own overhead: its part of
each key, and the inner nodes of large values. It may be below 0 for a moment, since the server
counts large arguments until its next cron. Thread: one of its own; a server that is gone gives no
sample.
"""

import csv
import threading
import time
from pathlib import Path

from harness.prober import Prober
from harness.threads import thread_names
from soak.acts import LOST

COLUMNS = ("seconds", "life", "operations", "rss_bytes", "used_memory_bytes", "truth_bytes",
           "unexplained_bytes", "cache_bound_bytes", "flash_used_bytes", "keys", "descriptors",
           "threads", "ping_p50_us", "ping_p99_us", "cold_read_p50_us", "cold_read_p99_us",
           "saving")
TRUTH = ("flash_cache_size_bytes", "flash_held_bytes", "flash_resident_tiny_bytes",
         "flash_block_table_bytes", "flash_cache_policy_bytes")


def rss_of(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines()
                if line.startswith("VmRSS:")) * 1024


def threads_of(pid):
    """Its own: the kernel's workers of a ring come and go with the disk's pace."""
    return sum(not name.startswith("iou-") for name in thread_names(pid))


def memory_of(info):
    """(truth, unexplained) of one INFO."""
    truth = sum(info[name] for name in TRUTH)
    return truth, info["used_memory"] - info["used_memory_overhead"] - truth


def sample_of(client, pid):
    """What INFO and /proc say now; without time, life, operations and latency of PING."""
    info = client.info("everything")
    truth, unexplained = memory_of(info)
    return {"rss_bytes": rss_of(pid), "used_memory_bytes": info["used_memory"],
            "truth_bytes": truth, "unexplained_bytes": unexplained,
            "cache_bound_bytes": info["flash_cache_capacity_bytes"],
            "flash_used_bytes": info["flash_storage_used_bytes"],
            "keys": info.get("db0", {}).get("keys", 0),
            "descriptors": sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
            "threads": threads_of(pid),
            "cold_read_p50_us": info["flash_read_latency_p50_us"],
            "cold_read_p99_us": info["flash_read_latency_p99_us"],
            "saving": info["rdb_bgsave_in_progress"]}


class Sampler(threading.Thread):
    """Takes samples of one life of a server until stop(); probes PING between them."""

    def __init__(self, node, life, began, interval, operations):
        super().__init__()
        self.rows, self.trouble = [], None
        self._node, self._life, self._began = node, life, began
        self._interval, self._operations = interval, operations
        self._client, self._pid = node.connect(), node.pid
        self._end = threading.Event()
        self.start()

    def run(self):
        try:
            while not self._end.is_set():
                self.take()
        except LOST:
            pass  # The server was ended.
        except Exception as trouble:  # Shown by whoever joins.
            self.trouble = trouble

    def take(self):
        before = self._operations()
        started = time.monotonic()
        prober = Prober(self._node.port, interval_ms=5)
        try:
            self._end.wait(self._interval)
            row = sample_of(self._client, self._pid)
        finally:
            latency = prober.stop()
        took = time.monotonic() - started
        self.rows.append({
            "seconds": round(time.monotonic() - self._began, 2), "life": self._life,
            "operations": round((self._operations() - before) / took), **row,
            "ping_p50_us": latency.p50_us, "ping_p99_us": latency.p99_us})

    def stop(self):
        self._end.set()
        self.join()
        if self.trouble:
            raise self.trouble
        return self.rows


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
