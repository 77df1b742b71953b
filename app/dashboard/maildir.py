"""Reads the local mailbox, a Maildir, newest mail first. Any file may lie in it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

FOLDERS = ("new", "cur")
HEADERS_MAX_BYTES = 65_536
# D. J. Bernstein, "Using maildir format": seconds, then microseconds after an M.
_DELIVERED = re.compile(r"(\d{1,12})\.(?:[A-Z]\w*?)?M(\d{1,6})|(\d{1,12})\.")


class MailNotFound(LookupError):
    """No mail of this name lies in the mailbox."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file. `name` is without the flags that a mail reader may have added after a colon."""

    name: str
    path: Path

    @property
    def delivered_at(self) -> float | None:
        """Seconds since the epoch, as the name says."""
        microseconds = _delivered_microseconds(self.name)
        return microseconds / 1e6 if microseconds else None


def entries(mailbox: Path) -> list[Entry]:
    """All mails, newest first, by their names alone: no file is opened."""
    found = [entry for folder in FOLDERS for entry in _in_folder(mailbox / folder)]
    return sorted(
        found, key=lambda entry: (_delivered_microseconds(entry.name), entry.name), reverse=True
    )


def find(mailbox: Path, name: str) -> Entry:
    """Raises MailNotFound, also for names that lead out of the mailbox."""
    if not _is_plain(name):
        raise MailNotFound(name)
    unread = mailbox / "new" / name
    if unread.is_file():
        return Entry(name, unread)
    for entry in _in_folder(mailbox / "cur"):
        if entry.name == name:
            return entry
    raise MailNotFound(name)


def open_mail(entry: Entry) -> BinaryIO:
    """Raises MailNotFound for what is gone, or is no ordinary file (a link, a pipe)."""
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        number = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise MailNotFound(entry.name) from None
    file = os.fdopen(number, "rb")
    if not stat.S_ISREG(os.fstat(number).st_mode):
        file.close()
        raise MailNotFound(entry.name)
    return file


def size_of(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _in_folder(folder: Path) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as found:
            for file in found:
                if _is_plain(file.name) and file.is_file(follow_symlinks=False):
                    yield Entry(file.name.partition(":")[0], Path(file.path))
    except OSError:  # nothing was ever delivered, or the folder is not ours to read
        return


def _is_plain(name: str) -> bool:
    """Whether it names a file of the folder itself, and can stand in an address."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return bool(name) and not name.startswith(".") and not {"/", "\0"} & set(name)


def _delivered_microseconds(name: str) -> int:
    found = _DELIVERED.match(name)
    if not found:
        return 0
    seconds, microseconds = found[1] or found[3], found[2] or "0"
    return int(seconds) * 1_000_000 + int(microseconds)
