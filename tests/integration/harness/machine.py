"""A machine of its own, in namespaces: systemd as first process, over this machine's files.

    with Machine(folder) as machine:
        machine.write("/etc/systemd/system/x.service", "...")
        machine.must("systemctl", "start", "x")

The root is an overlay over this machine's root file system, so it has the packages that are
installed here and whatever is written there is gone at the end; processes, network (loopback
alone), host name and control groups are its own, /proc/sys and /sys read-only. `binds` are folders
of this machine seen there: the drive for what should not lie on an overlay. Needs root with
CAP_SYS_ADMIN, and systemd installed (not running): see `missing()`.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

from harness.children import children_of

SYSTEMD = "/lib/systemd/systemd"
START_SEC = 60

# Runs as first process of the new namespaces; $1 is a folder for the overlay.
_MOUNTS = """set -e
mount --make-rprivate /
top=$1; shift
mount -t tmpfs tmpfs "$top"
mkdir "$top/upper" "$top/work" "$top/root"
root=$top/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for place in run tmp; do mount -t tmpfs tmpfs "$root/$place"; done
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
  : >"$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
"""
# And becomes systemd.
_BOOT = _MOUNTS + """
while [ $# -gt 0 ]; do mkdir -p "$root$2"; mount --bind "$1" "$root$2"; shift 2; done
rm -rf "$root"/etc/systemd/system/*.wants "$root/etc/fstab"
for unit in systemd-sysctl systemd-modules-load systemd-timesyncd; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
mkdir "$root/old-root"
cd "$root"
pivot_root . old-root
umount -l /old-root
exec env -i container=tests PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
  /lib/systemd/systemd --system --unit=basic.target
"""
_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")


def _control_groups():
    """Where the unified hierarchy is mounted, or None."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def _refused(*command):
    """What a command in namespaces of its own complains of; None if it succeeds."""
    tried = subprocess.run(["unshare", *_NAMESPACES, "--fork", *command], capture_output=True,
                           text=True, check=False)
    return None if tried.returncode == 0 else tried.stderr.strip() or "refused"


def namespaces_refused():
    """Why this process may not have namespaces of its own and mount in them; None if it may."""
    return _refused("mount", "-t", "tmpfs", "tmpfs", "/mnt")


def missing():
    """Why no machine can be made here; None if one can."""
    if not os.access(SYSTEMD, os.X_OK):
        return "systemd is not installed"
    if _control_groups() is None or not os.access(_control_groups(), os.W_OK):
        return "no unified control groups to write to"
    return namespaces_refused() or _refused("sh", "-c", _MOUNTS, "sh", "/mnt")


class Machine:
    """`binds` is a dict: folder of this machine -> where it is seen."""

    def __init__(self, folder, binds=None):
        self._top = Path(folder) / "overlay"
        self._binds = dict(binds or {})
        self._group = _control_groups() / f"flash-test-{os.getpid()}-{time.monotonic_ns()}"
        self._process = None
        self._pid = None

    def __enter__(self):
        self._top.mkdir(parents=True)
        self._group.mkdir()
        words = [str(word) for pair in self._binds.items() for word in pair]
        enter = f'echo $$ >"{self._group}/cgroup.procs"; exec "$@"'
        self._process = subprocess.Popen(
            ["sh", "-c", enter, "sh", "unshare", *_NAMESPACES, "--fork", "--kill-child",
             "sh", "-c", _BOOT, "sh", str(self._top), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True)
        try:
            self._await_start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()  # Its first process goes with it, and all others with that.
        self._process.wait()
        self._process.stderr.close()
        deadline = time.monotonic() + START_SEC
        while self._group.exists() and time.monotonic() < deadline:
            for folder, _, _ in os.walk(self._group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    time.sleep(0.02)  # Its last process is about to end.
        shutil.rmtree(self._top, ignore_errors=True)

    def _await_start(self):
        deadline = time.monotonic() + START_SEC
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._pid is None:
                found = children_of(self._process.pid)
                if found and Path(f"/proc/{found[0]}/exe").resolve().name == "systemd":
                    self._pid = found[0]
            elif self.run("systemctl", "is-active", "basic.target").returncode == 0:
                return
            time.sleep(0.05)
        self._process.kill()
        raise RuntimeError(f"systemd did not start: {self._process.stderr.read().decode()}")

    def run(self, *command, **options):
        """A command in there; what subprocess.run says, with its output as text."""
        return subprocess.run(
            ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--uts", "--ipc", "--net",
             "--cgroup", "--root", "--wd=/", "--", *map(str, command)], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, **options)

    def must(self, *command):
        """Its output; RuntimeError with all that it said if it fails."""
        done = self.run(*command)
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def path(self, name):
        """Where this machine sees a file of that one."""
        return Path(f"/proc/{self._pid}/root{name}")

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)

    def unit(self, unit, *names):
        """Properties of a unit, as a dict."""
        words = [f"--property={name}" for name in names]
        lines = self.must("systemctl", "show", unit, *words).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def process_status(self, unit):
        """/proc/<main process of unit>/status as a dict."""
        pid = self.unit(unit, "MainPID")["MainPID"]
        lines = self.path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}
