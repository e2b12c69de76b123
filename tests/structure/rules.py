"""The rules of the source tree that no compiler checks.

check(root, files) returns one line per violation: which file, which line, which rule. It knows
text only, not C++: comments and string literals are blanked before a rule about code looks.
The layers are those of docs/architecture.md; CMakeLists.txt links by the same arrows.
"""

import re
from pathlib import Path

# Layer -> the layers it may include, besides itself. Arrows point down only.
_BELOW = {
    "base": [],
    "vk": ["base"],
    "io": ["base"],
    "log": ["io"],
    "store": ["io"],
    "blocks": ["store"],
    "values": ["blocks"],
    "server": ["values", "vk"],
    "types": ["server"],
    "dispatch": ["types"],
    "durability": ["dispatch", "log"],
    "eviction": ["dispatch"],
    "cluster": ["durability"],
    "commands": ["cluster"],
}
_ENGINE = ["values"]
_OTHER_FOLDERS = {"bench/bare": ["vk"], "tests/support": ["blocks"], "tests/log_sim": ["log"],
                  "tests/sim": _ENGINE, "tests/fuzz": _ENGINE + ["log"],
                  "bench": _ENGINE, "tools/flash-sizer": ["base"], "tools/flash-bench": ["base"],
                  "tools/common": ["base"]}

LINES_MAX = 500
WIDTH_MAX = 100
HEADER_LINES_MIN = 3

_CXX = (".h", ".cc")
_CODE = _CXX + (".py", ".sh", ".cmake")
_TEXT = _CODE + (".md", ".txt", ".yml", ".yaml", ".json", ".map", "")

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
_BLANKED = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL)

# Rule name, what it matches in code without comments and strings, and in which folders.
_BANNED = [
    ("no-cout", re.compile(r"\bstd::(cout|cerr|clog)\b"), ("src/",)),
    ("no-using-namespace", re.compile(r"\busing\s+namespace\s+(?!std::(\w+::)*\w*literals\b)"),
     ("src/", "tests/", "bench/", "tools/")),
    ("no-throw", re.compile(r"\bthrow\b"), ("src/",)),
    ("no-mutex", re.compile(r"\bstd::\w*mutex\b"), ("src/store/", "src/blocks/", "src/values/")),
]
# `new (place) T` is placement; the owner's class may say why a plain one is needed.
_RAW_NEW = re.compile(r"(?<!operator )\bnew\b(?!\s*\()")
_RAW_NEW_WAIVER = "// raw new: "
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
_HOME_PATH = re.compile(r"(?<![\w.$}~])/(root|home/\w+|Users/\w+)/\w")


def closure(layers):
    """The layers named and all below them."""
    result = set()
    for layer in layers:
        result |= {layer} | closure(_BELOW[layer])
    return result


def code_of(text):
    """The text with comments and literals blanked, line structure kept."""
    return _BLANKED.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def folder_of(name):
    """`layer` for src/<layer>/..., the folder for tests and bench, `module` for src/module.cc."""
    parts = name.split("/")
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else "module"
    for folder in _OTHER_FOLDERS:
        if name.startswith(folder + "/"):
            return folder
    return ""


def allowed_layers(name):
    folder = folder_of(name)
    if folder in _BELOW:
        return closure([folder])
    return closure(_OTHER_FOLDERS[folder]) if folder in _OTHER_FOLDERS else set(_BELOW)


def check_includes(name, text):
    may_use = allowed_layers(name)
    for number, line in enumerate(text.splitlines(), 1):
        match = _INCLUDE.match(line)
        if not match:
            continue
        quote, target = match.groups()
        if Path(target).name == "valkeymodule.h":
            if folder_of(name) not in ("vk", "module"):
                yield number, "header-of-server", "valkeymodule.h belongs to src/vk"
        elif quote == '"':
            top = target.split("/")[0]
            if top == "tests" and not target.startswith("tests/support/"):
                if not target.startswith(folder_of(name) + "/"):
                    yield number, "include-graph", f"{target} is not a shared helper"
            elif top == "tests":
                if name.startswith("src/") and not name.endswith("_test.cc"):
                    yield number, "include-graph", "only tests may include tests/support"
            elif top == "tools":
                if not target.startswith((folder_of(name) + "/", "tools/common/")):
                    yield number, "include-graph", f"{target} belongs to its program alone"
            elif top not in _BELOW and not target.startswith("bench/"):
                yield number, "include-graph", f"{target}: name it <layer>/<file> from src/"
            elif top in _BELOW and top not in may_use:
                yield number, "include-graph", f"{folder_of(name)} may not include {top}"


def check_code(name, text):
    lines = text.splitlines()
    for number, line in enumerate(code_of(text).splitlines(), 1):
        for rule, pattern, folders in _BANNED:
            if name.startswith(folders) and pattern.search(line):
                yield number, rule, line.strip()
        if name.startswith("src/") and _RAW_NEW.search(line):
            around = lines[max(0, number - 2):number]
            if not line.lstrip().startswith("#") and _RAW_NEW_WAIVER not in "".join(around):
                yield number, "no-raw-new", f"{line.strip()} (waive with `{_RAW_NEW_WAIVER}why`)"


def check_header(name, text):
    lines = text.splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith("//")), len(lines))
    if count < HEADER_LINES_MIN:
        yield 1, "header-comment", f"begin with {HEADER_LINES_MIN} to 8 lines: what it is, " \
                                   "what it does not know, on which thread"
    if name.endswith(".h") and "#pragma once" not in lines:
        yield 1, "pragma-once", "missing"


def check_text(name, text, root):
    for number, line in enumerate(text.splitlines(), 1):
        if Path(name).suffix in _CODE and len(line) > WIDTH_MAX:
            yield number, "width", f"{len(line)} columns, {WIDTH_MAX} at most"
        if _UNFINISHED.search(line):
            yield number, "unfinished", line.strip()
        # A checkout directly below / would make every short path look like the machine's own.
        if _HOME_PATH.search(line) or (len(root.parts) > 2 and f"{root}/" in line):
            yield number, "home-path", line.strip()
    if Path(name).suffix in _CODE and len(text.splitlines()) > LINES_MAX:
        yield LINES_MAX, "length", f"{len(text.splitlines())} lines, {LINES_MAX} at most"


def check(root, files):
    """All violations of `files` (names relative to `root`), as sorted lines of text."""
    found = []
    for name in files:
        path = root / name
        if Path(name).suffix not in _TEXT or name.startswith("tests/structure/"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # Binary data, or removed since the list was made.
        problems = list(check_text(name, text, root))
        if name.endswith(_CXX):
            problems += check_includes(name, text)
            problems += check_code(name, text)
            problems += check_header(name, text)
        found += [f"{name}:{number}: {rule}: {what}" for number, rule, what in problems]
    return sorted(found)
