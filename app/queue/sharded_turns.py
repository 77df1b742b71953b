"""A worker's round trips where there are several shards: each outcome and lease at its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

from app.queue.answers import Renewal, Turn
from app.queue.errors import QueueUnavailable
from app.queue.job import Job
from app.queue.outcome import Outcome
from app.queue.shards import Shards


class ShardedTurns:
    """`turn` and `renew` of `ShardedJobQueue`, which says what they answer."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._unanswered: dict[tuple[str, int], str] = {}  # worker, shard → the nonce of a claim

    def turn(
        self,
        worker: str,
        outcomes: Sequence[Outcome],
        wanted: int,
        nonce: str,
        *,
        first: int | None = None,
    ) -> Turn:
        layout = self._shards.layout
        at_shard: dict[int, list[int]] = {}
        for at, outcome in enumerate(outcomes):
            at_shard.setdefault(self._shards.number_of(outcome.job_id), []).append(at)
        turn = Turn(["away"] * len(outcomes), era=layout.era.mark)
        answers: list[Turn] = []
        error: QueueUnavailable | None = None
        # The nonce decides, so that the same call again asks in the same order.
        start = crc32(nonce.encode()) if first is None else first
        for number in ((start + i) % layout.shards for i in range(layout.shards)):
            mine = at_shard.get(number, [])
            room = 0 if turn.jobs else max(0, wanted)
            if not (mine or room):
                continue
            try:
                answer = self._at(number, worker, [outcomes[at] for at in mine], room, nonce)
            except QueueUnavailable as found:
                error = found
                continue
            answers.append(answer)
            turn.jobs.extend(answer.jobs)
            for at, verdict in zip(mine, answer.verdicts, strict=True):
                turn.verdicts[at] = verdict
            if number == 0:
                turn = replace(turn, era=answer.era)
        if error and not answers:
            raise error
        return replace(
            turn,
            paused=any(answer.paused for answer in answers),
            housekeeping_due=any(answer.housekeeping_due for answer in answers),
        )

    def renew(
        self,
        worker: str,
        jobs: Sequence[Job],
        presence: dict[str, Any] | None = None,
        *,
        sending: bool = False,
        report: bool = True,
    ) -> Renewal:
        at_shard: dict[int, list[Job]] = {}
        for job in jobs:
            at_shard.setdefault(self._shards.number_of(job.id), []).append(job)
        answers: list[Renewal] = []
        error: QueueUnavailable | None = None
        for number in range(self._shards.layout.shards):
            mine, said = at_shard.get(number, []), report and number == 0
            try:
                with self._shards.asking(number) as queue:
                    answers.append(
                        queue.renew(worker, mine, presence, sending=sending, report=said)
                    )
            except QueueUnavailable as found:
                error = found
        if error and not answers:
            raise error
        return Renewal(
            [job_id for answer in answers for job_id in answer.ok],
            [job_id for answer in answers for job_id in answer.cancel],
            [job_id for answer in answers for job_id in answer.lost],
            any(answer.housekeeping_due for answer in answers),
            any(answer.work_waits for answer in answers),
            answers[0].era,
            incomplete=error is not None,
        )

    def _at(self, number: int, worker: str, outcomes: list[Outcome], room: int, nonce: str) -> Turn:
        earlier = self._unanswered.get((worker, number)) if room else None
        try:
            with self._shards.asking(number) as queue:
                answer = queue.turn(worker, outcomes, room, nonce=earlier or nonce)
        except QueueUnavailable:
            if room:
                # The claim may have been made; with the same nonce it gives the same jobs.
                self._unanswered[worker, number] = earlier or nonce
            raise
        if earlier:
            del self._unanswered[worker, number]
        self._shards.found([job.id for job in answer.jobs], number)
        return answer
