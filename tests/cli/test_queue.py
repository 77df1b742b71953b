"""`flask queue pause|resume|stats|repair`"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import redis
from flask import Flask

from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.queue.inspector import Inspector
from app.queue.jobqueue import JobQueue
from tests.cli.conftest import Run
from tests.queue.invariants import check

Audited = Callable[[], list[tuple[str, str]]]


def test_pause_and_resume_say_whether_they_changed_something(
    flask: Run, queue: JobQueue, audited: Audited
) -> None:
    queue.submit("web_noop")

    assert flask("queue", "pause").stdout == "The queue is paused.\n"
    assert flask("queue", "pause").stdout == "The queue was paused already.\n"
    assert queue.claim("w1", 1) == []
    assert json.loads(flask("queue", "resume", "--json").stdout) == {
        "paused": False,
        "changed": True,
    }
    assert flask("queue", "resume").stdout == "The queue was not paused.\n"
    assert len(queue.claim("w1", 1)) == 1
    assert audited() == [("pause", "the queue"), ("resume", "the queue")]


def test_stats_tell_how_the_queue_is(
    flask: Run, app: Flask, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit("web_noop")
    queue.pause()
    # What the last minute counted, and how long the oldest waits, must not differ from one to the
    # next.
    now_ms = int(queue.now() * 1000)
    monkeypatch.setattr(Inspector, "_now_ms", lambda _inspector: now_ms)

    result = flask("queue", "stats")
    answer = json.loads(flask("queue", "stats", "--json").stdout)

    assert result.exit_code == 0
    rows = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    assert (rows["paused"].strip(), rows["pending"].strip()) == ("yes", "1")
    assert answer == app.test_client().get("/api/stats").get_json()["data"]


def test_a_sound_store_needs_no_repair(flask: Run, queue: JobQueue, audited: Audited) -> None:
    queue.submit("web_noop")

    result = flask("queue", "repair")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "The store is sound: nothing was found.\n"
    assert audited() == []


def test_repair_says_loudly_what_it_mended_and_ends_with_1(
    flask: Run, queue: JobQueue, client: redis.Redis, audited: Audited
) -> None:
    for _ in range(3):
        queue.submit("web_noop")
    client.zrem("Mail_queue", "1")
    client.hset("Job_map", "2", "no \x1b[2J JSON")
    client.zadd("Processing", {"77\x1b[2J": 1})

    dry = flask("queue", "repair", "--dry-run")
    assert client.zscore("Mail_queue", "1") is None
    result = flask("queue", "repair")

    assert (dry.exit_code, result.exit_code) == (1, 1)
    head, *lines, foot = result.stdout.splitlines()
    assert head == foot
    assert "THE STORE WAS DAMAGED: 3 found. MENDED" in head
    assert "NOTHING WAS CHANGED" in dry.stdout
    assert sorted(lines) == sorted(dry.stdout.splitlines()[1:-1])
    assert "\x1b" not in result.stdout
    check(client)
    assert flask("queue", "repair").exit_code == 0
    assert audited() == [("repair", "the queue: 3 found")]


def test_repair_in_json(flask: Run, queue: JobQueue, client: redis.Redis) -> None:
    queue.submit("web_noop")
    client.zrem("Mail_queue", "1")

    result = flask("queue", "repair", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "found": 1,
        "dry_run": False,
        "lines": ["job 1: was missing in Mail_queue"],
    }


@pytest.mark.parametrize("words", [("queue", "pause"), ("jobs", "retry", "1")])
def test_what_was_done_stands_when_the_audit_log_cannot_be_written(
    flask: Run,
    app: Flask,
    queue: JobQueue,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    queue.submit("web_noop")
    queue.cancel(1)

    def away(*_: object) -> None:
        raise QueueUnavailable("gone")

    monkeypatch.setattr(app.extensions["audit"], "write", away)
    result = flask(*words)

    assert result.exit_code == 0
    assert "Done, but not in the audit log" in result.stderr


def test_a_store_of_a_newer_version_is_refused(flask: Run, client: redis.Redis) -> None:
    client.hset("Meta", "schema", 99)

    for words in (("jobs", "list"), ("queue", "pause"), ("jobs", "delete", "--all", "--yes")):
        result = flask(*words)
        assert result.exit_code == 3
        assert "written by a newer version" in result.stderr


def test_upgrade_says_whether_there_was_something_to_do(
    flask: Run, queue: JobQueue, monkeypatch: pytest.MonkeyPatch, audited: Audited
) -> None:
    assert flask("queue", "upgrade").stdout == "The store needs no upgrade.\n"

    monkeypatch.setattr(queue, "upgrade", lambda: [2])
    assert json.loads(flask("queue", "upgrade", "--json").stdout)["passed"] == [2]
    assert audited() == [("upgrade", "the store, to schema 2")]

    def refused() -> None:
        raise ServerUnsuitable("2 workers spoke to this store")

    monkeypatch.setattr(queue, "upgrade", refused)
    result = flask("queue", "upgrade")
    assert (result.exit_code, result.stderr) == (1, "2 workers spoke to this store\n")
