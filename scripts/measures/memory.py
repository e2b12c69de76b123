"""RAM of hot and cold keys, bytes on flash, write amplification, the bound of the cache."""

import os
import random
import time

import redis

from measures.tools import (FAILED, MIB, Row, all_demoted, fill, flash_info, has_command, verdict,
                            wait_for)

HOT_BYTES = 100
COLD_BYTES = 200


def measure(bench):
    yield from hot_string(bench)
    yield from cold_key(bench)
    yield from bytes_on_flash(bench)
    yield from write_amplification(bench)
    yield from hot_bytes_bound(bench)


def used(node):
    """used_memory once clients are gone and nothing is freed in the background any more."""
    time.sleep(0.3)
    return node.info("memory")["used_memory"]


def bytes_per_key(node, count, command, settled=lambda: 0):
    """RAM that one more key takes: of the second half, so that what is there once for all does
    not count. `settled` waits for calm and returns bytes to leave out.
    """
    fill(node, (command(n) for n in range(count // 2)))
    before = -settled() + used(node)
    fill(node, (command(n) for n in range(count // 2, count)))
    return (-settled() + used(node) - before) / (count - count // 2)


def hot_string(bench):
    count = bench.scaled(1_000_000, 100_000)
    value = b"x" * HOT_BYTES
    node = bench.server({"flash.cache-size-bytes": "4gb"})
    flash = bytes_per_key(node, count, lambda n: ["FLASH.SET", b"key:%012d" % n, value])
    node._end(9)
    node = bench.server({"flash.cache-size-bytes": "4gb"})
    native = bytes_per_key(node, count, lambda n: ["SET", b"key:%012d" % n, value])
    node._end(9)
    yield Row(f"RAM of a hot {HOT_BYTES}-byte string: <= native + 40 B",
              f"{flash:.1f} B, native {native:.1f} B, {flash - native:+.1f} B",
              verdict(flash <= native + 40), {"flash": flash, "native": native})


def cold_key(bench):
    promise = "RAM of a cold key beyond a module-typed key: <= 8 B"
    count = bench.scaled(1_000_000, 100_000)
    node = bench.server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "1gb"},
                        bare=True)
    if not has_command(node, "BARE.INT"):
        yield Row(promise, "no bare module was built", FAILED)
        return
    bare = bytes_per_key(node, count, lambda n: ["BARE.INT", b"key:%012d" % n, "1"])
    node._end(9)
    node = bench.server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "1gb"})
    data = os.urandom(COLD_BYTES + 4096)

    def hot_bytes():
        wait_for(lambda: all_demoted(node), what="all to be demoted")
        return flash_info(node)["cache_size_bytes"]

    cold = bytes_per_key(
        node, count, lambda n: ["FLASH.SET", b"key:%012d" % n, data[n % 4096:][:COLD_BYTES]],
        hot_bytes)
    info = flash_info(node)
    share = info["tiered_keys"] / count
    node._end(9)
    yield Row(promise, f"{cold:.1f} B, module-typed key {bare:.1f} B, {cold - bare:+.1f} B "
              f"({share:.1%} of {count:,} keys cold)", verdict(cold - bare <= 8 and share > 0.95),
              {"cold": cold, "bare": bare})


def bytes_on_flash(bench):
    total = bench.scaled(128, 16) * MIB
    for title, low, high, most in (("90-200 B", 90, 200, 1.4), ("1 KiB", 1024, 1024, 1.1),
                                   ("4 KiB", 4096, 4096, 1.05)):
        rng = random.Random(1)
        node = bench.server({"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "512mb"})
        sizes = []
        while sum(sizes[-1000:]) and len(sizes) * (low + high) / 2 < total or not sizes:
            sizes.append(rng.randint(low, high))
        data = rng.randbytes(1 << 20)
        fill(node, (["FLASH.SET", b"key:%d" % n, data[(n * 37) % 1000000:][:size]]
                    for n, size in enumerate(sizes)))
        wait_for(lambda: all_demoted(node), what="all to be demoted")
        info = flash_info(node)
        # What is still hot and dirty is not on flash; its share of the bytes is the cache's.
        cold = sum(sizes) * info["tiered_keys"] / len(sizes)
        ratio = info["storage_used_bytes"] / cold
        clean = info["blocks_hot_clean"] / len(sizes)
        node._end(9)
        yield Row(f"flash bytes per stored byte, {title}, incompressible: <= {most}",
                  f"{ratio:.3f} ({info['tiered_keys']:,} cold keys, {clean:.1%} clean copies)",
                  verdict(ratio <= most), {"ratio": ratio})


def write_amplification(bench):
    capacity = bench.scaled(256, 32) * MIB
    size = 1024
    node = bench.server({"flash.cache-size-bytes": str(bench.scaled(8, 1) * MIB),
                         "flash.capacity-bytes": str(capacity), "flash.compression": "none"})
    keys = int(capacity * 0.8 / (size + 32))
    rng = random.Random(2)
    data = rng.randbytes(1 << 20)

    def overwrite(numbers):
        fill(node, (["FLASH.SET", b"key:%d" % n, data[rng.randrange(1 << 19):][:size]]
                    for n in numbers))

    overwrite(range(keys))
    wait_for(lambda: all_demoted(node), what="all to be demoted")
    overwrite(rng.randrange(keys) for _ in range(keys))  # Until the log has aged.
    start, live = totals(node), flash_info(node)["storage_used_bytes"] / capacity
    overwrite(rng.randrange(keys) for _ in range(bench.scaled(3, 1) * keys))
    wait_for(lambda: all_demoted(node), what="all to be demoted")
    end = totals(node)
    written, demoted = (b - a for a, b in zip(start, end))
    ratio = written / max(1, demoted)
    node._end(9)
    yield Row("flash bytes written per byte demoted, uniform overwrites, 80 % live: <= 3",
              f"{ratio:.2f} ({live:.0%} of the capacity live, {demoted / MIB:,.0f} MiB demoted)",
              verdict(ratio <= 3 and live > 0.77), {"ratio": ratio, "live": live})


def totals(node):
    """(device bytes written, bytes demoted as stored)."""
    info = flash_info(node)
    written = info["storage_device_bytes_written"]
    return written, written / info["storage_write_amplification"]


def hot_bytes_bound(bench):
    """The most hot bytes seen while filling fast, and while loading an RDB."""
    cache = bench.scaled(64, 8) * MIB
    node = bench.server({"flash.cache-size-bytes": str(cache), "flash.capacity-bytes": "2gb"})
    data = os.urandom(1 << 20)
    highest = 0
    for start in range(0, 8 * cache // 4096, 2000):
        fill(node, (["FLASH.SET", b"key:%d" % n, data[(n * 53) % 1000000:][:4096]]
                    for n in range(start, start + 2000)))
        highest = max(highest, flash_info(node)["cache_size_bytes"])
    node.client.save()
    node.stop()
    node.start(wait=False)
    loading = 0
    while True:
        try:
            info = node.client.info("everything")
            loading = max(loading, info["flash_cache_size_bytes"])
            if not info["loading"]:
                break
        except redis.exceptions.RedisError:
            pass
        time.sleep(0.01)
    node._end(9)
    most = max(highest, loading) / cache
    yield Row("hot bytes <= cache + 10 %, also while loading",
              f"{highest / cache:.3f} while filling, {loading / cache:.3f} while loading",
              verdict(most <= 1.1), {"filling": highest / cache, "loading": loading / cache})
