"""Silence: a campaign that runs and spends nothing is told once, in hours of running."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from budgets.models import AlertKind, AlertMessage, Brand, Campaign, Spend
from budgets.services import passes
from budgets.services.alerts import silence
from budgets.tests.builders import (
    NOW,
    TODAY,
    alerted,
    alerts_of,
    decided,
    make_brand,
    make_campaign,
    make_recipient,
    spend,
    switch,
)
from budgets.tests.statements import plan_of, statements

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def running(brand: Brand | None = None, *, since: datetime = NOW, **fields: object) -> Campaign:
    """Create a campaign that is told of after four hours of silence, and has spent at `since`."""
    owner = brand or make_brand(alert_silence_hours=4)
    campaign = decided(make_campaign(owner, **fields), since)
    spend(campaign, 1, now=since)
    return campaign


def kinds() -> list[str]:
    """Return the kinds of the mails that were written."""
    return list(AlertMessage.objects.order_by("pk").values_list("alert__kind", flat=True))


def test_it_is_told_once_after_so_many_hours() -> None:
    campaign = running(make_brand(name="Acme", alert_silence_hours=4), name="Tents")
    make_recipient()

    alerted(NOW + 4 * HOUR - timedelta(seconds=1))
    assert alerts_of(campaign) == []
    for hours in range(4, 80):
        alerted(NOW + hours * HOUR)

    (alert,) = alerts_of(campaign)
    assert (alert.kind, alert.raised_at) == (AlertKind.SILENT, NOW + 4 * HOUR)
    assert alert.figures == {
        "brand": "Acme",
        "campaign": "Tents",
        "hours": 4,
        "last_spend_at": NOW.isoformat(),
    }
    assert kinds() == ["campaign_silent"]


def test_the_next_silence_is_told_anew() -> None:
    campaign = running()
    alerted(NOW + 5 * HOUR)

    spend(campaign, 1, now=NOW + 6 * HOUR)
    alerted(NOW + 7 * HOUR)
    assert len(alerts_of(campaign)) == 1
    alerted(NOW + 10 * HOUR)

    assert len(alerts_of(campaign)) == 2


def test_a_correction_is_no_spend() -> None:
    campaign = running()
    spend(campaign, "-0.5", now=NOW + 3 * HOUR)

    alerted(NOW + 4 * HOUR)

    assert len(alerts_of(campaign)) == 1


def test_one_that_never_spent_is_told_of() -> None:
    campaign = decided(make_campaign(make_brand(alert_silence_hours=4)))

    alerted(NOW + 3 * HOUR)
    assert alerts_of(campaign) == []
    alerted(NOW + 4 * HOUR)
    alerted(NOW + 40 * HOUR)

    (alert,) = alerts_of(campaign)
    assert (alert.period, alert.figures["last_spend_at"]) == ("0", None)


def test_one_that_is_held_may_be_silent() -> None:
    campaign = running()
    switch(campaign, on=False)

    alerted(NOW + 90 * HOUR)

    assert alerts_of(campaign) == []


def test_only_hours_of_running_count() -> None:
    """Open from 9 to 17: the night is no silence, and the morning does not begin with an alert."""
    campaign = running(allowed_start_hour=9, allowed_end_hour=17)  # spends at 15:00
    told_at = None
    for minutes in range(0, 24 * 60, 15):
        now = NOW + timedelta(minutes=minutes)
        passes.check_and_pause(now)
        alerted(now)
        if alerts_of(campaign) and told_at is None:
            told_at = now

    # Two hours until 17:00, and two from 9:00.
    assert told_at == NOW + timedelta(hours=20)


def test_a_brand_without_hours_is_not_looked_at() -> None:
    campaign = running(make_brand(alert_silence_hours=None))

    alerted(NOW + 900 * HOUR)

    assert alerts_of(campaign) == []


class TestReports:
    def test_a_brand_of_which_nothing_is_reported_is_one_alert(self) -> None:
        brand = make_brand(name="Acme", alert_silence_hours=4)
        campaigns = [running(brand) for _ in range(5)]
        make_recipient()

        for hours in range(4, 30):
            alerted(NOW + hours * HOUR)

        (alert,) = alerts_of(brand)
        assert (alert.kind, alert.figures["campaigns"]) == (AlertKind.REPORTS_STALE, 5)
        assert all(it.is_superseded for row in campaigns for it in alerts_of(row))
        assert kinds() == ["reports_stale"]

    def test_who_did_not_choose_that_is_told_of_each_campaign(self) -> None:
        brand = make_brand(alert_silence_hours=4)
        for _ in range(3):
            running(brand)
        make_recipient(kinds=[AlertKind.SILENT])

        alerted(NOW + 4 * HOUR)

        assert kinds() == ["campaign_silent"] * 3

    def test_while_one_reports_the_others_are_told_of_one_by_one(self) -> None:
        brand = make_brand(alert_silence_hours=4)
        silent, lively = running(brand), running(brand)
        spend(lively, 1, now=NOW + 3 * HOUR)

        alerted(NOW + 4 * HOUR)

        assert [it.kind for it in alerts_of(silent)] == [AlertKind.SILENT]
        assert (alerts_of(lively), alerts_of(brand)) == ([], [])

    def test_when_reports_came_again_and_stop_again_it_is_told_again(self) -> None:
        brand = make_brand(alert_silence_hours=4)
        campaigns = [running(brand) for _ in range(2)]
        alerted(NOW + 4 * HOUR)
        for campaign in campaigns:
            spend(campaign, 1, now=NOW + 5 * HOUR)
        alerted(NOW + 6 * HOUR)
        assert len(alerts_of(brand)) == 1

        alerted(NOW + 9 * HOUR)

        assert len(alerts_of(brand)) == 2


def test_brands_are_looked_at_some_a_run_and_all_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "BRANDS", 2)
    campaigns = [running() for _ in range(5)]

    told = []
    for _ in range(3):
        alerted(NOW + 5 * HOUR)
        told.append(sum(bool(alerts_of(campaign)) for campaign in campaigns))

    assert told == [2, 4, 5]


def test_a_look_is_a_few_questions_that_indexes_answer() -> None:
    brand = make_brand(alert_silence_hours=4)

    def look() -> list[str]:
        return statements(lambda: silence.found(NOW + 5 * HOUR))

    running(brand)
    look()
    few = look()
    campaigns = [decided(make_campaign(brand)) for _ in range(60)]
    Spend.objects.bulk_create(
        Spend(campaign=row, date=TODAY, amount=1, created_at=NOW)
        for row in campaigns
        for _ in range(9)
    )

    many = look()

    assert len(many) == len(few)
    (quiet,) = [sql for sql in many if "AS quiet" in sql]
    plan = plan_of(quiet)
    assert "spend_by_campaign_and_day" in plan
