"""What a read may return, known from the moments at which writes began and were acknowledged.

A value is *stale* when, before the read began, a write was acknowledged that had itself begun
after the value's own write was acknowledged: then no order of the operations explains the read.
This holds for any number of concurrent writers. Moments are numbers of one clock (`now`).

Every change of a key is an Event of that key with the content it leaves: the version number of a
self-describing value (harness/values.py), or None for "no key". One command may be an event of
many keys (RENAME, SWAPDB, FLUSHALL). A write without a reply stays open: it may have happened.
"""

import itertools
import math

now = itertools.count(1).__next__


class Event:
    __slots__ = ("content", "start", "ack")

    def __init__(self, content, start, ack):
        self.content, self.start, self.ack = content, start, ack


class Key:
    """The history of one name in one database.

    frontier  the latest start among acknowledged events: what a reader notes when it begins.
    certain   the content now, kept by the key's only writer, if it has only one.
    """

    __slots__ = ("frontier", "certain", "_events")

    def __init__(self):
        self.frontier = 0
        self.certain = None
        self._events = {None: [Event(None, 0, 0)]}

    def begin(self, content):
        """A command that leaves `content` is about to be sent."""
        event = Event(content, now(), math.inf)
        self._events.setdefault(content, []).append(event)
        return event

    def end(self, event, happened=True):
        """Its reply came. happened=False: it was refused, nothing changed."""
        if not happened:
            self._events[event.content].remove(event)
            return
        event.ack = now()
        self.frontier = max(self.frontier, event.start)

    def complaint(self, content, frontier, until=math.inf):
        """None if a read may return `content` that began at `frontier` and ended before `until`."""
        events = self._events.get(content, ())
        for event in reversed(events):
            if event.ack >= frontier and event.start <= until:
                return None
        if content is None:
            return "no key, though it was there all the time"
        if not events:
            return f"version {content} was never at this key: foreign"
        return f"version {content} is stale or not yet written"


class Histories(dict):
    """Keys by (database, name)."""

    def __missing__(self, where):
        key = self[where] = Key()
        return key

    def frontiers(self):
        return {where: key.frontier for where, key in self.items()}
