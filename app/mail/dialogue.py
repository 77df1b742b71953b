"""What is said on one SMTP connection, and how far it has come: so every failure has its phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.mail.client import Server, SmtpClient
from app.mail.outcomes import CONNECTING, BadReply, Phase, Reply, SmtpFailure
from app.mail.text import clean_reply


class Refused(Exception):
    """A reply of 4xx or 5xx. Leaves a Dialogue as SmtpFailure."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Dialogue:
    """One connection's client and phase. Everything said is said within `failures`."""

    def __init__(self, server: Server, monotonic: Callable[[], float]) -> None:
        self.client = SmtpClient(server, monotonic)
        self.phase = Phase.CONNECT

    def at(self, phase: Phase, seconds: float) -> None:
        """The next step, and how long it may take."""
        self.phase = phase
        self.client.seconds = seconds

    def ask(self, first_digit: int, command: str, arguments: str = "") -> Reply:
        """Raises Refused, OSError."""
        return self.expect(first_digit, self.client.docmd(command, arguments))

    @staticmethod
    def expect(first_digit: int, answer: tuple[int, bytes]) -> Reply:
        """The reply, when it is of the class (2 or 3) that may stand here.

        Raises Refused, BadReply.
        """
        code, text = answer
        reply = Reply(code, clean_reply(text))
        if code // 100 == first_digit:
            return reply
        if code >= 400:
            raise Refused(reply)
        raise BadReply(f"The server's answer makes no sense here: {reply}")

    @contextmanager
    def failures(self, answers: dict[str, Reply]) -> Iterator[None]:
        """Turns whatever happens into SmtpFailure, and closes the connection at any doubt."""
        try:
            yield
        except Refused as refusal:
            if refusal.reply.code == 421 or self.phase in CONNECTING:
                self.close()
            raise SmtpFailure(self.phase, reply=refusal.reply, answers=answers) from None
        except (OSError, ValueError) as error:
            self.close()
            raise SmtpFailure(self.phase, cause=error, answers=answers) from error
        except BaseException as error:
            # A job's time-out can strike anywhere. After the dot it must not hide the doubt.
            self.close()
            if self.phase is Phase.REPLY:
                raise SmtpFailure(self.phase, cause=error, answers=answers) from error
            raise

    def close(self) -> None:
        self.client.close()
