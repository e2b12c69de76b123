"""Starts a server in worse conditions than a test can make later; its pid stays the same.

    launcher.py --deny-io-uring=EPERM -- valkey-server ...
    launcher.py --memlock=65536 -- valkey-server ...
    launcher.py --survive-file-limit -- valkey-server ...
    launcher.py --memlock=65536 --read-only-but=/folder --user=65534 -- valkey-server ...

--kill-for-io-uring   a seccomp filter ends the process for them, as systemd's do
--deny-io-uring=NAME  a seccomp filter answers with this errno to the three system calls of
                      io_uring: EPERM as container profiles do, ENOSYS as sandboxes and old kernels
--memlock=BYTES       RLIMIT_MEMLOCK, and no capability that lifts it
--read-only-but=DIR   the root file system is read-only for it, DIR is not; needs root
--user=UID            it runs as this user and group, with no capability; needs root
--survive-file-limit  SIGXFSZ is ignored, so that RLIMIT_FSIZE is an error (EFBIG), not death
"""

import ctypes
import errno
import os
import resource
import signal
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_PR_CAPBSET_DROP, _CAP_IPC_LOCK = 24, 14
_IO_URING = (425, 426, 427)  # setup, enter, register; the same on every architecture.
_LOAD_NUMBER = (0x20, 0, 0, 0)  # BPF_LD | BPF_W | BPF_ABS: seccomp_data.nr
_IF_EQUAL = (0x15, 0, 1)  # BPF_JMP | BPF_JEQ | BPF_K, behind it the number
_DENY = 0x00050000  # SECCOMP_RET_ERRNO, with an errno
_KILL = 0x80000000  # SECCOMP_RET_KILL_PROCESS
_CLONE_NEWNS = 0x20000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_RETURN = (0x06, 0, 0)  # BPF_RET
_ALLOW = (*_RETURN, 0x7FFF0000)


def libc(function, *call):
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*call) != 0:
        sys.exit(f"launcher: {function}: {os.strerror(ctypes.get_errno())}")


def prctl(*call):
    libc("prctl", *call)


def filter_io_uring(action):
    deny = (*_RETURN, action)
    steps = [_LOAD_NUMBER, *(step for number in _IO_URING
                             for step in ((*_IF_EQUAL, number), deny)), _ALLOW]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)


def limit_memlock(limit_bytes):
    if os.geteuid() == 0:
        prctl(_PR_CAPBSET_DROP, _CAP_IPC_LOCK, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit_bytes, limit_bytes))


def read_only_but(folder):
    """The folder becomes a mount of its own, which the change of the root's does not touch."""
    folder = folder.encode()
    libc("unshare", _CLONE_NEWNS)
    libc("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    libc("mount", folder, folder, None, _MS_BIND, None)
    libc("mount", b"none", b"/", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY, None)
    os.chdir(folder)  # The place of before lies below the mount.


def become(user):
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def main(words):
    options, command = words[:words.index("--")], words[words.index("--") + 1:]
    for option in options:
        name, _, value = option.partition("=")
        if name == "--survive-file-limit":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        elif name == "--deny-io-uring":
            filter_io_uring(_DENY | getattr(errno, value))
        elif name == "--kill-for-io-uring":
            filter_io_uring(_KILL)
        elif name == "--read-only-but":
            read_only_but(value)
        elif name == "--user":
            become(int(value))
        elif name == "--memlock":
            limit_memlock(int(value))
        else:
            sys.exit(f"launcher: unknown option {option}")
    os.execvp(command[0], command)


def launched(node, *options):
    """Makes a server of conftest start through this file; call before its start()."""
    plain = node.command_line
    node.command_line = lambda: [sys.executable, __file__, *options, "--", *plain()]
    return node


if __name__ == "__main__":
    main(sys.argv[1:])
