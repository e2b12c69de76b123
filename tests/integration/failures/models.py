"""Keys whose content says its version: read whole, judged by that number alone.

Each key has one writer, which numbers its changes; a change is a few words (an effect on a value
that may be cold), or writes the value anew after one whose outcome is not known. A Torn value is
one that no number stands for: an effect is missing, applied twice, or another key's.
"""

from harness import values

FIELDS = 16
LIST_MOST = 24


class Torn(ValueError):
    """A value that the key's writer never made."""


def _versions(name, parts):
    """The version of each part, all of which must have been made for `name`."""
    found = []
    for part in parts:
        try:
            identity = values.parse(part)
        except values.Damaged as damaged:
            raise Torn(f"{name}: {damaged}") from None
        if identity.name != name:
            raise Torn(f"{name}: has {identity}")
        found.append(identity.version)
    return found


def _consecutive(name, found):
    if found != list(range(found[0], found[0] + len(found))):
        raise Torn(f"{name}: versions {found}")
    return found[-1]


class Model:
    """One key, or several that change together. Subclasses say how.

    names  the keys it is made of.
    last   the number of its last change, whatever came of it; numbers are never used twice.
    """

    def __init__(self, name, random):
        self.name, self.random = name, random
        self.names = [name]
        self.last = 0

    def value(self, version, least=100, most=700):
        return values.make(self.name, version, self.random.randint(least, most))

    def anew(self):
        """(commands, version): writes the value as a whole, whatever was there."""
        raise NotImplementedError

    def change(self):
        """(commands, version): the next change of a value whose version is `last`."""
        return self.anew()

    def read(self):
        """Commands whose replies `version` understands."""
        raise NotImplementedError

    def version(self, replies):
        """What was read, as a version; None for no key. Raises Torn."""
        raise NotImplementedError


class String(Model):
    def anew(self):
        self.last += 1
        return [("FLASH.SET", self.name, self.value(self.last, 100, 5000))], self.last

    def read(self):
        return [("FLASH.GET", self.name)]

    def version(self, replies):
        return None if replies[0] is None else _versions(self.name, replies)[0]


class Hash(Model):
    def anew(self):
        first = self.last + 1
        self.last += FIELDS
        pairs = [word for version in range(first, self.last + 1)
                 for word in (b"f%d" % (version % FIELDS), self.value(version))]
        return [("FLASH.DEL", self.name), ("FLASH.HSET", self.name, *pairs)], self.last

    def change(self):
        self.last += 1
        return [("FLASH.HSET", self.name, b"f%d" % (self.last % FIELDS), self.value(self.last))], \
            self.last

    def read(self):
        return [("FLASH.HGETALL", self.name)]

    def version(self, replies):
        flat = replies[0]
        if not flat:
            return None
        found = dict(zip(_versions(self.name, flat[1::2]), flat[::2]))
        if len(found) != FIELDS or any(field != b"f%d" % (version % FIELDS)
                                       for version, field in found.items()):
            raise Torn(f"{self.name}: {sorted(found.items())}")
        return _consecutive(self.name, sorted(found))


class List(Model):
    def __init__(self, name, random):
        super().__init__(name, random)
        self._length = 0

    def anew(self):
        first = self.last + 1
        self.last += 4
        self._length = 4
        return [("FLASH.DEL", self.name), ("FLASH.RPUSH", self.name, *[
            self.value(version) for version in range(first, self.last + 1)])], self.last

    def change(self):
        if self._length >= LIST_MOST:
            return self.anew()
        self.last += 1
        self._length += 1
        return [("FLASH.RPUSH", self.name, self.value(self.last))], self.last

    def read(self):
        return [("FLASH.LRANGE", self.name, 0, -1)]

    def version(self, replies):
        return _consecutive(self.name, _versions(self.name, replies[0])) if replies[0] else None


class ZSet(Model):
    def _member(self, version):
        return values.make(self.name, version % FIELDS, 300)

    def anew(self):
        first = self.last + 1
        self.last += FIELDS
        pairs = [word for version in range(first, self.last + 1)
                 for word in (version, self._member(version))]
        return [("FLASH.DEL", self.name), ("FLASH.ZADD", self.name, *pairs)], self.last

    def change(self):
        self.last += 1
        return [("FLASH.ZADD", self.name, self.last, self._member(self.last))], self.last

    def read(self):
        return [("FLASH.ZRANGE", self.name, 0, -1, "WITHSCORES")]

    def version(self, replies):
        flat = replies[0]
        if not flat:
            return None
        scores = [int(score) for score in flat[1::2]]
        members = _versions(self.name, flat[::2])
        if len(scores) != FIELDS or members != [score % FIELDS for score in scores]:
            raise Torn(f"{self.name}: scores {scores}, members {members}")
        return _consecutive(self.name, scores)


class Twins(Model):
    """A string and a hash that only change together, in one transaction."""

    def __init__(self, name, random):
        super().__init__(name, random)
        self.names = [name, name + b":twin"]

    def anew(self):
        self.last += 1
        return [("FLASH.SET", self.names[0], self.value(self.last, 100, 3000)),
                ("FLASH.HSET", self.names[1], b"f", self.value(self.last, 100, 3000))], self.last

    def read(self):
        return [("MULTI",), ("FLASH.GET", self.names[0]), ("FLASH.HGET", self.names[1], b"f"),
                ("EXEC",)]

    def version(self, replies):
        parts = replies[-1]
        if parts == [None, None]:
            return None
        if None in parts:
            raise Torn(f"{self.name}: one of two is missing")
        return _versions(self.name, parts)[0] if len(set(_versions(self.name, parts))) == 1 \
            else _raise_torn(self.name, parts)


def _raise_torn(name, parts):
    raise Torn(f"{name}: versions {_versions(name, parts)} of one transaction")


KINDS = (String, Hash, List, ZSet, Twins)
