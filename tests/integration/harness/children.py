"""The process that a server has forked."""

from pathlib import Path


def child_of(node):
    (child,) = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
    return int(child)


def has_ended(pid):
    """Also if nobody has asked for its status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
