"""A real mail server on this machine: keeps what it takes, and misbehaves as told."""

from __future__ import annotations

import asyncio
import email
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.test import override_settings

TAKEN = "250 taken"
HANG_UP = "hang up"
HANG_UP_LATE = "hang up late"
"""Keep the mail, and hang up before saying so: what the sender sees of a server that dies."""
STALL = "stall"


class Mailbox:
    """What a server took. `answers` to mails, in turn; the last one is that to all others."""

    def __init__(self, *answers: str, to: dict[str, str] | None = None) -> None:
        self.answers = list(answers) or [TAKEN]
        self.to = to or {}
        self.mails: list[EmailMessage] = []
        self.tried = 0

    async def handle_RCPT(  # noqa: N802  # the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer to an address."""
        if address in self.to:
            return self.to[address]
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # the server's name for it
        """Answer to a mail."""
        self.tried += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer in (TAKEN, HANG_UP_LATE):
            content: Any = envelope.content
            self.mails.append(email.message_from_bytes(content, policy=policy.default))
        if answer in (HANG_UP, HANG_UP_LATE):
            transport: Any = server.transport
            transport.abort()
        if answer == STALL:
            await asyncio.Event().wait()
        return answer

    def ids(self) -> list[str]:
        """Return the Message-IDs of what was taken, in order."""
        return [mail["Message-ID"] for mail in self.mails]

    def told(self) -> list[str]:
        """Return to whom what was taken goes, in order."""
        return [mail["To"] for mail in self.mails]


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def receiving_mail(*answers: str, to: dict[str, str] | None = None) -> Iterator[Mailbox]:
    """Have a server take our mails, which answers as told."""
    mailbox = Mailbox(*answers, to=to)
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        with mail_to(port):
            yield mailbox
    finally:
        controller.stop()


@contextmanager
def mail_to(port: int) -> Iterator[None]:
    """Name the server at this port of our own as that of the product."""
    with override_settings(
        MAIL_IS_CONFIGURED=True,
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        EMAIL_TIMEOUT=0.5,
        DEFAULT_FROM_EMAIL="Budget Guardian <budgets@example.com>",
    ):
        yield
