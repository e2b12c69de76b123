"""Cold values of twenty times the cache and more, beside a server without the module that holds the
same: for tests of long work."""

from conftest import MODULE, PATIENT, Server
from harness.parking import chill
from harness.resp import Connection

CACHE = 2 << 20
LARGE = 30_000
SETTINGS = {"flash.cache-size-bytes": str(CACHE), "flash.capacity-bytes": "1gb",
            "flash.compression": "none"}
COLD = ("list", "hash", "set", "lex", "large-list", "huge-list", "large-hash", "large-set",
        "string", *(f"medium-string:{n}" for n in range(10)),
        *(f"small-string:{n}" for n in range(12)))
HOW = ("plain", "multi", "script")


def rows():
    """(command, key, arguments) that make the values, with the native names."""
    for start in range(0, 40_000, 500):
        yield "RPUSH", "list", [f"{n}:".ljust(1000, "e") for n in range(start, start + 500)]
        yield "HSET", "hash", [word for n in range(start, start + 500)
                               for word in (f"field:{n}", f"{n}:".ljust(1000, "v"))]
    for start in range(0, 100_000, 1000):
        yield "ZADD", "set", [word for n in range(start, start + 1000)
                              for word in (n // 2 / 4, f"{n:0200d}")]
    for start in range(0, 100_000, 1000):
        yield "ZADD", "lex", [word for n in range(start, start + 1000)
                              for word in (0, f"{n:0200d}")]
    for start in range(0, 1400, 20):
        yield "RPUSH", "large-list", [f"{n}:".ljust(LARGE, "l") for n in range(start, start + 20)]
        yield "HSET", "large-hash", [word for n in range(start, start + 20)
                                     for word in (f"value:{n}", f"{n}:".ljust(LARGE, "w"))]
        yield "ZADD", "large-set", [word for n in range(start, start + 20)
                                    for word in (n / 8, f"{n}:".ljust(LARGE, "m") + str(n % 10))]
    yield "RPUSH", "huge-list", ["small", "x" * (40 << 20), "end"]
    yield "HSET", "large-hash", ["huge", "h" * (40 << 20)]
    yield "SET", "string", ["s" * (40 << 20)]
    for n in range(10):
        yield "SET", f"medium-string:{n}", [f"{n}:".ljust(CACHE // 4 - 10_000, "m")]
    for n in range(12):
        yield "SET", f"small-string:{n}", [f"{n}:".ljust(40_000, "n")]


class Twins:
    """`node` with cold FLASH values, and a server without the module with native ones."""

    def __init__(self, folder, settings=None):
        ours = {**SETTINGS, **(settings or {})}
        self.node = Server(folder / "node", ours, MODULE, (), PATIENT).start()
        self.native = Server(folder / "native", {}, None, (), ()).start()
        self._connections = []
        ours, native = self.connect()
        for command, key, args in rows():
            ours.must("FLASH." + command, key, *args)
            native.must(command, key, *args)
        chill(self.node, *COLD)

    def connect(self, resp3=False):
        """A connection to each."""
        made = (Connection(self.node.port, resp3=resp3), Connection(self.native.port, resp3=resp3))
        self._connections += made
        return made

    def close(self):
        for connection in self._connections:
            connection.close()
        for server in (self.node, self.native):
            server.stop()


def run_how(connection, how, *command):
    """Runs a command plain, in a transaction or in a script; its reply."""
    if how == "plain":
        return connection.call(*command)
    if how == "multi":
        connection.must("MULTI")
        connection.must(*command)
        return connection.call("EXEC").value[0]
    if len(command) > 7000:  # More than Lua's unpack can do.
        return run_how(connection, "multi", *command)
    return connection.call("EVAL", "return redis.call(unpack(ARGV))", 1, command[1], *command)


def reset_peak(node):
    """The high-water mark of hot bytes begins anew when the cache's bound is set."""
    for size in (CACHE + 1, CACHE):
        node.client.config_set("flash.cache-size-bytes", size)


def check_bound(node, what=""):
    info = node.info()
    assert info["evicted_keys"] == 0, what
    assert info["flash_hot_bytes_peak"] <= CACHE * 1.1, (what, info["flash_hot_bytes_peak"])
