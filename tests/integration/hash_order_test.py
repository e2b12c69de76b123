"""The order of a hash's fields stays what it is, whichever way the data comes back.

It follows the keyed hashes of the fields (docs/adr/0020), so it is as lasting as their key: kept
in the tier file, and carried by snapshots.
"""

import pytest

from conftest import LOGGED, wait_until

SIZES = {"small": 12, "leaf": 90, "tree": 3000}


def fill(node):
    for name, count in SIZES.items():
        node.call("FLASH.HSET", name, *[part for i in range(count)
                                        for part in (f"{name}:field:{i}", f"value:{i}")])


def orders(node):
    """Fields as HGETALL gives them, whatever client library made of the reply."""
    found = {}
    for name, count in SIZES.items():
        fields = list(node.client.execute_command("FLASH.HGETALL", name))[::2]
        assert len(set(fields)) == count, name
        found[name] = fields
    return found


def filled(server, settings=None):
    node = server(settings or {})
    fill(node)
    return node, orders(node)


def test_the_order_is_no_order_that_was_typed(server):
    """Else the tests below would show nothing of the key."""
    _, order = filled(server)
    typed = [f"tree:field:{i}".encode() for i in range(SIZES["tree"])]
    assert order["tree"] != typed
    _, another = filled(server)
    assert order != another, "every server keys its hashes alike"


def test_by_rdb(server):
    node, order = filled(server, {"save": "3600 1"})
    node.restart()
    assert orders(node) == order


def test_by_rdb_over_another_tier_file(server):
    node, order = filled(server, {"save": "3600 1"})
    node.stop()
    (node.dir / "flash.tier").unlink()
    for _ in range(2):
        node.start()
        assert orders(node) == order
        node.call("SAVE")
        node.stop()


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("rewritten", [True, False], ids=["rewritten", "as it came"])
def test_by_aof(server, preamble, rewritten):
    settings = {"appendonly": "yes", "aof-use-rdb-preamble": preamble}
    node, order = filled(server, settings)
    if rewritten:
        node.rewrite_aof()
    for _ in range(2):
        node.restart(crash=True)
        assert orders(node) == order


def test_by_our_own_log(server):
    node, order = filled(server, LOGGED)
    for _ in range(2):
        node.restart(crash=True)
        assert "records applied" in node.log_since_start()
        assert orders(node) == order


def test_after_debug_reload(server):
    node, order = filled(server)
    node.call("DEBUG", "RELOAD")
    assert orders(node) == order


def test_after_everything_went_cold(server):
    node, order = filled(server)
    for name in SIZES:
        node.call("FLASH.DEBUG.DEMOTE", name)
    assert orders(node) == order
    node.call("DEBUG", "RELOAD")
    assert orders(node) == order


def test_of_copies(server):
    node, order = filled(server)
    node.call("COPY", "tree", "copy")
    node.call("FLASH.HSET", "copy", "tree:field:0", "other")
    fields = list(node.client.execute_command("FLASH.HGETALL", "copy"))[::2]
    assert fields == order["tree"]
    node.call("RESTORE", "again", 0, node.call("DUMP", "tree"))
    assert list(node.client.execute_command("FLASH.HGETALL", "again"))[::2] == order["tree"]


@pytest.mark.parametrize("load", ["disabled", "on-empty-db", "swapdb"])
def test_on_a_replica(server, load):
    """And when that starts again, with whatever it has then."""
    primary, order = filled(server)
    replica = server({"repl-diskless-load": load})
    replica.replicate_from(primary)
    assert orders(replica) == order
    replica.restart({"replicaof": f"127.0.0.1 {primary.port}", "appendonly": "yes",
                     "aof-use-rdb-preamble": "no"})
    wait_until(lambda: replica.info("replication").get("master_link_status") == "up", 30, "link")
    assert orders(replica) == order
    replica.call("REPLICAOF", "NO", "ONE")
    # The synchronisation has begun one.
    wait_until(lambda: not replica.info("persistence")["aof_rewrite_in_progress"], 30, "rewrite")
    replica.rewrite_aof()
    replica.restart({"replicaof": "no one"}, crash=True)
    assert orders(replica) == order


def test_on_a_replica_that_held_other_data(server):
    """Large enough that the server's lazy-free thread is still at it when the new data comes."""
    primary, order = filled(server)
    replica = server({"repl-diskless-load": "disabled", "replica-lazy-flush": "yes"})
    for i in range(60):
        pipe = replica.client.pipeline(transaction=False)
        for j in range(1000):
            pipe.execute_command("FLASH.SET", f"k{i}:{j}", "x" * 100)
        pipe.execute()
    replica.replicate_from(primary)
    assert replica.client.dbsize() == len(SIZES)
    assert orders(replica) == order
