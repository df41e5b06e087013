"""The two periodic tasks: doors that read the clock and make one call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from celery.exceptions import NotRegistered
from django.db import connection

from budgets import tasks
from budgets.core.decision import Hold
from budgets.models import Alert, PassRecord
from budgets.services import passes
from budgets.tests.builders import (
    NOW,
    at,
    decided,
    make_brand,
    make_campaign,
    make_recipient,
    make_webhook,
    spend,
    state,
)
from budgets.tests.mailbox import receiving_mail
from budgets.tests.receiver import receiving
from django_celery_budget.celery import app

BOTH = pytest.mark.parametrize(
    "task", [tasks.check_and_pause_campaigns, tasks.reset_daily_monthly_spend]
)


@pytest.mark.parametrize(
    "name",
    [
        "check_and_pause_campaigns",
        "reset_daily_monthly_spend",
        "deliver_webhooks",
        "raise_alerts",
        "send_alerts",
    ],
)
def test_a_task_is_registered_under_its_public_name(name: str) -> None:
    app.loader.import_default_modules()

    assert app.tasks[f"budgets.tasks.{name}"] == getattr(tasks, name)
    with pytest.raises(NotRegistered):
        app.tasks[name]


@BOTH
@pytest.mark.django_db
def test_a_task_takes_no_argument_and_answers_with_counts(task: Any) -> None:
    make_campaign()

    counts = task()

    assert counts["changes"] == 1
    assert all(type(name) is str and type(count) is int for name, count in counts.items())


@BOTH
@pytest.mark.django_db
def test_a_task_survives_a_message_of_a_newer_version(task: Any) -> None:
    assert task(brand_ids=[1], why="not known yet") == task()


@BOTH
@pytest.mark.django_db
def test_a_task_run_by_celery_does_the_same(task: Any) -> None:
    campaign = make_campaign()

    assert task.apply(throw=True).get()["changes"] == 1
    assert state(campaign) == ""


@BOTH
@pytest.mark.django_db
def test_a_task_reads_the_clock_and_turns_the_day(task: Any) -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    spend(campaign, 10)

    with time_machine.travel(at("2026-11-24T23:59:59Z"), tick=False):
        task()
        assert state(campaign) == Hold.BRAND_DAILY_BUDGET

    with time_machine.travel(at("2026-11-25T00:00Z"), tick=False):
        assert task()["resumed"] == 1
        assert state(campaign) == ""


@pytest.mark.django_db
def test_only_the_check_looks_at_everything() -> None:
    with time_machine.travel(NOW, tick=False):
        assert "corrected" in tasks.check_and_pause_campaigns()
        assert "corrected" not in tasks.reset_daily_monthly_spend()


def test_the_names_that_health_reads_are_those_of_the_tasks() -> None:
    assert tasks.check_and_pause_campaigns.name == f"budgets.tasks.{passes.CHECK_AND_PAUSE}"
    assert tasks.reset_daily_monthly_spend.name == f"budgets.tasks.{passes.RESET}"


class TestHelp:
    pytestmark = pytest.mark.django_db

    def test_is_wanted_by_how_much_is_due_where_workers_do_not_wait_for_each_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passes, "BRANDS_A_HELPER", 2)
        wanted = []
        for _ in range(12):
            make_brand()
            wanted.append(passes.help_wanted(NOW))

        several = connection.features.has_select_for_update_skip_locked
        assert wanted == ([0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3] if several else [0] * 12)

    def test_drains_what_is_due(self) -> None:
        campaign = make_campaign()

        assert tasks.drain_due_brands() == {"brands": 1, "changes": 1}
        assert state(campaign) == ""

    def test_that_cannot_be_asked_for_keeps_no_pass_from_its_work(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passes, "BRANDS_A_HELPER", 1)
        monkeypatch.setitem(app.conf, "broker_url", "redis://127.0.0.1:1/0")
        campaigns = [make_campaign() for _ in range(3)]

        tasks.check_and_pause_campaigns()

        assert {state(campaign) for campaign in campaigns} == {""}


@pytest.mark.django_db
def test_webhooks_are_sent_by_a_task_of_their_own(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    with receiving() as receiver:
        make_webhook(receiver.url)
        make_campaign()
        tasks.check_and_pause_campaigns()

        assert tasks.deliver_webhooks.apply(throw=True).get() == {"sent": 1, "delivered": 1}
        assert tasks.deliver_webhooks(of_a_newer_version=True) == {"sent": 0, "delivered": 0}

    assert [message.said["type"] for message in receiver.messages] == ["campaign.resumed"]


@pytest.mark.django_db
def test_what_is_worth_an_alert_is_raised_and_mailed_once() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    make_recipient("ana@example.com")

    with time_machine.travel(NOW, tick=False), receiving_mail() as mailbox:
        spend(campaign, 85)
        for _ in range(2):
            tasks.raise_alerts.apply(throw=True)
            tasks.send_alerts.apply(throw=True)
        assert tasks.raise_alerts(of_a_newer_version=True)["thresholds"] == 0
        assert tasks.send_alerts(of_a_newer_version=True) == {"sent": 0, "failed": 0}

    assert mailbox.told() == ["ana@example.com"]


@pytest.mark.django_db
def test_passes_that_stay_away_for_three_intervals_are_told() -> None:
    passes.check_and_pause(NOW)
    passes.reset(NOW)

    for minutes in range(6):
        with time_machine.travel(NOW + timedelta(minutes=minutes), tick=False):
            tasks.raise_alerts()
        assert Alert.objects.count() == (2 if minutes > 4 else 0)


@pytest.mark.parametrize("name", [passes.CHECK_AND_PAUSE, passes.RESET])
@pytest.mark.django_db
def test_how_long_a_pass_took_is_on_record_beside_what_it_did(name: str) -> None:
    make_campaign()

    counts = getattr(tasks, name)()

    kept = PassRecord.objects.get(name=name).counts
    took = kept.pop(passes.MILLISECONDS)
    assert kept == counts
    assert type(took) is int
    assert took >= 0
