"""How fast mail goes out, beside a bare `smtplib` loop with as many reused connections.

Run: python -m benchmarks.smtp [mails a round] [rounds]

Both talk in the clear from 16 threads of this process to the same sink in another process, in
turns: short rounds, each of which gives one ratio, so that what else the machine does meets both
alike. What counts is the median of the ratios. Two things are compared. *The transport alone*: the
same finished message in both, `Transaction` beside `SMTP.sendmail`; once with a sink that offers
PIPELINING, as Postfix and Exim do, and once without. *All of a mail*: `Mailer.send`, which builds,
checks and keeps account of each recipient, beside a loop that makes an `EmailMessage` for each mail
and calls `send_message`; once more with each mail marked in an embedded server just before DATA, as
in a worker. Beside the rates stands the processor time of this process, which other programs on the
machine disturb less.
"""

from __future__ import annotations

import random
import selectors
import smtplib
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from app.mail.addresses import parse_address
from app.mail.build import Stamp, build
from app.mail.mail import Mail
from app.mail.mailer import Mailer
from app.mail.transaction import Envelope, Transaction
from app.mail.transport import SmtpTransport
from app.queue.job import Job, Priority, Status
from app.queue.jobqueue import CLAIM_MAX, JobQueue
from app.queue.submission import NewJob
from benchmarks.servers import open_client, server

CONNECTIONS = 16
GOAL = 0.9
SENDER = parse_address("Shop <shop@example.com>")
TEXT = "Dear customer,\n\nyour order no. 4711 was sent today.\n\nThe Shop\n" * 8
MAIL = Mail(to=(parse_address("user@example.com"),), sender=SENDER, subject="Your order", text=TEXT)

Send = Callable[[int], object]  # one mail, by its number
Way = Callable[[int], Callable[[], Send]]  # by the sink's port: makes a thread's Send


def main(mails: int = 2_000, rounds: int = 11) -> None:
    compare("transport alone", transport_alone, smtplib_sendmail, mails, rounds)
    compare(
        "transport alone, without PIPELINING",
        transport_alone,
        smtplib_sendmail,
        mails,
        rounds,
        "--without-pipelining",
    )
    compare("all of a mail", all_of_a_mail, smtplib_send_message, mails, rounds)
    with server() as url:
        marked = partial(all_of_a_mail_marked, open_queue(url), mails)
        compare("all of a mail, marked", marked, smtplib_send_message, mails, rounds)


