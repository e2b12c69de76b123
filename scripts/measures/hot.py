"""Hot FLASH.GET and FLASH.SET beside native ones and those of a bare module, on one server.

The promise is about the native commands; the bare module (bench/bare) shows what the server takes
for any module's command.
"""

from measures.tools import (Row, bare_module, benchmark, interleaved, median_of_ratios,
                            median_speed, verdict)

KEYS = 100_000
VALUE = "x" * 100


def measure(bench):
    node = bench.server({"flash.cache-size-bytes": "512mb"}, bare=True)
    sides = {"native": "", "flash": "FLASH."}
    if bare_module():
        sides["bare"] = "BARE."
    for word in sides.values():  # Every key is there before anything is measured.
        benchmark(node, command(word, "SET"), requests=KEYS * 12, pipeline=64, keys=KEYS)
    for depth in (1, 16):
        requests = bench.scaled(200_000 if depth == 1 else 1_500_000,
                                20_000 if depth == 1 else 200_000)
        runs = {(side, verb): run_of(node, word, verb, depth, requests)
                for verb in ("GET", "SET") for side, word in sides.items()}
        results = interleaved(bench.scaled(7, 2), runs)
        for verb in ("GET", "SET"):
            yield row_of(verb, depth, {side: results[(side, verb)] for side in sides})
    node._end(9)


def command(word, verb):
    key = f"{word}key:__rand_int__"
    return [f"{word}{verb}", key, VALUE] if verb == "SET" else [f"{word}{verb}", key]


def run_of(node, word, verb, depth, requests):
    return lambda: benchmark(node, command(word, verb), requests=requests, pipeline=depth,
                             keys=KEYS)


def row_of(verb, depth, results):
    native = median_of_ratios(results["flash"], results["native"])
    speeds = ", ".join(f"{side} {median_speed(runs):,.0f}/s" for side, runs in results.items())
    data = {side: median_speed(runs) for side, runs in results.items()}
    beside = ""
    if "bare" in results:
        beside = f"; {median_of_ratios(results['flash'], results['bare']):.3f} x a bare module"
    return Row(f"hot {verb}, 50 clients, -P {depth}: >= 0.95 x native",
               f"{native:.3f}{beside} ({speeds})", verdict(native >= 0.95), data)
