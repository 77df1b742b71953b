"""The headers that let a reader leave a list, in one click too (RFC 2369, RFC 8058)."""

from __future__ import annotations

import re
from collections.abc import Mapping

ONE_CLICK = "List-Unsubscribe=One-Click"
_ADDRESS = r"<[a-z][a-z0-9+.-]*:[^<>\s,]+>"
_ADDRESSES = re.compile(rf"{_ADDRESS}(?: ?, ?{_ADDRESS})*", re.I)
_HTTPS = re.compile(r"<https://[^<>\s]+>", re.I)


def check_unsubscribe(headers: Mapping[str, str]) -> None:
    """`headers` by their names in lower case. Raises ValueError with the rule they break.

    A reader's mail program posts to the address by itself, so the pair must be right or absent.
    """
    addresses = headers.get("list-unsubscribe")
    one_click = headers.get("list-unsubscribe-post")
    if addresses is not None and not _ADDRESSES.fullmatch(addresses):
        raise ValueError(
            "List-Unsubscribe: Must be addresses in angle brackets, separated by commas: "
            "<https://example.com/u/1>, <mailto:leave@example.com>."
        )
    if one_click is None:
        return
    if one_click != ONE_CLICK:
        raise ValueError(f"List-Unsubscribe-Post: Must be {ONE_CLICK} (RFC 8058).")
    if len(_HTTPS.findall(addresses or "")) != 1:
        raise ValueError(
            "List-Unsubscribe-Post: Needs List-Unsubscribe with one https address (RFC 8058)."
        )
