#!/usr/bin/python3
"""make bench: each promise that can be measured, with its figure beside native, bare module, fio.

    scripts/bench.py [--check] [--quick] [--json FILE] [--only hot,cold,...] [--dir FOLDER]

All on one machine in one run, in interleaved rounds, medians shown. --check prints PASS or SHORT
beside each promise. A SHORT is a result, not a fault of the run: the exit status is 1 only when
something could not be measured. --quick is for a look whether everything works; its figures mean
little. --dir is where the tier files lie: choose the NVMe disk.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent),
                str(Path(__file__).resolve().parents[1] / "tests" / "integration")]

from measures import (cache, cold, collection_memory, collection_speed,  # noqa: E402
                      collection_stalls, durable, filling, hot, io_backends, memory, quiet,
                      resharding, snapshots, stalls, turns)
from measures.tools import (FAILED, NOT_BUILT, SHOWN, Bench, Row, end_like_ctrl_c,  # noqa: E402
                            has_command)

GROUPS = {"hot": hot.measure, "memory": memory.measure, "cold": cold.measure,
          "filling": filling.measure,
          "quiet": quiet.measure,
          "io-backends": io_backends.measure,
          "durable": durable.measure,
          "stalls": stalls.measure, "snapshots": snapshots.measure,
          "cache": cache.measure,
          "collections": collection_memory.measure,
          "collections-10": collection_speed.group(10),
          "collections-1k": collection_speed.group(1_000),
          "collections-1m": collection_speed.group(1_000_000),
          "collection-stalls": collection_stalls.measure,
          "resharding": resharding.measure,
          "turns": turns.measure}
# Promises whose command does not exist yet, or that tests show instead of a measurement.
LATER = [
    ("background work of FLASH.DRAIN: <= 2 ms a stretch", "FLASH.DRAIN"),
]


def not_built(bench):
    node = bench.server()
    for promise, command in LATER:
        figure = "its measurement is missing" if has_command(node, command) else f"no {command}"
        yield Row(promise, figure, NOT_BUILT)
    yield Row("acknowledged writes lost under `always`, kill -9: 0", "make crash-test", SHOWN)
    node._end(9)


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in
                Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
               platform.machine())
    server = subprocess.run(["valkey-server", "--version"], capture_output=True, text=True,
                            check=True).stdout.split()[2]
    return f"{cpu}, {len(os.sched_getaffinity(0))} CPUs, {platform.system()} " \
           f"{platform.release()}, valkey {server}"


def measured(name, measure, bench, show):
    """The rows of one group; a failure becomes a row of its own."""
    rows = []
    try:
        for row in measure(bench):
            rows.append(row)
            show(row)
    except (RuntimeError, OSError, subprocess.CalledProcessError, ValueError, KeyError) as error:
        text = getattr(error, "stderr", None) or str(error)
        rows.append(Row(f"the measurements of {name}", f"{type(error).__name__}: {text}"[:500],
                        FAILED))
        show(rows[-1])
    return rows


def main():
    end_like_ctrl_c()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="PASS or SHORT beside each promise")
    parser.add_argument("--quick", action="store_true", help="does it run at all?")
    parser.add_argument("--json", metavar="FILE", help="figures as JSON")
    parser.add_argument("--only", default="", help=f"some of {','.join(GROUPS)}")
    parser.add_argument("--dir", help="where the tier files lie (default: a temporary folder)")
    options = parser.parse_args()
    groups = [name for name in options.only.split(",") if name] or list(GROUPS)
    if set(groups) - set(GROUPS):
        parser.error(f"--only knows {', '.join(GROUPS)}")

    def show(row):
        mark = f"{row.verdict:<14}" if options.check or row.verdict == FAILED else ""
        print(f"{mark}{row.promise}\n{' ' * len(mark)}    {row.figure}", flush=True)

    print(f"{machine()}\n{time.strftime('%Y-%m-%d %H:%M')}, load {os.getloadavg()[0]:.1f}"
          f"{', QUICK: the figures mean little' if options.quick else ''}\n", flush=True)
    bench = Bench(options.quick, options.dir)
    rows = []
    try:
        for name in groups:
            rows += measured(name, GROUPS[name], bench, show)
        if not options.only:
            rows += measured("what is not built", not_built, bench, show)
    finally:
        bench.close()
    if options.json:
        Path(options.json).write_text(json.dumps(
            {"machine": machine(), "quick": options.quick,
             "rows": [row._asdict() for row in rows]}, indent=1) + "\n")
    counts = {kind: sum(row.verdict == kind for row in rows)
              for kind in ("PASS", "SHORT", FAILED, NOT_BUILT)}
    print("\n" + ", ".join(f"{count} {kind}" for kind, count in counts.items() if count))
    return 1 if counts[FAILED] else 0


if __name__ == "__main__":
    sys.exit(main())
