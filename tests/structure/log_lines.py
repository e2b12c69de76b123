"""Are all lines that the sources write to the server's log in docs/log-lines.md, and no others?

A call is known by its name (Log, LogNotice, LogWarning, Warning of a SeldomLog), and so are the
places that make lines for a caller to write. Only literals are compared: `…` in the page stands for
the rest.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Calls that write a line, and expressions from which another place takes one.
_WRITES = re.compile(r"\b(?:vk::Log(?:Notice|Warning)?|\blog\.Warning)\s*\(")
_MAKES = re.compile(
    r"(?:warnings_\.push_back|\bNote|lines->emplace_back|lines\.push_back|\bLookAt|notes_->Add)\s*\("
    r"|\bnotes_ = \{|\bstd::string (?:line|limit) = |\bline \+= |\breturn limit \+")
_MAKERS = ("src/io/flash_file.cc", "src/io/tier_devices.cc", "src/io/uring_device.cc",
           "src/log/log_file.cc", "src/server/health_log.cc", "src/server/cgroup.cc",
           "src/durability/recovery.cc")
_LITERAL = re.compile(r'"((?:\\.|[^"\\\n])*)"')
_SHORT = 4  # Shorter literals are brackets and units.


def statements(text, pattern):
    """From each match to the semicolon or brace that ends the statement."""
    for match in pattern.finditer(text):
        depth, at, quoted = 0, match.start(), False
        while at < len(text):
            char = text[at]
            if char == '"' and text[at - 1] != "\\":
                quoted = not quoted
            elif not quoted and char in "({":
                depth += 1
            elif not quoted and char in ")}":
                depth -= 1
            elif not quoted and char == ";" and depth <= 0:
                break
            at += 1
        yield match.start(), text[match.start():at]


def literals(statement):
    """Adjacent literals joined, those too short to tell anything left out."""
    joined = re.sub(r'"\s*\n\s*"', "", statement)
    found = [text.replace('\\"', '"') for text in _LITERAL.findall(joined)]
    return [" ".join(text.split()) for text in found if len(text.strip()) >= _SHORT]


def said_by_sources():
    """[(file:line, [literal, ...])]"""
    said = []
    for path in sorted((ROOT / "src").rglob("*.cc")):
        name = str(path.relative_to(ROOT))
        if name.endswith("_test.cc") or name == "src/vk/log.cc":
            continue
        text = path.read_text()
        found = list(statements(text, _WRITES))
        if name in _MAKERS:
            found += list(statements(text, _MAKES))
        for start, statement in found:
            if pieces := literals(statement):
                said.append((f"{name}:{text.count(chr(10), 0, start) + 1}", pieces))
    return said


def page_lines():
    page = (ROOT / "docs" / "log-lines.md").read_text()
    return re.findall(r"^\| `([^`]+)` \| (?:notice|warning)", page, re.MULTILINE)


def trim(text):
    return text.strip(" :;(),.")


def problems(said, lines):
    """What the page lacks, and what it says that no source does."""
    for place, pieces in said:
        for piece in pieces:
            if not any(trim(piece) in line for line in lines):
                yield f"{place}: not in docs/log-lines.md: {piece}"
    everything = {trim(piece) for _, pieces in said for piece in pieces}
    for line in lines:
        rest = line
        for piece in sorted(everything, key=len, reverse=True):
            rest = rest.replace(piece, "…")
        for words in map(trim, rest.split("…")):
            if len(words) >= _SHORT:
                yield f"docs/log-lines.md: no source says: {words}"
