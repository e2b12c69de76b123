"""Soak: mixed load over all types for minutes or hours, and all that an operator does meanwhile.

model    what each key must hold, and operations on it with the reply that is due
worker   clients over keys of their own
acts     snapshots, resizes, compaction, the ends of lives
samples  memory, descriptors and latency over time, as CSV
verdict  what counts as a fault
picture  the run as SVG

Run it:  make soak [SOAK_SECONDS=3600]
         /usr/bin/python3 tests/integration/soak --seconds 900 --out build/soak
"""
