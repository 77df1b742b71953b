"""The performance page and its chart are made from the results, by one command."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.peers import drain
from benchmarks.peers.results import PATH, Results
from tools.performance import CHART, PAGE, blocks, replaced
from tools.performance_chart import chart


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results(tmp_path / "results.json")
    made.facts = {
        "parts": {drain.PART: {"measured": "2026-01-31", "commit": "1dfd10c"}},
        "machine": {
            "processor": "a processor",
            "cores": 2,
            "memory_gib": 24,
            "kernel": "6.1",
            "python": "3.11.7",
        },
        "versions": {"server": "Valkey 9.1.2", "bullmq": "6.7.0"},
    }
    for figure in (30_000, 20_000, 10_000):
        made.note(drain.PART, drain.CASES[1], "Mailroom", "jobs/s", figure)
    made.note(drain.PART, drain.CASES[1], "BullMQ", "jobs/s", 10_000)
    return made


def test_the_page_has_a_place_for_everything(results: Results) -> None:
    text = PAGE.read_text(encoding="utf-8")

    for name, made in blocks(results).items():
        text = replaced(text, name, made)

    assert "a processor" in text
    assert "(performance.svg)" in text
    assert "| one worker process | Mailroom | 20,000 jobs/s | 10,000 – 30,000 |  |" in text
    assert "| one worker process | BullMQ | 10,000 jobs/s | 10,000 – 10,000 | 2.00 × |" in text
    assert "| drain, to BullMQ | ≥ 1.5 × | 2.00 × | met |" in text


def test_the_page_and_its_chart_are_those_of_the_results() -> None:
    kept = Results(PATH)
    text = PAGE.read_text(encoding="utf-8")

    for name, made in blocks(kept).items():
        assert replaced(text, name, made) == text

    assert CHART.read_text(encoding="utf-8") == chart(kept)


def test_the_page_says_when_and_on_which_code_each_part_was_measured(results: Results) -> None:
    assert "Measured on 2026-01-31 (1dfd10c); rounds" in blocks(results)["machine"]

    results.facts["parts"]["wait"] = {"measured": "2026-02-01", "commit": ""}

    said = blocks(results)["machine"]
    assert "2026-01-31 (1dfd10c) (drain), 2026-02-01 (wait)" in said


def test_a_place_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="0 places for 'drain'"):
        replaced("nothing", "drain", "something")


def test_the_chart_is_an_image_for_light_and_dark(results: Results) -> None:
    text = chart(results)

    assert "prefers-color-scheme: dark" in text
    names = [element.text for element in ElementTree.fromstring(text).iter() if element.text]
    assert {"Mailroom", "BullMQ", "20,000"} <= set(names)
