"""Values that say who they are: made from an identity, checked byte for byte without a copy.

    data = make(b"key:7", version=12, size=5000)
    parse(data)            # Identity(name=b"key:7", version=12); Damaged if a byte is wrong

The text behind the header depends on name and version, so that a piece of another value, or of
an older one, never passes. Half of it repeats (it compresses), half does not.
"""

import hashlib
from typing import NamedTuple


class Identity(NamedTuple):
    name: bytes
    version: int


class Damaged(ValueError):
    """Bytes that no make() ever produced."""


SIZE_MIN = 96


def make(name, version, size):
    """A value of exactly `size` bytes (at least SIZE_MIN) that carries `name` and `version`."""
    header = b"<%s %d %d>" % (name, version, size)
    if size < max(SIZE_MIN, len(header)):
        raise ValueError(f"{size} bytes are too few for {header!r}")
    return header + _filler(header, size - len(header))


def parse(data):
    """The identity of a value; Damaged if it is not exactly what make() gave."""
    end = data.find(b">", 0, 400)
    if not data.startswith(b"<") or end < 0:
        raise Damaged(f"no header in {len(data)} bytes {data[:60]!r}")
    header = data[:end + 1]
    try:
        name, version, size = header[1:-1].rsplit(b" ", 2)
        version, size = int(version), int(size)
    except ValueError:
        raise Damaged(f"header {header!r}") from None
    if size != len(data):
        raise Damaged(f"{len(data)} bytes instead of {size}: {header!r}")
    if data != header + _filler(header, size - len(header)):
        raise Damaged(f"a byte behind {header!r} is wrong")
    return Identity(name, version)


def _filler(header, count):
    unit = hashlib.shake_128(header).digest(min(count, 512))
    unit += b"." * min(512, count) if count > 512 else b""
    return (unit * (count // len(unit) + 1))[:count] if count else b""
