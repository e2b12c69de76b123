"""Round-trip times of PING, taken by a process of their own while others load the server.

    with Prober(port) as prober: ...
    prober.result()  # Latency(count, p50_us, p99_us, p999_us, max_us)

A prober inside the loading process would mostly measure that process. Between two probes it rests
for `interval_ms`. A probe that is late because the prober itself was not scheduled still counts:
on a busy machine read the figures with the idle ones beside them.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time
from typing import NamedTuple


class Latency(NamedTuple):
    count: int
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float

    def __str__(self):
        return (f"{self.count} probes, p50 {self.p50_us:.0f} us, p99 {self.p99_us:.0f} us, "
                f"p99.9 {self.p999_us:.0f} us, max {self.max_us / 1000:.2f} ms")


def percentile(ordered, share):
    """Nearest-rank percentile of a sorted list; 0 of an empty one."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def latency_of(samples_us):
    ordered = sorted(samples_us)
    return Latency(len(ordered), percentile(ordered, 0.5), percentile(ordered, 0.99),
                   percentile(ordered, 0.999), ordered[-1] if ordered else 0.0)


class Prober:
    """PINGs from its creation to stop(), or to the end of `with`."""

    def __init__(self, port, interval_ms=1.0):
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(port), str(interval_ms)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self._result = None
        if self._process.stdout.readline() != b"ready\n":  # Connected, and answered once.
            raise ConnectionError("the prober could not reach the server")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends the probing (once) and returns its Latency."""
        if self._result is None:
            out, _ = self._process.communicate()  # The end of its input is the sign to stop.
            if self._process.returncode != 0:
                raise ConnectionError("the prober lost the server")
            self._result = latency_of(json.loads(out))
        return self._result

    result = stop


def _ping(link):
    link.sendall(b"PING\r\n")
    reply = b""
    while not reply.endswith(b"\r\n"):
        got = link.recv(64)
        if not got:
            raise ConnectionError("the server closed the prober's connection")
        reply += got
    if reply != b"+PONG\r\n":
        raise ConnectionError(f"PING was answered {reply!r}")


def _main(port, interval_ms):
    try:  # To be scheduled before those who load the server, where that is allowed.
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except PermissionError:
        pass
    with socket.create_connection(("127.0.0.1", int(port)), 600) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        samples = []
        _ping(link)
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], float(interval_ms) / 1000)[0]:
            began = time.perf_counter()
            _ping(link)
            samples.append(round((time.perf_counter() - began) * 1e6, 1))
    print(json.dumps(samples), flush=True)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except ConnectionError:
        sys.exit(1)  # The other side says so.
