"""Everything random in the differential test, from one seed: keys, values, arguments, operations.

The same seed gives the same operations whatever the replies are. Tables of commands come from
strings.py and generic.py; a further family is one more table in FAMILIES.
"""

import hashlib
import random
import time
from typing import Callable, NamedTuple

from differential.core import DATABASES, Arg, Op, Single, same
from harness.resp import to_bytes


class Command(NamedTuple):
    """One command of a table.

    words    `@SET` for a FLASH command, the plain name for a generic one.
    weight   how often, against the others of all tables.
    make     generator -> arguments after the words.
    compare  see core.
    plain    may stand in MULTI, in scripts, be sent with wrong arguments.
    """

    words: str
    weight: float
    make: Callable
    compare: Callable = same
    plain: bool = True


class Action(NamedTuple):
    """A whole operation of several commands: generator -> Op."""

    name: str
    weight: float
    make: Callable


class Blob(Arg):
    """A value of a size and a texture, made only when it is sent (and so cheap to remember)."""

    _cache = {}

    def __init__(self, size, texture, seed):
        self.size, self.texture, self.seed = size, texture, seed

    def resolve(self, side):
        wanted = (self.size, self.texture, self.seed)
        data = self._cache.get(wanted)
        if data is None:
            data = self._make()
            if len(self._cache) > 64 or self.size > 1 << 16:
                self._cache.clear()
            self._cache[wanted] = data
        return data

    def _make(self):
        if self.texture == "noise":
            return hashlib.shake_128(b"%d" % self.seed).digest(self.size)
        unit = {"zero": b"\0", "text": b"%d and so on, " % self.seed,
                "wire": b"\r\n$3\r\n*-1\r\n" + b"%d" % self.seed,
                "number": b"%d" % (self.seed % 10**9)}[self.texture]
        return (unit * (self.size // len(unit) + 1))[:self.size]

    def __repr__(self):
        return f"{self.texture}:{self.seed}({self.size} B)"


# Edges of how a value is kept: in the pointer, resident, one block, several.
_EDGES = [0, 1, 6, 7, 8, 9, 43, 44, 45, 63, 64, 65, 127, 128, 4095, 4096, 4097]
_BIG_EDGES = [(1 << 20) - 65, (1 << 20) - 64, (1 << 20) - 1, 1 << 20, (1 << 20) + 1,
              (2 << 20) + 17, 3 << 20]
GARBAGE = [b"", b"abc", b"-1", b"0", b"1.5", b"9223372036854775807", b"9223372036854775808",
           b" 1", b"\0", b"nx", b"KEEPTTL", b"-9223372036854775808"]
_BEYOND_INT = (b"9223372036854775807", b"-9223372036854775808")


class Generator:
    """One stream of operations; `families` is a list of lists of Command and Action."""

    def __init__(self, seed, families, big=0.002):
        self.random = random.Random(seed)
        self.big = big  # Share of values of about 1 to 3 MiB.
        self.types = ["string"]  # Native names of the types that the module has.
        self.keys_all = ([b"key:%02d" % n for n in range(36)]
                         + [b"", b"\0", b"\xff\xfe\r\n", b"two words", b"{tag}1", b"{tag}2",
                            b"long:" + b"x" * 600, b"7"])
        entries = [entry for family in families for entry in family]
        self._entries, self._weights = entries, [entry.weight for entry in entries]
        self._plain = [entry for entry in entries if isinstance(entry, Command) and entry.plain]
        self._plain_weights = [entry.weight for entry in self._plain]
        self._families = [entry for entry in self._plain if entry.words.startswith("@")]

    # Small choices ----------------------------------------------------------------------------

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, items):
        return self.random.choice(items)

    def sample(self, items, count):
        return self.random.sample(items, min(count, len(items)))

    def number(self, low, high):
        return self.random.randint(low, high)

    def case(self, word):
        """Option words are taken in any case."""
        return self.pick([word, word, word.lower(), word.capitalize()])

    def key(self):
        """Few keys often, so that operations meet; the odd ones now and then."""
        if self.chance(0.6):
            return self.keys_all[self.number(0, 11)]
        return self.pick(self.keys_all)

    def keys(self, count):
        return [self.key() for _ in range(count)]

    def db(self):
        return self.random.choices(range(DATABASES), [16, 3, 1])[0]

    def value(self):
        seed = self.number(0, 10**6)
        if self.chance(self.big):
            return Blob(self.pick(_BIG_EDGES), self.pick(["noise", "text", "zero"]), seed)
        draw = self.random.random()
        if draw < 0.3:
            size = self.pick(_EDGES)
        elif draw < 0.8:
            size = self.number(64, 1500)
        elif draw < 0.97:
            size = self.number(1500, 20_000)
        else:
            size = self.number(20_000, 300_000)
        return Blob(size, self.pick(["noise", "noise", "text", "text", "zero", "wire", "number"]),
                    seed)

    def seconds(self):
        """A relative time to live that does not run out while the test looks."""
        # Hardly ever twice the same: whether GT holds would then depend on the millisecond.
        return self.number(100, 10_000_000)

    def moment(self):
        """An absolute Unix time, far enough from now either way; whole seconds."""
        # The start of the run, not the moment of the call: a seed must give the same arguments.
        return self.pick([1, 1_000_000_000, _FUTURE, _FUTURE + self.number(0, 10**6)])

    # Operations -------------------------------------------------------------------------------

    def command(self, families_only=False):
        """A command of any table with its arguments: (args, comparison)."""
        if families_only:
            entry = self.random.choices(self._families, [e.weight for e in self._families])[0]
        else:
            entry = self.random.choices(self._plain, self._plain_weights)[0]
        args = [*entry.words.split(), *entry.make(self)]
        if self.chance(0.02):
            args = self._spoil(args)
        return self._fair(args), entry.compare

    def operation(self) -> Op:
        entry = self.random.choices(self._entries, self._weights)[0]
        if isinstance(entry, Action):
            return entry.make(self)
        args = [*entry.words.split(), *entry.make(self)]
        if entry.plain and self.chance(0.02):
            args = self._spoil(args)
        return Single(self._fair(args), entry.compare, self.db(), self.chance(0.5))

    def _spoil(self, args):
        """Wrong arguments: one left out, one too many, one replaced."""
        args = list(args)
        how = self.number(0, 3)
        if how == 0 and len(args) > 1:
            del args[self.number(1, len(args) - 1)]
        elif how == 1:
            args.insert(self.number(1, len(args)), self.pick(GARBAGE))
        elif how == 2 and len(args) > 1:
            args[self.number(1, len(args) - 1)] = self.pick(GARBAGE)
        else:
            del args[1:]
        return args

    @staticmethod
    def _fair(args):
        """Takes away what cannot be compared, however it came into the arguments."""
        if args[0] == "@HSET" and args[-1] == b"KEEPTTL":
            args.pop()  # A clause of FLASH.HSET, which HSET does not have.
        if args[0].startswith("@B") and args[-1] in (b"0", b"7"):
            args[-1] = b"0.01"  # Nobody would end the wait.
        if args[0] == "@LSET":
            # Native cuts the index to 32 bits where it holds the list in one piece, else not.
            args = [b"1000000" if isinstance(word, (bytes, int)) and to_bytes(word) in _BEYOND_INT
                    else word for word in args]
        return args


_FUTURE = (int(time.time()) // 10_000_000 + 10) * 10_000_000
