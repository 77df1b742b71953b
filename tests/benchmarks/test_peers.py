"""The benchmarks' own parts run: with our product alone, tiny counts, and nothing installed."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.drain import bare_loops
from benchmarks.peers import common, drain, durations, growth, memory, submit, wait
from benchmarks.peers.__main__ import QUICK, main, parse_arguments
from benchmarks.peers.arena import OURS, arena
from benchmarks.peers.goals import GOALS, Goal, Held, held
from benchmarks.peers.plan import Plan
from benchmarks.peers.results import PATH, Results
from benchmarks.web import BARE, gunicorn, load

TINY = Plan(others=(), share=0.005)


def test_a_worker_drains_what_was_filled() -> None:
    with arena(OURS) as one:
        assert drain.drained(one, 40, processes=2) > 0

        assert one.client.zcard(drain.COMPLETED) == 40


def test_each_job_says_when_it_was_submitted_and_when_it_began() -> None:
    with arena(OURS) as one, one.workers(1, 4):
        one.open_gate()
        one.pace(10, 2)
        marks = one.wait_for_marks(10)

    assert len(marks) == 10
    assert all(submitted < began for submitted, began in marks)


def test_threads_that_begin_at_once_write_into_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "FOLDER", tmp_path)
    monkeypatch.setattr(common, "_of_this_process", None)
    threads = [
        threading.Thread(target=common.begin, args=({"at": "1.5", "ms": 0},)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [path] = tmp_path.glob("marks-*")
    marks = [mark for mark in common.MARK.iter_unpack(path.read_bytes()) if mark[1]]
    assert [submitted for submitted, _ in marks] == [1.5] * 16


def test_a_peer_that_fails_does_not_end_the_run_but_ours_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with arena(replace(OURS, name="A peer")):
        raise OSError("no more")

    assert "A peer failed and is left out of this round: no more" in capsys.readouterr().out
    with pytest.raises(OSError, match="no more"), arena(OURS):
        raise OSError("no more")


def test_payloads_have_200_bytes() -> None:
    assert len(common.payload()) == len(common.payload(100.0)) == common.PAYLOAD_BYTES


def test_the_load_is_answered(tmp_path: Path) -> None:
    with arena(OURS) as one, gunicorn(BARE, one.url, tmp_path) as (port, _pid):
        served = load(port, "/bare", b'{"a": 1}', tmp_path, connections=2, seconds=0.5)

    assert served.requests > 0
    assert 0 < served.p50_ms <= served.p99_ms


def test_an_idle_worker_says_little() -> None:
    with arena(OURS) as one, one.workers(1, 4):
        one.open_gate()
        with wait.Commands(one.url) as commands:
            one.fill(1)
            one.wait_for_marks(1)

    # At least to submit, to claim and to complete.
    assert commands.count >= 3


def test_the_share_of_the_ideal_is_1_when_every_job_begins_when_another_ends() -> None:
    waves = [float(wave) for wave in range(3) for _ in range(durations.CONCURRENCY)]

    assert durations.share(waves, 1000.0) == pytest.approx(1.0)


def test_every_part_notes_what_its_goals_ask_for(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = Results(path)
    drain.measure(TINY, results)
    memory.measure(TINY, results)
    results.save()

    read = Results(path)

    reached = {one.goal.part: one.reached for one in held(read) if not _is_of_a_peer(one.goal)}
    assert reached[drain.PART] is not None
    assert reached[memory.PART] is not None
    assert reached[submit.PART] is None


@pytest.mark.parametrize(
    ("goal", "reached", "is_met"),
    [
        (Goal("", "", "", 2), 2.0, True),
        (Goal("", "", "", 2), 1.9, False),
        (Goal("", "", "", 2, "≤"), 2.0, True),
        (Goal("", "", "", 2, "≤"), 2.1, False),
        (Goal("", "", "", 2), None, False),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal, reached: float | None, is_met: bool) -> None:
    assert Held(goal, reached).is_met is is_met


def test_less_than_all_is_not_kept_with_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    def kept_in(*arguments: str) -> Path:
        monkeypatch.setattr("sys.argv", ["peers", *arguments])
        return parse_arguments().results

    assert kept_in("--rounds", "2") == PATH
    assert kept_in("--quick") == kept_in("--share", "0.5") == QUICK
    assert kept_in("--quick", "--results", "mine.json") == Path("mine.json")


def test_growth_is_measured_with_other_jobs_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "STORES", (40_000,))
    results = Results(tmp_path / "results.json")

    growth.measure(TINY, results)

    figures = {row.case: row.median for row in results.rows}
    assert {row.who for row in results.rows} == {"40,000 others"}
    assert figures[growth.DRAIN] > 0
    assert all(figures[case] > 0 for case in growth.PAGES_OF)


def test_two_bare_loops_share_what_waits() -> None:
    with arena(OURS) as one:
        one.fill(400)

        assert bare_loops(one.url, 2) > 0

        assert one.client.zcard(drain.COMPLETED) == 400


def test_an_unknown_part_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["peers", "--only", "drain,sleep"])

    with pytest.raises(SystemExit):
        main()

    assert "sleep: not among drain" in capsys.readouterr().err


def _is_of_a_peer(goal: Goal) -> bool:
    return goal.to not in ((), (drain.LIMIT,), (submit.LIMIT,))


def test_goals_have_names_of_their_own() -> None:
    assert len({goal.words for goal in GOALS}) == len(GOALS)
