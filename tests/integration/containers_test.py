"""What containers are made of: entrypoint, profile, compose files, manifests."""

import json
import os
import subprocess

import pytest
import yaml

from conftest import MODULE, ROOT, SERVER_BINARY, wait_until

DOCKER = ROOT / "docker"
ENTRYPOINT = DOCKER / "entrypoint.sh"


def documents(name):
    return list(yaml.safe_load_all((DOCKER / name).read_text()))


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


def restricted(pod_context, container_context):
    """The rules of Pod Security `restricted` for the two security contexts, one by one."""
    assert pod_context["runAsNonRoot"] is True and pod_context["runAsUser"] > 0
    assert pod_context["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
    assert container_context["allowPrivilegeEscalation"] is False
    assert container_context["capabilities"] == {"drop": ["ALL"]}
    assert container_context["readOnlyRootFilesystem"] is True
    assert container_context.get("runAsUser", 1) > 0
    assert container_context.get("runAsNonRoot", True)
    assert not {"privileged", "procMount", "seLinuxOptions"} & set(container_context)


def test_the_statefulset_meets_pod_security_restricted():
    [stateful] = [d for d in documents("kubernetes/statefulset.yaml") if d["kind"] == "StatefulSet"]
    pod = stateful["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod)
    for container in pod["containers"]:
        restricted(pod["securityContext"], container["securityContext"])
        assert not any("hostPort" in port for port in container["ports"])
        names = {mount["name"] for mount in container["volumeMounts"]}
        claims = {claim["metadata"]["name"] for claim in stateful["spec"]["volumeClaimTemplates"]}
        assert names == claims | {volume["name"] for volume in pod["volumes"]}
    assert all(set(volume) <= {"name", "emptyDir", "configMap", "secret"}
               for volume in pod["volumes"])


# What the official chart takes, of what we give it (valkey-io/valkey-helm, chart `valkey` 0.11).
CHART_TAKES = {
    "image": {"registry", "repository", "pullPolicy", "tag"},
    "dataStorage": {"enabled", "persistentVolumeClaimName", "subPath", "volumeName", "labels",
                    "requestedSize", "className", "accessModes", "keepPvc", "annotations",
                    "hostPath"},
    "replica": {"enabled", "replicas", "persistence"},
    "startupProbe": {"enabled", "initialDelaySeconds", "periodSeconds", "timeoutSeconds",
                     "failureThreshold", "customProbe"},
    "podSecurityContext": None, "securityContext": None, "resources": None, "valkeyConfig": None,
    "deploymentStrategy": None,
}
for _probe in ("readinessProbe", "livenessProbe"):
    CHART_TAKES[_probe] = CHART_TAKES["startupProbe"] | {"successThreshold"}


def test_the_charts_values_meet_pod_security_restricted_and_are_known_to_it():
    [values] = documents("kubernetes/valkey-helm-values.yaml")
    restricted(values["podSecurityContext"], values["securityContext"])
    assert set(values) <= set(CHART_TAKES)
    for name, known in CHART_TAKES.items():
        assert known is None or set(values[name]) <= known, name
    assert values["dataStorage"]["requestedSize"] == values["replica"]["persistence"]["size"]


def test_a_server_starts_with_the_configuration_that_the_chart_writes(server, tmp_path):
    """Its base lines, then valkeyConfig, in one file; only sizes and paths are ours."""
    [values] = documents("kubernetes/valkey-helm-values.yaml")
    node = server(start=False)  # For its port and folder.
    data, conf = node.dir / "data", tmp_path / "valkey.conf"
    data.mkdir(parents=True)
    text = (f"port {node.port}\nprotected-mode no\nbind 127.0.0.1\ndir /data\n"
            + values["valkeyConfig"])
    for ours, here in (("/usr/local/lib/libvalkey_flash.so", MODULE), ("/data", data),
                       ("20gb", "64mb"), ("cache-size-bytes 1gb", "cache-size-bytes 4mb")):
        assert ours in text
        text = text.replace(ours, str(here))
    conf.write_text(text)
    environment = dict(os.environ)
    if os.environ.get("FLASH_LD_PRELOAD"):
        environment["LD_PRELOAD"] = os.environ["FLASH_LD_PRELOAD"]
    process = subprocess.Popen([SERVER_BINARY, conf], env=environment, stdout=subprocess.DEVNULL)
    try:
        client = node.connect()
        wait_until(client.ping)
        assert client.execute_command("FLASH.SET", "key", "v" * 5000) == b"OK"
        assert client.execute_command("FLASH.DEBUG.DEMOTE", "key") == b"OK"
        assert client.execute_command("FLASH.GET", "key") == b"v" * 5000
        assert (data / "tier.bin").stat().st_size >= 64 << 20
        assert client.config_get("maxmemory") == {"maxmemory": str(3 << 30)}
    finally:
        process.terminate()
        process.wait(30)


def test_the_pods_memory_leaves_room_above_maxmemory():
    """`3gb` against `4Gi`: without maxmemory the kernel ends the server where keys grow."""
    [stateful] = [d for d in documents("kubernetes/statefulset.yaml") if d["kind"] == "StatefulSet"]
    [container] = stateful["spec"]["template"]["spec"]["containers"]
    [values] = documents("kubernetes/valkey-helm-values.yaml")
    assert container["args"][-2:] == ["--maxmemory", "3gb"]
    assert "maxmemory 3gb" in values["valkeyConfig"].splitlines()
    assert container["resources"]["limits"] == values["resources"]["limits"] == {"memory": "4Gi"}


def test_the_image_has_the_sizer_beside_the_library():
    dockerfile = (DOCKER / "Dockerfile").read_text()
    assert "COPY --from=build /out/flash-sizer /usr/local/bin/flash-sizer" in dockerfile
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignored if line[0] == "!"}
    assert kept == {"build/libvalkey_flash.so", "build/flash-sizer"}


def test_the_overlay_for_trying_out_ends_the_profile():
    [overlay] = documents("compose.single.dev.yml")
    [base] = documents("compose.single.yml")
    both = [option for compose in (base, overlay)
            for option in compose["services"]["valkey"]["security_opt"]]
    assert [option for option in both if option.startswith("seccomp:")][-1] == "seccomp:unconfined"


def test_the_user_of_image_and_manifest_is_the_same():
    dockerfile = (DOCKER / "Dockerfile").read_text()
    assert "USER 10001:10001" in dockerfile
    [stateful] = [d for d in documents("kubernetes/statefulset.yaml") if d["kind"] == "StatefulSet"]
    assert stateful["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 10001
    [values] = documents("kubernetes/valkey-helm-values.yaml")
    assert values["podSecurityContext"]["runAsUser"] == 10001
    assert values["securityContext"]["runAsUser"] == 10001
