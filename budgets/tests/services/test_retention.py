"""Forgetting: what is over and old, never what waits, nothing of the log, a bounded number at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from budgets.models import (
    ApiKey,
    IdempotentAnswer,
    StatusChange,
    WebhookAttempt,
    WebhookDelivery,
)
from budgets.services import deliveries, passes, retention, webhooks
from budgets.services.outbound import Reply
from budgets.tests.builders import (
    NOW,
    decided,
    deliveries_of,
    make_campaign,
    make_key,
    make_webhook,
)
from budgets.tests.statements import plan_of, statements

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def delivered(at: datetime = NOW) -> WebhookDelivery:
    """Return a delivery that its receiver took at `at`."""
    endpoint, _ = make_webhook()
    webhooks.test(endpoint, now=at)
    deliveries.deliver(at, send=lambda *_: Reply(204))
    (row,) = deliveries_of(endpoint)
    assert row.state == "delivered"
    return row


def make_answers(*expire: datetime) -> None:
    make_key(name=f"program {expire[0]}")
    key = ApiKey.objects.latest("pk")
    IdempotentAnswer.objects.bulk_create(
        IdempotentAnswer(api_key=key, idempotency_key=f"key {at}", fingerprint="", expires_at=it)
        for at, it in enumerate(expire)
    )


def test_a_delivery_is_kept_for_thirty_days_and_its_attempts_with_it() -> None:
    row = delivered()

    assert retention.prune(NOW + 30 * DAY) == 0
    assert row.attempts_made.count() == 1

    assert retention.prune(NOW + 31 * DAY) == 1
    assert not WebhookDelivery.objects.exists()
    assert not WebhookAttempt.objects.exists()


def test_the_setting_says_how_long(settings: Any) -> None:
    settings.WEBHOOK_KEEP_DAYS = 4
    delivered()

    assert retention.prune(NOW + 4 * DAY) == 0
    assert retention.prune(NOW + 5 * DAY) == 1


def test_what_waits_is_never_forgotten() -> None:
    endpoint, _ = make_webhook()
    webhooks.test(endpoint, now=NOW)

    assert retention.prune(NOW + 3650 * DAY) == 0

    assert [row.state for row in deliveries_of(endpoint)] == ["pending"]


def test_a_replay_is_as_good_as_new() -> None:
    row = delivered()
    webhooks.replay(row, now=NOW + 29 * DAY)
    deliveries.deliver(NOW + 29 * DAY, send=lambda *_: Reply(204))

    assert retention.prune(NOW + 31 * DAY) == 0
    assert retention.prune(NOW + 60 * DAY) == 1


def test_what_was_cancelled_or_given_up_is_forgotten_too() -> None:
    endpoint, _ = make_webhook()
    webhooks.test(endpoint, now=NOW)
    deliveries.deliver(NOW, send=lambda *_: Reply(500))
    webhooks.test(endpoint, now=NOW)
    webhooks.disable(endpoint, reason="")
    assert [row.state for row in deliveries_of(endpoint)] == ["failed", "cancelled"]

    assert retention.prune(NOW + 31 * DAY) == 2


def test_the_log_of_changes_stays_whole() -> None:
    endpoint, _ = make_webhook()
    decided(make_campaign())
    deliveries.deliver(NOW, send=lambda *_: Reply(204))
    before = list(StatusChange.objects.values())

    assert retention.prune(NOW + 31 * DAY) == 1

    assert not deliveries_of(endpoint)
    assert list(StatusChange.objects.values()) == before != []


def test_answers_are_forgotten_when_they_expire() -> None:
    make_answers(NOW, NOW + timedelta(seconds=1))

    assert retention.prune(NOW) == 1

    assert IdempotentAnswer.objects.get().expires_at > NOW
    assert ApiKey.objects.count() == 1


def test_a_backlog_is_taken_in_batches_and_not_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(retention, "BATCHES", 2)
    make_answers(*[NOW] * 8)

    said = statements(lambda: retention.prune(NOW))

    assert IdempotentAnswer.objects.count() == 2
    assert sum("DELETE" in it for it in said) == 2
    assert retention.prune(NOW) == 2
    assert retention.prune(NOW) == 0


def test_nothing_old_costs_one_look_at_an_index_of_each() -> None:
    asked = [it for it in statements(lambda: retention.prune(NOW)) if it.startswith("SELECT")]

    assert len(asked) == 2
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Of an empty table it would read the whole.
            cursor.execute("SET LOCAL enable_seqscan = off")
        for sql, index in zip(
            asked, ["webhook_delivery_settled", "idempotent_answer_expires"], strict=True
        ):
            assert index in plan_of(sql)


def test_it_comes_with_the_full_check_and_no_oftener() -> None:
    assert passes.check_and_pause(NOW)["forgotten"] == 0
    make_answers(NOW, NOW)

    assert passes.check_and_pause(NOW + timedelta(minutes=14))["forgotten"] == 0
    assert passes.check_and_pause(NOW + timedelta(minutes=15))["forgotten"] == 2


def test_who_replays_what_was_just_forgotten_is_told() -> None:
    row = delivered()
    row.endpoint  # noqa: B018  # read before, as the doors do
    retention.prune(NOW + 31 * DAY)

    with pytest.raises(ValidationError) as refused:
        webhooks.replay(row, now=NOW + 31 * DAY)

    assert refused.value.code == "forgotten"
