"""Reads keys of any FLASH type back as the models that writers keep."""

from crash.writer import ABSENT


def read_all(node, keys):
    """key -> model, in one pipeline."""
    client = node.connect()
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.type(key)
    kinds = pipe.execute()
    pipe = client.pipeline(transaction=False)
    for key, kind in zip(keys, kinds):
        pipe.execute_command(*_READERS[kind][0](key))
    return {key: _READERS[kind][1](reply)
            for key, kind, reply in zip(keys, kinds, pipe.execute())}


def _pairs(reply, number=str):
    if isinstance(reply, dict):
        reply = [part for pair in reply.items() for part in pair]
    words = [part.decode() if isinstance(part, bytes) else part for part in reply]
    return dict(zip(words[::2], map(number, words[1::2])))


def _words(reply):
    return [part.decode() for part in reply]


_READERS = {
    b"string": (lambda key: ("GET", key), lambda reply: ("native string", reply.decode())),
    b"hash": (lambda key: ("HGETALL", key), lambda reply: ("native hash", _pairs(reply))),
    b"list": (lambda key: ("LRANGE", key, 0, -1), lambda reply: ("native list", _words(reply))),
    b"zset": (lambda key: ("ZRANGE", key, 0, -1, "WITHSCORES"),
              lambda reply: ("native zset", _pairs(reply, lambda score: int(float(score))))),
    b"none": (lambda key: ("EXISTS", key), lambda reply: ABSENT),
    # Evicted since it was asked for its type: ABSENT.
    b"flashstr1": (lambda key: ("FLASH.GET", key),
                   lambda reply: ABSENT if reply is None else ("string", reply.decode())),
    b"flashhsh1": (lambda key: ("FLASH.HGETALL", key), lambda reply: ("hash", _pairs(reply))),
    b"flashlst1": (lambda key: ("FLASH.LRANGE", key, 0, -1),
                   lambda reply: ("list", _words(reply))),
    b"flashzst1": (lambda key: ("FLASH.ZRANGE", key, 0, -1, "WITHSCORES"),
                   lambda reply: ("zset", _pairs(reply, lambda score: int(float(score))))),
}
