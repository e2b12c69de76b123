"""Replicas without a tier, the default, and how a tier comes and goes with a server's role.

docs/adr/0023: no file, all values in RAM; a promotion opens the tier and takes writes at once; a
primary that becomes a replica lets go of its tier when a full synchronisation replaces its data.
"""

import os
import random
import subprocess
import sys

import pytest
import redis

from conftest import LOGGED, StartError, wait_until
from harness.cluster import Cluster, take_over
from harness.pairs import outrun_backlog, wait_for_tier

MIB = 1 << 20
SMALL = {"flash.cache-size-bytes": "2mb", "flash.compression": "none",
         "flash.capacity-bytes": "64mb"}
# No backlog helps after this many bytes.
FORGETFUL = {**SMALL, "repl-backlog-size": "16kb"}
SHAPES = ("string", "hash", "list", "zset")
SYNCS = {
    "disk": {"repl-diskless-sync": "no"},
    "diskless": {"repl-diskless-sync": "yes", "repl-diskless-load": "on-empty-db"},
    "swapdb": {"repl-diskless-sync": "yes", "repl-diskless-load": "swapdb"},
}


def fill(node, keys=1000, seed=1):
    """`keys` values of each shape, about 12 MiB for 1000; collections of many leaves among them."""
    source = random.Random(seed)
    pipe = node.client.pipeline(transaction=False)
    for n in range(keys):
        value = source.randbytes(3000)
        pipe.execute_command("FLASH.SET", f"string{n}", value)
        pipe.execute_command("DEL", f"hash{n}", f"list{n}", f"zset{n}")
        pipe.execute_command("FLASH.HSET", f"hash{n}", "f", value[:1500], "g", value[1500:])
        pipe.execute_command("FLASH.RPUSH", f"list{n}", value[:1500], value[1500:])
        pipe.execute_command("FLASH.ZADD", f"zset{n}", 1, value[:1500], 2, value[1500:])
    pipe.execute_command("FLASH.SET", "rope", source.randbytes(3 * MIB))
    pipe.execute_command("DEL", "tree")
    pipe.execute_command("FLASH.HSET", "tree", *[part for n in range(3000)
                                                 for part in (f"f{n}", f"{seed}-{n}" * 5)])
    pipe.execute_command("FLASH.SET", "tiny", str(seed))
    pipe.execute_command("SET", "native", str(seed))
    pipe.execute()


def digest(node):
    return node.call("DEBUG", "DIGEST")


def flash(node, field):
    return node.info("flash")[f"flash_{field}"]


def tier_file(node):
    return node.dir / "flash.tier"


def log_of(node, words):
    return [line for line in node.log().splitlines() if words in line]


def expect_no_tier(node):
    info = node.info("flash")
    assert info["flash_tier_state"] == "none"
    assert info["flash_module_state"] == "ready"
    for field in ("storage_capacity_bytes", "storage_used_bytes", "storage_free_bytes",
                  "tiered_keys", "blocks_cold", "blocks_demoting", "blocks_hot_clean",
                  "auto_demotions_inflight", "segments_free", "io_buffer_bytes"):
        assert info[f"flash_{field}"] == 0, field


def wait_for_link(node):
    wait_until(lambda: node.info("replication").get("master_link_status") == "up", 60, "the link")


def wait_until_down(node):
    """What is beyond the cache has left RAM."""
    wait_until(lambda: flash(node, "cache_size_bytes") <= 2 * MIB, 60, "hot bytes in their bound")


@pytest.fixture
def pair(server):
    """A primary with cold values, and a replica of it that was started as one."""
    def make(primary_settings=None, replica_settings=None, keys=1000):
        primary = server({**FORGETFUL, **(primary_settings or {})})
        fill(primary, keys)
        wait_until_down(primary)
        replica = server({**FORGETFUL, **(replica_settings or {}),
                          "replicaof": f"127.0.0.1 {primary.port}"})
        wait_for_link(replica)
        replica.wait_for_offset_of(primary)
        return primary, replica
    return make


# --- Started as a replica ----------------------------------------------------------------------


