"""Writes the tables and the chart of docs/performance.md from `benchmarks/results.json`.

python -m tools.performance
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers import drain, durations, growth, memory, submit, wait
from benchmarks.peers.goals import US, Held, held
from benchmarks.peers.results import PATH, Results, Row, shown
from tools.performance_chart import chart

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"

IMAGE = (
    "![Bars: jobs a second drained and submitted, waiting, and memory, for Mailroom and six other "
    "queues](performance.svg)"
)

PARTS = (drain, submit, wait, memory, durations, growth)


def main() -> None:
    results = Results(PATH)
    text = PAGE.read_text(encoding="utf-8")
    for name, made in blocks(results).items():
        text = replaced(text, name, made)
    PAGE.write_text(text, encoding="utf-8")
    CHART.write_text(chart(results), encoding="utf-8")


def blocks(results: Results) -> dict[str, str]:
    """What stands between `<!-- name -->` and `<!-- end -->`, by name."""
    made = {"chart": IMAGE, "machine": machine(results), "goals": goals(held(results))}
    for part in PARTS:
        made[part.PART] = table([row for row in results.rows if row.part == part.PART])
    return made


def replaced(text: str, name: str, made: str) -> str:
    """Raises ValueError when the page has no such place."""
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    found, places = place.subn(lambda match: f"{match[1]}{made}\n{match[2]}", text)
    if places != 1:
        raise ValueError(f"docs/performance.md has {places} places for {name!r}")
    return found


def machine(results: Results) -> str:
    facts, versions = results.facts["machine"], results.facts["versions"]
    of_peers = ", ".join(f"{name} {version}" for name, version in versions.items())
    rounds = " to ".join(map(str, sorted({len(row.figures) for row in results.rows})))
    return (
        f"Measured on {_when(results)}; rounds: {rounds}; "
        f"{facts['cores']} cores of {facts['processor']}, {facts['memory_gib']} GiB, "
        f"Linux {facts['kernel']}, Python {facts['python']}; {of_peers}."
    )


def _when(results: Results) -> str:
    """When, and on which commit; by part, where they differ."""
    parts: dict[str, list[str]] = {}
    for part, fact in results.facts["parts"].items():
        commit = f" ({fact['commit']})" if fact["commit"] else ""
        parts.setdefault(fact["measured"] + commit, []).append(part)
    if len(parts) == 1:
        return next(iter(parts))
    return ", ".join(f"{when} ({' and '.join(names)})" for when, names in parts.items())


def goals(every: list[Held]) -> str:
    lines = ["| goal | wanted | reached | |", "| --- | --- | --- | --- |"]
    for one in every:
        if one.reached is None:
            reached, verdict = "not measured", ""
        else:
            reached = shown(one.reached) + (" ×" if one.goal.to else "")
            verdict = "met" if one.is_met else "**missed**"
        lines.append(f"| {one.goal.words} | {one.goal.wanted} | {reached} | {verdict} |")
    return "\n".join(lines)


def table(rows: list[Row]) -> str:
    """Median, range, and how ours stands to it: the ratio of the medians."""
    lines = ["| what | who | median | range | ours ÷ this |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        low, high = shown(min(row.figures)), shown(max(row.figures))
        lines.append(
            f"| {row.case} | {row.who} | {shown(row.median)} {row.unit} | {low} – {high} | "
            f"{_ratio(row, rows)} |"
        )
    return "\n".join(lines)


def _ratio(row: Row, rows: list[Row]) -> str:
    ours = next(_ours(row, rows), None)
    if ours is None or ours is row or not row.median:
        return ""
    return f"{ours.median / row.median:.2f} ×"


def _ours(row: Row, rows: list[Row]) -> Iterator[Row]:
    return (one for one in rows if one.case == row.case and one.who == US)


if __name__ == "__main__":
    main()
