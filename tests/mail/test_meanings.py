"""The words that people read beside a server's reply."""

from __future__ import annotations

import pytest

from app.mail.outcomes import Reply


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (550, "5.7.1 Go away", "Refused by policy (550 5.7.1 Go away)"),
        (451, "4.7.1 Later", "Refused for now, often greylisting (451 4.7.1 Later)"),
        (550, "5.1.1 Who?", "No such mailbox (550 5.1.1 Who?)"),
        (450, "4.1.1 Unverified", "The mailbox can't be checked now (450 4.1.1 Unverified)"),
        (452, "4.2.2 Over quota", "The mailbox is full (452 4.2.2 Over quota)"),
        (451, "Greylisted", "451 Greylisted"),
    ],
)
def test_a_refusal_for_now_is_not_told_as_one_for_good(code: int, text: str, said: str) -> None:
    assert str(Reply(code, text)) == said
