"""docs/commands.md says what the server says: it is generated, and this is the check."""

import importlib.machinery
import importlib.util

from conftest import ROOT
from harness.resp import Connection


def generator():
    loader = importlib.machinery.SourceFileLoader("gen_commands",
                                                  str(ROOT / "scripts" / "gen-commands"))
    spec = importlib.util.spec_from_loader("gen_commands", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_page_is_current(server):
    page = generator().page_of(Connection(server().port).must)
    current = (ROOT / "docs" / "commands.md").read_text()
    assert page == current, "run scripts/gen-commands"


def test_every_command_is_described(server):
    connection = Connection(server().port)
    for name in connection.must("COMMAND", "LIST", "FILTERBY", "MODULE", "flash"):
        [info] = connection.must("COMMAND", "INFO", name)
        assert b"@flash" in info[6], name
        docs = connection.must("COMMAND", "DOCS", name)[1]
        fields = dict(zip(docs[::2], docs[1::2]))
        assert fields[b"summary"] and fields[b"complexity"] and fields[b"since"], name
