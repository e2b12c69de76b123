"""Libraries of C that are preloaded into a server."""

import subprocess


def build_library(source, folder):
    """Of one C file; returns its path."""
    library = folder / f"{source.stem}.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"],
                   check=True, capture_output=True, text=True)
    return library
