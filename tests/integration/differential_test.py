"""FLASH commands and generic commands answer, byte for byte, as native ones do.

The generator and its tables are in differential/; `differential --ops 100000` is the long run.
Every generation of the server does FLASH_DIFFERENTIAL_OPS operations of each table in one go. Two
tests here are of the test itself: it finds no difference between native and native, and it
does find one that was put in.
"""

import os

import pytest

from differential import __main__ as program
from differential.core import Difference, Runner, Side, report
from differential.generator import Generator

OPS = int(os.environ.get("FLASH_DIFFERENTIAL_OPS", "10000"))


def no_difference(node, seed, ops, **options):
    try:
        program.run(node, seed, ops, **options)
    except Difference as difference:
        pytest.fail(report(difference.runner, difference, seed, minimise_sec=30), pytrace=False)


@pytest.mark.parametrize("families", program.TABLES.values(), ids=program.TABLES)
def test_flash_answers_as_native_does(server, families):
    no_difference(server(program.SETTINGS), 1, OPS, every=1000, families=families)


@pytest.mark.parametrize("families", program.TABLES.values(), ids=program.TABLES)
def test_flash_answers_as_native_does_with_a_replica_and_aof(server, families):
    primary = server({**program.SETTINGS, "appendonly": "yes", "appendfsync": "no"})
    replica = server({**program.SETTINGS, "replica-read-only": "yes",
                      "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    no_difference(primary, 3, OPS // 4, every=1000, restart=False, families=families)
    replica.wait_for_offset_of(primary)
    state_is_the_same(replica)
    replica.stop()
    primary.restart()  # From the AOF.
    state_is_the_same(primary)


def state_is_the_same(node):
    runner = Runner(node.port)
    runner.step(program.checks.WholeState())
    runner.close()


def test_native_does_not_differ_from_native(server):
    node = server({"databases": "16"}, module=False)
    no_difference(node, 4, 2000, native=True, every=1000)


class ForgetfulSide(Side):
    """A side that loses every time to live given by SET."""

    def words(self, args):
        words = super().words(args)
        if words[0] == "SET":
            words = [word for word in words if word not in ("KEEPTTL", "Keepttl", "keepttl")]
        return words


def test_a_difference_is_found_and_made_small(server):
    node = server({"databases": "16"}, module=False)
    runner = Runner(node.port, native=True)
    runner.flash = ForgetfulSide(node.port, native=True, offset=0)
    runner.sides = (runner.flash, runner.native)
    with pytest.raises(Difference) as caught:
        runner.run(Generator(5, program.FAMILIES), 20_000)
    text = report(runner, caught.value, 5)
    assert "seed 5: operation" in text
    ops, found = runner.minimise(30)
    assert found and len(ops) <= 4, text
    runner.close()
