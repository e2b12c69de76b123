"""Clients of five libraries, each a program of tests/clients that does what it is told.

    with Client("ioredis") as client:
        client.open(port, cluster=True)
        client.call("FLASH.GET", "k")      # what the library made of the reply, as JSON has it

A request is a line of JSON on the program's stdin, its answer a line on stdout. `ServerError` is an
error reply, `Failure` what the library itself raises: a time-out, a lost connection.
"""

import json
import os
import subprocess

from conftest import ROOT

FOLDER = ROOT / "tests" / "clients"
MODULES = ROOT / "third_party" / "clients" / "node_modules"
HIREDIS = ROOT / "build" / "debug" / "hiredis_client"
COMMANDS = {
    "redis_py": ["/usr/bin/python3", FOLDER / "redis_py.py"],
    "hiredis": [HIREDIS],
    "ioredis": ["node", FOLDER / "ioredis.js"],
    "node_redis": ["node", FOLDER / "node_redis.js"],
    "ruby": ["ruby", FOLDER / "ruby_redis.rb"],
}


class ServerError(Exception):
    """An error reply, as the library passes it on."""


class Failure(Exception):
    """The library gave up: time-out, lost connection."""


class Client:
    def __init__(self, name, *words):
        assert MODULES.is_dir(), "the Node clients are missing: scripts/setup"
        assert HIREDIS.exists(), "the C client is missing: scripts/build debug hiredis_client"
        self._program = subprocess.Popen(
            [*map(str, COMMANDS[name]), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "NODE_PATH": str(MODULES)})
        self.resp = self._ask(do="facts")["resp"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._program.stdin.close()
        try:
            self._program.wait(20)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()
        self._program.stdout.close()

    def open(self, port, resp=2, cluster=False, timeout_ms=None):
        self._do(do="open", port=port, resp=resp, cluster=cluster, timeout_ms=timeout_ms)

    def close(self):
        self._do(do="close")

    def call(self, *args):
        return self._do(do="call", args=args)

    def method(self, name, *args):
        """By the method that the library has for the command, or was taught to have."""
        return self._do(do="method", name=name, args=args)

    def outcome(self, *args):
        """The reply, the error's text, or how the library failed: all are to be like the twin's."""
        try:
            return self.call(*args)
        except (ServerError, Failure) as error:
            return f"error: {error}"

    def pipeline(self, *commands):
        """What came of each command: a reply, or a ServerError.

        Raises ServerError where the library says no more than the first error.
        """
        answer = self._ask(do="pipeline", commands=commands)
        if "error" in answer:
            raise ServerError(answer["error"])
        return [ServerError(one["error"]) if "error" in one else one["reply"]
                for one in answer["replies"]]

    def _do(self, **request):
        answer = self._ask(**request)
        if "error" in answer:
            raise ServerError(answer["error"])
        if "failure" in answer:
            raise Failure(answer["failure"])
        return answer["reply"]

    def _ask(self, **request):
        self._program.stdin.write(json.dumps(request) + "\n")
        self._program.stdin.flush()
        line = self._program.stdout.readline()
        assert line, f"the client's program ended on {request}"
        return json.loads(line)
