"""Secrets that found their way into a line of the log are masked there.

Nothing of ours logs one. But an exception's text may quote a URL with its password, and the code of
a job type, or a library at DEBUG, may log what it was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
# A shorter one stands in texts by chance.
SECRET_MIN_CHARS = 6

_API_KEY = re.compile(r"\bmr_([0-9a-f]{8})_[0-9a-f]{6,}")
_WEBHOOK_SECRET = re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]+")
_PASSWORD_HASH = re.compile(r"\bscrypt:\d+:\d+:\d+\$[^\s,\"']+")
_URL_LOGIN = re.compile(r"(?<=://)[^\s/?#@\"']{0,300}:[^\s/?#@\"']{0,300}@")
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s?[:=]\s?)[^\r\n]+")
# `password=x`, `"api_key": "x"`. Every repetition is bounded: the text may be a stranger's.
_PAIR = re.compile(
    r"(?i)((?:passwor[dt]|passwd|passphrase|secret|token|credential|(?:api|private)[_-]?key)"
    r"[\w-]{0,40}(?:=|['\"]\s{0,5}[:=]\s{0,5}))"
    r"(\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?|[^\s,;&)}\]\"']+)"
)


# One of these, in small letters, is in every text that a pattern finds anything in. In ASCII, that
# is: `(?i)` takes some other letters for these.
_SIGNS = (
    *("mr_", "whsec_", "scrypt:", "://", "authorization", "cookie"),
    *("passwor", "passwd", "passphrase", "secret", "token", "credential"),
    *("apikey", "api_key", "api-key", "privatekey", "private_key", "private-key"),
)


class Masks:
    """Masks what looks like a secret, and the `secrets` of the settings wherever they stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one may be the beginning of another.
        known = sorted({s for s in secrets if len(s) >= SECRET_MIN_CHARS}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        if self._known:
            text = self._known.sub(MASK, text)
        if text.isascii():
            # Nearly every line: none of what the patterns need is in it.
            lower = text.lower()
            if not any(sign in lower for sign in _SIGNS):
                return text
        text = _API_KEY.sub(rf"mr_\1_{MASK}", text)
        text = _WEBHOOK_SECRET.sub(f"whsec_{MASK}", text)
        text = _PASSWORD_HASH.sub(f"scrypt:{MASK}", text)
        text = _URL_LOGIN.sub(f"{MASK}@", text)
        text = _HEADER.sub(rf"\1\2{MASK}", text)
        return _PAIR.sub(_masked_pair, text)


def _masked_pair(match: re.Match[str]) -> str:
    quote = match[2][0] if match[2][0] in "\"'" else ""
    return f"{match[1]}{quote}{MASK}{quote}"
