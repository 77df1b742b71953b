"""Where the embedded server listens."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from pathlib import Path

from app.settings.errors import ConfigError

# The longest path that a unix socket can have on Linux (unix(7)); macOS has 104 with the NUL.
_SOCKET_PATH_MAX_BYTES = 107 if sys.platform == "linux" else 103


def socket_path(data_dir: Path) -> Path:
    """The same path in every process with this DATA_DIR.

    Raises ConfigError when a folder of somebody else stands where the socket would be.
    """
    in_data_dir = data_dir.resolve() / "redis.sock"
    if len(os.fsencode(in_data_dir)) <= _SOCKET_PATH_MAX_BYTES:
        return in_data_dir
    # Not the temporary folder of the environment: it may differ from process to process.
    folder = private_folder(Path("/tmp") / f"mailroom-{os.getuid()}")
    return folder / f"{hashlib.sha256(os.fsencode(in_data_dir)).hexdigest()[:32]}.sock"


def private_folder(folder: Path) -> Path:
    """The same folder, made if need be, once it is sure that nobody else can write into it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not ours or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"DATA_DIR: its path is long, so the socket would be in {folder}, which is not a "
            "folder of yours alone. Remove that folder or choose a shorter DATA_DIR."
        )
    return folder
