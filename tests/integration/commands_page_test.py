"""docs/commands.md and docs/commands/ say what the server says: they are generated, and checked.

The examples of the pages are typed into a server again, as printed, and their twins into native
keys: both must be answered as the pages say.
"""

import importlib.machinery
import importlib.util
import re
import shlex
import sys

import pytest

from conftest import ROOT
from harness.resp import Connection

sys.path.insert(0, str(ROOT / "scripts"))

from command_examples import EXAMPLES, OURS_ALONE  # noqa: E402
from command_pages import reply_lines  # noqa: E402

FOLDER = ROOT / "docs" / "commands"


def generator():
    loader = importlib.machinery.SourceFileLoader("gen_commands",
                                                  str(ROOT / "scripts" / "gen-commands"))
    spec = importlib.util.spec_from_loader("gen_commands", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def connection(server):
    return Connection(server().port)


def test_the_page_is_current(connection):
    page = generator().page_of(connection.must)
    current = (ROOT / "docs" / "commands.md").read_text()
    assert page == current, "run scripts/gen-commands"


def test_each_commands_page_is_current(connection):
    pages = generator().pages_of(connection)
    assert not generator().stale_pages(pages), "run scripts/gen-commands"


def test_every_command_is_described(connection):
    names = connection.must("COMMAND", "LIST", "FILTERBY", "MODULE", "flash")
    for name in names:
        [info] = connection.must("COMMAND", "INFO", name)
        assert b"@flash" in info[6], name
        docs = connection.must("COMMAND", "DOCS", name)[1]
        fields = dict(zip(docs[::2], docs[1::2]))
        assert fields[b"summary"] and fields[b"complexity"] and fields[b"since"], name
    assert {name.decode() for name in names} == EXAMPLES.keys()


def printed_examples():
    """(page, [(command line, lines of the reply)…]) of every page that has examples."""
    for path in sorted(FOLDER.glob("*.md")):
        block = re.search(r"## Examples\n\n```\n(.*?)```", path.read_text(), re.DOTALL)
        if block is None:
            continue
        steps = re.split(r"^> ", block[1], flags=re.MULTILINE)[1:]
        yield path.stem, [(step.splitlines()[0], step.splitlines()[1:]) for step in steps]


def test_examples_are_answered_as_printed(connection):
    """And without the prefix, natively, the same."""
    seen = set()
    for page, steps in printed_examples():
        for prefix in ("FLASH.", ""):
            if prefix == "" and page.upper() in OURS_ALONE:
                continue
            connection.must("FLUSHALL")
            for line, expected in steps:
                words = shlex.split(line.replace("FLASH.", prefix))
                assert reply_lines(connection.call(*words)) == expected, (page, words)
        seen.add(page.upper())
    assert seen == {name for name, lines in EXAMPLES.items() if lines}


def test_an_example_uses_the_command_that_it_is_for():
    for name, lines in EXAMPLES.items():
        assert not lines or any(line.split()[0] == name for line in lines), name
