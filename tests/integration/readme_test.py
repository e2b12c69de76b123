"""The README's tour, typed as printed: every command must answer what the README says.

Blocks marked `tour` hold lines `> command` for valkey-cli and `$ command` for a shell, each
followed by its output. `...` in an output stands for anything.
"""

import re
import subprocess

import pytest

from conftest import ROOT

_RESTART = "<!-- the test restarts its server here -->"


def steps():
    """(prompt, command, expected output) of all blocks, and ("restart", "", "")."""
    text = (ROOT / "README.md").read_text()
    for block in re.findall(rf"```tour\n(.*?)```|({re.escape(_RESTART)})", text, re.DOTALL):
        if block[1]:
            yield "restart", "", ""
            continue
        for step in re.split(r"^(?=[>$] )", block[0], flags=re.MULTILINE):
            if step:
                command, _, output = step.partition("\n")
                yield command[0], command[2:], output.strip()


def matches(expected, got):
    pattern = ".*".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, got, re.DOTALL) is not None


def run(prompt, command, port):
    if prompt == ">":
        done = subprocess.run(["valkey-cli", "--no-raw", "-p", str(port)], input=command + "\n",
                              capture_output=True, text=True, timeout=60, check=True)
    else:
        command = re.sub(r"\b(valkey-cli|valkey-benchmark)\b", rf"\1 -p {port}", command)
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True,
                              timeout=300, check=True)
    return done.stdout.strip()


def test_the_tour_answers_as_printed(server):
    node = server({"save": "3600 1"})  # As `make run` has it: saved at the end.
    count = 0
    for prompt, command, expected in steps():
        if prompt == "restart":
            node.restart()
            continue
        got = run(prompt, command, node.port)
        assert matches(expected, got), f"{prompt} {command}\n{got}\ninstead of\n{expected}"
        count += 1
    assert count > 20, "the tour has lost its commands"


@pytest.mark.parametrize("expected, got, fits", [
    ("OK", "OK", True), ("OK", "OK2", False), ("a:...\nb:...", "a:1\nb:2", True),
    ("a:...", "b:1", False), ("...", "whatever\nit is", True)])
def test_dots_stand_for_anything(expected, got, fits):
    assert matches(expected, got) == fits
