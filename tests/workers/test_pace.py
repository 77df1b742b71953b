"""A job type keeps to its rate, over all workers, and holds no other up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from app.jobs import GiveBack, UnknownJobType, job_type
from app.jobs import registry as job_types
from app.queue.job import Job, Status
from app.queue.submission import NewJob
from tests.workers.crews import make_job
from tests.workers.processes import RETRY, SETTINGS, System, done_by_the_end_of
from workers.pace import wait_for_turn

RATE = 20  # of the job type "limited"
# Of two workers: so many jobs may a busy machine hold up between their turn and their run, so that
# they run together. The turns themselves are exact: tests/queue/test_take.py.
SLOTS = 2 * int(SETTINGS["WORKER_CONCURRENCY"])


@pytest.fixture
def a_limited_type(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(job_types, "_job_types", dict(job_types._job_types))
    job_type("five_a_second", rate="5/s")(run)
    job_type("free")(run)
    return "five_a_second"


def run(_job: Job) -> None:
    pass


class Asked:
    """Stands for `Asking.take`."""

    def __init__(self, wait_ms: int = 0) -> None:
        self.wait_ms = wait_ms
        self.calls: list[tuple[int, dict[str, float]]] = []

    def __call__(self, job_id: int, intervals_ms: Mapping[str, float]) -> int:
        self.calls.append((job_id, dict(intervals_ms)))
        return self.wait_ms


def test_who_comes_too_early_is_given_back_until_its_turn(a_limited_type: str) -> None:
    asked = Asked(wait_ms=1500)

    with pytest.raises(GiveBack, match="Its turn has not come: five_a_second has") as given_back:
        wait_for_turn(make_job(7, a_limited_type), {}, asked)

    assert given_back.value.delay_seconds == 1.5
    assert asked.calls == [(7, {"type:five_a_second": 200.0})]


def test_who_comes_in_its_turn_goes_on(a_limited_type: str) -> None:
    wait_for_turn(make_job(7, a_limited_type), {}, Asked())


def test_the_setting_goes_before_the_code(a_limited_type: str) -> None:
    asked = Asked()
    wait_for_turn(make_job(7, a_limited_type), {a_limited_type: 50.0}, asked)
    wait_for_turn(make_job(8, "free"), {"free": 0.5}, asked)
    assert asked.calls == [(7, {"type:five_a_second": 20.0}), (8, {"type:free": 2000.0})]


def test_a_job_type_without_a_rate_asks_nobody(a_limited_type: str) -> None:
    asked = Asked(wait_ms=1500)
    wait_for_turn(make_job(7, "free"), {a_limited_type: 1.0}, asked)
    assert asked.calls == []


def test_an_unknown_job_type_is_told_as_ever(a_limited_type: str) -> None:
    with pytest.raises(UnknownJobType):
        wait_for_turn(make_job(7, "elsewhere"), {}, Asked())


def test_a_job_type_with_a_rate_keeps_it_over_all_workers_and_holds_no_other_up(
    system: System,
) -> None:
    system.start_idle(RETRY)
    system.queue.pause()
    for _ in range(2):
        system.start_idle()
    limited = [a.job_id for a in system.queue.submit_many([NewJob("limited", "{}")] * 60)]
    others = [a.job_id for a in system.queue.submit_many([NewJob("noop", "{}")] * 10)]
    system.queue.resume()

    system.wait_for_all(Status.SUCCESS, 70)

    times = sorted(float(system.job(job_id).result) for job_id in limited)
    # In every window: the rate, one more, one late, and those that had their turn before.
    for first in range(60):
        for last in range(first, 60):
            window_seconds = times[last] - times[first]
            assert last - first + 1 <= RATE * window_seconds + 2 + SLOTS
    assert done_by_the_end_of(system, limited, others) < 40, "the others had to wait"
    waited = [job_id for job_id in limited if "released" in system.outcomes(job_id)]
    assert 30 <= len(waited) <= 59
    assert all(system.job(job_id).retry_count == 0 for job_id in limited)
    assert all(system.outcomes(job_id) == ["success"] for job_id in others)


def test_a_rate_set_for_a_job_type_that_nobody_knows_is_told_at_the_start(system: System) -> None:
    worker = system.start(JOB_TYPE_RATE="send_mail=14/s")

    assert worker.exit_code() == 2
    assert worker.log().startswith("JOB_TYPE_RATE: Unknown job type 'send_mail'. Known: ")
