"""The differential test as a program, for long runs and for a seed that failed.

    /usr/bin/python3 tests/integration/differential --seed 7 --ops 100000
    /usr/bin/python3 tests/integration/differential --native     # the test itself: X against X

Starts a server of its own in a temporary folder; --port uses one that runs already (its data is
lost). Exit status 1 and the shortest way to it on a difference.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import MODULE, Server  # noqa: E402
from differential import (blocks, checks, generic, hashes, lists, rules,  # noqa: E402
                          strings, waiters, zsets)
from differential.core import Difference, Runner, report  # noqa: E402
from differential.generator import Generator  # noqa: E402

FAMILIES = [strings.TABLE, generic.TABLE, blocks.TABLE, rules.TABLE]
# Apart from strings, because FLASH.SET and MSET refuse keys of another type where SET does not.
COLLECTIONS = [hashes.TABLE, lists.TABLE, zsets.TABLE, waiters.TABLE, generic.FOR_COLLECTIONS,
               blocks.COLLECTIONS]
TABLES = {"strings": FAMILIES, "collections": COLLECTIONS}
SETTINGS = {"databases": "16", "hz": "100", "flash.cache-size-bytes": generic.CACHE_DEFAULT,
            "flash.capacity-bytes": "512mb", "flash.compaction-interval-sec": "1"}


def present(families, side):
    """The tables without commands that the module does not have yet."""
    def known(entry):
        words = entry[0]
        if entry[0] == "zscan":
            words = "@ZSCAN"
        return not words.startswith("@") or not side.call(
            ["COMMAND", "INFO", *side.words([words])]).value[0].is_null
    return [[entry for entry in table if known(entry)] for table in families]


def run(node, seed, ops, native=False, every=5000, progress=None, restart=True, big=0.002,
        families=None):
    """Runs the test on a server (conftest.Server); raises Difference with the runner attached."""
    runner = Runner(node.port, native=native)
    checkpoint = checks.WholeState()

    def sometimes(number):
        if number % every == 0:
            runner.step(checkpoint)
            complaint = None if native else checks.check_accounting(runner.flash, number)
            if complaint:
                raise Difference(runner.position, checkpoint, complaint, b"", b"")
            if progress:
                progress(number)

    try:
        tables = present(families or FAMILIES, runner.flash)
        done = runner.run(Generator(seed, tables, big), ops, every=sometimes)
        runner.step(checkpoint)
        if restart:
            generic.wait_for_save(runner.flash)  # Of one that nobody waited for.
            runner.close()
            node.call("SAVE")
            node.restart()
            runner.step(checkpoint)
        return done
    except Difference as difference:
        difference.runner = runner
        raise


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--ops", type=int, default=100_000)
    parser.add_argument("--native", action="store_true", help="native commands on both sides")
    parser.add_argument("--port", type=int, help="of a running server instead of an own one")
    parser.add_argument("--big", type=float, default=0.002, help="share of values of 1 to 3 MiB")
    parser.add_argument("--tables", choices=TABLES, default="strings")
    parser.add_argument("--minimise-sec", type=float, default=60)
    parser.add_argument("--check-every", type=int, default=5000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="differential-"))
    settings = {"databases": "16"} if options.native else SETTINGS
    node = Server(folder / "server", settings, None if options.native else MODULE, (), ())
    if options.port:
        node.port = options.port
        node.client = node.connect()
    else:
        node.start()
    began = time.monotonic()

    def progress(number):
        print(f"{number} operations, {time.monotonic() - began:.0f} s", flush=True)

    print(f"seed {options.seed}, {options.ops} operations", flush=True)
    try:
        done = run(node, options.seed, options.ops, options.native, options.check_every, progress,
                   restart=not options.port, big=options.big,
                   families=TABLES[options.tables])
        print(f"{done} operations in {time.monotonic() - began:.0f} s: no difference")
        status = 0
    except Difference as difference:
        print(report(difference.runner, difference, options.seed, options.minimise_sec))
        print(f"again: --tables {options.tables} --seed {options.seed} --ops {options.ops}; "
              f"the server's log: {node.dir / 'server.log'}")
        status = 1
    except ConnectionError as lost:
        print(f"seed {options.seed}: {lost}\n{node.log()[-6000:]}")
        status = 1
    if not options.port:
        node._end(15)
        if status == 0:
            shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
