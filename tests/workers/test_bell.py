from __future__ import annotations

import os
import signal
import threading

from tests.workers.processes import PATIENCE_SECONDS
from workers.bell import Bell


def test_a_ring_before_the_wait_is_not_lost() -> None:
    bell = Bell()
    bell.ring()

    assert bell.wait(PATIENCE_SECONDS) is True


def test_many_rings_wake_once() -> None:
    bell = Bell()
    for _ in range(3):
        bell.ring()

    assert bell.wait(0) is True
    assert bell.wait(0) is False


def test_without_a_ring_the_wait_ends_at_its_time_out() -> None:
    assert Bell().wait(0.01) is False


def test_ringing_never_blocks_however_long_nobody_listens() -> None:
    bell = Bell()
    for _ in range(200_000):  # more bytes than a pipe holds
        bell.ring()

    assert bell.wait(0) is True


def test_a_ring_from_another_thread_ends_a_wait_that_has_begun() -> None:
    bell = Bell()
    threading.Timer(0.05, bell.ring).start()

    assert bell.wait(PATIENCE_SECONDS) is True


def test_a_signal_rings() -> None:
    bell = Bell()
    handler = signal.signal(signal.SIGUSR1, lambda _signum, _frame: None)
    descriptor = signal.set_wakeup_fd(bell.write_end)
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()

        assert bell.wait(PATIENCE_SECONDS) is True
    finally:
        signal.set_wakeup_fd(descriptor)
        signal.signal(signal.SIGUSR1, handler)
