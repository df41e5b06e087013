"""The states of a day, as the log tells them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from budgets.core import periods
from budgets.models import Campaign, StatusChange
from budgets.queries import timeline as page
from budgets.queries.timeline import Timeline
from budgets.services import editing, passes
from budgets.tests.builders import NOW, TODAY, at, make_campaign, write_changes
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

UTC_ZONE = periods.zone_named("UTC")
HOUR = timedelta(hours=1)


def of(campaign: Campaign, day: date = TODAY) -> Timeline:
    return page.timeline(campaign, periods.day_of(UTC_ZONE, day, NOW))


def switched(campaign: Campaign, hour: int, *, on: bool) -> None:
    now = at(f"2026-11-24T{hour:02}:00Z")
    editing.set_enabled([campaign.pk], on, by="ana", now=now)


def hours(timeline: Timeline, now: datetime = NOW) -> list[tuple[int, int]]:
    start = timeline.day.starts_at
    return [((one - start) // HOUR, (two - start) // HOUR) for one, two in timeline.running(now)]


@pytest.fixture
def campaign() -> Campaign:
    """One that is active since the day before."""
    campaign = make_campaign()
    passes.check_and_pause(NOW - timedelta(days=1))
    return campaign


def test_it_ran_whenever_the_log_says_so(campaign: Campaign) -> None:
    switched(campaign, 6, on=False)
    switched(campaign, 9, on=True)
    switched(campaign, 11, on=False)

    timeline = of(campaign)

    assert [change.hold for change in timeline.changes] == ["operator", "", "operator"]
    assert timeline.before
    assert timeline.before.is_active
    assert hours(timeline) == [(0, 6), (9, 11)]


def test_it_runs_until_now_and_on_past_days_until_midnight(campaign: Campaign) -> None:
    assert hours(of(campaign)) == [(0, 15)]
    assert hours(of(campaign, TODAY - timedelta(days=1))) == [(15, 24)]
    assert hours(of(campaign, TODAY + timedelta(days=1))) == []


def test_before_the_log_begins_nobody_knows(campaign: Campaign) -> None:
    timeline = of(campaign, TODAY - timedelta(days=2))

    assert (timeline.before, timeline.changes, hours(timeline)) == (None, (), [])


def test_a_clock_that_went_back_does_not_turn_the_log_round(campaign: Campaign) -> None:
    switched(campaign, 10, on=False)
    switched(campaign, 8, on=True)

    assert hours(of(campaign)) == [(0, 10), (10, 15)]


def test_very_many_changes_are_cut(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_CHANGES", 5)
    write_changes(campaign, 9)

    timeline = of(campaign)

    assert (len(timeline.changes), timeline.is_cut) == (5, True)
    assert StatusChange.objects.filter(campaign=campaign).count() == 10
    # The last one that was read began a span, of whose end nobody knows.
    assert timeline.changes[-1].is_active
    assert hours(timeline, NOW + HOUR) == [(0, 15)]


def test_it_takes_two_statements(campaign: Campaign) -> None:
    write_changes(campaign, 50)

    assert len(statements(lambda: of(campaign))) == 2
