"""The decision: each hold, their order, and when the answer could change by time alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest

from budgets.core.dayparting import Hours, parse
from budgets.core.decision import (
    BUDGET_HOLDS,
    BrandFacts,
    CampaignFacts,
    Facts,
    Hold,
    decide,
    least_budget,
    next_change,
    reached,
    stale_at,
)
from budgets.core.periods import local_day, zone_named
from budgets.tests.builders import at

TODAY = date(2026, 11, 24)
MICRO = Decimal("0.000001")

RUNS = Facts(
    brand=BrandFacts(
        is_active=True,
        day_is_spent=False,
        month_is_spent=False,
        today=TODAY,
        hour=15,
    ),
    campaign=CampaignFacts(is_enabled=True),
)

IN_ORDER = [
    Hold.OPERATOR,
    Hold.BRAND_INACTIVE,
    Hold.NOT_STARTED,
    Hold.ENDED,
    Hold.BRAND_MONTHLY_BUDGET,
    Hold.CAMPAIGN_MONTHLY_BUDGET,
    Hold.BRAND_DAILY_BUDGET,
    Hold.CAMPAIGN_DAILY_BUDGET,
    Hold.STALE_SPEND,
    Hold.OUTSIDE_HOURS,
]


def held_by(facts: Facts, hold: Hold) -> Facts:  # noqa: C901  # one case a hold
    """Change the one fact that makes `hold` apply."""
    brand, campaign = facts.brand, facts.campaign
    match hold:
        case Hold.OPERATOR:
            campaign = replace(campaign, is_enabled=False)
        case Hold.BRAND_INACTIVE:
            brand = replace(brand, is_active=False)
        case Hold.NOT_STARTED:
            campaign = replace(campaign, starts_on=date(2026, 11, 25))
        case Hold.ENDED:
            campaign = replace(campaign, ends_on=date(2026, 11, 23))
        case Hold.BRAND_MONTHLY_BUDGET:
            brand = replace(brand, month_is_spent=True)
        case Hold.CAMPAIGN_MONTHLY_BUDGET:
            campaign = replace(campaign, month_is_spent=True)
        case Hold.BRAND_DAILY_BUDGET:
            brand = replace(brand, day_is_spent=True)
        case Hold.CAMPAIGN_DAILY_BUDGET:
            campaign = replace(campaign, day_is_spent=True)
        case Hold.STALE_SPEND:
            brand = replace(brand, waits_for_reports=True)
        case Hold.OUTSIDE_HOURS:
            campaign = replace(campaign, hours=Hours(16, 18))
        case Hold.UNDECIDED:
            raise AssertionError("no fact makes this one apply")
    return Facts(brand=brand, campaign=campaign)


def test_nothing_holds_a_campaign_that_may_run() -> None:
    assert decide(RUNS) == ()


@pytest.mark.parametrize("hold", IN_ORDER)
def test_each_hold_applies_by_its_own_fact_alone(hold: Hold) -> None:
    assert decide(held_by(RUNS, hold)) == (hold,)


@pytest.mark.parametrize(("stronger", "weaker"), [*itertools.combinations(IN_ORDER, 2)])
def test_the_stronger_hold_comes_first_and_the_weaker_can_still_be_asked_for(
    stronger: Hold, weaker: Hold
) -> None:
    assert decide(held_by(held_by(RUNS, weaker), stronger)) == (stronger, weaker)


def test_all_holds_that_apply_can_be_asked_for_at_once() -> None:
    facts = RUNS
    for hold in IN_ORDER:
        facts = held_by(facts, hold)

    assert decide(facts) == tuple(IN_ORDER)


@pytest.mark.parametrize("lifted", IN_ORDER)
def test_lifting_one_hold_lifts_no_other(lifted: Hold) -> None:
    facts = RUNS
    for hold in IN_ORDER:
        if hold is not lifted:
            facts = held_by(facts, hold)

    assert decide(facts) == tuple(hold for hold in IN_ORDER if hold is not lifted)


def test_undecided_is_never_an_answer() -> None:
    assert set(Hold) - set(IN_ORDER) == {Hold.UNDECIDED}
    assert {hold for hold in Hold if hold.endswith("_budget")} == BUDGET_HOLDS


@pytest.mark.parametrize(
    ("spent", "budget", "expected"),
    [
        (Decimal(100) - MICRO, Decimal(100), False),
        (Decimal(100), Decimal(100), True),
        (Decimal(100) + MICRO, Decimal(100), True),
        (Decimal(0), Decimal(0), True),
        (-MICRO, Decimal(0), True),
        (Decimal(10) ** 12, None, False),
        (Decimal(0), None, False),
    ],
)
def test_a_budget_is_reached_inclusively_to_the_last_micro_unit(
    spent: Decimal, budget: Decimal | None, expected: bool
) -> None:
    assert reached(spent, budget) is expected


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "holds"),
    [
        (TODAY, TODAY, ()),
        (None, TODAY, ()),
        (TODAY, None, ()),
        (date(2026, 11, 25), date(2026, 11, 30), (Hold.NOT_STARTED,)),
        (date(2026, 11, 1), date(2026, 11, 23), (Hold.ENDED,)),
    ],
)
def test_a_flight_includes_its_first_and_its_last_day(
    starts_on: date | None, ends_on: date | None, holds: tuple[Hold, ...]
) -> None:
    campaign = replace(RUNS.campaign, starts_on=starts_on, ends_on=ends_on)

    assert decide(replace(RUNS, campaign=campaign)) == holds


@pytest.mark.parametrize(
    ("week", "today", "hour", "holds"),
    [
        ("Tue 15-16", TODAY, 15, ()),
        ("Tue 15-16", TODAY, 16, (Hold.OUTSIDE_HOURS,)),
        ("Wed-Mon 0-24", TODAY, 15, (Hold.OUTSIDE_HOURS,)),
        ("Mon 22-6", TODAY, 5, ()),
        ("Tue 22-6", TODAY, 5, (Hold.OUTSIDE_HOURS,)),
        ("Sun 22-6", date(2026, 11, 23), 5, ()),
    ],
)
def test_a_weekly_calendar_decides_instead_of_the_hours_of_every_day(
    week: str, today: date, hour: int, holds: tuple[Hold, ...]
) -> None:
    for every_day in ((0, 24), (hour, hour), ((hour + 1) % 24, hour)):
        facts = Facts(
            brand=replace(RUNS.brand, today=today, hour=hour),
            campaign=replace(RUNS.campaign, hours=Hours(*every_day, parse(week))),
        )
        assert decide(facts) == holds


@pytest.mark.parametrize(
    ("calendars", "expected"),
    [
        (set(), "2026-11-25T00:00Z"),
        ({Hours()}, "2026-11-25T00:00Z"),
        ({Hours(), Hours(9, 17), Hours(6, 22)}, "2026-11-24T17:00Z"),
        ({Hours(16, 18), Hours(9, 17)}, "2026-11-24T16:00Z"),
        # A Tuesday: what another weekday does is no change of today.
        ({Hours(16, 18, parse("Tue 9-17; Wed 3-4"))}, "2026-11-24T17:00Z"),
        ({Hours(16, 18, parse("Mon 15-16"))}, "2026-11-25T00:00Z"),
    ],
)
def test_time_alone_changes_nothing_before_the_nearest_opening_closing_or_midnight(
    calendars: set[Hours], expected: str
) -> None:
    now = at("2026-11-24T15:20Z")

    assert next_change(local_day(zone_named("UTC"), now), calendars, now) == at(expected)


@pytest.mark.parametrize(
    ("is_stale_at", "expected"),
    [
        (None, "2026-11-24T17:00Z"),
        ("2026-11-24T16:59:59Z", "2026-11-24T16:59:59Z"),
        ("2026-11-24T17:30Z", "2026-11-24T17:00Z"),
        ("2026-11-24T15:20Z", "2026-11-24T17:00Z"),
        ("2026-11-24T09:00Z", "2026-11-24T17:00Z"),
    ],
)
def test_time_alone_makes_spend_stale_once(is_stale_at: str | None, expected: str) -> None:
    now = at("2026-11-24T15:20Z")
    day = local_day(zone_named("UTC"), now)

    told = next_change(day, {Hours(9, 17)}, now, stale_at=at(is_stale_at) if is_stale_at else None)

    assert told == at(expected)


@pytest.mark.parametrize(
    ("last_report_at", "hours", "expected"),
    [
        (at("2026-11-24T15:20Z"), 6, at("2026-11-24T21:20Z")),
        # Hours that pass: the clock change of the night lengthens no wait.
        (at("2026-03-08T01:30-05:00"), 3, at("2026-03-08T09:30Z")),
        (at("2026-11-24T15:20Z"), None, None),
        (None, 6, None),
        (None, None, None),
    ],
)
def test_spend_is_stale_its_hours_after_the_last_report(
    last_report_at: datetime | None, hours: int | None, expected: datetime | None
) -> None:
    assert stale_at(last_report_at, hours) == expected


@pytest.mark.parametrize(
    ("spent", "budget"),
    [("0", "0.000001"), ("-3", "0.000001"), ("100", "100.000001"), ("0.999999", "1")],
)
def test_the_least_budget_is_the_first_that_is_not_reached(spent: str, budget: str) -> None:
    needed = least_budget(Decimal(spent))

    assert needed == Decimal(budget)
    assert not reached(Decimal(spent), needed)
    assert reached(Decimal(spent), needed - MICRO)
