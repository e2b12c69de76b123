"""FLASH sorted set commands, ranges of every kind, and stores over several sets.

Ranges by member have keys of their own, whose members have one score, or scores that rise with
them: over others what they answer depends on how the server happens to hold the set. So do the sign
of a zero, LIMIT with a negative offset, and how ZSCAN writes a score; zset_test.py says what FLASH
does.
"""

from differential import core
from differential.core import Op
from differential.generator import Action, Command
from differential.hashes import own_key


def key(g):
    return own_key(g, 2)


def keys(g, count):
    return [key(g) for _ in range(count)]


def score(g):
    draw = g.random.random()
    if draw < 0.6:
        return str(g.number(-10, 10))
    if draw < 0.9:
        return repr(round(g.random.uniform(-1e3, 1e3), g.number(0, 12)))
    return g.pick(["inf", "-inf", "1e300", "0", "0.1", "3.0", "1e-7", "nan", "17179869184.5"])


def member(g):
    if g.chance(0.03):
        return g.pick([b"", b"\0\r\n", b"y" * 1500])
    return b"m:%d" % (g.number(0, 15) if g.chance(0.6) else g.number(0, 500))


def members(g):
    return [member(g) for _ in range(g.number(1, g.pick([1, 3, 8])))]


def add(g):
    words = [g.case(word) for word, share in (("NX", 0.08), ("XX", 0.08), ("GT", 0.06),
                                              ("LT", 0.06), ("CH", 0.15), ("INCR", 0.05))
             if g.chance(share)]
    if g.chance(0.15):  # Combinations, forbidden ones too.
        words = [g.case(word)
                 for word in g.sample(["NX", "XX", "GT", "LT", "CH", "INCR"], g.number(2, 4))]
    pairs = [word for _ in range(1 if g.chance(0.5) else g.pick([2, 5, 70 if g.chance(0.2) else 3]))
             for word in (score(g), member(g))]
    return [key(g), *words, *pairs]


def score_edge(g):
    if g.chance(0.05):
        return g.pick(["abc", "((1", "", "(nan"])
    return g.pick(["-inf", "+inf", score(g), "(" + score(g)])


def lex_edge(g):
    return g.pick(["-", "+", "[m:1", "(m:1", "[m:3", "(m:50", "[", "(", "[z", "m:1", "[r:0001",
                   "(r:0012", "[r:0100", "(r:0250", "[r:02505", "(r:0499"])


def limit(g):
    return ["LIMIT", g.pick([0, 1, 3, 500]), g.pick([0, 2, 10, -1])] if g.chance(0.3) else []


def with_scores(g):
    return [g.case("WITHSCORES")] if g.chance(0.5) else []


def rank_edge(g):
    return g.pick([0, 1, 3, -1, -2, 20, -50, 1000])


def lex_key(g):
    return g.pick([b"lex:%d", b"rising:%d"]) % g.number(0, 3)


def rising_member(g):
    return b"r:%04d" % (g.number(0, 25) if g.chance(0.5) else g.number(0, 500))


def lex_members(g, name):
    if name.startswith(b"lex"):
        return members(g)
    return [rising_member(g) for _ in range(g.number(1, g.pick([1, 3, 8, 150])))]


