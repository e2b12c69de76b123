"""What a read may return, known from the moments at which writes began and were acknowledged.

A value is *stale* when, before the read began, a write was acknowledged that had itself begun
after the value's own write was acknowledged: then no order of the operations explains the read.
This holds for any number of concurrent writers. Moments are numbers of one clock (`now`).

Every change of a key is an Event of that key with the content it leaves: the version number of a
self-describing value (harness/values.py), or None for "no key". One command may be an event of
many keys (RENAME, SWAPDB, FLUSHALL). A write without a reply stays open: it may have happened.

With failovers there are *lines*: what one node took writes for while it was the primary. A
promoted replica begins a line that inherits a beginning of the line before: replication is
asynchronous, so acknowledged writes at its end may be lost, but those that WAIT confirmed may not
(`durable`); what is lost is lost for good, and nothing that came before what survived is lost
(`lost_out_of_order`). So `fork` of each key gives its history in the new line.
"""

import itertools
import math

now = itertools.count(1).__next__


class Event:
    __slots__ = ("content", "start", "ack")

    def __init__(self, content, start, ack):
        self.content, self.start, self.ack = content, start, ack


class Key:
    """The history of one name in one database, in one line.

    frontier  the latest start among acknowledged events, and of those that reads have seen: what
              a reader notes when it begins.
    durable   the latest start among events that WAIT confirmed: a fork has all up to them.
    certain   the content now, kept by the key's only writer, if it has only one.
    """

    __slots__ = ("frontier", "durable", "certain", "_events", "_parent", "_forked", "_heirs")

    def __init__(self, content=None):
        """`content` is what it had before anybody began."""
        self.frontier = self.durable = 0
        self.certain = content
        self._events = {content: [Event(content, 0, 0)]}
        self._parent, self._forked, self._heirs = None, 0, None

    def fork(self):
        """The key's history in the line of a replica that is the primary from now on."""
        child = Key(self.certain)
        child._events = {}
        child._parent, child._forked = self, now()
        return child

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

    def confirm(self, event):
        """WAIT said, after its reply, that whatever may be promoted has it."""
        self.durable = max(self.durable, event.start)

    def confirm_all(self):
        """Nothing acknowledged so far may be lost: the roles change in good order."""
        self.durable = max([self.durable] + [event.start for event in self._all()
                                             if event.ack < math.inf])

    def saw(self, content):
        """A read that was right has ended: from now on none may return anything older."""
        mine = [event for event in self._events.get(content, ()) if event.ack >= self.frontier]
        inherited = [] if self.frontier else self._inherited(content)
        if mine and not inherited:
            self.frontier = max(self.frontier, min(event.start for event in mine))
        elif inherited and not mine:
            self._heirs = inherited

    def complaint(self, content, frontier, until=math.inf):
        """None if a read may return `content` that began at `frontier` and ended before `until`."""
        events = self._events.get(content, ())
        for event in reversed(events):
            if event.ack >= frontier and event.start <= until:
                return None
        if not frontier and self._inherited(content):
            return None
        if content is None:
            return "no key, though it was there all the time"
        if events:
            return f"version {content} is stale or not yet written"
        if self._parent and self._parent.knows(content):
            return self._why_not_inherited(content)
        return f"version {content} was never at this key: foreign"

    def knows(self, content):
        """Was it ever at this key, or may it have been, here or in a line before?"""
        return bool(self._events.get(content)
                    or self._parent and self._parent.knows(content))

    def survivor(self):
        """The one event of a line before that reads have shown to be the inherited one, or None."""
        heirs = {id(event): event for event in self._heirs or ()}
        return next(iter(heirs.values())) if len(heirs) == 1 else None

    def lost(self):
        """Acknowledged events of the line before that are known not to be in this one."""
        kept = self.survivor()
        if kept is None:
            return []
        return [event for event in self._parent._all() if event.ack < math.inf
                and kept.ack < event.start <= self._forked]

    # Inside -----------------------------------------------------------------------------------

    def _all(self):
        return [event for events in self._events.values() for event in events]

    def _inherited(self, content):
        """The events of lines before with this content that this line may have begun with."""
        if self._heirs is not None:
            return [event for event in self._heirs if event.content == content]
        if self._parent is None:
            return []
        parent = self._parent
        found = [event for event in parent._events.get(content, ())
                 if event.ack >= parent.durable and event.start <= self._forked]
        return found if parent.durable else found + parent._inherited(content)

    def _why_not_inherited(self, content):
        if self.frontier or self._heirs is not None:
            return f"version {content} of the line before is back: stale or resurrected"
        return f"version {content} lacks a write that WAIT had confirmed: lost"


class Histories(dict):
    """Keys by (database, name)."""

    def __missing__(self, where):
        key = self[where] = Key()
        return key

    def frontiers(self):
        return {where: key.frontier for where, key in self.items()}

    def fork(self):
        """The histories in the line of a replica that is the primary from now on."""
        child = Histories()
        for where, key in self.items():
            child[where] = key.fork()
        return child


def lost_out_of_order(histories):
    """A complaint if a line began with a write, but without one acknowledged before it began."""
    forks = [(where, key, key.survivor()) for where, key in histories.items()]
    known = [(kept.start, where) for where, _, kept in forks if kept]
    lost = [(event.ack, where) for where, key, _ in forks for event in key.lost()]
    if known and lost and min(lost)[0] < max(known)[0]:
        return f"a write of {min(lost)[1]} is lost, a later one of {max(known)[1]} is not"
    return None


def one_version(versions):
    """The content of keys that are only ever written together; a complaint if they differ."""
    if len(set(versions)) == 1:
        return versions[0], None
    return None, f"versions {versions} of one transaction: torn"
