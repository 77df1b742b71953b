"""Jobs that a tag or a search leads to, filtered and sorted here: there is no index for each
combination, so candidates are read in steps, up to a bound.

To read records and search their text here costs less than half of what a script would take that
did so in Redis, where everybody waits for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from app.queue.keys import Keys
from app.queue.query import JobQuery
from app.queue.summary import is_found_by

CANDIDATES_MAX = 20_000
# Redis answers a step within a millisecond.
STEP = 500
STEPS_A_ROUND_TRIP = 8

_ID_DIGITS = 12  # hexadecimal, at the end of an entry of `Find`
_TEXTS = ("status", "job_type", "priority")


@dataclass(frozen=True, slots=True)
class Source:
    """A set that leads to jobs: those with a tag, or whose entry in `Find` begins with a text."""

    kind: Literal["tag", "find"]
    name: str

    @property
    def is_by_id(self) -> bool:
        """Whether it holds its jobs in order of ids, each once."""
        return self.kind == "tag" or self.name.endswith("\0")


@dataclass(frozen=True, slots=True)
class Found:
    """The ids that match, in order. `complete` is False when there were more candidates than the
    `looked_at` that were examined."""

    ids: list[int]
    complete: bool
    looked_at: int


Rows = list[tuple[int, str]]  # ids, and what a hash has of them


class Candidates:
    """Reads the candidates of one server. Raises what redis-py raises."""

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def find(self, query: JobQuery, sources: list[Source]) -> Found:
        """The jobs that all sources lead to and that pass the filters, sorted.

        Looks at those of the smallest source: the newest `CANDIDATES_MAX`, or of a domain or a
        beginning of titles the last ones in order of the text.
        """
        sizes = [self._size(source) for source in sources]
        at = sizes.index(min(sizes))
        ids = list(islice(self._ids(sources[at]), CANDIDATES_MAX))
        looked_at = len(ids)
        ids = list(dict.fromkeys(ids))  # a job with two people of one domain has two entries
        others = [source for source in sources if source is not sources[at]]
        for source in others:
            if source.kind == "find":
                rows = self._read(self._keys.summaries, ids)
                ids = [job_id for job_id, text in rows if is_found_by(text, source.name)]
        tags = [source.name for source in others if source.kind == "tag"]
        needles = _needles(query)
        if needles or tags or not query.is_by_id:
            rows = _filtered(self._read(self._keys.jobs, ids), needles, tags)
            ids = _in_order(query, rows)
        else:
            ids.sort(reverse=query.descending)
        return Found(ids, sizes[at] <= CANDIDATES_MAX, looked_at)

    def _size(self, source: Source) -> int:
        if source.kind == "tag":
            return int(self._client.zcard(self._keys.tag(source.name)))
        return int(self._client.zlexcount(self._keys.find, *_lex_bounds(source.name)))

    def _ids(self, source: Source) -> Iterator[int]:
        return self._ids_of_tag(source.name) if source.kind == "tag" else self._ids_of(source.name)

    def _ids_of_tag(self, tag: str) -> Iterator[int]:
        key, below = self._keys.tag(tag), "+inf"
        # From the last id, not a rank: ranks shift when a job is deleted in between.
        while ids := self._client.zrevrangebyscore(key, below, "-inf", start=0, num=STEP):
            yield from map(int, ids)
            below = f"({ids[-1]}"

    def _ids_of(self, prefix: str) -> Iterator[int]:
        low, high = _lex_bounds(prefix)
        while entries := self._client.zrevrangebylex(self._keys.find, high, low, 0, STEP):
            yield from (int(entry[-_ID_DIGITS:], 16) for entry in entries)
            high = b"(" + entries[-1].encode()

    def _read(self, key: str, ids: list[int]) -> Rows:
        """Fields of a hash, those that are there, in steps that each keep the server shortly."""
        rows: Rows = []
        for first in range(0, len(ids), STEP * STEPS_A_ROUND_TRIP):
            part = ids[first : first + STEP * STEPS_A_ROUND_TRIP]
            with self._client.pipeline(transaction=False) as pipe:
                for at in range(0, len(part), STEP):
                    pipe.hmget(key, part[at : at + STEP])
                texts = [text for step in pipe.execute() for text in step]
            rows += [row for row in zip(part, texts, strict=True) if row[1] is not None]
        return rows


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


def _in_order(query: JobQuery, rows: Rows) -> list[int]:
    """The ids by what the query sorts by, those without it last."""
    if query.is_by_id:
        return sorted([job_id for job_id, _ in rows], reverse=query.descending)
    is_text = query.sort in _TEXTS
    find = re.compile(f'"{query.sort}":' + ('"([^"]*)"' if is_text else r"(\d+)")).search
    read: Any = str if is_text else int
    found = [(find(text), job_id) for job_id, text in rows]
    has_value = [(read(value[1]), job_id) for value, job_id in found if value]
    without = [job_id for value, job_id in found if not value]
    has_value.sort(reverse=query.descending)
    without.sort(reverse=query.descending)
    return [job_id for _, job_id in has_value] + without


def _lex_bounds(prefix: str) -> tuple[bytes, bytes]:
    # No byte of UTF-8 is 255.
    return b"[" + prefix.encode(), b"(" + prefix.encode() + b"\xff"
