"""Starts a server in worse conditions than a test can make later; its pid stays the same.

    launcher.py --deny-io-uring=EPERM -- valkey-server ...
    launcher.py --memlock=65536 -- valkey-server ...
    launcher.py --survive-file-limit -- valkey-server ...

--deny-io-uring=NAME  a seccomp filter answers with this errno to the three system calls of
                      io_uring: EPERM as container profiles do, ENOSYS as sandboxes and old kernels
--memlock=BYTES       RLIMIT_MEMLOCK, and no capability that lifts it
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
_RETURN = (0x06, 0, 0)  # BPF_RET
_ALLOW = (*_RETURN, 0x7FFF0000)


def prctl(*call):
    if ctypes.CDLL(None, use_errno=True).prctl(*call) != 0:
        sys.exit(f"launcher: prctl: {os.strerror(ctypes.get_errno())}")


def deny_io_uring(name):
    deny = (*_RETURN, _DENY | getattr(errno, name))
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


def main(words):
    options, command = words[:words.index("--")], words[words.index("--") + 1:]
    for option in options:
        name, _, value = option.partition("=")
        if name == "--survive-file-limit":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        elif name == "--deny-io-uring":
            deny_io_uring(value)
        elif name == "--memlock":
            limit_memlock(int(value))
        else:
            sys.exit(f"launcher: unknown option {option}")
    os.execvp(command[0], command)


def launched(node, option):
    """Makes a server of conftest start through this file; call before its start()."""
    plain = node.command_line
    node.command_line = lambda: [sys.executable, __file__, option, "--", *plain()]
    return node


if __name__ == "__main__":
    main(sys.argv[1:])
