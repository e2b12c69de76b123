"""The log's device made to fail in a running server, and clients that remember what they were told.

The module asks the folder of FLASH_TEST_LOG_FAULT before each write (src/durability/log_faults.h).
"""

import threading

from harness.resp import Connection, Disconnected

KINDS = ("error", "nospace", "hang")


class LogFault:
    """Faults of one server's log; make it before the server starts."""

    def __init__(self, node):
        self._folder = node.dir / "fault"
        self._folder.mkdir(exist_ok=True)
        node.environment["FLASH_TEST_LOG_FAULT"] = str(self._folder)

    def begin(self, kind):
        (self._folder / kind).touch()

    def end(self):
        for kind in KINDS:
            (self._folder / kind).unlink(missing_ok=True)


class Witness(threading.Thread):
    """Sets its key to 1, 2, 3 … in pipelines until it is refused or disconnected.

    acked     the last number acknowledged; each before it was, too
    sent      the last one sent
    refusals  error replies, which say that nothing was changed
    """

    def __init__(self, port, key, depth):
        super().__init__()
        self.key, self.acked, self.sent, self.refusals = key, 0, 0, []
        self._depth = depth
        self._link = Connection(port)
        self.start()

    def run(self):
        try:
            while not self.refusals:
                first = self.sent + 1
                self.sent += self._depth
                self._link.send(*(("FLASH.SET", self.key, f"{number}:" + "x" * 100)
                                  for number in range(first, self.sent + 1)))
                for number in range(first, self.sent + 1):
                    reply = self._link.read()
                    if reply.is_error:
                        self.refusals.append(reply.value)
                    elif self.refusals:
                        raise AssertionError(f"{number} was done after one that was refused")
                    else:
                        self.acked = number
        except (Disconnected, ConnectionError):
            pass
        finally:
            self._link.close()

    def judge(self, node):
        """The key shows what was acknowledged, or what was under way then."""
        value = node.call("FLASH.GET", self.key)
        found = int(value.partition(b":")[0]) if value else 0
        assert self.acked <= found <= self.sent, f"{self.key}: {self.acked} {found} {self.sent}"
