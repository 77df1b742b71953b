"""One part of a measurement, in the environment of a peer.

Run: python -m benchmarks.peers.play PEER fill JOBS MILLISECONDS   # many at once; prints seconds
     python -m benchmarks.peers.play PEER pace JOBS MILLISECONDS   # one each so many milliseconds
     python -m benchmarks.peers.play PEER work CONCURRENCY         # a worker, until it is ended
"""

from __future__ import annotations

import sys
import time
from importlib import import_module

from benchmarks.peers.common import payload


def main(name: str, verb: str, *numbers: str) -> None:
    peer = import_module(f"benchmarks.peers.{name}")
    if verb == "work":
        peer.work(int(numbers[0]))
        return
    jobs, milliseconds = int(numbers[0]), float(numbers[1])
    if verb == "fill":
        payloads = [payload(milliseconds) for _ in range(jobs)]
        peer.submit_many(payloads[:1])  # connects, loads scripts
        began = time.perf_counter()
        peer.submit_many(payloads[1:])
        print(time.perf_counter() - began)
        return
    begins = time.perf_counter()
    for number in range(jobs):
        wait = begins + number * milliseconds / 1000 - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        peer.submit(payload())
    print(time.perf_counter() - begins)


if __name__ == "__main__":
    main(*sys.argv[1:])
