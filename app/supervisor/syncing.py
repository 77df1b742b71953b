"""Has what the embedded server wrote put on the disk once a second.

The server's own `appendfsync everysec` does that too, but while the disk is busy with it the server
answers before it writes, for up to two seconds: a `kill -9` then loses what was acknowledged. With
`appendfsync no` it always writes first, and the disk is left to us.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0


class Syncing:
    """Knows which files of the append-only log in `folder` have grown since the last round."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._synced: dict[str, tuple[int, int]] = {}  # inode and size

    def start(self) -> None:
        """From now on, in a thread of its own."""
        threading.Thread(target=self._run, name="sync", daemon=True).start()

    def round(self) -> int:
        """Syncs what has grown; how many files that were. Raises OSError."""
        count = 0
        for path in sorted(self._folder.glob("*.aof")):
            try:
                file = os.open(path, os.O_RDONLY)
            except FileNotFoundError:  # the server replaced it
                continue
            try:
                found = os.fstat(file)
                seen = (found.st_ino, found.st_size)
                if self._synced.get(path.name) != seen:
                    os.fsync(file)
                    self._synced[path.name] = seen
                    count += 1
            finally:
                os.close(file)
        return count

    def _run(self) -> None:
        complained = False
        while True:
            try:
                self.round()
                complained = False
            except OSError as error:
                if not complained:
                    log.error("The server's data can't be put on the disk: %s", error)
                complained = True
            time.sleep(EVERY_SECONDS)
