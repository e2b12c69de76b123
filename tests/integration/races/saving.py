"""BGSAVE in the middle of a race: every saved value must have been current at the fork.

The fork lies between sending BGSAVE and its reply. So each key of the file, read from a second
server, is judged like a read that began when BGSAVE was sent and ended with its reply.
"""

import asyncio
import shutil

from harness.history import now
from races.workload import Wrong


class Saver:
    """A part of a Race (`extras`): saves again and again, keeping each file and its moments."""

    def __init__(self, race, folder, keep=3):
        self.race, self.folder, self.keep = race, folder, keep
        self.saves = []  # (path, frontiers at the start, moment of the reply)

    async def __call__(self, client):
        await asyncio.sleep(1)
        file_before = self.file_written()
        frontiers = self.race.histories.frontiers()
        reply = await client.call("BGSAVE")
        until = now()
        if reply != b"Background saving started":
            raise Wrong(f"BGSAVE: {reply!r}")
        while b"rdb_bgsave_in_progress:1" in await client.call("INFO", "persistence"):
            await asyncio.sleep(0.02)
        if b"rdb_last_bgsave_status:ok" not in await client.call("INFO", "persistence"):
            raise Wrong("BGSAVE failed: see the server's log")
        if self.file_written() == file_before:
            return  # FLUSHALL ends a child that saves.
        self.race.count("saves")
        if len(self.saves) < self.keep:
            path = self.folder / f"kept-{len(self.saves)}.rdb"
            shutil.copyfile(self.folder / "dump.rdb", path)
            self.saves.append((path, frontiers, until))

    def file_written(self):
        try:
            return (self.folder / "dump.rdb").stat().st_mtime_ns
        except FileNotFoundError:
            return None


def judge_save(race, connection_of, frontiers, until):
    """Reads every key of a server that loaded one file; raises Wrong.

    connection_of(db) gives a harness.resp.Connection. Returns how many values were there.
    """
    found = 0
    for where in race.everywhere:
        db, name = where
        reply = connection_of(db).call(race.word("GET"), name)
        if reply.is_error:
            raise Wrong(f"{where} from the saved file: {reply.value!r}")
        race.judge(where, reply.value, frontiers.get(where, 0), until, "saved value")
        found += reply.value is not None
    return found
