#!/usr/bin/python3
"""count_instructions: what one operation costs the server's main thread, counted, not timed.

    scripts/count_instructions.py [--only cold,put,hit,native,...] [--requests N] [--profile FOLDER]

A row per load: instructions in user space (valgrind's callgrind; --rounds: the median of some
runs, which differ by how many replies share a turn of the event loop: two percent for cold reads,
half of one for what is hot), system calls (perf, where it may) and, as a hint only, CPU time. The
last two come from a run without valgrind. Each load is the same for every
build: a fixed number of commands by 50 clients, each round sent whole before its replies are read.
Compare two builds by FLASH_MODULE; FLASH_SERVER and FLASH_IO_BACKEND as for the tests. --native
counts the native commands instead, --bare those of a module that does as good as nothing
(bench/bare): what the server takes for any module's command. --profile keeps callgrind's files for
callgrind_annotate, which knows every function. Needs valgrind and python3-redis; a load takes some
10 s.
"""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent),
                str(Path(__file__).resolve().parents[1] / "tests" / "integration")]
from conftest import MODULE, Server  # noqa: E402
from harness.resp import Connection, encode  # noqa: E402
from measures.tools import (all_demoted, bare_module, end_like_ctrl_c, pipeline,  # noqa: E402
                            wait_for)

KIB, MIB = 1 << 10, 1 << 20
CLIENTS = 50
VALUE = os.urandom(KIB)
ELEMENTS = 1000


class Load:
    """Keys to prepare, then commands to count: `command(n)` for the n-th of a run."""

    def __init__(self, command, prepare=(), pipeline=1, cold=False, cache=64 * MIB):
        self.command, self.prepare, self.pipeline = command, prepare, pipeline
        self.cold, self.cache = cold, cache


def strings(name, count):
    return ((name, b"key:%012d" % n, VALUE) for n in range(count))


def members(name, before):
    for n in range(ELEMENTS):
        yield (name, b"collection", *before(n), b"member:%08d" % n)


def pops(name):
    """As many elements as a run takes away, and a list's or a sorted set's worth more."""
    def prepare(requests):
        for n in range(requests * 2 + ELEMENTS):
            score = (n,) if "Z" in name else ()
            yield (name, b"collection", *score, b"member:%08d" % n)
    return prepare


def loads():
    """name -> (prefix -> Load); the prefix is FLASH., BARE. or nothing, for the native command."""
    def key(n):
        return b"key:%012d" % n

    some = 64  # Keys of the loads that meet only what is hot.
    made = {
        "cold": lambda p: Load(lambda n: (p + "GET", key(n)), lambda r: strings(p + "SET", 2 * r),
                               cold=True, cache=MIB),
        "put": lambda p: Load(lambda n: (p + "SET", key(n), VALUE),
                              lambda r: strings(p + "SET", 2 * r), cold=True, cache=4 * MIB),
    }
    for suffix, depth in (("", 1), ("-16", 16)):
        made["hit" + suffix] = lambda p, d=depth: Load(
            lambda n: (p + "GET", key(n % some)), lambda r: strings(p + "SET", some), d)
        made["set" + suffix] = lambda p, d=depth: Load(
            lambda n: (p + "SET", key(n % some), VALUE), lambda r: strings(p + "SET", some), d)

    def field(n):
        return b"member:%08d" % (n * 7919 % ELEMENTS)

    made.update({
        "hset-16": lambda p: Load(
            lambda n: (p + "HSET", b"collection", field(n), b"value:%06d" % n),
            lambda r: ((*c, b"x" * 12) for c in members(p + "HSET", lambda n: ())), 16),
        "hget-16": lambda p: Load(
            lambda n: (p + "HGET", b"collection", field(n)),
            lambda r: ((*c, b"x" * 12) for c in members(p + "HSET", lambda n: ())), 16),
        "lpush-16": lambda p: Load(lambda n: (p + "LPUSH", b"collection", field(n)),
                                   lambda r: members(p + "RPUSH", lambda n: ()), 16),
        "lpop-16": lambda p: Load(lambda n: (p + "LPOP", b"collection"), pops(p + "RPUSH"), 16),
        "zadd-16": lambda p: Load(lambda n: (p + "ZADD", b"collection", n, field(n)),
                                  lambda r: members(p + "ZADD", lambda n: (n,)), 16),
        "zpopmin-16": lambda p: Load(lambda n: (p + "ZPOPMIN", b"collection"),
                                     pops(p + "ZADD"), 16),
    })
    return made


def load_of(name, prefix):
    load = loads()[name](prefix)
    if prefix == "BARE." and name not in ("cold", "put", "hit", "set", "hit-16", "set-16"):
        load.prepare = lambda r: [("BARE.INT", b"collection", ELEMENTS)]
    return load


def arguments(prefix):
    return ["--loadmodule", str(bare_module())] if prefix == "BARE." else []


class Counted(Server):
    """A server whose every instruction can be counted: under valgrind, which counts when told."""

    def command_line(self):
        return ["valgrind", "--tool=callgrind", "--separate-threads=yes", "--instr-atstart=no",
                "--fair-sched=yes", f"--callgrind-out-file={self.dir}/callgrind.out", "--log-file="
                f"{self.dir}/valgrind.log", *super().command_line()]

    def tell(self, *words):
        subprocess.run(["callgrind_control", *words, str(self.pid)], check=True,
                       capture_output=True)


