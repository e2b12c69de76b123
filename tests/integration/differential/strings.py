"""FLASH.SET, GET, MGET, MSET, DEL: arguments, right and wrong."""

from differential.core import Single
from differential.generator import GARBAGE, Action, Command


def expiry(g):
    """An expiry option of SET with its value, sometimes a bad one."""
    word = g.pick(["EX", "PX", "EXAT", "PXAT"])
    if g.chance(0.1):
        return [g.case(word), g.pick(GARBAGE)]
    number = g.moment() if word.endswith("AT") else g.seconds()
    return [g.case(word), number * 1000 if word.startswith("PX") else number]


def set_options(g):
    """Any options of SET, conflicting ones too."""
    groups = []
    if g.chance(0.25):
        groups.append([g.case(g.pick(["NX", "XX"]))])
    if g.chance(0.25):
        groups.append([g.case("GET")])
    if g.chance(0.2):
        groups.append(expiry(g))
    if g.chance(0.1):
        groups.append([g.case("KEEPTTL")])
    if g.chance(0.03):
        groups.append(g.pick([["NX"], ["XX"], ["GET"], ["KEEPTTL"], expiry(g), ["EX"], ["bogus"]]))
    if g.chance(0.05):
        groups.append([g.case("IFEQ"), g.value()])
    g.random.shuffle(groups)
    return [word for group in groups for word in group]


def set_args(g):
    return [g.key(), g.value(), *set_options(g)]


def some_keys(g):
    return g.keys(g.number(1, g.pick([2, 4, 12])))


def some_pairs(g):
    return [item for key in some_keys(g) for item in (key, g.value())]


def short_lived(g):
    """A key that is gone by the next operation."""
    key = g.key()
    args = ["@SET", key, g.value(), "PX", g.number(1, 5), *(["GET"] if g.chance(0.3) else [])]
    return Single(args, db=0, resp3=g.chance(0.5), settle=[key])


def expires_on_write(g):
    """An absolute time in the past, as a time to live of a new value."""
    key = g.key()
    words = [[g.case(g.pick(["EXAT", "PXAT"])), g.pick([1, 1000, 1_600_000_000])]]
    words += [[g.case("GET")]] if g.chance(0.5) else []
    words += [[g.case(g.pick(["NX", "XX", "KEEPTTL"]))]] if g.chance(0.4) else []
    g.random.shuffle(words)
    return Single(["@SET", key, g.value(), *(word for part in words for word in part)],
                  settle=[key])


TABLE = [
    Command("@SET", 220, set_args),
    Command("@GET", 300, lambda g: [g.key()]),
    Command("@MGET", 40, some_keys),
    Command("@MSET", 20, some_pairs),
    Command("@DEL", 40, some_keys),
    Action("short-lived", 1.5, short_lived),
    Action("expires-on-write", 3, expires_on_write),
]
