"""A short slice of the soak; hours of it: make soak. And its judgement, on figures made up."""


import pytest

from conftest import MODULE, PATIENT, Server
from harness.resp import Error
from soak import picture, verdict
from soak.__main__ import SETTINGS, Soak
from soak.model import Key, Operation
from soak.samples import COLUMNS, write_csv
from soak.worker import Worker, Wrong

MIB = 1 << 20
QUIET = {"operations": 5000, "rss_bytes": 80 * MIB, "used_memory_bytes": 12 * MIB,
         "truth_bytes": 8 * MIB, "unexplained_bytes": 2 * MIB, "cache_bound_bytes": 8 * MIB,
         "flash_used_bytes": 40 * MIB, "keys": 2000, "descriptors": 33, "threads": 20,
         "ping_p50_us": 100.0, "ping_p99_us": 900.0, "cold_read_p50_us": 100,
         "cold_read_p99_us": 3000, "saving": 0}
EMPTY = {"used_memory": 3 * MIB, "mem_clients_normal": 0, "flash_block_table_bytes": 0,
         "flash_cache_policy_bytes": 0}


@pytest.mark.slow
def test_a_short_slice(tmp_path):
    node = Server(tmp_path / "server", SETTINGS, MODULE, (), PATIENT)
    soak = Soak(node, seconds=20, seed=3)
    try:
        assert soak.run() == []
    finally:
        node.kill()
    assert soak.done() > 2000 and len(soak.rows) > 8
    counts = soak.acts.counts
    assert counts["SIGTERM"] >= 2 and counts["kill -9"] >= 1 and counts["snapshots"] >= 2
    assert counts["resizes of the cache"] >= 4 and counts["compactions"] >= 2
    assert soak.end["flash_cache_misses"] > 100, "nothing was cold"
    write_csv(tmp_path / "samples.csv", soak.rows)
    assert len((tmp_path / "samples.csv").read_text().splitlines()) == len(soak.rows) + 1
    picture.draw(tmp_path / "soak.svg", soak.rows, "a slice")
    assert (tmp_path / "soak.svg").read_text().count("<polyline") == 13


# The judgement ----------------------------------------------------------------------------------


def samples(lives=4, of_a_life=30, **fields):
    """Rows of a quiet run; a field may be a function of (life, share of the life that is over)."""
    rows = []
    for life in range(lives):
        for number in range(of_a_life):
            row = {"seconds": life * 100 + number, "life": life, **QUIET}
            for name, made in fields.items():
                row[name] = made(life, number / of_a_life)
            rows.append(row)
    return rows


def test_a_quiet_run_is_no_fault():
    assert set(samples()[0]) == set(COLUMNS)
    assert verdict.faults(samples(), EMPTY, EMPTY) == []
    wobbling = samples(rss_bytes=lambda life, at: (80 + 10 * (int(at * 30) % 2)) * MIB)
    assert verdict.faults(wobbling, EMPTY, EMPTY) == []


@pytest.mark.parametrize("field, start, step", [
    ("rss_bytes", 80 * MIB, 120 * MIB), ("used_memory_bytes", 12 * MIB, 50 * MIB),
    ("unexplained_bytes", MIB, 5 * MIB), ("descriptors", 33, 30), ("threads", 20, 40)])
def test_what_rises_within_a_life_is_found(field, start, step):
    rows = samples(**{field: lambda life, at: start + at * step})
    assert any(field in line for line in verdict.trends(rows))


@pytest.mark.parametrize("field, start, step", [
    ("rss_bytes", 80 * MIB, 20 * MIB), ("unexplained_bytes", MIB, MIB), ("descriptors", 33, 5)])
def test_what_rises_from_life_to_life_is_found(field, start, step):
    rows = samples(lives=6, **{field: lambda life, at: start + life * step})
    assert any(field in line for line in verdict.trends(rows))


def test_memory_that_nobody_owns_is_found():
    rows = samples(unexplained_bytes=lambda life, at: 9 * MIB)
    assert "nobody owns" in verdict.unexplained(rows)[0]


def test_memory_that_stays_after_flushall_is_found():
    left = {**EMPTY, "used_memory": 5 * MIB}
    assert "after FLUSHALL" in verdict.after_flush(EMPTY, left)[0]
    assert verdict.after_flush(EMPTY, {**left, "flash_block_table_bytes": 2 * MIB}) == []


class Scripted:
    """A connection that answers as it was told."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def send(self, *_):
        pass

    async def receive(self):
        return self.replies.pop(0)


@pytest.mark.parametrize("reply", [b"older", None, Error(b"FLASHIO the value could not be read")])
def test_a_wrong_reply_is_found(reply):
    worker, key = Worker(b"w", 1), Key(b"k", "string", 1)
    key.value = (b"k", 1, 3)
    reading = key.read()
    worker.flying = [reading]
    with pytest.raises(Wrong):
        worker.settle(reading, reply)
    worker.flying = [reading]
    worker.settle(reading, b"1--")


def test_what_was_under_way_has_happened_or_not_but_nothing_else():
    import asyncio
    for found, fine in ((b"1--", True), (b"2--", True), (b"3--", False)):
        worker, key = Worker(b"w", 1), Key(b"k", "string", 1)
        key.value = (b"k", 1, 3)
        write = Operation([key], ("FLASH.SET",), b"OK", key.put((b"k", 2, 3)))

        async def judge():
            link = Scripted(found, found)
            if await worker.holds(link, [key]):
                return True
            write.apply()
            return await worker.holds(link, [key])
        assert asyncio.run(judge()) is fine
