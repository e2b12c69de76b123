"""Snapshots of what is cold: how fast they and DUMP read it, and loading takes it back.

Figures to look at, not promises. Native strings in the same run show what the server itself costs.
"""

import re
import time
from pathlib import Path

from measures.tools import MIB, SHOWN, Row, all_demoted, fill, flash_info, wait_for


def measure(bench):
    yield from small_values(bench, "1 KiB strings", flash_string)
    yield from small_values(bench, "native 1 KiB strings", native_string, native=True)
    yield from small_values(bench, "1 KiB hashes of ten fields", small_hash)
    yield from one_value(bench, "a hash of 1 KiB values", big_hash)
    yield from one_value(bench, "a string", big_string)


def flash_string(data, n):
    return ["FLASH.SET", b"key:%012d" % n, data[n * 37 % 1000000:][:1024]]


def native_string(data, n):
    return ["SET", b"key:%012d" % n, data[n * 37 % 1000000:][:1024]]


def small_hash(data, n):
    value = data[n * 37 % 1000000:]
    pairs = [word for i in range(10) for word in (b"field:%d" % i, value[i * 95:][:95])]
    return ["FLASH.HSET", b"key:%012d" % n, *pairs]


def random_data():
    return Path("/dev/urandom").open("rb").read(MIB + 64 * 1024)


def cold_server(bench, total):
    return bench.server({"flash.cache-size-bytes": "4mb", "repl-diskless-sync-delay": "0",
                         "flash.capacity-bytes": str(2 * total + 256 * MIB)})


def small_values(bench, title, command, native=False):
    total = bench.scaled(512, 32) * MIB
    node = cold_server(bench, total)
    data = random_data()
    fill(node, (command(data, n) for n in range(total // 1024)))
    if not native:
        wait_for(lambda: all_demoted(node), what="all to be demoted")
    seconds, private = background_save(node)
    yield row(f"BGSAVE of {total / MIB:,.0f} MiB, {title}", total, seconds,
              f", {private / MIB:.1f} MiB of the child's own")
    node.client.config_set("rdbcompression", "no")
    seconds, _ = background_save(node)
    yield row("the same with rdbcompression no", total, seconds)
    node.client.config_set("rdbcompression", "yes")
    yield row("BGREWRITEAOF without preamble", total, background_rewrite(node))
    began = time.monotonic()
    node.client.save()
    yield row(f"SAVE of {total / MIB:,.0f} MiB, {title}", total, time.monotonic() - began)
    node.kill()
    node.start(wait=False)
    highest = wait_for_load(node)
    loaded = float(re.findall(r"DB loaded from disk: ([\d.]+) seconds", node.log())[-1])
    cache = "" if native else f", at most {highest / MIB:.1f} MiB hot with a cache of 4"
    yield row(f"loading of {total / MIB:,.0f} MiB, {title}", total, loaded, cache)
    assert node.client.dbsize() == total // 1024
    node._end(9)


def wait_for_load(node):
    """Waits until all is loaded; the most hot bytes seen meanwhile."""
    highest = 0

    def done():
        nonlocal highest
        try:
            info = node.client.info("everything")
        except Exception:  # Not up yet.
            return False
        highest = max(highest, info.get("flash_cache_size_bytes", 0))
        return not info["loading"]

    wait_for(done, what="the load")
    return highest


def background_save(node):
    """(seconds, the most bytes that the child did not share with the server)."""
    began = time.monotonic()
    node.client.bgsave()
    private = 0
    while node.info("persistence")["rdb_bgsave_in_progress"]:
        private = max(private, private_bytes_of_child(node.pid))
        time.sleep(0.02)
    if node.info("persistence")["rdb_last_bgsave_status"] != "ok":
        raise RuntimeError("the background save failed")
    return time.monotonic() - began, private


def background_rewrite(node):
    """Seconds."""
    node.client.config_set("aof-use-rdb-preamble", "no")
    began = time.monotonic()
    node.client.bgrewriteaof()
    wait_for(lambda: not node.info("persistence")["aof_rewrite_in_progress"], what="the rewrite")
    if node.info("persistence")["aof_last_bgrewrite_status"] != "ok":
        raise RuntimeError("the rewrite of the AOF failed")
    return time.monotonic() - began


def private_bytes_of_child(pid):
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        text = Path(f"/proc/{children[0]}/smaps_rollup").read_text()
    except (OSError, IndexError):
        return 0
    return sum(int(kib) * 1024 for kib in re.findall(r"Private_Dirty: +(\d+)", text))


def big_hash(node, total, data):
    fields = ([b"field:%d" % n, data[n * 37 % 1000000:][:1024]] for n in range(total // 1024))
    fill(node, (["FLASH.HSET", b"big", *pair] for pair in fields))


def big_string(node, total, data):
    fill(node, [["FLASH.SET", b"big", data[:MIB] * (total // MIB)]])


def one_value(bench, title, make):
    total = bench.scaled(256, 16) * MIB
    node = cold_server(bench, total)
    make(node, total, random_data())
    node.client.execute_command("FLASH.DEBUG.DEMOTE", "big")
    wait_for(lambda: all_demoted(node), what="all to be demoted")
    seconds, private = background_save(node)
    yield row(f"BGSAVE of {total / MIB:,.0f} MiB, {title}", total, seconds,
              f", {private / MIB:.1f} MiB of the child's own")
    began = time.monotonic()
    node.client.dump("big")
    waited = flash_info(node)["sync_waits_dump"]
    yield row(f"DUMP of {total / MIB:,.0f} MiB, {title}", total, time.monotonic() - began,
              f", {waited:,} waits for the drive")
    node._end(9)


def row(title, total, seconds, more=""):
    speed = total / MIB / seconds
    return Row(title, f"{seconds:.2f} s, {speed:,.0f} MiB/s{more}", SHOWN,
               {"seconds": seconds, "mib_per_second": speed})
