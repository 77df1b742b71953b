"""The judge stands outside: it believes what jobs wrote and what the SMTP sink took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path

from app.queue.errors import JobNotFound
from app.queue.inspector import Inspector
from app.queue.job import Status
from tests.mail.sink import ReceivedMail, SmtpSink

# What a person sees of a job that is not done.
VISIBLE = frozenset(Status) - {Status.SUCCESS}
COLUMNS = (
    ("submitted", "submitted"),
    ("answered", "answered"),
    ("finished", "finished"),
    ("lost", "lost"),
    ("ran_twice", "ran twice"),
    ("done_twice", "done twice"),
    ("suspected", "suspected"),
    ("recovery_seconds", "recovery s"),
    ("seed", "seed"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run of a scenario came to; one line of the table."""

    scenario: str
    seed: int
    submitted: int  # jobs that were sent to the API
    answered: int  # of these, with 200 and an id
    finished: int  # of these, those whose work was done, as they say themselves
    lost: int  # of these, neither done nor waiting nor failed for all to see
    ran_twice: int  # begun more than once
    done_twice: int  # done more than once
    suspected: int  # duplicates that the product itself counts as possible
    recovery_seconds: float  # from the last fault until all was final

    def __str__(self) -> str:
        cells = [f"{getattr(self, name):>{len(title)},.6g}" for name, title in COLUMNS[:-1]]
        return " | ".join([f"{self.scenario:<34}", *cells, str(self.seed)])


HEADER = " | ".join([f"{'scenario':<34}", *(title for _, title in COLUMNS)])
assert {name for name, _ in COLUMNS} | {"scenario"} == {field.name for field in fields(Verdict)}


class JobLog:
    """What `soak_jobs` wrote: how often each job was begun and done, and when."""

    def __init__(self, path: Path) -> None:
        self.started: Counter[int] = Counter()
        self.finished: Counter[int] = Counter()
        self.pids: dict[int, list[int]] = {}  # id → the process of each run, in order
        self.last_at = 0.0  # seconds since the epoch
        for line in path.read_text().splitlines() if path.exists() else ():
            job_id, pid, what, at = line.split(" ")
            if what == "started":
                self.started[int(job_id)] += 1
                self.pids.setdefault(int(job_id), []).append(int(pid))
            else:
                self.finished[int(job_id)] += 1
            self.last_at = max(self.last_at, float(at))

    @property
    def ran_twice(self) -> set[int]:
        return {job_id for job_id, times in self.started.items() if times > 1}

    @property
    def done_twice(self) -> set[int]:
        return {job_id for job_id, times in self.finished.items() if times > 1}


class MailSink(SmtpSink):
    """Counts the mails it accepted by their Message-ID, and forgets the rest of them."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: Counter[str] = Counter()

    def keep(self, mail: ReceivedMail) -> None:
        self.accepted[str(mail.message["Message-ID"])] += 1

    def by_job(self) -> Counter[int]:
        """A Message-ID begins with the job's id: `<7.9f…@example.com>`."""
        found: Counter[int] = Counter()
        for message_id, times in self.accepted.items():
            found[int(message_id[1:].partition(".")[0])] += times
        return found


def check(verdict: Verdict) -> Verdict:
    """What holds in every scenario. Returns the verdict."""
    print(HEADER, verdict, sep="\n")
    assert verdict.lost == 0, verdict
    assert verdict.answered > 0, verdict
    return verdict


def lost_jobs(answered: Collection[int], done: Collection[int], inspector: Inspector) -> set[int]:
    """The jobs that were promised, but were neither done nor can be seen to wait or to have failed.

    A job that claims success and was not done is lost as well.
    """
    return {job_id for job_id in set(answered) - set(done) if not _is_visible(job_id, inspector)}


def _is_visible(job_id: int, inspector: Inspector) -> bool:
    try:
        return inspector.job(job_id).status in VISIBLE
    except JobNotFound:
        return False
