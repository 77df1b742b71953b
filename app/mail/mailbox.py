"""Delivery into a Maildir: what happens to mail while no SMTP server is configured."""

from __future__ import annotations

import mailbox
import os
from pathlib import Path

_TRIES = 5


class MailboxTransport:
    """Any number of threads and processes may deliver into one Maildir."""

    name = "mailbox"

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, content: bytes) -> None:
        """Written to `tmp`, flushed to disk, then moved to `new`: there whole, or not at all.

        Raises OSError.
        """
        maildir = self._maildir()
        for tries_left in reversed(range(_TRIES)):
            try:
                maildir.add(content)
                return
            except mailbox.ExternalClashError:
                # Two threads made up the same file name in the same microsecond.
                if not tries_left:
                    raise OSError("No free file name in the mailbox.") from None

    def close(self) -> None:
        """Nothing is kept open."""

    def _maildir(self) -> mailbox.Maildir:
        # `Maildir(create=True)` makes nothing when the folder is there, and fails when another
        # process makes it at the same moment.
        for name in ("tmp", "new", "cur"):
            os.makedirs(self._path / name, mode=0o700, exist_ok=True)
        return mailbox.Maildir(self._path, create=False)