def run(node, clients, load, numbers):
    """Sends the commands, a round of every client's at a time, and reads the replies."""
    share = load.pipeline
    for start in range(numbers.start, numbers.stop, share * len(clients)):
        for i, client in enumerate(clients):
            at = start + i * share
            client.send_raw(b"".join(encode(load.command(n)) for n in range(at, at + share)))
        for client in clients:
            for _ in range(share):
                reply = client.read()
                if reply.is_error:
                    raise RuntimeError(f"{load.command(start)[0]}: {reply.value.decode()}")
    assert node.alive()


def prepared(node, load, requests):
    """Fills a server; returns its clients."""
    clients = [Connection(node.port) for _ in range(CLIENTS)]
    pipeline(clients[0], load.prepare(requests) if load.prepare else (), batch=200)
    if load.cold and node.module:
        wait_for(lambda: all_demoted(node), what="all to be demoted")
    return clients


def settings_of(load, module):
    """What the server does by the clock would count the more the slower valgrind makes it."""
    own = {"hz": "1", "slowlog-log-slower-than": "-1"}
    if module:
        own |= {"flash.cache-size-bytes": str(load.cache), "flash.io-threads": "1",
                "flash.io-timeout-ms": "60000", "flash.compression": "none"}
    return own


def instructions(folder, prefix, load, requests, profile):
    module = prefix == "FLASH." and MODULE
    settings = settings_of(load, module)
    if module:
        # To valgrind a ring's wait is none, and would stop all threads.
        settings["flash.io-backend"] = "threads"
    node = Counted(folder, settings, module, arguments(prefix), ())
    try:
        node.start()
        clients = prepared(node, load, requests)
        node.tell("-i", "on")
        run(node, clients, load, range(requests // 4))
        node.tell("-z")
        run(node, clients, load, range(requests // 4, requests // 4 + requests))
        node.tell("-d")
        dump = main_thread_file(node.dir)
        if profile:
            shutil.copy(dump, profile)
        return int(re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.M)[1]) / requests
    finally:
        node.kill()


def main_thread_file(folder):
    """The dump of the first thread: callgrind.out.N-01."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = sorted(folder.glob("callgrind.out*-01"), key=lambda path: path.stat().st_mtime)
        if found and re.search(r"^totals: [1-9]", found[-1].read_text(), re.M):
            return found[-1]
        time.sleep(0.1)
    raise RuntimeError(f"valgrind wrote nothing in {folder}")


def timed(folder, prefix, load, requests):
    """(system calls or None, CPU seconds) of an operation, without valgrind."""
    module = prefix == "FLASH." and MODULE
    node = Server(folder, settings_of(load, module), module, arguments(prefix), ()).start()
    try:
        clients = prepared(node, load, requests)
        run(node, clients, load, range(requests // 4))
        counter = subprocess.Popen(
            ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-t", str(node.pid)],
            stderr=subprocess.PIPE, text=True) if shutil.which("perf") else None
        time.sleep(0.3)  # Until it counts.
        before = main_thread_ns(node)
        run(node, clients, load, range(requests // 4, requests // 4 + requests))
        spent = (main_thread_ns(node) - before) / requests / 1e3
        calls = None
        if counter is not None:
            counter.send_signal(signal.SIGINT)
            said = counter.communicate()[1].strip().splitlines()
            if said and said[-1].split(",")[0].isdigit():
                calls = int(said[-1].split(",")[0]) / requests
        return calls, spent
    finally:
        node.kill()


def main_thread_ns(node):
    return int(Path(f"/proc/{node.pid}/task/{node.pid}/schedstat").read_text().split()[0])


def main():
    end_like_ctrl_c()
    made = loads()
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default=",".join(made), help=f"of {', '.join(made)}")
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=1, help="medians of so many runs")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--native", dest="prefix", action="store_const", const="",
                         help="the native commands instead")
    instead.add_argument("--bare", dest="prefix", action="store_const", const="BARE.",
                         help="those of a bare module instead")
    parser.add_argument("--no-times", action="store_true", help="instructions alone")
    parser.add_argument("--profile", help="folder for callgrind's files")
    parser.set_defaults(prefix="FLASH.")
    options = parser.parse_args()
    prefix = options.prefix
    step = CLIENTS * 16 * 4
    requests = max(1, options.requests // step) * step
    if options.profile:
        Path(options.profile).mkdir(parents=True, exist_ok=True)
    print(f"{'load':<12}{'instructions':>14}{'system calls':>14}{'CPU us':>9}")
    for name in options.only.split(","):
        load = load_of(name, prefix)
        profile = options.profile and Path(options.profile) / f"{prefix.lower()}{name}"
        with tempfile.TemporaryDirectory(prefix="flash-count-") as folder:
            counted = statistics.median(
                instructions(Path(folder) / str(i), prefix, load, requests, profile)
                for i in range(options.rounds))
            calls, spent = ((None, None) if options.no_times
                            else timed(Path(folder) / "timed", prefix, load, requests))
        print(f"{name:<12}{counted:>14,.0f}{'-' if calls is None else f'{calls:.2f}':>14}"
              f"{'-' if spent is None else f'{spent:.1f}':>9}", flush=True)


if __name__ == "__main__":
    main()
