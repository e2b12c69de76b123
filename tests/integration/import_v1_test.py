"""An RDB file of the older module loads to exactly what that module held.

tests/data/flash-v1.expected.json: keys are "database/base64 of the key", values are base64, scores
text, pxat Unix milliseconds or null.
"""

import base64
import json
import shutil
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[1] / "data"
EXPECTED = json.loads((DATA / "flash-v1.expected.json").read_text())
TYPES = {"string": b"flashstr1", "hash": b"flashhsh1", "list": b"flashlst1", "zset": b"flashzst1"}


@pytest.fixture(params=["64mb", "1mb"])  # The second is smaller than the data.
def node(server, request):
    made = server({"dbfilename": "flash-v1.rdb", "flash.cache-size-bytes": request.param,
                   "databases": 16}, start=False)
    shutil.copy(DATA / "flash-v1.rdb", made.dir)
    return made.start()


def decode(text):
    return base64.b64decode(text)


def value_of(client, kind, key):
    if kind == "string":
        return client.execute_command("FLASH.GET", key)
    if kind == "list":
        return client.execute_command("FLASH.LRANGE", key, 0, -1)
    command = ["FLASH.HGETALL", key] if kind == "hash" else ["FLASH.ZRANGE", key, 0, -1,
                                                             "WITHSCORES"]
    flat = client.execute_command(*command)
    pairs = dict(zip(flat[0::2], flat[1::2]))
    return {m: float(s) for m, s in pairs.items()} if kind == "zset" else pairs


def expected_value(kind, value):
    if kind == "string":
        return decode(value)
    if kind == "list":
        return [decode(item) for item in value]
    if kind == "hash":
        return {decode(field): decode(text) for field, text in value}
    return {decode(member): float(score) for member, score in value}


def check(node):
    for db in range(16):
        keys = {decode(name.split("/", 1)[1]): entry for name, entry in EXPECTED.items()
                if int(name.split("/")[0]) == db}
        client = node.connect(db=db)
        assert set(client.execute_command("KEYS", "*")) == set(keys)
        for key, entry in keys.items():
            kind = entry["type"]
            assert client.execute_command("TYPE", key) == TYPES[kind]
            assert value_of(client, kind, key) == expected_value(kind, entry["value"])
            assert client.execute_command("PEXPIRETIME", key) == (entry["pxat"] or -1)


def test_everything_is_there_and_stays(node):
    check(node)
    node.call("DEBUG", "RELOAD")  # By now in our own form.
    check(node)
    used = node.info("flash")
    cache = used["flash_cache_capacity_bytes"]
    assert used["flash_cache_size_bytes"] <= cache * 1.1


def test_a_damaged_file_is_refused(server):
    node = server({"dbfilename": "flash-v1.rdb", "rdbchecksum": "no"}, start=False)
    whole = bytearray((DATA / "flash-v1.rdb").read_bytes())
    at = whole.index(b"h:small") + 40
    whole[at] ^= 0xff
    (node.dir / "flash-v1.rdb").write_bytes(whole)
    try:
        node.start()
    except Exception as refused:  # The load stops, with a line that says why.
        assert "flash" in str(refused)
    else:
        assert node.client.ping()
