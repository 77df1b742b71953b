"""Figures as they are measured, kept in one file: `benchmarks/results.json`."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[1] / "results.json"


@dataclass
class Row:
    """One thing measured once in each round. `case`: what was asked of `who`."""

    part: str
    case: str
    who: str
    unit: str
    figures: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.figures)


class Results:
    """Adds to what the file holds: a part that is measured again replaces what it had."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path
        self.facts: dict[str, Any] = {}
        self.rows: list[Row] = []
        if path.exists():
            read = json.loads(path.read_text())
            self.facts, self.rows = read["facts"], [Row(**row) for row in read["rows"]]

    def begin(self, part: str) -> None:
        """It is measured now, on this code."""
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        self.facts.setdefault("parts", {})[part] = {"measured": today, "commit": commit()}
        self.rows = [row for row in self.rows if row.part != part]

    def note(self, part: str, case: str, who: str, unit: str, figure: float) -> None:
        """One more figure of a row."""
        row = self.find(part, case, who)
        if row is None:
            row = Row(part, case, who, unit)
            self.rows.append(row)
        row.figures.append(round(figure, 4))
        print(f"  {case:<34} {who:<12} {shown(figure):>12} {unit}", flush=True)

    def find(self, part: str, case: str, who: str) -> Row | None:
        wanted = part, case, who
        return next((row for row in self.rows if (row.part, row.case, row.who) == wanted), None)

    def save(self) -> None:
        text = json.dumps(
            {"facts": self.facts, "rows": [asdict(row) for row in self.rows]}, indent=1
        )
        self._path.write_text(text + "\n")


def commit() -> str:
    """Of the working tree; "" outside of one."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, cwd=PATH.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


def shown(figure: float) -> str:
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.2f}"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib / 1024**2),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }
