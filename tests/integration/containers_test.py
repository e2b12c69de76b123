"""What containers are made of: entrypoint, profile, compose files, manifests."""

import json
import os
import subprocess

import pytest
import yaml

from conftest import MODULE, ROOT

DOCKER = ROOT / "docker"
ENTRYPOINT = DOCKER / "entrypoint.sh"


class _Loader(yaml.SafeLoader):
    """Knows the tag by which a compose file replaces a list of the file before it."""


_Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def documents(name):
    return list(yaml.load_all((DOCKER / name).read_text(), _Loader))


def started(folder, args=(), **variables):
    """The server's arguments as the entrypoint gives them."""
    fake = folder / "bin"
    fake.mkdir(exist_ok=True)
    for program in ("valkey-server", "other-program"):
        (fake / program).write_text('#!/bin/sh\nprintf "%s\\0" "$0" "$@"\n')
        (fake / program).chmod(0o755)
    environment = {"PATH": f"{fake}:/usr/bin:/bin", **variables}
    run = subprocess.run([ENTRYPOINT, *args], env=environment, capture_output=True, check=True)
    words = run.stdout.decode().split("\0")[:-1]
    return [words[0].rsplit("/", 1)[-1], *words[1:]]


def test_every_variable_becomes_its_setting(tmp_path):
    words = started(tmp_path, FLASH_PATH="/flash/a b.bin", FLASH_CAPACITY_BYTES="10gb",
                    FLASH_IO_URING_ENTRIES="64", FLASH_REPLICA_TIER_ENABLED="yes", FLASH_SYNC="",
                    FLASHY="no", VALKEY_PORT="7000")
    assert words == ["valkey-server", "--loadmodule", "/usr/local/lib/libvalkey_flash.so",
                     "--port", "7000", "--dir", "/data",
                     "--flash.capacity-bytes", "10gb", "--flash.io-uring-entries", "64",
                     "--flash.path", "/flash/a b.bin", "--flash.replica-tier-enabled", "yes"]


def test_arguments_of_the_command_line_come_last_and_win(tmp_path):
    words = started(tmp_path, ["--save", "", "--flash.sync", "no"], FLASH_SYNC="always")
    assert words[-6:] == ["--flash.sync", "always", "--save", "", "--flash.sync", "no"]
    words = started(tmp_path, ["/etc/valkey.conf", "--port", "1"], FLASH_SYNC="always")
    assert words[:2] == ["valkey-server", "/etc/valkey.conf"]
    assert words[-4:] == ["--flash.sync", "always", "--port", "1"]
    assert started(tmp_path, ["valkey-server", "--save", "x"])[-2:] == ["--save", "x"]


def test_another_program_is_run_as_it_is(tmp_path):
    assert started(tmp_path, ["other-program", "-p", "7"]) == ["other-program", "-p", "7"]


def test_a_real_server_starts_by_it_and_its_health_is_told(server, tmp_path):
    node = server(start=False)  # For its port and folder.
    # Variables of the tests themselves are no settings.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("FLASH_")}
    environment |= {"VALKEY_PORT": str(node.port), "VALKEY_DIR": str(node.dir),
                    "VALKEY_MODULE_LIBRARY": str(MODULE), "FLASH_PATH": str(tmp_path / "tier"),
                    "FLASH_CAPACITY_BYTES": "32mb", "FLASH_CACHE_SIZE_BYTES": "2mb"}
    if os.environ.get("FLASH_LD_PRELOAD"):
        environment["LD_PRELOAD"] = os.environ["FLASH_LD_PRELOAD"]
    health = [ENTRYPOINT, "health"]
    assert subprocess.run(health, env=environment, check=False).returncode == 1
    process = subprocess.Popen([ENTRYPOINT, "--save", "", "--bind", "127.0.0.1"], env=environment,
                               stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if subprocess.run(health, env=environment, check=False).returncode == 0:
                break
            assert process.poll() is None
        assert node.connect().execute_command("FLASH.SET", "k", "v") == b"OK"
        assert node.connect().config_get("flash.cache-size-bytes") \
            == {"flash.cache-size-bytes": str(2 << 20)}
    finally:
        process.terminate()
        process.wait(30)
    environment["FLASH_CAPACITI_BYTES"] = "1gb"
    wrong = subprocess.run([ENTRYPOINT, "--bind", "127.0.0.1"], env=environment, timeout=60,
                           capture_output=True, check=False)
    assert wrong.returncode != 0
    assert b"capaciti-bytes" in wrong.stdout + wrong.stderr


def test_the_profile_allows_io_uring_and_little_else():
    profile = json.loads((DOCKER / "seccomp-flash.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"
               and not rule.get("includes") for name in rule["names"]}
    assert {"io_uring_setup", "io_uring_enter", "io_uring_register", "read"} <= allowed
    assert not {"bpf", "init_module", "kexec_load", "open_by_handle_at", "perf_event_open",
                "settimeofday"} & allowed


@pytest.mark.parametrize("name, nodes", [("compose.single.yml", 1), ("compose.cluster.yml", 6),
                                         ("compose.cluster.replica-tier.yml", 6)])
def test_compose_files_run_servers_with_volumes_of_their_own_and_no_rights(name, nodes):
    [compose] = documents(name)
    servers = {key: service for key, service in compose["services"].items() if key != "create"}
    assert len(servers) == nodes
    mounted = [volume for service in servers.values() for volume in service["volumes"]]
    assert len(set(mounted)) == len(mounted) == 2 * nodes
    assert {volume.split(":")[0] for volume in mounted} == set(compose["volumes"])
    for service in servers.values():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert "seccomp:./seccomp-flash.json" in service["security_opt"]
        assert "no-new-privileges:true" in service["security_opt"]
        tiers = service["environment"].get("FLASH_REPLICA_TIER_ENABLED") == "yes"
        assert tiers == ("replica-tier" in name)
    if nodes == 6:
        assert set(compose["services"]["create"]["depends_on"]) == set(servers)


def test_the_statefulset_meets_pod_security_restricted():
    """The rules of the standard, one by one."""
    [stateful] = [d for d in documents("kubernetes/statefulset.yaml") if d["kind"] == "StatefulSet"]
    pod = stateful["spec"]["template"]["spec"]
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True and context["runAsUser"] > 0
    assert context["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    for container in pod["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert own["readOnlyRootFilesystem"] is True
        assert not own.get("privileged")
        assert not any("hostPort" in port for port in container["ports"])
        names = {mount["name"] for mount in container["volumeMounts"]}
        claims = {claim["metadata"]["name"] for claim in stateful["spec"]["volumeClaimTemplates"]}
        assert names == claims | {volume["name"] for volume in pod["volumes"]}
    assert all(set(volume) <= {"name", "emptyDir", "configMap", "secret"}
               for volume in pod["volumes"])


def test_the_user_of_image_and_manifest_is_the_same():
    dockerfile = (DOCKER / "Dockerfile").read_text()
    assert "USER 10001:10001" in dockerfile
    [stateful] = [d for d in documents("kubernetes/statefulset.yaml") if d["kind"] == "StatefulSet"]
    assert stateful["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 10001
