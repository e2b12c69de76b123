#!/usr/bin/env python3
"""scale_bench: the figures behind docs/scale.md: what grows with nodes, slots and keys.

    /usr/bin/python3 scripts/scale_bench.py [nodes] [keys] [resharding] [failover] [sync]

nodes       clusters of 6, 12 and 24 primaries at rest, with the module and without: memory of a
            node's links, the messages that a node sends, what CPU it takes
keys        RAM of a cold key, outside of a cluster and in one
resharding  half of the slots of a node, with cold keys of 1 KiB, by valkey-cli, by FLASH.MIGRATE
            and, where the server has it, by MIGRATESLOTS; the same with native keys; empty slots
failover    CLUSTER FAILOVER, and kill -9: until the replica takes a write
sync        a full synchronisation of cold and of native values

FLASH_SERVER picks the server. Servers are on loopback and share the machine.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "integration"))

from conftest import MODULE, PATIENT, Server, free_port, wait_until  # noqa: E402
from harness.cluster import SETTINGS, cluster_cli, migration_outcomes, owned_slots  # noqa: E402

VALUE = os.urandom(512).hex()  # 1 KiB that compresses little.
SLOTS = 16384


class Servers:
    """Servers in folders of their own, ended together."""

    def __init__(self, stack):
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
        self._count = 0

    def __call__(self, settings=None, module=True, **_):
        self._count += 1
        node = Server(self._folder / str(self._count), settings, MODULE if module else None, (),
                      PATIENT)
        self._stack.callback(node.kill)
        return node.start()


def tier(mib=256, cache="1mb"):
    return {"flash.capacity-bytes": f"{mib}mb", "flash.cache-size-bytes": cache,
            "flash.compression": "none", "flash.replica-tier-enabled": "yes"}


def cluster_of(servers, count, replicas=0, module=True, **settings):
    """Nodes of a new cluster, each ready."""
    made = [servers({**SETTINGS, "cluster-node-timeout": "5000", "cluster-port": free_port(),
                     **(tier() if module else {}), **settings}, module=module)
            for _ in range(count)]
    cluster_cli("create", *[f"127.0.0.1:{node.port}" for node in made], "--cluster-replicas",
                replicas, "--cluster-yes")
    for node in made:
        wait_until(lambda n=node: n.client.cluster("info")["cluster_state"] == "ok", 120, "cluster")
    return made


def fill(node, count, module=True, tag=""):
    pipe = node.client.pipeline(transaction=False)
    for n in range(count):
        pipe.execute_command("FLASH.SET" if module else "SET", f"key:{tag}{n:012}", VALUE)
        if n % 500 == 499:
            pipe.execute()
    pipe.execute()


def cpu_of(node):
    """Seconds of CPU of all its threads."""
    info = node.info("cpu")
    return info["used_cpu_sys"] + info["used_cpu_user"]


def nodes():
    print("nodes | with | links' memory | RSS | messages sent per second | CPU, ms/s (of a node)")
    for count in (6, 12, 24):
        for module in (True, False):
            with ExitStack() as stack:
                made = cluster_of(Servers(stack), count, module=module)
                time.sleep(5)
                before = [(cpu_of(node), sent_by(node), time.monotonic()) for node in made]
                time.sleep(15)
                mean = [0.0] * 4
                for node, (cpu, sent, at) in zip(made, before):
                    seconds = time.monotonic() - at
                    memory = node.info("memory")
                    each = (memory["mem_cluster_links"], memory["used_memory_rss"],
                            (sent_by(node) - sent) / seconds, (cpu_of(node) - cpu) / seconds * 1000)
                    mean = [total + one / count for total, one in zip(mean, each)]
                print(f"{count} | {'module' if module else 'none'} | {mean[0]:,.0f} B | "
                      f"{mean[1] / 2**20:.1f} MiB | {mean[2]:.1f} | {mean[3]:.1f}", flush=True)


def sent_by(node):
    """Messages sent over the bus."""
    return int(node.client.cluster("info")["cluster_stats_messages_sent"])


def keys(count=400_000):
    print("cold keys of 1 KiB, names of 16 bytes | where | RAM of a key")
    for where in ("alone", "cluster"):
        with ExitStack() as stack:
            servers = Servers(stack)
            node = cluster_of_one(servers, tier(1024)) if where == "cluster" else \
                servers(tier(1024))
            empty = node.info("memory")["used_memory"]
            fill(node, count)
            node.call("CONFIG", "SET", "flash.cache-size-bytes", "1mb")
            wait_until(lambda n=node: n.info("flash")["flash_tiered_keys"] > count * 0.99, 120,
                       "all to be cold")
            node.client.close()
            time.sleep(1)
            info = node.info("everything")
            used = info["used_memory"] - empty - info["flash_cache_size_bytes"]
            print(f"{count:,} | {where} | {used / count:.1f} B")


def cluster_of_one(servers, settings):
    node = servers({**SETTINGS, "cluster-port": free_port(), **settings})
    node.call("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
    wait_until(lambda: node.client.cluster("info")["cluster_state"] == "ok", 30, "the cluster")
    return node


def two(servers, module, count):
    """A node with all slots and `count` keys, and one with none."""
    settings = tier(1024) if module else {}
    source = cluster_of_one(servers, settings)
    target = servers({**SETTINGS, "cluster-port": free_port(), **settings}, module=module)
    source.call("CLUSTER", "MEET", "127.0.0.1", target.port, target.settings["cluster-port"])
    wait_until(lambda: all(int(node.client.cluster("info")["cluster_known_nodes"]) == 2
                           and node.client.cluster("info")["cluster_state"] == "ok"
                           for node in (source, target)), 60, "the nodes to know each other")
    fill(source, count, module)
    return source, target


def by_cli(source, target, slots):
    cluster_cli("reshard", f"127.0.0.1:{source.port}", "--cluster-from", my_id(source),
                "--cluster-to", my_id(target), "--cluster-slots", slots, "--cluster-pipeline", 10,
                "--cluster-yes", timeout=600)


def my_id(node):
    answer = node.call("CLUSTER", "MYID")
    return answer.decode() if isinstance(answer, bytes) else answer


def by_flash_migrate(source, target, slots):
    source.call("CONFIG", "SET", "flash.migration-bandwidth-mbps", "0")
    for slot in sorted(owned_slots(source))[:slots]:
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", my_id(source))
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", my_id(target))
        while names := source.call("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.call("FLASH.MIGRATE", "127.0.0.1", target.port, "", 0, 60_000, "KEYS", *names)
        for node in (target, source):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", my_id(target))


def atomically(source, target, slots):
    moved = sorted(owned_slots(source))[:slots]
    source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", moved[0], moved[-1], "NODE",
                my_id(target))

    def state():
        return migration_outcomes(source)[0][0]

    wait_until(lambda: state() in (b"success", b"failed"), 600, "the migration")
    assert state() == b"success"


def resharding(count=160_000, slots=2048):
    print("moved | how | slots | keys | seconds | slots/s | keys/s | longest turn of PING")
    ways = [("cold, 1 KiB", True, by_cli, count), ("native, 1 KiB", False, by_cli, count),
            ("empty", True, by_cli, 0), ("cold, 1 KiB", True, by_flash_migrate, count),
            ("cold, 1 KiB", True, atomically, count), ("native, 1 KiB", False, atomically, count)]
    for what, module, way, filled in ways:
        with ExitStack() as stack:
            source, target = two(Servers(stack), module, filled)
            major = source.version()[0]
            if way is atomically and major < 9:
                continue
            held = source.call("DBSIZE")
            longest = watch(source.port)
            began = time.monotonic()
            way(source, target, slots)
            took = time.monotonic() - began
            moved = held - source.call("DBSIZE")
            assert target.call("DBSIZE") == moved
            print(f"{what} | {way.__name__} | {slots} | {moved:,} | {took:.1f} | "
                  f"{slots / took:.0f} | {moved / took:,.0f} | {longest():.0f} ms", flush=True)


def watch(port):
    """Starts a process that pings; the function returned ends it and returns the longest wait."""
    program = ("import socket, sys, time\n"
               f"s = socket.create_connection(('127.0.0.1', {port}))\n"
               "worst = 0\n"
               "import select\n"
               "while not select.select([sys.stdin], [], [], 0.001)[0]:\n"
               "    began = time.monotonic()\n"
               "    s.sendall(b'PING\\r\\n'); s.recv(64)\n"
               "    worst = max(worst, time.monotonic() - began)\n"
               "print(worst * 1000)\n")
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)

    def end():
        out, _ = process.communicate("end\n", timeout=60)
        return float(out)

    return end


def failover(count=40_000, rounds=3):
    print("how | keys | until the replica takes a write, s (each round)")
    with ExitStack() as stack:
        made = cluster_of(Servers(stack), 6, replicas=1)
        for node in made:
            if node.info("replication")["role"] == "master":
                fill_own(node, count)
        for name, action in (("CLUSTER FAILOVER", None), ("kill -9, node-timeout 5 s", "kill")):
            took = []
            for _ in range(rounds):
                primary, replica = shard_of(made)
                replica.wait_for_offset_of(primary)
                key = own_key(primary)
                began = time.monotonic()
                primary.kill() if action else replica.call("CLUSTER", "FAILOVER")
                wait_until(lambda r=replica, k=key: takes(r, k), 120, "a write")
                took.append(time.monotonic() - began)
                if action:
                    primary.start()
                wait_until(lambda p=primary: p.info("replication").get("master_link_status") ==
                           "up", 120, "the old primary to follow")
                time.sleep(12)  # The others vote once for a shard in twice the node timeout.
            print(f"{name} | {count:,} | {' '.join(f'{each:.2f}' for each in took)}",
                  flush=True)


def fill_own(node, count):
    tags = [tag for tag in range(600) if node.call("CLUSTER", "KEYSLOT", f"{{{tag}}}")
            in owned_slots(node)] if not hasattr(node, "tags") else node.tags
    node.tags = tags[:20]
    for tag in node.tags:
        fill(node, count // len(node.tags), tag=f"{{{tag}}}")


def shard_of(made):
    for node in made:
        info = node.info("replication")
        if info["role"] == "slave":
            return next(other for other in made if other.port == info["master_port"]), node
    raise AssertionError("no replica")


def own_key(node):
    owned = owned_slots(node)
    return next(f"probe{n}" for n in range(10**5)
                if node.call("CLUSTER", "KEYSLOT", f"probe{n}") in owned)


def takes(node, key):
    try:
        return node.call("FLASH.SET", key, "v") == b"OK"
    except Exception:  # MOVED, READONLY, the snapshot of its log: not yet.
        return False


def sync(count=262_144):
    print("values of 1 KiB | bytes | full synchronisation, s | MiB/s")
    for module in (True, False):
        with ExitStack() as stack:
            servers = Servers(stack)
            settings = tier(1024, "16mb") if module else {}
            primary = servers(settings, module=module)
            fill(primary, count, module)
            replica = servers(settings, module=module)
            began = time.monotonic()
            replica.client.replicaof("127.0.0.1", primary.port)
            wait_until(lambda: replica.info("replication").get("master_link_status") == "up", 600,
                       "the synchronisation")
            took = time.monotonic() - began
            assert replica.call("DBSIZE") == count
            mib = count * len(VALUE) / 2**20
            what = "cold" if module else "native"
            print(f"{what} | {mib:.0f} MiB | {took:.1f} | {mib / took:.0f}")


def main():
    parts = {part.__name__: part for part in (nodes, keys, resharding, failover, sync)}
    for name in sys.argv[1:] or parts:
        print(f"\n== {name}")
        parts[name]()


main()
