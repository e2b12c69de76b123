"""Cut-over in both directions under live clients of redis-py, with kill -9 in the middle.

Every key has one writer, and a number says all that the key holds: writers keep the number that
was acknowledged and the one that was sent last. So after a crash each key tells by its content
which number it has, and that number says what was lost.
"""

import random
import threading

import pytest
import redis

from conftest import LOGGED, wait_until

FIELDS = 40
KEYS = 12  # A writer's, of four shapes.
WRITERS = 4
BASE = 60  # Every key's number before anything moves.
SMALL = {"flash.cache-size-bytes": "1mb", "flash.capacity-bytes": "256mb"}
AOF = {**SMALL, "appendonly": "yes", "appendfsync": "always"}
LOG = {**SMALL, **LOGGED}
OURS = {b"flashstr1", b"flashhsh1", b"flashlst1", b"flashzst1"}
ENDS = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError,
        redis.exceptions.BusyLoadingError)


def text(number):
    return b"%08d" % number * 20


class Key:
    """One key: what its content means, and which numbers its writer knows of."""

    def __init__(self, name, shape):
        self.name, self.shape = name, shape
        self.acked = self.sent = 0

    def write(self, call, number):
        if self.shape == "string":
            assert call("SET", self.name, text(number)) in (b"OK", True)
        elif self.shape == "hash":
            # The number itself in a field, so that old values of other fields are seen, too.
            assert call("HSET", self.name, f"f{number % FIELDS}", text(number)) == \
                   (1 if number < FIELDS else 0)
        elif self.shape == "list":
            assert call("RPUSH", self.name, text(number)) == number + 1
        else:
            assert call("ZADD", self.name, number, f"m{number % FIELDS}") == \
                   (1 if number < FIELDS else 0)

    def read(self, call):
        """The number whose content the key has; fails if it is that of none."""
        if self.shape == "string":
            value = call("GET", self.name)
            number = int(value[:8])
            assert value == text(number)
            return number
        if self.shape == "list":
            values = call("LRANGE", self.name, 0, -1)
            assert values == [text(n) for n in range(len(values))]
            return len(values) - 1
        if self.shape == "hash":
            flat = call("HGETALL", self.name)
            pairs = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2]))
            numbers = {int(value[:8]): field for field, value in pairs.items()}
            assert all(value == text(int(value[:8])) for value in pairs.values())
        else:
            flat = call("ZRANGE", self.name, 0, -1, "WITHSCORES")
            pairs = flat if isinstance(flat[0], tuple) else list(zip(flat[::2], flat[1::2]))
            numbers = {int(float(score)): member for member, score in pairs}
        last = max(numbers)
        assert sorted(numbers) == list(range(max(0, last - FIELDS + 1), last + 1))
        assert all(int(name[1:]) == number % FIELDS for number, name in numbers.items())
        return last


class Writer(threading.Thread):
    """Writes and reads its keys until told to stop, or until the server is gone."""

    def __init__(self, node, keys, prefix, seed):
        super().__init__()
        self.client = redis.Redis(host="127.0.0.1", port=node.port, socket_timeout=60)
        self.keys, self.prefix, self.rng = keys, prefix, random.Random(seed)
        self.stopping, self.gone, self.failure = threading.Event(), False, None
        self.writes = 0

    def call(self, name, *args):
        if self.rng.random() < 0.2:
            with self.client.pipeline(transaction=True) as transaction:
                transaction.execute_command(self.prefix + name, *args)
                return transaction.execute()[0]
        if self.rng.random() < 0.1:
            words = ", ".join(f"ARGV[{i + 1}]" for i in range(len(args)))
            script = f"return redis.call('{self.prefix}{name}', {words})"
            reply = self.client.eval(script, 0, *args)
            return b"OK" if name == "SET" else reply
        return self.client.execute_command(self.prefix + name, *args)

    def run(self):
        try:
            while not self.stopping.is_set():
                key = self.rng.choice(self.keys)
                if self.rng.random() < 0.3:
                    assert key.read(self.call) == key.acked
                    continue
                key.sent = key.acked + 1
                key.write(self.call, key.sent)
                key.acked = key.sent
                self.writes += 1
        except ENDS:
            self.gone = True
        except Exception as failure:  # Shown by the test.
            self.failure = failure
        finally:
            self.client.close()


class Clients:
    """All writers, over one set of keys."""

    def __init__(self):
        self.keys = [[Key(f"w{w}:k{k}", ("string", "hash", "list", "zset")[k % 4])
                      for k in range(KEYS)] for w in range(WRITERS)]
        self.writers, self.starts = [], 0

    def all_keys(self):
        return [key for keys in self.keys for key in keys]

    def fill(self, node, prefix):
        pipe = node.client.pipeline(transaction=False)
        for key in self.all_keys():
            for number in range(BASE + 1):
                try:
                    key.write(lambda name, *a: pipe.execute_command(prefix + name, *a), number)
                except AssertionError:
                    pass  # A pipeline answers later.
            key.acked = key.sent = BASE
        pipe.execute()

    def start(self, node, prefix):
        self.starts += 1
        self.writers = [Writer(node, keys, prefix, seed=self.starts * 100 + i)
                        for i, keys in enumerate(self.keys)]
        for writer in self.writers:
            writer.start()

    def wait_for_writes(self, count):
        want = [writer.writes + count for writer in self.writers]
        wait_until(lambda: all(w.writes >= n or w.failure or w.gone
                               for w, n in zip(self.writers, want)), 60, "the clients to write")

    def stop(self, crashed=False):
        for writer in self.writers:
            writer.stopping.set()
        for writer in self.writers:
            writer.join(60)
            assert writer.failure is None, repr(writer.failure)
            assert crashed or not writer.gone

    def check(self, node, prefix, least=lambda key: key.acked):
        """Each key holds what its number says; `least` is the lowest that is no loss."""
        for key in self.all_keys():
            number = key.read(lambda name, *args: node.call(prefix + name, *args))
            assert least(key) <= number <= key.sent, (key.name, key.acked, key.sent, number)
            key.acked = key.sent = number


