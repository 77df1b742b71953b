"""Writes docs/configuration.md from `sample.env`, which a test holds against `Config`.

python -m tools.configuration
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample.env"
PAGE = ROOT / "docs" / "configuration.md"

HEAD = """\
# Configuration

<!-- Written by `python -m tools.configuration` from sample.env. -->

Every process reads the environment, and `.env` in the folder it starts in for what the environment\
 leaves out. A setting that is left empty has its default. A value that is not allowed stops the \
start with a line that names the setting and what is allowed, all of them at once. A \
name in `.env` that is no setting gets a warning from `make run` and `python -m workers.check`.
"""
TABLE = "| setting | default | |\n| --- | --- | --- |"

_SECTION = re.compile(r"# ── (.+?) ─+")
_SETTING = re.compile(r"# ([A-Z_0-9]+)=(.*)")


def page(sample: str) -> str:
    """The page for the text of a `sample.env`."""
    blocks = [block.splitlines() for block in sample.strip().split("\n\n")]
    parts = [HEAD]
    for lines in blocks[1:]:  # the first says what the file is
        if section := _SECTION.fullmatch(lines[0]):
            parts.append(f"\n## {section[1]}\n\n{TABLE}\n")
        else:
            parts.append(_row(lines))
    return "".join(parts)


def _row(lines: list[str]) -> str:
    settings = [match for line in lines if (match := _SETTING.fullmatch(line))]
    names = ", ".join(f"`{match[1]}`" for match in settings)
    defaults = ", ".join(f"`{match[2]}`" if match[2] else "–" for match in settings)
    comment = " ".join(line.removeprefix("# ") for line in lines[: -len(settings)])
    return f"| {names} | {defaults} | {comment.replace('|', chr(92) + '|')} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(SAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
