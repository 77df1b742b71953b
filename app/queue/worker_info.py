"""What workers say of themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from app.queue.keys import Keys

WORKER_ALIVE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker last said of itself. Times are seconds since the epoch."""

    name: str
    last_seen_at: float
    details: dict[str, Any] = field(default_factory=dict)  # host, pid, version, concurrency, …

    @property
    def patience_seconds(self) -> float:
        """How long it may say nothing. One with a long lease speaks seldom: two of its own
        heartbeats are no silence."""
        said = self.details.get("heartbeat_seconds")  # which may be anything
        heartbeat = said if isinstance(said, int | float) else 0.0
        return max(WORKER_ALIVE_SECONDS, 2 * heartbeat)

    def is_alive(self, now: float) -> bool:
        """Whether it spoke lately. `now` in seconds since the epoch."""
        return now - self.last_seen_at <= self.patience_seconds


def workers_since(client: Any, keys: Keys, since_ms: int) -> list[WorkerInfo]:
    """Workers that said something since then, by name."""
    seen = client.zrangebyscore(keys.workers, since_ms, "+inf", withscores=True)
    names = [name for name, _ in seen]
    said = client.mget([keys.worker(name) for name in names]) if names else []
    # A worker that ended in order, or was silent for long, has no details left.
    found = [
        WorkerInfo(name, seen_ms / 1000, json.loads(details))
        for (name, seen_ms), details in zip(seen, said, strict=True)
        if details is not None
    ]
    return sorted(found, key=lambda worker: worker.name)


def alive_main_workers(workers: list[WorkerInfo], now_ms: int) -> list[WorkerInfo]:
    return [w for w in workers if w.details.get("role") == "main" and w.is_alive(now_ms / 1000)]


def open_breakers(workers: list[WorkerInfo]) -> list[dict[str, Any]]:
    return [
        {"worker": worker.name, **breaker}
        for worker in workers
        if isinstance(breaker := worker.details.get("breaker"), dict)
    ]
