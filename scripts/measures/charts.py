"""Charts of docs/benchmarks.md as SVG text: bars side by side, and lines over time.

One colour a side, the same everywhere; readable on a light and on a dark page.
"""

import math
from xml.sax.saxutils import escape

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


def _rounded(most):
    """The next of 1, 2, 4, 6, 8 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1
    return next((power * step for step in (1, 2, 4, 6, 8) if power * step >= most), power * 10)


def _axis(most):
    """Four steps of the left axis, and the height of a value in points above the lower edge."""
    room = HEIGHT - BOTTOM - TOP
    body = ""
    for step in range(5):
        y = HEIGHT - BOTTOM - room * step / 4
        number = most * step / 4
        text = f"{number:,.0f}" if most >= 10 else f"{number:.2f}"
        body += (f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ccc"/>'
                 f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return body, lambda value: room * value / most


def bars(title, names, sides):
    """`sides`: side -> one value for each of `names`."""
    most = max((value for values in sides.values() for value in values), default=0) or 1
    body, height = _axis(_rounded(most))
    sides = {side: values for side, values in sides.items() if values}
    each = (WIDTH - LEFT - 20) / len(names)
    width = each * 0.8 / max(1, len(sides))
    for s, (side, values) in enumerate(sides.items()):
        for i, value in enumerate(values):
            x = LEFT + each * (i + 0.1) + width * s
            body += (f'<rect x="{x:.1f}" y="{HEIGHT - BOTTOM - height(value):.1f}" '
                     f'width="{width:.1f}" height="{height(value):.1f}" fill="{COLOURS[side]}"/>')
    for i, name in enumerate(names):
        body += (f'<text x="{LEFT + each * (i + 0.5):.1f}" y="{HEIGHT - 18}" '
                 f'text-anchor="middle">{escape(name)}</text>')
    return _frame(title, sides, body)


def lines(title, sides):
    """`sides`: side -> points (seconds, value)."""
    points = [point for series in sides.values() for point in series]
    most = max((value for _, value in points), default=0) or 1
    last = max((second for second, _ in points), default=0) or 1
    body, height = _axis(_rounded(most))
    for side, series in sides.items():
        path = " ".join(f"{LEFT + (WIDTH - LEFT - 20) * second / last:.1f},"
                        f"{HEIGHT - BOTTOM - height(value):.1f}" for second, value in series)
        body += f'<polyline points="{path}" fill="none" stroke="{COLOURS[side]}" stroke-width="2"/>'
    body += f'<text x="{WIDTH - 20}" y="{HEIGHT - 18}" text-anchor="end">{last:.0f} s</text>'
    return _frame(title, sides, body)
