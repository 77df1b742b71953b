"""Guards of statuses, of time, and of what is counted.

What is broken → the verb whose script is mutated ("*": what all share), a text that is there
exactly once, and its replacement.
"""

from __future__ import annotations

Mutant = tuple[str, str, str]

STATUSES: dict[str, Mutant] = {
    # Statuses
    "a success can be retried": ("retry", "RETRYABLE = {", "RETRYABLE = { success = true,"),
    "a success can be cancelled": ("cancel", "CANCELLABLE = {", "CANCELLABLE = { success = true,"),
    "a processing job can be deleted": (
        "delete",
        'if record.status == "processing" then',
        "if false then",
    ),
    "a paused queue hands out": ("turn", "paused and 0 or math.max(0, wanted)", "wanted"),
    "what is not due is promoted": (
        "promote",
        '"ZRANGEBYSCORE", PLACE[status], "-inf", integer(now)',
        '"ZRANGEBYSCORE", PLACE[status], "-inf", "+inf"',
    ),
    "a lease that runs is reaped": (
        "reap",
        '"ZRANGEBYSCORE", PLACE.processing, "-inf", integer(now)',
        '"ZRANGEBYSCORE", PLACE.processing, "-inf", "+inf"',
    ),
    "a young job is trimmed": ("trim", "integer(now - max_age_ms)", "integer(now)"),
    "a fourth death is waited for": (
        "reap",
        "record.deaths >= max_deaths",
        "record.deaths > max_deaths",
    ),
    "a death after the first is charged to a job that was not begun": (
        "reap",
        "local charged = deaths == 0 or record.begun or record.sending",
        "local charged = true",
    ),
    "a job that was begun is not charged with its further deaths": (
        "reap",
        "local charged = deaths == 0 or record.begun or record.sending",
        "local charged = deaths == 0 or record.sending",
    ),
    "the reaper leaves the mark that the job was begun": (
        "reap",
        "record.token, record.begun = nil, nil",
        "record.token = nil",
    ),
    "an outcome leaves the mark that the job was begun": (
        "turn",
        "record.token, record.sending, record.begun = nil, nil, nil",
        "record.token, record.sending = nil, nil",
    ),
    "the reaper does not hold": ("reap", "if now < hold_until then", "if false then"),
    "a clock that went back does not hold the reaper": (
        "reap",
        "gap_ms > lease_ms / 2 or gap_ms < 0",
        "gap_ms > lease_ms / 2",
    ),
    "a failure forgets that a cancel was asked for": (
        "turn",
        'outcome = record.cancel_requested and "cancelled" or "failed"',
        'outcome = "failed"',
    ),
    "a release forgets that a cancel was asked for": (
        "turn",
        'if record.cancel_requested then\n    make_final(record, "cancelled", now)',
        'if false then\n    make_final(record, "cancelled", now)',
    ),
    "the reaper forgets that a cancel was asked for": (
        "reap",
        "elseif record.cancel_requested then",
        "elseif false then",
    ),
    "a finished job still asks for its cancel": ("*", "  record.cancel_requested = nil\n", ""),
    "a retried job keeps its end": (
        "retry",
        "record.run_at, record.completed_at, record.cancel_requested = nil, nil, nil",
        "record.run_at = nil",
    ),
    "a promoted job stays due": (
        "promote",
        "record.ready_at = record.run_at\n        record.run_at = nil",
        "record.ready_at = record.run_at",
    ),
    # Bookkeeping
    "a claim is no attempt": ("turn", "(record.attempts or 0) + 1", "record.attempts or 1"),
    "a release is charged": (
        "turn",
        'note_attempt(record, now, "released", asked.error)',
        "record.retry_count = record.retry_count + 1",
    ),
    "high does not go before low": (
        "*",
        'record.priority == "low" and head_start_ms or 0',
        "0",
    ),
    "a retried job keeps its turn": ("retry", "record.ready_at = now", ""),
    "a delete is not counted": ("delete", 'count("deleted", record.job_type)', ""),
    "a trim is not counted": ("trim", 'count("trimmed", record.job_type)', ""),
    "the reaper does not remember when it ran": (
        "reap",
        'redis.call("HSET", META, "reaped_at", integer(now))',
        "",
    ),
    "the reaper does not remember its hold": (
        "reap",
        'redis.call("HSET", META, "hold_until", integer(hold_until))',
        "",
    ),
    "promoting takes more than its limit": (
        "promote",
        '"LIMIT", 0, limit - moved',
        '"LIMIT", 0, limit',
    ),
    "a failed attempt is not charged": ("turn", "record.retry_count = record.retry_count + 1", ""),
    "a death is not counted": (
        "reap",
        "record.deaths = deaths + 1",
        "record.deaths = 1",
    ),
    "an attempt leaves no line": (
        "turn",
        "note_attempt(record, now, outcome, asked.error, asked.smtp_code)",
        "",
    ),
    "a submission is not counted": ("submit", 'count("submitted", job_type)', ""),
    "ids are given twice": (
        "submit",
        "next_id = next_id + step",
        "",
    ),
    "ids are not reserved": (
        "submit",
        '"query:id:counter", how_many * step',
        '"query:id:counter", 1',
    ),
    "a job is created before the one before it": (
        "submit",
        "last_ms > now and",
        "false and",
    ),
    "nobody notes when the last job was created": (
        "submit",
        ', "created_at", integer(now))',
        ")",
    ),
    "an attempt that was perhaps done is not counted": (
        "turn",
        "if asked.unconfirmed then",
        "if false then",
    ),
}