@pytest.mark.parametrize("sync", SYNCS)
def test_everything_is_in_ram_and_no_file_is_made(pair, sync):
    primary, replica = pair(SYNCS[sync], SYNCS[sync])
    expect_no_tier(replica)
    assert not tier_file(replica).exists()
    assert digest(replica) == digest(primary)
    assert flash(replica, "cache_size_bytes") > 12 * MIB > flash(primary, "cache_size_bytes")
    assert flash(replica, "tiered_keys") == 0 < flash(primary, "tiered_keys")
    # Once more, over data that is there.
    fill(primary, 1000, seed=2)
    outrun_backlog(primary)
    wait_until(lambda: primary.info("stats")["sync_full"] >= 2, 60, "a second synchronisation")
    wait_for_link(replica)
    replica.wait_for_offset_of(primary)
    assert digest(replica) == digest(primary)
    expect_no_tier(replica)
    # Nothing of the first is left.
    wait_until(lambda: flash(replica, "cache_size_bytes") < 25 * MIB, 30, "the old data to go")


def test_effects_of_the_link_stay_in_ram(pair):
    primary, replica = pair(keys=10)
    fill(primary, 1000, seed=3)
    primary.call("FLASH.HSET", "tree", "f7", "changed")
    primary.call("COPY", "rope", "rope2")
    primary.call("FLASH.CONVERT", "zset7")
    replica.wait_for_offset_of(primary)
    assert digest(replica) == digest(primary)
    expect_no_tier(replica)
    assert flash(replica, "cache_size_bytes") > 12 * MIB
    assert not tier_file(replica).exists()
    assert flash(replica, "sync_waits_total") == 0


def test_what_concerns_the_tier_answers_sensibly(pair):
    primary, replica = pair(keys=20)
    client = replica.client
    with pytest.raises(redis.ResponseError, match="there is no tier now .* stays in RAM"):
        replica.call("FLASH.DEBUG.DEMOTE", "string1")
    assert replica.call("FLASH.DEBUG.DEMOTE", "tiny") == b"ALREADY_COLD"
    with pytest.raises(redis.ResponseError, match="key does not exist"):
        replica.call("FLASH.DEBUG.DEMOTE", "nobody")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        replica.call("FLASH.DEBUG.DEMOTE", "native")
    assert replica.call("FLASH.COMPACTION.TRIGGER") == b"OK"
    assert flash(replica, "compaction_runs") == 1
    stats = dict(pair_.split(b":") for pair_ in replica.call("FLASH.COMPACTION.STATS"))
    assert int(stats[b"free_blocks"]) == 0
    answer = replica.call("FLASH.MIGRATE.PROBE")
    probe = dict(zip(answer[::2], answer[1::2]))
    assert (probe[b"state"], probe[b"capacity_bytes"], probe[b"free_bytes"]) == (b"ready", 0, 0)
    with pytest.raises(redis.ReadOnlyError):
        replica.call("FLASH.DRAIN")
    assert client.execute_command("FLASH.GET", "rope") == primary.call("FLASH.GET", "rope")
    client.config_set("flash.cache-size-bytes", "1mb")
    client.config_set("flash.compression", "lz4")
    client.config_set("flash.io-timeout-ms", "4000")
    expect_no_tier(replica)


@pytest.mark.parametrize("aof", ["no", "yes"])
def test_it_saves_and_loads_its_own_data(pair, server, aof):
    primary, replica = pair(replica_settings={"appendonly": aof})
    wanted = digest(primary)
    replica.save_in_background()
    if aof == "yes":
        wait_until(lambda: not replica.info("persistence")["aof_rewrite_in_progress"], 60, "AOF")
        replica.rewrite_aof()
    primary.stop()
    replica.kill()
    replica.start()
    wait_until(lambda: digest(replica) == wanted, 30, "the data")
    expect_no_tier(replica)
    assert not tier_file(replica).exists()
    assert replica.client.save()
    # As a primary it has a tier from the start, and all that was saved.
    del replica.settings["replicaof"]
    replica.restart()
    wait_until(lambda: digest(replica) == wanted, 30, "the data")
    assert flash(replica, "tier_state") == "open"
    assert flash(replica, "tiered_keys") > 0


