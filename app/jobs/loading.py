"""Brings the job types into the process: the built-in ones and those of JOB_MODULES."""

from __future__ import annotations

import importlib
import os
import random
import sys
import time
from typing import Protocol

from app.jobs import mail_service, webhook_settings
from app.jobs.webhook_settings import EventSettings
from app.mail.mailer import Mailer
from app.mail.settings import MailSettings, MailSettingsError
from app.queue.connection import connect
from app.queue.suppressions import Suppressions

_BUILT_IN = ("app.jobs.send_email", "app.jobs.webhook")


class JobSettings(MailSettings, EventSettings, Protocol):
    """What job types need of the settings; `Config` has it."""

    @property
    def job_modules(self) -> tuple[str, ...]: ...
    @property
    def mail_suppression(self) -> bool: ...
    @property
    def key_prefix(self) -> str: ...
    @property
    def server_url(self) -> str: ...


class JobModuleError(Exception):
    """A module with job types can't be loaded. One line that names it and the cause."""

    def __init__(self, module: str, cause: str) -> None:
        self.module = module
        super().__init__(" ".join(f"Job types of {module} can't be loaded: {cause}".split()))


def load_job_types(config: JobSettings) -> None:
    """After this, `find` knows every job type and mail can be sent. May be called again.

    Raises JobModuleError.
    """
    suppressions = _suppressions(config)
    try:
        mailer = Mailer(config, rng=random.Random(), now=time.time, suppressions=suppressions)
        webhook_settings.configure(config)
    except MailSettingsError as error:
        raise JobModuleError("app.jobs.send_email", str(error)) from error
    except ValueError as error:
        raise JobModuleError("app.jobs.webhook", str(error)) from error
    mail_service.configure(mailer)
    # Users' modules lie beside the program; gunicorn and `python -m` differ in what they add.
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    for module in (*_BUILT_IN, *config.job_modules):
        _load(module)


def close_job_types() -> None:
    """At a worker's shutdown: closes what job types keep open (connections to the SMTP server)."""
    mail_service.close()


def _suppressions(config: JobSettings) -> Suppressions | None:
    if not config.mail_suppression:
        return None
    # It connects when the first mail is sent: in a process that only checks payloads, never.
    prefix = config.key_prefix
    client = connect(config.server_url, name="mailroom-mail", slot_key=prefix)
    return Suppressions(client, prefix=prefix)


def _load(module: str) -> None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise JobModuleError(module, f"{type(error).__name__}: {error}") from error
