"""Days and months turn by themselves: late, twice, missed, in every zone, across clock changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign, Spend
from budgets.services import editing, passes, reconciliation
from budgets.tests.builders import (
    NOW,
    TODAY,
    at,
    decided,
    log,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
    write_spend,
)

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MIDNIGHT = at("2026-11-25T00:00Z")
FIRST = at("2026-12-01T00:00Z")

Pass = Callable[[datetime], dict[str, int]]
BY_EITHER_TASK = pytest.mark.parametrize("task", [passes.check_and_pause, passes.reset])


def exhausted(now: datetime = NOW, **budgets: Any) -> Campaign:
    """Return a campaign whose brand spent 10 of 10 at `now`."""
    brand = make_brand(**(budgets or {"daily_budget": 10}))
    campaign = decided(make_campaign(brand), now)
    spend(campaign, 10, now=now)
    assert state(campaign)
    return campaign


# --- The reset, when it pleases to run -----------------------------------------------------------


@BY_EITHER_TASK
class TestAReset:
    def test_before_midnight_changes_nothing(self, task: Pass) -> None:
        campaign = exhausted()

        task(MIDNIGHT - SECOND)

        assert state(campaign) == Hold.BRAND_DAILY_BUDGET
        assert totals(campaign) == (10, 10)

    @pytest.mark.parametrize("late", [timedelta(0), SECOND, HOUR, 23 * HOUR])
    def test_on_time_or_late_starts_the_day_at_zero(self, task: Pass, late: timedelta) -> None:
        campaign = exhausted()

        task(MIDNIGHT + late)

        assert state(campaign) == ""
        assert totals(campaign) == totals(campaign.brand) == (0, 10)
        assert campaign.spend_day == campaign.brand.spend_day == date(2026, 11, 25)

    def test_doubled_resumes_once(self, task: Pass) -> None:
        campaign = exhausted()

        for _ in range(3):
            task(MIDNIGHT)

        assert [change.hold for change in log(campaign)] == ["", Hold.BRAND_DAILY_BUDGET, ""]

    @pytest.mark.parametrize("nights", [2, 3, 5])
    def test_missed_for_nights_resumes_once_when_it_returns(self, task: Pass, nights: int) -> None:
        campaign = exhausted()

        task(NOW + nights * DAY)

        assert totals(campaign) == (0, 10)
        assert [change.hold for change in log(campaign)] == ["", Hold.BRAND_DAILY_BUDGET, ""]

    @pytest.mark.parametrize("late", [timedelta(0), 5 * HOUR, 2 * DAY, 31 * DAY])
    def test_missed_on_the_first_starts_the_month_at_zero(
        self, task: Pass, late: timedelta
    ) -> None:
        campaign = exhausted(monthly_budget=10)

        task(FIRST + late)

        assert state(campaign) == ""
        assert totals(campaign) == totals(campaign.brand) == (0, 0)

    def test_that_is_late_loses_no_spend_of_the_new_day(self, task: Pass) -> None:
        campaign = exhausted()
        spend(campaign, 4, now=MIDNIGHT + HOUR)
        write_spend(campaign, 3, date(2026, 11, 25))

        task(MIDNIGHT + 2 * HOUR)

        assert totals(campaign) == totals(campaign.brand) == (7, 17)
        assert state(campaign) == ""

    def test_finds_a_new_day_that_is_spent_already(self, task: Pass) -> None:
        campaign = exhausted()
        write_spend(campaign, 10, date(2026, 11, 25))

        task(MIDNIGHT)

        assert state(campaign) == Hold.BRAND_DAILY_BUDGET
        assert [change.hold for change in log(campaign)] == ["", Hold.BRAND_DAILY_BUDGET]

    @pytest.mark.parametrize("now", ["2026-11-25T00:00Z", "2026-11-30T23:59:59Z"])
    def test_at_midnight_keeps_the_month_cap(self, task: Pass, now: str) -> None:
        campaign = exhausted(daily_budget=10, monthly_budget=10)

        task(at(now))

        assert state(campaign) == Hold.BRAND_MONTHLY_BUDGET
        assert totals(campaign.brand) == (0, 10)

    def test_leaves_a_brand_be_whose_day_goes_on(self, task: Pass) -> None:
        campaign = exhausted()
        west = decided(make_campaign(make_brand(daily_budget=10, timezone="America/New_York")))
        spend(west, 10)

        task(MIDNIGHT)

        assert (state(campaign), state(west)) == ("", Hold.BRAND_DAILY_BUDGET)


@pytest.mark.parametrize(
    ("last_day", "next_day"),
    [
        ("2026-12-31", "2027-01-01"),
        ("2027-02-28", "2027-03-01"),
        ("2028-02-29", "2028-03-01"),
        ("2026-04-30", "2026-05-01"),
    ],
)
def test_a_month_ends_with_its_last_day(last_day: str, next_day: str) -> None:
    last = at(f"{last_day}T12:00Z")
    campaign = exhausted(last, monthly_budget=10)

    passes.reset(at(f"{last_day}T23:59:59Z"))
    assert state(campaign) == Hold.BRAND_MONTHLY_BUDGET

    passes.reset(at(f"{next_day}T00:00Z"))
    assert state(campaign) == ""


def test_the_29th_of_february_is_a_day_of_its_month() -> None:
    campaign = exhausted(at("2028-02-28T12:00Z"), daily_budget=10, monthly_budget=15)

    passes.reset(at("2028-02-29T00:00Z"))

    assert totals(campaign) == (0, 10)
    assert state(campaign) == ""


def test_spend_alone_turns_the_day_when_no_task_runs() -> None:
    campaign = exhausted()

    receipt = spend(campaign, 4, now=MIDNIGHT + HOUR)

    assert receipt.resumed == (campaign.pk,)
    assert totals(campaign) == totals(campaign.brand) == (4, 14)


# --- Late spend ----------------------------------------------------------------------------------


@pytest.mark.parametrize("road", ["reported", "written"])
@pytest.mark.parametrize(
    ("day", "counted"),
    [
        (TODAY, (5, 5)),
        (date(2026, 11, 23), (0, 5)),
        (date(2026, 11, 1), (0, 5)),
        (date(2026, 10, 31), (0, 0)),
        (date(2025, 11, 24), (0, 0)),
    ],
)
def test_spend_counts_for_the_day_and_month_on_which_it_happened(
    day: date, counted: tuple[int, int], road: str
) -> None:
    campaign = decided(make_campaign())

    if road == "reported":
        spend(campaign, 5, date=day)
    else:
        write_spend(campaign, 5, day)
        decided(campaign)

    assert totals(campaign) == totals(campaign.brand) == counted
    assert Spend.objects.get().is_counted


def test_late_spend_reaches_the_months_budget_and_not_todays() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10, monthly_budget=100)))

    spend(campaign, 99, date=date(2026, 11, 23))
    assert state(campaign) == ""

    spend(campaign, 1, date=date(2026, 11, 2))
    assert state(campaign) == Hold.BRAND_MONTHLY_BUDGET


def test_a_refund_of_last_month_frees_nothing_this_month() -> None:
    campaign = exhausted(monthly_budget=10)

    spend(campaign, -10, date=date(2026, 10, 31))

    assert state(campaign) == Hold.BRAND_MONTHLY_BUDGET


# --- Every hour of eight windows -----------------------------------------------------------------

CLOCK_FACES = {
    #         0     6     12    18   23
    (0, 24): "########################",
    (23, 0): ".......................#",
    (22, 6): "######................##",
    (6, 22): "......################..",
    (9, 17): ".........########.......",
    (0, 1): "#.......................",
    (12, 12): "########################",
    (13, 12): "############.###########",
}


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Chatham"])
def test_a_pass_opens_and_closes_eight_windows_at_every_hour(zone: str) -> None:
    brand = make_brand(timezone=zone)
    campaigns = {
        window: make_campaign(brand, allowed_start_hour=window[0], allowed_end_hour=window[1])
        for window in CLOCK_FACES
    }
    seen = dict.fromkeys(CLOCK_FACES, "")

    for hour in range(24):
        for minute in (0, 59):
            local = datetime(2026, 11, 24, hour, minute, tzinfo=ZoneInfo(zone))
            passes.reset(local.astimezone(NOW.tzinfo))
        active = set(brand.campaigns.active())
        for window, campaign in campaigns.items():
            seen[window] += "#" if campaign in active else "."

    assert seen == CLOCK_FACES
    for window, face in CLOCK_FACES.items():
        # Neither 0 nor 59 minutes past moved it twice: only openings and closings are logged.
        turns = sum(before != after for before, after in itertools.pairwise(face))
        assert len(log(campaigns[window])) == turns + 1, window


# --- Zones ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("UTC", "2026-11-25T00:00Z"),
        ("Asia/Kolkata", "2026-11-24T18:30Z"),
        ("Pacific/Chatham", "2026-11-25T10:15Z"),
        ("America/New_York", "2026-11-25T05:00Z"),
        ("Pacific/Kiritimati", "2026-11-25T10:00Z"),
        ("Pacific/Pago_Pago", "2026-11-25T11:00Z"),
    ],
)
def test_a_day_ends_at_the_brands_own_midnight(zone: str, midnight: str) -> None:
    campaign = exhausted(daily_budget=10, timezone=zone)

    passes.check_and_pause(at(midnight) - SECOND)
    assert state(campaign) == Hold.BRAND_DAILY_BUDGET

    passes.check_and_pause(at(midnight))
    assert state(campaign) == ""


@pytest.mark.parametrize(
    ("zone", "now", "day"),
    [
        ("Asia/Kolkata", "2026-11-24T18:29:59Z", "2026-11-24"),
        ("Asia/Kolkata", "2026-11-24T18:30:00Z", "2026-11-25"),
        ("Pacific/Chatham", "2026-11-24T10:14:59Z", "2026-11-24"),
        ("Pacific/Chatham", "2026-11-24T10:15:00Z", "2026-11-25"),
        ("America/New_York", "2026-11-01T03:59:59Z", "2026-10-31"),
        ("America/New_York", "2026-11-02T04:59:59Z", "2026-11-01"),
    ],
)
def test_spend_is_dated_by_the_brands_own_calendar(zone: str, now: str, day: str) -> None:
    spend(make_campaign(make_brand(timezone=zone)), 5, now=at(now))

    assert Spend.objects.get().date == date.fromisoformat(day)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25)])
def test_a_day_of_23_or_25_hours_carries_one_budget(day: str, hours: int) -> None:
    zone = ZoneInfo("America/New_York")
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(NOW.tzinfo)
    campaign = exhausted(midnight + 30 * MINUTE, daily_budget=10, timezone=zone.key)

    held = []
    for half_hour in range(1, 27 * 2):
        now = midnight + half_hour * 30 * MINUTE
        passes.reset(now)
        if state(campaign):
            held.append(now)

    assert held[-1] == midnight + hours * HOUR - 30 * MINUTE
    assert len(held) == hours * 2 - 1
    assert len(log(campaign)) == 3


@pytest.mark.parametrize(
    ("day", "window", "minutes_open"),
    [
        ("2026-03-08", (2, 3), 0),
        ("2026-03-08", (1, 4), 120),
        ("2026-03-08", (22, 6), 420),
        ("2026-11-01", (1, 2), 120),
        ("2026-11-01", (2, 3), 60),
        ("2026-11-01", (22, 6), 540),
        # Both days are Sundays; the night from Saturday goes on into them.
        ("2026-03-08", "Sun 2-3", 0),
        ("2026-03-08", "Sat 22-6; Sun 23-1", 360),
        ("2026-11-01", "Sun 1-2", 120),
        ("2026-11-01", "Sat 22-6; Sun 23-1", 480),
    ],
)
def test_the_hour_spring_skips_never_opens_and_the_one_autumn_repeats_opens_twice_as_long(
    day: str, window: tuple[int, int] | str, minutes_open: int
) -> None:
    zone = ZoneInfo("America/New_York")
    hours: dict[str, Any] = (
        {"weekly_hours": window}
        if isinstance(window, str)
        else {"allowed_start_hour": window[0], "allowed_end_hour": window[1]}
    )
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(NOW.tzinfo)
    campaign = make_campaign(make_brand(timezone=zone.key), **hours)

    open_half_hours = 0
    now = midnight
    while now.astimezone(zone).date() == midnight.astimezone(zone).date():
        passes.reset(now)
        open_half_hours += state(campaign) == ""
        now += 30 * MINUTE

    assert open_half_hours * 30 == minutes_open


# --- A brand that changes its zone ---------------------------------------------------------------


def move(brand: Brand, zone: str, now: datetime) -> None:
    brand.timezone = zone
    editing.save(brand, by="ann", now=now, changed=["timezone"])
    brand.refresh_from_db()


def test_a_new_zone_is_pending_until_the_next_midnight_of_the_one_in_force() -> None:
    brand = decided(make_brand(timezone="Asia/Kolkata"))

    move(brand, "America/New_York", NOW)
    assert (brand.current_timezone, brand.pending_timezone) == ("Asia/Kolkata", "America/New_York")

    decided(brand, at("2026-11-24T23:59:59+05:30"))
    assert (brand.current_timezone, brand.pending_timezone) == ("Asia/Kolkata", "America/New_York")

    decided(brand, at("2026-11-25T00:00+05:30"))
    assert (brand.current_timezone, brand.pending_timezone) == ("America/New_York", "")


def test_a_new_zone_taken_back_before_midnight_changes_nothing() -> None:
    brand = decided(make_brand(timezone="Asia/Kolkata"))

    move(brand, "America/New_York", NOW)
    move(brand, "Asia/Kolkata", NOW)

    assert (brand.current_timezone, brand.pending_timezone) == ("Asia/Kolkata", "")


def test_a_new_zone_of_a_brand_that_no_pass_has_seen_is_in_force_at_once() -> None:
    brand = make_brand(timezone="Asia/Kolkata")
    brand.timezone = "America/New_York"
    brand.save()

    decided(brand)

    assert (brand.current_timezone, brand.pending_timezone) == ("America/New_York", "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Pacific/Auckland", "America/Los_Angeles"),
        ("America/Los_Angeles", "Pacific/Auckland"),
        ("Pacific/Apia", "Pacific/Pago_Pago"),
        ("Pacific/Pago_Pago", "Pacific/Apia"),
        ("Pacific/Kiritimati", "Pacific/Pago_Pago"),
        ("Pacific/Pago_Pago", "Pacific/Kiritimati"),
        ("UTC", "Asia/Kathmandu"),
    ],
)
def test_a_new_zone_brings_no_second_budget_for_a_day(old: str, new: str) -> None:
    campaign = exhausted(daily_budget=10, timezone=old)
    move(campaign.brand, new, NOW)

    for hour in range(1, 80):
        now = NOW + hour * HOUR
        passes.reset(now)
        if not state(campaign):
            spend(campaign, 10, now=now)
            assert state(campaign) == Hold.BRAND_DAILY_BUDGET

    assert budget_spent_per_day(campaign) == {10}
    assert reconciliation.check() == []


def test_flipping_between_zones_around_the_clock_brings_no_second_budget() -> None:
    campaign = exhausted(daily_budget=10, timezone="Pacific/Auckland")
    zones = ["America/Los_Angeles", "Pacific/Auckland", "Pacific/Apia", "Asia/Kolkata"]

    for hour in range(1, 100):
        now = NOW + hour * HOUR
        move(campaign.brand, zones[hour % 4], now)
        passes.reset(now)
        if not state(campaign):
            spend(campaign, 10, now=now)

    spent = budget_spent_per_day(campaign)
    assert spent == {10}
    assert Spend.objects.count() <= 6
    assert reconciliation.check() == []


def budget_spent_per_day(campaign: Campaign) -> set[Decimal]:
    days: dict[date, Decimal] = {}
    for row in campaign.spends.all():
        days[row.date] = days.get(row.date, Decimal(0)) + row.amount
    assert len(days) > 1
    return set(days.values())


# --- A clock that goes back ----------------------------------------------------------------------


def test_a_clock_that_went_back_follows_the_ledger_and_loses_no_spend() -> None:
    campaign = exhausted()
    spend(campaign, 4, now=MIDNIGHT + HOUR)
    passes.check_and_pause(MIDNIGHT + HOUR)
    assert (state(campaign), totals(campaign)) == ("", (4, 14))

    passes.check_and_pause(NOW)
    assert (state(campaign), totals(campaign)) == (Hold.BRAND_DAILY_BUDGET, (10, 10))
    assert Spend.objects.uncounted().count() == 1
    assert reconciliation.check() == []

    passes.check_and_pause(MIDNIGHT + HOUR)
    assert (state(campaign), totals(campaign)) == ("", (4, 14))
    assert not Spend.objects.uncounted().exists()
    assert reconciliation.check() == []


def test_two_machines_whose_clocks_differ_a_little_do_not_turn_the_day_back() -> None:
    campaign = exhausted()
    passes.reset(MIDNIGHT + SECOND)

    for behind in (SECOND, MINUTE, 5 * MINUTE - SECOND):
        spend(campaign, 1, now=MIDNIGHT - behind)

    assert totals(campaign) == totals(campaign.brand) == (0, 13)
    assert state(campaign) == ""
    assert campaign.brand.spend_day == date(2026, 11, 25)
