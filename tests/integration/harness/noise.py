"""Strings that do not compress, so that they do not stay in write buffers: key0, key1, …"""

import random

VALUE_BYTES = 4000


def value(i):
    return random.Random(i).randbytes(VALUE_BYTES)


def expect_every_value(client, count):
    """`client`: of redis-py."""
    pipe = client.pipeline(transaction=False)
    for i in range(count):
        pipe.execute_command("FLASH.GET", f"key{i}")
    assert pipe.execute() == [value(i) for i in range(count)]
