"""Mail addresses: one parsed, and which ones may stand in `from`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from app.mail.settings import MailSettingsError
from app.mail.text import check_header_text

_LOCALHOST = "@localhost"
# A name that email-validator lets through, to stand for `localhost`, which it does not.
_STAND_IN = "@localhost.test"


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox. `email` is what people see; `wire` what SMTP is told (RFC 5321, RFC 6531)."""

    email: str
    wire: str
    name: str = ""

    @property
    def needs_smtputf8(self) -> bool:
        return not self.wire.isascii()

    @property
    def domain(self) -> str:
        """In ASCII (IDNA), where it has such a form."""
        return self.wire.rpartition("@")[2]


def parse_address(text: str, name: str | None = None) -> Address:
    """Reads `user@example.com` or `Ann Smith <user@example.com>`; no DNS look-up.

    Raises ValueError with a sentence that says what is wrong.
    """
    check_header_text(text)
    own_name, plain = _split(text.strip())
    try:
        valid = _validate(plain)
    except EmailNotValidError as error:
        raise ValueError(f"Not a valid address: {error}") from None
    email, wire = valid.normalized, valid.ascii_email or valid.normalized
    if plain.endswith(_LOCALHOST):
        email, wire = (part.replace(_STAND_IN, _LOCALHOST) for part in (email, wire))
    return Address(email, wire, check_header_text(own_name if name is None else name).strip())


class SenderPolicy:
    """`MAIL_FROM` and `MAIL_ALLOWED_FROM`: the default sender and those a mail may name."""

    def __init__(self, mail_from: str, allowed_from: tuple[str, ...]) -> None:
        """Raises MailSettingsError when MAIL_FROM is no address."""
        try:
            self.default = parse_address(mail_from)
        except ValueError as error:
            raise MailSettingsError(f"MAIL_FROM: {error}") from None
        self._allowed = tuple(entry.casefold() for entry in allowed_from)

    def check(self, sender: Address) -> Address:
        """The same address. Raises ValueError when it may not stand in `from` or `reply_to`."""
        if not self._allowed or sender.email == self.default.email:
            return sender
        addresses = {sender.email.casefold(), sender.wire.casefold()}
        domains = {address.rpartition("@")[2] for address in addresses}
        for entry in self._allowed:
            if entry in addresses or entry.removeprefix("@") in domains:
                return sender
        allowed = ", ".join((self.default.email, *self._allowed))
        raise ValueError(f"Not an allowed sender. Allowed: {allowed} (MAIL_ALLOWED_FROM).")


def _split(text: str) -> tuple[str, str]:
    """Name and address. email-validator's own way takes no name that is not ASCII."""
    if not text.endswith(">"):
        return "", text
    name, _, plain = text[:-1].rpartition("<")
    name = name.strip()
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name, plain


def _validate(plain: str) -> ValidatedEmail:
    if plain.endswith(_LOCALHOST):
        plain = plain.removesuffix(_LOCALHOST) + _STAND_IN
    return validate_email(plain, check_deliverability=False, test_environment=True)
