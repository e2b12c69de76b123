"""A node dies or stands still while valkey-cli moves slots under load: nothing is lost.

The nodes keep a log and wait for it, so that whoever died comes back with what it had. What was on
its way is put in order by `valkey-cli --cluster fix`, as an operator does it.
"""

import os
import random
import signal
import subprocess
import time

import pytest

from conftest import LOGGED, wait_until
from harness.cluster import CLI, Cluster, cluster_cli, owned_slots
from harness.slot_writers import SMALL, Writers

pytestmark = pytest.mark.slow
SLOTS = 400


def begin(source, target, log):
    """valkey-cli that moves slots, in the background; what it says goes to `log`."""
    return subprocess.Popen(
        [CLI, "--cluster", "reshard", f"127.0.0.1:{source.port}",
         "--cluster-from", source.call("CLUSTER", "MYID").decode(),
         "--cluster-to", target.call("CLUSTER", "MYID").decode(),
         "--cluster-slots", str(SLOTS), "--cluster-yes"],
        stdin=subprocess.DEVNULL, stdout=log.open("wb"), stderr=subprocess.STDOUT,
        start_new_session=True)


def kill(node):
    node.kill()
    node.start()


def stop(node):
    node.process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    node.process.send_signal(signal.SIGCONT)


def put_in_order(cluster):
    """Every slot has one owner again, and nobody thinks one is on the move."""
    cluster.wait_until_up()
    wait_until(lambda: all(node.client.cluster("info")["cluster_slots_ok"] == "16384"
                           for node in cluster.nodes), 90, "all slots")
    for _ in range(3):
        cluster_cli("fix", f"127.0.0.1:{cluster.nodes[0].port}", "--cluster-yes", timeout=300)
    cluster_cli("check", f"127.0.0.1:{cluster.nodes[0].port}")


@pytest.mark.parametrize("fail", [kill, stop], ids=lambda fail: fail.__name__)
@pytest.mark.parametrize("which", ["source", "target"])
def test_slots_on_the_move_survive(server, tmp_path, which, fail):
    cluster = Cluster(server, primaries=3, replicated=False, settings={
        **SMALL, **LOGGED, "cluster-require-full-coverage": "no"})
    rng = random.Random(which + fail.__name__)
    writers = Writers(cluster, rng)
    source, target = cluster.primaries[:2]
    held = len(owned_slots(source))
    victim = source if which == "source" else target
    said = tmp_path / "reshard.log"
    with writers.at_work():
        moving = begin(source, target, said)
        try:
            wait_until(lambda: moving.poll() is not None
                       or len(owned_slots(source)) < held - SLOTS // 8, 90, "slots to move")
            assert moving.poll() is None, said.read_text()[-2000:]
            time.sleep(rng.uniform(0, 0.5))
            fail(victim)
            moving.wait(300)
            put_in_order(cluster)
            writers.go_on()
        finally:
            if moving.poll() is None:
                os.kill(moving.pid, signal.SIGKILL)
                moving.wait()
    writers.expect_all()
