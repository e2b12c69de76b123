"""The wire itself: RESP2 and RESP3 read byte by byte, so that replies can be compared as sent.

A client library hides what matters here (which kind of null, double or string, map or array,
the exact error text); this one hides nothing. Blocking sockets, one thread a connection.
Format: https://valkey.io/topics/protocol/.
"""

import socket
from typing import NamedTuple


class Reply(NamedTuple):
    """One reply: its type byte as sent, its value, and all its bytes.

    value  bytes for `+ - $ ( , = ! # _`, int for `:`, a list of Reply for `* ~ > %` (a map is the
           list of its keys and values in turn), None for every null.
    """

    kind: bytes
    value: object
    raw: bytes

    @property
    def is_error(self):
        return self.kind in (b"-", b"!")

    @property
    def is_null(self):
        return self.value is None

    def plain(self):
        """The value alone, nested as lists; errors as Error, for tests that want no bytes."""
        if self.is_error:
            return Error(self.value)
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


class Error(bytes):
    """An error reply among plain values."""


class Disconnected(ConnectionError):
    """The server closed the connection in the middle of, or before, a reply."""


def encode(args):
    """A command as the array of bulk strings that servers read."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = to_bytes(arg)
        parts.append(b"$%d\r\n" % len(data))
        parts.append(data)
        parts.append(b"\r\n")
    return b"".join(parts)


def to_bytes(arg):
    if isinstance(arg, (bytes, bytearray)):
        return bytes(arg)
    return str(arg).encode()


class Connection:
    """One client connection; `call` sends one command and reads its reply.

    Push messages (`>`) that come before a reply are kept in `pushes`.
    """

    def __init__(self, port, host="127.0.0.1", db=0, resp3=False, timeout=120.0):
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._at = 0
        self.pushes = []
        self.resp3 = resp3
        if resp3:
            self.must("HELLO", 3)
        if db:
            self.must("SELECT", db)

    def close(self):
        self._socket.close()

    def fileno(self):
        return self._socket.fileno()

    def send(self, *commands):
        """Sends commands (each a sequence of arguments) in one go; `read` each reply later."""
        self._socket.sendall(b"".join(encode(command) for command in commands))

    def send_raw(self, data):
        self._socket.sendall(data)

    def call(self, *args):
        self.send(args)
        return self.read()

    def must(self, *args):
        """Like call, but an error reply is an exception; returns the plain value."""
        reply = self.call(*args)
        if reply.is_error:
            raise RuntimeError(f"{args[0]}: {reply.value.decode(errors='replace')}")
        return reply.plain()

    def read(self):
        """The next reply that is no push message."""
        while True:
            del self._buffer[:self._at]
            self._at = 0
            reply = self._read_one()
            if reply.kind != b">":
                return reply
            self.pushes.append(reply)

    # Parsing ----------------------------------------------------------------------------------

    def _fill(self):
        data = self._socket.recv(1 << 18)
        if not data:
            raise Disconnected("the server closed the connection")
        self._buffer += data

    def _line(self):
        searched = self._at
        while True:
            end = self._buffer.find(b"\r\n", searched)
            if end >= 0:
                line = bytes(self._buffer[self._at:end])
                self._at = end + 2
                return line
            searched = max(self._at, len(self._buffer) - 1)
            self._fill()

    def _exactly(self, count):
        while len(self._buffer) - self._at < count + 2:
            self._fill()
        data = bytes(self._buffer[self._at:self._at + count])
        if self._buffer[self._at + count:self._at + count + 2] != b"\r\n":
            raise ValueError("a bulk string without its end")
        self._at += count + 2
        return data

    def _read_one(self):
        start = self._at
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind in b"+-,(#":
            value = rest
        elif kind == b":":
            value = int(rest)
        elif kind == b"_":
            value = None
        elif kind in b"$=!":
            value = None if rest == b"-1" else self._exactly(int(rest))
        elif kind in b"*~>%":
            count = int(rest)
            items = count * 2 if kind == b"%" else count
            value = None if count < 0 else [self._read_one() for _ in range(items)]
        else:
            raise ValueError(f"no reply begins with {line[:40]!r}")
        return Reply(kind, value, bytes(self._buffer[start:self._at]))
