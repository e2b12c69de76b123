"""Kills a server again and again while clients write, and compares with what they were told.

    /usr/bin/python3 tests/integration/crash --kills 25
    /usr/bin/python3 tests/integration/crash --matrix --kills 25           # every cell, as a table
    /usr/bin/python3 tests/integration/crash --kills 25 --sync always --io-threads 2 --depth 16 \
        --before-us 20000 --break h3          # must fail: a safeguard is left out

Every key must show its last acknowledged state, or that of the units in flight up to some point,
transactions and scripts whole. --break names safeguards to leave out (src/durability/
test_switches.h). Exit status 1 and what was lost, resurrected or torn if anything was.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import redis

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import LOGGED, MODULE, Server  # noqa: E402
from crash.cells import CELLS  # noqa: E402
from crash.reader import read_all  # noqa: E402
from crash.writer import Writer  # noqa: E402

SMALL = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "64mb",
         "flash.compaction-interval-sec": "1"}


def options_of(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--keys", type=int, default=12, help="of each client")
    parser.add_argument("--depth", type=int, default=8, help="units in flight of each client")
    parser.add_argument("--sync", default="always")
    parser.add_argument("--aof", default="no", help="appendonly")
    parser.add_argument("--appendfsync", default="everysec", help="as found by the module")
    parser.add_argument("--io-threads", type=int, default=1)
    parser.add_argument("--before-us", type=int, default=0, help="delay before each commit")
    parser.add_argument("--after-us", type=int, default=0, help="and after it")
    parser.add_argument("--break", dest="broken", default="", help="safeguards to leave out")
    parser.add_argument("--run-ms", type=int, default=400, help="longest life between kills")
    parser.add_argument("--least-ms", type=int, default=20, help="and shortest")
    parser.add_argument("--leaving", action="store_true",
                        help="CONVERT, DRAIN and SORT … STORE on keys of ours, too")
    parser.add_argument("--evict", action="store_true", help="under maxmemory, by allkeys-lru")
    parser.add_argument("--matrix", action="store_true", help="every cell of cells.py, as a table")
    parser.add_argument("--cell", help="those whose name contains this")
    return parser.parse_args(words)


class Crashes:
    """One server, its writers, and the deaths between."""

    def __init__(self, options, folder):
        self.options = options
        self.random = random.Random(options.seed)
        settings = {**LOGGED, **SMALL, "flash.sync": options.sync, "appendonly": options.aof,
                    "appendfsync": options.appendfsync, "io-threads": options.io_threads}
        self.node = Server(folder, settings, MODULE, (), ())
        self.node.environment = {
            "FLASH_TEST_COMMIT_DELAY": f"{options.before_us},{options.after_us}",
            "FLASH_TEST_BREAK": options.broken}
        # What lies in the AOF when its turn ends is there, whatever the process dies of.
        loses_s = 1 if options.sync != "always" and options.aof == "no" else 0
        if options.evict:
            # Many keys that are written quickly: a log of twice the size would refuse some.
            self.node.settings.update({"maxmemory": "3mb", "maxmemory-policy": "allkeys-lru",
                                       "flash.wal-max-bytes": "128mb"})
        keys = options.keys * 40 if options.evict else options.keys
        self.writers = [Writer(f"w{i}", options.seed * 1000 + i, keys, options.leaving,
                               options.leaving and i == 0, options.evict, loses_s)
                        for i in range(options.clients)]
        self.units = self.kills = self.evicted = 0
        self.died_at = 0.0

    async def live_and_die(self):
        tasks = [asyncio.ensure_future(writer.run(self.node.port, self.options.depth))
                 for writer in self.writers]
        left_ms = self.random.uniform(self.options.least_ms, self.options.run_ms)
        before_ms = self.random.uniform(0, left_ms)
        await asyncio.sleep(before_ms / 1000)
        await self.disturb(self.random.choice(("nothing", "snapshot", "cut", "compact")))
        await asyncio.sleep((left_ms - before_ms) / 1000)
        if self.options.evict:
            self.evicted += self.node.info("stats")["evicted_keys"]
        self.died_at = time.monotonic()
        self.node.process.kill()
        await asyncio.gather(*tasks)
        self.node.process.wait()

    async def disturb(self, how):
        """What the death meets: a snapshot, the cut behind it, a compaction."""
        with contextlib.suppress(redis.exceptions.ResponseError):  # One is in progress.
            if how in ("snapshot", "cut"):
                self.node.call("BGSAVE" if self.options.aof == "no" else "BGREWRITEAOF")
            if how == "compact":
                self.node.connect().connection_pool.get_connection("_").send_command(
                    "FLASH.COMPACTION.TRIGGER")
        if how == "cut":
            while self.node.info("persistence")["rdb_bgsave_in_progress"]:
                await asyncio.sleep(0.002)
            await asyncio.sleep(self.random.uniform(0, 0.15))

    def run(self):
        """Complaints; none if all is well."""
        self.node.start()
        for number in range(self.options.kills):
            before = sum(writer.units for writer in self.writers)
            asyncio.run(self.live_and_die())
            self.units += sum(writer.units for writer in self.writers) - before
            self.node.kill()
            self.kills += 1
            if self.random.random() < 0.2:  # Also while it recovers.
                self.node.environment["FLASH_TEST_REPLAY_DELAY"] = "200"
                self.node.start(wait=False)
                time.sleep(self.random.uniform(0, 0.3))
                self.node.kill()
                self.node.environment["FLASH_TEST_REPLAY_DELAY"] = ""
                self.kills += 1
            self.node.start()
            if self.node.info("flash")["flash_module_state"] != "ready":
                return [f"kill {number + 1}: the log was refused\n{self.node.log()[-2000:]}"]
            complaints = [f"kill {number + 1}: {line}" for writer in self.writers
                          for line in writer.judge(read_all(self.node, writer.keys),
                                                       self.died_at)]
            if complaints:
                return complaints
        if self.options.evict and self.evicted == 0:
            return ["nothing was evicted: the cell shows nothing"]
        return []


def run_one(options):
    """(complaints, kills, units); the folder is kept if there are complaints."""
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    crashes = Crashes(options, folder)
    try:
        complaints = crashes.run()
    finally:
        crashes.node.kill()
    for line in complaints[:20]:
        print(line)
    if complaints:
        print(f"the folder is kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return complaints, crashes.kills, crashes.units


def run_matrix(options):
    """Every cell, one line each; True if all is well."""
    well = True
    print("| cell | options | kills | units | complaints |\n|---|---|---|---|---|", flush=True)
    for name, words in CELLS.items():
        if options.cell and options.cell not in name:
            continue
        common = ["--kills", str(options.kills), "--seed", str(options.seed)]
        complaints, kills, units = run_one(options_of([*common, *words.split()]))
        well = well and not complaints
        print(f"| {name} | `{words}` | {kills} | {units} | {len(complaints)} |", flush=True)
    return well


def main():
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # It tells of each send to the dead.
    options = options_of()
    print(f"seed {options.seed}, {options.kills} kills, {options.clients} clients", flush=True)
    if options.matrix or options.cell:
        return 0 if run_matrix(options) else 1
    complaints, kills, units = run_one(options)
    print(f"{kills} kills, {units} units written, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
