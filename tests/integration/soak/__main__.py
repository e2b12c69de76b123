"""Soaks a server of its own and says whether anything was wrong, or rose.

    /usr/bin/python3 tests/integration/soak --seconds 3600 --out build/soak

Lives of the server end by SIGTERM and kill -9 in turn; after each every value is read and compared
with what was acknowledged. Writes samples.csv and soak.svg below --out. Exit status 1 and what it
was if a value was wrong, an operation failed, or memory or descriptors rose (soak/verdict.py).
"""

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import LOGGED, MODULE, PATIENT, Server  # noqa: E402
from soak import picture, verdict  # noqa: E402
from soak.acts import CAPACITIES, COMPRESSIONS, LOST, Acts, flushed  # noqa: E402
from soak.samples import Sampler, sample_of, write_csv  # noqa: E402
from soak.worker import Worker, Wrong  # noqa: E402

# A value acknowledged must survive kill -9; SIGTERM saves.
SETTINGS = {**LOGGED, "flash.cache-size-bytes": str(8 << 20), "flash.capacity-bytes": CAPACITIES[0],
            "flash.compression": COMPRESSIONS[0], "flash.wal-max-bytes": "256mb",
            "flash.compaction-interval-sec": "5", "save": "3600 1000000000"}
WORKERS = 3
LIVES_MIN, LIFE_SEC_MAX = 4, 600


def options_of(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--lives", type=int, default=0, help="0: by the time there is")
    parser.add_argument("--dir", default=None, help="where the server's files lie")
    return parser.parse_args(words)


class Soak:
    """One run over the folder of `node`; `rows` are its samples."""

    def __init__(self, node, seconds, seed, lives=0):
        self.node, self.rows = node, []
        self.lives = lives or max(LIVES_MIN, round(seconds / LIFE_SEC_MAX))
        self.life_sec = seconds / self.lives
        self.interval = min(10.0, max(0.5, self.life_sec / 60))
        self.workers = [Worker(b"w%d" % i, seed * 1000 + i) for i in range(WORKERS)]
        self.acts = Acts(seed)
        self.start = self.end = None

    def done(self):
        return sum(worker.done for worker in self.workers)

    def run(self):
        """Complaints; none if all is well."""
        node = self.node.start()
        self.start = node.info()
        asyncio.run(self.each("fill"))
        began = time.monotonic()
        for life in range(self.lives):
            self.live(life, began)
            last = life + 1 == self.lives
            if not last:
                self.acts.end_life(node, violently=life % 2 == 1)
                self.acts.begin_life(node, life + 1)
            asyncio.run(self.each("audit"))
            print(f"  life {life + 1} of {self.lives}: {self.done():,} operations, "
                  f"{self.rows[-1]['rss_bytes'] >> 20} MiB resident, every value as acknowledged",
                  flush=True)
        self.end = flushed(node, SETTINGS)
        return verdict.faults(self.rows, self.start, self.end)

    async def each(self, what):
        await asyncio.gather(*(getattr(worker, what)(self.node.port) for worker in self.workers))

    def live(self, life, began):
        """Load and acts for the time of one life; the last acts are let finish but in odd lives."""
        sampler = Sampler(self.node, life, began, self.interval, self.done)
        try:
            asyncio.run(self.load(violent_end=life % 2 == 1 and life + 1 < self.lives))
        finally:
            self.rows += sampler.stop()

    async def load(self, violent_end):
        stop = asyncio.Event()
        tasks = [asyncio.ensure_future(worker.run(self.node.port, stop)) for worker in self.workers]
        tasks.append(asyncio.ensure_future(self.acts.run(self.node.port, stop)))
        done, _ = await asyncio.wait(tasks, timeout=self.life_sec,
                                     return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()  # Raises what ended it too early.
        if done:
            raise Wrong("the server went away by itself")
        if violent_end:
            self.node.process.kill()  # In the middle of whatever it does.
        else:
            stop.set()
        await asyncio.gather(*tasks)


def report(soak, out, title):
    """Files, and the figures in a few lines."""
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "samples.csv", soak.rows)
    picture.draw(out / "soak.svg", soak.rows, title)
    for field in ("rss_bytes", "used_memory_bytes", "truth_bytes", "unexplained_bytes",
                  "descriptors", "ping_p50_us", "ping_p99_us", "operations"):
        ends = [verdict.level(life[len(life) // 2:], field) for life in verdict.lives_of(soak.rows)]
        print(f"  {field}, median of each life's second half: "
              + ", ".join(f"{end:,.0f}" for end in ends))
    print("  " + ", ".join(f"{count} {what}" for what, count in sorted(soak.acts.counts.items())))


def main():
    for number in (signal.SIGINT, signal.SIGTERM):  # In the background, too.
        signal.signal(number, signal.default_int_handler)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # It tells of each send to the dead.
    options = options_of()
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=options.dir))
    node = Server(folder, SETTINGS, MODULE, (), PATIENT)
    soak = Soak(node, options.seconds, options.seed, options.lives)
    print(f"seed {options.seed}, {soak.lives} lives of {soak.life_sec:.0f} s", flush=True)
    try:
        complaints = soak.run()
    except (Wrong, *LOST) as wrong:
        complaints = [f"{type(wrong).__name__}: {wrong}"]
    finally:
        node.kill()
    if soak.rows:
        report(soak, options.out, f"{options.seconds:.0f} s, seed {options.seed}, "
                                  f"{soak.done():,} operations")
    for line in complaints[:20]:
        print(f"WRONG: {line}")
    if complaints:
        print(f"the folder is kept: {folder}\n{node.log()[-2000:]}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{soak.done():,} operations, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
