"""The key that signs session cookies and CSRF tokens, the same in all processes of one copy."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from app.config import Config, ConfigError

FILE_NAME = "secret_key"
KEY_BYTES = 32


def secret_key(config: Config) -> str:
    """SECRET_KEY, or a random one that is kept in `DATA_DIR/secret_key`, readable by us alone.

    Raises ConfigError when the file can be neither read nor made.
    """
    if config.secret_key:
        return config.secret_key
    path = config.data_dir / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"SECRET_KEY: is not set, and none can be kept in {path}: {error}. "
            "Set it, or let DATA_DIR be writable."
        ) from error
    if len(key) < 2 * KEY_BYTES:
        raise ConfigError(f"SECRET_KEY: {path} is damaged. Remove it; a new one will be made.")
    return key


def _make(path: Path) -> None:
    """Writes a new key, unless another process was faster: then its key stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
        # A link appears whole or not at all, and never replaces what is there.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
