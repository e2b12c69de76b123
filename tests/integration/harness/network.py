"""Servers in network namespaces of their own, joined by a bridge, whose links can be cut.

    with Network() as network:
        node = network.server(folder, settings)      # a conftest.Server at 10.77.0.x
        network.cut(node)                            # nobody reaches it, it reaches nobody
        network.join(node)

Packets into a cut link vanish, as in a network that broke: no connection is reset. Tests talk to
the servers by their Unix sockets, which no cut touches. Needs root and `ip`: see `missing()`. The
namespaces live as long as a process each that ends with this one.
"""

import os
import subprocess

import redis

from conftest import SLOWDOWN, Server

PORT = 6379  # Each in a namespace of its own.


def _enter(pid):
    return ["nsenter", f"--net=/proc/{pid}/ns/net", "--"]


def missing():
    """Why there can be no such network here; None if there can."""
    script = "ip link add br0 type bridge && ip link add v0 type veth peer name e0 && " \
             "ip link set v0 master br0"
    try:
        tried = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True,
                               text=True, check=False)
    except FileNotFoundError as absent:
        return str(absent)
    return None if tried.returncode == 0 else tried.stderr.strip() or "refused"


class _Namespace:
    def __init__(self):
        # Ends when its input does: with this process at the latest.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, start_new_session=True)
        assert self._holder.stdout.readline() == b"\n", "no namespace"
        self.pid = self._holder.pid
        self.ip("link", "set", "lo", "up")

    def ip(self, *words):
        subprocess.run([*_enter(self.pid), "ip", *map(str, words)], check=True,
                       stdin=subprocess.DEVNULL)

    def close(self):
        self._holder.stdin.close()
        self._holder.wait()
        self._holder.stdout.close()


class NetworkServer(Server):
    """A server in its own namespace: `host` and port for its kind, a Unix socket for tests."""

    def __init__(self, namespace, host, folder, settings, module, module_args):
        super().__init__(folder, settings, module, (), module_args)
        self.namespace, self.host, self.port = namespace, host, PORT
        self.socket_path = os.path.relpath(self.dir / "s")  # Short enough wherever it lies.
        self.settings = {"bind": host, "protected-mode": "no", "unixsocket": self.dir / "s",
                         **self.settings}

    def command_line(self):
        return [*_enter(self.namespace.pid), *super().command_line()]

    def connect(self, **options):
        options.setdefault("socket_timeout", 60 * SLOWDOWN)
        client = redis.Redis(unix_socket_path=self.socket_path, **options)
        self._clients.append(client)
        return client


class Network:
    def __init__(self):
        self._hub = _Namespace()
        self._nodes = []
        self._hub.ip("link", "add", "bridge", "type", "bridge")
        self._hub.ip("link", "set", "bridge", "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self._nodes:
            node._end(9)
            node.namespace.close()
        self._hub.close()

    def server(self, folder, settings=None, module=None, module_args=()):
        """A server, not started; ended with the network."""
        namespace, number = _Namespace(), len(self._nodes) + 1
        self._hub.ip("link", "add", f"node{number}", "type", "veth", "peer", "name", "eth0",
                     "netns", namespace.pid)
        self._hub.ip("link", "set", f"node{number}", "master", "bridge")
        self._hub.ip("link", "set", f"node{number}", "up")
        host = f"10.77.0.{number}"
        namespace.ip("addr", "add", f"{host}/24", "dev", "eth0")
        namespace.ip("link", "set", "eth0", "up")
        node = NetworkServer(namespace, host, folder, settings, module, module_args)
        self._nodes.append(node)
        return node

    def cut(self, node):
        self._hub.ip("link", "set", f"node{self._nodes.index(node) + 1}", "down")

    def join(self, node):
        self._hub.ip("link", "set", f"node{self._nodes.index(node) + 1}", "up")
