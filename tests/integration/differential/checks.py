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
            names = side.call(["KEYS", "*"], db).plain()
            kinds = [self._kind(side, reply)
                     for reply in side.calls([["TYPE", name] for name in names], db)]
            values = side.calls([self._reader(*pair) for pair in zip(names, kinds)], db)
            expiries = side.calls([["PEXPIRETIME", name] for name in names], db)
            for name, kind, value, expiry in zip(names, kinds, values, expiries):
                found[(db, name)] = kind, self._raw(kind, value), expiry.value
        return found

    @staticmethod
    def _kind(side, reply):
        kind = reply.value
        return kind if side.native else _NATIVE_NAMES.get(kind, b"native " + kind)

    @staticmethod
    def _reader(name, kind):
        words = READERS.get(kind, READERS[b"string"])
        return [words[0], name, *words[1:]]

    @staticmethod
    def _raw(kind, value):
        if kind != b"hash":
            return value.raw
        items = [item.raw for item in value.value]  # Which has no order.
        return b"".join(b"".join(pair) for pair in sorted(zip(items[0::2], items[1::2])))

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


def check_accounting(side, ops):
    """What INFO must show after so many operations; returns a complaint or None."""
    info = info_of(side)
    if not info:
        return "INFO flash is empty"
    used, free, capacity = (int(info[f"flash_storage_{name}_bytes"])
                            for name in ("used", "free", "capacity"))
    if used + free != capacity:
        return f"used {used} + free {free} is not the capacity {capacity}"
    fetches = int(info["flash_block_fetches"])
    if fetches < ops // 50:
        return f"{fetches} reads of flash: this was not about cold keys"
    return None
