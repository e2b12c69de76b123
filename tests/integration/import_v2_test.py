"""An RDB file of this module from before hashes had a seed in it, tests/golden/rdb_v2.base64."""

import base64
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "rdb_v2.base64"
DIGEST = b"1e3404b94f9e41b4c5ddd35d9f059fb607c2859c"


def test_the_file_loads(server):
    node = server({"flash.cache-size-bytes": "1mb"})
    node.kill()
    (node.dir / "dump.rdb").write_bytes(base64.b64decode(GOLDEN.read_text(encoding="ascii")))
    node.start()
    assert node.call("DBSIZE") == 9
    assert node.call("DEBUG", "DIGEST") == DIGEST
    for n in range(300):
        assert node.call("FLASH.HGET", "hash", f"field:{n}").decode() == f"value:{n}" * 3
        assert node.call("FLASH.LINDEX", "list", n).decode() == f"element:{n}" * 3
        assert float(node.call("FLASH.ZSCORE", "zset", f"member:{n}" * 2)) == n % 7 - 3
    assert node.call("FLASH.HGET", "large", "f" * 1500) == b"v" * 3000
    assert node.call("FLASH.GET", "cold") == b"c" * 300
    assert node.call("FLASH.HGET", "coldhash", "f") == b"v" * 100
    assert node.call("FLASH.GET", "tiny") == b"t"
