"""`/metrics` says what the queue says, in Prometheus' format; the alert rules use its names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from app.config import Config
from app.queue.jobqueue import JobQueue
from app.queue.outcome import completed, failed

RULES = Path(__file__).parents[2] / "docs" / "alerts.yml"


@pytest.fixture
def app(config: Config, client: redis.Redis) -> Iterator[Flask]:
    """On the real server: fakeredis doesn't tell its memory."""
    yield create_app(config, client=client)


def scrape(http: FlaskClient) -> dict[str, dict[tuple[str, ...], float]]:
    """Name of the sample → its labels' values → its value."""
    response = http.get("/metrics")
    assert response.status_code == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_jobs_and_totals_are_those_of_the_queue(app: Flask, http: FlaskClient) -> None:
    queue: JobQueue = app.extensions["queue"]
    for _ in range(3):
        queue.submit("web_noop", {})
    first, second = queue.claim("w1", count=2)
    queue.turn("w1", [completed(first), failed(second, "No", retry_in_ms=None)], 0)

    found = scrape(http)

    assert found["mailroom_redis_up"] == {(): 1}
    assert found["mailroom_jobs"][("pending",)] == 1
    assert found["mailroom_jobs"][("success",)] == 1
    assert found["mailroom_jobs"][("permanently_failed",)] == 1
    assert found["mailroom_jobs"][("cancelled",)] == 0
    assert found["mailroom_jobs_submitted_total"] == {("web_noop",): 3}
    assert found["mailroom_jobs_succeeded_total"] == {("web_noop",): 1}
    assert found["mailroom_jobs_permanently_failed_total"] == {("web_noop",): 1}
    assert found["mailroom_job_wait_seconds_count"] == {(): 2}
    assert found["mailroom_job_run_seconds_bucket"][("+Inf",)] == 2
    assert found["mailroom_redis_memory_bytes"][()] > 0


def test_workers_pause_and_breakers_are_gauges(app: Flask, http: FlaskClient) -> None:
    queue: JobQueue = app.extensions["queue"]
    breaker = {"reason": "Refused", "since": 5, "next_probe_at": 35}
    queue.renew("w1", [], {"role": "main", "concurrency": 16, "busy": 5, "breaker": breaker})
    queue.renew("w2", [], {"role": "main", "concurrency": 4, "busy": 1, "breaker": None})
    queue.pause()

    found = scrape(http)

    assert found["mailroom_workers_alive"] == {(): 2}
    assert found["mailroom_worker_slots"] == {(): 20}
    assert found["mailroom_worker_slots_busy"] == {(): 6}
    assert found["mailroom_breakers_open"] == {(): 1}
    assert found["mailroom_queue_paused"] == {(): 1}


def test_the_buckets_of_a_histogram_add_up(app: Flask, http: FlaskClient) -> None:
    queue: JobQueue = app.extensions["queue"]
    for _ in range(20):
        queue.submit("web_noop", {})
    queue.turn("w1", [completed(job) for job in queue.claim("w1", count=20)], 0)

    found = scrape(http)

    buckets = list(found["mailroom_job_run_seconds_bucket"].values())
    assert buckets == sorted(buckets)
    assert buckets[-1] == found["mailroom_job_run_seconds_count"][()] == 20


def test_redis_away_is_told_not_hidden(config: Config, closed_redis: str) -> None:
    http = create_app(replace(config, redis_url=closed_redis)).test_client()

    assert scrape(http) == {"mailroom_redis_up": {(): 0}}


def test_openmetrics_is_answered_where_it_is_asked_for(http: FlaskClient) -> None:
    response = http.get("/metrics", headers={"Accept": "application/openmetrics-text"})

    assert response.content_type.startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


def rules() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_uses_only_what_there_is(
    app: Flask, http: FlaskClient, rule: dict[str, Any]
) -> None:
    app.extensions["queue"].submit("web_noop", {})
    names = set(scrape(http))
    used = set(re.findall(r"mailroom_\w+", rule["expr"]))

    assert used and used <= names
    assert rule["for"] and rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"] and rule["annotations"]["description"]
