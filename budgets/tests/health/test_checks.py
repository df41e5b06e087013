"""Each check, green and red."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from budgets.health import checks
from budgets.health.checks import Check, Status
from budgets.models import AlertMessage, Brand, Campaign, PassRecord, Spend
from budgets.services import deliveries, passes, webhooks
from budgets.services.access import EVERYTHING, NOTHING, Sight
from budgets.services.outbound import Reply
from budgets.tests.builders import (
    alerted,
    decided,
    make_brand,
    make_campaign,
    make_recipient,
    make_webhook,
    spend,
)
from budgets.tests.health.conftest import NOW
from django_celery_budget.celery import app

pytestmark = pytest.mark.usefixtures("all_is_well")

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def check(key: str, *, after: timedelta = timedelta(0), ask_workers: bool = False) -> Check:
    """Return the check `key` as it is `after` everything was well."""
    report = checks.examine(NOW + after, sight=EVERYTHING, ask_workers=ask_workers)
    return next(check for check in report.checks if check.key == key)


def test_everything_is_green_when_all_is_well() -> None:
    report = checks.examine(NOW, sight=EVERYTHING, ask_workers=True)

    assert {check.key: check.status for check in report.checks} == dict.fromkeys(
        [
            "database",
            "migrations",
            "broker",
            "passes",
            "worker",
            "beat",
            "uncounted",
            "full_check",
            "clock",
            "brands",
            "webhooks",
            "alerts",
        ],
        Status.OK,
    )
    assert report.status == "ok"


def test_passes_are_red_after_three_intervals_and_green_again_by_themselves() -> None:
    assert check("passes", after=3 * MINUTE).status is Status.OK

    late = check("passes", after=3 * MINUTE + SECOND)
    assert late.status is Status.FAIL
    assert "check_and_pause_campaigns last completed 3 min ago" in late.words

    passes.check_and_pause(NOW + 3 * MINUTE)
    assert check("passes", after=3 * MINUTE + SECOND).status is Status.FAIL  # the other is late
    passes.reset(NOW + 3 * MINUTE)
    assert check("passes", after=3 * MINUTE + SECOND).status is Status.OK


def test_passes_are_red_before_the_first() -> None:
    PassRecord.objects.all().delete()

    first = check("passes")

    assert first.status is Status.FAIL
    assert "No pass has completed yet" in first.words


def test_the_patience_with_passes_follows_an_edited_interval() -> None:
    interval = IntervalSchedule.objects.create(every=10, period=IntervalSchedule.MINUTES)
    PeriodicTask.objects.filter(task__startswith="budgets.").update(interval=interval)

    assert check("passes", after=30 * MINUTE).status is Status.OK
    assert check("beat", after=30 * MINUTE).status is Status.OK
    assert check("passes", after=31 * MINUTE).status is Status.FAIL
    assert check("beat", after=31 * MINUTE).status is Status.FAIL


def test_a_worker_is_proved_by_a_pass_or_else_asked() -> None:
    late = 4 * MINUTE
    assert check("worker").status is Status.OK
    assert "none could be asked" in check("worker", after=late).words

    silent = check("worker", after=late, ask_workers=True)

    assert silent.status is Status.FAIL
    assert "None answers" in silent.words


def test_beat_is_red_when_it_does_not_send() -> None:
    assert check("beat", after=3 * MINUTE).status is Status.OK

    silent = check("beat", after=4 * MINUTE)

    assert silent.status is Status.FAIL
    assert "“Check and pause campaigns” for 4 min" in silent.words
    assert silent.value["reset_daily_monthly_spend"] == {
        "enabled": True,
        "interval_seconds": 60,
        "last_run_at": NOW.isoformat(),
    }


def test_beat_is_red_when_an_entry_is_missing_or_disabled() -> None:
    PeriodicTask.objects.filter(task="budgets.tasks.check_and_pause_campaigns").update(
        enabled=False
    )
    PeriodicTask.objects.filter(task="budgets.tasks.reset_daily_monthly_spend").delete()

    beat = check("beat")

    assert beat.status is Status.FAIL
    assert "Disabled: “Check and pause campaigns”" in beat.words
    assert "No periodic task sends reset_daily_monthly_spend" in beat.words


def test_beat_has_three_intervals_for_an_entry_that_was_just_made() -> None:
    PeriodicTask.objects.update(last_run_at=None)

    assert check("beat", after=2 * MINUTE).status is Status.WARN
    assert check("beat", after=4 * MINUTE).status is Status.FAIL


def test_uncounted_spend_is_a_warning_and_then_red_until_a_pass_counts_it() -> None:
    brand = Brand.objects.create(name="Acme")
    campaign = Campaign.objects.create(brand=brand, name="Search")
    passes.check_and_pause(NOW)
    row = Spend(campaign=campaign, date=NOW.date(), amount=1, created_at=NOW)
    Spend.objects.bulk_create([row])

    assert check("uncounted", after=MINUTE).status is Status.WARN
    waiting = check("uncounted", after=4 * MINUTE)
    assert waiting.status is Status.FAIL
    assert waiting.words.startswith("1 row waits to be counted, the oldest for 4 min.")

    passes.check_and_pause(NOW + 4 * MINUTE)
    assert check("uncounted", after=4 * MINUTE).status is Status.OK


def test_a_pending_migration_is_red() -> None:
    MigrationRecorder(connection).record_unapplied("budgets", "0002_beat_schedule")

    pending = check("migrations")

    assert pending.status is Status.FAIL
    assert "budgets.0002_beat_schedule" in pending.words


def test_brands_that_cannot_be_processed_are_named() -> None:
    for number in range(7):
        Brand.objects.create(name=f"Brand {number}")
    Brand.objects.update(timezone="Mars/Olympus")
    passes.check_and_pause(NOW)

    brands = check("brands")

    assert brands.status is Status.FAIL
    assert brands.value == {"troubled": [f"Brand {number}" for number in range(5)]}
    assert "Brand 4: 'Mars/Olympus' is not a time zone" in brands.words
    assert "Brand 5" not in brands.words
    assert "and more" in brands.words


def test_brands_that_are_not_seen_are_red_and_not_named() -> None:
    own = Brand.objects.create(name="Acme")
    Brand.objects.create(name="Troubled", timezone="Mars/Olympus")
    foreign = Brand.objects.create(name="Borealis")
    campaign = Campaign.objects.create(brand=foreign, name="Search")
    passes.check_and_pause(NOW)
    row = Spend(campaign=campaign, date=NOW.date(), amount=1, created_at=NOW)
    Spend.objects.bulk_create([row])
    sight = Sight(brand_ids=frozenset({own.pk}))

    for who in (sight, NOTHING):
        found = checks.check_brands(who)
        assert found.status is Status.FAIL
        assert found.words.startswith("Brands that you do not see cannot be processed.")
        assert found.value == {"troubled": []}
        late = checks.check_uncounted(NOW + 4 * MINUTE, who, MINUTE)
        assert (late.status, late.value["rows"]) == (Status.FAIL, 1)
        assert "Borealis" not in late.words
    assert "Borealis" in checks.check_uncounted(NOW + 4 * MINUTE, EVERYTHING, MINUTE).words


def test_what_the_full_check_found_is_red_until_it_is_put_right() -> None:
    brand = Brand.objects.create(name="Acme")
    Campaign.objects.create(brand=brand, name="Search")
    passes.full_check(NOW)
    assert check("full_check").status is Status.OK
    Campaign.objects.all().write(total_daily_spend=5, total_monthly_spend=5)

    passes.full_check(NOW)

    found = check("full_check")
    assert found.status is Status.FAIL
    assert "campaign totals (1)" in found.words
    Campaign.objects.all().write(total_daily_spend=0, total_monthly_spend=0)
    passes.full_check(NOW)
    assert check("full_check").status is Status.OK


def test_a_clock_that_went_back_is_red() -> None:
    assert check("clock", after=-5 * SECOND).status is Status.OK

    back = check("clock", after=-2 * MINUTE)

    assert back.status is Status.FAIL
    assert "2 min in the future" in back.words


def test_a_broker_that_does_not_answer_is_red_at_once_and_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("django.conf.settings.REDIS_URL", "")
    monkeypatch.setitem(app.conf, "broker_url", "redis://:secret-word@127.0.0.1:1/0")

    broker = check("broker")

    assert broker.status is Status.FAIL
    assert "embedded broker does not run" in broker.words
    assert "secret-word" not in broker.words
    assert "127.0.0.1" not in broker.words


def test_words_about_the_broker_name_the_setting_when_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.conf, "broker_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("django.conf.settings.REDIS_URL", "redis://127.0.0.1:1/0")

    assert "REDIS_URL" in check("broker").words


class TestWebhooks:
    def test_a_delivery_that_nobody_sends_is_red_after_a_quarter_of_an_hour(self) -> None:
        endpoint, _ = make_webhook(now=NOW)
        webhooks.test(endpoint, now=NOW)

        assert check("webhooks", after=15 * MINUTE - SECOND).status is Status.OK
        late = check("webhooks", after=16 * MINUTE)
        assert late.status is Status.FAIL
        assert late.words.startswith("1 delivery is overdue, the oldest for 16 min:")
        assert "an enabled entry for budgets.tasks.deliver_webhooks" in late.words
        assert "receivers fail" not in late.words

        webhooks.test(endpoint, now=NOW)
        assert check("webhooks", after=16 * MINUTE).value == {
            "pending": 2,
            "overdue": 2,
            "oldest_seconds": 960.0,
        }

    def test_it_is_green_again_when_they_are_sent(self) -> None:
        endpoint, _ = make_webhook(now=NOW)
        webhooks.test(endpoint, now=NOW)
        assert check("webhooks", after=16 * MINUTE).status is Status.FAIL

        deliveries.deliver(NOW + 16 * MINUTE, send=lambda *_: Reply(204))

        assert check("webhooks", after=16 * MINUTE).status is Status.OK

    def test_a_receiver_that_holds_up_its_own_is_named(self) -> None:
        slow, _ = make_webhook(now=NOW, description="Slow Ltd")
        prompt, _ = make_webhook(now=NOW, description="Prompt Ltd")
        webhooks.test(slow, now=NOW)
        deliveries.deliver(NOW, send=lambda *_: Reply(500))
        for endpoint in (slow, prompt):
            webhooks.test(endpoint, now=NOW)

        words = check("webhooks", after=16 * MINUTE).words

        assert "fail and are asked one delivery at a time: Slow Ltd. Mend them, or disable" in words
        assert "Prompt Ltd" not in words

    def test_what_waits_for_a_disabled_endpoint_is_nobodys_fault(self) -> None:
        endpoint, _ = make_webhook(now=NOW)
        webhooks.test(endpoint, now=NOW)
        webhooks.disable(endpoint, reason="Enough.")

        assert check("webhooks", after=16 * MINUTE).status is Status.OK

    def test_one_that_waits_for_its_next_attempt_is_not_overdue(self) -> None:
        endpoint, _ = make_webhook(now=NOW)
        row = webhooks.test(endpoint, now=NOW)
        type(row).objects.update(due_at=NOW + 60 * MINUTE, attempts=3)

        assert check("webhooks", after=16 * MINUTE).status is Status.OK


class TestAlerts:
    def test_mails_that_are_not_sent_are_a_warning_with_the_reason(self, settings: Any) -> None:
        settings.MAIL_IS_CONFIGURED = True
        make_recipient()
        campaign = decided(make_campaign(make_brand(daily_budget=100)), NOW)
        spend(campaign, 85, now=NOW)
        alerted(NOW)
        alerted(NOW + checks.DELIVERY_PATIENCE - SECOND)
        not_yet = check("alerts", after=checks.DELIVERY_PATIENCE - SECOND)
        assert not_yet.words == "No mail is overdue."
        AlertMessage.objects.update(error="The mail server answers 451 later.")
        alerted(NOW + checks.DELIVERY_PATIENCE)

        overdue = check("alerts", after=checks.DELIVERY_PATIENCE)

        assert overdue.status is Status.WARN
        assert (
            "1 mail is overdue, the oldest for 15 min. The mail server answers 451" in overdue.words
        )
        assert overdue.value["overdue"] == 1

    def test_recipients_without_a_server_are_a_warning(self) -> None:
        assert check("alerts").status is Status.OK
        make_recipient()

        assert check("alerts").status is Status.WARN
        assert "set EMAIL_URL" in check("alerts").words

    def test_that_nobody_looks_is_a_warning(self) -> None:
        alerted(NOW)
        assert check("alerts", after=3 * MINUTE).status is Status.OK

        late = check("alerts", after=4 * MINUTE)

        assert late.status is Status.WARN
        assert "Nobody has looked for 4 min" in late.words
