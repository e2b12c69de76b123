"""FLASH list commands: arguments, right and wrong. Waiting: waiters.py."""

from differential.generator import GARBAGE, Command
from differential.hashes import own_key, small


def key(g):
    return own_key(g, 1)


def element(g):
    """Few of them, so that LREM and LINSERT find some; sometimes large."""
    return b"e%d" % g.number(0, 9) if g.chance(0.4) else small(g)


def elements(g):
    return [element(g) for _ in range(g.number(1, g.pick([1, 1, 5, 40, 200])))]


def index(g):
    if g.chance(0.03):
        return g.pick(GARBAGE)
    return g.number(-3, 3) if g.chance(0.5) else g.number(-300, 300)


def end(g):
    return g.case(g.pick(["LEFT", "RIGHT"])) if not g.chance(0.03) else g.pick(["UP", b"", "LEFTS"])


def count(g):
    return g.pick([[], [], [g.number(0, 3)], [g.number(0, 100)], [g.pick(GARBAGE)]])


def trim_bounds(g):
    """Mostly little is cut off, or lists would stay short."""
    return [g.number(0, 3), g.number(-4, -1)] if g.chance(0.8) else [index(g), index(g)]


def timeout(g):
    """Of commands that find something, or stand where nothing waits; short, for the others."""
    return g.pick(["0.01", "0.001", 0.02]) if g.chance(0.95) else g.pick(
        ["-1", "abc", "", "nan", "inf", "1e30", "-0.5"])


def several(make):
    return lambda g: [make(g) for _ in range(g.number(1, 3))]


TABLE = [
    Command("@LPUSH", 60, lambda g: [key(g), *elements(g)]),
    Command("@RPUSH", 60, lambda g: [key(g), *elements(g)]),
    Command("@LPUSHX", 10, lambda g: [key(g), *elements(g)]),
    Command("@RPUSHX", 10, lambda g: [key(g), *elements(g)]),
    Command("@LPOP", 20, lambda g: [key(g), *count(g)]),
    Command("@RPOP", 20, lambda g: [key(g), *count(g)]),
    Command("@LLEN", 15, lambda g: [key(g)]),
    Command("@LRANGE", 30, lambda g: [key(g), index(g), index(g)]),
    Command("@LINDEX", 30, lambda g: [key(g), index(g)]),
    Command("@LSET", 20, lambda g: [key(g), index(g), element(g)]),
    Command("@LINSERT", 20, lambda g: [
        key(g), g.case(g.pick(["BEFORE", "AFTER", "AFTER", "x"])), element(g), element(g)]),
    Command("@LREM", 15, lambda g: [key(g), index(g), element(g)]),
    Command("@LTRIM", 10, lambda g: [key(g), *trim_bounds(g)]),
    Command("@LMOVE", 25, lambda g: [key(g), key(g), end(g), end(g)]),
    Command("@RPOPLPUSH", 10, lambda g: [key(g), key(g)]),
    Command("@BLPOP", 10, lambda g: [*several(key)(g), timeout(g)]),
    Command("@BRPOP", 10, lambda g: [*several(key)(g), timeout(g)]),
    Command("@BLMOVE", 10, lambda g: [key(g), key(g), end(g), end(g), timeout(g)]),
]
