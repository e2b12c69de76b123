"""The drawing area of a chart as SVG: four steps of its left axis, and lines over time."""

import math


def rounded_up(value, base=10, steps=(1, 2, 4, 6, 8)):
    """The next of `steps` times a power of `base`."""
    if value <= 0:
        return 1
    power = base ** math.floor(math.log(value, base))
    return next((step * power for step in steps if step * power >= value), base * power)


class Plot:
    """Edges in points; `highest` is the value at the upper one."""

    def __init__(self, left, top, right, bottom, highest):
        self.left, self.top, self.right, self.bottom = left, top, right, bottom
        self.highest = highest

    def y(self, value):
        return self.bottom - (self.bottom - self.top) * min(1, value / self.highest)

    def grid(self, shown, stroke):
        """`shown`: the text of a value."""
        out = []
        for step in range(5):
            value = self.highest * step / 4
            y = self.y(value)
            out.append(f'<line x1="{self.left}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}" '
                       f'stroke="{stroke}"/><text x="{self.left - 6}" y="{y + 4:.1f}" '
                       f'text-anchor="end">{shown(value)}</text>')
        return "".join(out)

    def line(self, points, colour, width):
        """`points`: (share of the width, value)."""
        spots = " ".join(f"{self.left + (self.right - self.left) * share:.1f},{self.y(value):.1f}"
                         for share, value in points)
        return (f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" '
                f'points="{spots}"/>')
