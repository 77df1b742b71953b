"""Every page of the dashboard, and what must be there for it to be full."""

from __future__ import annotations

import json
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from app.mail.mailbox import MailboxTransport
from app.queue.audit import Audit
from app.queue.inspector import JobQuery
from app.queue.operations import Operations
from app.queue.outcome import completed, failed
from app.queue.suppressions import Suppression, Suppressions
from tests.browser.conftest import Site

LONG = "A" * 300
# `fill` says what stands for {mail}.
FULL = (
    "/api/docs",
    "/dashboard",
    "/dashboard?status=failed&sort=retry_count",
    "/dashboard?page=9",
    "/dashboard/jobs/1",
    "/dashboard/jobs/2",
    "/dashboard/jobs/3",
    "/dashboard/jobs/1/payload",
    "/dashboard/workers",
    "/dashboard/mailbox",
    "/dashboard/mailbox?page=9",
    "/dashboard/mailbox/{mail}",
    "/dashboard/charts",
    "/dashboard/charts?window=day",
    "/dashboard/operations",
    "/dashboard/operations/1",
    "/dashboard/operations/2",
    "/dashboard/suppressions",
    "/dashboard/suppressions?q=example",
    "/dashboard/suppressions?page=9",
    "/dashboard/audit",
    "/dashboard/audit?before=1-1",
)
EMPTY = (
    "/dashboard",
    "/dashboard?status=failed",
    "/dashboard/workers",
    "/dashboard/mailbox",
    "/dashboard/charts",
    "/dashboard/operations",
    "/dashboard/suppressions",
    "/dashboard/suppressions?q=nobody",
    "/dashboard/audit",
)
# What is answered with an error, and its code.
LOST = {
    "/dashboard/nosuch": 404,
    "/nosuch": 404,
    "/dashboard/jobs/99": 404,
    "/dashboard/jobs/abc": 404,
    "/dashboard/jobs/1/nosuch": 404,
    "/dashboard/jobs/1/cancel": 405,
    "/dashboard/mailbox/unknown": 404,
    "/dashboard/operations/99": 404,
    "/dashboard?page=0&colour=red": 400,
    "/dashboard/mailbox?page=0": 400,
    "/dashboard/charts?window=year": 400,
    "/dashboard/suppressions?page=0": 400,
}
# What a browser may ask for by GET, and is no page of ours.
NOT_PAGES = {
    "login.log_in": "leads to the page of jobs, as no password is set; see test_login",
    "dashboard.home": "leads to the page of jobs",
    "dashboard.nothing_to_confirm": "leads to the page of jobs",
    "dashboard.export_csv": "a file",
    "dashboard.export_jsonl": "a file",
    "dashboard.mail_raw": "a file",
    "dashboard.job_mail_html": "a stranger's mail, for the frame on our page",
    "dashboard.mail_html": "a stranger's mail, for the frame on our page",
}
_NOT_FOR_PEOPLE = ("/api/", "/static/", "/healthz", "/readyz", "/metrics")


def is_for_people(path: str) -> bool:
    """Whether a route is a page of its own: no partial, and of the API its description alone."""
    return path == "/api/docs" or (
        "/partials/" not in path and not path.startswith(_NOT_FOR_PEOPLE)
    )


def fill(site: Site) -> dict[str, str]:
    """Jobs, workers, a mail, operations and suppressions, with texts too long for any cell.

    Returns what the paths of `FULL` need.
    """
    queue = site.queue
    mail = {"to": f"{'a' * 60}@{'b' * 60}.example", "subject": LONG, "message": LONG, "html": LONG}
    for _ in range(3):
        queue.submit(
            "send_email", json.dumps(mail), tags=("shop",), title=LONG, people=(mail["to"],)
        )
    failing, done, running = queue.claim("worker-1", 3)
    result = {
        "recipients": {mail["to"]: {"status": "deferred", "code": 451, "reply": LONG}},
        "message_id": f"<{LONG}@example.com>",
    }
    outcomes = [failed(failing, LONG, retry_in_ms=60_000, smtp_code=451, result=result)]
    queue.turn("worker-1", [*outcomes, completed(done, result)], 0)
    queue.cancel(running.id)
    presence: dict[str, Any] = {"role": "main", "host": "h" * 60, "pid": 1, "version": "0.1.0"}
    jobs = [{"id": running.id, "job_type": "send_email", "picked_at": running.picked_at}]
    breaker = {"reason": LONG, "since": time.time() - 60, "next_probe_at": time.time() + 60}
    presence |= {"concurrency": 16, "busy": 1, "jobs": jobs, "breaker": breaker}
    queue.renew("worker-1", [], presence)
    queue.renew("retry-1", [], presence | {"role": "retry"})
    _start_operations(site)
    _suppress(site)
    _audit(site)
    return {"mail": _deliver_one(site)}


def empty(site: Site) -> None:
    """The store is empty already; the mailbox is a folder that outlives it."""
    for path in _mailbox(site).glob("*/*"):
        path.unlink()


def _start_operations(site: Site) -> None:
    """One that is done, and one that runs."""
    operations: Operations = site.app.extensions["operations"]
    operations.start("retry", JobQuery(tag="nothing"), LONG)
    while site.queue.operate():
        pass
    operations.start("cancel", JobQuery(tag="shop", q="a" * 200), "dashboard 127.0.0.1")


def _suppress(site: Site) -> None:
    store: Suppressions = site.app.extensions["suppressions"]
    for number in range(51):  # one more than a page holds
        address = f"{'a' * 60}{number}@{'b' * 60}.example"
        store.add(Suppression(address, LONG, time.time(), "mail", 550, 1 if number else None))


def _audit(site: Site) -> None:
    log: Audit = site.app.extensions["audit"]
    for _ in range(51):  # one more than a page holds
        log.write(LONG, "retry", LONG)


def _deliver_one(site: Site) -> str:
    empty(site)
    mail = EmailMessage()
    mail["Subject"], mail["To"], mail["From"] = LONG, "ada@example.com", "shop@example.com"
    mail["X-Shop"] = LONG
    mail.set_content("Hello\n")
    mail.add_alternative("<h1>Hello</h1>", subtype="html")
    mail.add_attachment(b"x", maintype="application", subtype="pdf", filename=f"{LONG}.pdf")
    MailboxTransport(_mailbox(site)).deliver(mail.as_bytes())
    [path] = (_mailbox(site) / "new").iterdir()
    return path.name


def _mailbox(site: Site) -> Path:
    folder: Path = site.app.extensions["config"].data_dir / "mailbox"
    return folder
