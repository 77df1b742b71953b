"""An address as the suppression list has it, from what a person or a program wrote."""

from __future__ import annotations

from app.mail.addresses import parse_address
from app.queue.suppressions import normalised


def read_suppression_address(text: str) -> str:
    """`"USER@xn--bcher-kva.example"` → `"user@bücher.example"`. Raises ValueError."""
    address = parse_address(text)
    if address.name:
        raise ValueError("Must be an address without a name.")
    return normalised(address.email)
