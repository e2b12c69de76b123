"""Failures as a program: for hours, or for a seed that failed.

    /usr/bin/python3 tests/integration/failures --acts 100
    /usr/bin/python3 tests/integration/failures --seed 7 --only primary_killed_and_replaced
    /usr/bin/python3 tests/integration/failures --cluster --acts 40
    make failure-test ARGS='--seconds 3600'

Needs root (network namespaces). Rounds of 20 acts, each over new nodes. Exit status 1, the seed and
what no guarantee of replication explains on the first such reply; the servers' logs are kept.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import SERVER_BINARY  # noqa: E402
from failures import acts, cluster_acts  # noqa: E402
from failures.cluster_world import ClusterWorld  # noqa: E402
from failures.load import Load, Wrong  # noqa: E402
from failures.world import TIERS, World  # noqa: E402
from harness import network  # noqa: E402

ROUND = 20
BY_NAME = {**acts.BY_NAME, **cluster_acts.BY_NAME}


async def direct(world, names, say):
    """Plays the acts, one after the other; between them everything is in order."""
    await asyncio.to_thread(world.arrange)
    await world.load.all_swept()
    for name in names:
        began, before = time.monotonic(), world.load.counts["writes"]
        await asyncio.to_thread(BY_NAME[name], world)
        await asyncio.to_thread(world.heal)
        await world.load.all_swept()
        world.count(name)
        goal = world.load.counts["writes"] + 100
        while world.load.counts["writes"] < goal and not world.load.stopping:
            await asyncio.sleep(0.02)
        say(f"  {name}: {time.monotonic() - began:.1f} s, "
            f"{world.load.counts['writes'] - before} writes")


def play(folder, seed, names, say=lambda line: None, tier="yes", load=Load, kind=World):
    """One round; (load's counts, world's counts). Raises Wrong."""
    with network.Network() as net:
        world = kind(net, folder, seed, tier)
        world.start()
        world.load = load(world.primary, seed, prefix=world.PREFIX)
        asyncio.run(world.load.run(direct(world, names, say)))
        world.settle()
        world.counts["cold keys at the end"] = world.flash_sum("tiered_keys")
        return world.load.counts, world.counts


def options_of(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--acts", type=int, default=ROUND)
    parser.add_argument("--seconds", type=float, help="instead of a number of acts")
    parser.add_argument("--cluster", action="store_true", help="links cut inside a cluster")
    parser.add_argument("--only", choices=BY_NAME, nargs="+")
    parser.add_argument("--tier", choices=TIERS, default="mixed", help="of replicas")
    return parser.parse_args(words)


def main():
    options = options_of()
    why = network.missing()
    if why:
        sys.exit(f"no network namespaces here: {why}")
    total, done, seed = {}, 0, options.seed
    deadline = time.monotonic() + options.seconds if options.seconds else None
    kind, every = World, acts.BY_NAME
    if options.cluster:
        kind, every = ClusterWorld, cluster_acts.those_for(SERVER_BINARY)
    names = [name for name in every if not options.only or name in options.only]
    while time.monotonic() < deadline if deadline else done < options.acts:
        count = ROUND if deadline else min(ROUND, options.acts - done)
        folder = Path(tempfile.mkdtemp(prefix="failures-"))
        chosen = [names[(done + n) % len(names)] for n in range(count)]
        print(f"seed {seed}: {count} acts", flush=True)
        try:
            for counts in play(folder, seed, chosen, lambda line: print(line, flush=True),
                               options.tier, kind=kind):
                for what, number in counts.items():
                    total[what] = total.get(what, 0) + number
        except BaseException as failure:
            print(f"WRONG, seed {seed}: {failure!r}\nthe folder is kept: {folder}")
            if not isinstance(failure, (Wrong, AssertionError)):
                raise
            return 1
        shutil.rmtree(folder, ignore_errors=True)
        done, seed = done + count, seed + 1
    print(", ".join(f"{number} {what}" for what, number in total.items() if what))
    print(f"{done} acts: confirmed writes lost 0, stale 0, torn 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
