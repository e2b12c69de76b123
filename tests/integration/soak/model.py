"""What keys must hold, and operations on them with the reply that is due.

A piece is a value that says who it is: (origin, version, size), made into bytes when needed, so
that the model of large values is small. An operation touches few keys, and no key is touched by two
at a time: so after a crash each key holds the state before its operation, or the one after it, and
the keys of one operation agree. Knows nothing of connections. Versions come from `fresh`.
"""

import itertools

from harness import values

fresh = itertools.count(1).__next__

# (share, least, most): tiny values stay resident, the largest take many blocks.
SIZES = ((0.15, 1, 7), (0.2, 8, 63), (0.3, 64, 1000), (0.25, 1000, 6000), (0.095, 6000, 60_000),
         (0.0045, 100_000, 1_500_000), (0.0005, 4_000_000, 9_000_000))
ELEMENT_SIZES = ((0.4, 1, 63), (0.5, 64, 500), (0.09, 500, 4000), (0.01, 4000, 30_000))


def size_of(random, sizes):
    draw = random.random()
    for share, least, most in sizes:
        if draw < share:
            return random.randint(least, most)
        draw -= share
    return random.randint(*sizes[-1][1:])


def content(piece):
    origin, version, size = piece
    if size < values.SIZE_MIN:
        return (b"%d" % version).ljust(size, b"-")[-size:]
    return values.make(origin, version, size)


class Operation:
    """`command`, the reply due (None: any that is no error), and what it does to the model."""

    __slots__ = ("keys", "command", "due", "apply")

    def __init__(self, keys, command, due=None, apply=lambda: None):
        self.keys, self.command, self.due, self.apply = keys, command, due, apply


class Key:
    """One name, and the model of its value: None where there is no key."""

    def __init__(self, name, kind, scale):
        self.name, self.kind, self.scale = name, kind, scale
        self.value = None

    def operation(self, random):
        """The next operation on this key alone."""
        draw = random.random()
        if self.value is None:
            return KINDS[self.kind].create(self, random)
        if draw < 0.01:
            return self.removal("FLASH.DEL" if draw < 0.005 else "UNLINK")
        if draw < 0.02:
            return Operation([self], ("PEXPIRE", self.name, 10**9), 1)
        if draw < 0.03:
            return Operation([self], ("PERSIST", self.name))
        if draw < 0.05:
            return Operation([self], ("FLASH.DEBUG.DEMOTE", self.name))
        return KINDS[self.kind].change(self, random)

    def removal(self, command):
        def apply():
            self.value = None
        return Operation([self], (command, self.name), 1, apply)

    def put(self, value):
        """An `apply` that gives the key `value`."""
        def apply():
            self.value = value
        return apply

    def read(self):
        """The operation that reads all of it."""
        kind = KINDS[self.kind]
        due = kind.EMPTY if self.value is None else kind.whole(self.value)
        return Operation([self], kind.reading(self.name), due)


def copying(source, target):
    value = source.value if not isinstance(source.value, (list, dict)) else source.value.copy()
    return Operation([source, target], ("COPY", source.name, target.name, "REPLACE"), 1,
                     target.put(value))


def renaming(source, target):
    value = source.value

    def apply():
        source.value, target.value = None, value
    return Operation([source, target], ("RENAME", source.name, target.name), b"OK", apply)


def adding(key, command, named, words):
    """HSET or ZADD: `named` joins the key's dict; the reply counts the names that are new."""
    before = key.value or {}

    def apply():
        key.value = {**(key.value or {}), **named}
    return Operation([key], (command, key.name, *words),
                     sum(name not in before for name in named), apply)


class String:
    EMPTY = None

    @staticmethod
    def reading(name):
        return ("FLASH.GET", name)

    @staticmethod
    def whole(value):
        return content(value)

    @staticmethod
    def create(key, random):
        piece = (key.name, fresh(), size_of(random, SIZES))
        return Operation([key], ("FLASH.SET", key.name, content(piece)), b"OK", key.put(piece))

    @staticmethod
    def change(key, random):
        return key.read() if random.random() < 0.6 else String.create(key, random)


class Hash:
    EMPTY = []

    @staticmethod
    def reading(name):
        return ("FLASH.HGETALL", name)

    @staticmethod
    def whole(value):
        return {field: content(piece) for field, piece in value.items()}

    @staticmethod
    def field(key, random):
        number = random.randrange(key.scale)
        return b"f%d" % number + b"_" * (number % 40)

    @staticmethod
    def create(key, random):
        return Hash.setting(key, random, min(key.scale, 100))

    @staticmethod
    def setting(key, random, most):
        fields = {Hash.field(key, random) for _ in range(random.randint(1, most))}
        pieces = {field: (key.name, fresh(), size_of(random, ELEMENT_SIZES)) for field in fields}
        words = [word for field, piece in pieces.items() for word in (field, content(piece))]
        return adding(key, "FLASH.HSET", pieces, words)

    @staticmethod
    def change(key, random):
        draw = random.random()
        if draw < 0.3:
            return Hash.setting(key, random, 8)
        fields = list({Hash.field(key, random) for _ in range(random.randint(1, 12))})
        if draw < 0.9 or draw < 0.95 and len(key.value) > 500:
            due = [content(key.value[field]) if field in key.value else None for field in fields]
            return Operation([key], ("FLASH.HMGET", key.name, *fields), due)
        if draw < 0.95:
            return key.read()

        def apply():
            for field in fields:
                key.value.pop(field, None)
            key.value = key.value or None
        return Operation([key], ("FLASH.HDEL", key.name, *fields),
                         sum(field in key.value for field in fields), apply)


