"""Kills a server again and again while clients write, and compares with what they were told.

    /usr/bin/python3 tests/integration/crash --kills 25
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
        self.writers = [Writer(f"w{i}", options.seed * 1000 + i, options.keys)
                        for i in range(options.clients)]
        self.units = 0

    async def live_and_die(self):
        tasks = [asyncio.ensure_future(writer.run(self.node.port, self.options.depth))
                 for writer in self.writers]
        left_ms = self.random.uniform(20, self.options.run_ms)
        if self.random.random() < 0.5:  # The death meets a snapshot.
            before_ms = self.random.uniform(0, left_ms)
            await asyncio.sleep(before_ms / 1000)
            left_ms -= before_ms
            with contextlib.suppress(redis.exceptions.ResponseError):  # One is in progress.
                self.node.call("BGSAVE" if self.options.aof == "no" else "BGREWRITEAOF")
        await asyncio.sleep(left_ms / 1000)
        self.node.process.kill()
        await asyncio.gather(*tasks)
        self.node.process.wait()

    def run(self):
        """Complaints; none if all is well."""
        self.node.start()
        for number in range(self.options.kills):
            before = sum(writer.units for writer in self.writers)
            asyncio.run(self.live_and_die())
            self.units += sum(writer.units for writer in self.writers) - before
            self.node.kill()
            if self.random.random() < 0.2:  # Also while it recovers.
                self.node.start(wait=False)
                time.sleep(self.random.uniform(0, 0.1))
                self.node.kill()
            self.node.start()
            if self.node.info("flash")["flash_module_state"] != "ready":
                return [f"kill {number + 1}: the log was refused\n{self.node.log()[-2000:]}"]
            complaints = [f"kill {number + 1}: {line}" for writer in self.writers
                          for line in writer.judge(read_all(self.node, writer.keys))]
            if complaints:
                return complaints
        return []


def main():
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # It tells of each send to the dead.
    options = options_of()
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    print(f"seed {options.seed}, {options.kills} kills, {options.clients} clients", flush=True)
    crashes = Crashes(options, folder)
    try:
        complaints = crashes.run()
    finally:
        crashes.node.kill()
    for line in complaints[:20]:
        print(line)
    print(f"{crashes.units} units written, {len(complaints)} complaints")
    if complaints:
        print(f"the folder is kept: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
