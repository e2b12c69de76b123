#!/usr/bin/python3
"""Checks the source tree against rules.py and, first, that each rule catches a planted violation.

Usage: structure_test.py (ctest and `make lint` run it); exits 1 with one line per violation.
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import log_lines  # noqa: E402
import rules  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

HEADER = "// x.h: what it is.\n//\n// Thread: any.\n#pragma once\n"
SOURCE = "// x.cc: what it is.\n//\n// Thread: any.\n"

# (rule, file, content): each must be reported, by that rule alone.
PLANTED = [
    ("include-graph", "src/base/x.cc", SOURCE + '#include "io/device.h"\n'),
    ("include-graph", "src/io/x.h", HEADER + '#include "store/record.h"\n'),
    ("include-graph", "src/values/x.cc", SOURCE + '#include "vk/key.h"\n'),
    ("include-graph", "src/vk/x.cc", SOURCE + '#include "io/device.h"\n'),
    ("include-graph", "src/server/x.cc", SOURCE + '#include "commands/set.h"\n'),
    ("include-graph", "src/server/x.cc", SOURCE + '#include "types/hash_type.h"\n'),
    ("include-graph", "src/types/x.cc", SOURCE + '#include "dispatch/keys.h"\n'),
    ("include-graph", "src/dispatch/x.cc", SOURCE + '#include "cluster/probe.h"\n'),
    ("include-graph", "src/io/x.cc", SOURCE + '#include "device.h"\n'),
    ("include-graph", "src/io/x.cc", SOURCE + '#include "tests/support/model.h"\n'),
    ("include-graph", "tests/sim/x.cc", SOURCE + '#include "server/settings.h"\n'),
    ("include-graph", "tests/sim/x.cc", SOURCE + '#include "tests/fuzz/common.h"\n'),
    ("include-graph", "src/base/x.cc", SOURCE + '#include "tools/flash-sizer/url.h"\n'),
    ("include-graph", "tools/flash-sizer/x.cc", SOURCE + '#include "store/record.h"\n'),
    ("header-of-server", "src/server/x.cc", SOURCE + "#include <valkeymodule.h>\n"),
    ("header-of-server", "src/commands/x.cc", SOURCE + '#include "valkeymodule.h"\n'),
    ("no-cout", "src/base/x.cc", SOURCE + 'void F() { std::cout << "a"; }\n'),
    ("no-using-namespace", "src/base/x.cc", SOURCE + "using namespace std;\n"),
    ("no-throw", "src/base/x.cc", SOURCE + "void F() { throw 1; }\n"),
    ("no-mutex", "src/blocks/x.cc", SOURCE + "std::mutex mutex;\n"),
    ("no-mutex", "src/store/x.h", HEADER + "std::shared_mutex mutex;\n"),
    ("no-mutex", "src/values/x.cc", SOURCE + "std::recursive_mutex mutex;\n"),
    ("no-raw-new", "src/base/x.cc", SOURCE + "int* p = new int;\n"),
    ("unfinished", "src/base/x.cc", SOURCE + "// TO" + "DO: later\n"),
    ("unfinished", "docs/x.md", "FIX" + "ME\n"),
    ("home-path", "docs/x.md", "see /home/" + "someone/file\n"),
    ("home-path", "scripts/x.sh", "cat /ro" + "ot/x\n"),
    ("header-comment", "src/base/x.cc", "int x;\n"),
    ("pragma-once", "src/base/x.h", SOURCE + "int x;\n"),
    ("width", "src/base/x.cc", SOURCE + "// " + "x" * 98 + "\n"),
    ("length", "tests/x.py", "pass\n" * 501),
]

# Text that only looks like a violation.
CLEAN = [
    ("src/server/x.cc", SOURCE + '#include <vector>\n#include "base/result.h"\n#include "vk/key.h"\n'),
    ("src/commands/x.cc", SOURCE + '#include "cluster/probe.h"\n#include "server/info.h"\n'),
    ("src/vk/x.h", HEADER + "#include <valkeymodule.h>\n"),
    ("src/store/x_test.cc", SOURCE + '#include "tests/support/model.h"\n#include "io/device.h"\n'),
    ("src/base/x.cc", SOURCE + 'const char* s = "throw new std::cout";  // a new throw\n'),
    ("src/base/x.cc", SOURCE + "void F(void* p) { new (p) int(1); }  /* using\nnamespace x */\n"),
    ("src/base/x.cc", SOURCE + "int big = 1'000'000; char c = '\"'; const char* s = \"throw\";\n"),
    ("src/base/x.cc", SOURCE + "// raw new: the constructor is private\nreturn P(new T);\n"),
    ("src/base/x.cc", SOURCE + "using namespace std::chrono_literals;\n"),
    ("tools/flash-sizer/x.cc", SOURCE + '#include "base/result.h"\n#include "tools/common/url.h"\n'),
    ("src/io/x.cc", SOURCE + "std::mutex mutex_;\n"),
    ("src/base/x.cc", SOURCE + "// " + "x" * 97 + "\n"),
    ("docs/x.md", "x" * 500 + " $HOME/a ~/home/b/c\n"),
]


def check_planted(name, content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return rules.check(Path(folder), [name])


class RulesTest(unittest.TestCase):
    def test_planted_violation_is_reported_by_its_rule_alone(self):
        for rule, name, content in PLANTED:
            with self.subTest(rule=rule, name=name, content=content[-60:]):
                found = check_planted(name, content)
                self.assertEqual([line.split(": ")[1] for line in found], [rule], found)

    def test_clean_text_passes(self):
        for name, content in CLEAN:
            with self.subTest(name=name, content=content[-60:]):
                self.assertEqual(check_planted(name, content), [])

    def test_path_of_the_checkout_itself_is_reported(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "checkout"
            root.mkdir()
            (root / "x.md").write_text(f"see {root}/build\n", encoding="utf-8")
            self.assertEqual(len(rules.check(root, ["x.md"])), 1)


class TreeTest(unittest.TestCase):
    def test_tree_keeps_the_rules(self):
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
        files = [name for name in listed.stdout.decode().split("\0") if name]
        if not files:  # A source archive: no git.
            files = [str(path.relative_to(ROOT)) for top in ("src", "tests", "bench", "docs", "scripts")
                     for path in (ROOT / top).rglob("*") if path.is_file()]
        found = rules.check(ROOT, files)
        self.assertEqual(found, [], "\n" + "\n".join(found))


class LogLinesTest(unittest.TestCase):
    def setUp(self):
        self.said = log_lines.said_by_sources()
        self.lines = log_lines.page_lines()

    def test_every_line_of_the_log_is_explained_and_every_explained_line_exists(self):
        self.assertGreater(len(self.said), 35)
        self.assertGreater(len(self.lines), 35)
        found = list(log_lines.problems(self.said, self.lines))
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_what_is_planted_is_found(self):
        said = [*self.said, ("planted", ["a line that nobody explained"])]
        self.assertEqual(len(list(log_lines.problems(said, self.lines))), 1)
        lines = [*self.lines, "a line that nobody writes"]
        self.assertEqual(len(list(log_lines.problems(self.said, lines))), 1)


if __name__ == "__main__":
    unittest.main()
