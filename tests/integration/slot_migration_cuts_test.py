"""Links cut while a slot moves atomically, judged by the histories of its clients: failures/.

Skipped where the server has no such migration (before 9.0), or networks cannot be made.
"""

import pytest

from conftest import SERVER_BINARY
from failures import cluster_acts
from failures.__main__ import play
from failures.cluster_world import ClusterWorld
from harness import network

MISSING = network.missing()
NAMES = [act.__name__ for act in cluster_acts.MIGRATIONS]
pytestmark = [
    pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"no network: {MISSING}"),
    pytest.mark.skipif(NAMES[0] not in cluster_acts.those_for(SERVER_BINARY),
                       reason="this server has no atomic slot migration")]


def test_source_and_target_are_cut_off_while_the_slot_moves(tmp_path):
    load, world = play(tmp_path, 5, NAMES, tier="no", kind=ClusterWorld)
    assert load["writes"] > 300 and load["confirmed"] > 100
    assert world["migrations begun"] == 2 and world["failovers"] >= 1
