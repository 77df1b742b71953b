"""An hour of a small company's jobs, for pictures: made with the queue's own scripts."""

from __future__ import annotations

import json
import random
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from app.mail.mailbox import MailboxTransport
from app.queue.job import Job, Priority
from app.queue.jobqueue import JobQueue
from app.queue.outcome import completed, failed
from app.queue.submission import NewJob
from app.queue.suppressions import Suppression, Suppressions
from tests.queue.virtual_time import Clock

HOUR_SECONDS = 3600
PEOPLE = ("ada", "grace", "edsger", "radia", "ken", "margaret", "barbara", "donald")
SUBJECTS = ("Your invoice for November", "Reset your password", "Welcome aboard", "Weekly report")
GREYLISTED = "451 4.7.1 Greylisted, try again in 5 minutes"
REFUSED = "No such mailbox (550 5.1.1 No such user here), while naming a recipient (RCPT TO)"
WORKERS = ("mail-1-4120-9f3a", "mail-2-887-01bc")
OUTAGE_SECONDS = (2200, 2500)  # after the beginning


class DemoStore:
    """Fills an empty store. The clock stands an hour ago at first, and at the present at last."""

    def __init__(self, queue: JobQueue, clock: Clock, seed: int = 7) -> None:
        self._queue = queue
        self._clock = clock
        self._rng = random.Random(seed)
        self._in_hand: dict[str, list[Job]] = {}

    def fill(self) -> int:
        """Returns the id of the job to show: one that waits for its third attempt."""
        began = self._clock.now
        while (elapsed := self._clock.now - began) < HOUR_SECONDS - 420:
            self._work(outage=OUTAGE_SECONDS[0] < elapsed < OUTAGE_SECONDS[1])
        shown = self._greylisted_twice()
        while self._clock.now - began < HOUR_SECONDS - 3:
            self._work(outage=False)
        self._leave_some_waiting()
        return shown

    def _work(self, *, outage: bool) -> None:
        """One job comes, and one is done."""
        rng, queue = self._rng, self._queue
        queue.submit_many([self._new_job()])
        self._clock.advance(ms=int(rng.lognormvariate(2.2, 0.8)) * (40 if outage else 1))
        queue.promote()
        for job in queue.claim(rng.choice(WORKERS), 2):
            self._clock.advance(ms=int(rng.lognormvariate(4.1, 0.6)) * (4 if outage else 1))
            self._settle(job, fails=rng.random() < (0.55 if outage else 0.03))
        self._clock.advance(ms=int(rng.expovariate(1 / 1200)))

    def _settle(self, job: Job, *, fails: bool) -> None:
        if fails and job.retry_count >= 1 and self._rng.random() < 0.6:
            outcome = failed(job, REFUSED, retry_in_ms=None, smtp_code=550)
        elif fails:
            outcome = failed(job, GREYLISTED, retry_in_ms=self._rng.randint(60, 600) * 1000)
        else:
            outcome = completed(job, _sent(json.loads(job.payload)))
        self._queue.turn(job.worker or "", [outcome], 0)

    def _greylisted_twice(self) -> int:
        queue = self._queue
        payload: dict[str, Any] = {
            "to": ["grace@example.com", "ada@example.com"],
            "subject": "Your invoice for November",
            "message": "Hello Grace,\n\nthank you for your order. Your invoice is attached.\n",
            "html": "<h1>Your invoice</h1><p>Thank you for your order.</p>",
            "headers": {"X-Shop-Token": "4fd1c0"},
        }
        [submitted] = queue.submit_many(
            [
                NewJob(
                    "send_email",
                    json.dumps(payload),
                    Priority.HIGH,
                    tags=("invoice", "shop"),
                    title=payload["subject"],
                    people=tuple(payload["to"]),
                )
            ]
        )
        recipients: dict[str, Any] = {
            "ada@example.com": {"status": "sent", "code": 250, "reply": "2.0.0 Ok: queued"},
            "grace@example.com": {"status": "deferred", "code": 451, "reply": GREYLISTED[4:]},
        }
        result = {
            "transport": "smtp",
            "message_id": f"<{submitted.job_id}.5c1e@shop.example>",
            "recipients": recipients,
        }
        for error, retry_seconds in (("Timed out, while connecting", 90), (GREYLISTED, 600)):
            job = self._claim(submitted.job_id)
            self._clock.advance(ms=210)
            outcome = failed(
                job,
                error,
                retry_in_ms=retry_seconds * 1000,
                smtp_code=451 if error == GREYLISTED else None,
                result=result if error == GREYLISTED else None,
            )
            queue.turn(WORKERS[1], [outcome], 0)
            if error != GREYLISTED:
                self._clock.advance(seconds=retry_seconds + 1)
                queue.promote()
        return submitted.job_id

    def _claim(self, job_id: int) -> Job:
        """Claims until this job's turn comes; the others are done."""
        while True:
            [job] = self._queue.claim(WORKERS[1])
            if job.id == job_id:
                return job
            self._settle(job, fails=False)

    def _leave_some_waiting(self) -> None:
        """Jobs in every status, some in the hands of two workers."""
        queue = self._queue
        queue.submit_many([self._new_job(delay_ms=600_000 * n) for n in range(1, 6)])
        for _ in range(3):
            queue.cancel(queue.submit("generate_invoice", "{}", title="Invoice 2024-1180"))
        queue.submit_many([self._new_job() for _ in range(18)])
        for worker, count in zip(WORKERS, (4, 2), strict=True):
            self._clock.advance(ms=900)
            self._in_hand[worker] = queue.claim(worker, count)

    def say_alive(self) -> None:
        """The workers' heartbeats."""
        self._say("mail-3-771-c0de", [], silent_seconds=190)
        for worker, jobs in self._in_hand.items():
            self._say(worker, jobs)
        presence = _presence("mail-1", 4121, "retry", self._clock.now)
        self._queue.renew("mail-1-4121-77aa", [], presence)

    def _say(self, worker: str, jobs: list[Job], silent_seconds: float = 0) -> None:
        host, pid = worker.rsplit("-", 2)[:2]
        self._clock.advance(seconds=-silent_seconds)
        presence = _presence(host, int(pid), "main", self._clock.now) | {
            "concurrency": 16,
            "busy": len(jobs),
            "claimed_at": self._clock.now,
            "jobs": [
                {"id": job.id, "job_type": job.job_type, "picked_at": job.picked_at} for job in jobs
            ],
        }
        self._queue.renew(worker, jobs, presence)
        self._clock.advance(seconds=silent_seconds)

    def _new_job(self, **fields: Any) -> NewJob:
        rng = self._rng
        who = f"{rng.choice(PEOPLE)}@example.com"
        job_type = rng.choices(
            ("send_email", "resize_image", "generate_invoice", "sync_contacts", "send_webhook"),
            (70, 10, 8, 7, 5),
        )[0]
        if job_type != "send_email":
            number = rng.randint(1000, 9999)
            title = {
                "resize_image": f"avatar-{number}.png → 640 px",
                "generate_invoice": f"Invoice 2024-{number}",
                "sync_contacts": f"Address book {number}",
                "send_webhook": f"order.paid {number}",
            }[job_type]
            return NewJob(job_type, json.dumps({"number": number}), title=title, **fields)
        subject = rng.choice(SUBJECTS)
        payload = {"to": who, "subject": subject, "message": f"Hello {who.partition('@')[0]}, …"}
        return NewJob(
            job_type,
            json.dumps(payload),
            rng.choice((Priority.HIGH, Priority.LOW, Priority.LOW)),
            tags=(subject.split()[0].lower(),),
            title=subject,
            people=(who,),
            **fields,
        )


