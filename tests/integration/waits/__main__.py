"""The storm as a program, for the long run.

    /usr/bin/python3 tests/integration/waits --seconds 60 --clients 200
    /usr/bin/python3 tests/integration/waits --native            # the test itself

Exit status 1 and what was wrong on an element that was popped twice, never, or for nobody.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import MODULE, Server  # noqa: E402
from harness.program import storm_options  # noqa: E402
from waits.ledger import Wrong  # noqa: E402
from waits.storm import Storm  # noqa: E402

SETTINGS = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "64mb",
            "flash.compaction-interval-sec": "1"}


def run(node, replica, seconds, seed=1, clients=200, native=False):
    """Storms on `node`, whose replica must end up as empty as it; returns the Storm."""
    replica.replicate_from(node)
    storm = Storm(node.port, seed, clients, native)
    storm.missing = asyncio.run(storm.run(seconds))
    replica.wait_for_offset_of(node)
    if replica.call("DBSIZE") != 0:
        raise Wrong(f"the replica still has {replica.client.keys()[:10]}")
    return storm


def main():
    options = storm_options(__doc__, clients=200)
    folder = Path(tempfile.mkdtemp(prefix="waits-"))
    settings, module = ({}, None) if options.native else (SETTINGS, MODULE)
    servers = [Server(folder / name, settings, module, (), ()).start()
               for name in ("primary", "replica")]
    status = 1
    print(f"seed {options.seed}, {options.clients} clients, {options.seconds:.0f} s", flush=True)
    try:
        storm = run(*servers, options.seconds, options.seed, options.clients, options.native)
        print(", ".join(f"{count} {what}" for what, count in sorted(storm.counts.items())))
        print(f"{len(storm.ledger.pushed)} elements pushed, each popped once; "
              f"{storm.missing} for clients that had left")
        if not options.native:
            print(", ".join(f"{name} {servers[0].info('flash')['flash_' + name]}" for name in (
                "cache_misses", "parked_clients_total", "sync_waits_total",
                "auto_demotions_total")))
        status = 0
    except (Wrong, ConnectionError) as wrong:
        print(f"WRONG: {type(wrong).__name__}: {wrong}\nservers' logs: {folder}")
        if isinstance(wrong, ConnectionError):
            print(servers[0].log()[-3000:])
    finally:
        for server in servers:
            server._end(15)
    if status == 0:
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
