"""What `make dist` left in build/dist: checksums, contents, and that it runs. `make dist-test`.

Not collected by `make test`: making the tarballs takes a compiler for each architecture. Those of
another architecture are run by qemu-user.
"""

import hashlib
import os
import platform
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from conftest import ROOT

DIST = ROOT / "build" / "dist"
TARBALLS = sorted(DIST.glob("*.tar.gz"))
VERSION = re.search(r"^project\(valkey_flash VERSION (\S+) ", (ROOT / "CMakeLists.txt").read_text(),
                    re.MULTILINE)[1]
MACHINES = {"x86_64": 62, "aarch64": 183}  # ELF's e_machine.

each_tarball = pytest.mark.parametrize("tarball", TARBALLS, ids=lambda path: path.name)


def architecture_of(tarball):
    return tarball.name.removesuffix(".tar.gz").rsplit("-", 1)[1]


def emulated(tarball):
    """What comes before a program of the tarball to run it here."""
    architecture = architecture_of(tarball)
    if architecture == platform.machine():
        return []
    return [f"qemu-{architecture}-static", "-L", f"/usr/{architecture}-linux-gnu"]


def unpacked(tarball, folder):
    with tarfile.open(tarball) as archive:
        archive.extractall(folder)
    [top] = list(Path(folder).iterdir())
    return top


def output(*command):
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()


def test_there_is_a_tarball_for_each_architecture_or_those_asked_for():
    assert TARBALLS, "make dist comes first"
    for tarball in TARBALLS:
        assert tarball.name == f"valkey-flash-{VERSION}-linux-{architecture_of(tarball)}.tar.gz"
        assert architecture_of(tarball) in MACHINES


def test_checksums_verify_and_name_every_tarball():
    output("sh", "-c", f"cd '{DIST}' && sha256sum --check --strict SHA256SUMS")
    lines = (DIST / "SHA256SUMS").read_text().splitlines()
    assert [line.split()[1] for line in lines] == [tarball.name for tarball in TARBALLS]


@each_tarball
def test_nothing_in_it_tells_who_made_it_when(tarball):
    made = int(os.environ.get("SOURCE_DATE_EPOCH")
               or output("git", "-C", ROOT, "log", "-1", "--format=%ct"))
    with tarfile.open(tarball) as archive:
        members = archive.getmembers()
    assert {member.mtime for member in members} == {made}
    owners = {(member.uid, member.gid, member.uname, member.gname) for member in members}
    assert owners == {(0, 0, "", "")}
    assert {member.mode for member in members} == {0o755, 0o644}
    names = [member.name for member in members]
    top = tarball.name.removesuffix(".tar.gz")
    assert all(name == top or name.startswith(f"{top}/") for name in names)
    assert not any(".." in name.split("/") or "__pycache__" in name for name in names)
    # gzip's own header: no name, no time.
    assert tarball.read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


@each_tarball
def test_binaries_do_not_name_the_folder_they_were_built_in(tarball, tmp_path):
    top = unpacked(tarball, tmp_path)
    for binary in ("lib/libvalkey_flash.so", "bin/flash-sizer", "bin/flash-bench"):
        content = (top / binary).read_bytes()
        assert str(ROOT).encode() not in content, binary
        assert int.from_bytes(content[18:20], "little") == MACHINES[architecture_of(tarball)]
        assert (top / binary).stat().st_mode & 0o111


@each_tarball
def test_it_holds_what_a_user_needs(tarball, tmp_path):
    top = unpacked(tarball, tmp_path)
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "BUILD", "docs/install.md",
                 "docker/Dockerfile", "docker/compose.single.yml", "docker/seccomp-flash.json",
                 "docker/kubernetes/statefulset.yaml", "packaging/monitoring/alerts.yml",
                 "packaging/systemd/valkey-server.service.d/flash.conf", "licenses/libssl",
                 "licenses/liblz4", "licenses/liburing", "licenses/libhiredis"):
        assert (top / name).stat().st_size > 0, name
    build = (top / "BUILD").read_text()
    assert build.startswith(f"valkey-flash {VERSION} for {architecture_of(tarball)}\n")
    needed = re.search(r"^needs: glibc (\d+)\.(\d+)$", build, re.MULTILINE)
    assert (int(needed[1]), int(needed[2])) <= (2, 36), "docs/containers.md promises glibc 2.36"


@each_tarball
def test_its_programs_run(tarball, tmp_path):
    top = unpacked(tarball, tmp_path)
    for name in ("flash-sizer", "flash-bench"):
        said = output(*emulated(tarball), top / "bin" / name, "--version")
        assert said.strip() == f"{name} {VERSION}"


@each_tarball
def test_its_sizer_speaks_with_a_server(tarball, server, tmp_path):
    """Networking, and whatever a static binary may lack, on that architecture."""
    node = server()
    node.client.mset({f"key:{i}": "v" * 200 for i in range(500)})
    top = unpacked(tarball, tmp_path / "unpacked")
    report = output(*emulated(tarball), top / "bin" / "flash-sizer", "--quiet",
                    f"valkey://127.0.0.1:{node.port}")
    assert "500" in report and "not worth it" in report.lower()


@each_tarball
def test_its_module_can_be_loaded(tarball, server, tmp_path):
    top = unpacked(tarball, tmp_path / "unpacked")
    library = top / "lib" / "libvalkey_flash.so"
    if emulated(tarball):
        loads = tmp_path / "loads"
        source = tmp_path / "loads.c"
        source.write_text("#include <dlfcn.h>\n#include <stdio.h>\n"
                          "int main(int count, char** words) {\n"
                          "  void* library = dlopen(words[count - 1], RTLD_NOW | RTLD_LOCAL);\n"
                          "  if (!library) { puts(dlerror()); return 1; }\n"
                          '  return dlsym(library, "ValkeyModule_OnLoad") ? 0 : 2;\n}\n')
        output(f"{architecture_of(tarball)}-linux-gnu-gcc", "-o", loads, source)
        output(*emulated(tarball), loads, library)
        return
    node = server(module=library)
    assert node.info("flash")["flash_version"] == VERSION
    value = os.urandom(6000)
    assert node.client.execute_command("FLASH.SET", "key", value) == b"OK"
    assert node.client.execute_command("FLASH.DEBUG.DEMOTE", "key") == b"OK"
    assert node.client.execute_command("FLASH.GET", "key") == value


def test_packing_again_gives_the_same_bytes():
    def sums():
        return {tarball.name: hashlib.sha256(tarball.read_bytes()).hexdigest()
                for tarball in TARBALLS}

    before = sums()
    output(ROOT / "scripts" / "dist", *(architecture_of(tarball) for tarball in TARBALLS))
    assert sums() == before
