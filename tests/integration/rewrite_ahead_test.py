"""Cold values go to rewritten AOFs, and to the target of a slot migration, ahead of their turn.

They leave in the order of the flash file, in several portions that grow; what the server adds
behind each key, its expiry, must still come after it, in the same database, and nothing twice.
"""

import pytest

from conftest import wait_until
from harness.cluster import migration_outcomes, single_node
from harness.disks import spoil_value
from harness.parking import chill
from slot_migration_test import Pair
from snapshots_test import TIGHT, digest, fill_small_collections, fill_strings, value_of

LATER_MS = 4102444800000
REWRITTEN = {**TIGHT, "appendonly": "yes", "aof-use-rdb-preamble": "no"}


def fill(node, count, db=0):
    """Cold values of one block and of many, shared ones, hot and native ones, some that expire."""
    client = node.connect(db=db)
    pipe = client.pipeline(transaction=False)
    for n in range(count):
        expiry = ("PXAT", LATER_MS + n) if n % 3 == 0 else ()
        pipe.execute_command("FLASH.SET", f"s{n}", value_of(n), *expiry)
        pipe.execute_command("FLASH.RPUSH", f"l{n}", value_of(n, 300), value_of(n + 1, 300))
        if n % 5 == 0:
            pipe.pexpireat(f"l{n}", LATER_MS + n)
    pipe.execute_command("FLASH.HSET", "h", "f", value_of(1), "g", "2")
    pipe.execute_command("FLASH.ZADD", "z", 1.5, value_of(2), "-inf", "m")
    pipe.execute_command("FLASH.RPUSH", "long", *(value_of(n, 300) for n in range(300)))
    pipe.execute_command("FLASH.SET", "rope", value_of(1, 900_000))
    pipe.copy("s1", "copy")
    pipe.set("native", "n", pxat=LATER_MS)
    pipe.execute()
    names = [f"{kind}{n}" for n in range(count) for kind in "sl"]
    chill(node, *names, "h", "z", "long", "rope", "copy", db=db)
    for n in range(0, count, 50):
        client.execute_command("FLASH.GET", f"s{n}")  # Hot again.


def commands_of(path):
    """(database, command, key) of everything in an AOF."""
    data, at, db, found = path.read_bytes(), 0, 0, []

    def number(mark):
        nonlocal at
        assert data[at:at + 1] == mark
        end = data.index(b"\r\n", at)
        value, at = int(data[at + 1:end]), end + 2
        return value

    while at < len(data):
        words = []
        for _ in range(number(b"*")):
            length = number(b"$")
            words.append(data[at:at + length])
            at += length + 2
        if words[0] == b"SELECT":
            db = int(words[1])
        else:
            found.append((db, words[0].decode(), words[1].decode()))
    return found


def expiries(node, dbs):
    found = {}
    for db in dbs:
        client = node.connect(db=db)
        names = sorted(client.keys())
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.pexpiretime(name)
        found.update({(db, name): at for name, at in zip(names, pipe.execute()) if at > 0})
    return found


def check_order(commands, count):
    """Each key once, its expiry behind it; and ahead of their turn, as they lie on flash."""
    first, expired, last = {}, {}, {}
    for at, (db, command, key) in enumerate(commands):
        if command == "PEXPIREAT":
            assert (db, key) not in expired
            expired[db, key] = at
            continue
        first.setdefault((db, key), at)
        # All commands of a key stand together.
        assert last.setdefault((db, key), at) in (at, at - 1), (db, key)
        last[db, key] = at
    assert all(at > last[key] for key, at in expired.items())
    once = [(db, key) for db, command, key in commands if command == "FLASH.SET"]
    assert len(once) == len(set(once))
    in_turn = sum(at == last[key] + 1 for key, at in expired.items() if key[1] != "native")
    assert in_turn < len(expired) / 2, "their expiry follows most keys: none went ahead"
    neighbours = sum(first[0, f"l{n}"] == first[0, f"s{n}"] + 1 for n in range(count))
    assert neighbours > count / 8, "not in the order of the flash file, window by window"


