"""Thousands of connections that each send one command at the same moment.

One thread, epoll. Connections are opened first, in bursts no longer than the listen queue; then
all commands are sent, then all replies read.
"""

import resource
import select
import socket
import time

from harness.resp import encode

_BURST = 200
_SPARE_DESCRIPTORS = 300  # For the server's own files and the test's.


def connections_possible(wanted):
    """(count, reason): how many connections this machine's descriptor limit allows, client and
    server in a process each; raises the soft limit as far as it may. The reason is None if all.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + _SPARE_DESCRIPTORS
    limit = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    count = min(wanted, limit - _SPARE_DESCRIPTORS)
    return count, None if count == wanted else f"at most {limit} descriptors a process here"


class Flood:
    def __init__(self, port, count):
        self._port = port
        self._sockets = []
        for start in range(0, count, _BURST):
            fresh = [self._open() for _ in range(min(_BURST, count - start))]
            for link in fresh:  # Accepted, and not only queued.
                link.sendall(b"PING\r\n")
            for link in fresh:
                if link.recv(64) != b"+PONG\r\n":
                    raise ConnectionError("a connection was refused")
            self._sockets += fresh

    def _open(self):
        return socket.create_connection(("127.0.0.1", self._port), 120)

    def ask(self, commands, seconds=120):
        """One command per connection, sent at once; (replies as raw bytes, seconds it took)."""
        epoll = select.epoll()
        by_number = {}
        for index, link in enumerate(self._sockets):
            link.setblocking(False)
            epoll.register(link, select.EPOLLIN)
            by_number[link.fileno()] = index
        began = time.monotonic()
        for link, command in zip(self._sockets, commands):
            link.send(encode(command))
        replies = [b""] * len(self._sockets)
        missing = len(self._sockets)
        while missing and time.monotonic() - began < seconds:
            for number, _ in epoll.poll(1):
                index = by_number[number]
                data = self._sockets[index].recv(1 << 16)
                replies[index] += data
                if not data or _complete(replies[index]):
                    epoll.unregister(number)
                    missing -= 1
        epoll.close()
        return replies, time.monotonic() - began

    def close(self):
        for link in self._sockets:
            link.close()
        self._sockets = []


def _complete(raw):
    """Whether `raw` holds one whole bulk string, or one line."""
    line = raw.find(b"\r\n")
    if line < 0:
        return False
    if raw[:1] != b"$" or raw[1:line] == b"-1":
        return True
    return len(raw) >= line + 4 + int(raw[1:line])
