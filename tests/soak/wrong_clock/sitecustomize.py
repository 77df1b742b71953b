"""For Python under libfaketime, by PYTHONPATH: a `time.sleep` that works there.

Since 3.11 it asks the kernel to sleep until a moment of the monotonic clock. libfaketime 0.9.10
takes that moment for one of the faked clock, and the kernel refuses what comes out (EINVAL).
"""

import select
import time


def sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = sleep
