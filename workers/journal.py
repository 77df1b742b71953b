"""Outcomes that Redis could not be told, on disk, until it can: a crash must not forget them.

A file for each worker, in `DATA_DIR/journal`, one JSON object a line. Its owner holds a lock
(flock) on it for as long as it lives; whoever gets the lock of another's file knows it is dead.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from app.queue.outcome import Outcome
from workers.follow_ups import recalled

log = logging.getLogger(__name__)

_FIELDS = {field.name for field in dataclasses.fields(Outcome)}


class Journal:
    """One worker's. There is no file while there is nothing in it. Used by one thread.

    A disk that is full or can't be written is logged once and stops nothing.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._path = folder / f"{worker}.jsonl"
        self._file: int | None = None
        self._kept: set[tuple[int, str]] = set()  # job and lease
        self._complained = False

    def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Returns when they are on the disk, or can't be. One that is there already may come
        again."""
        outcomes = [one for one in outcomes if (one.job_id, one.token) not in self._kept]
        if not outcomes:
            return
        self._kept.update((one.job_id, one.token) for one in outcomes)
        try:
            if self._file is None:
                self._file = _open_own(self._path)
            _append(self._file, "".join(_line(outcome) for outcome in outcomes).encode())
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.error("The journal can't be written, a crash now forgets outcomes: %s", error)

    def clear(self) -> None:
        """Everything in it has been told."""
        self._kept.clear()
        if self._file is None:
            return
        file, self._file = self._file, None
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        os.close(file)


@contextmanager
def left_behind(path: Path) -> Iterator[list[Outcome]]:
    """The outcomes in a dead worker's journal, which is deleted at the end of the block, unless
    that raises. Empty when the worker lives, or another worker has taken care of it."""
    file = os.open(path, os.O_RDWR)
    try:
        if not _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB) or not _is_still(path, file):
            yield []
            return
        yield _read(path)
        path.unlink(missing_ok=True)
    finally:
        os.close(file)


def journals(folder: Path) -> list[Path]:
    """All there are, of the living and the dead."""
    try:
        return sorted(folder.glob("*.jsonl"))
    except OSError:
        return []


def _open_own(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            _lock(file, fcntl.LOCK_EX)
            # A worker that looked for the dead may have had the lock first, and deleted the file.
            if _is_still(path, file):
                _sync_folder(path.parent)
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _append(file: int, data: bytes) -> None:
    size = os.fstat(file).st_size
    try:
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    except OSError:
        with suppress(OSError):  # what comes later must not begin in the middle of a line
            os.ftruncate(file, size)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _line(outcome: Outcome) -> str:
    return json.dumps(dataclasses.asdict(outcome)) + "\n"


def _read(path: Path) -> list[Outcome]:
    outcomes = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found = json.loads(line)
            found["follow_ups"] = recalled(found["follow_ups"])
            outcomes.append(Outcome(**{name: found[name] for name in _FIELDS}))
        except (ValueError, KeyError, TypeError):
            log.warning("A line of %s is incomplete and left out", path.name)
    return outcomes
