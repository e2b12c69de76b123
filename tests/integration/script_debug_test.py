"""SCRIPT DEBUG runs a script in a fork of the server, which has no I/O threads of the tier.

A cold value cannot be brought there: the session must end with an error, not wait for ever.
"""

import socket

from harness.resp import Connection, encode


def cold_key(node, size=500):
    node.call("FLASH.SET", "key", b"x" * size)
    node.call("FLASH.DEBUG.DEMOTE", "key")


def debugged(node, mode, script, key, last):
    """All that a debugging session says, until it said `last` (the script's reply comes behind the
    end of the session) or the connection closed."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as wire:
        wire.sendall(encode(["SCRIPT", "DEBUG", mode]))
        assert wire.recv(64) == b"+OK\r\n"
        wire.sendall(encode(["EVAL", script, "1", key]))
        said = b""
        while b"Stopped at" not in said:
            said += wire.recv(4096)
        wire.sendall(encode(["continue"]))
        while last not in said:
            chunk = wire.recv(4096)
            if not chunk:
                break
            said += chunk
        return said


SCRIPT = "local reply = server.pcall('FLASH.GET', KEYS[1]) return reply.err or reply"


def test_forked_session_refuses_a_cold_value(server):
    node = server()
    cold_key(node)
    assert b"FLASHIO" in debugged(node, "YES", SCRIPT, "key", last=b"FLASHIO")
    assert Connection(node.port).call("FLASH.GET", "key").value == b"x" * 500


def test_forked_session_reads_a_hot_value(server):
    node = server()
    node.call("FLASH.SET", "key", b"y" * 500)
    assert b"y" * 500 in debugged(node, "YES", SCRIPT, "key", last=b"y" * 500)


def test_synchronous_session_reads_a_cold_value(server):
    node = server()
    cold_key(node)
    assert b"x" * 500 in debugged(node, "SYNC", SCRIPT, "key", last=b"x" * 500)
