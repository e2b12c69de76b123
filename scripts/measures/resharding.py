"""Slots that move under load: 16 at once by valkey-cli, 4 writers, keys cold for nine tenths.

The same with native keys in the same run. Writers know what each of their keys holds: at the end
nothing acknowledged may be lost, and no read may have been stale.
"""

import multiprocessing
import random
import time

from conftest import free_port
from harness.cluster import PARTIAL, cluster_cli
from harness.resp import Connection
from measures.tools import MIB, SHOWN, Row, all_demoted, fill, verdict, wait_for
from redis.crc import key_slot

SLOTS = 16
WRITERS = 4
VALUE_BYTES = 500
WITHIN = 1.5


def measure(bench):
    count = bench.scaled(200_000, 4_000)
    runs = {kind: reshard(bench, kind, count) for kind in ("native", "flash")}
    for kind, run in runs.items():
        yield Row(f"resharding {SLOTS} slots of {count:,} {kind} keys, {WRITERS} writers",
                  f"{run['seconds']:.1f} s; operations {run['before']:,.0f} a second before, "
                  f"{run['during']:,.0f} during it; the longest took {run['stall_ms']:.1f} ms "
                  f"(before: {run['stall_before_ms']:.1f} ms)", SHOWN, run)
    native, flash = runs["native"], runs["flash"]
    dip = (native["during"] / native["before"]) / (flash["during"] / flash["before"])
    stall = flash["stall_ms"] / native["stall_ms"]
    yield Row(f"resharding: dip of the throughput <= {WITHIN} x native's", f"{dip:.2f} x",
              verdict(dip <= WITHIN), {"ratio": dip})
    yield Row(f"resharding: longest stall <= {WITHIN} x native's", f"{stall:.2f} x",
              verdict(stall <= WITHIN), {"ratio": stall})
    yield Row("resharding: lost 0, stale 0", f"lost {flash['lost']}, stale {flash['stale']} of "
              f"{flash['operations']:,} operations; cold {flash['cold']:.0%}",
              verdict(flash["lost"] == flash["stale"] == 0 and flash["cold"] >= 0.9), {})


def pair(bench, kind, count):
    """Two nodes, the first of which has every slot."""
    settings = {**PARTIAL, "cluster-node-timeout": "15000", "flash.wal": "no",
                "flash.cache-size-bytes": str(max(MIB, count * VALUE_BYTES // 20)),
                "flash.capacity-bytes": str(256 * MIB + 4 * count * VALUE_BYTES)}
    nodes = [bench.server({**settings, "cluster-port": free_port()}) for _ in range(2)]
    nodes[0].call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    nodes[0].call("CLUSTER", "MEET", "127.0.0.1", nodes[1].port, nodes[1].settings["cluster-port"])

    def settled(node):
        info = node.client.execute_command("CLUSTER INFO")
        info = info if isinstance(info, dict) else dict(
            line.split(":") for line in info.decode().split("\r\n") if ":" in line)
        return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "2" \
            and info["cluster_slots_ok"] == "16384"

    wait_for(lambda: all(settled(node) for node in nodes), what="the cluster")
    return nodes


def tags():
    """One tag for each of the slots that valkey-cli takes first: those with the lowest numbers."""
    found, n = {}, 0
    while len(found) < SLOTS:
        slot = key_slot(b"%d" % n)
        if slot < SLOTS:
            found.setdefault(slot, b"%d" % n)
        n += 1
    return list(found.values())


def value_of(name, version):
    pad = random.Random(name).randbytes(VALUE_BYTES)
    return b"%s %d " % (name, version) + pad[:VALUE_BYTES - 40]


def reshard(bench, kind, count):
    """One run; its figures."""
    prefix = "FLASH." if kind == "flash" else ""
    nodes = pair(bench, kind, count)
    slots = tags()
    names = [b"{%s}:%d" % (slots[n % SLOTS], n) for n in range(count)]
    fill(nodes[0], ([prefix + "SET", name, value_of(name, 0)] for name in names))
    cold = 0.0
    if kind == "flash":
        wait_for(lambda: all_demoted(nodes[0]), what="all to be demoted")
        cold = nodes[0].info("flash")["flash_tiered_keys"] / count
    context = multiprocessing.get_context("fork")
    writers = []
    for number in range(WRITERS):
        ours, theirs = context.Pipe()
        process = context.Process(target=write, daemon=True, args=(
            theirs, prefix, [node.port for node in nodes], names[number::WRITERS], number))
        process.start()
        writers.append((process, ours))
    time.sleep(bench.scaled(5, 1))
    began = time.monotonic()
    ids = [node.call("CLUSTER", "MYID").decode() for node in nodes]
    cluster_cli("reshard", f"127.0.0.1:{nodes[0].port}", "--cluster-from", ids[0], "--cluster-to",
                ids[1], "--cluster-slots", SLOTS, "--cluster-yes", timeout=900)
    ended = time.monotonic()
    results = []
    for process, link in writers:
        link.send("stop")
        results.append(link.recv())
        process.join()
    for node in nodes:
        node._end(9)
    samples = sorted(sample for result in results for sample in result["samples"])
    before = [took for at, took in samples if at < began]
    during = [took for at, took in samples if began <= at < ended]
    first = samples[0][0]
    return {"seconds": ended - began, "cold": cold, "operations": len(samples),
            "before": len(before) / (began - first), "during": len(during) / (ended - began),
            "stall_ms": max(during) * 1000, "stall_before_ms": max(before) * 1000,
            "lost": sum(result["lost"] for result in results),
            "stale": sum(result["stale"] for result in results)}


class Client:
    """Follows redirections as cluster clients do."""

    def __init__(self, ports):
        self._links = {port: Connection(port) for port in ports}
        self._first = ports[0]
        self._port_of = {}  # Of a slot's tag.

    def call(self, *args):
        tag = args[1].split(b"}")[0]
        port, asking = self._port_of.get(tag, self._first), False
        while True:
            link = self._links[port]
            if asking:
                link.must("ASKING")
            reply = link.call(*args)
            asking = False
            if not reply.is_error:
                return reply.value
            word, *where = reply.value.split()
            if word in (b"MOVED", b"ASK"):
                port, asking = int(where[1].rsplit(b":", 1)[1]), word == b"ASK"
                if word == b"MOVED":
                    self._port_of[tag] = port
            elif word != b"TRYAGAIN":
                raise RuntimeError(reply.value.decode())
            else:
                time.sleep(0.001)


def write(link, prefix, ports, names, seed):
    """A process that writes and reads its keys until told to stop; sends what it saw."""
    rng, client, versions, samples = random.Random(seed), Client(ports), {}, []
    stale = 0
    while not link.poll():
        name = names[rng.randrange(len(names))]
        version = versions.get(name, 0)
        value = value_of(name, version + 1)
        began = time.monotonic()
        if rng.random() < 0.5:
            client.call(prefix + "SET", name, value)
            versions[name] = version + 1
        else:
            stale += client.call(prefix + "GET", name) != value_of(name, version)
        samples.append((began, time.monotonic() - began))
    lost = sum(client.call(prefix + "GET", name) != value_of(name, version)
               for name, version in ((name, versions.get(name, 0)) for name in names))
    link.send({"samples": samples, "stale": stale, "lost": lost})