class List:
    EMPTY = []

    @staticmethod
    def reading(name):
        return ("FLASH.LRANGE", name, 0, -1)

    @staticmethod
    def whole(value):
        return [content(piece) for piece in value]

    @staticmethod
    def pieces(key, random, most):
        return [(key.name, fresh(), size_of(random, ELEMENT_SIZES))
                for _ in range(random.randint(1, most))]

    @staticmethod
    def create(key, random):
        return List.pushing(key, List.pieces(key, random, 100), False)

    @staticmethod
    def pushing(key, pieces, left):
        def apply():
            value = key.value or []
            key.value = pieces[::-1] + value if left else value + pieces
        return Operation([key], ("FLASH.LPUSH" if left else "FLASH.RPUSH", key.name,
                                 *map(content, pieces)), len(key.value or []) + len(pieces), apply)

    @staticmethod
    def change(key, random):
        draw, length = random.random(), len(key.value)
        if draw < 0.35:
            if length < key.scale:
                return List.pushing(key, List.pieces(key, random, 12), draw < 0.1)
            return List.popping(key, random.randint(1, 40), draw < 0.1)
        at = random.randrange(length)
        if draw < 0.45:
            [piece] = List.pieces(key, random, 1)

            def apply():
                key.value[at] = piece
            return Operation([key], ("FLASH.LSET", key.name, at, content(piece)), b"OK", apply)
        if draw < 0.5:
            return List.popping(key, 1, draw < 0.47)
        end = min(length, at + 12)
        return Operation([key], ("FLASH.LRANGE", key.name, at, end - 1),
                         [content(piece) for piece in key.value[at:end]])

    @staticmethod
    def popping(key, count, left):
        count = min(count, len(key.value))
        gone = key.value[:count] if left else key.value[-count:][::-1]
        rest = key.value[count:] if left else key.value[:-count]
        return Operation([key], ("FLASH.LPOP" if left else "FLASH.RPOP", key.name, count),
                         [content(piece) for piece in gone], key.put(rest or None))


class SortedSet:
    EMPTY = []

    @staticmethod
    def reading(name):
        return ("FLASH.ZRANGE", name, 0, -1, "WITHSCORES")

    @staticmethod
    def ordered(value):
        return sorted(value.items(), key=lambda item: (item[1], item[0]))

    @staticmethod
    def flat(items):
        return [word for member, score in items for word in (member, b"%d" % score)]

    @staticmethod
    def whole(value):
        return SortedSet.flat(SortedSet.ordered(value))

    @staticmethod
    def member(key, random):
        number = random.randrange(key.scale)
        return b"m%d" % number + b"+" * (number % 90)

    @staticmethod
    def create(key, random):
        return SortedSet.adding(key, random, min(key.scale, 100))

    @staticmethod
    def adding(key, random, most):
        members = {SortedSet.member(key, random): random.randrange(100_000)
                   for _ in range(random.randint(1, most))}
        words = [word for member, score in members.items() for word in (score, member)]
        return adding(key, "FLASH.ZADD", members, words)

    @staticmethod
    def change(key, random):
        draw = random.random()
        if draw < 0.3:
            return SortedSet.adding(key, random, 8)
        member = SortedSet.member(key, random)
        score = key.value.get(member)
        if draw < 0.4:
            raised = (score or 0) + 7

            def apply():
                key.value[member] = raised
            return Operation([key], ("FLASH.ZINCRBY", key.name, 7, member), b"%d" % raised, apply)
        if draw < 0.5:
            def apply():
                key.value.pop(member, None)
                key.value = key.value or None
            return Operation([key], ("FLASH.ZREM", key.name, member), int(score is not None), apply)
        if draw < 0.55:
            return SortedSet.popping(key, random.randint(1, 5))
        if draw < 0.6:
            low = random.randrange(100_000)
            due = SortedSet.ordered({name: number for name, number in key.value.items()
                                     if low <= number <= low + 500})
            return Operation([key], ("FLASH.ZRANGEBYSCORE", key.name, low, low + 500, "WITHSCORES"),
                             SortedSet.flat(due))
        return Operation([key], ("FLASH.ZSCORE", key.name, member),
                         None if score is None else b"%d" % score)

    @staticmethod
    def popping(key, count):
        items = SortedSet.ordered(key.value)

        def apply():
            for member, _ in items[:count]:
                key.value.pop(member)
            key.value = key.value or None
        return Operation([key], ("FLASH.ZPOPMIN", key.name, count), SortedSet.flat(items[:count]),
                         apply)


KINDS = {"string": String, "hash": Hash, "list": List, "set": SortedSet}
