"""Settings: the table of docs/settings.md, all ways in, who wins, what is refused and how."""

import os
import re

import pytest
import redis

from conftest import MODULE, ROOT, SERVER_BINARY, StartError, free_port
from harness.threads import thread_names

MIB = 1024 * 1024


def documented():
    """Name -> (default, values, at run time) from the table of docs/settings.md."""
    rows = {}
    for line in (ROOT / "docs" / "settings.md").read_text().splitlines():
        match = re.match(r"\| `(flash\.[a-z-]+)` \| ([^|]*) \| ([^|]*) \| (yes|no) \|", line)
        if match:
            name, default, values, run_time = match.groups()
            rows[name] = (default, values, run_time == "yes")
    return rows


def in_bytes(text):
    match = re.fullmatch(r"(\d+)(kb|mb|gb|tb)?", text)
    factor = {None: 1, "kb": 1024, "mb": MIB, "gb": 1024 * MIB, "tb": MIB * MIB}
    return str(int(match[1]) * factor[match[2]]) if match else text


def get(node, name):
    return node.client.config_get(name)[name]


def log_lines(text, *words):
    return [line for line in text.splitlines() if all(word in line for word in words)]


def load_at_run_time(node, *words):
    node.call("MODULE", "LOADEX", *map(str, (MODULE, *words)))


def loaded(node):
    return [module[b"name"].decode() for module in node.client.module_list()]


class TestTable:
    def test_every_setting_exists_with_its_default(self, server):
        shown = server(module_args=()).client.config_get("flash.*")
        table = documented()
        assert set(shown) == set(table) and len(table) == 27
        given = {"flash.path", "flash.capacity-bytes", "flash.io-threads", "flash.wal",
                 "flash.main-thread-reads"}
        for name in set(table) - given:
            default = table[name][0]
            assert shown[name] == ("" if default == "(empty)" else in_bytes(default)), name

    def test_automatic_threads_read_back_as_a_number(self, server):
        usable = min(len(os.sched_getaffinity(0)), 8)
        shown = int(get(server(), "flash.io-threads"))
        assert 1 <= shown <= usable

    def test_the_main_thread_reads_itself_where_cpus_are_few(self, server):
        few = len(os.sched_getaffinity(0)) <= 2
        shown = int(get(server(), "flash.main-thread-reads"))
        assert shown == 24 if few else shown in (1, 24)  # A quota may leave less than the mask.
        assert get(server({"flash.main-thread-reads": 7}), "flash.main-thread-reads") == "7"

    def test_so_many_threads_as_asked_for(self, server):
        def threads(count):
            names = thread_names(server({'flash.io-threads': count}).pid)
            return sum(name.startswith("flash") for name in names)
        assert (threads(1), threads(5)) == (1, 5)

    def test_run_time_settings_change_and_read_back(self, server):
        node = server()
        for name, (_, values, run_time) in documented().items():
            if not run_time:
                continue
            if "…" in values:
                wanted = [value.strip() for value in values.split("…")]
            else:
                wanted = [value.strip() for value in values.split(",")]
            for value in wanted:
                value = in_bytes(value)
                assert node.client.config_set(name, value), name
                assert get(node, name) == value

    def test_others_refuse_with_words_and_accept_what_they_are(self, server):
        node = server()
        for name, (_, values, run_time) in documented().items():
            if run_time:
                continue
            now = get(node, name)
            assert node.client.config_set(name, now), name
            choices = [value.strip() for value in re.split("…|,", values)]
            other = "/elsewhere" if values == "text" else \
                next(in_bytes(value) for value in choices if in_bytes(value) not in (now, "0"))
            refused = "can't set immutable config.*restart the server"
            with pytest.raises(redis.exceptions.ResponseError, match=refused):
                node.client.config_set(name, other)
            assert get(node, name) == now, name


