"""Failures: nodes die, stop and are cut off while clients write, and every reply is judged.

models  keys whose content says its version
load    the clients, and what each reply may be (harness/history.py)
world   three nodes in networks of their own: one primary, its replicas, perhaps a chained one
acts    what happens to them
cluster_world, cluster_acts    a shard of a cluster, whose nodes vote on who is its primary

Run it:  /usr/bin/python3 tests/integration/failures --acts 100
"""
