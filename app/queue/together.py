"""Threads of a process that submit a job each at the same time do it in one call.

The database's group commit (D. DeWitt et al., "Implementation techniques for main memory database
systems", SIGMOD 1984): the one that finds a call under way waits, and the next call
takes all that wait. A call is still one atomic step, and each job has its own answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from app.queue.errors import IdempotencyConflict, QueueUnavailable
from app.queue.submission import Packed, Submitted

Answer = Submitted | IdempotencyConflict | QueueUnavailable
Submit = Callable[[Sequence[Packed]], Sequence[Answer]]

# One call must not keep the server from others for long. Longer payloads go alone.
JOBS_MAX = 50
PAYLOAD_MAX_CHARS = 64 * 1024
# While a call hangs, those behind it go alone: nobody waits as long as two calls may take.
PATIENCE_SECONDS = 0.25


class Together:
    """Hands jobs to `submit`, whose answers are in order. Who finds no call under way waits for
    nobody. For threads that nothing interrupts from outside: one that ends while it is to make the
    call leaves the others to their patience."""

    def __init__(self, submit: Submit, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._submit = submit
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._under_way = False
        self._waiting: list[_Waiting] = []

    def submit(self, job: Packed) -> Answer:
        """The job's own answer. Raises what the call raised that took it, to all in it."""
        if len(job[0].payload) > PAYLOAD_MAX_CHARS:
            return self._alone(job)
        one = self._in_line(job)
        if one is None:
            return self._call(job, [])
        if not one.woken.acquire(timeout=self._patience_seconds):
            if self._out_of_line(one):
                return self._alone(job)
            one.woken.acquire()  # a call that took it is under way, or it is to make the next
        if one.company is not None:
            return self._call(job, one.company)
        if one.error is not None:
            raise one.error
        assert one.answer is not None
        return one.answer

    def _in_line(self, job: Packed) -> _Waiting | None:
        """None: nobody is there, so the call is this one's to make."""
        with self._lock:
            if not self._under_way:
                self._under_way = True
                return None
            one = _Waiting(job)
            self._waiting.append(one)
            return one

    def _out_of_line(self, one: _Waiting) -> bool:
        with self._lock:
            if one not in self._waiting:
                return False
            self._waiting.remove(one)
            return True

    def _alone(self, job: Packed) -> Answer:
        return self._submit([job])[0]

    def _call(self, job: Packed, company: list[_Waiting]) -> Answer:
        """Calls for this job and its company, and lets the next begin before it tells them."""
        try:
            answers = self._submit([job, *(one.job for one in company)])
        except BaseException as error:
            self._pass_on()
            # What ends this thread alone (SystemExit) is for the others no more than a failed call.
            told = error if isinstance(error, Exception) else QueueUnavailable("Interrupted.")
            for one in company:
                one.error = told
                one.woken.release()
            raise
        self._pass_on()
        for one, answer in zip(company, answers[1:], strict=True):
            one.answer = answer
            one.woken.release()
        return answers[0]

    def _pass_on(self) -> None:
        """The first in line makes the next call, for itself and those behind it."""
        with self._lock:
            if not self._waiting:
                self._under_way = False
                return
            first, *company = self._waiting[:JOBS_MAX]
            del self._waiting[:JOBS_MAX]
        first.company = company
        first.woken.release()


class _Waiting:
    """A job in line. When it is woken it has an answer, an error, or a company to call for."""

    __slots__ = ("answer", "company", "error", "job", "woken")

    def __init__(self, job: Packed) -> None:
        self.job = job
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.company: list[_Waiting] | None = None
        self.woken = threading.Lock()
        self.woken.acquire()
