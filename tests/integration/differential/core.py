"""Sides, operations and the runner of the differential test.

Both sides live on one server: logical database d is database d on the tiered side and d + 8 on
the native one, so that names, clocks and settings are the same. An operation is run on one side,
then on the other (a single command on both at once), and says itself whether what came back
differs. Knows no command by name.
"""

import collections
import re
import time

from harness.resp import Connection, Reply, to_bytes

DATABASES = 3  # Logical ones in use; the server needs 16.
NATIVE_OFFSET = 8
TTL_TOLERANCE_MS = 3000


class Arg:
    """An argument that is not the same bytes on both sides, or made only when it is sent."""

    def resolve(self, side):
        raise NotImplementedError


class Db(Arg):
    """A logical database number."""

    def __init__(self, number):
        self.number = number

    def resolve(self, side):
        return side.database(self.number)

    def __repr__(self):
        return f"db{self.number}"


class TypeName(Arg):
    """A type by its native name, as TYPE answers and SCAN takes it."""

    FLASH = {"string": "flashstr1", "hash": "flashhsh1", "list": "flashlst1", "zset": "flashzst1"}

    def __init__(self, native):
        self.native = native

    def resolve(self, side):
        return self.native if side.native else self.FLASH[self.native]

    def __repr__(self):
        return f"type:{self.native}"


class Side:
    """One of the two sides: its connections and how it words a command."""

    def __init__(self, port, native, offset):
        self.port = port
        self.native = native
        self._offset = offset
        self._connections = {}

    def database(self, number):
        return number + self._offset

    def connection(self, db=0, resp3=False, slot=0):
        """One connection each per database, protocol and slot, kept."""
        wanted = (db, resp3, slot)
        if wanted not in self._connections:
            self._connections[wanted] = Connection(self.port, db=self.database(db), resp3=resp3)
        return self._connections[wanted]

    def close(self):
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def words(self, args):
        """The command as this side sends it: `@SET` is FLASH.SET here and SET there."""
        resolved = [arg.resolve(self) if isinstance(arg, Arg) else arg for arg in args]
        if isinstance(resolved[0], str) and resolved[0].startswith("@"):
            resolved[0] = ("" if self.native else "FLASH.") + resolved[0][1:]
        return resolved

    def call(self, args, db=0, resp3=False, slot=0):
        return self.connection(db, resp3, slot).call(*self.words(args))

    def calls(self, commands, db=0):
        """Commands of one client sent in one go; their replies in turn."""
        connection = self.connection(db)
        connection.send(*(self.words(args) for args in commands))
        return [connection.read() for _ in commands]


# Comparing -------------------------------------------------------------------------------------

_NAMED = re.compile(rb"'(?:flash[.|])?([a-z|.]+)'", re.IGNORECASE)


def normal_error(text):
    """An error text with the prefix of the command's name taken off, as the contract allows."""
    return _NAMED.sub(lambda match: b"'" + match.group(1).lower() + b"'", text)


def same(flash, native):
    """None if the replies are the same bytes, but for a command's name in an error text."""
    if flash.raw == native.raw:
        return None
    if flash.kind != native.kind:
        return f"kind {flash.kind!r} instead of {native.kind!r}"
    if flash.is_error and normal_error(flash.value) == normal_error(native.value):
        return None
    if isinstance(flash.value, list) and isinstance(native.value, list):
        return same_items([same] * len(native.value))(flash, native)
    return "not the same"


def same_items(compares):
    """For an array whose elements have a comparison each."""
    def compare(flash, native):
        if flash.kind != native.kind or not isinstance(native.value, list) \
                or not isinstance(flash.value, list) or len(native.value) != len(compares):
            return same(flash, native) if not isinstance(native.value, list) else "other shape"
        if len(flash.value) != len(native.value):
            return f"{len(flash.value)} elements instead of {len(native.value)}"
        for index, (check, a, b) in enumerate(zip(compares, flash.value, native.value)):
            found = check(a, b)
            if found:
                return f"element {index}: {found}"
        return None
    return compare


def same_set(flash, native):
    """For an array in no particular order."""
    if not isinstance(flash.value, list) or not isinstance(native.value, list):
        return same(flash, native)
    if sorted(item.raw for item in flash.value) != sorted(item.raw for item in native.value):
        return "not the same set"
    return None


def near(unit_ms):
    """For a time to live, or a moment derived from one: signs equal, distance tolerated."""
    def compare(flash, native):
        if flash.kind == native.kind == b":" and flash.value > 0 and native.value > 0:
            apart = abs(flash.value - native.value) * unit_ms
            return None if apart <= TTL_TOLERANCE_MS else f"{apart} ms apart"
        return same(flash, native)
    return compare


def alike(flash, native):
    """For what may differ in value (an encoding, a size) but not in kind: errors, nulls, ints."""
    if flash.is_error or native.is_error or flash.is_null or native.is_null:
        return same(flash, native)
    return None if flash.kind == native.kind else f"kind {flash.kind!r} not {native.kind!r}"


def same_type(flash, native):
    """For TYPE: each side's own name of the same type."""
    translated = TypeName.FLASH.get((native.value or b"").decode(), None)
    if flash.kind == b"+" and translated and flash.value == translated.encode():
        return None
    return same(flash, native)


def bulk_list(items):
    """Plain byte strings as one Reply, for what an operation gathered itself."""
    replies = [Reply(b"$", item, b"$%d\r\n%s\r\n" % (len(item), item)) for item in items]
    return Reply(b"*", replies, b"".join(reply.raw for reply in replies))


# Operations ------------------------------------------------------------------------------------

