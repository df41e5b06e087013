"""Sending: at least once, signed, with growing waits, and nobody delayed by another's receiver."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from budgets.models import Campaign, WebhookDelivery, WebhookEndpoint
from budgets.services import deliveries, webhooks
from budgets.services.deliveries import ATTEMPTS, IN_FLIGHT, LEASE, WAITS
from budgets.services.outbound import Reply
from budgets.tests.builders import (
    NOW,
    decided,
    deliveries_of,
    make_campaign,
    make_webhook,
    toggle,
)
from budgets.tests.colleagues import Colleagues
from budgets.tests.receiver import DROP, Message, receiving, verifies
from budgets.tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db

OK = Reply(204, seconds=0.012)
BROKEN = Reply(500)
DAYS = sum(WAITS, timedelta())


class Sent:
    """Takes what is sent, and answers as told: the same every time, or in turn."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies) or [OK]
        self.urls: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []

    def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        self.urls.append(url)
        self.headers.append(dict(headers))
        self.bodies.append(body)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers in self.headers]


def change(campaign: Campaign | None = None) -> Campaign:
    """Change a campaign's state once; that of a new one when none is named."""
    if campaign is None:
        return decided(make_campaign())
    toggle(campaign)
    return campaign


def only(endpoint: WebhookEndpoint) -> WebhookDelivery:
    (row,) = deliveries_of(endpoint)
    return row


def until_over(row: WebhookDelivery, send: deliveries.Send) -> datetime:
    """Send as often as it comes due; return when that was over."""
    now = row.due_at
    for _ in range(ATTEMPTS + 1):
        deliveries.deliver(now, send=send)
        row.refresh_from_db()
        if row.state != "pending":
            return now
        now = row.due_at
    pytest.fail("it is tried for ever")


def test_what_is_due_is_sent_once_and_written_down() -> None:
    endpoint, _ = make_webhook()
    change()
    sent = Sent()

    assert deliveries.deliver(NOW, send=sent) == {"sent": 1, "delivered": 1}
    assert deliveries.deliver(NOW + DAYS, send=sent) == {"sent": 0, "delivered": 0}

    row = only(endpoint)
    assert (sent.urls, sent.bodies, sent.ids()) == (
        [endpoint.url],
        [row.body.encode()],
        [row.message_id],
    )
    assert (row.state, row.attempts, row.is_sending) == ("delivered", 1, False)
    attempt = row.attempts_made.get()
    assert (attempt.status, attempt.error, attempt.duration_ms) == (204, "", 12)
    assert timedelta(0) <= attempt.at - NOW < timedelta(seconds=PATIENCE)


