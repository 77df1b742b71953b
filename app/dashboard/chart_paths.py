"""Charts as SVG paths, in a box `WIDTH` by `HEIGHT` whose y axis points down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

WIDTH = 300
HEIGHT = 56
_TOP = 2  # room for half the stroke of a line at the maximum
_GAP = 0.25  # between bars, as a share of their step


def stacked_bars(layers: Sequence[Sequence[float]]) -> list[str]:
    """One path for each layer, the first at the bottom; "" for a layer of zeros."""
    highest = max((sum(column) for column in zip(*layers, strict=True)), default=0)
    if not highest:
        return ["" for _ in layers]
    step = WIDTH / len(layers[0])
    paths: list[list[str]] = [[] for _ in layers]
    for index, column in enumerate(zip(*layers, strict=True)):
        below = 0.0
        for path, value in zip(paths, column, strict=True):
            if value:
                foot, head = _y(below, highest), _y(below + value, highest)
                # What happened once among thousands must still be seen.
                head = min(head, foot - 1)
                path.append(
                    f"M{_n(index * step)} {_n(foot)}V{_n(head)}h{_n(step * (1 - _GAP))}V{_n(foot)}z"
                )
            below += value
    return ["".join(path) for path in paths]


def line(values: Sequence[float | None], highest: float) -> str:
    """A line through the middle of each step; where there is no value, it has a gap."""
    step = WIDTH / max(1, len(values))
    return "".join(
        _run(
            [((start + at + 0.5) * step, _y(value, highest)) for at, value in enumerate(run)], step
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


def _run(points: list[tuple[float, float]], step: float) -> str:
    if len(points) == 1:  # a point has no length: draw it as wide as its step
        [(x, y)] = points
        return f"M{_n(x - step / 2)} {_n(y)}h{_n(step)}"
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _y(value: float, highest: float) -> float:
    return HEIGHT - value / highest * (HEIGHT - _TOP) if highest else float(HEIGHT)


def _n(number: float) -> str:
    """As short as can be: there are hundreds of them on a page."""
    return f"{number:.1f}".removesuffix(".0")
