"""The whole state of both sides, compared: names, types, values, expiry. Also after a restart.

READERS has a line for each type; a new family adds its own.
"""

from differential.core import DATABASES, TTL_TOLERANCE_MS, Op, TypeName, short

READERS = {
    b"string": ["@GET"],
    b"hash": ["@HGETALL"],
    b"list": ["@LRANGE", 0, -1],
    b"zset": ["@ZRANGE", 0, -1, "WITHSCORES"],
}
_NATIVE_NAMES = {flash.encode(): native.encode() for native, flash in TypeName.FLASH.items()}


class WholeState(Op):
    """Every key of every database."""

    def run(self, side):
        found = {}
        for db in range(DATABASES):
            for name in side.call(["KEYS", "*"], db).plain():
                found[(db, name)] = self._read(side, db, name)
        return found

    @staticmethod
    def _read(side, db, name):
        kind = side.call(["TYPE", name], db).value
        if not side.native:
            kind = _NATIVE_NAMES.get(kind, b"native " + kind)
        reader = READERS.get(kind, READERS[b"string"])
        value = side.call([reader[0], name, *reader[1:]], db)
        raw = value.raw
        if kind == b"hash":  # Which has no order.
            items = [item.raw for item in value.value]
            raw = b"".join(b"".join(pair) for pair in sorted(zip(items[0::2], items[1::2])))
        return kind, raw, side.call(["PEXPIRETIME", name], db).value

    def compare(self, flash, native):
        if flash.keys() != native.keys():
            return f"keys only on one side: {sorted(flash.keys() ^ native.keys())[:10]}"
        for key, (kind, raw, expiry) in native.items():
            flash_kind, flash_raw, flash_expiry = flash[key]
            if (flash_kind, flash_raw) != (kind, raw):
                return (f"db{key[0]} {short(key[1])}: {flash_kind} {flash_raw[:80]!r}, native "
                        f"{kind} {raw[:80]!r}")
            if (expiry < 0) != (flash_expiry < 0) or abs(expiry - flash_expiry) > TTL_TOLERANCE_MS:
                return f"db{key[0]} {short(key[1])}: expires {flash_expiry}, native {expiry}"
        return None

    def __str__(self):
        return "comparison of the whole state"


def info_of(side):
    """INFO flash as a dict of text; empty without the module."""
    reply = side.call(["INFO", "flash"])
    lines = (reply.value or b"").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def check_accounting(side):
    """What INFO must show at any moment; returns a complaint or None."""
    info = info_of(side)
    if not info:
        return "INFO flash is empty"
    used, free, capacity = (int(info[f"flash_storage_{name}_bytes"])
                            for name in ("used", "free", "capacity"))
    if used + free != capacity:
        return f"used {used} + free {free} is not the capacity {capacity}"
    return None
