"""Real servers for the integration tests.

    def test_something(server):
        primary = server({"flash.cache-size-bytes": "16mb", "maxmemory": "1gb"})
        primary.client.execute_command("FLASH.SET", "key", "value")
        primary.kill()        # kill -9
        primary.start()       # the same folder, port and settings

`server(settings, ...)` starts a server on a free loopback port in a folder of its own and waits
until it answers; any number of them may run at once. Each is ended by its pid when the test is
over, and its log is shown when the test failed. Every server runs with `enable-debug-command`
and without snapshots on a schedule, so that tests decide what is saved and when; without a log,
too, unless its settings say LOGGED.

Environment: FLASH_MODULE, the library to test (default build/libvalkey_flash.so); FLASH_SERVER,
the server binary (default valkey-server); FLASH_LD_PRELOAD, a run-time to preload into the server
(a sanitizer's); FLASH_IO_BACKEND, the default of flash.io-backend for all servers (uring,
threads); FLASH_TEST_SLOWDOWN, a factor for the patience of all waits (default 1).
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import redis

from harness import disks

ROOT = Path(__file__).resolve().parents[2]
MODULE = Path(os.environ.get("FLASH_MODULE", ROOT / "build" / "libvalkey_flash.so")).resolve()
SERVER_BINARY = os.environ.get("FLASH_SERVER", "valkey-server")
SLOWDOWN = float(os.environ.get("FLASH_TEST_SLOWDOWN", "1"))

START_SEC = 30
STOP_SEC = 30


def wait_until(condition, seconds=20, what="the condition"):
    """Polls `condition` until it is true and returns its value; fails after `seconds`.

    For what has no reply to wait for (a background save, a link that comes up). An exception of
    the connection counts as "not yet".
    """
    deadline = time.monotonic() + seconds * SLOWDOWN
    while True:
        try:
            value = condition()
        except redis.exceptions.ConnectionError:
            value = None
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds * SLOWDOWN:.0f} s in vain for {what}")
        time.sleep(0.01)


def free_port():
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server process, its folder and a client.

    client    redis-py client on database 0, replies as bytes. More: connect(db=1, …).
              Replies exactly as on the wire, RESP3 too: harness/resp.py.
    dir       its working folder: dump.rdb, appendonlydir, flash.tier, server.log.
    settings  what it was started with; change it between stop() and start() to restart otherwise.
    host      where others reach it.
    """

    host = "127.0.0.1"

    def __init__(self, folder, settings, module, args, module_args):
        self.dir = Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.settings = dict(settings or {})
        self.module = module
        self.args = list(args)
        self.module_args = list(module_args)
        self.port = free_port()
        self.environment = {}  # More variables, for the next start.
        self.binary = SERVER_BINARY  # Likewise.
        self.process = None
        self.client = None
        self._clients = []
        self._log_start = 0

    # Life -------------------------------------------------------------------------------------

    def start(self, wait=True):
        """Starts the process; with `wait`, returns once it answers PING and has loaded its data.

        Raises StartError, with the log's end in its text, if the process ends instead.
        """
        if self.alive():
            raise RuntimeError("this server runs already")
        for _ in range(5):
            self._spawn()
            if not wait or self._wait_for_ping():
                return self
            if "Address already in use" not in self.log_since_start():
                break
            self.port = free_port()  # Taken between free_port() and bind().
        raise StartError(f"exit status {self.process.returncode}\n{self.log_since_start()}")

    def stop(self):
        """Ends it in good order (SIGTERM: saves if told to by `save`); returns the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self):
        """Ends it at once (SIGKILL), as a crash or the OOM killer would."""
        return self._end(signal.SIGKILL)

    def restart(self, settings=None, crash=False):
        """Ends it and starts it again over the same folder, with `settings` changed."""
        self.kill() if crash else self.stop()
        self.settings.update(settings or {})
        return self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    # Talking to it ----------------------------------------------------------------------------

    def connect(self, **options):
        """Another client: options of redis.Redis, e.g. db, socket_timeout, decode_responses."""
        options.setdefault("socket_timeout", 60 * SLOWDOWN)
        client = redis.Redis(host=self.host, port=self.port, **options)
        self._clients.append(client)
        return client

    def call(self, *args):
        """One command on `client`, as typed: server.call("FLASH.SET", "key", "value")."""
        return self.client.execute_command(*args)

    def info(self, section="everything"):
        return self.client.info(section)

    def replicate_from(self, primary, wait=True):
        """Makes this server a replica; with `wait`, returns once the link is up."""
        self.client.replicaof(primary.host, primary.port)
        if wait:
            wait_until(lambda: self.info("replication").get("master_link_status") == "up",
                       30, "the replication link")

    def wait_for_offset_of(self, primary):
        """Returns once this replica has applied all that `primary` has sent so far."""
        offset = primary.info("replication")["master_repl_offset"]
        wait_until(lambda: self.info("replication").get("slave_repl_offset", -1) >= offset,
                   30, f"replication offset {offset}")

    def version(self):
        """(8, 1): of which generation the server is."""
        number = self.info("server").get("valkey_version", "8.0")
        return tuple(int(part) for part in number.split(".")[:2])

    def save(self):
        """SAVE; again where a snapshot is under way, as a log may just have asked for one."""
        def saved():
            try:
                return self.client.save()
            except redis.ResponseError as error:
                if "already in progress" not in str(error):
                    raise
                return False

        wait_until(saved, 60, "SAVE")

    def save_in_background(self):
        """BGSAVE; returns when the child has ended, and fails if it failed."""
        self.client.bgsave()
        wait_until(lambda: not self.info("persistence")["rdb_bgsave_in_progress"], 60, "BGSAVE")
        assert self.info("persistence")["rdb_last_bgsave_status"] == "ok", self.log()

    def rewrite_aof(self):
        """BGREWRITEAOF; returns when it is done, and fails if it failed."""
        self.client.bgrewriteaof()
        wait_until(lambda: not (self.info("persistence")["aof_rewrite_in_progress"]
                                or self.info("persistence")["aof_rewrite_scheduled"]),
                   60, "the AOF rewrite")
        assert self.info("persistence")["aof_last_bgrewrite_status"] == "ok", self.log()

    def log(self):
        """All that it wrote, over all its lives."""
        path = self.dir / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def log_since_start(self):
        return self.log()[self._log_start:]

    # Inside -----------------------------------------------------------------------------------

    def command_line(self):
        settings = {"bind": "127.0.0.1", "port": self.port, "dir": self.dir, "save": "",
                    "enable-debug-command": "yes", "enable-module-command": "yes",
                    "repl-diskless-sync-delay": "0"}
        if self.module:
            settings["flash.wal"] = "no"  # But where durability is the subject: LOGGED.
        settings.update(self.settings)
        line = [str(self.binary)]
        if self.module:
            # What stands behind the library are defaults that a setting of the test overrides.
            line += ["--loadmodule", str(self.module), "flash.path", str(self.dir / "flash.tier"),
                     "flash.capacity-bytes", "256mb", *map(str, self.module_args)]
            if os.environ.get("FLASH_IO_BACKEND"):
                line += ["flash.io-backend", os.environ["FLASH_IO_BACKEND"]]
        for name, value in settings.items():
            values = value if isinstance(value, (list, tuple)) else [value]
            line += [f"--{name}", *map(str, values)]
        return line + self.args

    def _spawn(self):
        environment = {**os.environ, **self.environment}
        if environment.get("FLASH_LD_PRELOAD"):
            environment["LD_PRELOAD"] = environment["FLASH_LD_PRELOAD"]
        self._log_start = len(self.log())
        with open(self.dir / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command_line(), cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        self.client = self.connect()

    def _wait_for_ping(self):
        """True once it answers; False if the process ended instead."""
        deadline = time.monotonic() + START_SEC * SLOWDOWN
        while self.alive():
            try:
                if self.client.ping() and self.info("server")["process_id"] == self.pid:
                    return True  # Not a stranger that took the port first.
            except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
                pass
            if time.monotonic() > deadline:
                self.kill()
                raise StartError(f"no answer in {START_SEC * SLOWDOWN:.0f} s\n{self.log()}")
            time.sleep(0.01)
        return False

    def _end(self, number):
        for client in self._clients:
            client.close()
        self._clients = []
        if not self.alive():
            return self.process.returncode if self.process else None
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SEC * SLOWDOWN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class StartError(Exception):
    """The server ended, or did not answer, while it was started."""


# Settings of a server that keeps a log and waits for it: durable without the AOF.
LOGGED = {"flash.wal": "yes", "flash.sync": "always", "flash.wal-max-bytes": "16mb"}

# A shared machine's disk may pause for longer than the product gives it.
PATIENT = ("flash.io-timeout-ms", "60000")


@pytest.fixture
def server(tmp_path, request):
    """Factory: server(settings=None, *, module=True, args=(), module_args=PATIENT, start=True).

    settings     configuration as a dict; a list as value gives several words.
    module       False for a server without the module, a path for another library.
    args         more words for the command line, after everything else.
    module_args  what follows the library in `--loadmodule`, after flash.path and a capacity of
                 256 MiB; `settings` overrides all of it.
    start        False to change the folder first and call start() later.
    """
    servers = []

    def make(settings=None, *, module=True, args=(), module_args=PATIENT, start=True):
        library = MODULE if module is True else module
        made = Server(tmp_path / f"server-{len(servers)}", settings, library, args, module_args)
        servers.append(made)
        return made.start() if start else made

    yield make
    failed = getattr(request.node, "call_report", None) is None or request.node.call_report.failed
    crashed = []
    for made in servers:
        was_alive = made.alive()
        try:
            made._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            crashed.append(f"{made.dir.name} did not end on SIGTERM")
        status = made.process.returncode if made.process else 0
        if was_alive and status != 0:
            crashed.append(f"{made.dir.name} ended with status {status}")
    for made in servers:
        if failed or crashed:
            print(f"\n--- log of {made.dir.name} (port {made.port}) ---\n{made.log()[-20000:]}")
        else:
            shutil.rmtree(made.dir, ignore_errors=True)
    assert not crashed, "; ".join(crashed)


@pytest.fixture
def disk(tmp_path):
    """Factory: disk(mib), a file system that can be made bad; harness/disks.py."""
    made = []

    def make(mib):
        made.append(disks.Disk(tmp_path, mib))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.call_report = report
    if report.when == "teardown" and "tmp_path" in (getattr(item, "funcargs", None) or {}):
        # Whoever looks for a fault wants the files; of all the others they are many GiB.
        told = getattr(item, "call_report", None)
        if report.passed and told is not None and told.passed:
            shutil.rmtree(item.funcargs["tmp_path"], ignore_errors=True)


def pytest_sessionstart(session):
    if not MODULE.exists():
        pytest.exit(f"{MODULE} is missing: make build", returncode=3)
