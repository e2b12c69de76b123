"""A picture of the dashboard's panels, drawn from their own queries.

Grafana is not in Debian, so this is not Grafana's picture: the same queries, titles, units, legends
and places, as SVG in a page that headless Chromium photographs.
"""

import html
import math
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.plot import Plot, rounded_up

UNIT_WIDTH, UNIT_HEIGHT, COLUMNS = 60, 30, 24
COLOURS = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0",
           "#508642", "#cca300", "#447ebc", "#c15c17"]
STYLE = """body{margin:0;background:#111217;color:#ccccdc;font:12px sans-serif}
.panel{position:absolute;background:#181b1f;border:1px solid #2c3235;border-radius:3px;
box-sizing:border-box;padding:6px 8px;overflow:hidden}
h2{font-size:13px;margin:0 0 4px;font-weight:600}
.big{font-size:34px;text-align:center;padding-top:12px}
.legend{font-size:10.5px;line-height:13px}
.legend i{display:inline-block;width:10px;height:3px;margin:0 4px 3px 8px}
text{fill:#9fa7b3;font:10px sans-serif}"""


def shown(value, unit):
    """A number as Grafana would shorten it."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    names, base = {
        "bytes": (["B", "KiB", "MiB", "GiB", "TiB"], 1024),
        "Bps": (["B/s", "kB/s", "MB/s", "GB/s"], 1000),
        "µs": (["µs", "ms", "s"], 1000),
        "ops": (["/s", "k/s", "M/s"], 1000)}.get(unit, (["", " k", " M", " G"], 1000))
    step = 0
    while abs(value) >= base and step + 1 < len(names):
        value, step = value / base, step + 1
    return f"{value:.3g} {names[step]}".strip()


def legend_of(target, labels):
    text = target["legendFormat"]
    for name, value in labels.items():
        text = text.replace("{{%s}}" % name, value)
    return text


def chart(lines, unit, width, height, seconds, from_start=False):
    """SVG of [(legend, [(time, value)])]; times end now, or are marked from their start."""
    left, bottom = 62, 16
    base, steps = (1024, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)) if unit == "bytes" else (
        10, (1, 2, 4, 8))
    highest = rounded_up(max((v for _, points in lines for _, v in points), default=1), base, steps)
    plot = Plot(left, 5, width, height - bottom, highest)
    last = max((t for _, points in lines for t, _ in points), default=0)
    out = [f'<svg width="{width}" height="{height}">',
           plot.grid(lambda value: shown(value, unit), "#2c3235")]
    for i in range(1, 5):
        x = left + (width - left) * i / 5
        mark = f"{round(seconds * i / 5)} s" if from_start else f"−{round(seconds * (1 - i / 5))} s"
        out.append(f'<text x="{x}" y="{height - 2}" text-anchor="middle">{mark}</text>')
    for number, (_, points) in enumerate(lines):
        out.append(plot.line([(1 - (last - t) / seconds, v) for t, v in points],
                             COLOURS[number % len(COLOURS)], 1.5))
    return "".join(out) + "</svg>"


def panel_body(prometheus, panel, instance, seconds, width, height):
    defaults = panel["fieldConfig"]["defaults"]
    lines = []
    for target in panel["targets"]:
        query = target["expr"].replace("$instance", instance)
        for row in prometheus.range(query, seconds, max(1, seconds // 150)):
            points = [(t, float(v)) for t, v in row["values"] if math.isfinite(float(v))]
            if points:
                lines.append((legend_of(target, row["metric"]), points))
    if panel["type"] == "stat":
        value = lines[0][1][-1][1] if lines else float("nan")
        names = {key: entry["text"] for mapping in defaults["mappings"]
                 for key, entry in mapping["options"].items()}
        steps = defaults["thresholds"]["steps"]
        named = [s["color"] for s in steps if s["value"] is None or value >= s["value"]][-1]
        colour = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c"}.get(named, "#5794f2")
        text = names.get(f"{value:.0f}", shown(value, defaults["unit"]))
        return f'<div class="big" style="color:{colour}">{html.escape(text)}</div>'
    if len(lines) > 8:  # By cause: those that move.
        lines = [line for line in lines if max(v for _, v in line[1]) > 0]
    legend = "".join(f'<i style="background:{COLOURS[i % len(COLOURS)]}"></i>{html.escape(name)}'
                     for i, (name, _) in enumerate(lines))
    return (chart(lines, defaults["unit"], width - 18, height - 66, seconds)
            + f'<div class="legend">{legend}</div>')


def page(prometheus, panels, instance, seconds):
    out = [f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>"]
    for panel in panels:
        place = panel["gridPos"]
        width, height = place["w"] * UNIT_WIDTH - 6, place["h"] * UNIT_HEIGHT - 6
        out.append(
            f'<div class="panel" style="left:{place["x"] * UNIT_WIDTH + 3}px;'
            f'top:{place["y"] * UNIT_HEIGHT + 3}px;width:{width}px;height:{height}px">'
            f'<h2>{html.escape(panel["title"])}</h2>'
            f'{panel_body(prometheus, panel, instance, seconds, width, height)}</div>')
    return "\n".join(out)


def photograph(page_file, picture, width, height):
    """Headless Chromium; returns when the picture is there."""
    browser = shutil.which("chromium")
    assert browser, "chromium is missing"
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu",
                        f"--user-data-dir={profile}", f"--window-size={width},{height}",
                        f"--screenshot={Path(picture).resolve()}", f"file://{page_file.resolve()}"],
                       check=True, timeout=300, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    assert Path(picture).stat().st_size > 10_000


def draw(prometheus, panels, instance, seconds, picture):
    with tempfile.TemporaryDirectory() as folder:
        page_file = Path(folder) / "dashboard.html"
        page_file.write_text(page(prometheus, panels, instance, seconds))
        bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
        photograph(page_file, picture, COLUMNS * UNIT_WIDTH, bottom * UNIT_HEIGHT)
