"""The pages of docs/commands/: one for each command, with what the server says of it and examples.

gen-commands writes them. Knows no command but by what COMMAND INFO and DOCS say; the examples are
in command_examples.py. Replies are printed as valkey-cli prints them.
"""

import shlex

from command_examples import EXAMPLES

MARK = "<!-- Written by scripts/gen-commands; edit scripts/command_examples.py, or the command\n" \
       "specs in src/commands. -->\n"
# Flags of key specs, in the words of the page.
ACCESS = {"RO": "read", "RW": "read and written", "OW": "overwritten", "RM": "deleted"}


def page_name(command):
    return f"{command.lower()}.md"


def quoted(data):
    """As valkey-cli quotes: printable ASCII as it is."""
    special = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("\r"): "\\r",
               ord("\t"): "\\t"}
    text = "".join(special.get(c) or (chr(c) if 32 <= c < 127 else f"\\x{c:02x}") for c in data)
    return f'"{text}"'


def reply_lines(reply):
    """A RESP2 reply (harness.resp.Reply) as valkey-cli shows it, as a list of lines."""
    if reply.kind == b"-":
        return [f"(error) {reply.value.decode()}"]
    if reply.value is None:
        return ["(nil)"]
    if reply.kind == b"+":
        return [reply.value.decode()]
    if reply.kind == b":":
        return [f"(integer) {reply.value}"]
    if reply.kind == b"$":
        return [quoted(reply.value)]
    if not reply.value:
        return ["(empty array)"]
    width = len(str(len(reply.value)))
    lines = []
    for number, item in enumerate(reply.value, 1):
        first, *rest = reply_lines(item)
        lines.append(f"{number:>{width}}) {first}")
        lines += [" " * (width + 2) + line for line in rest]
    return lines


def typed(connection, line):
    """What a terminal shows of one command and its reply."""
    return [f"> {line}", *reply_lines(connection.call(*shlex.split(line)))]


def examples(connection, command):
    """The block of examples, typed into a server that holds nothing; empty if there are none."""
    connection.must("FLUSHALL")
    lines = [shown for line in EXAMPLES[command] for shown in typed(connection, line)]
    return ["## Examples", "", "```", *lines, "```", ""] if lines else []


def as_dict(flat):
    return dict(zip((key.decode() for key in flat[::2]), flat[1::2]))


def where(spec):
    """Which arguments a key spec finds, in words."""
    search, find = as_dict(spec["begin_search"]), as_dict(spec["find_keys"])
    begin, found = as_dict(search["spec"]), as_dict(find["spec"])
    if search["type"] == b"keyword":
        text = f"those behind the word `{begin['keyword'].decode()}`"
        return text + (", to the end" if found["lastkey"] == -1 else "")
    at = begin["index"]
    if find["type"] == b"keynum":
        return f"as many as argument {at + found['keynumidx']} says, behind it"
    last, step = found["lastkey"], found["keystep"]
    if last == 0:
        return f"argument {at}"
    until = "the last" if last == -1 else "the last but one" if last == -2 else f"{at + last}"
    each = "each" if step == 1 else "every second"
    return f"{each} argument from {at} to {until}"


def key_lines(info):
    """The table of keys; empty if there are none."""
    rows = []
    for flat in info[8]:
        spec = as_dict(flat)
        flags = [flag.decode() for flag in spec["flags"]]
        access = next(text for flag, text in ACCESS.items() if flag in flags)
        details = [flag for flag in flags if flag.islower()]
        rows.append(f"| {where(spec)} | {access} | {', '.join(sorted(details)) or 'none'} |")
    if not rows:
        return []
    return ["## Keys", "", "| which | the key is | what of its content, for ACL rules |",
            "|---|---|---|", *rows, ""]


def page(connection, command, syntax, info, docs, difference):
    """One page. `connection` is in RESP2, to a server that is emptied first."""
    names = {"flags": info[2], "ACL categories": info[6], "tips": info[7]}
    facts = [(name, ", ".join(sorted(word.decode() for word in words)) or "none")
             for name, words in names.items()]
    lines = [MARK + f"# {command}", "", "```", syntax, "```", "", docs["summary"].decode(), ""]
    if difference:
        # Links are those of docs/commands.md, one folder up.
        difference = difference.replace("](", "](../")
        lines += [f"Different: {difference}", ""]
    lines += ["| | |", "|---|---|", f"| complexity | {docs['complexity'].decode()} |",
              f"| since | {docs['since'].decode()} |",
              *(f"| {name} | {words} |" for name, words in facts), ""]
    lines += key_lines(info) + examples(connection, command)
    lines.append("What all commands have in common, and the errors of the tier: "
                 "[commands](../commands.md).")
    return "\n".join(lines) + "\n"
