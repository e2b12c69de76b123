"""Starts a server in worse conditions than a test can make later; its pid stays the same.

    launcher.py --deny-io-uring -- valkey-server ...
    launcher.py --survive-file-limit -- valkey-server ...

--deny-io-uring       a seccomp filter answers EPERM to io_uring_setup, as container profiles do
--survive-file-limit  SIGXFSZ is ignored, so that RLIMIT_FSIZE is an error (EFBIG), not death
"""

import ctypes
import errno
import os
import signal
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_IO_URING_SETUP = 425  # The same on every architecture.
_LOAD_NUMBER = (0x20, 0, 0, 0)  # BPF_LD | BPF_W | BPF_ABS: seccomp_data.nr
_IF_EQUAL = (0x15, 0, 1, _IO_URING_SETUP)  # BPF_JMP | BPF_JEQ | BPF_K
_DENY = (0x06, 0, 0, 0x00050000 | errno.EPERM)  # BPF_RET: SECCOMP_RET_ERRNO
_ALLOW = (0x06, 0, 0, 0x7FFF0000)


def deny_io_uring():
    program = b"".join(struct.pack("HBBI", *step)
                       for step in (_LOAD_NUMBER, _IF_EQUAL, _DENY, _ALLOW))
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                 (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)):
        if libc.prctl(*call) != 0:
            sys.exit(f"launcher: prctl: {os.strerror(ctypes.get_errno())}")


def main(words):
    options, command = words[:words.index("--")], words[words.index("--") + 1:]
    if "--survive-file-limit" in options:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if "--deny-io-uring" in options:
        deny_io_uring()
    os.execvp(command[0], command)


def launched(node, option):
    """Makes a server of conftest start through this file; call before its start()."""
    plain = node.command_line
    node.command_line = lambda: [sys.executable, __file__, option, "--", *plain()]
    return node


if __name__ == "__main__":
    main(sys.argv[1:])
