"""Guards of places and indexes, and of operations.

What is broken → the verb whose script is mutated ("*": what all share), a text that is there
exactly once, and its replacement.
"""

from __future__ import annotations

Mutant = tuple[str, str, str]

PLACES: dict[str, Mutant] = {
    # Places and indexes
    "a job does not leave its place": ("*", "remove(PLACE[record.status], IDS[record])", ""),
    "a job does not leave its bucket": ("*", "remove(sets.index, id)", ""),
    "a job does not leave the sets by start": ("*", "remove(sets.picked, id)", ""),
    "a finished job does not leave the sets by end": ("*", "remove(sets.completed, id)", ""),
    "a bucket is not named": ("*", "BUCKETS[#BUCKETS + 1] = bucket", ""),
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
    "a job does not enter its bucket": ("*", "add(sets.index, id, id)", ""),
    "a job does not enter its place": ("*", "add(PLACE[record.status], place_score, id)", ""),
    "a job does not enter the sets by start": (
        "*",
        "add(sets.picked, integer(record.picked_at), id)",
        "",
    ),
    "a job does not enter the sets by end": (
        "*",
        "add(sets.completed, integer(record.completed_at), id)",
        "",
    ),
    "a submitted job does not get its tags": (
        "submit",
        'add(PREFIX .. "Tag:" .. tag, id, id)',
        "",
    ),
    "a submitted job is not findable": ("submit", "add(FIND, 0, entry)", ""),
    "an operation acts on jobs that came later": (
        "operate",
        "return record.id <= last_id",
        "return true",
    ),
    "an operation does not look at the tag": (
        "operate",
        'if not string.find("," .. (record.tags or "") .. ",", "," .. tag .. ",", 1, true) then',
        "if false then",
    ),
    "an operation that was stopped goes on": (
        "stop_operation",
        'redis.call("ZREM", PREFIX .. "Operations:running", id)',
        "",
    ),
    "trimming takes the names of full buckets": (
        "trim",
        'if redis.call("EXISTS", PREFIX .. "Index:" .. bucket) == 0 then',
        'if redis.call("SREM", PREFIX .. "Buckets", bucket) == 0 then',
    ),
}