def test_with_replica_tier_it_tiers_as_before(pair):
    primary, replica = pair(replica_settings={"flash.replica-tier-enabled": "yes"})
    assert flash(replica, "tier_state") == "open"
    assert tier_file(replica).exists()
    wait_until_down(replica)
    assert flash(replica, "tiered_keys") > 0
    assert digest(replica) == digest(primary)


# --- Checks at load ----------------------------------------------------------------------------


def as_replica(server, settings=None):
    return server({**SMALL, "replicaof": "127.0.0.1 1", **(settings or {})})


def test_a_path_that_no_promotion_could_open_stops_the_load(server, tmp_path):
    with pytest.raises(StartError, match="cannot load: .*the folder does not exist"):
        as_replica(server, {"flash.path": tmp_path / "missing" / "tier"})
    (tmp_path / "foreign").write_bytes(b"somebody's data, which nobody may overwrite")
    with pytest.raises(StartError, match="cannot load: .*is not a valkey-flash file"):
        as_replica(server, {"flash.path": tmp_path / "foreign"})
    assert (tmp_path / "foreign").read_bytes().startswith(b"somebody's data")
    primary = server(SMALL)
    with pytest.raises(StartError, match=f"cannot load: .*in use by process {primary.pid}"):
        as_replica(server, {"flash.path": tier_file(primary)})


def test_too_small_a_disk_is_a_warning(server):
    replica = as_replica(server, {"flash.capacity-bytes": "61440gb"})
    assert log_of(replica, "a promotion could not open the tier now: ")
    assert log_of(replica, "is beyond the disk")
    expect_no_tier(replica)
    assert not tier_file(replica).exists()


def test_a_file_that_is_there_stays_as_it_is(server):
    node = server(SMALL)
    node.stop()
    before = tier_file(node).stat()
    node.settings["replicaof"] = "127.0.0.1 1"
    node.start()
    expect_no_tier(node)
    after = tier_file(node).stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


# --- Promotion ---------------------------------------------------------------------------------


def test_a_promoted_replica_opens_its_tier_and_takes_writes_at_once(pair):
    primary, replica = pair()
    wanted = digest(primary)
    pipe = replica.client.pipeline(transaction=False)
    pipe.execute_command("REPLICAOF", "NO", "ONE")
    pipe.execute_command("FLASH.SET", "first", "x" * 5000)
    assert pipe.execute() == [b"OK", b"OK"]
    wait_for_tier(replica)
    assert tier_file(replica).stat().st_size >= 64 * MIB
    for n in range(200):  # Writes while 12 MiB leave RAM.
        assert replica.call("FLASH.SET", f"more{n}", "y" * 3000) == b"OK"
    wait_until_down(replica)
    info = replica.info("flash")
    assert info["flash_storage_capacity_bytes"] == 64 * MIB
    assert info["flash_storage_used_bytes"] + info["flash_storage_free_bytes"] == 64 * MIB
    assert info["flash_tiered_keys"] > 3000
    replica.call("DEL", "first", *[f"more{n}" for n in range(200)])
    assert digest(replica) == wanted
    assert replica.call("FLASH.DEBUG.DEMOTE", "string1") in (b"OK", b"ALREADY_COLD")


def test_a_save_before_a_promotion_and_its_end_after(pair):
    primary, replica = pair()
    wanted = digest(primary)
    replica.client.config_set("rdb-key-save-delay", "500")
    replica.client.bgsave()
    replica.client.replicaof("NO", "ONE")
    wait_for_tier(replica)
    wait_until_down(replica)
    replica.client.config_set("rdb-key-save-delay", "0")
    wait_until(lambda: not replica.info("persistence")["rdb_bgsave_in_progress"], 60, "BGSAVE")
    assert replica.info("persistence")["rdb_last_bgsave_status"] == "ok"
    replica.kill()
    del replica.settings["replicaof"]
    replica.start()
    wait_until(lambda: digest(replica) == wanted, 30, "the data")


