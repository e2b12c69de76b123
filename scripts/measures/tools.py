"""Running valkey-benchmark and fio, filling servers, and the rows of the report."""

import csv
import io
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from conftest import MODULE, ROOT, Server
from harness.resp import Connection

MIB = 1 << 20
PASS, SHORT, FAILED, NOT_BUILT, SHOWN = "PASS", "SHORT", "FAILED", "not built yet", ""


class Row(NamedTuple):
    """One line of the report. verdict: PASS, SHORT, FAILED (no figure), NOT_BUILT, SHOWN."""

    promise: str
    figure: str
    verdict: str
    data: dict = {}


def end_like_ctrl_c():
    """Whoever ends the run ends its servers, too: by the way out that an exception takes."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)


def verdict(good):
    return PASS if good else SHORT


class Bench:
    """One run: its folder, its options, the servers that are up."""

    def __init__(self, quick, folder=None):
        self.quick = quick
        self._folder = tempfile.TemporaryDirectory(prefix="flash-bench-", dir=folder)
        self.folder = Path(self._folder.name)
        self._servers = []

    def scaled(self, full, quick):
        return quick if self.quick else full

    def server(self, settings=None, bare=False, module=True):
        """A fresh server; with bare=True the bare module is loaded beside ours."""
        library = bare_module() if bare else None
        args = ["--loadmodule", str(library)] if library else []
        node = Server(self.folder / f"server-{len(self._servers)}", settings,
                      MODULE if module else None, args, ())
        self._servers.append(node)
        return node.start()

    def close(self):
        for node in self._servers:
            node._end(9)
        self._folder.cleanup()


def bare_module():
    """The library that GET and SET are compared with, or None where it was not built."""
    if os.environ.get("FLASH_BARE_MODULE"):
        return Path(os.environ["FLASH_BARE_MODULE"])
    found = sorted(ROOT.glob("build/**/libbare_module.so"), key=lambda path: len(path.parts))
    release = [path for path in found if "release" in path.parts]
    return (release or found or [None])[0]


class Speed(NamedTuple):
    per_second: float
    p50_ms: float
    p99_ms: float


def benchmark(node, command, *, requests, clients=50, pipeline=1, keys=1):
    """One run of valkey-benchmark with a command of its own."""
    done = subprocess.run(
        ["valkey-benchmark", "-p", str(node.port), "-c", str(clients), "-P", str(pipeline),
         "-n", str(requests), "-r", str(keys), "--csv", "--precision", "3", *command],
        capture_output=True, text=True, check=True)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    if not rows or "rror" in done.stdout + done.stderr:
        raise RuntimeError(f"valkey-benchmark: {(done.stdout + done.stderr)[:300]}")
    row = rows[-1]
    return Speed(float(row["rps"]), float(row["p50_latency_ms"]), float(row["p99_latency_ms"]))


def interleaved(rounds, measures):
    """Runs each of `measures` (name -> callable) once a round; name -> list of results.

    Rounds, so that what else the machine does falls on all alike.
    """
    results = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            results[name].append(measure())
    return results


def median(values):
    return statistics.median(values)


def median_speed(speeds):
    return median([speed.per_second for speed in speeds])


def median_of_ratios(above, below):
    """The median over the rounds of one round's ratio: drift of the machine cancels."""
    return median([a.per_second / b.per_second for a, b in zip(above, below)])


def fio_reads(path, span, depth, seconds):
    """4 KiB random reads of the first `span` bytes of a file: a Speed.

    The latency is that of submission and completion together, as a reader sees it: where the
    device is virtual, submission is a good part of it.
    """
    done = subprocess.run(
        ["fio", "--name=reads", f"--filename={path}", "--readonly", "--rw=randread", "--bs=4k",
         "--direct=1", "--ioengine=io_uring", f"--iodepth={depth}", f"--size={span}",
         "--time_based", f"--runtime={seconds}", "--output-format=json", "--randrepeat=0",
         "--allow_file_create=0", "--lat_percentiles=1", "--clat_percentiles=0"],
        capture_output=True, text=True, check=True)
    report = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]["read"]
    share = report["lat_ns"]["percentile"]
    return Speed(report["iops"], share["50.000000"] / 1e6, share["99.000000"] / 1e6)


def pipeline(link, commands, batch=500):
    """Sends an iterable of commands in batches; raises on the first error reply."""
    waiting = []

    def flush():
        link.send(*waiting)
        for _ in waiting:
            reply = link.read()
            if reply.is_error:
                raise RuntimeError(f"{waiting[0][0]}: {reply.value.decode()}")
        waiting.clear()

    for command in commands:
        waiting.append(command)
        if len(waiting) >= batch:
            flush()
    if waiting:
        flush()


def fill(node, commands):
    link = Connection(node.port)
    pipeline(link, commands)
    link.close()


def flash_info(node):
    """INFO flash without the prefix."""
    return {name.removeprefix("flash_"): value for name, value in node.info("flash").items()}


def wait_for(condition, seconds=120, what="the condition"):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


def all_demoted(node):
    """Whether the cache is down to its bound and nothing is on its way to flash."""
    info = flash_info(node)
    return (info["cache_size_bytes"] <= info["cache_capacity_bytes"]
            and not info["auto_demotions_inflight"])


def main_thread_seconds(node):
    cpu = node.info("cpu")
    return float(cpu["used_cpu_user_main_thread"]) + float(cpu["used_cpu_sys_main_thread"])


def io_threads_seconds(node):
    """CPU time of the module's I/O threads, to the nanosecond."""
    seconds = 0
    for thread in Path(f"/proc/{node.pid}/task").iterdir():
        if (thread / "comm").read_text().startswith("flash-io"):
            seconds += int((thread / "schedstat").read_text().split()[0]) / 1e9
    return seconds


def has_command(node, name):
    link = Connection(node.port)
    known = link.must("COMMAND", "INFO", name)[0] is not None
    link.close()
    return known
