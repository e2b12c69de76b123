"""One large cache: hit ratio of a read-through cache whose keys are evicted, RAM the same.

A Zipf load: read a key, and write it where it is missing. Native evicts when RAM is full; ours when
the tier is, of one size and of twice that. Figures to look at, not promises.
"""

import bisect
import itertools
import os
import random

from measures.tools import MIB, SHOWN, Connection, Row, flash_info

VALUE_BYTES = 2048
BATCH = 200
SKEW = 0.9


def measure(bench):
    ram, tier = bench.scaled(48, 24) * MIB, bench.scaled(256, 32) * MIB
    load = Load(keys=bench.scaled(500_000, 60_000), requests=bench.scaled(900_000, 90_000))
    common = {"maxmemory": str(ram), "maxmemory-policy": "allkeys-lru"}
    native = bench.server(common, module=False)
    yield from report(f"native, {ram // MIB} MiB of RAM", native, load.run(native, native=True))
    for share in (1, 2):
        node = bench.server({**common, "flash.capacity-bytes": str(share * tier),
                             "flash.compression": "none"})
        yield from report(f"{ram // MIB} MiB of RAM, a tier of {share * tier // MIB} MiB", node,
                          load.run(node))


def report(title, node, hit_ratio):
    data = {"hit_ratio": hit_ratio, "evicted_by_server": node.info("stats")["evicted_keys"]}
    more = f"{node.client.dbsize():,} keys, {data['evicted_by_server']:,} evicted by the server"
    if node.module:
        info = flash_info(node)
        data |= {name: info[name] for name in (
            "evicted_keys", "key_eviction_us_total", "key_eviction_sampled", "flashfull_replies",
            "demotion_stall_events_total", "storage_write_amplification")}
        per_key = info["key_eviction_us_total"] / max(info["evicted_keys"], 1)
        more += (f", {info['evicted_keys']:,} by us at {per_key:.1f} us of the main thread each, "
                 f"{info['demotion_stall_events_total']:,} waits for room, "
                 f"{info['flashfull_replies']} refusals, "
                 f"{float(info['storage_write_amplification']):.2f} bytes written per byte stored")
    node._end(9)
    yield Row(f"hit ratio of a Zipf load ({SKEW}), {title}", f"{hit_ratio:.3f}; {more}", SHOWN,
              data)


class Load:
    """The same requests for every server; hits are counted in the last third."""

    def __init__(self, keys, requests):
        self.weights = list(itertools.accumulate(1 / rank ** SKEW for rank in range(1, keys + 1)))
        self.requests = requests
        self.filler = os.urandom(MIB)

    def value(self, number):
        start = number * 37 % (MIB - VALUE_BYTES)
        return b"%016d" % number + self.filler[start:start + VALUE_BYTES - 16]

    def run(self, node, native=False):
        read, write = ("GET", "SET") if native else ("FLASH.GET", "FLASH.SET")
        pick = random.Random(1)
        link = Connection(node.port)
        hits = counted = 0
        for done in range(0, self.requests, BATCH):
            numbers = [bisect.bisect(self.weights, pick.random() * self.weights[-1])
                       for _ in range(BATCH)]
            missing = self.read(link, read, numbers)
            if done >= self.requests * 2 // 3:
                counted += BATCH
                hits += BATCH - len(missing)
            missing = sorted(set(missing))
            link.send(*[[write, b"key:%012d" % n, self.value(n)] for n in missing])
            for _ in missing:
                reply = link.read()
                if reply.is_error:
                    raise RuntimeError(reply.value.decode())
        link.close()
        return hits / counted

    def read(self, link, command, numbers):
        """Those that are missing."""
        link.send(*[[command, b"key:%012d" % n] for n in numbers])
        missing = []
        for number in numbers:
            reply = link.read()
            if reply.is_error:
                raise RuntimeError(reply.value.decode())
            if reply.value is None:
                missing.append(number)
            elif reply.value != self.value(number):
                raise RuntimeError(f"key {number} has another's value")
        return missing
