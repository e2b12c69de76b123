"""What of a run's figures is a fault: memory or descriptors that rise, memory that nobody owns.

Levels of the same load are compared: the last third of a life with its middle third, and later
lives with earlier ones; medians, so that a snapshot's peak is no trend. Times are no fault: they
depend on the machine. Pure functions over the samples of samples.py.
"""

import statistics

MIB = 1 << 20
# field: (share, absolute) by which a later level may be above an earlier one. The resident size
# moves with the cache's bound and with what the allocator keeps; descriptors with who is connected.
SLACK = {"rss_bytes": (0.15, 8 * MIB), "used_memory_bytes": (0.15, 6 * MIB),
         "unexplained_bytes": (0.15, 1 * MIB), "descriptors": (0.0, 6), "threads": (0.0, 8)}
SAMPLES_MIN = 9  # Of a life that is compared with itself.
# These swing with the cache, and rise while a life begins: few samples say nothing of them.
MANY_SAMPLES_MIN = 30
NEED_SAMPLES = ("rss_bytes", "used_memory_bytes", "unexplained_bytes")
# What the module's figures leave open: the server's part of a key, inner nodes, and buffers.
# Arguments and replies of some MB come and go beside that: so the level counts, not each sample.
UNEXPLAINED_SHARE, UNEXPLAINED_KEY_BYTES, UNEXPLAINED_BYTES = 0.1, 150, 3 * MIB
FLUSHED_SLACK = 1 * MIB


def level(rows, field):
    return statistics.median(row[field] for row in rows)


def lives_of(rows):
    lives = {}
    for row in rows:
        lives.setdefault(row["life"], []).append(row)
    return list(lives.values())


def rise(field, before, after, what):
    """A complaint if `after` is above `before` by more than the slack."""
    share, absolute = SLACK[field]
    if after > before * (1 + share) + absolute:
        return [f"{field} rose {what}: {before:,.0f} to {after:,.0f}"]
    return []


def trends(rows):
    complaints = []
    lives = lives_of(rows)
    for field in SLACK:
        least = MANY_SAMPLES_MIN if field in NEED_SAMPLES else SAMPLES_MIN
        for life in lives:
            third = len(life) // 3
            if len(life) >= least:
                complaints += rise(field, level(life[third:-third], field),
                                   level(life[-third:], field), f"in life {life[0]['life']}")
        ends = [level(life[len(life) // 2:], field) for life in lives]
        enough = field not in NEED_SAMPLES or min(map(len, lives)) >= least
        if len(ends) >= 2 and enough:
            half = len(ends) // 2
            complaints += rise(field, max(ends[:half]), statistics.median(ends[half:]),
                               "from earlier lives to later ones")
    return complaints


def unexplained(rows):
    complaints = []
    for life in lives_of(rows):
        found, owned, keys = (level(life, field)
                              for field in ("unexplained_bytes", "truth_bytes", "keys"))
        if found > UNEXPLAINED_BYTES + UNEXPLAINED_KEY_BYTES * keys + UNEXPLAINED_SHARE * owned:
            complaints.append(f"in life {life[0]['life']} nobody owns {found:,.0f} bytes of used_"
                              f"memory, with {owned:,.0f} of the module's and {keys:,.0f} keys")
    return complaints


def after_flush(start, end):
    """used_memory of an empty server at its start, and after FLUSHALL; both are INFO."""
    def of(info):
        return (info["used_memory"] - info["mem_clients_normal"] - info["flash_block_table_bytes"]
                - info["flash_cache_policy_bytes"])
    if of(end) > of(start) + FLUSHED_SLACK:
        return [f"used_memory was {of(start):,} at the start and is {of(end):,} after FLUSHALL, "
                f"clients and the block table aside"]
    return []


def faults(rows, start, end):
    return trends(rows) + unexplained(rows) + after_flush(start, end)
