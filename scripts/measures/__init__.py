"""What scripts/bench.py measures; one file for each group of promises.

tools    valkey-benchmark, fio, servers, rows of the report
hot      throughput of hot GET and SET beside native and a bare module
cold     cold GET beside fio; PING under cold load
memory   RAM of hot and cold keys, bytes on flash, write amplification, the cache's bound
stalls   the longest stall by one command on a big value
collection_speed   commands on hot collections beside native and a bare module
collection_stalls  the longest stall by one command on a collection of 1 M elements
"""