def lex_add(g):
    name = lex_key(g)
    rising = name.startswith(b"rising")
    return [name, *(word for text in lex_members(g, name)
                    for word in (str(int(text[2:]) // 7) if rising else "0", text))]


def lex_remove(g):
    name = lex_key(g)
    return [name, *lex_members(g, name)]


def range_of(g):
    """A key and how ZRANGE takes a part of it."""
    kind = g.pick(["rank", "rank", "score", "lex"])
    return [lex_key(g) if kind == "lex" else key(g), *range_words(g, kind)]


def range_words(g, kind):
    edge = {"rank": rank_edge, "score": score_edge, "lex": lex_edge}[kind]
    words = {"rank": [], "score": [g.case("BYSCORE")], "lex": [g.case("BYLEX")]}[kind]
    words += [g.case("REV")] if g.chance(0.3) else []
    return [edge(g), edge(g), *words, *(limit(g) if kind != "rank" or g.chance(0.1) else [])]


def store(weights):
    def make(g):
        count = g.number(1, 4)
        words = ["WEIGHTS", *(g.pick(["1", "2", "3", "0.5"]) for _ in range(count))] \
            if weights and g.chance(0.4) else []
        words += ["AGGREGATE", g.pick(["SUM", "MIN", "MAX"])] if weights and g.chance(0.4) else []
        return [key(g), g.pick([count, count, count, 0, 99] if g.chance(0.1) else [count]),
                *keys(g, count), *words]
    return make


def count_words(g):
    return [] if g.chance(0.5) else [g.pick([0, 1, 3, 60, -1])]


class ZScan(Op):
    """ZSCAN to its end: the same members and scores, in whatever order."""

    def __init__(self, g):
        self.db, self.key = g.db(), key(g)
        self.words = ["COUNT", g.pick([1, 10, 1000])]
        self.words += ["MATCH", g.pick(["m:1*", "*"])] if g.chance(0.4) else []

    def run(self, side):
        cursor, found = b"0", {}
        while True:
            reply = side.call(["@ZSCAN", self.key, cursor, *self.words], self.db)
            if reply.is_error:
                return reply
            cursor, items = reply.value[0].value, reply.value[1].plain()
            found.update(zip(items[0::2], (repr(float(text)).encode() for text in items[1::2])))
            if cursor == b"0":
                return core.bulk_list(sorted(a + b" " + b for a, b in found.items()))

    def __str__(self):
        return f"db{self.db} ZSCAN {core.short(self.key)} to its end {core.words_text(self.words)}"


def one(g):
    return [key(g)]


def timeout_keys(g):
    return [*keys(g, g.number(1, 3)), "0.01"]


_COMMANDS = [
    ("@ZADD", 90, add), ("@ZREM", 30, lambda g: [key(g), *members(g)]),
    ("@ZREM", 8, lex_remove),
    ("@ZINCRBY", 25, lambda g: [key(g), score(g), member(g)]),
    ("@ZPOPMIN", 12, lambda g: [key(g), *count_words(g)]),
    ("@ZPOPMAX", 12, lambda g: [key(g), *count_words(g)]),
    ("@BZPOPMIN", 4, timeout_keys), ("@BZPOPMAX", 4, timeout_keys),
    ("@ZSCORE", 30, lambda g: [key(g), member(g)]),
    ("@ZMSCORE", 15, lambda g: [key(g), *members(g)]),
    ("@ZRANK", 20, lambda g: [key(g), member(g), *(["WITHSCORE"] if g.chance(0.3) else [])]),
    ("@ZREVRANK", 15, lambda g: [key(g), member(g), *(["WITHSCORE"] if g.chance(0.3) else [])]),
    ("@ZCARD", 12, one), ("@ZCOUNT", 15, lambda g: [key(g), score_edge(g), score_edge(g)]),
    ("@ZLEXCOUNT", 8, lambda g: [lex_key(g), lex_edge(g), lex_edge(g)]),
    ("@ZRANGE", 40, lambda g: [*range_of(g), *with_scores(g)]),
    ("@ZRANGEBYSCORE", 15, lambda g: [key(g), score_edge(g), score_edge(g), *with_scores(g),
                                      *limit(g)]),
    ("@ZREVRANGEBYSCORE", 15, lambda g: [key(g), score_edge(g), score_edge(g), *with_scores(g),
                                         *limit(g)]),
    ("@ZRANGEBYLEX", 8, lambda g: [lex_key(g), lex_edge(g), lex_edge(g), *limit(g)]),
    ("@ZREVRANGEBYLEX", 8, lambda g: [lex_key(g), lex_edge(g), lex_edge(g), *limit(g)]),
    ("@ZUNIONSTORE", 8, store(True)), ("@ZINTERSTORE", 8, store(True)),
    ("@ZDIFFSTORE", 8, store(False)),
    ("@ZRANGESTORE", 10, lambda g: [key(g), *range_of(g)]),
]
TABLE = [Command(words, weight, make) for words, weight, make in _COMMANDS] + [
    Command("@ZADD", 20, lex_add, plain=False),  # Spoilt arguments could bring another score.
    Action("zscan", 5, ZScan),
]
