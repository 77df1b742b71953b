"""The soak tests: each scenario has a short form for every run and a long one for `-m soak`.

`python -m tests.soak` runs the long ones and prints the table. SOAK_SEED repeats a run's choices.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.soak.judge import HEADER, Verdict, check
from tests.soak.system import seed


@pytest.fixture
def soak_seed() -> int:
    return seed()


@pytest.fixture
def rng(soak_seed: int) -> random.Random:
    print(f"SOAK_SEED={soak_seed}")
    return random.Random(soak_seed)


@pytest.fixture
def judge(record_property: Callable[[str, object], None]) -> Callable[[Verdict], Verdict]:
    """Puts a verdict into the table, and checks what holds in every scenario."""

    def put(verdict: Verdict) -> Verdict:
        record_property("verdict", str(verdict))
        return check(verdict)

    return put


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Puts a line with more figures below the table."""

    def put(text: str) -> None:
        print(text)
        record_property("note", text)

    return put


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = [
        (name, f"{value} | {outcome}" if name == "verdict" else str(value))
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call"
        for name, value in report.user_properties
    ]
    if told:
        terminalreporter.section("soak")
        terminalreporter.write_line(HEADER)
        for wanted in ("verdict", "note"):
            for line in [line for name, line in told if name == wanted]:
                terminalreporter.write_line(line)
