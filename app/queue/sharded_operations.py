"""Operations on the jobs of several shards: each shard does its part, under one id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from app.queue.asking import ask
from app.queue.errors import OperationNotFound, QueueError
from app.queue.operations import ACTS_ON, Action, Operation, Operations, Preview
from app.queue.query import JobQuery


class ShardedOperations(Operations):
    """One `Operations` in front of those of all shards, the first of which is home: it gives the
    ids and has the list. What it inherits is made of what it answers itself.

    An operation runs while any part of it does. It counts as stopped when a part was stopped, or
    never began because somebody was killed while starting it; what the others did stands.
    """

    def __init__(self, operations: Sequence[Operations]) -> None:
        self._shards = operations
        self._home = operations[0]

    def preview(self, action: Action, query: JobQuery) -> Preview:
        parts = ask([partial(s.preview, action, query) for s in self._shards])
        return Preview(
            sum(part.total for part in parts),
            sum(part.able for part in parts),
            all(part.complete for part in parts),
        )

    def start(self, action: Action, query: JobQuery, by: str) -> int:
        """As of one shard. When a shard is away, nothing is started; one that goes away just then
        stops the others, and the operation shows as stopped."""
        if action not in ACTS_ON:
            raise ValueError("action: must be one of retry, cancel, delete.")
        totals = ask([partial(s.count, query) for s in self._shards])
        operation_id: int | None = None
        try:
            for shard, total in zip(self._shards, totals, strict=True):
                operation_id = shard.start_part(
                    action,
                    query,
                    by,
                    total=total,
                    parts=len(totals),
                    operation_id=operation_id,
                )
        except QueueError:
            if operation_id is not None:
                self._stop_all(operation_id)
            raise
        return int(operation_id or 0)

    def find(self, operation_ids: Sequence[int]) -> list[Operation | None]:
        parts = ask([partial(s.find, operation_ids) for s in self._shards])
        return [_whole(same) for same in zip(*parts, strict=True)]

    def recent_ids(self, limit: int) -> list[int]:
        return self._home.recent_ids(limit)

    def stop(self, operation_id: int) -> None:
        """Stops every part that can be reached, before it raises for one that can't."""
        failures = self._stop_all(operation_id)
        away = [error for error in failures if not isinstance(error, OperationNotFound)]
        if away:
            raise away[0]
        if len(failures) == len(self._shards):
            raise OperationNotFound(operation_id)

    def _stop_all(self, operation_id: int) -> list[QueueError]:
        failures = []
        for shard in self._shards:
            try:
                shard.stop(operation_id)
            except QueueError as error:
                failures.append(error)
        return failures


def _whole(parts: Sequence[Operation | None]) -> Operation | None:
    """The operation that the shards do together. None when home has none."""
    home = parts[0]
    if home is None:
        return None
    found = [part for part in parts if part]
    begun = [part.status for part in parts[: home.parts] if part]
    status = home.status
    if "running" in begun:
        status = "running"
    elif "stopped" in begun or len(begun) < home.parts:
        status = "stopped"
    ended = [part.finished_at for part in found if part.finished_at is not None]
    return replace(
        home,
        status=status,
        total=sum(part.total for part in found),
        done=sum(part.done for part in found),
        skipped=sum(part.skipped for part in found),
        finished_at=None if status == "running" else max(ended, default=None),
    )
