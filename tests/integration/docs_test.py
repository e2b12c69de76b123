"""The commands of the documentation, run as printed: each must answer what the page says.

Blocks marked `tour` hold lines `$ command` for a shell and `> command` for valkey-cli, each
followed by its output, in which `...` stands for anything. A page's blocks run in order in one
folder, in which `build` is where the library lies; ports and `/mnt/nvme` are exchanged for free
ones and for the test's own folder. Servers that a page leaves behind are ended.
"""

import os
import random
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from conftest import MODULE, ROOT, SERVER_BINARY, SLOWDOWN, wait_until
from readme_test import matches

# Commands at least.
PAGES = {"quickstart.md": 25, "operations.md": 20, "hset-clause.md": 13, "upgrade.md": 28,
         "cluster.md": 25, "replication.md": 33, "resharding-runbook.md": 30}
SERVED = {"hset-clause.md"}  # A server runs on port 6379 already.
PORTS = re.compile(r"(?<![\d.])(6379|6380|6381|700[1-6])(?!\d)")


def blocks(page):
    return re.findall(r"^( *)```tour\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)


def steps(page):
    """(prompt, command, expected output)"""
    for indent, block in blocks(page):
        block = re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)
        for step in re.split(r"^(?=[>$] )", block, flags=re.MULTILINE):
            if step:
                command, _, output = step.partition("\n")
                yield command[0], command[2:], output.strip()


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_pair():
    """A port that is free, and that of the cluster bus that belongs to it."""
    while True:
        port = random.randrange(20_000, 45_000)
        if is_free(port) and is_free(port + 10_000):
            return port


class Reader:
    """A newcomer who types what a page says, in a folder of his own."""

    def __init__(self, folder):
        self.folder = folder
        self._ports = {}
        folder.mkdir()
        (folder / "build").mkdir()
        (folder / "build" / "libvalkey_flash.so").symlink_to(MODULE)
        (folder / "nvme").mkdir()
        bins = folder / "bin"
        bins.mkdir()
        if "/" in SERVER_BINARY:
            (bins / "valkey-server").symlink_to(Path(SERVER_BINARY).resolve())
        self._environment = {**os.environ, "PATH": f"{bins}:{os.environ['PATH']}"}

    def _port(self, match):
        if match.group() not in self._ports:
            self._ports[match.group()] = str(free_pair())
        return self._ports[match.group()]

    def own(self, text):
        return PORTS.sub(self._port, text).replace("/mnt/nvme", str(self.folder / "nvme"))

    def type(self, prompt, command):
        if prompt == ">":
            command = f"valkey-cli --no-raw -p 6379 <<'END'\n{command}\nEND"
        command = self.own(command)
        # Servers bind to all addresses unless told otherwise; a test binds to loopback.
        command = re.sub(r"valkey-server --port", "valkey-server --bind 127.0.0.1 --port", command)
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self._environment,
                              capture_output=True, text=True, timeout=120 * SLOWDOWN, check=False)
        seen = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)  # Without colours.
        return done.returncode, seen.strip(), done.stderr.strip()

    def serve(self):
        status, _, error = self.type("$", 'valkey-server --port 6379 --daemonize yes --save "" '
                                     '--loadmodule "$PWD/build/libvalkey_flash.so" '
                                     'flash.path "$PWD/nvme/tier" flash.capacity-bytes 64mb')
        assert status == 0, error
        wait_until(lambda: self.type("$", "valkey-cli -p 6379 PING")[1] == "PONG", 20, "a server")

    def servers(self):
        """Ids of what was started below the folder and still lives: a server may run under the
        name of its loader."""
        found, folder = [], str(self.folder)
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and os.readlink(process / "cwd").startswith(folder):
                    found.append(int(process.name))
            except OSError:
                continue
        return found

    def end(self):
        for pid in self.servers():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.servers(), 30, "the page's servers to end")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_answers_as_printed(tmp_path, name):
    reader = Reader(tmp_path / "reader")
    count = 0
    try:
        if name in SERVED:
            reader.serve()
        for prompt, command, expected in steps((ROOT / "docs" / name).read_text()):
            status, got, error = reader.type(prompt, command)
            said = f"{prompt} {command}\n{got}\n{error}\ninstead of\n{expected}"
            assert matches(reader.own(expected), got), said
            # SHUTDOWN ends the connection before it answers.
            assert status == 0 or "SHUTDOWN" in command, said
            count += 1
        assert len(reader.servers()) == (name in SERVED), "the page leaves servers behind"
    except (AssertionError, subprocess.TimeoutExpired):
        for log in sorted(reader.folder.rglob("*.log")):
            print(f"--- {log.parent.name}\n{log.read_text(errors='replace')[-3000:]}")
        raise
    finally:
        reader.end()
    assert count >= PAGES[name], f"the page has lost its commands: {count}"


def test_every_page_with_a_tour_is_run():
    marked = {path.name for path in (ROOT / "docs").glob("*.md") if blocks(path.read_text())}
    assert marked == set(PAGES)


def test_every_error_of_the_tier_is_explained():
    page = (ROOT / "docs" / "operations.md").read_text()
    texts = set()
    for source in (ROOT / "src").rglob("*"):
        if source.suffix in (".cc", ".h") and not source.name.endswith("_test.cc"):
            text = re.sub(r'"\s*\n\s*"', "", source.read_text())
            texts |= set(re.findall(r'"((?:FLASHIO|FLASHFULL|LOADING) [^"]+)"', text))
    assert len(texts) > 8
    missing = [text for text in texts if f"`{text}`" not in page]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("table", ["nodes", "node", "cluster"])
def test_the_tables_of_the_page_on_scale_are_the_models(table):
    printed = subprocess.run([ROOT / "scripts" / "scale_model", table], capture_output=True,
                             text=True, check=True).stdout
    assert len(printed.splitlines()) > 4
    assert printed in (ROOT / "docs" / "scale.md").read_text()


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path, _, anchor = target.partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                broken.append(f"{page.name}: {target}")
            elif anchor and file.suffix == ".md":
                heads = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
                names = {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head))
                         .strip().lower().replace(" ", "-") for head in heads}
                if anchor not in names:
                    broken.append(f"{page.name}: {target}")
    assert not broken, "\n".join(broken)
