"""What processes cost, as Linux tells it: memory and processor time, with all they started."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for one in found:  # grows meanwhile
        for thread in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in thread.read_text().split()]
    return found


def rss_mb(pid: int) -> float:
    """Megabytes (10^6 bytes) that the process and its descendants hold in memory."""
    return sum(_rss_bytes(one) for one in tree(pid)) / 1e6


def cpu_seconds(pid: int) -> float:
    """Processor time of the process and its descendants, user and system."""
    return sum(_cpu_seconds(one) for one in tree(pid))


def busy_seconds() -> float:
    """Processor time of the whole machine since it started, whoever used it."""
    # user, nice, system, idle, iowait, irq, softirq, steal (man 5 proc); what follows is in these.
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _cpu_seconds(pid: int) -> float:
    # The name, in brackets, may hold spaces; user and system time are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
