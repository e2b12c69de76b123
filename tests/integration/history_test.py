"""The judge of histories with failovers, on histories whose verdict is known.

First each kind of fault for itself, planted by hand; then a simulated pair of primary and replica
that behaves well (no complaint whatever the seed) or has one fault (which is found).
"""

import random

import pytest

from harness import values
from harness.history import Histories, Key, lost_out_of_order, now, one_version

SEEDS = 60


def written(key, *contents, confirmed=False):
    """Acknowledged writes, one after the other; the last may be confirmed by WAIT."""
    for content in contents:
        event = key.begin(content)
        key.end(event)
    if confirmed:
        key.confirm(event)
    return event


def test_a_promoted_replica_may_lack_the_last_writes():
    key = Key()
    written(key, 1, 2, 3)
    heir = key.fork()
    for content in (None, 1, 2, 3):
        assert heir.complaint(content, heir.frontier) is None


def test_a_write_that_wait_confirmed_is_not_lost():
    key = Key()
    written(key, 1, 2, confirmed=True)
    written(key, 3)
    heir = key.fork()
    assert "lost" in heir.complaint(1, heir.frontier)
    assert "no key" in heir.complaint(None, heir.frontier)
    assert heir.complaint(2, heir.frontier) is None and heir.complaint(3, heir.frontier) is None


def test_nothing_is_lost_where_roles_change_in_good_order():
    key = Key()
    written(key, 1, 2)
    flying = key.begin(3)
    key.confirm_all()
    heir = key.fork()
    assert "lost" in heir.complaint(1, heir.frontier)
    assert heir.complaint(2, heir.frontier) is None
    assert heir.complaint(flying.content, heir.frontier) is None


def test_what_was_lost_does_not_come_back():
    key = Key()
    written(key, 1, 2)
    heir = key.fork()
    heir.saw(1)
    assert "resurrected" in heir.complaint(2, heir.frontier)


def test_what_was_overwritten_in_the_new_line_does_not_come_back():
    key = Key()
    written(key, 1)
    heir = key.fork()
    written(heir, 2)
    assert "stale or resurrected" in heir.complaint(1, heir.frontier)


def test_a_delete_is_not_undone():
    key = Key()
    written(key, 1, None)
    assert "stale" in key.complaint(1, key.frontier)
    key.confirm_all()
    heir = key.fork()
    assert "lost" in heir.complaint(1, heir.frontier)
    assert heir.complaint(None, heir.frontier) is None


def test_what_the_old_primary_took_after_the_promotion_is_not_inherited():
    key = Key()
    written(key, 1)
    heir = key.fork()
    written(key, 2)
    assert key.complaint(2, key.frontier) is None
    assert heir.complaint(2, heir.frontier) is not None


def test_reads_do_not_go_back():
    key = Key()
    written(key, 1)
    key.begin(2)
    assert key.complaint(1, key.frontier) is None
    key.saw(2)
    assert "stale" in key.complaint(1, key.frontier)


def test_several_failovers():
    first = Key()
    written(first, 1, confirmed=True)
    written(first, 2)
    second = first.fork()
    third = second.fork()
    assert third.complaint(1, third.frontier) is None
    assert third.complaint(2, third.frontier) is None
    second.saw(1)
    assert third.complaint(2, third.frontier) is not None
    written(second, 3, confirmed=True)
    fourth = second.fork()
    assert "lost" in fourth.complaint(1, fourth.frontier)


def test_a_later_write_does_not_outlive_an_earlier_one():
    histories = Histories()
    a, b = histories["a"], histories["b"]
    written(a, 1, 2)
    written(b, 3)
    heirs = histories.fork()
    heirs["a"].saw(1)
    heirs["b"].saw(3)
    assert "is lost" in lost_out_of_order(heirs)
    heirs = histories.fork()
    heirs["a"].saw(2)
    heirs["b"].saw(None)
    assert lost_out_of_order(heirs) is None


def test_a_torn_transaction():
    assert one_version([7, 7]) == (7, None)
    assert "torn" in one_version([7, 8])[1]


def test_a_value_of_another_key():
    histories = Histories()
    version = now()
    written(histories["a"], version)
    assert "foreign" in histories["b"].complaint(version, histories["b"].frontier)
    assert values.parse(values.make(b"a", version, 200)).name == b"a"


# A simulated pair -------------------------------------------------------------------------------

FAULTS = ("loses a confirmed write", "answers an older value", "brings a delete back",
          "answers another key's value", "applies half a transaction", "loses out of order")
NAMES = ("a", "b", "c", "t0", "t1")


class Pair:
    """A primary whose replica lags; every write is an entry of a log of dicts."""

    def __init__(self, rng, fault):
        self.rng, self.fault = rng, fault
        self.log, self.confirmed = [], 0

    def state(self, upto=None):
        found = {}
        for entry in self.log[:upto]:
            found.update(entry)
        return found

    def write(self, entry):
        if self.fault == "applies half a transaction" and len(entry) == 2 \
                and self.rng.random() < 0.2:
            entry = dict([next(iter(entry.items()))])
        self.log.append(entry)

    def read(self, name):
        if self.fault == "answers another key's value" and self.rng.random() < 0.1:
            name = self.rng.choice(NAMES[:3])
        if self.fault == "answers an older value" and self.rng.random() < 0.1:
            return self.state(-3).get(name)
        return self.state().get(name)

    def promote(self):
        least = 0 if self.fault == "loses a confirmed write" else self.confirmed
        kept = self.log[:self.rng.randint(least, len(self.log))]
        if self.fault == "loses out of order" and len(kept) > 3:
            del kept[-3]
        if self.fault == "brings a delete back":
            kept = [entry for entry in kept if None not in entry.values()]
        self.log, self.confirmed = kept, len(kept)


def complaints(seed, fault=None):
    """Random writes, reads and failovers of a pair, judged."""
    rng = random.Random(seed)
    pair, histories, found = Pair(rng, fault), Histories(), []
    for _ in range(120):
        draw = rng.random()
        name = rng.choice(NAMES)
        names = NAMES[3:] if name[0] == "t" else (name,)
        if draw < 0.5:
            content = None if rng.random() < 0.3 else now()
            events = [(histories[each], histories[each].begin(content)) for each in names]
            pair.write(dict.fromkeys(names, content))
            for key, event in events:
                key.end(event)
                if draw < 0.05:
                    key.confirm(event)
            if draw < 0.05:
                pair.confirmed = len(pair.log)
        elif draw < 0.96:
            found += judged(histories, names, [pair.read(each) for each in names])
        else:
            pair.promote()
            histories = histories.fork()
            for each in NAMES:
                found += judged(histories, (each,), [pair.state().get(each)])
            found.append(lost_out_of_order(histories))
    return [complaint for complaint in found if complaint]


def judged(histories, names, contents):
    found = [histories[name].complaint(content, histories[name].frontier)
             for name, content in zip(names, contents)]
    for name, content, complaint in zip(names, contents, found):
        if complaint is None:
            histories[name].saw(content)
    return found + [one_version(contents)[1]]


def test_a_pair_that_behaves_well_is_not_complained_of():
    for seed in range(SEEDS):
        assert complaints(seed) == [], seed


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_pair_is_found(fault):
    assert sum(bool(complaints(seed, fault)) for seed in range(SEEDS)) > SEEDS // 2
