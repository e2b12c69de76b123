"""The cells of the crash matrix: what is different in each, as options of the harness.

All of them meet snapshots, the cut behind them, compactions, and recoveries that are killed.
"""

_THREADS = {1: "--io-threads 1", 2: "--io-threads 2"}
_DELAYS = {1: "--before-us 20000", 8: "--after-us 20000", 16: "--before-us 5000 --after-us 5000"}


def _cells():
    for threads, word in _THREADS.items():
        for depth in (1, 8, 16):
            yield f"always, io-threads {threads}, pipeline {depth}", f"{word} --depth {depth}"
            yield (f"always, io-threads {threads}, pipeline {depth}, delays",
                   f"{word} --depth {depth} {_DELAYS[depth]}")
    for found in ("always", "everysec", "no"):
        yield (f"always, appendfsync was {found}",
               f"--appendfsync {found} --io-threads 2 --depth 16 --before-us 5000")
        yield f"AOF on, appendfsync was {found}", f"--aof yes --appendfsync {found} --depth 8"
    for depth in (1, 16):
        yield f"everysec, pipeline {depth}", f"--sync everysec --depth {depth}"
        yield f"no, pipeline {depth}", f"--sync no --depth {depth}"
    yield "everysec, AOF on", "--sync everysec --aof yes --depth 8"
    for aof in ("no", "yes"):
        yield f"CONVERT, DRAIN, SORT STORE, AOF {aof}", f"--leaving --aof {aof} --depth 8"
        yield f"eviction, AOF {aof}", f"--evict --aof {aof} --depth 16"
    yield "CONVERT, DRAIN, SORT STORE, delays", "--leaving --depth 8 --before-us 5000"


CELLS = dict(_cells())
