"""What packaging/monitoring ships, as far as a server alone can tell: the exporter's script, the
permissions it needs, and that dashboard and alerts ask for nothing that does not exist.

With the real exporter and Prometheus: scripts/monitoring-test.
"""

import json
import re
import subprocess

import pytest
import redis
import yaml

from conftest import LOGGED, ROOT, wait_until

FOLDER = ROOT / "packaging" / "monitoring"
SCRIPT = (FOLDER / "flash-metrics.lua").read_text()
PAGE = (ROOT / "docs" / "monitoring.md").read_text()


def metrics(client):
    """What the exporter gets: {name: text}."""
    flat = client.execute_command("EVAL", SCRIPT, 0)
    assert len(flat) % 2 == 0
    names = [name.decode() for name in flat[::2]]
    assert len(set(names)) == len(names)
    return dict(zip(names, (value.decode() for value in flat[1::2])))


def info_fields(client):
    client.set_response_callback("INFO", lambda reply, **_: reply)
    text = client.execute_command("INFO", "flash").decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def test_every_field_becomes_numbers(server):
    node = server(LOGGED)
    node.call("FLASH.SET", "key", "x" * 1000)
    node.call("FLASH.DEBUG.DEMOTE", "key")
    fields = info_fields(node.client)
    given = metrics(node.client)
    for name, value in given.items():
        float(value)
    for field, value in fields.items():
        series = [name for name in given if name == field or name.startswith(field + "_")]
        assert series, f"{field} is left out"
        if re.fullmatch(r"[0-9.]+", value) and field != "flash_version" and "tick" not in field:
            assert given[field] == value, field
    # Nothing is invented either: each series stems from a field.
    for name in given:
        assert name in fields or any(name.startswith(field + "_") for field in fields), name
    assert given["flash_tiered_keys"] == "1"


def test_words_become_a_series_for_each_word_that_they_can_be(server):
    node = server()
    given = metrics(node.client)
    assert (given["flash_module_state_ready"], given["flash_module_state_error"],
            given["flash_module_state_recovering"]) == ("1", "0", "0")
    backend = info_fields(node.client)["flash_io_backend"]
    assert given["flash_io_backend_" + backend] == "1"
    assert int(given["flash_io_backend_uring"]) + int(given["flash_io_backend_threads"]) == 1
    # Every word that docs/info.md knows is listed, so that its series never vanishes.
    row = re.search(r"^\| `flash_wal_base` \|(.*)$", (ROOT / "docs/info.md").read_text(), re.M)
    words = re.findall(r"`(\w+)`:", row.group(1))
    assert len(words) > 4
    for word in words:
        assert given["flash_wal_base_" + word] == ("1" if word == "none" else "0"), word
    major, minor, patch = map(int, info_fields(node.client)["flash_version"].split("."))
    assert int(given["flash_version_number"]) == major * 1_000_000 + minor * 1000 + patch
    assert given["flash_cluster_mode"] == "0"


def documented_user():
    return re.search(r"^ *ACL SETUSER exporter on >PASSWORD (.*)$", PAGE, re.M).group(1).split()


def test_the_documented_user_suffices_and_eval_and_info_are_needed(server):
    node = server()
    rules = documented_user()
    node.call("ACL", "SETUSER", "exporter", "on", ">secret", *rules)
    client = node.connect(username="exporter", password="secret")
    assert "flash_version_number" in metrics(client)
    for needed in ("+eval", "+info"):
        assert needed in rules
        less = [rule for rule in rules if rule != needed]
        node.call("ACL", "SETUSER", "less", "reset", "on", ">secret", *less)
        with pytest.raises(redis.exceptions.ResponseError, match="permission|NOPERM"):
            metrics(node.connect(username="less", password="secret"))
    # It can read and change nothing.
    for command in (("GET", "key"), ("FLASH.GET", "key"), ("SET", "key", "1"), ("FLUSHALL",),
                    ("CONFIG", "SET", "maxmemory", "1"), ("KEYS", "*")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)


def test_it_works_out_of_memory_and_on_a_replica_without_its_primary(server):
    primary = server()
    replica = server({"replica-serve-stale-data": "no"})
    replica.replicate_from(primary)
    primary.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(redis.exceptions.ResponseError, match="OOM|maxmemory"):
        primary.call("SET", "key", "value")
    assert metrics(primary.client)["flash_module_state_ready"] == "1"
    primary.kill()
    wait_until(lambda: replica.info("replication")["master_link_status"] == "down", 30, "the cut")
    assert metrics(replica.client)["flash_module_state_ready"] == "1"


# --- The files --------------------------------------------------------------------------------

def rules():
    return yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]


def panels():
    return json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]


def test_dashboard_and_alerts_ask_for_series_that_exist(server):
    given = metrics(server().client)
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]
    queries += [rule["expr"] for rule in rules()]
    asked = 0
    for query in queries:
        for operator, key in re.findall(r'[{,]key(=~?)"([^"]+)"', query):
            asked += 1
            wanted = re.compile(key if operator == "=~" else re.escape(key))
            assert any(wanted.fullmatch(name) for name in given), query
    assert asked > 60


def test_the_dashboard_is_what_its_script_writes():
    subprocess.run([ROOT / "scripts" / "gen-dashboard", "--check"], check=True)


def test_every_alert_is_explained_and_every_explained_alert_exists():
    named = [rule["alert"] for rule in rules()]
    assert len(set(named)) == len(named)
    assert set(re.findall(r"^\| `(Flash\w+)` \|", PAGE, re.M)) == set(named)
    for rule in rules():
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"]