def compare(name: str, ours: Way, bare: Way, mails: int, rounds: int, *options: str) -> None:
    pairs = []
    with sink(*options) as port:
        for way in (ours, bare):  # nobody pays for what happens only once
            measure(way(port), mails // 2)
        for number in range(rounds):
            # Who is first takes turns too: the second finds the machine warm, or throttled.
            order = (ours, bare) if number % 2 else (bare, ours)
            figures = {way: measure(way(port), mails) for way in order}
            pairs.append((figures[ours], figures[bare]))
    print(f"{name}:")
    for n, who in enumerate(("this project's", "bare smtplib loop")):
        rate = statistics.median(pair[n].rate for pair in pairs)
        cpu = statistics.median(pair[n].cpu for pair in pairs)
        print(f"  {who:<17} {rate:>9,.0f} mails/s  {cpu * 1e6:>6,.0f} µs CPU a mail")
    ratios = sorted(pair[0].rate / pair[1].rate for pair in pairs)
    cpu_ratio = statistics.median(pair[1].cpu / pair[0].cpu for pair in pairs)
    print(
        f"  ratio             {statistics.median(ratios):>9.2f}          {cpu_ratio:>6.2f}"
        f"  (at least {GOAL}; from {ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


# ── What is compared ────────────────────────────────────────────────────────────────────────


def transport_alone(port: int) -> Callable[[], Send]:
    transport = mailer_for(port)._transport
    assert isinstance(transport, SmtpTransport)
    envelope = Envelope(SENDER, MAIL.to, finished_message())
    return lambda: lambda _number: transport.send(Transaction(envelope))


def all_of_a_mail(port: int) -> Callable[[], Send]:
    mailer = mailer_for(port)
    return lambda: lambda number: mailer.send(job(number), MAIL)


def all_of_a_mail_marked(queue: JobQueue, mails: int, port: int) -> Callable[[], Send]:
    """Claimed before, as a worker claims ahead; what is measured asks Redis once for each mail."""
    mailer = mailer_for(port)
    queue.submit_many([NewJob("send_email", "{}")] * (mails + CONNECTIONS))
    claimed: list[Job] = []
    while jobs := queue.claim("benchmark", CLAIM_MAX):
        claimed += jobs

    def send(_number: int) -> None:
        job = claimed.pop()
        job.mark_sending = lambda: queue.mark_sending(job) == "ok"
        mailer.send(job, MAIL)

    return lambda: send


def open_queue(url: str) -> JobQueue:
    return JobQueue(open_client(url), lease_ms=3_600_000, search=False)


def smtplib_sendmail(port: int) -> Callable[[], Send]:
    content = finished_message()

    def connect() -> Send:
        client = smtplib.SMTP("127.0.0.1", port)
        return lambda _number: client.sendmail(SENDER.wire, "user@example.com", content)

    return connect


def smtplib_send_message(port: int) -> Callable[[], Send]:
    def connect() -> Send:
        client = smtplib.SMTP("127.0.0.1", port)
        return lambda _number: client.send_message(email_message())

    return connect


def finished_message() -> bytes:
    return build(MAIL, SENDER, Stamp(1, 1_748_783_995.8, "{}")).content


def email_message() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Shop <shop@example.com>"
    message["To"] = "user@example.com"
    message["Subject"] = MAIL.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="example.com")
    message.set_content(TEXT)
    return message


def job(number: int) -> Job:
    return Job(
        number, "send_email", "{}", Priority.LOW, time.time(), Status.PROCESSING, mark_sending=_yes
    )


def _yes() -> bool:
    return True


def mailer_for(port: int) -> Mailer:
    settings = SimpleNamespace(
        data_dir=Path("data"),
        retry_base_seconds=30.0,
        max_retries=None,
        smtp_host="127.0.0.1",
        smtp_port=port,
        smtp_username="",
        smtp_password="",
        smtp_security="none",
        smtp_ca_file="",
        smtp_helo_name="benchmark.test",
        smtp_max_messages_per_connection=1_000_000,
        mail_from="shop@example.com",
        mail_allowed_from=(),
        mail_dkim_domain="",
        mail_dkim_selector="",
        mail_dkim_key_file="",
    )
    return Mailer(settings, rng=random.Random(1), now=time.time)


class Figure(NamedTuple):
    rate: float  # mails a second
    cpu: float  # seconds of this process for one mail


def measure(connect: Callable[[], Send], mails: int) -> Figure:
    """16 threads at once; connecting is not in it, nor the first mail of each connection."""
    each = mails // CONNECTIONS
    begin = threading.Barrier(CONNECTIONS + 1)

    def send_all() -> None:
        send = connect()
        send(0)
        begin.wait()
        for number in range(each):
            send(number)

    threads = [threading.Thread(target=send_all) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    begin.wait()
    began, cpu_began = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    sent = each * CONNECTIONS
    return Figure(sent / seconds, cpu_seconds / sent)


# ── The sink ────────────────────────────────────────────────────────────────────────────────


@contextmanager
def sink(*options: str) -> Iterator[int]:
    """The port of a server, in a process of its own, that takes every mail and keeps none."""
    command = [sys.executable, "-m", "benchmarks.smtp", "--sink", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def serve(extensions: tuple[str, ...]) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    offer = b"250-sink.test\r\n" + b"".join(f"250-{e}\r\n".encode() for e in extensions)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(b"220 sink.test ESMTP\r\n")
                selector.register(connection, selectors.EVENT_READ, Talk(offer + b"250 HELP\r\n"))
                continue
            connection = key.fileobj
            try:
                data = connection.recv(1_048_576)
                connection.sendall(key.data.answer(data))
            except OSError:
                data = b""
            if not data:
                selector.unregister(connection)
                connection.close()


class Talk:
    """One connection. Commands that came together are answered together (RFC 2920)."""

    def __init__(self, offer: bytes) -> None:
        self._offer = offer
        self._received = b""
        self._in_message = False

    def answer(self, data: bytes) -> bytes:
        self._received += data
        answers = b""
        while True:
            end = b"\r\n.\r\n" if self._in_message else b"\r\n"
            part, found, rest = self._received.partition(end)
            if not found:
                return answers
            self._received = rest
            answers += self._answer_to(part[:4].upper())

    def _answer_to(self, verb: bytes) -> bytes:
        if self._in_message:
            self._in_message = False
            return b"250 2.0.0 Ok: queued\r\n"
        if verb == b"EHLO":
            return self._offer
        if verb == b"DATA":
            self._in_message = True
            return b"354 End data with <CR><LF>.<CR><LF>\r\n"
        return b"250 2.1.0 Ok\r\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--sink"]:
        pipelining = () if "--without-pipelining" in sys.argv else ("PIPELINING",)
        serve((*pipelining, "SIZE 33554432", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"))
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
