"""The exporter and Prometheus beside a server, and a load that makes every figure move.

Ends what it started by its own handles. Binaries: the folder in FLASH_MONITORING_TOOLS.
"""

import json
import os
import random
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import redis
import yaml

from conftest import ROOT, free_port, wait_until

FILES = ROOT / "packaging" / "monitoring"
TOOLS = Path(os.environ.get("FLASH_MONITORING_TOOLS", "missing"))
PASSWORD = "secret"


class Process:
    """A program that answers HTTP on a loopback port of its own."""

    def __init__(self, folder, name, args, port):
        self.port = port
        self.log = Path(folder) / f"{name}-{port}.log"
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen([TOOLS / name, *map(str, args)], cwd=folder,
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.port}{path}{'?' + query if query else ''}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read().decode()

    def await_http(self, path):
        def answers():
            assert self._process.poll() is None, self.log.read_text()
            try:
                return self.get(path)
            except OSError:
                return None
        return wait_until(answers, 60, self.log.name)

    def end(self):
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)


def exporter(folder, server_port, script=True):
    port = free_port()
    args = [f"--redis.addr=redis://127.0.0.1:{server_port}", "--redis.user=exporter",
            f"--redis.password={PASSWORD}", f"--web.listen-address=127.0.0.1:{port}"]
    if script:
        args.append(f"--script={FILES / 'flash-metrics.lua'}")
    return Process(folder, "prometheus-redis-exporter", args, port)


class Prometheus(Process):
    """With the shipped rules, at a faster pace than in earnest."""

    def __init__(self, folder, targets):
        config = yaml.safe_load((FILES / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(FILES / "alerts.yml")]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = targets
        written = Path(folder) / "prometheus.yml"
        written.write_text(yaml.safe_dump(config))
        port = free_port()
        super().__init__(folder, "prometheus", [
            f"--config.file={written}", f"--storage.tsdb.path={Path(folder) / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}"], port)

    def query(self, expression):
        answer = json.loads(self.get("/api/v1/query", query=expression))
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def range(self, expression, seconds, step):
        now = time.time()
        answer = json.loads(self.get("/api/v1/query_range", query=expression, start=now - seconds,
                                     end=now, step=step))
        return answer["data"]["result"]

    def alerts(self):
        return json.loads(self.get("/api/v1/alerts"))["data"]["alerts"]


def fill(node, keys):
    """Values of 1000 bytes."""
    for start in range(0, keys, 500):
        pipe = node.client.pipeline(transaction=False)
        for number in range(start, start + 500):
            pipe.execute_command("FLASH.SET", f"key:{number}", os.urandom(500).hex())
        pipe.execute()


class Load:
    """Reads, writes, transactions and cold commands, until end(); seeds are fixed."""

    KEYS = 20_000

    def __init__(self, node):
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(node, number), daemon=True)
                         for number in range(3)]
        for thread in self._threads:
            thread.start()

    def _run(self, node, number):
        choose = random.Random(number)
        client = redis.Redis(host="127.0.0.1", port=node.port, socket_timeout=60)
        while not self._stop.is_set():
            try:
                self._some(client, choose)
            except redis.exceptions.ResponseError:
                pass  # FLASHFULL, when the test has filled the tier.
            self._stop.wait(0.05)
        client.close()

    def _some(self, client, choose):
        pipe = client.pipeline(transaction=choose.random() < 0.1)
        for _ in range(20):
            key = f"key:{int(self.KEYS * choose.random() ** 2)}"
            if choose.random() < 0.3:
                pipe.execute_command("FLASH.SET", key, choose.randbytes(500).hex())
            else:
                pipe.execute_command("FLASH.GET", key)
        pipe.execute()

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
