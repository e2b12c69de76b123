"""The race as a program, for the long run.

    /usr/bin/python3 tests/integration/races --seconds 60 --clients 64
    /usr/bin/python3 tests/integration/races --native            # the test itself

Exit status 1 and what was wrong on the first reply that no order of the operations explains.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import MODULE, Server  # noqa: E402
from harness.program import storm_options  # noqa: E402
from harness.resp import Connection  # noqa: E402
from races.saving import Saver, judge_save  # noqa: E402
from races.workload import Race, Wrong  # noqa: E402

SETTINGS = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "64mb",
            "flash.compaction-interval-sec": "1"}


def run(node, make_second, seconds, seed=1, clients=64, native=False):
    """Races on `node`, then judges each kept BGSAVE in servers made by make_second(path).

    Returns (race, number of values judged from saves). Raises Wrong.
    """
    race = Race(node.port, seed, clients, native)
    saver = Saver(race, node.dir)
    asyncio.run(race.run(seconds, [saver]))
    judged = 0
    for path, frontiers, until in saver.saves:
        second = make_second(path)
        connections = {db: Connection(second.port, db=db) for db in (0, 1, 2)}
        judged += judge_save(race, connections.__getitem__, frontiers, until)
        for connection in connections.values():
            connection.close()
        second.stop()
    return race, judged


def main():
    options = storm_options(__doc__, clients=64)
    folder = Path(tempfile.mkdtemp(prefix="races-"))
    settings, module = ({}, None) if options.native else (SETTINGS, MODULE)
    servers = [Server(folder / "server", settings, module, (), ())]

    def make_second(path):
        second = Server(folder / f"second-{len(servers)}", settings, module, (), ())
        servers.append(second)
        shutil.copyfile(path, second.dir / "dump.rdb")
        return second.start()

    node = servers[0].start()
    status = 0
    print(f"seed {options.seed}, {options.clients} clients, {options.seconds:.0f} s", flush=True)
    try:
        race, judged = run(node, make_second, options.seconds, options.seed, options.clients,
                           options.native)
        print(", ".join(f"{count} {what}" for what, count in sorted(race.counts.items())))
        print(f"{judged} saved values judged; never a stale or foreign value")
        if not options.native:
            print(", ".join(f"{name} {node.info('flash')['flash_' + name]}" for name in (
                "cache_hits", "cache_misses", "auto_demotions_total", "compaction_segments")))
    except (Wrong, ConnectionError) as wrong:
        print(f"WRONG: {type(wrong).__name__}: {wrong}\nserver's log: {node.dir / 'server.log'}")
        if isinstance(wrong, ConnectionError):
            print(node.log()[-3000:])
        status = 1
    for server in servers:
        server._end(15)
    if status == 0:
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
