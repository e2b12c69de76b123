"""Blocking commands under many clients: every pushed element is popped exactly once.

`waits --seconds 60 --clients 200` is the long run. The judge is tested too: on ledgers whose
verdict is known, on a server without the module, and with a client that lies.
"""

import asyncio
import os

import pytest

from races.client import Client
from waits import __main__ as program
from waits import storm
from waits.ledger import Ledger, Wrong, element

SECONDS = float(os.environ.get("FLASH_WAITS_SEC", "6"))
CLIENTS = 200


def test_every_pushed_element_is_popped_exactly_once(server):
    primary, replica = server(program.SETTINGS), server(program.SETTINGS)
    made = program.run(primary, replica, SECONDS, clients=CLIENTS)
    for what in ("blpop", "brpop", "blmove", "bzpopmin", "bzpopmax"):
        assert made.counts["flash." + what] > 0
    assert made.counts["timed out"] and made.counts["left"] and made.counts["pauses"]
    info = primary.info("flash")
    assert info["flash_cache_misses"] > 0, "the storm was not about cold keys"
    assert info["flash_parked_clients"] == 0


def test_the_judge_accepts_native_commands(server):
    primary, replica = server({}, module=False), server({}, module=False)
    made = program.run(primary, replica, 2, clients=60, native=True)
    assert len(made.ledger.popped) > 20


class Liar(Client):
    """Answers one pop in fifty with what it popped before."""

    async def call(self, *args):
        reply = await super().call(*args)
        if args[0] == "BLPOP" and reply:
            self.turn = getattr(self, "turn", 0) + 1
            self.first = getattr(self, "first", reply)
            if self.turn % 50 == 0:
                return self.first
        return reply


def test_the_judge_finds_a_client_that_lies(server, monkeypatch):
    monkeypatch.setattr(storm, "Client", Liar)
    primary = server({}, module=False)
    with pytest.raises(Wrong, match="and again by BLPOP|served from"):
        asyncio.run(storm.Storm(primary.port, 1, 12, native=True).run(30))


def test_verdicts():
    ledger, first, second = Ledger(), element(b"e1", 50), element(b"e2", 5)
    ledger.push([first, second])
    ledger.pop(first, "BLPOP")
    with pytest.raises(Wrong, match="1 of 2 elements never popped"):
        ledger.close()
    with pytest.raises(Wrong, match="again"):
        ledger.pop(first, "BRPOP")
    with pytest.raises(Wrong, match="nobody pushed"):
        ledger.pop(element(b"e3", 5), "BLPOP")
    with pytest.raises(Wrong, match="other bytes"):
        ledger.pop(second[:-1] + b"3", "BLPOP")
    ledger.left_while_popping = 1
    assert ledger.close() == 1