class TestWaysIn:
    def test_library_arguments_by_full_and_bare_name(self, server):
        node = server(module_args=["flash.cache-size-bytes", "32mb", "io-timeout-ms", "1234",
                                   "SYNC", "always"])
        assert get(node, "flash.cache-size-bytes") == str(32 * MIB)
        assert get(node, "flash.io-timeout-ms") == "1234"
        assert get(node, "flash.sync") == "always"

    def test_configuration_wins_over_library_arguments(self, server):
        node = server({"flash.cache-size-bytes": "64mb"},
                      module_args=["flash.cache-size-bytes", "32mb", "flash.io-timeout-ms", "77"])
        assert get(node, "flash.cache-size-bytes") == str(64 * MIB)
        assert get(node, "flash.io-timeout-ms") == "77"

    @pytest.mark.parametrize("module_line_first", [True, False])
    def test_set_and_rewrite_outlive_a_restart(self, server, module_line_first):
        node = server(start=False)
        load = (f"loadmodule {MODULE} path {node.dir}/flash.tier capacity-bytes 64mb "
                "cache-size-bytes 16mb io-timeout-ms 700")
        conf = "flash.demotion-batch 9"
        lines = [load, conf] if module_line_first else [conf, load]
        path = node.dir / "valkey.conf"
        path.write_text("\n".join(["bind 127.0.0.1", f"port {node.port}", f"dir {node.dir}",
                                   'save ""', *lines]) + "\n")
        node.command_line = lambda: [SERVER_BINARY, str(path)]
        node.start()
        assert get(node, "flash.cache-size-bytes") == str(16 * MIB)
        assert get(node, "flash.demotion-batch") == "9"
        node.client.config_set("flash.cache-size-bytes", "48mb")
        node.client.config_set("flash.demotion-batch", "0")
        node.client.config_rewrite()
        node.restart()
        assert get(node, "flash.cache-size-bytes") == str(48 * MIB)
        assert get(node, "flash.demotion-batch") == "0"
        assert get(node, "flash.io-timeout-ms") == "700"
        # The automatic number of threads is not made permanent by the rewrite.
        assert "io-threads" not in path.read_text()

    def test_set_back_to_the_default_of_the_library_line_survives_too(self, server):
        node = server(start=False)
        path = node.dir / "valkey.conf"
        path.write_text(f"bind 127.0.0.1\nport {node.port}\ndir {node.dir}\n"
                        f"loadmodule {MODULE} path {node.dir}/flash.tier capacity-bytes 64mb "
                        "cache-size-bytes 16mb\nflash.cache-size-bytes 20mb\n")
        node.command_line = lambda: [SERVER_BINARY, str(path)]
        node.start()
        node.client.config_set("flash.cache-size-bytes", "16mb")
        node.client.config_rewrite()
        node.restart()
        assert get(node, "flash.cache-size-bytes") == str(16 * MIB)

    def test_loadex(self, server):
        node = server(module=False)
        load_at_run_time(node, "CONFIG", "flash.cache-size-bytes", "24mb",
                         "CONFIG", "flash.path", node.dir / "loadex.tier",
                         "ARGS", "cache-size-bytes", "12mb", "capacity-bytes", "20mb")
        assert get(node, "flash.cache-size-bytes") == str(24 * MIB)
        assert get(node, "flash.capacity-bytes") == str(20 * MIB)
        assert (node.dir / "loadex.tier").exists()

    def test_failed_loadex_leaves_a_server_that_can_load_rightly(self, server):
        node = server(module=False)
        tier = node.dir / "again.tier"
        for wrong in (["ARGS", "path", tier, "capacity-bytes", "1"],
                      ["CONFIG", "flash.capacity-bytes", "1", "ARGS", "path", tier],
                      ["ARGS", "path", node.dir / "missing" / "tier"]):
            with pytest.raises(redis.exceptions.ResponseError):
                load_at_run_time(node, *wrong)
            assert "flash" not in loaded(node)
        load_at_run_time(node, "ARGS", "path", tier, "capacity-bytes", "16mb")
        assert "flash" in loaded(node)


