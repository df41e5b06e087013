"""What a brand spends by the hour and by the day, from the ledger, and its pace."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection

from budgets.models import Brand, Spend
from budgets.queries import pacing
from budgets.queries.pacing import BrandPace
from budgets.services import passes, rollover
from budgets.tests.builders import (
    NOW,
    TODAY,
    at,
    decided,
    event,
    make_brand,
    make_campaign,
    spend,
    write_spend,
)
from budgets.tests.statements import plan_of, statements

pytestmark = pytest.mark.django_db


def paces(*brands: Brand, now: object = NOW, whole_month: bool = True) -> dict[int, BrandPace]:
    fresh = Brand.objects.filter(pk__in=[brand.pk for brand in brands])
    moments = rollover.preview(fresh, now)  # type: ignore[arg-type]  # an instant
    return pacing.of_brands(list(moments.values()), whole_month=whole_month)


def by_hour(found: BrandPace) -> dict[int, Decimal]:
    slots = zip(found.spending.today.slots, found.spending.by_slot, strict=True)
    return {place: amount for place, (_, amount) in enumerate(slots) if amount}


def test_spend_stands_in_the_local_hour_in_which_it_happened() -> None:
    campaign = make_campaign(make_brand(timezone="Asia/Kolkata"))  # 20:30 there
    for minutes, amount in ((0, 1), (25, 2), (31, 4), (60, 8)):
        spend(campaign, amount, now=NOW - timedelta(minutes=minutes))

    [found] = paces(campaign.brand).values()

    assert by_hour(found) == {20: 3, 19: 12}
    assert sum(found.spending.by_slot) == found.moment.purse.spent_today == 15


def test_what_says_no_instant_stands_in_the_hour_in_which_it_was_recorded() -> None:
    campaign = make_campaign()
    spend(campaign, 5, date=TODAY)
    # The database's clock noted when; it is not that of the test.
    recorded = Spend.objects.get().created_at

    [found] = paces(campaign.brand).values()

    place = found.spending.today.slot_at(min(recorded, NOW))
    assert by_hour(found) == {place: 5}


def test_an_instant_outside_its_day_is_taken_into_the_day() -> None:
    campaign = make_campaign()
    for hours, amount in ((-30, 1), (5, 2)):
        reported = event(campaign, amount, date=TODAY, occurred_at=NOW + timedelta(hours=hours))
        write_spend(
            campaign, amount, TODAY, occurred_at=reported.occurred_at, external_id=str(hours)
        )
    passes.check_and_pause(NOW)

    [found] = paces(campaign.brand).values()

    assert by_hour(found) == {0: 1, 15: 2}


@pytest.mark.parametrize(("now", "hours"), [("2026-03-29T21:00Z", 23), ("2026-10-25T22:00Z", 25)])
def test_days_of_clock_changes_have_their_own_number_of_hours(now: str, hours: int) -> None:
    campaign = make_campaign(make_brand(timezone="Europe/Berlin"))
    first = at(now).replace(hour=0, minute=30)
    for hour in range(3):
        spend(campaign, 1, now=first + timedelta(hours=hour))

    [found] = paces(campaign.brand, now=at(now)).values()

    # 0:30, 1:30 and 2:30 UTC: the hour that spring skips is not there, that of autumn is twice.
    assert len(found.spending.today.slots) == hours
    shown = [found.spending.today.slots[place].hour for place in by_hour(found)]
    assert shown == ([1, 3, 4] if hours == 23 else [2, 2, 3])


def test_days_of_the_month_have_their_late_spend_and_nothing_that_is_not_counted() -> None:
    campaign = make_campaign(make_brand(monthly_budget=900))
    spend(campaign, 10)
    spend(campaign, 20, date=TODAY - timedelta(days=20))
    spend(campaign, -5, date=TODAY - timedelta(days=20))
    spend(campaign, 40, date=date(2026, 10, 31))
    write_spend(campaign, 80, TODAY)
    write_spend(campaign, 160, TODAY + timedelta(days=1))

    [found] = paces(campaign.brand).values()

    assert found.spending.by_day == {TODAY: 10, TODAY - timedelta(days=20): 15}
    assert sum(found.spending.by_day.values()) == found.moment.purse.spent_this_month
    assert [day.date.day for day in found.month] == list(range(1, 31))


def test_a_month_that_just_began_looks_back_into_the_last_one() -> None:
    first = at("2026-11-01T12:00Z")
    campaign = make_campaign()
    spend(campaign, 48, date=date(2026, 10, 31), now=first)

    for whole_month in (True, False):
        [found] = paces(campaign.brand, now=first, whole_month=whole_month).values()
        assert found.spending.by_day == {date(2026, 10, 31): 48}
        assert found.pace.month_end == 24 + 29 * 48


def test_brands_are_told_apart_and_each_has_its_own_day() -> None:
    here, there = make_campaign(), make_campaign(make_brand(timezone="Pacific/Auckland"))
    spend(here, 1)
    spend(there, 2)
    silent = make_brand()

    found = paces(here.brand, there.brand, silent)

    assert found[here.brand_id].spending.by_day == {TODAY: 1}
    assert found[there.brand_id].spending.by_day == {TODAY + timedelta(days=1): 2}
    assert found[silent.pk].spending.by_day == {}


def test_the_day_is_planned_over_the_hours_in_which_a_campaign_may_run() -> None:
    brand = make_brand(daily_budget=100)
    make_campaign(brand, allowed_start_hour=8, allowed_end_hour=12)
    make_campaign(brand, weekly_hours="Tue 16-20; Fri 1-2")
    make_campaign(brand, is_enabled=False)
    make_campaign(brand, ends_on=TODAY - timedelta(days=1))

    [found] = paces(decided(brand)).values()

    opened = [slot.hour for slot in found.spending.today.slots if slot.is_open]
    assert opened == [8, 9, 10, 11, 16, 17, 18, 19]
    assert found.pace.day_plan == 50


def test_of_an_inactive_brand_nothing_is_open() -> None:
    campaign = make_campaign(make_brand(daily_budget=100, is_active=False))

    [found] = paces(campaign.brand).values()

    assert not found.spending.today.open_time
    assert found.pace.day_plan is None


def test_the_recommended_daily_budget_is_in_the_currencys_coins() -> None:
    yen = make_campaign(make_brand(monthly_budget=100_000, currency="JPY"))
    dinar = make_campaign(make_brand(monthly_budget=100_000, currency="KWD"))

    found = paces(yen.brand, dinar.brand)

    # 6 days and 9 hours are left of November.
    assert str(found[yen.brand_id].pace.recommended_daily_budget) == "15686"
    assert str(found[dinar.brand_id].pace.recommended_daily_budget) == "15686.274"


def test_two_statements_for_all_brands() -> None:
    def make(count: int) -> list[Brand]:
        campaigns = [make_campaign() for _ in range(count)]
        for campaign in campaigns:
            spend(campaign, 1)
        return [campaign.brand for campaign in campaigns]

    few, many = make(1), make(9)
    moments = [
        list(rollover.preview(Brand.objects.filter(pk__in=[b.pk for b in brands]), NOW).values())
        for brands in (few, many)
    ]

    asked = [statements(partial(pacing.of_brands, some)) for some in moments]

    assert list(map(len, asked)) == [2, 2]


def test_the_ledger_is_read_by_its_index() -> None:
    campaign = make_campaign()
    spend(campaign, 1)
    moments = list(rollover.preview([campaign.brand], NOW).values())
    *_, ledger = statements(lambda: pacing.of_brands(moments))

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # a table of one row is read whole
    assert "spend_by_campaign_and_day" in plan_of(ledger)
