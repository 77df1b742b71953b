"""Workers as people see them: alive or silent, busy or idle, claiming or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.queue.worker_info import WorkerInfo

DEAD_AFTER_PATIENCES = 4


@dataclass(frozen=True, slots=True)
class JobInHand:
    id: int
    job_type: str
    picked_at: float | None


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """Why a worker sends no mail, and when it tries the server again (seconds since the epoch)."""

    reason: str
    next_probe_at: float | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """One worker at the moment `now`. Times are seconds since the epoch.

    What a worker says of itself is not trusted to have any field or type.
    """

    info: WorkerInfo
    now: float

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def is_main(self) -> bool:
        return self.info.details.get("role") == "main"

    @property
    def host(self) -> str:
        return str(self.info.details.get("host", "?"))

    @property
    def pid(self) -> str:
        return str(self.info.details.get("pid", "?"))

    @property
    def version(self) -> str:
        return str(self.info.details.get("version", "?"))

    @property
    def slots(self) -> int:
        return int(_number(self.info.details.get("concurrency")) or 0)

    @property
    def busy(self) -> int:
        return int(_number(self.info.details.get("busy")) or 0)

    @property
    def started_at(self) -> float | None:
        return _number(self.info.details.get("started_at"))

    @property
    def claimed_at(self) -> float | None:
        return _number(self.info.details.get("claimed_at"))

    @property
    def jobs(self) -> list[JobInHand]:
        """The oldest first."""
        said = self.info.details.get("jobs")
        found = [
            JobInHand(entry["id"], str(entry.get("job_type", "")), _number(entry.get("picked_at")))
            for entry in (said if isinstance(said, list) else [])
            if isinstance(entry, dict) and isinstance(entry.get("id"), int)
        ]
        return sorted(found, key=lambda job: (job.picked_at or self.now, job.id))

    @property
    def is_silent(self) -> bool:
        return not self.info.is_alive(self.now)

    @property
    def breaker(self) -> OpenBreaker | None:
        said = self.info.details.get("breaker")
        if not isinstance(said, dict):
            return None
        return OpenBreaker(str(said.get("reason", "")), _number(said.get("next_probe_at")))

    @property
    def is_dead(self) -> bool:
        """Silent for so long that its jobs were given to others: a lease is four heartbeats."""
        return self.now - self.info.last_seen_at > DEAD_AFTER_PATIENCES * self.info.patience_seconds

    def claims_nothing(self, *, jobs_wait: bool) -> bool:
        """Whether it speaks, but had free slots and took none of the waiting jobs."""
        if not (self.is_main and jobs_wait and self.busy < self.slots) or self.is_silent:
            return False
        since = self.claimed_at or self.started_at or self.now
        return self.info.last_seen_at - since > self.info.patience_seconds


def alive_main_workers(workers: list[WorkerInfo], now: float) -> list[Presence]:
    """Those that run jobs."""
    presences = [Presence(worker, now) for worker in workers]
    return [presence for presence in presences if presence.is_main and not presence.is_silent]


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
