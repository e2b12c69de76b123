"""A run's samples as one SVG file: memory, descriptors, latency and throughput over time."""

import html

from monitoring.picture import COLOURS, chart

WIDTH, HEIGHT, GAP, HEAD = 620, 210, 14, 34
PANELS = (
    ("Memory", "bytes", (("rss_bytes", "resident"), ("used_memory_bytes", "used_memory"),
                         ("truth_bytes", "of that the module's, by its figures"),
                         ("unexplained_bytes", "of that nobody's"))),
    ("Cache bound and flash used", "bytes", (("cache_bound_bytes", "flash.cache-size-bytes"),
                                             ("flash_used_bytes", "live on flash"))),
    ("PING under load", "µs", (("ping_p50_us", "p50"), ("ping_p99_us", "p99"))),
    ("Cold reads since the start", "µs", (("cold_read_p50_us", "p50"),
                                          ("cold_read_p99_us", "p99"))),
    ("Descriptors and threads", "", (("descriptors", "descriptors"), ("threads", "threads"))),
    ("Operations a second, all checked", "ops", (("operations", "operations"),)))


def panel(rows, title, unit, fields):
    seconds = max(row["seconds"] for row in rows)
    lines = [(label, [(row["seconds"], max(0, row[field])) for row in rows])
             for field, label in fields]
    legend, at = [], 62
    for number, (label, _) in enumerate(lines):
        legend.append(f'<rect x="{at}" y="{HEIGHT + 9}" width="10" height="3" '
                      f'fill="{COLOURS[number]}"/><text x="{at + 14}" y="{HEIGHT + 14}">'
                      f"{html.escape(label)}</text>")
        at += 30 + 6.6 * len(label)
    return (f'<text class="title" x="0" y="-8">{html.escape(title)}</text>'
            + chart(lines, unit, WIDTH, HEIGHT, seconds, from_start=True) + "".join(legend))


def draw(path, rows, title):
    """One file, that stands by itself; lives are where lines jump."""
    across, down = 2, (len(PANELS) + 1) // 2
    width, height = across * (WIDTH + 3 * GAP), HEAD + down * (HEIGHT + 66)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           f'width="{width}" height="{height}">'
           "<style>text{fill:#9fa7b3;font:11px sans-serif}.title{fill:#e8eaee;font-size:13px}"
           "</style>"
           f'<rect width="{width}" height="{height}" fill="#111217"/>'
           f'<text class="title" x="{GAP}" y="22">{html.escape(title)}</text>']
    for number, (name, unit, fields) in enumerate(PANELS):
        x = GAP + number % across * (WIDTH + 2 * GAP)
        y = HEAD + 24 + number // across * (HEIGHT + 66)
        out.append(f'<g transform="translate({x},{y})">{panel(rows, name, unit, fields)}</g>')
    path.write_text("\n".join([*out, "</svg>"]) + "\n")
