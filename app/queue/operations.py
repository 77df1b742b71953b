"""Operations: retry, cancel or delete every job that matches a filter, in the background.

They run in chunks, by `JobQueue.operate`, wherever housekeeping is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.errors import OperationNotFound
from app.queue.job import DELETABLE, TRANSITIONS, Priority, Status
from app.queue.jobqueue import new_nonce
from app.queue.keys import Keys
from app.queue.listing import Listing
from app.queue.query import LOOK_MAX, JobQuery
from app.queue.scripts import Scripts, script_source
from app.queue.text import clean_text
from app.queue.upkeep import OPERATION_RETENTION_SECONDS

Action = Literal["retry", "cancel", "delete"]
# In which statuses a job can have it done. The worker of a processing job is asked to cancel it: it
# decides how the job ends.
ACTS_ON: dict[Action, frozenset[Status]] = {
    "retry": TRANSITIONS["retry"][0],
    "cancel": TRANSITIONS["cancel"][0] | {Status.PROCESSING},
    "delete": DELETABLE,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. Times are seconds since the epoch, by the server's clock.

    `total` is how many jobs matched at the beginning; `done` those acted on, `skipped` those whose
    status forbade it. Jobs may come to match, or cease to, while it runs.
    """

    id: int
    action: Action
    query: JobQuery
    by: str
    status: Literal["running", "stopped", "done"]
    total: int
    done: int
    skipped: int
    created_at: float
    finished_at: float | None
    parts: int = 1  # how many shards it was started for


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would find now: `total` jobs match, the status of `able` of them allows it.

    `complete` is False where a tag or search had too many candidates: more may match.
    """

    total: int
    able: int
    complete: bool = True


class Operations:
    """Starts and watches the operations behind one key prefix of one server.

    Every method raises QueueUnavailable when Redis is away.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str = "",
        search: bool = True,
        source: Callable[[str], str] = script_source,
    ) -> None:
        self._keys = Keys(prefix)
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._scripts = Scripts(client, self._keys.jobs, source)
        self._listing = Listing(client, self._keys, self._scripts, search=search)

    def preview(self, action: Action, query: JobQuery) -> Preview:
        """How many jobs match, and how many of them would be acted on. Changes nothing."""
        able, forbidden = ACTS_ON[action], frozenset(Status) - ACTS_ON[action]
        query = replace(query, page=1, limit=1, look=LOOK_MAX)
        found = self._listing.page(query, with_payload=False)
        if query.status:
            return Preview(found.total, found.total * (query.status in able), found.complete)
        # A tag or search looks at every candidate each time, so the shorter list is asked for.
        asked = min(able, forbidden, key=len)
        pages = [
            self._listing.page(replace(query, status=s), with_payload=False) for s in sorted(asked)
        ]
        counted = min(found.total, sum(page.total for page in pages))
        return Preview(
            found.total,
            counted if asked is able else found.total - counted,
            found.complete and all(page.complete for page in pages),
        )

    def start(self, action: Action, query: JobQuery, by: str) -> int:
        """Starts an operation on the jobs that match and are there now; returns its id.

        It goes from the newest job to the oldest (by a domain or title: in order of those), and
        acts on each that matches when it is reached. Sort and page of `query` don't matter.
        """
        if action not in ACTS_ON:
            raise ValueError("action: must be one of retry, cancel, delete.")
        return self.start_part(action, query, by, total=self.count(query))

    def count(self, query: JobQuery) -> int:
        """How many jobs match now, as an operation tells it."""
        return self._listing.page(replace(query, look=LOOK_MAX), with_payload=False).total

    def start_part(
        self,
        action: Action,
        query: JobQuery,
        by: str,
        *,
        total: int,
        parts: int = 1,
        operation_id: int | None = None,
    ) -> int:
        """Starts it in one of `parts` shards, under the id that the first of them gave; returns
        that. No effect where it was started already."""
        answer = self._scripts.call(
            "start_operation",
            new_nonce(),
            action,
            json.dumps(query.filters),
            json.dumps(_conditions(query)),
            clean_text(by),
            total,
            parts,
            operation_id or "",
        )
        return int(answer)

    def get(self, operation_id: int) -> Operation:
        """Raises OperationNotFound: it never existed, or ended more than a week ago."""
        [found] = self.find([operation_id])
        if found is None:
            raise OperationNotFound(operation_id)
        return found

    def stop(self, operation_id: int) -> None:
        """Nothing more is done from now on; what was done stands. No effect on a finished one.

        Raises OperationNotFound.
        """
        if not self._scripts.call("stop_operation", operation_id, OPERATION_RETENTION_SECONDS):
            raise OperationNotFound(operation_id)

    def recent(self, limit: int = 20) -> list[Operation]:
        """Newest first; those that ended more than a week ago are forgotten."""
        return [found for found in self.find(self.recent_ids(limit)) if found]

    def recent_ids(self, limit: int) -> list[int]:
        """The ids of the last that were started, newest first."""
        with unavailable_as_queue_error():
            ids = self._client.zrange(self._keys.operations, 0, limit - 1, desc=True)
        return list(map(int, ids))

    def find(self, operation_ids: Sequence[int]) -> list[Operation | None]:
        """The operations of these ids, None for those that are not there."""
        with unavailable_as_queue_error(), self._client.pipeline(False) as pipe:
            for operation_id in operation_ids:
                pipe.hgetall(self._keys.operation(operation_id))
            found = pipe.execute() if operation_ids else []
        return [
            _operation_from_fields(operation_id, fields) if fields else None
            for operation_id, fields in zip(operation_ids, found, strict=True)
        ]


def _conditions(query: JobQuery) -> dict[str, Any]:
    """The query as the script takes it."""
    return {
        "status": query.status or "",
        "job_type": query.job_type or "",
        "priority": query.priority or "",
        "tags": sorted(query.all_tags),
        "find": query.find_prefix or "",
        "id": "" if query.job_id is None else str(query.job_id),
    }


def _operation_from_fields(operation_id: int, fields: dict[str, str]) -> Operation:
    filters: dict[str, Any] = json.loads(fields["query"])
    if "status" in filters:
        filters["status"] = Status(filters["status"])
    if "priority" in filters:
        filters["priority"] = Priority(filters["priority"])
    finished_ms = fields.get("finished_at")
    read: Any = fields
    return Operation(
        id=operation_id,
        action=read["action"],
        query=JobQuery(**filters),
        by=read["by"],
        status=read["status"],
        total=int(read["total"]),
        done=int(read["done"]),
        skipped=int(read["skipped"]),
        created_at=int(read["created_at"]) / 1000,
        finished_at=None if finished_ms is None else int(finished_ms) / 1000,
        parts=int(fields.get("parts", 1)),
    )
