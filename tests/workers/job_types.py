"""The job types of these tests. Each run leaves a line in the file that RUNS_FILE names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from marshmallow import Schema, fields

from app.jobs import GiveBack, PermanentFailure, RetryLater, job_type
from app.queue.job import Job


def note(job: Job, what: str = "begin") -> None:
    """One write with O_APPEND: lines of several processes don't mix, and a kill loses none."""
    file = os.open(os.environ["RUNS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{job.id} {what} {os.getpid()}\n".encode())
    finally:
        os.close(file)


def earlier_runs(job: Job) -> int:
    lines = Path(os.environ["RUNS_FILE"]).read_text().splitlines()
    return sum(line.startswith(f"{job.id} begin ") for line in lines)


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class OddEnd(BaseException):
    """Something that is neither an Exception nor the system's."""


BASE_EXCEPTIONS: dict[str, type[BaseException]] = {
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "OddEnd": OddEnd,
    "Silent": Silent,
}


class CountSchema(Schema):
    count = fields.Integer(required=True, strict=True)


@job_type("echo")
def echo(job: Job) -> Any:
    note(job)
    return job.data


@job_type("noted")
def noted(job: Job) -> dict[str, int]:
    """Short, but not so short that many are claimed ahead."""
    note(job)
    time.sleep(0.002)
    return {"pid": os.getpid()}


@job_type("noop")
def noop(job: Job) -> None:
    """As short as can be."""


@job_type("swift")
def swift(job: Job) -> None:
    """So short that many are claimed ahead and told in company."""
    note(job)


@job_type("limited", rate="20/s")
def limited(job: Job) -> float:
    """When it ran, in seconds of the clock that all processes of the machine have in common."""
    return time.monotonic()


@job_type("unlucky")
def unlucky(job: Job) -> None:
    note(job)
    raise ValueError(f"no luck in attempt {job.retry_count + 1}")


@job_type("permanent")
def permanent(job: Job) -> None:
    note(job)
    raise PermanentFailure("no such user", smtp_code=550, result={"refused": ["a@b.example"]})


@job_type("later")
def later(job: Job) -> str:
    note(job)
    if job.retry_count == 0:
        raise RetryLater(job.data["delay_seconds"], "greylisted", smtp_code=451)
    return "accepted"


@job_type("given_back")
def given_back(job: Job) -> str:
    note(job)
    if earlier_runs(job) == 1:
        raise GiveBack(job.data["delay_seconds"], "the breaker is open")
    return "accepted"


@job_type("exits")
def exits(job: Job) -> None:
    note(job)
    sys.exit(3)


@job_type("raises")
def raises(job: Job) -> None:
    note(job)
    raise BASE_EXCEPTIONS[job.data["exception"]]("out of the ordinary")


@job_type("strange_end", max_retries=1)
def strange_end(job: Job) -> None:
    note(job)
    ends: dict[str, BaseException] = {
        "delay": RetryLater("soon", "no number"),  # type: ignore[arg-type]
        "infinite": RetryLater(float("inf"), "never"),
        "code": PermanentFailure("no number", smtp_code=object()),  # type: ignore[arg-type]
        "reason": PermanentFailure(ValueError("an exception")),  # type: ignore[arg-type]
    }
    raise ends[job.data["end"]]


def broken_backoff(_retry_count: int) -> float:
    raise ZeroDivisionError


@job_type("broken_backoff", backoff=broken_backoff, max_retries=2)
def has_broken_backoff(job: Job) -> None:
    note(job)
    raise ValueError("no luck")


@job_type("result")
def result(job: Job) -> Any:
    note(job)
    results = {"set": {1, 2}, "big": "x" * 40_000, "nan": float("nan"), "object": object()}
    return results[job.data["result"]]


@job_type("counted", schema=CountSchema)
def counted(job: Job) -> int:
    note(job)
    count: int = job.data["count"]
    return count


@job_type("loops")
def loops(job: Job) -> str:
    """Python code that runs for `seconds`, or until the file `until` is there."""
    note(job)
    data = job.data
    end = time.monotonic() + data.get("seconds", 60)
    while time.monotonic() < end and not ("until" in data and Path(data["until"]).exists()):
        time.sleep(0.01)
    note(job, "end")
    return "finished"


@job_type("blocks")
def blocks(job: Job) -> None:
    """One call into C code."""
    note(job)
    time.sleep(job.data["seconds"])
    note(job, "end")


@job_type("loops_timed", timeout_seconds=0.5)
def loops_timed(job: Job) -> None:
    _die_the_first_time(job)
    loops(job)


@job_type("blocks_timed", timeout_seconds=0.5)
def blocks_timed(job: Job) -> None:
    _die_the_first_time(job)
    blocks(job)


def _die_the_first_time(job: Job) -> None:
    """With `dies_first`: no test could kill the worker within the time-out for certain."""
    if job.data.get("dies_first") and not job.deaths:
        note(job)
        os.kill(os.getpid(), signal.SIGKILL)


@job_type("blocks_once_timed", timeout_seconds=2)
def blocks_once_timed(job: Job) -> str:
    note(job)
    if earlier_runs(job) == 1:
        time.sleep(600)
    return "finished"


@job_type("stops_its_worker")
def stops_its_worker(job: Job) -> None:
    """In order, as a person does."""
    note(job)
    os.kill(os.getpid(), signal.SIGTERM)


@job_type("kills_its_process")
def kills_its_process(job: Job) -> None:
    note(job)
    until = job.data.get("until")
    while until and not Path(until).exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


@job_type("starts_a_program")
def starts_a_program(job: Job) -> None:
    note(job)
    program = subprocess.Popen(["sleep", "600"])
    note(job, f"program={program.pid}")
    program.wait()


@job_type("leaves_a_thread")
def leaves_a_thread(job: Job) -> str:
    note(job)
    ThreadPoolExecutor().submit(time.sleep, 600)
    return "finished"


@job_type("sends")
def sends(job: Job) -> dict[str, Any]:
    """Waits for the file `first`, passes the point of no return, waits for the file `then`."""
    note(job)
    _wait_for_file(job.data.get("first"))
    assert job.mark_sending is not None
    may_send = job.mark_sending()
    note(job, "marked" if may_send else "refused")
    if not may_send:
        return {"cancel_requested": job.cancel_requested}
    if "blocks_seconds" in job.data:
        time.sleep(job.data["blocks_seconds"])
    _wait_for_file(job.data.get("then"))
    return {"unconfirmed": job.unconfirmed, "pid": os.getpid()}


def _wait_for_file(path: str | None) -> None:
    while path and not Path(path).exists():
        time.sleep(0.01)