@pytest.mark.parametrize("trouble", ["foreign", "locked", "folder"])
def test_a_tier_that_cannot_be_opened_is_tried_again(pair, server, trouble):
    primary, replica = pair()
    wanted = digest(primary)
    path = tier_file(replica)
    holder = None
    if trouble == "foreign":
        path.write_bytes(b"somebody's data")
    elif trouble == "locked":
        holder = server({**SMALL, "flash.path": path})
    else:
        replica.dir.chmod(0o500) if os.geteuid() else path.mkdir()
    replica.client.replicaof("NO", "ONE")
    wait_for_tier(replica, "failed")
    assert log_of(replica, "the tier cannot be opened, which is tried again every second")
    assert replica.call("FLASH.SET", "while", "z" * 3000) == b"OK"
    assert replica.call("FLASH.GET", "while") == b"z" * 3000
    assert replica.call("FLASH.DEBUG.STATE") == b"ready"
    with pytest.raises(redis.ResponseError, match="there is no tier now"):
        replica.call("FLASH.DEBUG.DEMOTE", "string1")
    if trouble == "foreign":
        assert path.read_bytes() == b"somebody's data"
        path.unlink()
    elif trouble == "locked":
        holder.stop()
    else:
        replica.dir.chmod(0o700) if os.geteuid() else path.rmdir()
    wait_for_tier(replica)
    wait_until_down(replica)
    replica.call("DEL", "while")
    assert digest(replica) == wanted


def test_failover_and_back_by_psync(server):
    """FAILOVER: the old primary keeps its tier and its cold values; nothing is read back."""
    primary = server({**SMALL, "repl-backlog-size": "64mb"})
    fill(primary)
    wait_until_down(primary)
    replica = server({**SMALL, "repl-backlog-size": "64mb",
                      "replicaof": f"127.0.0.1 {primary.port}"})
    wait_for_link(replica)
    replica.wait_for_offset_of(primary)
    wanted = digest(primary)
    cold = flash(primary, "tiered_keys")
    for old, new in ((primary, replica), (replica, primary)):
        old.client.execute_command("FAILOVER", "TO", "127.0.0.1", new.port)
        wait_until(lambda: new.info("replication")["role"] == "master", 30, "the failover")
        wait_for_tier(new)
        wait_for_link(old)
        assert flash(old, "tier_state") == "open"
        new.call("FLASH.SET", "written", "w" * 3000)
        old.wait_for_offset_of(new)
        assert old.call("FLASH.GET", "written") == b"w" * 3000
        new.call("DEL", "written")
        wait_until_down(new)
    assert primary.info("stats")["sync_full"] == 1
    assert flash(primary, "tiered_keys") == cold
    replica.wait_for_offset_of(primary)
    assert digest(replica) == digest(primary) == wanted


def test_a_new_log_after_promotion_has_no_gap(pair):
    """The log of ours goes on without a tier, and over the promotion."""
    logged = {**LOGGED, "save": ""}
    primary, replica = pair(logged, logged, keys=200)
    wait_until(lambda: flash(replica, "wal_base") == "ok", 30, "a base after the synchronisation")
    for n in range(50):
        primary.call("FLASH.SET", f"late{n}", f"{n}" * 1000)
    replica.wait_for_offset_of(primary)
    replica.client.replicaof("NO", "ONE")
    for n in range(50):
        replica.call("FLASH.SET", f"own{n}", f"{n}" * 1000)
    wanted = digest(replica)
    replica.kill()
    del replica.settings["replicaof"]
    replica.start()
    wait_until(lambda: flash(replica, "module_state") == "ready", 30, "the recovery")
    assert digest(replica) == wanted
    assert flash(replica, "tier_state") == "open"


# --- A primary becomes a replica ---------------------------------------------------------------


@pytest.mark.parametrize("sync", SYNCS)
def test_a_full_sync_ends_the_tier_of_a_primary(server, sync):
    primary = server({**FORGETFUL, **SYNCS[sync]})
    fill(primary)
    old = server({**FORGETFUL, **SYNCS[sync]})
    fill(old, seed=9)
    wait_until_down(old)
    assert flash(old, "tiered_keys") > 0
    old.replicate_from(primary)
    old.wait_for_offset_of(primary)
    wait_for_tier(old, "none")
    expect_no_tier(old)
    assert digest(old) == digest(primary)
    assert tier_file(old).exists()
    with open(tier_file(old), "r+b") as file:  # Nobody holds its lock.
        code = "import fcntl; fcntl.lockf(0, fcntl.LOCK_EX | fcntl.LOCK_NB)"
        assert subprocess.run([sys.executable, "-c", code], stdin=file, check=False).returncode == 0
    # There and back: it opens the same file, or a new one where it was deleted.
    tier_file(old).unlink()
    old.client.replicaof("NO", "ONE")
    wait_for_tier(old)
    wait_until_down(old)
    assert digest(old) == digest(primary)
    assert flash(old, "storage_device_bytes_written") > 12 * MIB


