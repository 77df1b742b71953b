"""The chart of docs/performance.md: bars beside each other, as an SVG for light and dark pages."""

from __future__ import annotations

from html import escape

from benchmarks.peers import drain, memory, submit, wait
from benchmarks.peers.goals import US
from benchmarks.peers.results import Results, Row, shown

WIDTH, MARGIN = 760, 16
NAMES_WIDTH, FIGURES_WIDTH = 110, 130
BAR, GAP = 16, 6
TITLE_HEIGHT, PANEL_GAP = 30, 22

# What is measured, and in words which way is better.
PANELS = (
    (drain.PART, drain.CASES[1], "Drain, one worker process: jobs a second (more is better)"),
    (submit.PART, submit.MANY, "Submit many at once: jobs a second (more is better)"),
    (wait.PART, wait.P99, "Submission to start, p99: milliseconds (less is better)"),
    (memory.PART, memory.PENDING, "Memory of a pending job: bytes (less is better)"),
    (wait.PART, wait.RSS, "Memory of an idle worker: MB (less is better)"),
)

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.page { fill: #ffffff }
.bar { fill: #8c959f }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .page { fill: #0d1117 }
  .bar { fill: #6e7681 }
  .ours { fill: #4493f8 }
}"""


def chart(results: Results) -> str:
    """One panel for each of PANELS that was measured."""
    parts, top = [], MARGIN
    for part, case, title in PANELS:
        rows = [row for row in results.rows if (row.part, row.case) == (part, case)]
        if rows:
            parts.append(_panel(rows, title, top))
            top += TITLE_HEIGHT + len(rows) * (BAR + GAP) + PANEL_GAP
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" '
        f'aria-label="Mailroom beside other queues; the figures stand in the tables">\n'
        f"<style>\n{STYLE}\n</style>\n"
        f'<rect class="page" width="{WIDTH}" height="{top}"/>\n{body}\n</svg>\n'
    )


def _panel(rows: list[Row], title: str, top: float) -> str:
    longest = max(row.median for row in rows) or 1.0
    room = WIDTH - 2 * MARGIN - NAMES_WIDTH - FIGURES_WIDTH
    lines = [f'<text class="title" x="{MARGIN}" y="{top + 14}">{escape(title)}</text>']
    for number, row in enumerate(rows):
        y = top + TITLE_HEIGHT + number * (BAR + GAP)
        x = MARGIN + NAMES_WIDTH
        width = max(1.0, room * row.median / longest)
        style = "ours" if row.who == US else "bar"
        lines += [
            f'<text x="{x - 8}" y="{y + 13}" text-anchor="end">{escape(row.who)}</text>',
            f'<rect class="{style}" x="{x}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{x + width + 8:.1f}" y="{y + 13}">{escape(shown(row.median))}</text>',
        ]
    return "\n".join(lines)
