"""Each guard in the Lua is needed: without it, a seeded walk or a damaged store shows it.

A mutation is a piece of text, there exactly once in the scripts of its verb, and its replacement.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import redis

from app.queue.jobqueue import JobQueue
from tests.queue.invariants import check
from tests.queue.pair import Pair
from tests.queue.steps import claim_one, let_leases_run_out
from tests.queue.virtual_time import Clock, replace_once, virtual_source
from tests.queue.walk import walk

Source = Callable[[str], str]

WALKS = 90

# What is broken → the verb whose script is mutated ("*": the prelude of all), old text, new text.
CAUGHT_BY_WALKS = {
    # Whose word counts
    "an outcome needs no token": (
        "turn",
        'if record.status == "processing" and record.token == token then\n    return record, "ok"',
        'if record.status == "processing" then\n    return record, "ok"',
    ),
    "an outcome needs no processing job": (
        "turn",
        'if record.status == "processing" and record.token == token then\n    return record, "ok"',
        'if record.token == token or record.reaped_token == token then\n    return record, "ok"',
    ),
    "a repeated outcome is not recognised": (
        "turn",
        "if record.last_token == token then",
        "if false then",
    ),
    "a late outcome needs no token": (
        "turn",
        'record.reaped_token == token and record.status == "pending"',
        'record.reaped_token and record.status == "pending"',
    ),
    "a late outcome needs no pending job": (
        "turn",
        'record.reaped_token == token and record.status == "pending"',
        "record.reaped_token == token",
    ),
    "a late outcome may be a failure": (
        "turn",
        'if verdict ~= "ok" then\n    return verdict == "repeat" and "repeat" or "lost"\n  end\n'
        "  local asked = cjson.decode(detail)\n  local outcome",
        'if verdict == "lost" or verdict == "repeat" then\n    return verdict\n  end\n'
        "  local asked = cjson.decode(detail)\n  local outcome",
    ),
    "a late outcome may be a release": (
        "turn",
        'if verdict ~= "ok" then\n    return verdict == "repeat" and "repeat" or "lost"\n  end\n'
        "  local asked = cjson.decode(detail)\n  leave(record)",
        'if verdict == "lost" or verdict == "repeat" then\n    return verdict\n  end\n'
        "  local asked = cjson.decode(detail)\n  leave(record)",
    ),
    "a claim keeps the token that was reaped": (
        "turn",
        "record.last_token, record.reaped_token, record.sending = nil, nil, nil",
        "record.last_token, record.sending = nil, nil",
    ),
    "a claim keeps the token that was settled": (
        "turn",
        "record.last_token, record.reaped_token, record.sending = nil, nil, nil",
        "record.reaped_token, record.sending = nil, nil",
    ),
    "a claim keeps the mark of the point of no return": (
        "turn",
        "record.last_token, record.reaped_token, record.sending = nil, nil, nil",
        "record.last_token, record.reaped_token = nil, nil",
    ),
    "a retry keeps the tokens of earlier leases": (
        "retry",
        "record.last_token, record.reaped_token = nil, nil",
        "",
    ),
    "the reaper forgets the token": ("reap", "record.reaped_token = record.token", ""),
    "the reaper leaves the token": (
        "reap",
        "record.reaped_token = record.token\n      record.token, record.begun = nil, nil",
        "record.reaped_token = record.token\n      record.begun = nil",
    ),
    "a lease does not end": (
        "turn",
        "record.token, record.sending, record.begun = nil, nil, nil",
        "record.sending, record.begun = nil, nil",
    ),
    "a renewal needs no token": (
        "renew",
        'if record and record.status == "processing" and record.token == token then',
        'if record and record.status == "processing" then',
    ),
    "abandoning needs no token": (
        "abandon",
        'if not record or record.status ~= "processing" or record.token ~= token then',
        'if not record or record.status ~= "processing" then',
    ),
    # Calls that are sent twice
    "no call is recognised": (
        "*",
        'return redis.call("GET", PREFIX .. "Call:" .. nonce) or nil',
        "return nil",
    ),
    "a submission is not remembered": (
        "submit",
        'remember_answer(nonce, table.concat(answers, ","))',
        "",
    ),
    "a claim is not remembered": (
        "turn",
        'remember_answer(nonce, table.concat(ids, ","), integer(lease_ms))',
        "",
    ),
    "a retry is not remembered": ("retry", 'remember_answer(nonce, "ok")', ""),
    "a cancel is not remembered": ("cancel", 'remember_answer(nonce, "ok")', ""),
    "a delete is not remembered": ("delete", 'remember_answer(nonce, "ok")', ""),
    "a claim hands out again what it no longer holds": (
        "turn",
        'if record and record.status == "processing" and record.token == nonce then',
        "if record then",
    ),
    "an idempotency key is not looked up": (
        "submit",
        'digest ~= "" and redis.call("GET", PREFIX .. "Idem:" .. digest)',
        "false",
    ),
    "an idempotency key fits any content": (
        "submit",
        'same == fingerprint and "=" or "!"',
        'same and "="',
    ),
    # Places and indexes
    "a job does not leave its place": ("*", "remove(PLACE[record.status], IDS[record])", ""),
    "a job does not leave its bucket": ("*", "remove(sets.index, id)", ""),
    "a job does not leave the sets by start": ("*", "remove(sets.picked, id)", ""),
    "a finished job does not leave the sets by end": ("*", "remove(sets.completed, id)", ""),
    "a bucket is not named": ("*", 'redis.call("SADD", PREFIX .. "Buckets", bucket)', ""),
    "a deleted job leaves its payload": ("*", 'redis.call("HDEL", JOB_PAYLOAD, id)', ""),
    "a deleted job leaves its history": ("*", 'redis.call("HDEL", JOB_ATTEMPTS, id)', ""),
    "a job does not leave the sets by retries": ("*", "remove(sets.retries, id)", ""),
    "a job does not enter the sets by retries": (
        "*",
        "add(sets.retries, retries_score(record), id)",
        "",
    ),
    "a deleted job stays findable": ("*", "remove(FIND, entry)", ""),
    "a deleted job leaves its title": ("*", 'redis.call("HDEL", JOB_SUMMARY, id)', ""),
    "a deleted job still counts for its tags": (
        "*",
        "    TAGS[tag] = true\n  end\n  local",
        "  end\n  local",
    ),
    "an operation forgets where it was": (
        "operate",
        'redis.call("HSET", key, "cursor", next_cursor)',
        'redis.call("HSET", key, "cursor", "")',
    ),
    "an operation does not look at the status": (
        "operate",
        'and (conditions.status == "" or conditions.status == record.status)',
        "",
    ),
    "a deleted job leaves its tags": ("*", 'remove(PREFIX .. "Tag:" .. tag, id)', ""),
    # Statuses
    "a success can be retried": ("retry", "RETRYABLE = {", "RETRYABLE = { success = true,"),
    "a success can be cancelled": ("cancel", "CANCELLABLE = {", "CANCELLABLE = { success = true,"),
    "a processing job can be deleted": (
        "delete",
        'if record.status == "processing" then',
        "if false then",
    ),
    "a paused queue hands out": ("turn", "paused and 0 or wanted", "wanted"),
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
}


def test_the_scripts_as_they_are_pass_every_walk(client: redis.Redis) -> None:
    take_walks(client, virtual_source(client))


@pytest.mark.parametrize("name", CAUGHT_BY_WALKS)
def test_a_walk_notices_that(client: redis.Redis, name: str) -> None:
    source = mutated(virtual_source(client), *CAUGHT_BY_WALKS[name])

    with pytest.raises((AssertionError, redis.ResponseError)):
        take_walks(client, source)


def take_walks(client: redis.Redis, source: Source) -> None:
    for seed in range(WALKS):
        walk(Pair(client, source), random.Random(seed), steps=60)


# Guards against a store that is damaged already.
CAUGHT_BY_DAMAGE = {
    "a claim takes a job that is not pending": (
        "turn",
        'if record and record.status == "pending" then',
        "if record then",
    ),
    "the reaper takes a job that is not processing": (
        "reap",
        'if not record or record.status ~= "processing" then',
        "if not record then",
    ),
    "promoting takes a job that does not wait": (
        "promote",
        "if record and record.status == status then",
        "if record then",
    ),
    "trimming takes a job that is not finished": (
        "trim",
        "if record and FINAL[record.status] then",
        "if record then",
    ),
}


@pytest.mark.parametrize("name", CAUGHT_BY_DAMAGE)
def test_a_damaged_store_shows_that(client: redis.Redis, name: str) -> None:
    clock = Clock(client)
    verbs_bear_strange_ids(client, clock, virtual_source(client))

    client.flushall()
    clock.advance(ms=0)
    with pytest.raises((AssertionError, redis.ResponseError)):
        source = mutated(virtual_source(client), *CAUGHT_BY_DAMAGE[name])
        verbs_bear_strange_ids(client, clock, source)


def verbs_bear_strange_ids(client: redis.Redis, clock: Clock, source: Source) -> None:
    """Ids in places that are not theirs are passed over, and the jobs stay as they are."""
    queue = JobQueue(client, source=source)
    queue.submit("noop")
    queue.complete(claim_one(queue))
    waiting = queue.submit("noop", delay_ms=10**9)
    for place in ("Mail_queue", "Retry_queue", "Scheduled_queue", "Processing"):
        client.zadd(place, {"1": 1})
    client.zadd("Completed:success:noop:low:1", {str(waiting): 1})

    queue.promote()
    let_leases_run_out(queue, clock)
    queue.trim(success_max_age_ms=10**7)
    assert queue.claim("w1", 1) == []
    client.zrem("Completed:success:noop:low:1", str(waiting))

    records = check(client)
    assert [record["status"] for record in records.values()] == ["success", "scheduled"]


def mutated(source: Source, verb: str, old: str, new: str) -> Source:
    def mutate(name: str) -> str:
        text = source(name)
        return replace_once(text, old, new) if verb in (name, "*") else text

    # Here, not where its failure would pass for a mutation that was noticed.
    mutate("turn" if verb == "*" else verb)
    return mutate
