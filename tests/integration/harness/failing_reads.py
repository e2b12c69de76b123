"""Reads of the tier made to fail in a server with flash.io-backend threads (failing_reads.c)."""

import os
from pathlib import Path

from harness.preload import build_library

SOURCE = Path(__file__).with_suffix(".c")


class FailingReads:
    """Of one server; make it before the server starts. A context: they fail within it."""

    def __init__(self, node):
        library = build_library(SOURCE, node.dir)
        self._flag = node.dir / "reads fail"
        before = os.environ.get("FLASH_LD_PRELOAD", "")
        node.environment["FLASH_LD_PRELOAD"] = f"{before} {library}".strip()
        node.environment["FAILING_READS"] = str(self._flag)

    def __enter__(self):
        self._flag.touch()
        return self

    def __exit__(self, *_error):
        self._flag.unlink()
