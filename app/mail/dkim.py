"""Signing mail with DKIM (RFC 6376), by the package dkimpy, which only those who sign need."""

from __future__ import annotations

import base64
import re
from typing import Any

from app.mail.settings import MailSettings, MailSettingsError

# What receivers look at or act upon (RFC 6376 section 5.4.1; RFC 8058 section 4 for the last two).
_SIGNED = (
    b"from reply-to subject date to cc message-id mime-version content-type "
    b"content-transfer-encoding in-reply-to references auto-submitted feedback-id list-id "
    b"list-help list-subscribe list-post list-owner list-archive "
    b"list-unsubscribe list-unsubscribe-post"
).split()
# Signed once more than they stand there, so that nobody can add another.
_FROZEN = (b"from", b"to", b"cc", b"subject", b"date", b"reply-to", b"message-id")
_HOST_NAME = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.?)+")
_ED25519 = bytes.fromhex("06032b6570")  # its object identifier, 1.3.101.112
_SETTINGS = ("MAIL_DKIM_DOMAIN", "MAIL_DKIM_SELECTOR", "MAIL_DKIM_KEY_FILE")


class Signer:
    """Signs for one domain with one key. Any thread may."""

    def __init__(self, dkim: Any, domain: str, selector: str, key: bytes) -> None:
        self._dkim = dkim
        self._domain = domain.encode("ascii")
        self._selector = selector.encode("ascii")
        self._key = key

    def sign(self, content: bytes) -> bytes:
        """The message with its signature before it. Raises ValueError."""
        signing = self._dkim.DKIM(content)
        names = [name.lower() for name, _ in signing.headers]
        include = [name for name in names if name in _SIGNED] + list(_FROZEN)
        try:
            signature: bytes = signing.sign(
                self._selector,
                self._domain,
                self._key,
                canonicalize=(b"relaxed", b"relaxed"),
                include_headers=include,
            )
        except self._dkim.DKIMException as error:
            raise ValueError(f"It can't be signed: {error}") from None
        return signature + content


def signer_for(settings: MailSettings) -> Signer | None:
    """None when mail is not to be signed. Tries the key once. Raises MailSettingsError."""
    domain, selector = settings.mail_dkim_domain, settings.mail_dkim_selector
    key_file = settings.mail_dkim_key_file
    given = dict(zip(_SETTINGS, (domain, selector, key_file), strict=True))
    if not any(given.values()):
        return None
    for name, value in given.items():
        if not value:
            raise MailSettingsError(f"{name}: signing needs it too, beside {_others(name)}.")
    for name in _SETTINGS[:2]:
        if not _HOST_NAME.fullmatch(given[name]):
            raise MailSettingsError(f"{name}: {given[name]!r} can't be part of a domain name.")
    key = _read(key_file)
    if _is_ed25519(key):
        raise MailSettingsError(
            f"MAIL_DKIM_KEY_FILE: {key_file} is an Ed25519 key. Mail is signed with RSA only, "
            "which every receiver can verify: openssl genrsa -out private.pem 2048"
        )
    signer = Signer(_dkimpy(), domain, selector, key)
    try:
        signer.sign(b"From: test@example.com\r\n\r\ntest\r\n")
    except Exception as error:  # whatever a file that is no key makes the parser do
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise MailSettingsError(
            f"MAIL_DKIM_KEY_FILE: {key_file} is no RSA key in PEM form. {reason}"
        ) from None
    return signer


def _dkimpy() -> Any:
    try:
        import dkim
    except ImportError:
        raise MailSettingsError(
            "MAIL_DKIM_KEY_FILE: signing needs the package dkimpy: "
            ".venv/bin/pip install -r requirements-dkim.txt"
        ) from None
    return dkim


def _read(key_file: str) -> bytes:
    try:
        with open(key_file, "rb") as file:
            return file.read(65_536).replace(b"\r\n", b"\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise MailSettingsError(f"MAIL_DKIM_KEY_FILE: {key_file}: {reason}") from None


def _is_ed25519(key: bytes) -> bool:
    """Whether it is such a private key in PEM form (RFC 8410 section 7)."""
    found = re.search(rb"-+BEGIN PRIVATE KEY-+\s([A-Za-z0-9+/=\s]+)-+END", key)
    try:
        return found is not None and _ED25519 in base64.b64decode(found[1])[:16]
    except ValueError:
        return False


def _others(name: str) -> str:
    return " and ".join(other for other in _SETTINGS if other != name)