class Op:
    """One operation: run on a side, compared, printed."""

    def run(self, side):
        raise NotImplementedError

    def run_on_both(self, sides):
        return [self.run(side) for side in sides]

    def compare(self, flash, native):
        return same(flash, native)

    def after(self, sides):
        """Once both sides ran it."""

    def __str__(self):
        return type(self).__name__


class Single(Op):
    """One command on one connection."""

    def __init__(self, args, compare=same, db=0, resp3=False, settle=()):
        self.args, self.db, self.resp3, self.settle = list(args), db, resp3, settle
        self._compare = compare

    def run(self, side):
        return side.call(self.args, self.db, self.resp3)

    def run_on_both(self, sides):
        """At once, which is quicker: one of them may have to wait, for flash or for an element."""
        clients = [side.connection(self.db, self.resp3) for side in sides]
        for side, client in zip(sides, clients):
            client.send(side.words(self.args))
        return [client.read() for client in clients]

    def compare(self, flash, native):
        return self._compare(flash, native)

    def after(self, sides):
        settle(sides, self.settle, self.db)

    def __str__(self):
        return f"db{self.db} resp{3 if self.resp3 else 2} {words_text(self.args)}"


def settle(sides, keys, db):
    """Lets short times to live run out on both sides, and the expired keys really go."""
    if not keys:
        return
    time.sleep(0.03)
    for side in sides:
        side.calls([["EXISTS", key] for key in keys], db)


def words_text(args):
    return " ".join(short(arg) for arg in args)


def short(arg):
    if isinstance(arg, Arg):
        return repr(arg)
    data = to_bytes(arg)
    text = repr(data)[1:] if len(data) <= 60 else f"{repr(data[:40])[1:]}…({len(data)} B)"
    return text if text != f"'{data.decode(errors='replace')}'" or not data else text[1:-1]


class Difference(Exception):
    """Both sides answered, and not the same."""

    def __init__(self, position, op, what, flash, native):
        super().__init__(what)
        self.position, self.op, self.what = position, op, what
        self.flash, self.native = flash, native

    def __str__(self):
        lines = [f"operation {self.position}: {self.op}", f"  {self.what}"]
        for side, outcome in (("tiered", self.flash), ("native", self.native)):
            if isinstance(outcome, list) and outcome and isinstance(outcome[0], Reply):
                raw = b"".join(reply.raw for reply in outcome)
            else:
                raw = outcome.raw if isinstance(outcome, Reply) else repr(outcome).encode()
            shown = raw if len(raw) < 300 else raw[:200] + b"..." + raw[-60:]
            lines.append(f"  {side}: {shown!r}{'' if len(raw) < 300 else f' ({len(raw)} bytes)'}")
        return "\n".join(lines)


class Runner:
    """Runs operations on both sides of one server and stops at the first difference."""

    REMEMBERED = 2000

    def __init__(self, port, native=False):
        self.flash = Side(port, native=native, offset=0)
        self.native = Side(port, native=True, offset=NATIVE_OFFSET)
        self.sides = (self.flash, self.native)
        self.position = 0
        self.last = collections.deque(maxlen=self.REMEMBERED)

    def close(self):
        for side in self.sides:
            side.close()

    def step(self, op):
        """Runs one operation; raises Difference."""
        self.position += 1
        self.last.append(op)
        flash, native = op.run_on_both(self.sides)
        what = op.compare(flash, native)
        if what:
            raise Difference(self.position, op, what, flash, native)
        op.after(self.sides)

    def run(self, generator, ops, seconds=None, every=None):
        """`ops` operations of the generator, fewer if `seconds` pass first; returns how many."""
        deadline = time.monotonic() + seconds if seconds else None
        for number in range(1, ops + 1):
            self.step(generator.operation())
            if every:
                every(number)
            if deadline and time.monotonic() > deadline:
                break
        return number

    def reset(self):
        self.native.call(["FLUSHALL"])
        self.flash.call(["FUNCTION", "FLUSH"])

    def reproduces(self, ops):
        """Whether these operations on empty databases end in some difference."""
        self.reset()
        try:
            for op in ops:
                self.step(op)
        except Difference as found:
            return found
        return None

    def minimise(self, seconds=60):
        """The fewest of the last operations that still differ, found by leaving some out.

        Returns (operations, Difference), or (None, None) when the end of the run alone does not
        show it (the state before matters, or the moment).
        """
        history = list(self.last)
        deadline = time.monotonic() + seconds
        for count in (1, 5, 20, 100, 500, self.REMEMBERED):
            ops = history[-count:]
            found = self.reproduces(ops)
            if found:
                break
            if count >= len(history) or time.monotonic() > deadline:
                return None, None
        chunk = max(1, len(ops) // 2)
        while time.monotonic() < deadline:
            start = 0
            while start < len(ops) and time.monotonic() < deadline:
                fewer = ops[:start] + ops[start + chunk:]
                again = self.reproduces(fewer) if fewer else None
                if again:
                    ops, found = fewer, again
                else:
                    start += chunk
            if chunk == 1:
                break
            chunk = max(1, chunk // 2)
        return ops, found


def report(runner, difference, seed, minimise_sec=60):
    """All that a person needs to find a difference: seed, last operations, the shortest way."""
    lines = [f"seed {seed}: {difference}", "last operations:"]
    lines += [f"  {op}" for op in list(runner.last)[-20:]]
    if minimise_sec:
        ops, found = runner.minimise(minimise_sec)
        if ops:
            lines.append(f"the same or another difference from {len(ops)} operation(s) alone:")
            lines += [f"  {op}" for op in ops[-40:]] + [f"  => {found}"]
        else:
            lines.append("these operations alone, on empty databases, do not show it")
    return "\n".join(lines)
