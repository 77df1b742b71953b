"""Charts as SVG paths, in a box `WIDTH` by `HEIGHT` whose y axis points down.

All coordinates are whole numbers, and those of lines relative: every page of jobs carries hundreds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

WIDTH = 600
HEIGHT = 112
_TOP = 4  # room for half the stroke of a line at the maximum
_GAP = 0.25  # between bars, as a share of their step
_LEAST = 2  # what happened once among thousands must still be seen


def stacked_bars(layers: Sequence[Sequence[float]]) -> list[str]:
    """One path for each layer, the first at the bottom; "" for a layer of zeros.

    They are strokes, `bar_width` wide: half as long as outlines would be.
    """
    columns = list(zip(*layers, strict=True))
    highest = max(map(sum, columns), default=0)
    if not highest:
        return ["" for _ in layers]
    step = WIDTH / len(columns)
    paths: list[list[str]] = [[] for _ in layers]
    for index, column in enumerate(columns):
        below = 0.0
        for path, value in zip(paths, column, strict=True):
            if value:
                foot, head = _y(below, highest), _y(below + value, highest)
                x = round((index + 0.5) * step)
                path.append(f"M{x} {foot}V{min(head, foot - _LEAST)}")
            below += value
    return ["".join(path) for path in paths]


def bar_width(count: int) -> int:
    return max(1, round(WIDTH / max(1, count) * (1 - _GAP)))


def line(values: Sequence[float | None], highest: float) -> str:
    """A line through the middle of each step; where there is no value, it has a gap."""
    step = WIDTH / max(1, len(values))
    return "".join(
        _run(
            [
                (round((start + at + 0.5) * step), _y(value, highest))
                for at, value in enumerate(run)
            ],
            round(step),
        )
        for start, run in _runs(values)
    )


def maximum(*series: Iterable[float | None]) -> float:
    """The largest value, 0 when there is none."""
    return max((value for values in series for value in values if value is not None), default=0)


def _runs(values: Sequence[float | None]) -> Iterator[tuple[int, list[float]]]:
    """Stretches without a gap, each with its first index."""
    run: list[float] = []
    for index, value in enumerate([*values, None]):
        if value is not None:
            run.append(value)
        elif run:
            yield index - len(run), run
            run = []


def _run(points: list[tuple[int, int]], step: int) -> str:
    (x, y), *others = points
    if not others:  # a point has no length: draw it as wide as its step
        return f"M{x - step // 2} {y}h{step}"
    moves = []
    for next_x, next_y in others:
        moves.append(f"{next_x - x}{next_y - y:+d}".replace("+", " "))
        x, y = next_x, next_y
    return f"M{points[0][0]} {points[0][1]}l{' '.join(moves)}"


def _y(value: float, highest: float) -> int:
    return round(HEIGHT - value / highest * (HEIGHT - _TOP)) if highest else HEIGHT
