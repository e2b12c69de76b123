"""redis-py, as Debian has it: RESP2."""

import json
import sys

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ResponseError


def teach(client):
    """Replies of FLASH.X become what redis-py makes of those of X."""
    for name, callback in list(client.response_callbacks.items()):
        client.set_response_callback("FLASH." + name, callback)


def teach_cluster(cluster):
    cluster.get_nodes()  # Each node has a client of its own.
    for node in cluster.get_nodes():
        teach(cluster.get_redis_connection(node))


class Program:
    def __init__(self):
        self.client = None

    def facts(self, _):
        return {"resp": [2], "cluster": True}

    def open(self, request):
        timeout = request["timeout_ms"] / 1000 if request.get("timeout_ms") else None
        options = {"socket_timeout": timeout, "decode_responses": True}
        if request.get("cluster"):
            node = ClusterNode("127.0.0.1", request["port"])
            self.client = RedisCluster(startup_nodes=[node], **options)
            teach_cluster(self.client)
        else:
            self.client = redis.Redis(host="127.0.0.1", port=request["port"], **options)
            teach(self.client)
        return {"reply": "open"}

    def call(self, request):
        return {"reply": plain(self.client.execute_command(*request["args"]))}

    method = None

    def pipeline(self, request):
        options = {} if isinstance(self.client, RedisCluster) else {"transaction": False}
        pipe = self.client.pipeline(**options)
        for args in request["commands"]:
            pipe.execute_command(*args)
        done = pipe.execute(raise_on_error=False)
        return {"replies": [answer_of(one) if isinstance(one, Exception) else {"reply": plain(one)}
                            for one in done]}

    def close(self, _):
        self.client.close()
        return {"reply": "closed"}


def plain(value):
    """As JSON has it: sets and maps in a fixed order."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(value[name]) for name in sorted(value)}
    if isinstance(value, set):
        return sorted(value)
    return value


def answer_of(error):
    """The server's own error is an answer; anything else a failure of the connection."""
    kind = "error" if isinstance(error, ResponseError) else "failure"
    return {kind: f"{error}" or type(error).__name__}


def main():
    program = Program()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(program, request["do"])(request)
        except Exception as error:  # What it makes of a reply that it does not know, too.
            answer = answer_of(error)
        print(json.dumps(answer), flush=True)


main()
