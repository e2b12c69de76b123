"""FLASH.HSET, HGET, HMGET, HGETALL, HDEL, HEXISTS, HLEN: arguments, right and wrong.

The clause of FLASH.HSET is not native, so it is not here: hash_test.py has it. Fields and values
that look like one are kept away from the end of the arguments.
"""

from differential.core import same
from differential.generator import Command

_FIELDS = [b"field:%d" % n for n in range(40)] + [
    b"", b"\0", b"ex", b"KEEPTTL", b"\xff\r\n", b"12", b"-7", b"f" * 70, b"g" * 1100]


def own_key(g, family, families=3):
    """A key that this family's commands use most, so that not all are of another type."""
    if g.chance(0.1):
        return g.key()
    return g.keys_all[g.number(0, 11) * families + family]


def key(g):
    return own_key(g, 0)


def field(g):
    # Mostly few, so that they meet; sometimes from many, so that hashes grow.
    if g.chance(0.6):
        return g.pick(_FIELDS)
    return b"many:%d" % g.number(0, 3000)


def small(g):
    """A value that mostly fits a leaf."""
    return g.value() if g.chance(0.1) else b"%d" % g.number(-50, 10**g.number(1, 12))


def set_args(g):
    pairs = [item for _ in range(g.number(1, g.pick([1, 1, 4, 30])))
             for item in (field(g), small(g))]
    return [key(g), *pairs, b"last", b"value"]


def some_fields(g):
    return [field(g) for _ in range(g.number(1, g.pick([1, 1, 3, 20])))]


def pairs_in_any_order(flash, native):
    """HGETALL: the same pairs; a hash has no order."""
    if not isinstance(flash.value, list) or not isinstance(native.value, list):
        return same(flash, native)
    if flash.kind != native.kind:
        return f"kind {flash.kind!r} not {native.kind!r}"
    pairs = [sorted(zip([item.raw for item in reply.value[0::2]],
                        [item.raw for item in reply.value[1::2]])) for reply in (flash, native)]
    return None if pairs[0] == pairs[1] else "not the same pairs"


TABLE = [
    Command("@HSET", 120, set_args),
    Command("@HGET", 60, lambda g: [key(g), field(g)]),
    Command("@HMGET", 25, lambda g: [key(g), *some_fields(g)]),
    Command("@HGETALL", 15, lambda g: [key(g)], pairs_in_any_order),
    Command("@HDEL", 40, lambda g: [key(g), *some_fields(g)]),
    Command("@HEXISTS", 20, lambda g: [key(g), field(g)]),
    Command("@HLEN", 20, lambda g: [key(g)]),
]
