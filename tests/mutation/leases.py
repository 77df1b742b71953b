"""Guards of leases, and of calls that are sent twice.

What is broken → the verb whose script is mutated ("*": what all share), a text that is there
exactly once, and its replacement.
"""

from __future__ import annotations

Mutant = tuple[str, str, str]

LEASES: dict[str, Mutant] = {
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
        'elseif verdict ~= "ok" then\n    if asked.began then',
        'elseif verdict == "lost" then\n    if asked.began then',
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
    # Records that are read and written as text
    "a first claim leaves no token": (
        "turn",
        """ .. ',"token":' .. cjson.encode(token)""",
        "",
    ),
    "a first success leaves nothing to recognise it by": (
        "turn",
        '"last_token":"\'\n    .. record.claim.token .. \'","completed_at"',
        '"completed_at"',
    ),
    "a job with two outcomes in one turn is read for the last": (
        "turn",
        "load(others) --",
        "load(completed, read_first_claimed) load(others) --",
    ),
    "what is given back cannot be claimed at once": (
        "turn",
        "if ADDS[PLACE.pending] or",
        "if",
    ),
    "what is completed late is claimed in the same turn": (
        "turn",
        "or REMOVES[PLACE.pending] then",
        "then",
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
        'known[digest] = redis.call("GET", PREFIX .. "Idem:" .. digest)',
        "known[digest] = false",
    ),
    "an idempotency key fits any content": (
        "submit",
        'same == fingerprint and "=" or "!"',
        'same and "="',
    ),
    "a late outcome leaves nothing to recognise it by": (
        "turn",
        "    record.token = token\n  end\n",
        "  end\n",
    ),
    "a success stays unconfirmed": (
        "turn",
        "record.reaped_token, record.unconfirmed = nil, nil",
        "record.reaped_token = nil",
    ),
    "a retry leaves the job unconfirmed": ("retry", "  record.unconfirmed = nil\n", ""),
    "a lease that ended keeps its mark": (
        "turn",
        "record.token, record.sending, record.begun = nil, nil, nil",
        "record.token, record.begun = nil, nil",
    ),
    "a claim after the point of no return is like any": (
        "turn",
        "if record.sending then",
        "if false then",
    ),
    "a renewal does not tell of a cancel": (
        "renew",
        'record.cancel_requested and "cancel" or "ok"',
        '"ok"',
    ),
    "a cancelled job passes its point of no return": (
        "renew",
        'if mark ~= "" and verdict == "ok" then',
        'if mark ~= "" then',
    ),
    "a renewal extends nothing": (
        "renew",
        "add(PLACE.processing, integer(now + lease_ms), id)",
        "",
    ),
    "an abandoned lease goes on": ("abandon", "add(PLACE.processing, integer(now), id)", ""),
    "an idempotency key is not kept": (
        "submit",
        'redis.call("SET", PREFIX .. "Idem:" .. digest, known[digest], "EX", idempotency_s)',
        "",
    ),
    "the start of an operation is not remembered": (
        "start_operation",
        "remember_answer(nonce, id)",
        "",
    ),
}
