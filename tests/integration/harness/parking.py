"""Commands held while their client is parked, so that what happens meanwhile is certain.

The module asks the folder of FLASH_TEST_HOLD at its pause points (src/dispatch/pause_points.h):
`fetch`, before a parked command's first read; `release`, when it lacks nothing any more;
`portion`, between two steps of long work.
"""

from conftest import wait_until
from harness.resp import Connection


class Holder:
    """Holds parked commands of all servers started after it was made."""

    POINTS = ("fetch", "release")  # Of every command that parks.

    def __init__(self, folder, monkeypatch):
        self._folder = folder / "hold"
        self._folder.mkdir()
        monkeypatch.setenv("FLASH_TEST_HOLD", str(self._folder))

    def hold(self, point):
        (self._folder / point).touch()

    def let_go(self):
        for point in (*self.POINTS, "portion"):
            (self._folder / point).unlink(missing_ok=True)


def parked_now(node):
    return node.info("flash")["flash_parked_clients"]


def send_and_park(node, *args, db=0, resp3=False, parked=1):
    """Sends a command from a connection of its own; returns that once `parked` clients wait.

    And have come as far as the held point lets them: whoever chills the key afterwards must not
    do so before the reads that are under way have brought it to RAM.
    """
    connection = Connection(node.port, db=db, resp3=resp3)
    connection.send(args)

    def has_come_to_rest():
        info = node.info("flash")
        return info["flash_parked_clients"] == parked and not info["flash_block_reads_inflight"]

    wait_until(has_come_to_rest, 20, f"{args[0]} to be parked")
    return connection


def chill(node, *keys, db=0):
    """Sends the values of `keys` to flash."""
    client = node.connect(db=db)
    for key in keys:
        assert client.execute_command("FLASH.DEBUG.DEMOTE", key) in (b"OK", b"ALREADY_COLD")