def fill_mailbox(folder: Path, job_id: int) -> None:
    """A few mails, the last one with HTML and an attachment."""
    transport = MailboxTransport(folder)
    for number, (who, subject) in enumerate(zip(PEOPLE, SUBJECTS * 2, strict=False)):
        mail = EmailMessage()
        mail["From"] = "Shop <shop@example.com>"
        mail["To"] = f"{who}@example.com"
        mail["Subject"] = subject
        mail["Date"] = "Mon, 24 Nov 2025 13:56:58 +0000"
        mail["Message-ID"] = f"<{job_id + number}.{number:032x}@shop.example>"
        mail.set_content(
            f"Hello {who.capitalize()},\n\n{subject.lower()}: see below.\n\nThe shop\n"
        )
        if number == len(PEOPLE) - 1:
            mail.add_alternative(_HTML, subtype="html")
            mail.add_attachment(
                b"%PDF-1.7" * 4000,
                maintype="application",
                subtype="pdf",
                filename="invoice-2024-1180.pdf",
            )
        transport.deliver(mail.as_bytes().replace(b"\n", b"\r\n"))


def fill_suppressions(suppressions: Suppressions, job_id: int, now: float) -> None:
    for hours, address, reason, by in (
        (70, "barbara@old.example.com", "Asked by telephone not to be written to", "dashboard"),
        (26, "sales@nowhere.example", "No such domain (550 5.1.2 Bad destination)", "worker"),
        (3, "nobody@example.com", REFUSED, "worker"),
    ):
        code, job = (550, job_id - 30 * hours) if by == "worker" else (None, None)
        at = now - hours * HOUR_SECONDS
        suppressions.add(Suppression(address, reason, at, by, code, job))


def _presence(host: str, pid: int, role: str, now: float) -> dict[str, Any]:
    return {
        "role": role,
        "host": host,
        "pid": pid,
        "version": "0.1.0",
        "heartbeat_seconds": 15,
        "started_at": now - 88_000,
    }


def _sent(payload: dict[str, Any]) -> dict[str, Any] | None:
    if "to" not in payload:
        return None
    return {
        "transport": "smtp",
        "recipients": {payload["to"]: {"status": "sent", "code": 250, "reply": "2.0.0 Ok: queued"}},
    }


_HTML = """<html><body style="font-family: sans-serif; color: #333">
<h1 style="color: #2451c9">Weekly report</h1>
<p>Donald, these are the week's figures.</p>
<table border="1" cellpadding="6" style="border-collapse: collapse">
<tr><th>Orders</th><th>Paid</th><th>Open</th></tr><tr><td>1,204</td><td>1,180</td><td>24</td></tr>
</table></body></html>"""
