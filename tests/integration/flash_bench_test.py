"""flash-bench against real servers: every type, what it checks, what it counts, how it ends."""

import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from conftest import MODULE, ROOT, SLOWDOWN, wait_until
from harness.cluster import Cluster, single_node
from harness.tls import TlsServer, certificate

BENCH = ROOT / "build" / "flash-bench"
TYPES = ("string", "hash", "list", "zset")


def start(node, *args, env=None):
    scheme = "valkeys" if isinstance(node, TlsServer) else "valkey"
    return subprocess.Popen(
        [BENCH, f"{scheme}://127.0.0.1:{node.port}", *map(str, args)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})


def end_of(process):
    """(exit status, standard output, standard error)"""
    out, err = process.communicate(timeout=120 * SLOWDOWN)
    return process.returncode, out, err


def dies_under_load(node, *args):
    """The server is gone in the middle: the status says so, and there is a report of before."""
    process = start(node, *args, "--keys", 100, "--duration", "1h", "--quiet")
    wait_until(lambda: node.info("stats")["total_commands_processed"] > 2000, 20, "the load")
    node.kill()
    status, out, _ = end_of(process)
    assert status == 3
    assert "ended early" in out


def figures(node, tmp_path, *args, status=0, duration="2s"):
    """The JSON report of one run."""
    file = tmp_path / "report.json"
    got, out, err = end_of(start(node, "--keys", 500, "--connections", 8, "--duration", duration,
                                 "--quiet", "--json", file, *args))
    assert got == status, out + err
    return json.loads(file.read_text())


@pytest.fixture
def small(server):
    """A server whose cache holds a part of what the tests write."""
    return server({"flash.cache-size-bytes": "1mb"})


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_with_flash_and_native_commands_and_every_answer_right(small, tmp_path, kind):
    report = figures(small, tmp_path, "--type", kind, "--verify", "--commands", "both", "--reads",
                     0.5, "--value-bytes", 4000 if kind == "string" else 400)
    assert [side["name"] for side in report["sides"]] == ["flash", "native"]
    for side in report["sides"]:
        assert side["checked"] > 100 and side["wrong"] == 0 and side["errors"] == {}
        assert side["reads"]["count"] > 0 and side["writes"]["count"] > 0
        total = sum(stretch["count"] for stretch in side["stretches"])
        assert total == side["reads"]["count"] + side["writes"]["count"]
        assert side["samples"][-1]["used_memory_bytes"] > 1_000_000
    assert report["sides"][0]["samples"][-1]["tier_written_bytes"] > 0
    assert report["sides"][1]["samples"][-1]["cache_bytes"] == 0
    assert small.client.dbsize() == 0  # It takes away what it made.


@pytest.mark.parametrize("pattern", ["uniform", "scan", "mixed"])
def test_every_pattern(small, tmp_path, pattern):
    side = figures(small, tmp_path, "--pattern", pattern, "--verify")["sides"][0]
    assert side["checked"] > 100 and side["wrong"] == 0


def test_a_wrong_answer_is_found_and_named(small, tmp_path):
    process = start(small, "--keys", 50, "--connections", 4, "--duration", "4s", "--verify",
                    "--quiet", "--reads", 0.9)
    client = small.connect()
    wait_until(lambda: client.execute_command("FLASH.GET", "bench:7"), 20, "the keys")
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        client.execute_command("FLASH.SET", "bench:7", client.execute_command(
            "FLASH.GET", "bench:8") or b"")
    status, out, err = end_of(process)
    assert status == 6, out + err
    assert re.search(r"\d+ answers checked, [1-9]\d* wrong", out)
    assert "WRONG FLASH.GET bench:7" in out


def stalled(node, tmp_path, *args):
    """A run in whose midst the server stands still for a second."""
    asleep = threading.Timer(1.5, lambda: node.connect().execute_command("DEBUG", "SLEEP", "1"))
    asleep.start()
    try:
        return figures(node, tmp_path, "--reads", 1, *args, duration="4s")["sides"][0]
    finally:
        asleep.join()


