"""Passes that stay away, old alerts, and passes of alerts that run at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from budgets.models import Alert, AlertKind, AlertMessage, Brand, PassRecord
from budgets.services import passes
from budgets.services.alerts import watching
from budgets.tests.builders import (
    NOW,
    alerted,
    alerts_of,
    decided,
    deliveries_of,
    make_brand,
    make_campaign,
    make_recipient,
    make_webhook,
    refuse,
    spend,
)
from budgets.tests.colleagues import ON_POSTGRESQL, Colleagues

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
PATIENCE = {passes.CHECK_AND_PAUSE: 3 * MINUTE, passes.RESET: 3 * MINUTE}


def stale() -> list[Alert]:
    return list(Alert.objects.filter(kind=AlertKind.PASSES_STALE).order_by("pk"))


class TestStalePasses:
    def test_they_are_told_once_for_each_time_they_stay_away(self) -> None:
        make_recipient()
        passes.check_and_pause(NOW)
        passes.reset(NOW)
        for minutes in range(30):
            watching.look(NOW + minutes * MINUTE, PATIENCE)

        assert {it.figures["pass"] for it in stale()} == set(PATIENCE)
        assert AlertMessage.objects.count() == 1  # both at once are one mail

        passes.check_and_pause(NOW + 30 * MINUTE)
        passes.reset(NOW + 30 * MINUTE)
        for minutes in range(31, 60):
            watching.look(NOW + minutes * MINUTE, PATIENCE)

        assert len(stale()) == 4
        assert AlertMessage.objects.count() == 2

    def test_after_a_restart_everything_is_late_for_a_moment_and_that_is_no_news(self) -> None:
        passes.check_and_pause(NOW)
        passes.reset(NOW)
        watching.look(NOW, PATIENCE)

        later = NOW + timedelta(hours=9)
        watching.look(later, PATIENCE)
        passes.check_and_pause(later)
        passes.reset(later)
        watching.look(later + MINUTE, PATIENCE)

        assert stale() == []

    def test_a_job_that_never_ran_is_the_business_of_health(self) -> None:
        for minutes in range(30):
            watching.look(NOW + minutes * MINUTE, PATIENCE)

        assert stale() == []

    def test_who_hears_of_some_brands_is_not_told_of_passes(self) -> None:
        brand = make_brand()
        make_recipient("some@example.com", brand)
        make_recipient("all@example.com")
        some, _ = make_webhook(events=["passes.stale"], brands=[brand])
        every, _ = make_webhook(events=["passes.stale"])
        passes.check_and_pause(NOW)

        watching.look(NOW + 5 * MINUTE, PATIENCE)
        watching.look(NOW + 6 * MINUTE, PATIENCE)

        assert list(AlertMessage.objects.values_list("address", flat=True)) == ["all@example.com"]
        assert (len(deliveries_of(some)), len(deliveries_of(every))) == (0, 1)


def test_alerts_and_their_mails_are_kept_for_a_while() -> None:
    brand = make_brand(daily_budget=100, alert_silence_hours=None)
    campaign = decided(make_campaign(brand))
    make_recipient()
    endpoint, _ = make_webhook(events=["budget.threshold_reached"])
    spend(campaign, 60)
    alerted()

    kept = watching.KEPT[AlertKind.THRESHOLD]
    alerted(NOW + kept)
    assert len(alerts_of(campaign.brand)) == 1
    alerted(NOW + kept + timedelta(seconds=1))

    assert alerts_of(campaign.brand) == []
    assert not AlertMessage.objects.exists()
    assert [row.alert_id for row in deliveries_of(endpoint)] == [None]


def test_a_run_leaves_its_record() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    spend(campaign, 60)

    assert alerted() == {"thresholds": 1, "silent": 0, "stale": 0, "passes": 0}

    record = PassRecord.objects.get(name="raise_alerts")
    assert (record.at, record.counts["thresholds"]) == (NOW, 1)


def test_an_alert_and_its_mails_are_both_there_or_neither() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    make_recipient()
    spend(campaign, 60)
    point = transaction.savepoint()
    refuse("INSERT", "budgets_alertmessage")

    with pytest.raises(DatabaseError, match="refused"):
        alerted()
    assert not Alert.objects.exists()
    transaction.savepoint_rollback(point)  # the database refuses it no more
    alerted()

    assert (Alert.objects.count(), AlertMessage.objects.count()) == (1, 1)


class TestAtOnce:
    pytestmark = ON_POSTGRESQL

    def test_passes_at_once_tell_everything_once(self, colleagues: Colleagues) -> None:
        campaigns = [decided(make_campaign(make_brand(daily_budget=100))) for _ in range(30)]
        make_recipient()
        endpoint, _ = make_webhook(events=["budget.threshold_reached"])
        for campaign in campaigns:
            spend(campaign, 85)

        colleagues.together(*[alerted] * 4)

        assert Alert.objects.count() == 30
        assert Brand.objects.filter(alerts__threshold=80).distinct().count() == 30
        assert AlertMessage.objects.count() == 30
        assert len(deliveries_of(endpoint)) == 30
