from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis
from flask.testing import FlaskClient

from app.queue.errors import LeaseLost
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys

Submit = Callable[..., int]


def test_cancelling_a_waiting_job_ends_it(http: FlaskClient, submit: Submit) -> None:
    submit()

    answer = http.post("/api/job/1/cancel").json

    assert (answer["message"], answer["query_id"]) == ("Job cancelled", 1)
    assert answer["data"]["status"] == "cancelled"
    assert answer["data"]["completed_at"] is not None


def test_cancelling_a_processing_job_asks_its_worker(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    submit()
    queue.claim("worker-1")

    response = http.post("/api/job/1/cancel")

    assert response.status_code == 200
    assert response.json["data"]["status"] == "processing"
    assert response.json["data"]["cancel_requested"] is True


def test_a_finished_job_cannot_be_cancelled(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    submit()
    queue.complete(queue.claim("worker-1")[0])

    response = http.post("/api/job/1/cancel")

    assert response.status_code == 409
    assert response.json == {
        "message": "Cannot cancel job 1: it has succeeded.",
        "query_id": None,
        "data": None,
        "errors": {},
    }


def test_a_job_given_up_can_be_retried(http: FlaskClient, queue: JobQueue, submit: Submit) -> None:
    submit()
    queue.fail(queue.claim("worker-1")[0], "550 no such user", retry_in_ms=None)

    answer = http.post("/api/job/1/retry").json

    assert (answer["query_id"], answer["data"]["status"]) == (1, "pending")


def test_a_pending_job_cannot_be_retried(http: FlaskClient, submit: Submit) -> None:
    submit()

    response = http.post("/api/job/1/retry")

    assert response.status_code == 409
    assert response.json["message"] == "Cannot retry job 1: it is pending."


def test_a_deleted_job_is_unknown(http: FlaskClient, submit: Submit) -> None:
    submit()

    response = http.delete("/api/job/1")

    assert response.status_code == 200
    assert response.json == {"message": "Job deleted", "query_id": 1, "data": None}
    assert http.get("/api/job/status/1").status_code == 404


def test_a_processing_job_cannot_be_deleted(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    submit()
    [job] = queue.claim("worker-1")

    response = http.delete("/api/job/1")

    assert response.status_code == 409
    try:
        queue.complete(job)
    except LeaseLost:
        pytest.fail("the refused delete took the job from its worker")


def test_attempts_are_shown_oldest_first(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    submit()
    queue.fail(queue.claim("worker-1")[0], "451 try later", retry_in_ms=60_000, smtp_code=451)
    http.post("/api/job/1/retry")
    queue.complete(queue.claim("worker-2")[0])

    answer = http.get("/api/job/1/attempts").json

    assert (answer["message"], answer["query_id"]) == ("Job logs retrieved successfully", 1)
    first, second = answer["data"]
    assert (first["number"], first["worker"], first["outcome"]) == (1, "worker-1", "failed")
    assert (first["error"], first["smtp_code"]) == ("451 try later", 451)
    assert first["started_at"] <= first["ended_at"] <= second["ended_at"]
    assert (second["worker"], second["outcome"], second["error"]) == ("worker-2", "success", None)


@pytest.mark.parametrize("job_id", ["7", "0", "-1", "abc", "٣", "1.0", "9" * 19, "9" * 5000])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/job/status/{}"),
        ("GET", "/api/job/{}/attempts"),
        ("POST", "/api/job/{}/retry"),
        ("POST", "/api/job/{}/cancel"),
        ("DELETE", "/api/job/{}"),
    ],
)
def test_an_unknown_job_is_not_found(
    http: FlaskClient, method: str, path: str, job_id: str
) -> None:
    response = http.open(path.format(job_id), method=method)

    assert response.status_code == 404
    assert response.json == {
        "message": "Job not found or has no logs",
        "query_id": None,
        "data": None,
        "errors": {},
    }


def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    submit()

    assert http.post("/api/queue/pause").json["data"] == {"paused": True}
    assert http.post("/api/queue/pause").json["message"] == "Queue was paused already"
    assert http.get("/api/stats").json["data"]["paused"] is True
    assert queue.claim("worker-1") == []

    assert http.post("/api/queue/resume").json["data"] == {"paused": False}
    assert [job.id for job in queue.claim("worker-1")] == [1]


def test_stats_count_jobs_by_status(http: FlaskClient, submit: Submit) -> None:
    submit()
    submit(delay_seconds=60)

    data = http.get("/api/stats").json["data"]

    assert (data["counts"]["pending"], data["counts"]["scheduled"], data["total"]) == (1, 1, 2)
    assert data["totals"]["submitted"] == 2


def test_workers_say_who_they_are(http: FlaskClient, queue: JobQueue) -> None:
    queue.renew("worker-1", [], {"host": "mail1", "pid": 7, "role": "main", "name": "x"})

    [worker] = http.get("/api/workers").json["data"]

    assert (worker["name"], worker["host"], worker["pid"]) == ("worker-1", "mail1", 7)
    assert isinstance(worker["last_seen_at"], float)
    assert worker["alive"] is True


def test_a_dead_worker_says_no_more_that_it_is_alive(
    http: FlaskClient, queue: JobQueue, fake_client: redis.Redis
) -> None:
    queue.renew("worker-1", [], {"role": "main", "busy": 16, "alive": True})
    fake_client.zadd(Keys().workers, {"worker-1": int((time.time() - 31) * 1000)})

    [worker] = http.get("/api/workers").json["data"]

    assert (worker["alive"], worker["busy"]) == (False, 16)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_cannot_act(http: FlaskClient, headers: dict[str, str]) -> None:
    response = http.post("/api/queue/pause", headers=headers)

    assert response.status_code == 403
    assert http.get("/api/stats").json["data"]["paused"] is False


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}]
)
def test_programs_and_pages_of_our_own_can_act(http: FlaskClient, headers: dict[str, str]) -> None:
    assert http.post("/api/queue/pause", headers=headers).status_code == 200