def test_an_open_loop_charges_a_stall_for_all_that_waited(small, tmp_path):
    side = stalled(small, tmp_path, "--rate", 1000)
    # A quarter of four seconds: those due within the stall waited for half of it on average.
    assert side["reads"]["p90_us"] > 300_000
    assert side["reads"]["count"] + side["unsent"] == pytest.approx(4000, abs=20)


def test_a_closed_loop_counts_only_those_in_flight(small, tmp_path):
    side = stalled(small, tmp_path)
    assert side["reads"]["max_us"] > 900_000
    slow = side["reads"]["count"] * 0.01
    assert slow > 8  # More than the connections, so that p99 does not see the stall.
    assert side["reads"]["p99_us"] < 300_000


def test_the_rate_of_an_open_loop_is_kept(small, tmp_path):
    side = figures(small, tmp_path, "--rate", 500, "--threads", 3)["sides"][0]
    assert side["reads"]["count"] + side["writes"]["count"] == pytest.approx(1000, abs=5)


def test_who_cannot_keep_the_rate_says_so(small, tmp_path):
    side = figures(small, tmp_path, "--rate", 3_000_000, "--depth", 1)["sides"][0]
    assert side["unsent"] > 100_000


def test_ctrl_c_gives_a_report_and_takes_the_keys_away(small):
    process = start(small, "--keys", 100, "--duration", "1h", "--quiet")
    wait_until(lambda: small.info("stats")["total_commands_processed"] > 2000, 20, "the load")
    process.send_signal(signal.SIGINT)
    status, out, err = end_of(process)
    assert status == 130, err
    assert "operations a second" in out
    assert small.client.dbsize() == 0


def test_a_server_that_dies_gives_a_report_of_what_was_before(small):
    dies_under_load(small)


def test_keys_can_be_kept_and_used_again(small, tmp_path):
    figures(small, tmp_path, "--keep")
    assert small.client.dbsize() == 500
    side = figures(small, tmp_path, "--no-fill", "--reads", 1)["sides"][0]
    assert side["fill_sec"] == 0 and side["reads"]["count"] > 100
    assert small.client.dbsize() == 0


def test_errors_are_counted_by_their_first_word(server, tmp_path):
    node = server({"maxmemory": "1gb"})
    changed = threading.Timer(1, lambda: node.connect().config_set("maxmemory", 1))
    changed.start()
    side = figures(node, tmp_path, "--reads", 0.5)["sides"][0]
    changed.join()
    assert side["errors"]["OOM"] > 0


