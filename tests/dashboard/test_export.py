from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from app.queue.outcome import failed
from app.queue.submission import NewJob

Submit = Callable[..., int]


def rows(http: FlaskClient, query: str = "") -> list[dict[str, str]]:
    response = http.get(f"/dashboard/export.csv{query}")
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.data.decode("utf-8"), newline="")))


def lines(http: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    response = http.get(f"/dashboard/export.jsonl{query}")
    assert response.status_code == 200
    return [json.loads(line) for line in response.text.splitlines()]


def fill(queue: JobQueue, count: int, **fields: Any) -> None:
    queue.submit_many([NewJob("web_noop", **fields) for _ in range(count)])


def walked(inspector: Inspector, query: JobQuery | None = None) -> list[int]:
    return [job.id for jobs in inspector.walk(query or JobQuery()) for job in jobs]


def test_both_forms_have_every_job_once_oldest_first(http: FlaskClient, queue: JobQueue) -> None:
    fill(queue, 650)

    assert [int(row["id"]) for row in rows(http)] == list(range(1, 651))
    assert [line["id"] for line in lines(http)] == list(range(1, 651))


def test_jobs_of_many_buckets_come_in_order_of_their_ids(
    queue: JobQueue, inspector: Inspector
) -> None:
    for number in range(12):
        fill(queue, 60, tags=(f"t{number % 3}",))
        for job in queue.claim("w", 25):
            outcome = failed(job, "No", retry_in_ms=0 if job.id % 2 else None)
            queue.turn("w", [outcome], 0)

    assert walked(inspector) == list(range(1, 721))
    for status in Status:
        total = inspector.page(JobQuery(status=status)).total
        found = walked(inspector, JobQuery(status=status))
        assert len(found) == total and found == sorted(set(found))


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 400])
def test_a_tag_or_search_is_exported_whole(http: FlaskClient, queue: JobQueue, count: int) -> None:
    fill(queue, count, tags=("shop",), title="Your Invoice", people=("ada@example.com",))
    fill(queue, 30, title="Other", people=("bob@example.org", "carl@example.org"))

    for query in (
        "?tag=shop",
        "?q=%23shop",
        "?q=your+inv",
        "?q=ada@example.com",
        "?q=@example.com",
    ):
        assert len(rows(http, query)) == count
    assert len(rows(http, "?q=@example.org")) == 30  # each once, though two people match
    assert len(rows(http, "?tag=shop&status=pending&q=your")) == count


def test_filters_are_those_of_the_table(http: FlaskClient, queue: JobQueue) -> None:
    fill(queue, 3)
    queue.cancel(2)

    assert [row["id"] for row in rows(http, "?status=cancelled")] == ["2"]
    assert [row["id"] for row in rows(http, "?q=3")] == ["3"]
    assert http.get("/dashboard/export.csv?status=done").status_code == 400
    assert http.get("/dashboard/export.jsonl?endpoint=x").status_code == 400


def test_the_page_of_jobs_links_to_the_export_of_its_filter(
    http: FlaskClient, queue: JobQueue
) -> None:
    fill(queue, 1, tags=("shop",))

    page = http.get("/dashboard?tag=shop&sort=status&page=3&limit=25").text

    assert 'href="/dashboard/export.csv?tag=shop"' in page
    assert 'href="/dashboard/export.jsonl?tag=shop"' in page


def test_times_are_iso_in_csv_and_seconds_in_json(http: FlaskClient, submit: Submit) -> None:
    submit()

    [row], [line] = rows(http), lines(http)

    assert row["created_at"].endswith("Z") and "T" in row["created_at"]
    assert row["picked_at"] == ""
    assert isinstance(line["created_at"], float)
    assert line["picked_at"] is None


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
def test_no_cell_is_a_formula(http: FlaskClient, queue: JobQueue, start: str) -> None:
    fill(queue, 1, title=f"{start}cmd|' /C calc'!A0", people=(f"{start}x@example.com",))

    [row] = rows(http)

    assert row["title"].startswith(f"'{start}")
    assert row["people"].startswith(f"'{start}")
    assert lines(http)[0]["title"].startswith(start)


def test_text_stays_text(http: FlaskClient, queue: JobQueue) -> None:
    title = 'Grüße, "漢字"; <b>'
    fill(queue, 1, title=title, tags=("a", "b"))

    [row], [line] = rows(http), lines(http)

    assert row["title"] == line["title"] == title
    assert row["tags"] == "a, b"
    assert line["tags"] == ["a", "b"]


def test_an_empty_export_has_the_header_row(http: FlaskClient) -> None:
    response = http.get("/dashboard/export.csv")

    assert response.text.startswith("id,job_type,priority,status,created_at,")
    assert response.text.count("\n") == 1
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="jobs.csv"'
    assert http.get("/dashboard/export.jsonl").text == ""


def test_the_export_is_streamed_page_by_page(
    http: FlaskClient, queue: JobQueue, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(queue, 450)
    asked: list[str] = []
    real = inspector._scripts.call
    monkeypatch.setattr(
        inspector._scripts, "call", lambda name, *args: (asked.append(name), real(name, *args))[1]
    )

    with http.get("/dashboard/export.csv", buffered=False) as response:
        pieces = iter(response.response)
        next(pieces)
        after_the_first = asked.count("range")
        rest = sum(1 for _ in pieces)

    assert after_the_first < asked.count("range")
    assert rest >= 2


def test_the_embedded_server_walks_the_same_way(client: redis.Redis) -> None:
    queue, inspector = JobQueue(client), Inspector(client)
    fill(queue, 700)
    for job in queue.claim("w", 250):
        queue.turn("w", [failed(job, "No", retry_in_ms=None if job.id % 3 else 60_000)], 0)

    assert walked(inspector) == list(range(1, 701))
    for status in Status:
        query = JobQuery(status=status)
        found = walked(inspector, query)
        assert len(found) == inspector.page(query).total and found == sorted(set(found))


def test_ids_of_deleted_jobs_are_passed_over(queue: JobQueue, inspector: Inspector) -> None:
    fill(queue, 900)
    gone = set(range(5, 850)) | {900}
    for job_id in gone:
        queue.delete(job_id)
    fill(queue, 210)

    assert walked(inspector) == sorted(set(range(1, 1111)) - gone)


def test_a_job_that_stays_is_not_lost_when_others_leave_or_come(
    queue: JobQueue, inspector: Inspector
) -> None:
    fill(queue, 600)
    found: list[Job] = []

    for jobs in inspector.walk(JobQuery(status=Status.PENDING)):
        found += jobs
        last_id = jobs[-1].id
        for job_id in range(max(1, last_id - 150), last_id):  # those already given leave
            if job_id % 2:
                queue.cancel(job_id)
        fill(queue, 50)  # and new ones come

    ids = [job.id for job in found]
    assert ids == list(range(1, 601))


def test_redis_away_at_the_beginning_is_503(
    http: FlaskClient, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(inspector._client, "execute_command", away)

    assert http.get("/dashboard/export.csv").status_code == 503