def kinds(node):
    return {key.decode(): node.client.type(key) for key in node.client.keys()}


def adopt_until(node, clients, count):
    """FLASH.ADOPT.SCAN until `count` keys were adopted; the set of them."""
    adopted, cursor = set(), b"0"
    while len(adopted) < count:
        cursor, keys = node.call("FLASH.ADOPT.SCAN", cursor, "COUNT", "2")
        adopted |= {key.decode() for key in keys}
        clients.wait_for_writes(3)
        if cursor == b"0" and len(adopted) < count:
            assert len(adopted) == len(clients.all_keys()), "a pass left keys alone"
    return adopted


@pytest.mark.parametrize("settings", [AOF, LOG], ids=["aof", "log"])
def test_native_to_flash(server, settings):
    node = server(settings)
    clients = Clients()
    clients.fill(node, "")
    node.save()
    clients.start(node, "")
    clients.wait_for_writes(50)
    node.call("CONFIG", "SET", "flash.native-fallback", "yes")
    clients.stop()
    clients.start(node, "FLASH.")  # The clients are switched; the data is not.
    clients.wait_for_writes(50)
    assert not OURS & set(kinds(node).values())
    adopted = adopt_until(node, clients, 20)
    clients.wait_for_writes(20)
    node.kill()
    clients.stop(crashed=True)
    node.settings["flash.native-fallback"] = "yes"
    node.start()
    now = kinds(node)
    assert all(now[key] in OURS for key in adopted)
    # Native keys have no log but the AOF: without it they are as the last snapshot had them.
    durable = adopted if settings is LOG else set(now)
    clients.check(node, "FLASH.", lambda key: key.acked if key.name in durable else BASE)
    clients.start(node, "FLASH.")
    while not set(kinds(node).values()) <= OURS:
        adopt_until(node, clients, len([k for k in kinds(node).values() if k not in OURS]))
    clients.wait_for_writes(30)
    node.kill()
    clients.stop(crashed=True)
    node.start()
    assert set(kinds(node).values()) <= OURS
    clients.check(node, "FLASH.")
    node.call("CONFIG", "SET", "flash.native-fallback", "no")
    clients.start(node, "FLASH.")
    clients.wait_for_writes(20)
    clients.stop()
    clients.check(node, "FLASH.")


@pytest.mark.parametrize("settings", [AOF, LOG], ids=["aof", "log"])
def test_flash_to_native(server, settings):
    node = server({**settings, "flash.native-fallback": "yes"})
    clients = Clients()
    clients.fill(node, "FLASH.")
    node.save()
    for key in node.client.keys():
        node.call("FLASH.DEBUG.DEMOTE", key)
    clients.start(node, "FLASH.")
    clients.wait_for_writes(50)
    before = {key.name: key.acked for key in clients.all_keys()}
    while sum(kind not in OURS for kind in kinds(node).values()) < 20:
        node.call("FLASH.DRAIN", "COUNT", "2")
        clients.wait_for_writes(3)
    node.kill()
    clients.stop(crashed=True)
    node.start()
    aof = settings is AOF
    clients.check(node, "FLASH.", lambda key: key.acked if aof else before[key.name])
    clients.start(node, "FLASH.")
    clients.wait_for_writes(20)
    assert node.call("FLASH.DRAIN", "ALLDBS")[2] == 0
    assert not OURS & set(kinds(node).values())
    clients.wait_for_writes(20)
    clients.stop()
    clients.start(node, "")  # Switched to the native commands.
    clients.wait_for_writes(50)
    clients.stop()
    clients.check(node, "")
    if aof:
        clients.start(node, "")
        clients.wait_for_writes(50)
        node.kill()
        clients.stop(crashed=True)
        node.start()
        assert not OURS & set(kinds(node).values())
        clients.check(node, "")


def test_replicas_follow_both_ways(server):
    primary = server({**SMALL, "flash.native-fallback": "yes"})
    replica = server({**SMALL, "flash.replica-tier-enabled": "yes"})
    replica.replicate_from(primary)
    clients = Clients()
    clients.fill(primary, "")
    clients.start(primary, "FLASH.")
    adopt_until(primary, clients, len(clients.all_keys()))
    for key in clients.all_keys()[::3]:
        primary.call("FLASH.CONVERT", key.name)
        clients.wait_for_writes(1)
    clients.stop()
    replica.wait_for_offset_of(primary)
    assert kinds(replica) == kinds(primary)
    assert primary.call("DEBUG", "DIGEST") == replica.call("DEBUG", "DIGEST")
    replica.call("CONFIG", "SET", "flash.native-fallback", "yes")
    clients.check(replica, "FLASH.")
