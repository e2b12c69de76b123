#!/usr/bin/env python3
"""replica_lag_bench: how far a replica falls behind a primary at its full rate of cold writes.

    /usr/bin/python3 scripts/replica_lag_bench.py [--seconds 60] [--keys 40000] [--cache-mib 16]
    /usr/bin/python3 scripts/replica_lag_bench.py --tier no     # the replica without a tier

Both on this machine. Hashes of 40 fields, most of them on flash on either side; then, for
`--seconds`, 50 clients of valkey-benchmark set fields of random ones, and nearly every write lacks
its block. The lag is master_repl_offset less slave_repl_offset, looked at five times a second.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent),
                str(Path(__file__).resolve().parents[1] / "tests" / "integration")]

from conftest import MODULE, Server, wait_until  # noqa: E402
from measures.tools import end_like_ctrl_c  # noqa: E402

CLIENTS = 50
FIELDS = 40
FIELD_BYTES = 60
LOOK_SEC = 0.2
ROWS = 6  # Of the lag over time.


def options_of():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--keys", type=int, default=40_000)
    parser.add_argument("--cache-mib", type=int, default=16)
    parser.add_argument("--tier", choices=("yes", "no"), default="yes", help="of the replica")
    return parser.parse_args()


def offsets(primary, replica):
    """What was sent, and the lag; the replica is asked first: rather too much than too little."""
    applied = replica.info("replication")["slave_repl_offset"]
    sent = primary.info("replication")["master_repl_offset"]
    return sent, sent - applied


def writes(primary):
    return primary.info("commandstats")["cmdstat_FLASH.HSET"]["calls"]


def figures(replica):
    info = replica.info("flash")
    return {name: info[f"flash_{name}"] for name in
            ("sync_waits_replication", "sync_wait_us_total", "replication_effects_queued")}


def fill(primary, keys):
    """Under the names that valkey-benchmark makes of its random numbers."""
    pipe = primary.client.pipeline(transaction=False)
    for number in range(keys):
        pipe.execute_command("FLASH.HSET", "h:%012d" % number, *[
            word for field in range(FIELDS) for word in ("f:%012d" % field, "v" * FIELD_BYTES)])
        if number % 500 == 499:
            pipe.execute()
    pipe.execute()


def pair(folder, options):
    settings = {"flash.cache-size-bytes": f"{options.cache_mib}mb", "flash.capacity-bytes": "1gb",
                "flash.replica-tier-enabled": options.tier, "repl-backlog-size": "256mb",
                "client-output-buffer-limit": ["replica", 0, 0, 0]}
    primary = Server(folder / "primary", settings, MODULE, (), ())
    replica = Server(folder / "replica", {**settings, "replicaof": f"127.0.0.1 {primary.port}"},
                     MODULE, (), ())
    return primary, replica


def load(primary, options):
    """valkey-benchmark, until it is ended."""
    return subprocess.Popen(
        ["valkey-benchmark", "-q", "-p", str(primary.port), "-c", str(CLIENTS), "-n", "2000000000",
         "-r", str(options.keys), "FLASH.HSET", "h:__rand_int__", "f:__rand_int__",
         "w" * FIELD_BYTES],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def measure(primary, replica, options):
    """(seconds, lag) again and again; how long the replica took to catch up."""
    lags, began = [], time.monotonic()
    running = load(primary, options)
    try:
        while (passed := time.monotonic() - began) < options.seconds:
            lags.append((passed, offsets(primary, replica)[1]))
            time.sleep(LOOK_SEC)
        if running.poll() is not None:
            raise RuntimeError("valkey-benchmark has ended by itself")
    finally:
        running.kill()
        running.wait()
    ended = time.monotonic()
    replica.wait_for_offset_of(primary)
    return lags, time.monotonic() - ended


def show_lags(lags, seconds):
    print("| seconds | lag, median, bytes | largest |\n|---|---|---|")
    step = seconds / ROWS
    for row in range(ROWS):
        within = [lag for at, lag in lags if row * step <= at < (row + 1) * step]
        if within:
            print(f"| {row * step:.0f} to {(row + 1) * step:.0f} "
                  f"| {statistics.median(within):,.0f} | {max(within):,} |")


def run(folder, options):
    primary, replica = pair(folder, options)
    try:
        primary.start()
        replica.start()
        fill(primary, options.keys)
        replica.wait_for_offset_of(primary)
        cold = [node.info("flash")["flash_tiered_keys"] for node in (primary, replica)]
        done, before, sent = writes(primary), figures(replica), offsets(primary, replica)[0]
        lags, caught_up = measure(primary, replica, options)
        done = writes(primary) - done
        after, sent = figures(replica), offsets(primary, replica)[0] - sent
        wait_until(lambda: primary.call("DEBUG", "DIGEST") == replica.call("DEBUG", "DIGEST"), 60,
                   "equal digests")
    finally:
        for node in (replica, primary):
            node.kill()
    of = {name: after[name] - before[name] for name in before}
    show_lags(lags, options.seconds)
    print("\n| | |\n|---|---|")
    for what, figure in (
            ("keys with cold values before: primary; replica", f"{cold[0]:,}; {cold[1]:,}"),
            ("writes of the primary, 1/s", f"{done / options.seconds:,.0f}"),
            ("bytes of the stream an effect", f"{sent / done:.0f}"),
            ("lag at the end, bytes", f"{lags[-1][1]:,}"),
            ("its largest, bytes", f"{max(lag for _, lag in lags):,}"),
            ("until the replica had caught up afterwards, s", f"{caught_up:.1f}"),
            ("effects that waited together, of 1,000",
             f"{of['replication_effects_queued'] * 1000 / done:.0f}"),
            ("waits of the main thread for 1,000 effects",
             f"{of['sync_waits_replication'] * 1000 / done:.0f}"),
            ("time in waits, s", f"{of['sync_wait_us_total'] / 1e6:.1f}")):
        print(f"| {what} | {figure} |")


def main():
    end_like_ctrl_c()
    options = options_of()
    if shutil.which("valkey-benchmark") is None:
        sys.exit("valkey-benchmark is missing")
    folder = Path(tempfile.mkdtemp(prefix="lag-"))
    try:
        run(folder, options)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
