"""Charts of docs/benchmarks.md as SVG text: bars side by side, and lines over time.

One colour a side, the same everywhere; readable on a light and on a dark page.
"""

from xml.sax.saxutils import escape

from harness.plot import Plot, rounded_up

COLOURS = {"flash": "#d9480f", "native": "#1971c2"}
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 280, 80, 40, 50


def _frame(title, sides, body):
    legend = "".join(
        f'<rect x="{LEFT + 110 * i}" y="28" width="12" height="12" fill="{COLOURS[side]}"/>'
        f'<text x="{LEFT + 18 + 110 * i}" y="39">{escape(side)}</text>'
        for i, side in enumerate(sides))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" '
            f'fill="#fff"/><text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>'
            f'{legend}{body}</svg>\n')


def _plot(most):
    return Plot(LEFT, TOP, WIDTH - 20, HEIGHT - BOTTOM, rounded_up(most))


def _grid(plot):
    digits = 0 if plot.highest >= 10 else 2
    return plot.grid(lambda value: f"{value:,.{digits}f}", "#ccc")


def bars(title, names, sides):
    """`sides`: side -> one value for each of `names`."""
    most = max((value for values in sides.values() for value in values), default=0) or 1
    plot = _plot(most)
    body = _grid(plot)
    sides = {side: values for side, values in sides.items() if values}
    each = (WIDTH - LEFT - 20) / len(names)
    width = each * 0.8 / max(1, len(sides))
    for s, (side, values) in enumerate(sides.items()):
        for i, value in enumerate(values):
            x = LEFT + each * (i + 0.1) + width * s
            y = plot.y(value)
            body += (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                     f'height="{plot.bottom - y:.1f}" fill="{COLOURS[side]}"/>')
    for i, name in enumerate(names):
        body += (f'<text x="{LEFT + each * (i + 0.5):.1f}" y="{HEIGHT - 18}" '
                 f'text-anchor="middle">{escape(name)}</text>')
    return _frame(title, sides, body)


def lines(title, sides):
    """`sides`: side -> points (seconds, value)."""
    points = [point for series in sides.values() for point in series]
    most = max((value for _, value in points), default=0) or 1
    last = max((second for second, _ in points), default=0) or 1
    plot = _plot(most)
    body = _grid(plot)
    for side, series in sides.items():
        body += plot.line([(second / last, value) for second, value in series], COLOURS[side], 2)
    body += f'<text x="{WIDTH - 20}" y="{HEIGHT - 18}" text-anchor="end">{last:.0f} s</text>'
    return _frame(title, sides, body)