def test_a_sync_that_fails_beside_old_data_leaves_the_tier(server):
    beside = {**FORGETFUL, **SYNCS["swapdb"], "loading-process-events-interval-bytes": "1024"}
    old, primary = server(beside), server(beside)
    fill(old, 300)
    primary.replicate_from(old)
    primary.wait_for_offset_of(old)
    wait_until(lambda: old.info("replication")["slave0"]["state"] == "online", 60, "the replica")
    old.call("FAILOVER", "TO", "127.0.0.1", primary.port)  # The same history: it loads beside.
    wait_for_link(old)
    wait_until_down(old)
    had = digest(old)
    assert flash(old, "tier_state") == "open"
    primary.client.config_set("rdb-key-save-delay", "3000")
    outrun_backlog(primary)
    wait_until(lambda: old.info("persistence")["async_loading"], 30, "the load beside old data")
    assert flash(old, "tier_state") == "emptying"
    assert digest(old) == had  # Cold values are read meanwhile.
    primary.kill()
    wait_until(lambda: not old.info("persistence")["async_loading"], 30, "the end of the load")
    wait_for_tier(old)
    wait_until_down(old)
    assert digest(old) == had


def test_roles_change_under_load(server):
    """Promoted and made a replica again and again: no value is lost, no file is left locked."""
    primary = server(FORGETFUL)
    fill(primary, 300)
    node = server({**FORGETFUL, "replicaof": f"127.0.0.1 {primary.port}"})
    for turn in range(6):
        node.client.replicaof("127.0.0.1", primary.port)
        if turn % 2 == 0:  # Else it turns back in the middle of a synchronisation.
            wait_for_link(node)
        node.client.replicaof("NO", "ONE")
        for n in range(100):
            node.call("FLASH.SET", f"own{turn}:{n}", f"{turn}" * 4000)
        for n in range(100):
            assert node.call("FLASH.GET", f"own{turn}:{n}") == f"{turn}".encode() * 4000
    wait_for_tier(node)
    wait_until_down(node)
    node.replicate_from(primary)
    node.wait_for_offset_of(primary)
    wait_for_tier(node, "none")
    assert digest(node) == digest(primary)


# --- Cluster -----------------------------------------------------------------------------------


def read_beside_a_failover(client, key):
    """Whoever waits when its server becomes a replica is told so: docs/clients.md."""
    while True:
        try:
            return client.execute_command("FLASH.GET", key)
        except redis.ResponseError as error:
            assert str(error).startswith("UNBLOCKED force unblock"), error


def test_a_cluster_failover_opens_the_tier_of_the_replica(server):
    cluster = Cluster(server, settings={**SMALL, "flash.cache-size-bytes": "1mb",
                                        "cluster-node-timeout": "2000"})  # Votes are asked anew.
    client = cluster.client()
    keys = [f"key{n}" for n in range(3000)]
    for key in keys:
        client.execute_command("FLASH.SET", key, key * 300)
    primary, replica = cluster.primaries[0], cluster.replicas[0]
    wait_for_tier(replica, "none")  # It was a primary before the cluster was made.
    tier_file(replica).unlink()
    replica.restart()  # It knows its role from nodes.conf alone.
    expect_no_tier(replica)
    assert not tier_file(replica).exists()
    wait_for_link(replica)
    replica.wait_for_offset_of(primary)
    expect_no_tier(replica)
    wait_until(lambda: replica.client.cluster("info")["cluster_state"] == "ok", 60, "the cluster")
    take_over(replica)
    wait_for_tier(replica)
    wait_until_down(replica)
    assert flash(replica, "tiered_keys") > 0
    for key in keys[::10]:
        assert read_beside_a_failover(client, key) == (key * 300).encode()
    client.close()
