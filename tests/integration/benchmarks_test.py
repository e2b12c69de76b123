"""scripts/benchmarks.py: what it measures stands on the page, with charts that a browser reads."""

import subprocess
import sys
from xml.etree import ElementTree

from conftest import ROOT, SLOWDOWN

sys.path.insert(0, str(ROOT / "scripts"))
from measures.charts import bars, lines  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def test_a_short_run_writes_the_page_and_its_charts(tmp_path):
    done = subprocess.run(
        [ROOT / "scripts" / "benchmarks.py", "--only", "hot,zset", "--seconds", "1", "--scale",
         "0.01", "--dir", tmp_path, "--out", tmp_path / "docs"],
        capture_output=True, text=True, check=False, timeout=120 * SLOWDOWN)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "docs" / "benchmarks.md").read_text()
    for text in ("# Benchmarks", "## hot", "## zset", "* client: ", "* server: valkey ",
                 "--type zset --elements 100", "| flash, reads | ", "| native, writes | "):
        assert text in page, text
    assert str(tmp_path) not in page
    for name in ("benchmarks", "benchmarks-hot", "benchmarks-zset"):
        assert f"images/{name}.svg" in page
        assert ElementTree.parse(tmp_path / "docs" / "images" / f"{name}.svg").getroot().tag \
            == f"{SVG}svg"
    assert [path.name for path in tmp_path.iterdir()] == ["docs"]  # Nothing else is left behind.


def test_bars_are_as_high_as_their_values():
    chart = ElementTree.fromstring(bars("a & b", ["one", "two"],
                                        {"flash": [100, 50], "native": [200, 0]}))
    heights = [float(bar.get("height")) for bar in chart.iter(f"{SVG}rect")
               if bar.get("fill") in ("#d9480f", "#1971c2") and float(bar.get("y")) > 40]
    flash, half, native, nothing = heights
    assert half == flash / 2 and native == flash * 2 and nothing == 0


def test_lines_begin_and_end_where_their_points_do():
    chart = ElementTree.fromstring(lines("t", {"flash": [(0, 0), (10, 4)], "native": []}))
    first, _ = (line.get("points").split() if line.get("points") else None
                for line in chart.iter(f"{SVG}polyline"))
    (x0, y0), (x1, y1) = (map(float, point.split(",")) for point in first)
    assert x1 > x0 and y0 > y1  # SVG counts from the top.
