"""Cold reads race with everything that changes keys, saves and compaction run in the middle.

`races --seconds 60` is the long run. The judge itself is tested too: on histories whose verdict
is known, on a server without the module, and with a client that lies.
"""

import asyncio
import os
import shutil

import pytest

from races import __main__ as program
from races.client import Client
from harness.history import Key
from races.workload import Race, Wrong

SECONDS = float(os.environ.get("FLASH_RACES_SEC", "10"))


def seconds_with(server, settings, module):
    def make(path):
        node = server(settings, module=module, start=False)
        shutil.copyfile(path, node.dir / "dump.rdb")
        return node.start()
    return make


def test_never_a_stale_or_foreign_value(server):
    node = server(program.SETTINGS)
    race, judged = program.run(node, seconds_with(server, program.SETTINGS, True), SECONDS)
    assert race.counts["reads"] > 1000 and race.counts["saves"] > 0
    assert judged > 100
    info = node.info("flash")
    assert info["flash_cache_misses"] > 100, "the race was not about cold keys"
    assert info["flash_compaction_segments"] > 0


def test_the_judge_accepts_native_commands(server):
    node = server({}, module=False)
    race, judged = program.run(node, seconds_with(server, {}, False), 3, native=True)
    assert race.counts["reads"] > 500 and judged > 100


class Liar(Client):
    """Answers one GET in two hundred with what the same connection read of that key before."""

    async def call(self, *args):
        return (await self.calls(args))[0]

    async def calls(self, *commands):
        replies = await super().calls(*commands)
        if len(commands) == 1 and commands[0][0] == "GET" and replies[0] is not None:
            self.__dict__.setdefault("seen", {}).setdefault(commands[0][1], replies[0])
            self.turn = getattr(self, "turn", 0) + 1
            if self.turn % 20 == 0:
                return [self.seen[commands[0][1]]]
        return replies


def test_the_judge_finds_a_client_that_lies(server):
    node = server({}, module=False)
    race = Race(node.port, seed=2, clients=8, native=True, client_type=Liar)
    with pytest.raises(Wrong, match="stale|no key"):
        asyncio.run(race.run(30))


def test_a_value_overwritten_before_the_read_is_stale():
    key = Key()
    for version in (1, 2):
        key.end(key.begin(version))
    assert "stale" in key.complaint(1, key.frontier)
    assert key.complaint(2, key.frontier) is None


def test_concurrent_writes_may_be_read_in_either_order():
    key = Key()
    first, second = key.begin(1), key.begin(2)
    key.end(second)
    key.end(first)
    assert key.complaint(1, key.frontier) is None and key.complaint(2, key.frontier) is None


def test_a_read_that_began_before_may_return_the_older_value():
    key = Key()
    key.end(key.begin(1))
    frontier = key.frontier
    key.end(key.begin(2))
    assert key.complaint(1, frontier) is None


def test_absence_needs_a_removal():
    key = Key()
    assert key.complaint(None, key.frontier) is None
    key.end(key.begin(1))
    assert "no key" in key.complaint(None, key.frontier)
    removal = key.begin(None)
    assert key.complaint(None, key.frontier) is None
    key.end(removal, happened=False)
    assert "no key" in key.complaint(None, key.frontier)


def test_a_value_of_another_key_is_foreign():
    key = Key()
    key.end(key.begin(1))
    assert "foreign" in key.complaint(7, key.frontier)
