"""flash-sizer against real servers: permissions, TLS, a cluster, policies, Ctrl-C, errors."""

import json
import os
import re
import signal
import subprocess
import threading

import pytest
import redis

from conftest import ROOT, SLOWDOWN, free_port, wait_until
from harness.cluster import PARTIAL
from harness.tls import TlsServer, certificate

SIZER = ROOT / "build" / "flash-sizer"
KEYS = 3000

# docs/sizing.md has this line; a test below compares.
PERMISSIONS = ("resetchannels -@all %R~* +scan +memory|usage +object|idletime +object|freq "
               "+object|encoding +type +info +cluster|slots +select")
NEEDED = "resetchannels -@all %R~* +scan +memory|usage +object|idletime +object|freq"

# What may appear in MONITOR, besides what the test itself sends.
ALLOWED = {"auth", "select", "info", "scan", "memory usage", "object idletime", "object freq",
           "object encoding", "type", "cluster slots"}


def run(*args, env=None):
    """One run to its end: (exit status, report on stdout, stderr)."""
    done = subprocess.run([SIZER, *map(str, args)], capture_output=True, text=True, check=False,
                          timeout=120 * SLOWDOWN, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


def sized(tmp_path, *args, env=None):
    """A run that must succeed; the JSON report."""
    out = tmp_path / "report.json"
    status, markdown, errors = run(*args, "--json", out, "--seed", 7, env=env)
    assert status == 0, errors
    assert markdown.startswith("# flash-sizer: ")
    return json.loads(out.read_text())


def fill(client, keys=KEYS, prefix="item:"):
    pipe = client.pipeline(transaction=False)
    for n in range(keys):
        pipe.set(f"{prefix}{n}", b"v" * (200 + n % 500))
    pipe.execute()


def url(server, credentials="", scheme="valkey", path=""):
    return f"{scheme}://{credentials}127.0.0.1:{server.port}{path}"


@pytest.fixture
def plain(server):
    """A server without the module and some keys."""
    made = server(module=False)
    fill(made.client)
    return made


def test_every_type_database_and_form(server, tmp_path):
    made = server()
    fill(made.client)
    made.client.hset("user:1", mapping={f"f{n}": "x" * 50 for n in range(20)})
    made.client.rpush("queue:1", *["x" * 50] * 20)
    made.client.zadd("board:1", {f"member-{n}": n for n in range(40)})
    made.client.sadd("tags:1", *range(50))
    made.client.xadd("log:1", {"a": "b"})
    made.call("FLASH.SET", "cold:1", "x" * 500)
    fill(made.connect(db=3), 100, "other:")
    html = tmp_path / "report.html"
    report = sized(tmp_path, url(made), "--html", html, "--ram-price", 4, "--flash-price", 0.1)
    rows = {row["name"]: row for row in report["types"]}
    assert {name: row["sampled_keys"] for name, row in rows.items()} == {
        "string": KEYS + 100, "hash": 1, "list": 1, "sorted set": 1, "set": 1, "stream": 1,
        "FLASH types": 1}
    for name in ("set", "stream", "FLASH types"):
        assert rows[name]["fixed_bytes"] == rows[name]["bytes"] > 0
    assert report["complete"] and report["keys"] == KEYS + 106
    assert report["servers"][0]["runs_valkey_flash"] is True
    assert report["verdict"] == "not worth it"  # Some megabytes fit anywhere.
    assert {row["name"] for row in report["prefixes"]} >= {"item:*", "other:*", "user:*"}
    assert html.read_text().count("<svg") == 5
    only = sized(tmp_path, url(made, path="/3"))
    assert only["keys"] == 100


def test_bytes_are_those_of_memory_usage(plain, tmp_path):
    names = plain.client.keys()
    truth = sum(plain.client.memory_usage(name) for name in names)
    assert sized(tmp_path, url(plain))["bytes"] == truth
    sample = sized(tmp_path, url(plain), "--keys", 600)
    assert sample["sampled_keys"] == 600 and not sample["complete"]
    assert sample["bytes"] == pytest.approx(truth, rel=0.1)


def test_cold_is_what_has_been_idle(server, tmp_path):
    made = server(module=False)
    fill(made.client, 200, "old:")
    wait_until(lambda: made.client.object("idletime", "old:0") >= 3, what="keys to have been idle")
    fill(made.client, 200, "new:")
    report = sized(tmp_path, url(made), "--cold-after", "3s")
    rows = {row["name"]: row for row in report["prefixes"]}
    assert rows["old:*"]["cold_share"]["value"] == 1
    # Sampling itself is no use of a key: the old ones are as idle as before.
    assert made.client.object("idletime", "old:0") >= 3
    assert report["cold_after_sec"] == 3


def test_lfu_is_judged_by_the_counter(server, tmp_path):
    made = server({"maxmemory-policy": "allkeys-lfu", "lfu-log-factor": "0"}, module=False)
    fill(made.client, 100, "rare:")
    fill(made.client, 100, "busy:")
    pipe = made.client.pipeline(transaction=False)
    for _ in range(20):
        for n in range(100):
            pipe.get(f"busy:{n}")
    pipe.execute()
    report = sized(tmp_path, url(made), "--cold-frequency", 8)
    assert report["heat"] == "frequency"
    shares = {row["name"]: row["cold_share"]["value"] for row in report["prefixes"]}
    assert shares == {"rare:*": 1, "busy:*": 0}


def make_user(server, rules):
    server.call("ACL", "SETUSER", "sizer", "on", ">secret", *rules.split())


def test_the_documented_permissions_suffice(plain, tmp_path):
    make_user(plain, PERMISSIONS)
    assert f"ACL SETUSER sizer on >PASSWORD {PERMISSIONS}" in (
        ROOT / "docs" / "sizing.md").read_text()
    report = sized(tmp_path, url(plain, "sizer:secret@"))
    assert report["complete"] and report["notes"] == []
    by_environment = sized(tmp_path, url(plain), "--user", "sizer",
                           env={"FLASH_SIZER_PASSWORD": "secret"})
    assert by_environment["bytes"] == report["bytes"]


def test_fewer_permissions_give_less_of_a_report(plain, tmp_path):
    make_user(plain, NEEDED)
    fill(plain.client, 20_000)
    report = sized(tmp_path, url(plain, "sizer:secret@"), "--keys", 2000)
    assert report["keys"] == pytest.approx(20_000, rel=0.2)  # Counted from the cursors.
    assert report["sizing"]["not_keys_bytes"] is None
    assert any("INFO is not permitted" in note for note in report["notes"])
    assert any("Neither TYPE nor" in note for note in report["notes"])
    assert [row["name"] for row in report["types"]] == ["unknown"]


@pytest.mark.parametrize("missing, named", [
    ("-scan", "SCAN"), ("-memory|usage", "MEMORY USAGE"), ("-object|idletime", "OBJECT IDLETIME")])
def test_a_missing_permission_is_named(plain, missing, named):
    make_user(plain, f"{PERMISSIONS} {missing}")
    status, _, errors = run(url(plain, "sizer:secret@"))
    assert status == 4
    assert f"{named} was refused: NOPERM" in errors


def test_only_reading_commands_are_sent(plain, tmp_path):
    seen, ready = [], threading.Event()
    watcher = plain.connect()

    def watch():
        with watcher.monitor() as monitor:
            ready.set()
            for entry in monitor.listen():
                words = entry["command"].lower().split()
                if words[:2] == ["echo", "end"]:
                    return
                name = words[0]
                if name in ("memory", "object", "cluster"):
                    name += " " + words[1]
                seen.append(name)

    thread = threading.Thread(target=watch)
    thread.start()
    assert ready.wait(30)
    before = plain.client.debug_object("item:0")["lru"]
    sized(tmp_path, url(plain), "--keys", 500)
    plain.call("ECHO", "end")
    thread.join(30)
    assert not thread.is_alive()
    extra = {"debug"}  # The test's own.
    assert set(seen) - extra <= ALLOWED
    assert seen.count("memory usage") == 500
    assert plain.client.debug_object("item:0")["lru"] == before
    assert plain.client.info("persistence")["rdb_changes_since_last_save"] == KEYS


def test_every_primary_of_a_cluster(server, tmp_path):
    nodes = [server({**PARTIAL, "cluster-port": free_port()}, module=False) for _ in range(3)]
    bounds = [0, 5461, 10923, 16384]
    for n, node in enumerate(nodes):
        node.call("CLUSTER", "ADDSLOTSRANGE", bounds[n], bounds[n + 1] - 1)
        if n:
            nodes[0].call("CLUSTER", "MEET", "127.0.0.1", node.port, node.settings["cluster-port"])
    wait_until(lambda: all(node.client.cluster("info")["cluster_state"] == "ok"
                           and node.client.cluster("info")["cluster_known_nodes"] == "3"
                           and node.client.cluster("info")["cluster_slots_ok"] == "16384"
                           for node in nodes), 60, "the cluster to be up")
    client = redis.RedisCluster(host="127.0.0.1", port=nodes[0].port)
    pipe = client.pipeline()
    for n in range(9000):
        pipe.set(f"item:{n}", b"v" * (200 + n % 300))
    pipe.execute()
    client.close()
    truth = [node.client.dbsize() for node in nodes]
    whole = sized(tmp_path, url(nodes[1]))
    assert whole["complete"] and whole["keys"] == sum(truth) == 9000
    assert sorted(row["name"] for row in whole["servers"]) == sorted(
        f"127.0.0.1:{node.port}" for node in nodes)
    some = sized(tmp_path, url(nodes[2]), "--keys", 900)
    assert 850 <= some["sampled_keys"] <= 900
    assert some["bytes"] == pytest.approx(whole["bytes"], rel=0.05)


def test_tls(tmp_path):
    certificate(tmp_path, "ca")
    certificate(tmp_path, "server", "ca")
    certificate(tmp_path, "client", "ca")
    certificate(tmp_path, "stranger")
    settings = {"tls-cert-file": tmp_path / "server.crt", "tls-key-file": tmp_path / "server.key",
                "tls-ca-cert-file": tmp_path / "ca.crt", "tls-auth-clients": "optional",
                "requirepass": ""}
    made = TlsServer(tmp_path / "tls", settings, None, (), ())
    made.start()
    try:
        fill(made.client, 500)
        secure = url(made, scheme="valkeys")
        trusted = ("--cacert", tmp_path / "ca.crt")
        assert sized(tmp_path, secure, *trusted)["keys"] == 500
        assert sized(tmp_path, secure, "--insecure")["keys"] == 500
        status, _, errors = run(secure)
        assert status == 4 and "certificate" in errors
        status, _, errors = run(secure, "--cacert", tmp_path / "stranger.crt")
        assert status == 4 and "certificate" in errors
        status, _, errors = run(secure, *trusted, "--tls-name", "other.example")
        assert status == 4 and "mismatch" in errors
        status, _, _ = run(url(made))  # Plain, where TLS is spoken.
        assert status == 3
        made.client.config_set("tls-auth-clients", "yes")
        assert run(secure, *trusted)[0] == 3
        mine = ("--cert", tmp_path / "client.crt", "--key", tmp_path / "client.key")
        assert sized(tmp_path, secure, *trusted, *mine)["keys"] == 500
    finally:
        made.stop()


def test_ctrl_c_gives_the_report_so_far(server, tmp_path):
    made = server(module=False)
    fill(made.client, 20_000)
    out = tmp_path / "report.json"
    process = subprocess.Popen([SIZER, url(made), "--rate", "300", "--json", str(out)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        calls = lambda: made.info("commandstats").get("cmdstat_memory|usage", {}).get("calls", 0)
        wait_until(lambda: calls() >= 100, 60, "some keys to be sampled")
        process.send_signal(signal.SIGINT)
        markdown, _ = process.communicate(timeout=60 * SLOWDOWN)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "the run was ended early" in markdown
    report = json.loads(out.read_text())
    assert report["interrupted"] and not report["complete"]
    assert 100 <= report["sampled_keys"] < 20_000
    assert report["keys"] == 20_000
    assert report["cold_share"]["high"] < 0.1  # All of it is new.


def test_a_server_that_goes_away_leaves_a_report(server, tmp_path):
    made = server(module=False)
    fill(made.client, 20_000)
    process = subprocess.Popen([SIZER, url(made), "--rate", "300"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        calls = lambda: made.info("commandstats").get("cmdstat_memory|usage", {}).get("calls", 0)
        wait_until(lambda: calls() >= 100, 60, "some keys to be sampled")
        made.kill()
        markdown, _ = process.communicate(timeout=60 * SLOWDOWN)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 3
    assert "Sampling ended early" in markdown


def test_progress_is_on_stderr_and_can_be_silenced(plain):
    _, markdown, errors = run(url(plain))
    assert "keys sampled" in errors and "keys sampled" not in markdown
    assert run(url(plain), "--quiet")[2] == ""


def test_errors_and_exit_codes(plain, tmp_path):
    plain.client.config_set("requirepass", "right")
    plain.client.connection_pool.disconnect()
    status, out, errors = run(url(plain, ":wrong@"))
    assert (status, out) == (4, "") and "WRONGPASS" in errors and "wrong@" not in errors
    assert run(url(plain))[0] == 4  # NOAUTH
    assert run(url(plain, ":right@"))[0] == 0
    status, _, errors = run(f"valkey://127.0.0.1:{free_port()}")
    assert status == 3 and "Connection refused" in errors
    status, _, errors = run("valkey://nobody.invalid", "--timeout-ms", 2000)
    assert status == 3 and "cannot connect to nobody.invalid:6379" in errors
    for words in (["127.0.0.1"], [], ["valkey://h", "--keys", 0], ["valkey://h", "--ram-price", 1],
                  ["valkey://h", "--cold-after", "soon"], ["valkey://h", "--no-such-option"]):
        assert run(*words)[0] == 2, words
    assert run(url(plain, ":right@"), "--html", tmp_path / "none" / "report.html")[0] == 5
    assert run("--help")[0] == 0
    assert re.fullmatch(r"flash-sizer \d+\.\d+\.\d+\n", run("--version")[1])


def test_a_silent_server_is_given_up(tmp_path):
    import socket
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        status, _, errors = run(f"valkey://127.0.0.1:{deaf.getsockname()[1]}",
                                "--timeout-ms", 300)
    assert status == 3 and "no answer within 300 ms" in errors


def test_the_binary_needs_no_library():
    headers = subprocess.run(["readelf", "-l", "-d", SIZER], capture_output=True, text=True,
                             check=True).stdout
    assert "NEEDED" not in headers and "INTERP" not in headers