def test_nothing_due_costs_one_look_at_an_index(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert deliveries.deliver(NOW) == {"sent": 0, "delivered": 0}


def test_every_attempt_sends_the_same_bytes_and_id_at_its_own_time() -> None:
    endpoint, _ = make_webhook()
    campaign = change()
    row = only(endpoint)
    sent = Sent(BROKEN, Reply(None, "no connection"), OK)
    Campaign.objects.filter(pk=campaign.pk).update(name="Renamed")

    until_over(row, sent)

    assert len(sent.bodies) == 3
    assert len(set(sent.bodies)) == 1
    assert len(set(sent.ids())) == 1
    timestamps = [int(headers["webhook-timestamp"]) for headers in sent.headers]
    assert timestamps == sorted(set(timestamps))
    made = row.attempts_made.order_by("pk")
    assert [(it.status, it.error) for it in made] == [
        (500, ""),
        (None, "no connection"),
        (204, ""),
    ]


@pytest.mark.parametrize("status", [199, 300, 301, 302, 304, 400, 404, 429, 500, 503])
def test_only_2xx_is_taken(status: int) -> None:
    endpoint, _ = make_webhook()
    change()

    deliveries.deliver(NOW, send=Sent(Reply(status)))

    assert only(endpoint).state == "pending"


def test_waits_grow_over_three_days_and_then_it_is_disabled_with_the_reason() -> None:
    endpoint, _ = make_webhook()
    row = only_of(change(), endpoint)
    sent = Sent(BROKEN)

    began, ended = row.due_at, until_over(row, sent)

    made = list(row.attempts_made.order_by("pk").values_list("at", flat=True))
    assert len(made) == ATTEMPTS == 10
    for wait, before, after in zip(WAITS, made[:-1], made[1:], strict=True):
        assert wait <= after - before <= wait * 1.1 + timedelta(seconds=PATIENCE)
    assert DAYS <= ended - began <= DAYS * 1.1 + timedelta(minutes=5)
    assert timedelta(days=3) < DAYS
    assert row.state == "failed"
    endpoint.refresh_from_db()
    assert not endpoint.is_enabled
    assert "10 attempts over three days; at the last one: it answered 500" in (
        endpoint.disabled_reason
    )


def only_of(campaign: Campaign, endpoint: WebhookEndpoint) -> WebhookDelivery:
    return WebhookDelivery.objects.get(endpoint=endpoint, status_change__campaign=campaign)


def test_what_waits_is_cancelled_with_its_endpoint_and_nothing_more_is_sent() -> None:
    endpoint, _ = make_webhook()
    row = only_of(change(), endpoint)
    now = until_over_but_one(row)
    waiting = only_of(change(), endpoint)
    WebhookDelivery.objects.filter(pk=waiting.pk).update(due_at=now + timedelta(hours=1))

    deliveries.deliver(now, send=Sent(BROKEN))

    waiting.refresh_from_db()
    assert waiting.state == "cancelled"
    assert deliveries.deliver(now + DAYS, send=Sent()) == {"sent": 0, "delivered": 0}


def until_over_but_one(row: WebhookDelivery) -> datetime:
    """Fail all attempts but the last; return when that is due."""
    WebhookDelivery.objects.filter(pk=row.pk).update(attempts=ATTEMPTS - 1)
    return row.due_at


def test_one_change_that_a_living_receiver_cannot_digest_stops_no_others() -> None:
    endpoint, _ = make_webhook()
    row = only_of(change(), endpoint)
    now = until_over_but_one(row)
    change()

    deliveries.deliver(now, send=Sent(OK))
    WebhookDelivery.objects.filter(pk=row.pk).update(
        state="pending", attempts=ATTEMPTS - 1, due_at=now
    )
    deliveries.deliver(now, send=Sent(BROKEN))

    row.refresh_from_db()
    endpoint.refresh_from_db()
    assert row.state == "failed"
    assert [it.state for it in deliveries_of(endpoint)] == ["failed", "delivered"]
    assert endpoint.is_enabled


def test_410_disables_at_once() -> None:
    endpoint, _ = make_webhook()
    change()

    deliveries.deliver(NOW, send=Sent(Reply(410)))

    endpoint.refresh_from_db()
    assert not endpoint.is_enabled
    assert "answered 410 (gone) at 2026-11-24 15:00 UTC" in endpoint.disabled_reason
    assert only(endpoint).state == "failed"


def test_a_receiver_may_ask_for_more_patience() -> None:
    endpoint, _ = make_webhook()
    change()

    deliveries.deliver(NOW, send=Sent(Reply(503, retry_after=3600)))

    waits = only(endpoint).due_at - NOW
    assert timedelta(hours=1) <= waits < timedelta(hours=1, minutes=1)


def test_a_receiver_may_not_ask_for_more_than_a_day() -> None:
    endpoint, _ = make_webhook()
    change()

    deliveries.deliver(NOW, send=Sent(Reply(503, retry_after=999_999)))

    assert only(endpoint).due_at - NOW < timedelta(hours=24, minutes=1)


def test_a_mistake_of_ours_is_an_attempt_and_stops_nothing() -> None:
    endpoint, _ = make_webhook()
    change()

    def broken(url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        raise KeyError("unforeseen")

    deliveries.deliver(NOW, send=broken)

    assert only(endpoint).attempts_made.get().error.startswith("our mistake: KeyError")
    assert only(endpoint).state == "pending"


class TestNobodyElseIsDelayed:
    def test_by_a_receiver_that_does_not_answer(self) -> None:
        slow, _ = make_webhook("https://93.184.215.14/slow")
        quick, _ = make_webhook("https://93.184.215.14/quick")
        for _ in range(3 * IN_FLIGHT):
            change()
        lock, all_quick_are_in = threading.Lock(), threading.Event()
        counts: Counter[str] = Counter()

        def send(url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
            if url == slow.url:
                with lock:
                    counts["slow"] += 1
                    counts["most"] = max(counts["most"], counts["slow"])
                assert all_quick_are_in.wait(PATIENCE)
                with lock:
                    counts["slow"] -= 1
            else:
                with lock:
                    counts["quick"] += 1
                    if counts["quick"] == 3 * IN_FLIGHT:
                        all_quick_are_in.set()
            return OK

        deliveries.deliver(NOW, send=send, claiming=timedelta(seconds=PATIENCE))

        for endpoint in (slow, quick):
            assert {row.state for row in deliveries_of(endpoint)} == {"delivered"}
        assert counts["most"] == IN_FLIGHT

    def test_and_one_that_fails_gets_one_at_a_time(self) -> None:
        make_webhook()
        WebhookEndpoint.objects.update(failures=1)
        for _ in range(3):
            change()

        assert len(deliveries._claim(NOW, 64)) == 1
        assert deliveries._claim(NOW, 64) == []

    def test_a_success_makes_it_whole(self) -> None:
        endpoint, _ = make_webhook()
        WebhookEndpoint.objects.update(failures=7)
        change()

        deliveries.deliver(NOW, send=Sent())

        endpoint.refresh_from_db()
        assert endpoint.failures == 0


class TestLease:
    def test_a_killed_sender_leaves_nothing_to_clear_up(self) -> None:
        endpoint, _ = make_webhook()
        change()
        (lost,) = deliveries._claim(NOW, 64)  # and it never comes back
        sent = Sent()

        assert deliveries.deliver(NOW + LEASE / 2, send=sent)["sent"] == 0
        assert deliveries.deliver(NOW + LEASE, send=sent)["sent"] == 1

        assert sent.ids() == [dict(lost.headers)["webhook-id"]]
        assert only(endpoint).state == "delivered"
        assert only(endpoint).attempts == 2

    def test_an_answer_that_comes_when_another_holds_it_decides_nothing_bad(self) -> None:
        endpoint, _ = make_webhook()
        change()
        (late,) = deliveries._claim(NOW, 64)
        (held,) = deliveries._claim(NOW + LEASE, 64)

        deliveries._finish([(late, BROKEN)], NOW + LEASE)

        row = only(endpoint)
        assert (row.is_sending, row.due_at, row.attempts) == (True, NOW + 2 * LEASE, 2)
        deliveries._finish([(held, OK)], NOW + LEASE)
        assert only(endpoint).state == "delivered"

    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    def test_two_senders_at_once_send_each_once(self, colleagues: Colleagues) -> None:
        endpoint, _ = make_webhook()
        for _ in range(20):
            change()
        sent = Sent()

        def run() -> dict[str, int]:
            return deliveries.deliver(NOW, send=sent)

        first, second = colleagues.together(run, run)

        assert first["sent"] + second["sent"] == 20
        assert sorted(sent.ids()) == sorted(row.message_id for row in deliveries_of(endpoint))
        assert {row.attempts for row in deliveries_of(endpoint)} == {1}


class TestSignature:
    def test_the_official_library_takes_ours_and_no_other(self, settings: Any) -> None:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        with receiving() as receiver:
            _, secret = make_webhook(receiver.url)
            _, other = make_webhook()
            webhooks.disable(WebhookEndpoint.objects.order_by("-pk")[0], reason="not asked")
            change()

            deliveries.deliver(timezone.now())

            (message,) = receiver.messages
        headers, body = message.headers, message.body
        assert message.is_signed_with(secret)
        assert not message.is_signed_with(other)
        assert not verifies(secret, headers, body.replace(b"resumed", b"paused"))
        assert not verifies(secret, {**headers, "webhook-id": "msg_0"}, body)
        later = str(int(headers["webhook-timestamp"]) + 1)
        assert not verifies(secret, {**headers, "webhook-timestamp": later}, body)
        assert not verifies(secret, {**headers, "webhook-signature": "v1,"}, body)

    def test_during_a_rotation_both_secrets_are_good(self) -> None:
        now = timezone.now()
        endpoint, old = make_webhook()
        new = webhooks.rotate(endpoint, now=now)
        assert old != new

        def good(at: datetime, secret: str) -> bool:
            change()
            sent = Sent()
            deliveries.deliver(at, send=sent)
            # The library knows the time by the machine's clock alone.
            [(_, headers, body)] = zip(sent.urls, sent.headers, sent.bodies, strict=True)
            return matches(secret, headers, body)

        assert good(now, old)
        assert good(now, new)
        a_day = timedelta(hours=24)
        assert good(now + a_day - timedelta(minutes=1), old)
        assert not good(now + a_day, old)
        assert good(now + a_day, new)

    def test_a_change_of_the_key_needs_the_one_before(self, settings: Any) -> None:
        endpoint, secret = make_webhook()
        before = settings.SECRET_KEY
        settings.SECRET_KEY = "another" * 10
        change()
        deliveries.deliver(NOW, send=Sent())
        assert "SECRET_KEY has changed" in only(endpoint).attempts_made.get().error

        settings.SECRET_KEY_FALLBACKS = [before]
        sent = Sent()
        deliveries.deliver(only(endpoint).due_at, send=sent)
        assert matches(secret, sent.headers[0], sent.bodies[0])

        # And a rotation needs it no more, as soon as the receiver knows the new one.
        new = webhooks.rotate(endpoint, now=NOW)
        settings.SECRET_KEY_FALLBACKS = []
        change()
        deliveries.deliver(NOW, send=sent)
        assert matches(new, sent.headers[1], sent.bodies[1])


def matches(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Ask the official library for the signature itself, of whatever time."""
    from standardwebhooks.webhooks import Webhook

    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=timezone.now().tzinfo)
    wanted = Webhook(secret).sign(headers["webhook-id"], at, body.decode())
    return wanted in headers["webhook-signature"].split()


def test_a_receiver_that_loses_and_fails_ends_with_our_state(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    known: dict[int, dict[str, Any]] = {}
    ids: set[str] = set()
    bodies: dict[str, set[bytes]] = {}
    lock = threading.Lock()

    def take(message: Message, number: int) -> int:
        with lock:
            bodies.setdefault(message.id, set()).add(message.body)
        if number % 10 == 3:
            return DROP
        data = message.said["data"]
        with lock:
            ids.add(message.id)
            before = known.get(data["campaign"]["id"])
            if before is None or before["sequence"] < data["sequence"]:
                known[data["campaign"]["id"]] = data
        return 500 if number % 10 == 7 else 204

    campaigns = [decided(make_campaign()) for _ in range(12)]
    with receiving(take) as receiver:
        endpoint, _ = make_webhook(receiver.url)
        for count in range(4):
            for campaign in campaigns[count:]:
                toggle(campaign)
        now = NOW
        while waiting := WebhookDelivery.objects.pending().order_by("due_at").first():
            now = max(now, waiting.due_at)
            deliveries.deliver(now)

    rows = deliveries_of(endpoint)
    assert {row.state for row in rows} == {"delivered"}
    assert ids == {row.message_id for row in rows}
    assert len(receiver.messages) > len(rows)
    assert all(len(sent) == 1 for sent in bodies.values())
    ours = {it.pk: (it.is_active, it.hold) for it in Campaign.objects.all()}
    assert {pk: (it["is_active"], it["hold"]) for pk, it in known.items()} == {
        campaign.pk: ours[campaign.pk] for campaign in campaigns
    }