def test_the_html_needs_nothing_else_and_shows_no_password(server, tmp_path):
    node = server()
    node.call("CONFIG", "SET", "requirepass", "topsecret")
    page = tmp_path / "report.html"
    done = subprocess.run(
        [BENCH, f"valkey://:topsecret@127.0.0.1:{node.port}", "--keys", "100", "--duration", "2s",
         "--quiet", "--html", page, "--reads", "0.5"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "topsecret" not in text + done.stdout
    assert text.count("<svg") >= 4 and "<script" not in text and "http" not in text
    wrong = subprocess.run([BENCH, f"valkey://:no@127.0.0.1:{node.port}", "--quiet"],
                           capture_output=True, text=True, check=False)
    assert wrong.returncode == 4
    right = start(node, "--keys", 10, "--duration", "1s", "--quiet",
                  env={"FLASH_BENCH_PASSWORD": "topsecret"})
    assert end_of(right)[0] == 0


@pytest.fixture
def encrypted(tmp_path):
    """A server that takes clients over TLS alone, and only those with a certificate."""
    certificate(tmp_path, "ca")
    certificate(tmp_path, "server", issuer="ca")
    certificate(tmp_path, "client", issuer="ca")
    settings = {"tls-cert-file": tmp_path / "server.crt", "tls-key-file": tmp_path / "server.key",
                "tls-ca-cert-file": tmp_path / "ca.crt", "tls-auth-clients": "optional",
                "flash.cache-size-bytes": "1mb"}
    made = TlsServer(tmp_path / "tls", settings, MODULE, (), ())
    made.start()
    made.call("CONFIG", "SET", "tls-auth-clients", "yes")
    made.trusted = ("--cacert", tmp_path / "ca.crt", "--cert", tmp_path / "client.crt",
                    "--key", tmp_path / "client.key")
    yield made
    if made.alive():
        made.kill()


@pytest.mark.parametrize("kind", ["string", "hash"])
def test_tls_and_every_answer_right(encrypted, tmp_path, kind):
    """Values of several TLS records, many in flight: what a record holds beyond a read counts."""
    several = ("--elements" if kind == "hash" else "--depth", 4)
    side = figures(encrypted, tmp_path, *encrypted.trusted, "--type", kind, "--verify", "--reads",
                   0.5, "--value-bytes", 20_000, "--compressible", 0, *several)["sides"][0]
    assert side["checked"] > 50 and side["wrong"] == 0 and side["errors"] == {}


def test_tls_in_an_open_loop_keeps_the_rate(encrypted, tmp_path):
    side = figures(encrypted, tmp_path, *encrypted.trusted, "--rate", 300)["sides"][0]
    assert side["reads"]["count"] + side["writes"]["count"] == pytest.approx(600, abs=5)


def test_certificates_are_checked(encrypted, tmp_path):
    status, _, err = end_of(start(encrypted, "--quiet"))
    assert status == 4 and "certificate" in err
    trusted = encrypted.trusted
    status, _, err = end_of(start(encrypted, "--quiet", *trusted, "--tls-name", "other.example"))
    assert status == 4 and "certificate" in err
    status, _, err = end_of(start(encrypted, "--quiet", *trusted[:2]))  # Without one of its own.
    assert status == 3, err
    side = figures(encrypted, tmp_path, "--insecure", *trusted[2:])["sides"][0]
    assert side["reads"]["count"] > 0


def test_a_server_with_tls_that_dies_gives_a_report_of_what_was_before(encrypted):
    dies_under_load(encrypted, *encrypted.trusted)


def test_a_cluster_gets_every_key_where_it_belongs(server, tmp_path):
    cluster = Cluster(server, replicated=False, settings={"flash.cache-size-bytes": "1mb"})
    report = figures(cluster.primaries[1], tmp_path, "--verify", "--commands", "both",
                     "--reads", 0.5, "--value-bytes", 4000, "--keep")
    assert "cluster of 3 primaries" in report["server"]
    for side in report["sides"]:
        assert side["checked"] > 100 and side["wrong"] == 0 and side["errors"] == {}
    sizes = [node.client.dbsize() for node in cluster.primaries]
    assert sum(sizes) == 500 and min(sizes) > 100
    # What the server says of itself is of all three.
    used = [node.info("memory")["used_memory"] for node in cluster.primaries]
    assert report["sides"][-1]["samples"][-1]["used_memory_bytes"] > 2 * max(used)
    figures(cluster.primaries[2], tmp_path, "--no-fill", "--reads", 1, "--commands", "native")
    assert [node.client.dbsize() for node in cluster.primaries] == [0, 0, 0]


def test_a_cluster_with_slots_that_nobody_has_is_refused(server):
    node = single_node(server, slots=10_000)
    status, _, err = end_of(start(node, "--quiet"))
    assert status == 4 and "6384 slots of the cluster have no primary" in err


@pytest.mark.parametrize("args, says", [
    (["--cert", "/dev/null"], "--key"), (["--cacert", "/nowhere"], "--cacert"),
    (["--type", "set"], "--type"), (["--pattern", "none"], "--pattern"),
    (["--elements", "3"], "--elements"), (["--commands", "some"], "--commands"),
    (["--duration", "0s"], "--duration"), (["--verify", "--no-fill"], "--verify"),
    (["--verify", "--keys", "3"], "--verify"), (["--value-bytes", "3"], "--value-bytes")])
def test_a_wrong_command_line_is_refused(args, says):
    done = subprocess.run([BENCH, "valkey://127.0.0.1:1", *args], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and says in done.stderr


def test_no_server_and_no_module(server):
    done = subprocess.run([BENCH, "valkey://127.0.0.1:1"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 3
    status, _, err = end_of(start(server(module=False), "--quiet"))
    assert status == 4 and "--commands native" in err
