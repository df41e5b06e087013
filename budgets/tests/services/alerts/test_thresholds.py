"""Thresholds of budgets: each told once in its period, however spend goes up and down."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from budgets.models import Alert, AlertKind, AlertMessage, Brand, Campaign
from budgets.services import editing
from budgets.tests.builders import (
    NOW,
    alerted,
    alerts_of,
    at,
    decided,
    make_brand,
    make_campaign,
    make_recipient,
    spend,
)
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def raised(row: Brand | Campaign) -> list[tuple[str, str, int]]:
    """Return of which budget, of which period and at how many percent."""
    return [(it.budget, it.period, it.threshold) for it in alerts_of(row)]


def percents(row: Brand | Campaign) -> list[int]:
    return [it.threshold for it in alerts_of(row)]


def mails() -> list[int]:
    """Return the thresholds that were mailed, in order."""
    return list(AlertMessage.objects.order_by("pk").values_list("alert__threshold", flat=True))


def test_each_threshold_is_told_once_with_its_figures() -> None:
    brand = make_brand(name="Acme", daily_budget=100, currency="EUR")
    campaign = decided(make_campaign(brand))
    make_recipient()

    for amount in (49, "0.999999", "0.000001", 29, 1, 10, 10):
        spend(campaign, amount)
        alerted()
        alerted()

    assert raised(brand) == [("brand_daily_budget", "2026-11-24", it) for it in (50, 80, 90, 100)]
    assert mails() == [50, 80, 90, 100]
    first = alerts_of(brand)[0]
    assert first.figures == {
        "brand": "Acme",
        "spent": "50.00",
        "budget": "100.00",
        "currency": "EUR",
    }
    assert (first.kind, first.raised_at) == (AlertKind.THRESHOLD, NOW)


def test_of_several_at_once_the_highest_is_told() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    make_recipient()

    spend(campaign, 95)
    assert alerted()["thresholds"] == 1
    spend(campaign, -30)
    alerted()

    assert percents(campaign.brand) == mails() == [90]


def test_up_and_down_and_up_again_is_told_once() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    make_recipient()

    for amount in (85, -80, 80, -85, 85, -1, 1):
        spend(campaign, amount)
        alerted()

    assert percents(campaign.brand) == mails() == [80]


def test_another_budget_in_the_same_period_tells_nothing_twice() -> None:
    brand = make_brand(daily_budget=100)
    campaign = decided(make_campaign(brand))
    make_recipient()
    spend(campaign, 85)
    alerted()

    for budget in (1000, 100, 90, 85):
        brand.refresh_from_db()
        brand.daily_budget = Decimal(budget)
        editing.save(brand, by="operator", now=NOW)
        alerted()

    assert percents(brand) == mails() == [80, 90, 100]


def test_a_lower_threshold_that_is_added_later_is_no_news() -> None:
    brand = make_brand(daily_budget=100, alert_thresholds="90")
    campaign = decided(make_campaign(brand))
    spend(campaign, 95)
    alerted()

    Brand.objects.filter(pk=brand.pk).update(alert_thresholds="10 90 95")
    alerted()

    assert percents(brand) == [90, 95]


@pytest.mark.parametrize(
    ("thresholds", "told"), [("", []), ("33", [33]), ("1 120 150", [120]), ("bad", [])]
)
def test_a_brand_has_thresholds_of_its_own(thresholds: str, told: list[int]) -> None:
    brand = make_brand(daily_budget=100, alert_thresholds=thresholds)
    other = make_brand(daily_budget=100)
    for campaign in (decided(make_campaign(brand)), decided(make_campaign(other))):
        spend(campaign, 125)

    alerted()

    assert percents(brand) == told
    assert percents(other) == [100]


def test_day_and_month_are_told_apart() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100, monthly_budget=160)))

    spend(campaign, 80)
    alerted()

    assert raised(campaign.brand) == [
        ("brand_daily_budget", "2026-11-24", 80),
        ("brand_monthly_budget", "2026-11", 50),
    ]


def test_budgets_of_a_campaign_are_told_by_the_thresholds_of_its_brand() -> None:
    brand = make_brand(daily_budget=1000, alert_thresholds="75")
    campaign = decided(make_campaign(brand, name="Tents", daily_budget=10, monthly_budget=20))

    spend(campaign, 15)
    alerted()

    assert raised(campaign) == [
        ("campaign_daily_budget", "2026-11-24", 75),
        ("campaign_monthly_budget", "2026-11", 75),
    ]
    assert alerts_of(campaign)[0].figures["campaign"] == "Tents"
    assert raised(brand) == []


def test_a_budget_of_zero_is_a_switch_and_no_news_until_something_is_spent() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=0)))
    alerted()
    assert percents(campaign.brand) == []

    spend(campaign, "0.000001")
    alerted()

    assert percents(campaign.brand) == [100]


def test_the_largest_amounts_are_compared_exactly() -> None:
    budget = Decimal("999999999999.999999")
    brand = make_brand(daily_budget=budget, alert_thresholds="1 100 500")
    campaign = decided(make_campaign(brand))
    spend(campaign, "999999999999.999998")
    alerted()
    assert percents(brand) == [1]

    spend(campaign, "0.000001")
    alerted()

    assert percents(brand) == [1, 100]


class TestPeriods:
    def test_each_day_is_told_anew(self) -> None:
        campaign = decided(make_campaign(make_brand(daily_budget=100)))
        spend(campaign, 60)
        alerted()

        tomorrow = NOW + timedelta(days=1)
        alerted(tomorrow)
        assert percents(campaign.brand) == [50]  # nothing was spent tomorrow

        spend(campaign, 70, now=tomorrow)
        alerted(tomorrow)

        assert [period for _, period, _ in raised(campaign.brand)] == ["2026-11-24", "2026-11-25"]

    @pytest.mark.parametrize(
        ("zone", "midnight", "before", "after"),
        [
            ("America/Los_Angeles", "2026-11-24T08:00Z", "2026-11-23", "2026-11-24"),
            ("Pacific/Kiritimati", "2026-11-24T10:00Z", "2026-11-24", "2026-11-25"),
            ("Asia/Kathmandu", "2026-11-24T18:15Z", "2026-11-24", "2026-11-25"),
        ],
    )
    def test_a_day_ends_at_the_brands_own_midnight(
        self, zone: str, midnight: str, before: str, after: str
    ) -> None:
        turns = at(midnight)
        campaign = make_campaign(make_brand(daily_budget=100, timezone=zone))
        campaign = decided(campaign, turns - 2 * MINUTE)
        spend(campaign, 60, now=turns - 2 * MINUTE)

        alerted(turns - MINUTE)
        spend(campaign, 60, now=turns + MINUTE)
        alerted(turns + MINUTE)

        assert raised(campaign.brand) == [
            ("brand_daily_budget", before, 50),
            ("brand_daily_budget", after, 50),
        ]

    def test_what_yesterday_spent_is_not_told_for_today(self) -> None:
        """No pass has rolled the totals yet: they speak of another day."""
        campaign = decided(make_campaign(make_brand(daily_budget=100)))
        spend(campaign, 95)

        alerted(at("2026-11-25T00:00Z"))

        assert percents(campaign.brand) == []

    def test_a_month_ends_at_the_brands_own_midnight(self) -> None:
        turns = at("2026-11-30T15:00Z")  # in Tokyo
        brand = make_brand(monthly_budget=100, timezone="Asia/Tokyo")
        campaign = decided(make_campaign(brand), turns - 2 * MINUTE)
        spend(campaign, 60, now=turns - 2 * MINUTE)
        alerted(turns - MINUTE)
        alerted(turns)
        spend(campaign, 55, now=turns)
        alerted(turns)

        assert raised(brand) == [
            ("brand_monthly_budget", "2026-11", 50),
            ("brand_monthly_budget", "2026-12", 50),
        ]

    def test_a_month_of_which_nothing_is_spent_today_still_counts(self) -> None:
        brand = make_brand(monthly_budget=100, alert_thresholds="50")
        campaign = decided(make_campaign(brand))
        spend(campaign, 60)

        # Ten days later, and no pass has rolled anything.
        alerted(at("2026-11-30T12:00Z"))

        assert raised(brand) == [("brand_monthly_budget", "2026-11", 50)]

    def test_a_change_of_zone_gives_no_day_twice(self) -> None:
        brand = make_brand(daily_budget=100, timezone="Asia/Tokyo", alert_thresholds="50")
        campaign = decided(make_campaign(brand))
        spend(campaign, 60)
        alerted()
        brand.refresh_from_db()
        brand.timezone = "America/Los_Angeles"
        editing.save(brand, by="operator", now=NOW)

        # 16:00 is midnight in Tokyo, and still the 25th in Los Angeles for two days' worth of hours.
        for hours in range(0, 60, 3):
            now = NOW + timedelta(hours=hours)
            decided(campaign, now)
            spend(campaign, 60, now=now)
            alerted(now)

        periods = [period for _, period, _ in raised(brand)]
        assert periods == sorted(set(periods))


def test_a_brand_whose_zone_is_corrupt_stops_no_other() -> None:
    bad, good = (decided(make_campaign(make_brand(daily_budget=100))) for _ in range(2))
    for campaign in (bad, good):
        spend(campaign, 60)
    Brand.objects.filter(pk=bad.brand_id).write(timezone="No/Where", zone_in_force="No/Where")

    alerted()

    assert percents(bad.brand) == []
    assert percents(good.brand) == [50]


def test_raising_costs_by_pieces_not_by_brands() -> None:
    make_recipient()
    alerted()

    def crossing(count: int) -> int:
        brands = [make_brand(daily_budget=100) for _ in range(count)]
        Brand.objects.filter(pk__in=[it.pk for it in brands]).write(
            total_daily_spend=60, spend_day=NOW.date()
        )
        said = statements(alerted)
        assert Alert.objects.filter(brand__in=brands).count() == count
        return len(said)

    few, many = crossing(3), crossing(90)

    assert few == many


def test_an_idle_pass_asks_the_same_few_questions() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    spend(campaign, 95)
    alerted()
    little = statements(alerted)

    for _ in range(50):
        spend(decided(make_campaign(make_brand(daily_budget=100))), 95)
    alerted()

    assert len(statements(alerted)) == len(little)
