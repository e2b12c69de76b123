"""A short slice of the crash harness; hours of it: make crash-test ARGS='--kills 1000'.

And the harness itself: servers that leave out a safeguard must be caught.
"""

import asyncio

import pytest

from crash.__main__ import Crashes, options_of
from crash.reader import read_all
from harness.log_device import LogFault

KILLS = "4"


def complaints(tmp_path, *words):
    crashes = Crashes(options_of(["--seed", "7", *words]), tmp_path / "server")
    try:
        return crashes.run()
    finally:
        crashes.node.kill()


@pytest.mark.parametrize("words", [
    "--depth 8", "--depth 16 --io-threads 2 --before-us 5000", "--depth 1 --after-us 5000",
    "--aof yes --depth 8", "--leaving --depth 8", "--evict --depth 16",
    "--sync everysec --depth 16"])
def test_what_was_acknowledged_is_there(tmp_path, words):
    assert complaints(tmp_path, "--kills", KILLS, *words.split()) == []


@pytest.mark.parametrize("words", [
    "--break position", "--break commit --before-us 20000",
    "--break h3 --io-threads 2 --before-us 20000"])
def test_a_safeguard_left_out_is_noticed(tmp_path, words):
    assert complaints(tmp_path, "--kills", "25", *words.split()) != []


def test_more_than_a_second_lost_is_noticed(tmp_path):
    """A log that begins and then takes nothing: `everysec` must not lose so much unnoticed."""
    words = ("--sync", "everysec", "--kills", "1", "--least-ms", "2500", "--run-ms", "2600")
    crashes = Crashes(options_of(["--seed", "7", *words]), tmp_path / "server")
    fault = LogFault(crashes.node)
    try:
        crashes.node.start()
        fault.begin("hang")
        asyncio.run(crashes.live_and_die())
        fault.end()
        crashes.node.start()
        assert [line for writer in crashes.writers for line in writer.judge(
            read_all(crashes.node, writer.keys), crashes.died_at)] != []
    finally:
        crashes.node.kill()
