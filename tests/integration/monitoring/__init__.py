"""Debian's exporter and Prometheus against a server under load.

stack         the programs and the load
alert_cases   figures under which each alert must fire or not
picture       the dashboard's panels, drawn from its own queries
live          the tests; run by scripts/monitoring-test, not collected otherwise
"""
