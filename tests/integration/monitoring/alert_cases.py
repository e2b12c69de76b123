"""For each alert figures under which it must fire, and close ones under which it must not.

Written as `promtool test rules` wants them. Figures are series of promtool's notation: `a+bxn`
begins with a and grows by b each minute, n times.
"""

# Alert: ({field: series that fires}, {field: series that does not}).
LONG = "x120"
DAY = "x1600"
GB = 1_000_000_000
CAPACITY = {"storage_capacity_bytes": f"{100 * GB}+0{DAY}"}


def flag(name):
    return {name: f"1+0{LONG}"}, {name: f"0+0{LONG}"}


def counter(name, quiet=f"7+0{LONG}", per_minute=1):
    return {name: f"7+{per_minute}{LONG}"}, {name: quiet}


def beside_capacity(name, fires, quiet):
    return {name: fires, **CAPACITY}, {name: quiet, **CAPACITY}


CASES = {
    "FlashError": flag("module_state_error"),
    "FlashRecoveringLong": flag("module_state_recovering"),
    "FlashNotWatched": ({"redis_up": f"1+0{LONG}"},
                        {"redis_up": f"1+0{LONG}", "module_state_ready": f"1+0{LONG}"}),
    "FlashChecksumErrors": counter("checksum_errors"),
    "FlashReadErrors": counter("read_errors"),
    "FlashReadTimeouts": counter("read_timeouts"),
    "FlashWritesFailing": flag("writes_failing"),
    "FlashSegmentsBad": flag("segments_bad"),
    "FlashTierNearlyFull": beside_capacity("storage_used_bytes", f"{86 * GB}+0{LONG}",
                                           f"{84 * GB}+0{LONG}"),
    "FlashTierFullSoon": beside_capacity("storage_used_bytes", f"{GB}+{GB // 10}x900",
                                         f"{GB}+{GB // 100}x900"),
    "FlashFullReplies": counter("flashfull_replies"),
    "FlashFrozenMuch": beside_capacity("storage_frozen_bytes", f"{91 * GB}+0{LONG}",
                                       f"{89 * GB}+0{LONG}"),
    "FlashMainThreadWaits": counter("sync_wait_us_total", f"0+2900000{LONG}", 3_100_000),
    "FlashReadsSlow": ({"read_latency_p99_us": f"20001+0{LONG}"},
                       {"read_latency_p99_us": f"20000+0{LONG}"}),
    "FlashWritersWaitForRoom": counter("demotion_stall_events_total", f"0+590{LONG}", 610),
    "FlashHitRatioLow": ({"cache_hits": f"0+49{LONG}", "cache_misses": f"0+51{LONG}"},
                         {"cache_hits": f"0+51{LONG}", "cache_misses": f"0+49{LONG}"}),
    "FlashParkedMany": ({"parked_clients": f"801+0{LONG}"}, {"parked_clients": f"800+0{LONG}"}),
    "FlashLogFailed": flag("wal_base_failed"),
    "FlashLogUnrecovered": flag("wal_base_unrecovered"),
    "FlashLogAwaitsSnapshot": flag("wal_base_awaited"),
    "FlashLogLarge": ({"wal_size_bytes": f"{7 * GB}+0{LONG}"},
                      {"wal_size_bytes": f"{6 * GB}+0{LONG}"}),
    "FlashWear": ({"storage_device_bytes_written": f"0+{GB // 20}{DAY}",
                   "wal_device_bytes_written": f"0+{GB // 20}{DAY}", **CAPACITY},
                  {"storage_device_bytes_written": f"0+{GB // 20}{DAY}",
                   "wal_device_bytes_written": f"0+{GB // 100}{DAY}", **CAPACITY}),
    "FlashWriteAmplification": ({"storage_write_amplification": f"5.1+0{LONG}"},
                                {"storage_write_amplification": f"4.9+0{LONG}"}),
}

# When it is looked at: behind the longest window and `for`, and before the tier is full.
AT = {"FlashTierFullSoon": "800m", "FlashWear": "1550m"}


def one(alert, figures, fires):
    series = []
    for name, values in figures.items():
        field = 'redis_script_values{key="flash_%s",instance="a"}' % name
        series.append({"series": 'redis_up{instance="a"}' if name == "redis_up" else field,
                       "values": values})
    expression = 'count(ALERTS{alertname="%s",alertstate="firing"})' % alert
    return {"interval": "1m", "name": f"{alert} {'fires' if fires else 'is quiet'}",
            "input_series": series,
            "promql_expr_test": [{
                "expr": expression, "eval_time": AT.get(alert, "110m"),
                "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}]}


def cases(rules, rule_file):
    """The whole file, for every rule; a rule without a case is a mistake."""
    assert set(CASES) == {rule["alert"] for rule in rules}
    tests = []
    for alert, (fires, quiet) in CASES.items():
        tests += [one(alert, fires, True), one(alert, quiet, False)]
    return {"rule_files": [str(rule_file)], "evaluation_interval": "1m", "tests": tests}
