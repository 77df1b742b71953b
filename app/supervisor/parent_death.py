"""No process outlives its parent, however the parent ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux

_KEPT_BY_MAKE = sum(1 << (signum - 1) for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT))

_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def end_with_parent(signal_name: str) -> Callable[[], None] | None:
    """A `preexec_fn`: the kernel sends the child this signal when its parent ends.

    None where the kernel can't do it (macOS).
    """
    if _prctl is None:
        return None
    signum, parent = int(signal.Signals[signal_name]), os.getpid()

    def in_child() -> None:
        signal_at_parent_death(signum)
        # The parent may have died before the kernel knew.
        if os.getppid() != parent:
            os._exit(1)

    return in_child


def signal_at_parent_death(signum: int) -> None:
    """Asks the kernel to send this process `signum` when its parent ends."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)


class ParentWatch:
    """Sees that the parent, GNU make, got a signal that it keeps to itself. Linux only.

    make hands SIGTERM on to us, but trusts that SIGINT and SIGHUP came from a terminal, which
    sends them to all; after a plain `kill -INT` it waits for us for ever, with the signal blocked.
    """

    def __init__(self) -> None:
        # It also blocks them while it starts us; that means nothing.
        self._has_been_open = False

    def is_interrupted(self) -> bool:
        blocked = _blocked_signals(os.getppid()) & _KEPT_BY_MAKE
        self._has_been_open = self._has_been_open or not blocked
        return self._has_been_open and bool(blocked)


def _blocked_signals(pid: int) -> int:
    """The mask of signals that a process blocks; 0 where that can't be known."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(status.partition("SigBlk:")[2].split()[0], base=16)
