"""The names of a process's threads, from /proc."""

import contextlib
from pathlib import Path


def thread_names(pid):
    names = []
    for path in Path(f"/proc/{pid}/task").glob("*/comm"):
        with contextlib.suppress(OSError):  # It has ended meanwhile.
            names.append(path.read_text().strip())
    return names
