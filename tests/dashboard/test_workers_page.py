from __future__ import annotations

import time
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from app.dashboard.presence import Presence, alive_main_workers
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.worker_info import WorkerInfo
from tests.dashboard.hostile import HOSTILE

NOW = 1_750_000_000.0


def main(**details: Any) -> dict[str, Any]:
    return {
        "role": "main",
        "host": "mail-1",
        "pid": 4120,
        "version": "0.1.0",
        "heartbeat_seconds": 15,
        "concurrency": 16,
        "busy": 0,
    } | details


def seen(seconds_ago: float, **details: Any) -> Presence:
    return Presence(WorkerInfo("w1", NOW - seconds_ago, main(**details)), NOW)


@pytest.mark.parametrize(
    ("seconds_ago", "heartbeat_seconds", "silent"),
    [(30, 15, False), (31, 15, True), (119, 60, False), (121, 60, True), (31, None, True)],
)
def test_a_worker_is_silent_after_30_s_or_two_of_its_heartbeats(
    seconds_ago: float, heartbeat_seconds: float | None, silent: bool
) -> None:
    assert seen(seconds_ago, heartbeat_seconds=heartbeat_seconds).is_silent is silent


def test_a_worker_that_speaks_but_takes_none_of_the_waiting_jobs_is_noticed() -> None:
    stuck = seen(1, claimed_at=NOW - 60)

    assert stuck.claims_nothing(jobs_wait=True)
    assert not stuck.claims_nothing(jobs_wait=False)
    assert not seen(1, claimed_at=NOW - 60, busy=16).claims_nothing(jobs_wait=True)
    assert not seen(1, claimed_at=NOW - 20).claims_nothing(jobs_wait=True)


def test_only_main_workers_that_speak_run_jobs() -> None:
    workers = [
        WorkerInfo("main", NOW - 1, main()),
        WorkerInfo("silent", NOW - 40, main()),
        WorkerInfo("retry", NOW - 1, {"role": "retry"}),
    ]

    assert [worker.name for worker in alive_main_workers(workers, NOW)] == ["main"]


@pytest.mark.parametrize("odd", ["x", None, [], {}, True, -1])
def test_what_a_worker_says_may_be_anything(odd: Any) -> None:
    fields = ("heartbeat_seconds", "concurrency", "busy", "claimed_at", "started_at", "jobs")
    presence = seen(1, **dict.fromkeys(fields, odd))

    assert presence.jobs == []
    assert presence.slots <= 0


def test_without_workers_the_page_says_how_to_start_one(http: FlaskClient) -> None:
    page = http.get("/dashboard/workers").text

    assert "No worker is alive" in page
    assert "python -m workers.main_worker" in page


def test_workers_are_shown_with_what_they_hold(http: FlaskClient, queue: JobQueue) -> None:
    job_id = queue.submit("web_noop")
    [job] = queue.claim("w1")
    jobs = [{"id": job_id, "job_type": "web_noop", "picked_at": job.picked_at}]
    queue.renew("w1", [job], main(busy=1, jobs=jobs, claimed_at=job.picked_at))

    page = http.get("/dashboard/workers").text

    for text in ("mail-1", "pid 4120", "1 of 16", "Working", "0.1.0", f"/dashboard/jobs/{job_id}"):
        assert text in page
    assert "No retry worker is alive" in page


def test_retry_workers_have_their_own_table(http: FlaskClient, queue: JobQueue) -> None:
    queue.renew("w1", [], main())
    queue.renew("r1", [], {"role": "retry", "host": "mail-9", "heartbeat_seconds": 15})

    page = http.get("/dashboard/workers").text

    assert page.index("mail-1") < page.index("Retry worker") < page.index("mail-9")
    assert "No retry worker is alive" not in page


def test_a_pause_shows_at_each_worker(http: FlaskClient, queue: JobQueue) -> None:
    queue.renew("w1", [], main())
    queue.pause()

    assert "Paused" in http.get("/dashboard/workers").text


def test_page_and_partial_show_the_same_workers(http: FlaskClient, queue: JobQueue) -> None:
    queue.renew("w1", [], main(host="mail-7"))

    page = http.get("/dashboard/workers").text
    partial = http.get("/dashboard/partials/workers").text

    assert 'id="workers"' in partial
    assert "mail-7" in page and "mail-7" in partial


def test_a_silent_worker_is_not_said_to_be_busy_and_a_dead_one_steps_aside(
    http: FlaskClient, queue: JobQueue, fake_client: redis.Redis
) -> None:
    now_ms = int(time.time() * 1000)
    for name, silent_seconds in (("quiet", 60), ("gone", 130)):
        queue.renew(name, [], main(host=name, busy=16, jobs=[{"id": 1, "job_type": "noop"}]))
        fake_client.zadd(Keys().workers, {name: now_ms - silent_seconds * 1000})

    page = http.get("/dashboard/workers").text
    table, dead = page.split('<details class="dead">')

    assert "16 of 16" not in page
    assert "0 main workers alive · 0 of 0 slots busy" in page
    assert "quiet" in table and "not known" in table and "when it last spoke:" in table
    assert "1 dead worker" in dead and "gone" in dead


def test_many_jobs_in_hand_are_counted(http: FlaskClient, queue: JobQueue) -> None:
    jobs = [{"id": number, "job_type": "web_noop"} for number in range(1, 151)]
    queue.renew("w1", [], main(busy=150, jobs=jobs))

    assert "and 134 more" in http.get("/dashboard/workers").text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_of_a_worker_shows_as_text(
    http: FlaskClient, queue: JobQueue, text: str
) -> None:
    jobs = [{"id": 1, "job_type": text}]
    queue.renew(text, [], main(host=text, pid=text, version=text, jobs=jobs))

    page = http.get("/dashboard/workers").text.split("<main", 1)[1]

    for raw in ("<script>alert", "<img src=x", "<svg/onload", "<!--", "1234321"):
        assert raw not in page
    assert not set("\u202e\u200b\ufeff\x07\x1b") & set(page)
