"""Waiting clients by the hundred: every element that was pushed is popped exactly once.

ledger    what was pushed, moved and popped, and the verdict
storm     the clients: waiters, pushers, one that demotes, one that makes trouble

Run it:  /usr/bin/python3 tests/integration/waits --seconds 60 --clients 200
"""
