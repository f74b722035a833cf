"""Charts as inline SVG: lines, and points with their front; colours and text follow the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TypeVar

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 30, 36  # the title of the values stands above them
Name = TypeVar('Name')
COLOURS = 8  # classes c0 to c7 of the page's style
TICKS = 4
Points = Sequence[tuple[float, float]]


class Axes:
    """Where values are in a chart.

    Args:
        points: all that is shown.
        x_title, y_title: of the axes.
    """

    def __init__(self, points: Points, x_title: str, y_title: str) -> None:
        self.titles = x_title, y_title
        self.x = span([x for x, _ in points])
        self.y = span([y for _, y in points])

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        return (
            LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (y - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM),
        )

    def draw(self) -> str:
        """The lines, ticks and titles."""
        parts = []
        for tick in ticks(*self.y):
            _, y = self.place(self.x[0], tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        for tick in ticks(*self.x):
            x, _ = self.place(tick, self.y[0])
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
        x_title, y_title = map(escape, self.titles)
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{x_title}</text>')
        parts.append(f'<text x="{LEFT + 4}" y="{TOP - 16}">{y_title}</text>')
        return ''.join(parts)


def span(values: Sequence[float]) -> tuple[float, float]:
    """A range that holds all values with some room, and is not empty."""
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def ticks(low: float, high: float) -> list[float]:
    """Some round numbers in a range."""
    rough = (high - low) / TICKS
    unit = 10 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= rough)
    return [round(step * index, 12) for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def figure(title: str, content: str) -> str:
    """A chart with its caption."""
    image = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{content}</svg>'
    return f'<figure>{image}<figcaption>{escape(title)}</figcaption></figure>'


def line_chart(title: str, curves: Mapping[str, Points], x_title: str) -> str:
    """Curves in one chart; empty text where no value is finite.

    Args:
        title: of the chart and its axis of values.
        curves: name -> its points; those that are not finite are left out.
        x_title: of the other axis.
    """
    finite = {name: [point for point in points if all(map(math.isfinite, point))] for name, points in curves.items()}
    drawn = {name: points for name, points in finite.items() if points}
    if not drawn:
        return ''
    axes = Axes([point for points in drawn.values() for point in points], x_title, title)
    parts = [axes.draw()]
    for number, (name, points) in enumerate(drawn.items()):
        colour = f'c{number % COLOURS}'
        path = ' '.join('{:.1f},{:.1f}'.format(*axes.place(*point)) for point in points)
        end = f'{name}: {points[-1][1]:g}'
        if len(points) > 1:
            parts.append(f'<polyline class="curve {colour}" points="{path}"><title>{escape(end)}</title></polyline>')
        x, y = axes.place(*points[-1])
        parts.append(f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(end)}</title></circle>')
    return figure(title, ''.join(parts)) + (legend(list(drawn)) if len(drawn) > 1 else '')


def legend(names: Sequence[str]) -> str:
    """Names beside their colours."""
    entries = (f'<li><span class="c{number % COLOURS}"></span>{escape(name)}</li>' for number, name in enumerate(names))
    return f'<ul class="legend">{"".join(entries)}</ul>'


def front(points: Mapping[Name, tuple[float, float]]) -> list[Name]:
    """Names of those that no other beats: none costs at most as much and scores at least as much.

    Args:
        points: name -> (cost, score).

    Returns:
        cheapest first.
    """
    best, found = -math.inf, []
    for name, (_, score) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if score > best:
            found.append(name)
            best = score
    return found


def front_chart(title: str, points: Mapping[str, tuple[float, float]], x_title: str, y_title: str) -> str:
    """Scores over costs, with the front as a line.

    Args:
        title: of the chart.
        points: name -> (cost, score).
        x_title, y_title: of the axes.
    """
    axes = Axes(list(points.values()), x_title, y_title)
    best = front(points)
    path = ' '.join('{:.1f},{:.1f}'.format(*axes.place(*points[name])) for name in best)
    parts = [axes.draw(), f'<polyline class="curve front" points="{path}"/>']
    for name, point in points.items():
        x, y = axes.place(*point)
        anchor = 'end' if x > WIDTH / 2 else 'start'
        shift = -7 if anchor == 'end' else 7
        parts.append(
            f'<circle class="{"c0" if name in best else "off"}" cx="{x:.1f}" cy="{y:.1f}" r="4">'
            f'<title>{escape(f"{name}: {point[1]:g} for {point[0]:g}")}</title></circle>'
            f'<text x="{x + shift:.1f}" y="{y - 6:.1f}" text-anchor="{anchor}">{escape(name)}</text>'
        )
    return figure(title, ''.join(parts))
