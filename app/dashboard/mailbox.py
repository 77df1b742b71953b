"""The local mailbox: what would have been sent, while no SMTP server is configured."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Response, abort, current_app, render_template, request, send_file

from app.config import Config
from app.dashboard import maildir
from app.dashboard.mail_preview import FRAME_HEADERS, framed
from app.dashboard.mail_reading import READ_MAX_BYTES, ReadMail, read, read_headers
from app.dashboard.maildir import Entry, MailNotFound
from app.dashboard.query import BadAddress
from app.dashboard.views import bp

MAILS_ON_PAGE = 50
PAGE_MAX = 10**6


class NoMailbox(LookupError):
    """Mail goes to an SMTP server."""


@dataclass(frozen=True, slots=True)
class Row:
    entry: Entry
    mail: ReadMail
    bytes: int


@bp.get("/dashboard/mailbox")
def mailbox() -> str:
    return render_template("dashboard/mailbox.html", **mailbox_page(_page_number()))


@bp.get("/dashboard/mailbox/<name>")
def mail(name: str) -> str:
    return render_template("dashboard/mail.html", **mail_page(name))


@bp.get("/dashboard/mailbox/<name>/mail.html")
def mail_html(name: str) -> Response:
    """For the frame on the mail's page."""
    html = mail_page(name)["mail"].html
    return abort(404) if html is None else framed(html)


@bp.get("/dashboard/mailbox/<name>/mail.eml")
def mail_raw(name: str) -> Response:
    file = maildir.open_mail(maildir.find(_mailbox(), name))
    response = send_file(
        file, mimetype="message/rfc822", as_attachment=True, download_name="mail.eml"
    )
    response.content_length = maildir.size_of(file)
    response.headers.update(FRAME_HEADERS)
    return response


@bp.errorhandler(MailNotFound)
@bp.errorhandler(NoMailbox)
def no_such_mail(error: LookupError) -> tuple[str, int]:
    no_mailbox = isinstance(error, NoMailbox)
    return render_template("dashboard/mail_not_found.html", no_mailbox=no_mailbox), 404


def mailbox_page(number: int) -> dict[str, Any]:
    """One page of mails, newest first; only the heads of those on it are read."""
    found = maildir.entries(_mailbox())
    first = (number - 1) * MAILS_ON_PAGE
    rows = [row for entry in found[first : first + MAILS_ON_PAGE] if (row := _row(entry))]
    return {
        "rows": rows,
        "total": len(found),
        "number": number,
        "first": first + 1,
        "last_page": max(1, -(-len(found) // MAILS_ON_PAGE)),
        "now": time.time(),
    }


def mail_page(name: str) -> dict[str, Any]:
    """Raises MailNotFound, NoMailbox."""
    entry = maildir.find(_mailbox(), name)
    problem = None
    with maildir.open_mail(entry) as file:
        bytes_in_all = maildir.size_of(file)
        content = file.read(min(bytes_in_all, READ_MAX_BYTES))
    if bytes_in_all > READ_MAX_BYTES:
        problem = "This mail is too large to be shown."
        found = read_headers(content[: maildir.HEADERS_MAX_BYTES])
    else:
        try:
            found = read(content)
        except ValueError:
            problem = "This mail is broken: its parts can't be told apart."
            found = read_headers(content[: maildir.HEADERS_MAX_BYTES])
    return {
        "entry": entry,
        "mail": found,
        "mail_bytes": bytes_in_all,
        "problem": problem,
        "now": time.time(),
    }


def _row(entry: Entry) -> Row | None:
    """None when the file was removed meanwhile."""
    try:
        with maildir.open_mail(entry) as file:
            beginning = file.read(maildir.HEADERS_MAX_BYTES)
            return Row(entry, read_headers(beginning), maildir.size_of(file))
    except (MailNotFound, OSError):
        return None


def _page_number() -> int:
    """Raises BadAddress."""
    text = request.args.get("page", "1")
    if text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= PAGE_MAX:
        return int(text)
    raise BadAddress([f"page: must be a whole number from 1 to {PAGE_MAX}."])


def _mailbox() -> Path:
    """Raises NoMailbox."""
    config: Config = current_app.extensions["config"]
    if config.smtp_host:
        raise NoMailbox
    return config.data_dir / "mailbox"
