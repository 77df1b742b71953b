"""The process's one Mailer, where both the schema and the job type find it."""

from __future__ import annotations

from typing import Any

from app.mail.gate import NOT_ITS_TURN
from app.mail.mailer import Mailer

_mailer: Mailer | None = None


def configure(mailer: Mailer) -> None:
    """Replaces the Mailer; the one before is closed."""
    global _mailer
    if _mailer:
        _mailer.close()
    _mailer = mailer


def mailer() -> Mailer:
    if _mailer is None:
        raise RuntimeError("Mail is not configured: call load_job_types(config) first.")
    return _mailer


def breaker() -> dict[str, Any] | None:
    """Why this process sends no mail now; see `Mailer.breaker`."""
    return _mailer.breaker if _mailer else None


def domains_at_their_rate(reason: str) -> str | None:
    """The domains of a mail that was given back for this reason, when that is the rate of one of
    them; None for any other reason."""
    return reason.removeprefix(NOT_ITS_TURN) if reason.startswith(NOT_ITS_TURN) else None


def close() -> None:
    """For a worker's shutdown: says goodbye to the SMTP server."""
    if _mailer:
        _mailer.close()
