"""A small asyncio client: one connection, plain values; any number of commands in order.

Hundreds of them live in one process, so it does no more than needed.
"""

import asyncio
import contextlib

from harness.resp import Disconnected, Error, encode


class Client:
    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port, db=0, resp3=False):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        client = cls(reader, writer)
        if resp3:
            await client.call("HELLO", 3)
        if db:
            await client.call("SELECT", db)
        return client

    def close(self):
        self._writer.close()

    def leave(self):
        """Ends this side of the connection; what the server sent before it noticed still comes."""
        with contextlib.suppress(OSError):  # The server may have ended it by now.
            self._writer.write_eof()

    async def call(self, *args):
        """One command; an error reply comes back as harness.resp.Error."""
        self._writer.write(encode(args))
        return await self._read()

    async def calls(self, *commands):
        """A pipeline: all sent in one go; the list of replies."""
        self._writer.write(b"".join(encode(command) for command in commands))
        return [await self._read() for _ in commands]

    async def _read(self):
        line = await self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise Disconnected("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind in b"+,":
            return rest
        if kind == b"_":
            return None
        if kind == b"-":
            return Error(rest)
        if kind == b":":
            return int(rest)
        count = int(rest)
        if count < 0:
            return None
        if kind == b"$":
            return (await self._reader.readexactly(count + 2))[:-2]
        return [await self._read() for _ in range(count * 2 if kind == b"%" else count)]
