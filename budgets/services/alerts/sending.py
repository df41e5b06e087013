"""Sending mails: at least once, one at a time, with growing waits.

The database is the queue. A sender takes a mail by moving `due_at` to the end of a lease, commits,
and sends without a lock or a transaction; what a killed sender held comes due again by itself. Only
a kill between the server's answer and our note of it can send a mail again, with the same Message-ID.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from smtplib import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import Case, F, Value, When

from budgets.models import AlertMessage, MessageState
from budgets.services.alerts import mail
from budgets.services.runs import Run

logger = logging.getLogger(__name__)

WAITS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
)
"""After each failed attempt."""

ATTEMPTS = len(WAITS) + 1
NEWS_FOR = timedelta(days=1)
"""What was not sent for so long is no news, and is given up: also where no mail server is known."""

LEASE = timedelta(minutes=5)
"""How long a sender holds a mail: longer than a task may run, so that whoever held it is gone."""

CLAIMING = timedelta(seconds=20)
"""How long a run goes on taking mails; a slow server is given time for the last one."""

Connect = Callable[[], BaseEmailBackend]


class _Trouble(Exception):
    """A mail was not taken. `is_final`: nor will it be; `is_servers`: nor would any other be now."""

    def __init__(self, words: str, *, is_final: bool = False, is_servers: bool = False) -> None:
        super().__init__(mail.one_line(words)[:300])
        self.is_final, self.is_servers = is_final, is_servers


def send(
    now: datetime, *, connect: Connect = get_connection, claiming: timedelta = CLAIMING
) -> dict[str, int]:
    """Send the mails that are due, for as long as `claiming`; return counts.

    May run several times at once. `now` is when it begins; later instants are measured from it.
    """
    run = Run(now, claiming)
    counts = {"sent": 0, "failed": 0}
    _give_up_old(now)
    if not settings.MAIL_IS_CONFIGURED:
        return counts
    server = connect()
    try:
        while run.takes_more:
            message = _claim(run.instant)
            if message is None:
                break
            try:
                _post(message, server)
            except _Trouble as trouble:
                counts["failed"] += 1
                _note_trouble(message, trouble, run.instant)
                if trouble.is_servers:
                    break
            else:
                counts["sent"] += 1
                _note_sent(message, run.instant)
    finally:
        _close(server)
    return counts


def _claim(now: datetime) -> AlertMessage | None:
    """Take the mail that is due for longest, and commit that it is ours for a while."""
    due = AlertMessage.objects.due(now).order_by("due_at", "pk")
    if not due.exists():  # without a lock: an idle run costs one look at an index
        return None
    with transaction.atomic():
        taken = due.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True)
        pk = taken.first()
        if pk is None:
            return None
        rows = AlertMessage.objects.filter(pk=pk)
        rows.update(due_at=now + LEASE, attempts=F("attempts") + 1)
    return rows.select_related("alert", "recipient").get()


def _post(message: AlertMessage, server: BaseEmailBackend) -> None:
    """Send one mail; raise `_Trouble` when it was not taken."""
    recipient = message.recipient
    if recipient is None or not recipient.is_enabled:
        raise _Trouble("The recipient was removed or switched off meanwhile.", is_final=True)
    try:
        # A server may have hung up since the last one; opening an open connection does nothing.
        server.open()
        server.send_messages([mail.compose(message)])
    except SMTPRecipientsRefused as error:
        code, words = next(iter(error.recipients.values()))
        raise _trouble(code, words) from error
    except SMTPDataError as error:
        raise _trouble(error.smtp_code, error.smtp_error) from error
    except SMTPResponseException as error:  # it does not talk to us, or refuses whom we are
        _close(server)
        said = f"The mail server answers {error.smtp_code} {_text(error.smtp_error)}"
        raise _Trouble(said, is_servers=True) from error
    except (SMTPException, OSError) as error:
        _close(server)
        said = f"The mail server cannot be used: {type(error).__name__}: {error}"
        raise _Trouble(said, is_servers=True) from error
    except ValueError as error:  # a header or an address that cannot be written
        raise _Trouble(f"It cannot be written as a mail: {error}", is_final=True) from error


def _trouble(code: int, words: bytes | str) -> _Trouble:
    """Return what an answer to one mail means: 5xx is for good."""
    return _Trouble(f"The mail server answers {code} {_text(words)}", is_final=code >= 500)


def _text(words: bytes | str) -> str:
    return words.decode(errors="replace") if isinstance(words, bytes) else words


def _note_sent(message: AlertMessage, now: datetime) -> None:
    AlertMessage.objects.filter(pk=message.pk).update(
        state=MessageState.SENT, sent_at=now, error=""
    )


def _note_trouble(message: AlertMessage, trouble: _Trouble, now: datetime) -> None:
    logger.warning("mail %s was not sent: %s", message.pk, trouble)
    # Unless the lease ran out and somebody else holds it by now.
    ours = AlertMessage.objects.pending().filter(pk=message.pk, attempts=message.attempts)
    if trouble.is_final or message.attempts >= ATTEMPTS:
        ours.update(state=MessageState.FAILED, error=str(trouble))
    else:
        ours.update(due_at=now + WAITS[message.attempts - 1], error=str(trouble))


def _give_up_old(now: datetime) -> None:
    # Not one that is being sent at this moment: that is not due.
    old = AlertMessage.objects.due(now).filter(created_at__lte=now - NEWS_FOR)
    why = Case(When(error="", then=Value("It was not sent within a day.")), default=F("error"))
    old.update(state=MessageState.FAILED, error=why)


def _close(server: BaseEmailBackend) -> None:
    try:
        server.close()
    except (SMTPException, OSError) as error:
        logger.info("the mail server hung up: %s", error)
