"""A short slice of the failure harness; hours of it: make failure-test ARGS='--seconds 3600'.

And the harness itself: clients that believe what WAIT did not say must be told wrong.
"""

import pytest

from failures import acts
from failures.__main__ import play
from failures.cluster_world import ClusterWorld
from failures.load import Load, Wrong
from harness import network

MISSING = network.missing()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"no network: {MISSING}")]

# Those that last are left to the program.
LONG = {"primary_cut_off", "replica_cut_off", "replica_cut_off_during_full_sync"}
SHORT = [act.__name__ for act in acts.ACTS if act.__name__ not in LONG]


@pytest.mark.parametrize("tier, seed", [("yes", 1), ("no", 2)])
def test_what_was_confirmed_outlives_failures(tmp_path, tier, seed):
    load, world = play(tmp_path, seed, SHORT, tier=tier)
    assert load["writes"] > 1000 and load["reads"] > 1000 and load["confirmed"] > 300
    assert world["kills"] >= 5 and world["failovers"] >= 2
    assert world["cold keys at the end"] > 500, "this was not about cold keys"
    assert ("replicas with tier none" in world) == (tier == "no"), world


class Gullible(Load):
    """Takes every write for confirmed."""

    async def _wait(self, link):
        for key, event in link.unconfirmed:
            key.confirm(event)


def test_the_harness_finds_what_is_lost(tmp_path):
    names = ["primary_cut_off_and_replaced"] * 5
    with pytest.raises(Wrong, match="lost|no key"):
        play(tmp_path, 3, names, load=Gullible)


def test_links_cut_inside_a_cluster(tmp_path):
    """Its primaries are cut off for longer than cluster-node-timeout, and come back as replicas.

    Without a tier while they are replicas, which is the default. With slots on the move, on servers
    that move them: slot_migration_cuts_test.py.
    """
    names = ["primary_isolated_and_replaced", "primary_isolated_that_wants_a_replica",
             "replica_isolated"]
    load, world = play(tmp_path, 4, names, tier="no", kind=ClusterWorld)
    assert load["writes"] > 500 and load["confirmed"] > 200
    assert world["failovers"] >= 2
    assert load["lost unconfirmed"] > 0, "nobody wrote to a primary that was cut off"
    assert world["cold keys at the end"] > 0