class TestRefused:
    @pytest.mark.parametrize("arguments, words", [
        (["flash.cache-size", "1gb"], ["'flash.cache-size'", "'flash.cache-size-bytes'"]),
        (["nonsense", "1"], ["unknown setting 'nonsense'", "docs/settings.md"]),
        (["flash.io-threads"], ["'flash.io-threads'", "has no value"]),
        (["flash.io-threads", "257"], ["'flash.io-threads'", "0 to 256", "257"]),
        (["flash.io-threads", "two"], ["'flash.io-threads'", "a number", "'two'"]),
        (["capacity-bytes", "15mb"], ["'flash.capacity-bytes'", "from 16mb to 65536gb", "15mb"]),
        (["capacity-bytes", "65tb"], ["'flash.capacity-bytes'", "65536gb"]),
        (["capacity-bytes", "10 gb"], ["'flash.capacity-bytes'", "unit"]),
        (["cache-size-bytes", "1023kb"], ["'flash.cache-size-bytes'", "from 1mb"]),
        (["sync", "maybe"], ["'flash.sync'", "always, everysec, no", "'maybe'"]),
        (["replica-tier-enabled", "true"], ["'flash.replica-tier-enabled'", "no, yes", "'true'"]),
        (["path", ""], ["'flash.path'", "must name a file"]),
        (["cluster-mode-enabled", "yes"], ["'flash.cluster-mode-enabled'", "is yes",
                                           "cluster-enabled no"]),
    ])
    def test_library_arguments(self, server, arguments, words):
        with pytest.raises(StartError) as failure:
            server(module_args=arguments)
        lines = log_lines(str(failure.value), "cannot load: ")
        assert len(lines) == 1, failure.value
        for word in words:
            assert word in lines[0]

    @pytest.mark.parametrize("name, value, words", [
        ("flash.io-threads", "-1", ["from 0 to 256", "-1"]),
        ("flash.io-threads", "300", ["from 0 to 256", "300"]),
        ("flash.capacity-bytes", "1mb", ["from 16mb to 65536gb", "1mb"]),
        ("flash.compaction-interval-sec", "0", ["from 1 to 3600"]),
        ("flash.sync", "maybe", ["one of"]),
        ("flash.path", "", ["must name a file"]),
    ])
    def test_configuration(self, server, name, value, words):
        with pytest.raises(StartError) as failure:
            server({name: value})
        lines = log_lines(str(failure.value), f"Issue during loading of configuration {name} ")
        assert len(lines) == 1, failure.value
        for word in words:
            assert word in lines[0]
        assert not log_lines(str(failure.value), "cannot load: ")

    def test_unknown_name_in_the_configuration(self, server):
        with pytest.raises(StartError, match="Unused Module Configuration: flash.bogus"):
            server({"flash.bogus": "1"})

    def test_out_of_bounds_at_run_time(self, server):
        node = server()
        for name, value in (("flash.cache-size-bytes", "1kb"), ("flash.io-timeout-ms", "1"),
                            ("flash.compression", "zstd"), ("flash.demotion-batch", "4097")):
            before = get(node, name)
            with pytest.raises(redis.exceptions.ResponseError, match="from|one of"):
                node.client.config_set(name, value)
            assert get(node, name) == before

    def test_one_wrong_value_undoes_the_others_of_its_config_set(self, server):
        node = server()
        for wrong in (("flash.io-timeout-ms", "1"), ("flash.path", "/elsewhere")):
            with pytest.raises(redis.exceptions.ResponseError):
                node.call("CONFIG", "SET", "flash.cache-size-bytes", "20mb", *wrong)
            assert get(node, "flash.cache-size-bytes") == str(256 * MIB)
            assert node.info("flash")["flash_cache_capacity_bytes"] == 256 * MIB

    def test_cluster_mode_that_agrees(self, server):
        node = server({"cluster-enabled": "yes", "cluster-port": free_port()},
                      module_args=["cluster-mode-enabled", "yes"])
        assert node.info("flash")["flash_cluster_mode"] == "yes"
        assert get(node, "flash.cluster-mode-enabled") == "yes"
