#!/usr/bin/python3
"""make bench, second half: flash-bench over a server of its own, and the page about it.

    scripts/benchmarks.py [--dir FOLDER] [--only NAME,...] [--seconds N] [--scale PART]
                          [--out FOLDER]

Writes benchmarks.md and its charts (SVG) into FOLDER, default docs. --dir is where the tier lies:
choose the NVMe disk. --seconds and --scale make a quick look of it, whose figures mean little.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "integration")]

from conftest import Server  # noqa: E402
from measures.charts import bars, lines  # noqa: E402

BENCH = ROOT / "build" / "flash-bench"
CACHE_MIB = 64

# name: (what it shows, keys of --scale 1, options of flash-bench)
SCENARIOS = {
    "hot": ("All values fit the cache: strings of 1 KiB, a tenth of it writes", 20_000,
            ["--commands", "both"]),
    "cold": ("Eight times the cache, each key as likely as any other: most reads go to the drive",
             500_000, ["--commands", "both", "--pattern", "uniform", "--reads", "0.95"]),
    "skewed": ("The same data, some keys wanted far more than others (zipf 0.99)", 500_000,
               ["--commands", "both", "--reads", "0.95"]),
    "writes": ("The same data, half of it writes", 500_000,
               ["--commands", "both", "--pattern", "uniform", "--reads", "0.5"]),
    "hash": ("Cold hashes of 100 fields of 256 bytes, one field at a time", 20_000,
             ["--commands", "both", "--type", "hash", "--elements", "100", "--value-bytes", "256",
              "--pattern", "uniform"]),
    "zset": ("Cold sorted sets of 100 members of 256 bytes, one score at a time", 20_000,
             ["--commands", "both", "--type", "zset", "--elements", "100", "--value-bytes", "256",
              "--pattern", "uniform"]),
}


def run(node, name, options, folder):
    """The JSON report of one scenario, and the command as a reader would type it."""
    _, keys, more = SCENARIOS[name]
    shown = ["--keys", str(max(500, int(keys * options.scale))), "--warm-up", f"{options.warm_up}s",
             "--duration", f"{options.seconds}s", *more]
    if name == "cold":
        shown += ["--fio", str(folder)]
    file = folder / "report.json"
    subprocess.run([BENCH, f"valkey://127.0.0.1:{node.port}", "--quiet", "--json", file, *shown],
                   check=True, stdout=subprocess.DEVNULL)
    command = " ".join(["flash-bench", "valkey://127.0.0.1", *shown]).replace(str(folder), "FOLDER")
    return json.loads(file.read_text()), command


def time_text(us):
    return f"{us / 1000:.2f} ms" if us >= 1000 else f"{us:.0f} µs"


def rows_of(report):
    for side in report["sides"]:
        for kind in ("reads", "writes"):
            figures = side[kind]
            if figures["count"]:
                yield [f"{side['name']}, {kind}", f"{figures['count'] / side['seconds']:,.0f}",
                       *(time_text(figures[p]) for p in ("p50_us", "p99_us", "p999_us", "max_us"))]


def table(head, rows):
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def memory_text(report):
    parts = []
    for side in report["sides"]:
        last = side["samples"][-1] if side["samples"] else None
        if last:
            ram, flash = (last[name] / 2**20 for name in ("used_memory_bytes", "tier_used_bytes"))
            parts.append(f"{side['name']} {ram:,.0f} MiB of RAM"
                         + ("" if side["name"] == "native" else f", {flash:,.0f} MiB of flash"))
    return "; ".join(parts)


def faults_of(report):
    return [f"{side['name']}: {text}" for side in report["sides"]
            for text in [side["lost"],
                         *(f"{count} errors {word}" for word, count in side["errors"].items())]
            if text]


def section(name, report, command):
    about, _, _ = SCENARIOS[name]
    head = ["", "operations a second", "50 %", "99 %", "99.9 %", "most"]
    parts = [f"## {name}", f"{about}.", f"```\n{command}\n```", table(head, list(rows_of(report))),
             f"Memory at the end: {memory_text(report)}."]
    if "fio" in report:
        fio = report["fio"]
        parts.append(f"The bare drive, 4 KiB random reads by fio, depth {fio['depth']}: "
                     f"{fio['reads_per_sec']:,.0f} a second, 50 % {time_text(fio['p50_us'])}, "
                     f"99 % {time_text(fio['p99_us'])}.")
    parts += [f"**{fault}**" for fault in faults_of(report)]
    parts.append(f"![99th percentile over time](images/benchmarks-{name}.svg)")
    return "\n\n".join(parts)


def write_page(reports, out):
    """`reports`: name -> (report, command)."""
    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    first = next(iter(reports.values()))[0]
    rates = {side: [] for side in ("flash", "native")}
    for report, _ in reports.values():
        for side in report["sides"]:
            rates[side["name"]].append(side["operations_per_sec"])
    (images / "benchmarks.svg").write_text(
        bars("Operations a second", list(reports), rates))
    parts = [
        "# Benchmarks",
        "Written by `make bench` (`scripts/benchmarks.py`): one server, one client program on the "
        "same machine, FLASH commands beside native ones. What is asked and how to read it: "
        "[benchmarking.md](benchmarking.md); what each promise of the design comes to: "
        "[performance.md](performance.md). Run it on your machine: drives differ by far more than "
        "this page can show.",
        f"* {first['machine']}\n* {first['server']}\n"
        f"* {first['began']}, flash-bench {first['version']}",
        "![Operations a second](images/benchmarks.svg)"]
    for name, (report, command) in reports.items():
        (images / f"benchmarks-{name}.svg").write_text(lines(
            f"{name}: 99th percentile over time, ms",
            {side["name"]: [(stretch["begin_sec"], stretch["p99_us"] / 1000)
                            for stretch in side["stretches"] if stretch["count"]]
             for side in report["sides"]}))
        parts.append(section(name, report, command))
    (out / "benchmarks.md").write_text("\n\n".join(parts) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path, default=None)
    parser.add_argument("--only", default=",".join(SCENARIOS))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    options.warm_up = max(1, options.seconds // 4)
    names = options.only.split(",")
    if set(names) - set(SCENARIOS):
        parser.error(f"--only knows {', '.join(SCENARIOS)}")
    folder = Path(tempfile.mkdtemp(prefix="flash-benchmarks-", dir=options.dir))
    library = ROOT / "build" / "libvalkey_flash.so"
    node = Server(folder / "server", {"flash.cache-size-bytes": f"{CACHE_MIB}mb", "save": ""},
                  library, (), ("flash.capacity-bytes", "4gb"))
    node.start()
    try:
        reports = {}
        for name in names:
            print(f"benchmarks: {name}", flush=True)
            reports[name] = run(node, name, options, folder)
        write_page(reports, options.out)
    finally:
        node.stop()
        shutil.rmtree(folder)
    print(f"benchmarks: {options.out / 'benchmarks.md'}")


if __name__ == "__main__":
    main()