@pytest.mark.parametrize("cluster", [False, True], ids=["alone", "cluster"])
def test_a_rewritten_aof_holds_each_key_once_and_its_expiry_behind_it(server, cluster):
    count, dbs = (900, (0,)) if cluster else (700, (0, 3))
    if cluster:
        node = single_node(server, REWRITTEN)
        fill_in_slots(node, count)
    else:
        node = server(REWRITTEN)
        for db in dbs:
            fill(node, count, db)
    expected, times = digest(node), expiries(node, dbs)
    assert len(times) >= count // 3
    fetched = node.info("flash")["flash_block_fetches"]
    node.rewrite_aof()
    assert node.info("flash")["flash_block_fetches"] == fetched, "the child reads for itself"
    [base] = (node.dir / "appendonlydir").glob("*.base.aof")
    check_order(commands_of(base), count)
    node.kill()
    node.start()
    wait_until(lambda: not cluster or node.client.cluster("info")["cluster_state"] == "ok", 30)
    assert digest(node) == expected
    assert expiries(node, dbs) == times


def fill_in_slots(node, count):
    """Strings and lists all over the slots."""
    pipe = node.client.pipeline(transaction=False)
    for n in range(count):
        pipe.execute_command("FLASH.SET", f"s{n}", value_of(n), "PXAT", LATER_MS + n)
        pipe.execute_command("FLASH.RPUSH", f"l{n}", value_of(n, 300), value_of(n + 1, 300))
    pipe.execute()
    chill(node, *(f"{kind}{n}" for n in range(count) for kind in "sl"))


def test_a_spoilt_record_fails_the_rewrite(server):
    node = server(REWRITTEN)
    fill_strings(node, 500)
    fill_small_collections(node, 50)
    victim = b"a victim of 13 " * 40
    node.call("FLASH.SET", "victim", victim)
    chill(node, *(f"s{n}" for n in range(500)), "victim")
    files = sorted((node.dir / "appendonlydir").glob("*.base.*"))
    spoil_value(node.dir / "flash.tier", victim)
    node.client.bgrewriteaof()
    wait_until(lambda: not node.info("persistence")["aof_rewrite_in_progress"], 30, "the rewrite")
    assert node.info("persistence")["aof_last_bgrewrite_status"] == "err"
    assert "could not be read from flash while saving (checksum mismatch)" in node.log()
    assert sorted((node.dir / "appendonlydir").glob("*.base.*")) == files
    assert not list(node.dir.glob("temp-*"))
    node.call("DEL", "victim")
    node.rewrite_aof()


def test_slots_leave_together_and_no_others(server):
    """Two migrations at a time, ranges in any order; what is not moved stays as it was."""
    pair = Pair(server)
    count = 1500
    fill_in_slots(pair.source, count)
    names = [f"{kind}{n}" for n in range(count) for kind in "sl"]
    slots = {name: pair.source.call("CLUSTER", "KEYSLOT", name) for name in names}

    def moves(slot):
        return 2000 <= slot <= 5000 or 8000 <= slot <= 12000 or slot >= 14000

    def facts(node, wanted):
        asked = [name for name in names if wanted(slots[name])]
        pipe = node.client.pipeline(transaction=False)
        for name in asked:
            pipe.execute_command("DEBUG", "DIGEST-VALUE", name)
            pipe.pexpiretime(name)
        return pipe.execute()

    leaving, staying = facts(pair.source, moves), facts(pair.source, lambda slot: not moves(slot))
    pair.source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 8000, 12000, 2000, 5000, "NODE",
                     pair.id_of(pair.target), "SLOTSRANGE", 14000, 16383, "NODE",
                     pair.id_of(pair.target))
    wait_until(lambda: all(state == b"success" for state, _ in migration_outcomes(pair.source)), 60,
               "both")
    assert facts(pair.target, moves) == leaving
    assert facts(pair.source, lambda slot: not moves(slot)) == staying
    wait_until(lambda: pair.source.call("DBSIZE") * 2 == len(staying), 30, "the source to let go")
    assert pair.target.call("DBSIZE") * 2 == len(leaving)


def test_a_spoilt_record_fails_the_migration(server):
    pair = Pair(server)
    fill_in_slots(pair.source, 300)
    victim = b"a victim of 13 " * 40
    pair.source.call("FLASH.SET", "victim", victim)
    chill(pair.source, "victim")
    spoil_value(pair.source.dir / "flash.tier", victim)
    pair.migrate(0, 16383)
    pair.wait_for(b"failed")
    assert "could not be read from flash while saving (checksum mismatch)" in pair.source.log()
    assert pair.source.call("DBSIZE") == 601 and pair.target.call("DBSIZE") == 0
