"""Dashboard and alerts with Debian's exporter and Prometheus against a server under load.

Not collected by itself: it needs programs that only scripts/monitoring-test brings.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from conftest import LOGGED, wait_until
from monitoring import alert_cases, picture
from monitoring.stack import FILES, PASSWORD, TOOLS, Load, Prometheus, exporter, fill
from monitoring_test import documented_user, info_fields, panels, rules

MEASURE = re.compile(r"(.*) (?:>|<) [\d.e]+$", re.DOTALL)
PICTURE = os.environ.get("FLASH_MONITORING_PICTURE")
WATCHED_SEC = 180 if PICTURE else 30


def measure_of(rule):
    """The rule's expression without its comparison."""
    found = MEASURE.fullmatch(rule["expr"].strip())
    assert found, f"{rule['alert']}: not a measure, a comparison and a number"
    return found.group(1)


@pytest.fixture
def watched(server, tmp_path):
    """A server that is short of everything, two exporters (one without the script), Prometheus."""
    node = server({**LOGGED, "flash.sync": "everysec", "flash.cache-size-bytes": "12mb",
                   "flash.capacity-bytes": "64mb", "flash.compaction-interval-sec": "1"})
    node.call("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", *documented_user())
    started = [exporter(tmp_path, node.port), exporter(tmp_path, node.port, script=False)]
    node.exporter = started[0]
    fill(node, 20_000)
    # Just enough: the cache has to give way to it.
    node.call("CONFIG", "SET", "maxmemory", int(node.info("memory")["used_memory"] * 1.02))
    load = Load(node)
    try:
        for each in started:
            each.await_http("/metrics")
        node.targets = [f"127.0.0.1:{each.port}" for each in started]
        started.append(Prometheus(tmp_path, node.targets))
        node.prometheus = started[-1]
        node.prometheus.await_http("/-/ready")
        yield node
    finally:
        load.end()
        for each in started:
            each.end()


def test_every_panel_and_every_alert_has_data(watched):
    prometheus = watched.prometheus
    began = time.monotonic()

    def answered(query):
        return prometheus.query(query.replace("$instance", ".*"))

    wait_until(lambda: time.monotonic() > began + WATCHED_SEC
               and float(info_fields(watched.client)["flash_storage_dead_bytes"]) > 0
               and answered('redis_script_values{key="flash_cache_pressure_limit_bytes"} > 0'),
               WATCHED_SEC + 120, "a load that moves every figure")
    silent = []
    for panel in panels():
        for target in panel["targets"]:
            if not answered(target["expr"]):
                silent.append(f"{panel['title']}: {target['expr']}")
    for rule in rules():
        if not answered(measure_of(rule)):
            silent.append(f"{rule['alert']}: {measure_of(rule)}")
    assert not silent, "\n".join(silent)

    # What arrives is what INFO says.
    bound = answered('redis_script_values{key="flash_cache_capacity_bytes"}')
    assert [float(row["value"][1]) for row in bound] == [
        float(info_fields(watched.client)["flash_cache_capacity_bytes"])]
    # The exporter has all it asks for.
    text = watched.exporter.get("/metrics")
    assert re.search(r"^redis_up 1$", text, re.M)
    assert re.search(r"^redis_exporter_last_scrape_error\{.*\} 0$", text, re.M), text
    assert "NOPERM" not in watched.exporter.log.read_text()
    assert watched.call("ACL", "LOG") == []
    if PICTURE:
        picture.draw(prometheus, panels(), watched.targets[0], WATCHED_SEC, Path(PICTURE))


def test_alerts_really_fire(watched):
    """A tier that is full, and a server whose exporter runs without the script."""
    def states():
        return {(alert["labels"]["alertname"], alert["labels"]["instance"]): alert["state"]
                for alert in watched.prometheus.alerts()}

    wait_until(lambda: states().get(("FlashNotWatched", watched.targets[1])) == "pending",
               60, "the exporter without the script to be noticed")
    assert ("FlashNotWatched", watched.targets[0]) not in states()
    assert ("FlashFullReplies", watched.targets[0]) not in states()
    watched.call("CONFIG", "SET", "maxmemory", "0")

    def filled():
        pipe = watched.client.pipeline(transaction=False)
        for _ in range(50):
            filled.count += 1
            pipe.execute_command("FLASH.SET", f"fill:{filled.count}", os.urandom(20_000))
        return any(str(answer).startswith("FLASHFULL")
                   for answer in pipe.execute(raise_on_error=False))

    filled.count = 0
    wait_until(filled, 120, "FLASHFULL")
    wait_until(lambda: filled() and
               states().get(("FlashFullReplies", watched.targets[0])) == "firing",
               60, "the alert of the full tier")
    assert states().get(("FlashTierNearlyFull", watched.targets[0])) == "pending"


def test_each_documented_permission_is_one_that_the_exporter_uses(server, tmp_path):
    node = server()
    given = documented_user()
    unused = []
    for rule in [rule for rule in given if rule.startswith("+")]:
        node.call("ACL", "SETUSER", "exporter", "reset", "on", f">{PASSWORD}",
                  *[other for other in given if other != rule])
        node.call("ACL", "LOG", "RESET")
        each = exporter(tmp_path, node.port)
        try:
            each.await_http("/metrics")
        finally:
            each.end()
        if not node.call("ACL", "LOG"):
            unused.append(rule)
    assert not unused


def test_promtool_accepts_the_rules():
    subprocess.run([TOOLS / "promtool", "check", "rules", FILES / "alerts.yml"], check=True)
    subprocess.run([TOOLS / "promtool", "check", "config", FILES / "prometheus.yml"], check=True)


def test_every_alert_fires_when_it_should_and_only_then(tmp_path):
    cases = alert_cases.cases(rules(), FILES / "alerts.yml")
    written = tmp_path / "alerts_test.yml"
    written.write_text(yaml.safe_dump(cases))
    done = subprocess.run([TOOLS / "promtool", "test", "rules", written], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
