"""Jobs that a tag or a search leads to, filtered and sorted here: there is no index for each
combination, so candidates are looked at in steps, up to a bound.

To read records and search their text here takes as long in all as a script that did so in Redis,
and keeps Redis half as long, where everybody waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.queue.keys import Keys
from app.queue.query import JobQuery, Source
from app.queue.scripts import Scripts
from app.queue.summary import is_found_by

# Redis answers a step within a millisecond. It takes in 16 kB of a pipeline at a time, two steps of
# records, and serves others in between.
STEP = 500
STEPS_A_ROUND_TRIP = 8

_ID_DIGITS = 12  # hexadecimal, at the end of an entry of `Find`
_TEXTS = ("status", "job_type", "priority")


@dataclass(frozen=True, slots=True)
class Found:
    """The ids that match, in order, and what they were sorted by, where that was read."""

    ids: list[int]
    values: Mapping[int, Any]
    looked_at: int
    at_end: bool  # whether the source leads to no more


Rows = list[tuple[int, str]]  # ids, and what a hash has of them


class Candidates:
    """Reads the candidates of one server. Raises what redis-py raises."""

    def __init__(self, client: Any, keys: Keys, scripts: Scripts) -> None:
        self._client = client
        self._keys = keys
        self._scripts = scripts

    def sizes(self, query: JobQuery, sources: list[Source]) -> dict[Source, int]:
        """About how many jobs each source leads to, the filters being one too."""
        with self._client.pipeline(transaction=False) as pipe:
            for source in sources:
                if source.kind == "tag":
                    pipe.zcard(self._keys.tag(source.name))
                else:
                    pipe.zlexcount(self._keys.find, *_lex_bounds(source.name))
            sizes = dict(zip(sources, map(int, pipe.execute()), strict=True))
        if query.status or query.job_type or query.priority:
            counts = self._scripts.call("counts", query.job_type or "", query.priority or "")
            by_status = dict(zip(counts[::2], counts[1::2], strict=True))
            size = by_status.get(query.status, 0) if query.status else sum(by_status.values())
            sizes[Source("filter", "")] = size
        return sizes

    def find(
        self,
        query: JobQuery,
        sources: list[Source],
        source: Source,
        look: int,
        *,
        in_order_of_ids: bool = True,
    ) -> Found:
        """The jobs that all sources lead to and that pass the filters, sorted.

        Looks at those of one source: at its newest `look`, or of a domain or a beginning of titles
        the last ones in order of the text. `in_order_of_ids` says whether ids tell which job was
        created first: over several shards they don't.

        A job that matches from beginning to end is there whatever others do meanwhile.
        """
        ids, at_end = self._ids(query, source, look)
        looked_at = len(ids)
        ids = list(dict.fromkeys(ids))  # a job with two people of one domain has two entries
        others = [other for other in sources if other != source]
        for other in others:
            if other.kind == "find":
                rows = self._read(self._keys.summaries, ids)
                ids = [job_id for job_id, text in rows if is_found_by(text, other.name)]
        tags = [other.name for other in others if other.kind == "tag"]
        needles = [] if source.kind == "filter" else _needles(query)
        sorts_by_id = query.is_by_id and (in_order_of_ids or query.sort == "id")
        values: dict[int, Any] = {}
        if needles or tags or not sorts_by_id:
            rows = _filtered(self._read(self._keys.jobs, ids), needles, tags)
            ids = [job_id for job_id, _ in rows]
            if not sorts_by_id:
                values = _values(query, rows)
        return Found(in_order(query, ids, values), values, looked_at, at_end)

    def _ids(self, query: JobQuery, source: Source, look: int) -> tuple[list[int], bool]:
        """The first `look` that a source leads to, and whether there are no more."""
        ids: list[int] = []
        for step in self._steps(query, source):
            ids += step
            if len(ids) >= look:
                return ids[:look], False
        return ids, True

    def _steps(self, query: JobQuery, source: Source) -> Iterator[list[int]]:
        if source.kind == "tag":
            return self._ids_of_tag(source.name)
        return self._ids_of(source.name) if source.kind == "find" else self._newest(query)

    def _ids_of_tag(self, tag: str) -> Iterator[list[int]]:
        key, below = self._keys.tag(tag), "+inf"
        # From the last id, not a rank: ranks shift when a job is deleted in between.
        while ids := self._client.zrevrangebyscore(key, below, "-inf", start=0, num=STEP):
            yield list(map(int, ids))
            below = f"({ids[-1]}"

    def _ids_of(self, prefix: str) -> Iterator[list[int]]:
        low, high = _lex_bounds(prefix)
        while entries := self._client.zrevrangebylex(self._keys.find, high, low, 0, STEP):
            yield [int(entry[-_ID_DIGITS:], 16) for entry in entries]
            high = b"(" + entries[-1].encode()

    def _newest(self, query: JobQuery) -> Iterator[list[int]]:
        filters, under = (query.status or "", query.job_type or "", query.priority or ""), ""
        while under != "0":
            text, under = self._scripts.call("newest", *filters, under, STEP)
            last = int(under)
            yield sorted((i for i in map(int, text.split()) if i >= last), reverse=True)

    def _read(self, key: str, ids: list[int]) -> Rows:
        """Fields of a hash, those that are there."""
        rows: Rows = []
        for first in range(0, len(ids), STEP * STEPS_A_ROUND_TRIP):
            part = ids[first : first + STEP * STEPS_A_ROUND_TRIP]
            with self._client.pipeline(transaction=False) as pipe:
                for at in range(0, len(part), STEP):
                    pipe.hmget(key, part[at : at + STEP])
                texts = [text for step in pipe.execute() for text in step]
            rows += [row for row in zip(part, texts, strict=True) if row[1] is not None]
        return rows


def in_order(query: JobQuery, ids: list[int], values: Mapping[int, Any]) -> list[int]:
    """The ids by their values, those without one last; equal values by id."""
    without = [job_id for job_id in ids if job_id not in values] if values else ids
    has_value = sorted(values, reverse=query.descending)
    has_value.sort(key=values.__getitem__, reverse=query.descending)
    return has_value + sorted(without, reverse=query.descending)


# A record's text is searched, not parsed: it is JSON without spaces, and texts in it have their
# quotation marks escaped, so `"status":"failed"` can only be the field.


def _needles(query: JobQuery) -> list[str]:
    """What a record's text must hold."""
    return [f'"{name}":"{value}"' for name in _TEXTS if (value := getattr(query, name))]


def _filtered(rows: Rows, needles: list[str], tags: list[str]) -> Rows:
    for needle in needles:
        rows = [row for row in rows if needle in row[1]]
    for tag in tags:
        has_tag = re.compile(r'"tags":"(?:[^"]*,)?' + re.escape(tag) + r'[,"]').search
        rows = [row for row in rows if has_tag(row[1])]
    return rows


def _values(query: JobQuery, rows: Rows) -> dict[int, Any]:
    """What the query sorts by, of those that have it."""
    is_text = query.sort in _TEXTS
    find = re.compile(f'"{query.sort}":' + ('"([^"]*)"' if is_text else r"(\d+)")).search
    # Floats compare faster than integers of this size, and hold them exactly.
    read: Any = str if is_text else float
    return {job_id: read(value[1]) for job_id, text in rows if (value := find(text))}


def _lex_bounds(prefix: str) -> tuple[bytes, bytes]:
    # No byte of UTF-8 is 255.
    return b"[" + prefix.encode(), b"(" + prefix.encode() + b"\xff"
