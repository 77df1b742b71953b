"""The audit log."""

from __future__ import annotations

import pytest
import redis

from app.queue import audit as audit_module
from app.queue.audit import Audit
from app.queue.connection import connect
from app.queue.errors import QueueUnavailable


def test_entries_come_back_newest_first(store: redis.Redis) -> None:
    audit = Audit(store, prefix="p:")
    audit.write("ann", "retry", "job 1")
    audit.write("bob", "delete", "job 2")

    newest, oldest = audit.recent()

    assert (newest.who, newest.action, newest.subject) == ("bob", "delete", "job 2")
    assert (oldest.who, oldest.action, oldest.subject) == ("ann", "retry", "job 1")
    assert newest.at >= oldest.at > 1_700_000_000
    assert audit.recent(limit=1) == [newest]


def test_what_strangers_wrote_is_one_line(store: redis.Redis) -> None:
    audit = Audit(store)
    audit.write("ann\nroot", "retry\0", "\ud800")

    [entry] = audit.recent()

    assert (entry.who, entry.action, entry.subject) == ("ann root", "retry", "")


def test_only_the_newest_entries_are_kept(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "ENTRIES_KEPT", 100)
    audit = Audit(client)
    for n in range(500):
        audit.write("ann", "retry", f"job {n}")

    # Redis trims whole nodes, each of a hundred entries.
    assert 100 <= client.xlen("Audit") <= 300
    assert audit.recent(limit=1)[0].subject == "job 499"


def test_the_audit_log_says_when_redis_is_away() -> None:
    away = Audit(connect("redis://127.0.0.1:1", name="tests", connect_timeout_seconds=0.2))

    with pytest.raises(QueueUnavailable):
        away.write("ann", "retry", "job 1")
    with pytest.raises(QueueUnavailable):
        away.recent()
