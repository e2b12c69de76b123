#!/usr/bin/env python3
"""restart_bench: how long a restart takes, what it needs of RAM, and what the log writes.

    /usr/bin/python3 scripts/restart_bench.py [--mib 256] [--cache-mib 32] [--rounds 3] [--writes N]

restart   values of 4,000 bytes, eight times the cache: from the start of the process to the first
          answer, and the most RAM it had (VmHWM) beyond that of an empty one, for a native server
          with the same data in RAM (RDB), ours from its RDB, ours from its log alone; in rounds
log       `--writes` overwrites of values of 100 bytes under `everysec` and `always`, snapshots as
          the log asks for them: bytes written to its device per byte of values, its largest size
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "integration"))

from conftest import LOGGED, MODULE, Server  # noqa: E402
from harness import values  # noqa: E402

VALUE_BYTES = 4000
PIPELINE = 500


def options_of():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--cache-mib", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log-only", action="store_true")
    parser.add_argument("--writes", type=int, default=1_000_000)
    return parser.parse_args()


def in_pipelines(node, commands):
    pipe = node.client.pipeline(transaction=False)
    for number, command in enumerate(commands, 1):
        pipe.execute_command(*command)
        if number % PIPELINE == 0:
            pipe.execute()
    pipe.execute()


def peak_kib(node):
    status = Path(f"/proc/{node.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


class Restarts:
    """One server that is filled, killed and started again and again."""

    def __init__(self, name, settings, module, command, snapshot, mib):
        self.name = name
        folder = Path(tempfile.mkdtemp(prefix="restart-"))
        self.node = Server(folder, settings, module, (), ()).start()
        self.empty_kib = peak_kib(self.node)
        count = mib * (1 << 20) // VALUE_BYTES
        in_pipelines(self.node, ((command, f"key:{i}", values.make(b"key:%d" % i, 1, VALUE_BYTES))
                                 for i in range(count)))
        if snapshot:
            self.node.save_in_background()
        self.seconds, self.peaks = [], []
        self.count, self.snapshot = count, snapshot
        self.log, self.kept_log = folder / "flash.wal", folder / "kept"

    def once(self):
        self.node.kill()
        if not self.snapshot:  # It made one once it was up, and cut the log.
            (self.node.dir / "dump.rdb").unlink(missing_ok=True)
            if not self.seconds:
                shutil.copy(self.log, self.kept_log)
            shutil.copy(self.kept_log, self.log)
        began = time.monotonic()
        self.node.start()
        self.seconds.append(time.monotonic() - began)
        self.peaks.append((peak_kib(self.node) - self.empty_kib) / 1024)
        assert self.node.client.dbsize() == self.count

    def row(self):
        return (f"| {self.name} | {statistics.median(self.seconds):.2f} s "
                f"| {statistics.median(self.peaks):.0f} MiB |")


def restarts(options):
    ours = {**LOGGED, "flash.sync": "everysec", "flash.wal-max-bytes": "4gb",
            "flash.cache-size-bytes": f"{options.cache_mib}mb",
            "flash.capacity-bytes": f"{4 * options.mib}mb"}
    servers = [Restarts("native, RDB", {}, False, "SET", True, options.mib),
               Restarts("ours, RDB", ours, MODULE, "FLASH.SET", True, options.mib),
               Restarts("ours, log alone", ours, MODULE, "FLASH.SET", False, options.mib)]
    try:
        for _ in range(options.rounds):
            for each in servers:
                each.once()
    finally:
        for each in servers:
            each.node.kill()
            shutil.rmtree(each.node.dir)
    print(f"{options.mib} MiB in values of {VALUE_BYTES} bytes, cache {options.cache_mib} MiB, "
          f"medians of {options.rounds} alternating rounds")
    print("| server | restart | peak RAM beyond an empty one |\n|---|---|---|")
    for each in servers:
        print(each.row(), flush=True)


def log_row(sync, options):
    settings = {**LOGGED, "flash.sync": sync, "flash.wal-max-bytes": "64mb"}
    node = Server(Path(tempfile.mkdtemp(prefix="log-")), settings, MODULE, (), ()).start()
    value, largest = "v" * 100, 0
    try:
        before = node.info("flash")["flash_wal_device_bytes_written"]
        for first in range(0, options.writes, 10_000):
            in_pipelines(node, (("FLASH.SET", f"key:{i % 100_000}", value)
                                for i in range(first, min(first + 10_000, options.writes))))
            largest = max(largest, node.info("flash")["flash_wal_size_bytes"])
        written = node.info("flash")["flash_wal_device_bytes_written"] - before
        file_mib = (node.dir / "flash.wal").stat().st_size / (1 << 20)
    finally:
        node.kill()
        shutil.rmtree(node.dir)
    payload = options.writes * len(value)
    print(f"| {sync} | {written / payload:.2f} | {largest / (1 << 20):.0f} MiB "
          f"| {file_mib:.0f} MiB |", flush=True)


def main():
    options = options_of()
    if not options.log_only:
        restarts(options)
    print(f"\n{options.writes} writes of 100 bytes, pipelines of {PIPELINE}, wal-max-bytes 64 MiB")
    print("| flash.sync | log bytes per byte of values | most in use | file |\n|---|---|---|---|")
    for sync in ("everysec", "always"):
        log_row(sync, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
