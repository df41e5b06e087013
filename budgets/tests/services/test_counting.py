"""Rows that came by another road: a shell, `bulk_create`, an SQL insert. Counted exactly once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign, Spend
from budgets.queries import health
from budgets.services import counting, passes, reconciliation
from budgets.services.access import EVERYTHING
from budgets.tests.builders import (
    NOW,
    TODAY,
    at,
    decided,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
    write_spend,
)

pytestmark = pytest.mark.django_db

TOMORROW = date(2026, 11, 25)
MIDNIGHT = at("2026-11-25T00:00Z")

Road = Callable[[Campaign, int, date], None]


def by_create(campaign: Campaign, amount: int, day: date) -> None:
    Spend.objects.create(campaign=campaign, date=day, amount=amount)


def by_save(campaign: Campaign, amount: int, day: date) -> None:
    Spend(campaign=campaign, date=day, amount=amount).save()


def by_bulk_create(campaign: Campaign, amount: int, day: date) -> None:
    Spend.objects.bulk_create([Spend(campaign=campaign, date=day, amount=amount)])


def by_sql(campaign: Campaign, amount: int, day: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO budgets_spend (campaign_id, date, amount) VALUES (%s, %s, %s)",
            [campaign.pk, day.isoformat(), amount * 1_000_000],
        )


BY_ANY_ROAD = pytest.mark.parametrize("road", [by_create, by_save, by_bulk_create, by_sql])


@BY_ANY_ROAD
@pytest.mark.parametrize("task", [passes.check_and_pause, passes.reset])
def test_a_row_is_counted_exactly_once(road: Road, task: Callable[..., dict[str, int]]) -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    road(campaign, 60, TODAY)

    counts = [task(NOW)["counted"] for _ in range(3)]

    assert counts == [1, 0, 0]
    assert totals(campaign) == totals(campaign.brand) == (60, 60)
    road(campaign, 40, TODAY)
    assert [task(NOW)["counted"], task(NOW)["counted"]] == [1, 0]
    assert totals(campaign) == (100, 100)
    assert state(campaign) == Hold.BRAND_DAILY_BUDGET
    assert reconciliation.check() == []


def test_a_row_that_another_worker_counted_meanwhile_is_not_counted_again() -> None:
    campaign = decided(make_campaign())
    write_spend(campaign, 60)
    quicker: list[int] = []

    def let_another_worker_be_first(execute: Any, sql: str, *rest: Any) -> Any:
        # Our list of uncounted rows is read; what comes next is the lock of their brands.
        if not quicker and "budgets_brand" in sql and "FROM" in sql and "budgets_spend" not in sql:
            quicker.append(0)
            quicker[0] = counting.count_uncounted(NOW).rows
        return execute(sql, *rest)

    with connection.execute_wrapper(let_another_worker_be_first):
        ours = counting.count_uncounted(NOW)

    assert (quicker, ours.rows) == ([1], 0)
    assert totals(campaign) == totals(campaign.brand) == (60, 60)


@BY_ANY_ROAD
def test_a_row_dated_ahead_waits_for_its_day_and_is_counted_then(road: Road) -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    road(campaign, 10, TOMORROW)
    road(campaign, 7, date(2026, 11, 27))

    for now in (NOW, MIDNIGHT - timedelta(seconds=1)):
        passes.check_and_pause(now)
        assert (totals(campaign), state(campaign)) == ((0, 0), "")

    passes.check_and_pause(MIDNIGHT)
    assert (totals(campaign), state(campaign)) == ((10, 10), Hold.BRAND_DAILY_BUDGET)
    passes.check_and_pause(at("2026-11-27T00:00Z"))
    assert (totals(campaign), state(campaign)) == ((7, 17), "")
    assert reconciliation.check() == []


def test_rows_that_wait_do_not_keep_others_from_being_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "BATCH", 2)
    west = make_campaign(make_brand(timezone="Pacific/Pago_Pago"))
    east = make_campaign(make_brand(timezone="Pacific/Kiritimati"))
    for _ in range(5):
        write_spend(west, 1, TOMORROW)
        write_spend(east, 1, TOMORROW)

    assert counting.count_uncounted(NOW).rows == 5
    assert (totals(west), totals(east)) == ((0, 0), (5, 5))


def test_a_new_day_is_that_of_the_brand_wherever_it_lies() -> None:
    brands = [make_brand(timezone=zone) for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago")]
    campaigns = [make_campaign(brand) for brand in brands]
    for campaign in campaigns:
        write_spend(campaign, 1, TOMORROW)

    counted = [
        counting.count_uncounted(at(f"2026-11-{when}")).rows
        for when in ("24T09:59:59Z", "24T10:00Z", "25T10:59:59Z", "25T11:00Z")
    ]

    assert counted == [0, 1, 0, 1]


def test_counted_and_reported_rows_add_up() -> None:
    campaign = decided(make_campaign())
    for amount in (1, 2, 3):
        spend(campaign, amount)
        write_spend(campaign, amount * 10)

    decided(campaign)

    assert totals(campaign) == totals(campaign.brand) == (66, 66)


def test_a_row_of_a_brand_no_pass_has_seen_is_counted() -> None:
    campaign = make_campaign(daily_budget=5)
    write_spend(campaign, 5)

    assert state(decided(campaign)) == Hold.CAMPAIGN_DAILY_BUDGET


def test_rows_of_a_corrupt_brand_wait_until_it_is_repaired() -> None:
    corrupt = make_campaign(make_brand(timezone="Not/AZone"))
    healthy = make_campaign()
    write_spend(corrupt, 5)
    write_spend(healthy, 5)

    passes.check_and_pause(NOW)
    assert (totals(healthy), totals(corrupt)) == ((5, 5), (0, 0))
    assert corrupt.spends.uncounted().count() == 1

    Brand.objects.filter(pk=corrupt.brand_id).update(timezone="UTC")
    decided(corrupt)
    assert totals(corrupt) == (5, 5)


class TestSpendThatNoTotalCouldHold:
    def campaign(self) -> Campaign:
        campaign = make_campaign(make_brand())
        Spend.objects.bulk_create(
            Spend(campaign=campaign, date=TODAY, amount="9" * 12) for _ in range(10)
        )
        return campaign

    def test_stops_no_other_brand(self) -> None:
        beside, poisoned, after = make_campaign(), self.campaign(), make_campaign(daily_budget=1)
        write_spend(beside, 5)
        write_spend(after, 5)

        assert counting.count_uncounted(NOW).rows == 2

        assert (totals(beside), totals(poisoned), totals(after)) == ((5, 5), (0, 0), (5, 5))
        assert state(after) == Hold.CAMPAIGN_DAILY_BUDGET
        assert poisoned.spends.uncounted().count() == 10

    def test_is_named_by_health_while_the_brand_is_looked_after_as_ever(self) -> None:
        poisoned = self.campaign()
        for minute in range(4):
            passes.check_and_pause(NOW + timedelta(minutes=minute))

        Campaign.objects.filter(pk=poisoned.pk).update(is_enabled=False)
        passes.reset(NOW + timedelta(minutes=5))

        assert state(poisoned) == Hold.OPERATOR
        assert health.waiting(NOW, EVERYTHING).brands == (poisoned.brand.name,)

    def test_that_fails_is_written_down_nowhere(self) -> None:
        self.campaign()
        passes.check_and_pause(NOW)
        before = list(Brand.objects.values())

        passes.reset(NOW)

        assert list(Brand.objects.values()) == before

    def test_is_counted_once_a_correction_makes_it_fit(self) -> None:
        poisoned = self.campaign()
        passes.check_and_pause(NOW)

        write_spend(poisoned, "-" + "9" * 12)
        brand = decided(poisoned.brand)

        assert totals(poisoned)[0] == 9 * Decimal("9" * 12)
        assert brand.trouble == ""


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_database_that_fails_is_no_brands_trouble(is_alone: bool) -> None:
    campaign = decided(make_campaign())
    write_spend(campaign, 5)
    if not is_alone:  # beside one that no total can hold, so that each is counted by itself
        TestSpendThatNoTotalCouldHold().campaign()
    fails = iter([True] if is_alone else [False, True])

    def fail_as_rows_are_marked(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and "is_counted" in sql and next(fails):
            raise OperationalError("disk I/O error")
        return execute(sql, *rest)

    with (
        connection.execute_wrapper(fail_as_rows_are_marked),
        pytest.raises(OperationalError, match="disk"),
    ):
        counting.count_uncounted(NOW)

    assert (totals(campaign), campaign.brand.trouble) == ((0, 0), "")
    assert counting.count_uncounted(NOW).rows == 1
    assert totals(campaign) == (5, 5)


def test_rows_that_cannot_be_counted_hide_none_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SNAPSHOT", 3)
    stuck = make_campaign(make_brand(timezone="Mars/Olympus"))
    for _ in range(7):
        write_spend(stuck, 1)
    campaign = make_campaign(make_brand(daily_budget=5))
    for _ in range(5):
        write_spend(campaign, 1)

    assert counting.count_uncounted(NOW).rows == 5

    assert state(campaign) == Hold.BRAND_DAILY_BUDGET


def test_a_row_of_no_campaign_stops_nobody() -> None:
    if connection.vendor != "sqlite":
        return  # the database refuses such a row
    campaign = decided(make_campaign(make_brand(daily_budget=5)))
    write_spend(campaign, 5)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA defer_foreign_keys = ON")
        cursor.execute(
            "INSERT INTO budgets_spend (campaign_id, date, amount) VALUES (999, '2026-11-24', 1)"
        )

    passes.reset(NOW)

    assert state(campaign) == Hold.BRAND_DAILY_BUDGET
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM budgets_spend WHERE campaign_id = 999")


def test_a_day_turned_back_by_counting_is_decided_at_once() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    spend(campaign, 10, now=at("2026-11-24T23:50Z"))
    passes.reset(at("2026-11-25T00:06Z"))  # by a clock that is fast
    assert state(campaign) == ""
    write_spend(campaign, 1, date(2026, 11, 25))

    passes.reset(at("2026-11-24T23:55Z"))

    assert totals(campaign.brand)[0] == 10
    assert state(campaign) == Hold.BRAND_DAILY_BUDGET
