#!/usr/bin/python3
"""make demo: real records to several times the cache, read at random, saved meanwhile, verified.

The records are the package descriptions of Debian's own package lists, as apt has them on this
machine, each made unique by its number. The demo fills a server of its own to `--times` the cache
while a BGSAVE runs, reads at random (all keys alike, then mostly a few), verifies every byte,
ends the server, starts it again from its RDB and verifies every byte once more; that second life
runs without compression, so that flash used is shown for both.

    scripts/demo.py [--cache-mib 64] [--times 8] [--seconds 10] [--native]

Exit status 0 only if every byte was right. --native shows the same data in native strings.
"""

import argparse
import multiprocessing
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "integration"))

from conftest import MODULE, Server  # noqa: E402
from harness.prober import Prober, latency_of  # noqa: E402
from harness.resp import Connection  # noqa: E402

MIB = 1 << 20
BATCH = 64
READERS = 4


class Records:
    """Record `number` and its key, made anew whenever asked for."""

    def __init__(self):
        self._texts = package_descriptions()

    def key(self, number):
        return b"package:%d" % number

    def record(self, number):
        text = self._texts[number % len(self._texts)]
        return b"Record: %d\n%s\nEnd-of-record: %d\n" % (number, text, number)

    def count_for(self, size):
        """How many records make `size` bytes."""
        total = number = 0
        while total < size:
            total += len(self.record(number))
            number += 1
        return number, total


def package_descriptions():
    """Stanzas of the package lists, as text; ends the program where there are none."""
    try:
        listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as missing:
        sys.exit(f"demo: no package lists here ({missing}); on Debian: apt-get update")
    texts = [text for text in listed.split(b"\n\n") if len(text) > 200]
    if len(texts) < 1000:
        sys.exit(f"demo: apt knows {len(texts)} packages only; run apt-get update first")
    return texts


