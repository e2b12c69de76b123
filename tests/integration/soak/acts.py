"""What happens to the server under load: snapshots, resizes, compaction, SIGTERM and kill -9.

Each must do what it is documented to do; if not, Wrong. Thread: the load's asyncio loop.
"""

import asyncio
import contextlib
import random
import time

import redis

from conftest import SLOWDOWN
from races.client import Client
from harness.resp import Disconnected, Error
from soak.worker import Wrong

MIB = 1 << 20
CACHES = (4 * MIB, 8 * MIB, 16 * MIB)
CAPACITIES, COMPRESSIONS = ("768mb", "1gb"), ("none", "lz4")
RESIZE_SEC, SNAPSHOT_SEC = 1.3, 7


class Acts:
    """Done in turns while a life lasts; `counts` says how often each was."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.counts = {}

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    async def run(self, port, stop):
        acts = [asyncio.ensure_future(self.repeat(port, stop, act, pause)) for act, pause in (
            (self.resize, RESIZE_SEC), (self.snapshot, SNAPSHOT_SEC), (self.compact, SNAPSHOT_SEC))]
        try:
            await asyncio.gather(*acts)
        finally:
            for act in acts:
                act.cancel()
            await asyncio.gather(*acts, return_exceptions=True)

    async def repeat(self, port, stop, act, pause):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, OSError):
            client = await Client.connect(port)
            while not stop.is_set():
                await act(client)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
            client.close()

    async def resize(self, client):
        """The cache changes at once; the tier only at the next start, and says so."""
        size = self.random.choice(CACHES)
        if await client.call("CONFIG", "SET", "flash.cache-size-bytes", size) != b"OK":
            raise Wrong("the cache could not be resized")
        self.count("resizes of the cache")
        refusal = await client.call("CONFIG", "SET", "flash.capacity-bytes", "2gb")
        if not isinstance(refusal, Error) or b"restart" not in refusal:
            raise Wrong(f"CONFIG SET flash.capacity-bytes: {refusal!r}")

    async def snapshot(self, client):
        reply = await client.call("BGSAVE")
        if isinstance(reply, Error) and b"already in progress" not in reply:
            raise Wrong(f"BGSAVE: {reply!r}")
        while b"rdb_bgsave_in_progress:1" in await client.call("INFO", "persistence"):
            await asyncio.sleep(0.1)
        if b"rdb_last_bgsave_status:ok" not in await client.call("INFO", "persistence"):
            raise Wrong("BGSAVE failed: see the server's log")
        self.count("snapshots")

    async def compact(self, client):
        reply = await client.call("FLASH.COMPACTION.TRIGGER")
        if reply != b"OK":
            raise Wrong(f"FLASH.COMPACTION.TRIGGER: {reply!r}")
        self.count("compactions")

    # Ends -------------------------------------------------------------------------------------

    def end_life(self, node, violently):
        """SIGTERM must end it in good order; kill -9 may find it in whatever it does."""
        if violently:
            node.kill()
            self.count("kill -9")
        else:
            status = node.stop()
            if status != 0:
                raise Wrong(f"SIGTERM ended the server with status {status}")
            self.count("SIGTERM")

    def begin_life(self, node, number):
        node.settings["flash.capacity-bytes"] = CAPACITIES[number % len(CAPACITIES)]
        node.settings["flash.compression"] = COMPRESSIONS[number // 2 % len(COMPRESSIONS)]
        node.start()
        state = node.info("flash")["flash_module_state"]
        if state != "ready":
            raise Wrong(f"state {state} after the start")


def flushed(node, settings, settle_sec=30):
    """FLUSHALL, and the INFO once nothing is left of it; raises Wrong if something stays."""
    node.client.config_set("flash.cache-size-bytes", settings["flash.cache-size-bytes"])
    node.call("FLUSHALL")
    gone = ("flash_storage_used_bytes", "flash_cache_size_bytes", "flash_resident_tiny_bytes",
            "flash_tiered_keys", "flash_deferred_frees", "flash_held_bytes",
            "flash_auto_demotions_inflight")
    deadline = time.monotonic() + settle_sec * SLOWDOWN
    while True:
        info = node.info()
        left = {name: info[name] for name in gone if info[name]}
        if not left:
            return info
        if time.monotonic() > deadline:
            raise Wrong(f"after FLUSHALL there is still {left}")
        time.sleep(0.1)


LOST = (ConnectionError, Disconnected, redis.exceptions.ConnectionError, OSError)
