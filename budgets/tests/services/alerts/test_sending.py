"""Mails arrive, at a real server: also one that refuses, stalls and dies, and once all the same."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from budgets.models import AlertMessage, AlertRecipient, Brand
from budgets.services import access
from budgets.services.alerts import sending
from budgets.services.alerts.sending import ATTEMPTS, LEASE, NEWS_FOR, WAITS
from budgets.tests.builders import (
    NOW,
    alerted,
    decided,
    make_brand,
    make_campaign,
    make_recipient,
    spend,
)
from budgets.tests.colleagues import ON_POSTGRESQL, Colleagues
from budgets.tests.mailbox import (
    HANG_UP,
    HANG_UP_LATE,
    STALL,
    TAKEN,
    free_port,
    mail_to,
    receiving_mail,
)

pytestmark = pytest.mark.django_db

HOSTILE = 'Acme\r\nBcc: all@example.com\r\n\r\n<script>alert("1")</script>\u202e & Söhne'


def crossed(brand: Brand | None = None, amount: int = 85) -> Brand:
    """Have a brand pass thresholds, and raise the alerts."""
    owner = brand or make_brand(name="Acme", daily_budget=100)
    spend(decided(make_campaign(owner)), amount)
    alerted()
    return owner


def messages() -> list[AlertMessage]:
    return list(AlertMessage.objects.order_by("pk"))


def only() -> AlertMessage:
    (message,) = messages()
    return message


def until_over(message: AlertMessage) -> datetime:
    """Send as often as it comes due; return when that was over."""
    for _ in range(ATTEMPTS + 1):
        now = message.due_at
        sending.send(now)
        message.refresh_from_db()
        if message.state != "pending":
            return now
    pytest.fail("it is tried for ever")


def test_a_mail_says_plain_and_as_html_what_happened(settings: Any) -> None:
    settings.SITE_URL = "https://budgets.example.com"
    make_recipient("ana@example.com")
    crossed(make_brand(name="Acme", daily_budget=2000, currency="EUR"), amount=1700)

    with receiving_mail() as mailbox:
        assert sending.send(NOW) == {"sent": 1, "failed": 0}
        assert sending.send(NOW + timedelta(days=9)) == {"sent": 0, "failed": 0}

    (mail,) = mailbox.mails
    assert mail["Subject"] == "Acme: 80 % of the daily budget of 2026-11-24 reached"
    assert (mail["From"], mail["To"]) == (
        "Budget Guardian <budgets@example.com>",
        "ana@example.com",
    )
    assert mail["Message-ID"] == f"<{only().message_id}@example.com>"
    plain, html = mail.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    for part in (plain, html):
        text = part.get_content()
        for said in ("Acme", "1,700.00 EUR", "2,000.00 EUR", "https://budgets.example.com/alerts/"):
            assert said in text
    assert (only().state, only().attempts, only().error) == ("sent", 1, "")
    sent_at = only().sent_at
    assert sent_at is not None
    assert timedelta(0) <= sent_at - NOW < timedelta(seconds=30)


def test_hostile_names_are_harmless() -> None:
    make_recipient("ana@example.com")
    crossed(make_brand(name=HOSTILE, daily_budget=100))

    with receiving_mail() as mailbox:
        assert sending.send(NOW)["sent"] == 1

    (mail,) = mailbox.mails
    assert mail["Subject"].strip().startswith("Acme Bcc: all@example.com <script>")
    assert (mail["Bcc"], mailbox.told()) == (None, ["ana@example.com"])
    plain, html = (part.get_content() for part in mail.iter_parts())
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "& Söhne" in plain
    assert "\u202e" not in plain + html
    assert "Brand: Acme Bcc: all@example.com" in plain


def test_each_is_told_once_of_what_they_chose_and_may_see() -> None:
    acme, bolt = (make_brand(name=name, daily_budget=100) for name in ("Acme", "Bolt"))
    make_recipient("all@example.com")
    make_recipient("acme@example.com", acme)
    make_recipient("silence@example.com", kinds=["campaign_silent"])
    make_recipient("off@example.com", is_enabled=False)
    gone = make_recipient("gone@example.com", bolt)
    gone.brands.clear()

    crossed(acme)
    crossed(bolt)
    with receiving_mail() as mailbox:
        sending.send(NOW)

    assert Counter(mailbox.told()) == {"all@example.com": 2, "acme@example.com": 1}


def test_who_signs_in_no_more_is_told_no_more(django_user_model: Any) -> None:
    ana, bo = (django_user_model.objects.create_superuser(name) for name in ("ana", "bo"))
    make_recipient("ana@example.com", user=ana)
    make_recipient("bo@example.com", user=bo)
    bo.is_active = False
    bo.save()

    crossed()

    assert [it.address for it in messages()] == ["ana@example.com"]


def test_a_person_is_told_of_no_brand_that_they_do_not_see(django_user_model: Any) -> None:
    acme, bolt = (make_brand(name=name, daily_budget=100) for name in ("Acme", "Bolt"))
    ana = django_user_model.objects.create_user("ana")
    ana.user_permissions.add(Permission.objects.get(codename="view_brand"))
    access.restrict(ana, [acme])
    nobody = django_user_model.objects.create_user("nobody")
    make_recipient("ana@example.com", user=ana)
    make_recipient("nobody@example.com", user=nobody)
    make_recipient("neither@example.com", bolt, user=ana)

    crossed(acme)
    crossed(bolt)

    assert [(it.address, it.alert.brand) for it in messages()] == [("ana@example.com", acme)]


def test_without_a_server_mails_wait_for_a_day(settings: Any) -> None:
    make_recipient()
    crossed()

    assert sending.send(NOW) == {"sent": 0, "failed": 0}
    sending.send(NOW + NEWS_FOR - timedelta(seconds=1))
    assert (only().state, only().attempts) == ("pending", 0)
    sending.send(NOW + NEWS_FOR)

    assert (only().state, only().error) == ("failed", "It was not sent within a day.")
    with receiving_mail() as mailbox:
        sending.send(NOW + NEWS_FOR)
    assert mailbox.mails == []


def test_a_server_that_is_not_there_is_tried_again_and_the_others_wait() -> None:
    make_recipient()
    for name in ("Acme", "Bolt"):
        crossed(make_brand(name=name, daily_budget=100))

    with mail_to(free_port()):
        assert sending.send(NOW) == {"sent": 0, "failed": 1}

    first, second = messages()
    assert first.state == second.state == "pending"
    assert (first.attempts, second.attempts) == (1, 0)
    assert WAITS[0] <= first.due_at - NOW < WAITS[0] + timedelta(seconds=30)
    assert "ConnectionRefusedError" in first.error
    with receiving_mail() as mailbox:
        sending.send(first.due_at)
    assert len(mailbox.mails) == 2
    assert [it.error for it in messages()] == ["", ""]


def test_waits_grow_and_then_it_is_given_up_with_the_reason() -> None:
    make_recipient()
    crossed()

    with receiving_mail("451 not at this hour") as mailbox:
        ended = until_over(only())

    assert mailbox.tried == ATTEMPTS
    assert sum(WAITS, timedelta()) <= ended - NOW < NEWS_FOR
    assert list(WAITS) == sorted(set(WAITS))
    assert (only().state, only().error) == (
        "failed",
        "The mail server answers 451 not at this hour",
    )


def test_an_address_that_is_refused_for_good_is_not_tried_again_and_stops_no_other() -> None:
    make_recipient("nobody@example.com")
    make_recipient("ana@example.com")
    crossed()

    with receiving_mail(to={"nobody@example.com": "550 no such user"}) as mailbox:
        assert sending.send(NOW) == {"sent": 1, "failed": 1}

    assert mailbox.told() == ["ana@example.com"]
    nobody, ana = messages()
    assert (nobody.state, nobody.attempts) == ("failed", 1)
    assert nobody.error == "The mail server answers 550 no such user"
    assert ana.state == "sent"


def test_a_server_that_stalls_keeps_us_for_as_long_as_the_timeout() -> None:
    make_recipient()
    crossed()

    with receiving_mail(STALL, TAKEN) as mailbox:
        assert sending.send(NOW) == {"sent": 0, "failed": 1}
        assert "imed out" in only().error
        assert sending.send(only().due_at) == {"sent": 1, "failed": 0}

    assert mailbox.tried == 2
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(("dies", "copies"), [(HANG_UP, 1), (HANG_UP_LATE, 2)])
def test_a_server_that_dies_gets_the_mail_again_under_the_same_id(dies: str, copies: int) -> None:
    make_recipient()
    crossed()

    with receiving_mail(dies, TAKEN) as mailbox:
        assert sending.send(NOW) == {"sent": 0, "failed": 1}
        assert sending.send(only().due_at) == {"sent": 1, "failed": 0}

    assert len(mailbox.ids()) == copies
    assert len(set(mailbox.ids())) == 1
    assert len({mail.as_bytes().partition(b"\n\n")[0] for mail in mailbox.mails}) <= copies


def test_what_a_killed_sender_held_comes_due_again_and_not_before() -> None:
    make_recipient()
    crossed()

    class Killed(BaseException):
        pass

    def dies() -> Any:
        raise Killed

    class Backend:
        def open(self) -> None:
            dies()

        def close(self) -> None:
            """Nobody is left to close anything."""

    with receiving_mail() as mailbox:
        with pytest.raises(Killed):
            sending.send(NOW, connect=Backend)  # type: ignore[arg-type]  # as much of one as is needed
        assert sending.send(NOW + LEASE - timedelta(seconds=20)) == {"sent": 0, "failed": 0}
        assert sending.send(NOW + LEASE + timedelta(seconds=5)) == {"sent": 1, "failed": 0}

    assert len(mailbox.mails) == 1


def test_who_was_removed_meanwhile_is_not_written_to() -> None:
    removed, off, kept = (make_recipient() for _ in range(3))
    crossed()
    removed.delete()
    AlertRecipient.objects.filter(pk=off.pk).update(is_enabled=False)

    with receiving_mail() as mailbox:
        sending.send(NOW)

    assert mailbox.told() == [kept.address]
    assert [it.state for it in messages()] == ["failed", "failed", "sent"]
    assert "removed or switched off" in messages()[0].error


def test_nothing_due_costs_two_looks_at_an_index(
    django_assert_num_queries: Any, settings: Any
) -> None:
    settings.MAIL_IS_CONFIGURED = True
    with django_assert_num_queries(2):
        assert sending.send(NOW) == {"sent": 0, "failed": 0}


class TestAtOnce:
    pytestmark = ON_POSTGRESQL

    def test_senders_at_once_send_everything_once(self, colleagues: Colleagues) -> None:
        for _ in range(12):
            make_recipient()
        crossed()

        with receiving_mail() as mailbox:
            counts = colleagues.together(*[lambda: sending.send(NOW)] * 3)

        assert sum(count["sent"] for count in counts) == 12
        assert len(set(mailbox.told())) == len(mailbox.mails) == 12