class Demo:
    def __init__(self, options, folder):
        self.options = options
        self.word = "" if options.native else "FLASH."
        self.cache = options.cache_mib * MIB
        self.records = Records()
        self.count, self.stored = self.records.count_for(self.cache * options.times)
        settings = {} if options.native else {
            "flash.cache-size-bytes": str(self.cache), "flash.compression": "lz4",
            "flash.capacity-bytes": str(max(16 * MIB, self.cache * options.times * 3 // 2))}
        self.node = Server(folder, settings, None if options.native else MODULE, (), ())
        self.failures = 0

    def run(self):
        say(f"{self.count:,} records, {self.stored / MIB:.0f} MiB; "
            f"cache {self.cache / MIB:.0f} MiB")
        self.node.start()
        self.fill()
        self.show_memory("after filling" + (", LZ4 on" if self.word else ""))
        self.node.client.bgsave()
        self.read("all keys alike, under BGSAVE", skewed=False)
        self.read("9 of 10 reads go to 1 key of 20", skewed=True)
        began = time.monotonic()
        self.wait_for_save()
        say(f"BGSAVE took {time.monotonic() - began:.0f} s more")
        self.verify("verified")
        self.restart()
        self.show_memory("after the restart" + (", LZ4 off" if self.word else ""))
        self.verify("verified after the restart")
        self.node.stop()
        say("every byte was right" if not self.failures else
            f"{self.failures} records were WRONG")
        return 1 if self.failures else 0

    def fill(self):
        began = time.monotonic()
        link = Connection(self.node.port)
        with Prober(self.node.port) as prober:
            for start in range(0, self.count, BATCH):
                numbers = range(start, min(start + BATCH, self.count))
                link.send(*([self.word + "SET", self.records.key(n), self.records.record(n)]
                            for n in numbers))
                for number in numbers:
                    if link.read().value != b"OK":
                        sys.exit(f"demo: record {number} was not taken")
                if start <= self.count // 2 < start + BATCH:
                    link.must("BGSAVE")
        link.close()
        seconds = time.monotonic() - began
        say(f"filled in {seconds:.0f} s ({self.count / seconds:,.0f} records a second, BGSAVE at "
            f"half); PING meanwhile: {prober.result()}")
        self.wait_for_save()

    def read(self, title, skewed):
        """Readers in processes of their own, one read in flight each; every value verified."""
        before = self.info()
        with multiprocessing.get_context("fork").Pool(READERS) as pool:
            results = pool.starmap(read_at_random, [
                (self.node.port, self.word, self.records, self.count, self.options.seconds, skewed,
                 seed) for seed in range(READERS)])
        after = self.info()
        samples = [sample for one, _ in results for sample in one]
        self.failures += sum(wrong for _, wrong in results)
        hits = after.get("flash_cache_hits", 0) - before.get("flash_cache_hits", 0)
        misses = after.get("flash_cache_misses", 0) - before.get("flash_cache_misses", 0)
        ratio = f", hit ratio {hits / max(1, hits + misses):.3f}" if self.word else ""
        latency = latency_of(samples)
        say(f"reads, {title}: {latency.count / self.options.seconds:,.0f} a second{ratio}, p50 "
            f"{latency.p50_us:.0f} us, p99 {latency.p99_us:.0f} us, p99.9 {latency.p999_us:.0f} us")

    def verify(self, title):
        """Reads every record and compares every byte."""
        began = time.monotonic()
        link = Connection(self.node.port)
        wrong = 0
        for start in range(0, self.count, BATCH):
            numbers = range(start, min(start + BATCH, self.count))
            replies = link.must(self.word + "MGET", *(self.records.key(n) for n in numbers))
            for number, data in zip(numbers, replies):
                if data != self.records.record(number):
                    wrong += 1
                    say(f"record {number} is wrong: {data if data is None else data[:80]!r}")
        size = link.must("DBSIZE")
        link.close()
        wrong += size != self.count
        self.failures += wrong
        say(f"{title}: {self.count:,} records in {time.monotonic() - began:.0f} s, {wrong} wrong")

    def restart(self):
        """From the file of the last BGSAVE: nothing was written since."""
        size = (self.node.dir / "dump.rdb").stat().st_size
        began = time.monotonic()
        changed = {} if self.options.native else {"flash.compression": "none"}
        self.node.stop()
        self.node.settings.update(changed)
        self.node.start(wait=False)
        peak = self.watch_loading()
        say(f"restart from the RDB ({size / MIB:.0f} MiB) in {time.monotonic() - began:.0f} s; "
            f"highest RSS while loading {peak / MIB:.0f} MiB")

    def watch_loading(self):
        """Waits until the data is loaded; returns the highest RSS seen."""
        peak = 0
        while True:
            peak = max(peak, rss_of(self.node.pid))
            if not self.node.alive():
                sys.exit(f"demo: the server ended:\n{self.node.log_since_start()[-3000:]}")
            try:
                if not self.node.info("persistence")["loading"]:
                    return peak
            except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
                pass  # Not yet.
            time.sleep(0.02)

    def wait_for_save(self):
        while self.node.info("persistence")["rdb_bgsave_in_progress"]:
            time.sleep(0.05)
        if self.node.info("persistence")["rdb_last_bgsave_status"] != "ok":
            sys.exit(f"demo: BGSAVE failed:\n{self.node.log()[-3000:]}")

    def info(self):
        return self.node.info("everything")

    def show_memory(self, title):
        info = self.info()
        line = (f"{title}: used_memory {info['used_memory'] / MIB:.0f} MiB, RSS "
                f"{rss_of(self.node.pid) / MIB:.0f} MiB")
        if self.word:
            used = info["flash_storage_used_bytes"]
            line += (f", hot {info['flash_cache_size_bytes'] / MIB:.0f} MiB, flash used "
                     f"{used / MIB:.0f} MiB for {info['flash_tiered_keys']:,} cold keys")
        say(line)


def rss_of(pid):
    """Resident bytes of a process; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize()


def read_at_random(port, word, records, count, seconds, skewed, seed):
    """One reader: (microseconds of each read, how many values were wrong)."""
    rng = random.Random(seed)
    link = Connection(port)
    samples, wrong = [], 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        few = skewed and rng.random() < 0.9
        number = rng.randrange(count // 20) if few else rng.randrange(count)
        began = time.perf_counter()
        reply = link.call(word + "GET", records.key(number))
        samples.append((time.perf_counter() - began) * 1e6)
        wrong += reply.value != records.record(number)
    link.close()
    return samples, wrong


def say(text):
    print(text, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache-mib", type=int, default=64)
    parser.add_argument("--times", type=int, default=8, help="data, in caches")
    parser.add_argument("--seconds", type=int, default=10, help="of each reading phase")
    parser.add_argument("--native", action="store_true", help="native strings, for comparison")
    parser.add_argument("--dir", help="where the tier file lies (default: a temporary folder)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="flash-demo-", dir=options.dir))
    demo = Demo(options, folder / "server")
    try:
        return demo.run()
    finally:
        demo.node._end(9)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
