"""A disk that can be made bad: an ext4 file system in a file, loop-mounted, for one test.

Needs root and the right to mount; where that is missing the test is skipped, saying so.
"""

import fcntl
import mmap
import os
import struct
import subprocess
from pathlib import Path

import pytest

_EXT4_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
_SHUTDOWN_NO_FLUSH = 2
_FREEZE, _THAW = 0xC0045877, 0xC0045878  # _IOWR('X', 119 / 120, int)
_MIB = 1 << 20


def spoil_file(path, start=4096):
    """Overwrites everything behind the superblock, as a bad disk would.

    Past the page cache, as the server itself writes: dirty pages would collide with its transfers.
    """
    junk = mmap.mmap(-1, _MIB)  # Aligned as O_DIRECT demands.
    junk.write(b"\xa5" * _MIB)
    tier = os.open(path, os.O_WRONLY | os.O_DIRECT)
    try:
        end = os.path.getsize(path)
        for offset in range(start, end, _MIB):
            count = min(_MIB, end - offset)
            assert os.pwritev(tier, [memoryview(junk)[:count]], offset) == count
    finally:
        os.close(tier)


def spoil_value(path, needle):
    """Flips a bit of each place where `needle` is stored. Raises ValueError where it is not."""
    data = path.read_bytes()
    at = data.index(needle)
    with open(path, "r+b") as file:
        while at >= 0:
            file.seek(at + 3)
            file.write(bytes([data[at + 3] ^ 0x10]))
            at = data.find(needle, at + 4000)


class Disk:
    """A mounted file system of `mib` MiB at `path`."""

    def __init__(self, folder, mib):
        self.image, self.path = Path(folder) / "disk.img", Path(folder) / "disk"
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(mib << 20)
        self._frozen = False
        for command in (["mkfs.ext4", "-q", "-m", "0", self.image],
                        ["mount", "-o", "loop", self.image, self.path]):
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError as missing:
                pytest.skip(f"no {missing.filename} here")
            if done.returncode != 0:
                pytest.skip(f"{command[0]} is not possible here: {done.stderr.strip()[:200]}")

    def device_number(self):
        """major:minor of the loop device."""
        number = os.stat(self.path).st_dev
        return f"{os.major(number)}:{os.minor(number)}"

    def _ioctl(self, request, argument):
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, request, argument)
        finally:
            os.close(folder)

    def break_down(self):
        """From now on every transfer fails with EIO, until it is mounted anew."""
        self._ioctl(_EXT4_SHUTDOWN, struct.pack("I", _SHUTDOWN_NO_FLUSH))

    def freeze(self):
        """Writes hang until thaw(); reads go on."""
        self._ioctl(_FREEZE, 0)
        self._frozen = True

    def thaw(self):
        if self._frozen:
            self._ioctl(_THAW, 0)
            self._frozen = False

    def close(self):
        self.thaw()
        subprocess.run(["umount", "-l", self.path], check=False)


class Throttle:
    """Slows one process's reads of one device down to nearly nothing (blkio control group)."""

    ROOT = Path("/sys/fs/cgroup/blkio")

    def __init__(self, pid, device):
        self.group = self.ROOT / f"flash-test-{pid}"
        self._device = device
        try:
            self.group.mkdir()
            self._write("cgroup.procs", str(pid))
        except OSError as refused:
            pytest.skip(f"no blkio control group here: {refused}")

    def _write(self, name, text):
        (self.group / name).write_text(text)

    def reads_per_second(self, count):
        """0 lifts the limit."""
        self._write("blkio.throttle.read_iops_device", f"{self._device} {count}")

    def close(self):
        self.reads_per_second(0)
        for pid in (self.group / "cgroup.procs").read_text().split():
            (self.ROOT / "cgroup.procs").write_text(pid)
        self.group.rmdir()
