"""Makes the Lua scripts and calls them."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.exceptions import NoScriptError

from app.queue.connection import unavailable_as_queue_error
from app.queue.errors import NotReplicated
from app.queue.line import Line

_FOLDER = Path(__file__).parent / "lua"

REPLICATED_WITHIN_MS = 1000  # less than the time-out of a client's socket

# What every script may use, in this order.
_SHARED = (*("_prelude", "_records", "_writes", "_durations", "_places", "_leases", "_straight"),)
# Redis refuses these when its memory is full. Everything else must go on, or nothing drains.
_GROWING = frozenset({"submit"})
# Reads; a replica, or a server out of disk, may run them.
_READING = frozenset(
    {
        *("page", "entries", "slice", "ranks", "counts", "oldest", "now", "walk", "range"),
        "newest",
    }
)
_DECLARATION = re.compile(r"^(?=local )", re.MULTILINE)
_COMMENT = re.compile(r"--.*")
# `turn` is made of the verbs of its steps.
_PARTS = {
    "turn": ("complete", "fail", "release", "claim"),
    "page": ("by_ids", "buckets", "groups", "estimate", "search", "window", "rows"),
    "entries": ("rows",),
    "slice": (
        *("buckets", "groups", "ordered", "since", "before"),
        *("estimate", "search", "window", "around"),
    ),
    "ranks": ("buckets", "groups", "ordered", "since", "before"),
    "retry": ("retry_job",),
    "cancel": ("cancel_job",),
    "delete": ("delete_job",),
    "operate": ("buckets", "shares", "next_jobs", "retry_job", "cancel_job", "delete_job"),
    "repair": (
        *("mend", "readable", "salvage", "repair_record", "repair_fields", "repair_entries"),
        *("repair_counters",),
    ),
    "counts": ("buckets",),
    "oldest": ("buckets",),
    "walk": ("buckets", "rows"),
    "range": ("rows",),
    "newest": ("buckets", "shares"),
}


@cache
def script_source(name: str) -> str:
    """The whole text of one script: the server's flags, what it uses of what all share, the verb.

    Each file of `lua/` but the shared ones (`_…`) defines the function named after it. It takes
    ARGV and returns the answer, unless it is a part of another.
    """
    flags = "" if name in _GROWING else "allow-oom"
    if name in _READING:
        flags = f"no-writes,{flags}"
    verb = "\n".join(_text(file) for file in (*_PARTS.get(name, ()), name))
    return "\n".join([f"#!lua flags={flags}", *_used(verb), verb, f"return {name}(ARGV)"])


@cache
def _text(file: str) -> str:
    return (_FOLDER / f"{file}.lua").read_text(encoding="utf-8")


def _used(verb: str) -> list[str]:
    """The shared declarations that a verb uses, by itself or through others, in their order.

    The server runs all of a script's text in every call: what is not used takes a third of the time
    of a call for one job.
    """
    used: list[str] = []
    words = _words(verb)
    for names, text in reversed(_declarations()):
        if words & names:
            words |= _words(text)
            used.insert(0, text)
    return used


@cache
def _declarations() -> list[tuple[set[str], str]]:
    """Each `local …` of the shared files that is not indented: what it names, and its text."""
    texts = [part for file in _SHARED for part in _DECLARATION.split(_text(file))[1:]]
    return [(_words(re.split(r"[(={]", text, maxsplit=1)[0]), text) for text in texts]


def _words(text: str) -> set[str]:
    """The names in a Lua text, comments left out."""
    return set(re.findall(r"[A-Za-z_]\w*", _COMMENT.sub("", text))) - {"local", "function"}


class _Script(NamedTuple):
    text: str
    sha: str  # its name on a server that knows it


class Scripts:
    """The scripts on one server, for one key prefix.

    Every script gets the name of `Job_map` as its only declared key: it names the prefix, and on
    a cluster the shard, of all other keys.
    """

    def __init__(
        self, client: redis.Redis, jobs_key: str, source: Callable[[str], str] = script_source
    ) -> None:
        self._client = client
        self._keys = [jobs_key]
        self._source = source
        self._made: dict[str, _Script] = {}

    def call(self, name: str, *args: Any, replicas: int = 0) -> Any:
        """Runs one script, and waits until so many replicas have what it wrote.

        Raises QueueUnavailable, QueueFull, ServerUnsuitable, NotReplicated.
        """
        script = self._script(name)
        with unavailable_as_queue_error():
            if not replicas:
                return self._call(script, args)
            answer, confirmed = self._call_and_wait(script, args, replicas)
        if confirmed < replicas:
            raise NotReplicated("No replica has confirmed it.")
        return answer

    def calls(
        self, name: str, several: Iterable[Sequence[Any]], *, replicas: int = 0
    ) -> Generator[Any, None, None]:
        """Runs one script several times, with arguments that bear being sent twice, and yields its
        answers in order. The next is sent before one is answered, so that client and server work at
        the same time; with `replicas` it is not. Raises as `call`: then one more may be done."""
        if replicas:
            yield from (self.call(name, *args, replicas=replicas) for args in several)
            return
        script = self._script(name)
        line, serves = Line(self._client), True
        under_way: deque[Sequence[Any]] = deque()

        def on_line(ask: Callable[[], Any]) -> Any:
            """None: it is to be asked in another way, but not what timed out, as in any call."""
            nonlocal serves
            with unavailable_as_queue_error():
                try:
                    return ask() if serves else None
                except (redis.ConnectionError, redis.ResponseError):
                    serves = False
                    line.give_back()
                    return None

        def answer() -> Any:
            args = under_way.popleft()
            found = on_line(line.receive)
            return self.call(name, *args) if found is None else found

        try:
            for args in several:
                under_way.append(args)
                on_line(partial(line.send, self._command(script, args)))
                if len(under_way) > 1:
                    yield answer()
            while under_way:
                yield answer()
        finally:
            line.give_back()

    def command(self, name: str, *args: Any) -> tuple[Any, ...]:
        """The command that runs one script, if the server knows it."""
        return self._command(self._script(name), args)

    def _script(self, name: str) -> _Script:
        script = self._made.get(name)
        if script is None:
            text = self._source(name)
            sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            script = self._made[name] = _Script(text, sha)
        return script

    def _command(self, script: _Script, args: Sequence[Any]) -> tuple[Any, ...]:
        return ("EVALSHA", script.sha, len(self._keys), *self._keys, *args)

    def _command_with_text(self, script: _Script, args: Sequence[Any]) -> tuple[Any, ...]:
        """The same for a server that does not know the script. It runs it at once: what was loaded
        before a call may be forgotten by then (SCRIPT FLUSH, a failover)."""
        return ("EVAL", script.text, len(self._keys), *self._keys, *args)

    def _call(self, script: _Script, args: Sequence[Any]) -> Any:
        execute: Any = self._client.execute_command
        try:
            return execute(*self._command(script, args))
        except NoScriptError:
            return execute(*self._command_with_text(script, args))

    def _call_and_wait(
        self, script: _Script, args: Sequence[Any], replicas: int
    ) -> tuple[Any, int]:
        """The script's answer, and how many replicas have what it wrote.

        In one packet: WAIT speaks of the connection's own last write, so on another connection, or
        on this one after it was made anew, it would confirm what nobody asked for.
        """
        for command in (self._command, self._command_with_text):
            pipe: Any = self._client.pipeline(transaction=False)
            pipe.execute_command(*command(script, args))
            pipe.execute_command("WAIT", replicas, REPLICATED_WITHIN_MS)
            answer, confirmed = pipe.execute(raise_on_error=False)
            if not isinstance(answer, NoScriptError):
                break
        for found in (answer, confirmed):
            if isinstance(found, Exception):
                raise found
        return answer, confirmed
