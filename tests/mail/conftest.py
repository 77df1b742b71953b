"""Mailers and certificates for the tests of mail."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from app.jobs import mail_service
from app.mail.client import Timeouts
from app.mail.mailer import Mailer
from tests.mail.certificates import Certificates, make_certificates
from tests.mail.support import TIMEOUTS, Clock, MakeMailer, Settings


@pytest.fixture
def make_mailer() -> Iterator[MakeMailer]:
    """`make_mailer(server, **settings)`: a Mailer for that server, also the process's own."""
    made: list[Mailer] = []

    def make(
        server: Any = None,
        *,
        timeouts: Timeouts = TIMEOUTS,
        clock: Clock | None = None,
        monotonic: Clock | None = None,
        **settings: Any,
    ) -> Mailer:
        if server is not None:
            settings = {"smtp_host": server.host, "smtp_port": server.port} | settings
        extra = {"monotonic": monotonic} if monotonic else {}
        mailer = Mailer(
            Settings(**settings),
            rng=random.Random(1),
            now=clock or Clock(),
            timeouts=timeouts,
            **extra,
        )
        mail_service.configure(mailer)
        made.append(mailer)
        return mailer

    yield make
    for mailer in made:
        mailer.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))
