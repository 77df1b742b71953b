"""How long a mail waits before its next attempt. All times in seconds."""

from __future__ import annotations

import random
import re

# The figures of the design are for this base; another base scales them all.
_USUAL_BASE_SECONDS = 30.0
_NETWORK_CAP_SECONDS = 600.0
_DEFERRED_FACTOR = 10.0
_DEFERRED_CAP_SECONDS = 4 * 3_600.0
_EXPONENT_MAX = 40

_TRY_AGAIN = re.compile(
    r"(?:again|retry|wait|delayed|greylist\w*)\D{1,40}?(\d{1,6})\s*(s|m|h)(?:ec|in|our|\b)", re.I
)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600}


def network_delay(failures: int, base: float, rng: random.Random) -> float:
    """After the network failed, with `failures` failed attempts before this one.

    Full jitter (M. Brooker, "Exponential Backoff and Jitter", AWS 2015) up to 10 minutes.
    """
    ceiling = min(_scaled(_NETWORK_CAP_SECONDS, base), base * _power(failures))
    return max(_floor(base), rng.uniform(0, ceiling))


def deferred_delay(failures: int, base: float, rng: random.Random, reply: str = "") -> float:
    """After a server said "not now". Greylisting wants 5 to 60 minutes: seconds would never do.

    "Try again in N seconds" is obeyed, up to the same cap of 4 hours.
    """
    cap = _scaled(_DEFERRED_CAP_SECONDS, base)
    asked = asked_for_seconds(reply)
    if asked is not None:
        return max(_floor(base), min(cap, asked * rng.uniform(1.0, 1.1)))
    delay = min(cap, _DEFERRED_FACTOR * base * _power(failures))
    return rng.uniform(delay / 2, delay)


def asked_for_seconds(reply: str) -> float | None:
    """The N of "try again in N seconds" (minutes, hours) in a server's reply."""
    found = _TRY_AGAIN.search(reply)
    return int(found[1]) * _UNIT_SECONDS[found[2].lower()] if found else None


def _floor(base: float) -> float:
    return min(1.0, base)


def _scaled(seconds: float, base: float) -> float:
    return seconds * base / _USUAL_BASE_SECONDS


def _power(failures: int) -> float:
    return 2.0 ** min(failures, _EXPONENT_MAX)
