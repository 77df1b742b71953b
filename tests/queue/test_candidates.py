"""Looking at the candidates of a tag or search: in steps, up to a bound, while jobs change."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from app.queue.candidates import Candidates
from app.queue.inspector import SORTS, Inspector, JobQuery
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.listing import LOOK_MAX, Source
from app.queue.submission import NewJob
from tests.queue.listing_reference import cut, matching, sort
from tests.queue.listing_store import mixed, write

LOOK = 60


@pytest.fixture
def inspector(store: redis.Redis, source: Callable[[str], str]) -> Inspector:
    return Inspector(store, source=source)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.queue.candidates.STEP", 7)


@pytest.fixture
def between_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Has something happen after each step; it is told how many there were."""

    def install(happen: Callable[[int], None]) -> None:
        steps_of = Candidates._steps

        def steps_with_changes(*args: Any) -> Iterator[list[int]]:
            for number, step in enumerate(steps_of(*args), 1):
                yield step
                happen(number)

        monkeypatch.setattr(Candidates, "_steps", steps_with_changes)

    return install


def test_the_newest_of_a_tag_equal_the_brute_force_page(
    store: redis.Redis, inspector: Inspector
) -> None:
    records = list(mixed(random.Random(3), 400))
    write(store, Keys(), records)
    by_tag = [matching(records, JobQuery(tag=tag)) for tag in ("welcome", "invoice")]
    newest = min(by_tag, key=len)[-LOOK:]

    for by in SORTS:
        for descending in (False, True):
            for page in (1, 2):
                query = JobQuery(
                    **{"tag": "welcome", "q": "#invoice", "sort": by, "descending": descending},
                    **{"page": page, "limit": 10, "look": LOOK},
                )
                ordered = sort(matching(newest, query), by, descending)
                found = inspector.page(query)
                assert ([job.id for job in found.jobs], found.total) == cut(ordered, query), query
                assert (found.complete, found.looked_at) == (False, LOOK)


def test_what_passes_in_all_is_found_whatever_leads_to_it(
    store: redis.Redis, inspector: Inspector
) -> None:
    records = list(mixed(random.Random(4), 400))
    write(store, Keys(), records)

    for q in ("welcome", "ÜBERSICHT", "ann@example.com", "@example.com", "#invoice"):
        for status in (None, Status.FAILED):
            for tag in (None, "rare", "acme"):
                query = JobQuery(q=q, tag=tag, status=status, sort="picked_at", limit=200)
                ordered = sort(matching(records, query), "picked_at", True)
                page = inspector.page(query)
                assert ([job.id for job in page.jobs], page.total) == cut(ordered, query), query
                assert page.complete


def test_few_jobs_of_a_status_are_all_looked_at_however_many_have_the_tag(
    queue: JobQueue, inspector: Inspector
) -> None:
    queue.submit_many([NewJob("noop", tags=("t",))] * 50)
    held = queue.claim("w1", count=3)
    queue.submit_many([NewJob("noop", tags=("t",))] * 50)

    page = inspector.page(JobQuery(tag="t", status=Status.PROCESSING, look=10))
    waiting = inspector.page(JobQuery(tag="t", status=Status.PENDING, look=10))

    assert sorted(job.id for job in page.jobs) == sorted(job.id for job in held)
    assert page.complete
    assert (waiting.complete, waiting.candidates, waiting.source) == (
        False,
        97,
        Source("filter", ""),
    )
    assert [job.id for job in waiting.jobs] == list(range(100, 90, -1))


@pytest.mark.parametrize("fields", [{"tag": "t"}, {"q": "@b.c"}, {"q": "hello"}])
def test_jobs_deleted_while_it_looks_take_no_others_with_them(
    queue: JobQueue,
    inspector: Inspector,
    between_steps: Callable[[Callable[[int], None]], None],
    fields: dict[str, str],
) -> None:
    queue.submit_many([NewJob("noop", title="Hello", people=("a@b.c",), tags=("t",))] * 40)
    gone = [40, 39, 34, 33, 28, 2]  # seen already, the last one seen, to be seen

    between_steps(lambda steps: queue.delete(gone[steps - 1]) if steps <= len(gone) else None)
    page = inspector.page(JobQuery(**fields, sort="retry_count", limit=200))

    assert [job.id for job in page.jobs] == [i for i in range(40, 0, -1) if i not in gone]


def test_a_job_that_matches_all_the_time_is_found_whatever_its_status(
    queue: JobQueue,
    inspector: Inspector,
    between_steps: Callable[[Callable[[int], None]], None],
) -> None:
    queue.submit_many([NewJob("noop", tags=("t",)), NewJob("other", tags=("t",))] * 20)

    between_steps(lambda _: [queue.complete(job) for job in queue.claim("w1", count=5)] and None)
    page = inspector.page(JobQuery(tag="t", job_type="noop", limit=200))

    assert [job.id for job in page.jobs] == list(range(39, 0, -2))


def test_a_bound_of_exactly_all_candidates_is_complete(
    queue: JobQueue, inspector: Inspector
) -> None:
    queue.submit_many([NewJob("noop", tags=("t",))] * 14)

    assert inspector.page(JobQuery(tag="t", sort="status", look=14)).complete
    assert not inspector.page(JobQuery(tag="t", sort="status", look=13)).complete


@pytest.mark.parametrize("look", [0, -1, LOOK_MAX + 1])
def test_a_bound_that_is_out_of_bounds_is_refused(look: int) -> None:
    with pytest.raises(ValueError, match=f"look: must be from 1 to {LOOK_MAX}"):
        JobQuery(look=look)
