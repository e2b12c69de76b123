"""Races: reads of cold keys against everything that changes keys, and BGSAVE in the middle.

workload  the clients: writers, readers, demoter, one that swaps and flushes whole databases

Run it:  /usr/bin/python3 tests/integration/races --seconds 60 --clients 64
"""
