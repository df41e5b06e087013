"""Why a campaign runs or not, in words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign
from budgets.queries.explain import Explanation, explain
from budgets.tests.builders import NOW, TODAY, at, decided, make_brand, make_campaign, spend

pytestmark = pytest.mark.django_db


def explained(campaign: Campaign, now: datetime = NOW) -> Explanation:
    return explain(Campaign.objects.select_related("brand").get(pk=campaign.pk), now)


def words(campaign: Campaign, now: datetime = NOW) -> str:
    return " ".join(reason.words for reason in explained(campaign, now).reasons)


def test_a_day_that_is_spent_says_the_figures_and_when_it_starts_again() -> None:
    brand = make_brand(daily_budget=100, timezone="Europe/Berlin")
    campaign = decided(make_campaign(brand))
    spend(campaign, 105)

    told = explained(campaign)

    assert [reason.hold for reason in told.reasons] == [Hold.BRAND_DAILY_BUDGET]
    assert words(campaign) == (
        "The brand's daily budget is reached: "
        "105.00 of 100.00 USD spent today (24 Nov 2026, Europe/Berlin)."
    )
    assert told.outlook == (
        "If nothing else changes, it starts again at 00:00 on Wed 25 Nov, Europe/Berlin (in 8 h)."
    )
    assert told.next_change_at == at("2026-11-24T23:00Z")
    assert (told.is_active, told.state, told.lag) == (False, "brand's daily budget reached", "")
    assert (told.today, told.zone) == (TODAY, "Europe/Berlin")


def test_a_month_that_is_spent_starts_again_with_the_next_one() -> None:
    brand = make_brand(monthly_budget=1000)
    campaign = decided(make_campaign(brand))
    spend(campaign, 1000)

    assert "1,000.00 of 1,000.00 USD spent in November (UTC)" in words(campaign)
    assert explained(campaign).next_change_at == at("2026-12-01T00:00Z")


def test_own_budgets_are_called_its_own() -> None:
    campaign = decided(make_campaign(daily_budget=10, monthly_budget=20))
    spend(campaign, 20)

    assert words(campaign) == (
        "Its own monthly budget is reached: 20.00 of 20.00 USD spent in November (UTC). "
        "Its own daily budget is reached: 20.00 of 10.00 USD spent today (24 Nov 2026, UTC)."
    )


def test_the_start_told_is_the_one_after_every_hold() -> None:
    brand = make_brand(daily_budget=100)
    campaign = decided(make_campaign(brand, allowed_start_hour=16, allowed_end_hour=18))
    spend(campaign, 100)

    told = explained(campaign)

    assert [reason.hold for reason in told.reasons] == [
        Hold.BRAND_DAILY_BUDGET,
        Hold.OUTSIDE_HOURS,
    ]
    # Neither the opening at 16:00, when the day is still spent, nor midnight, when it is closed.
    assert told.next_change_at == at("2026-11-25T16:00Z")


@pytest.mark.parametrize(
    ("fields", "sentence", "starts_at"),
    [
        (
            {"allowed_start_hour": 22, "allowed_end_hour": 6},
            "Its hours are 22–6, local to the brand; it is 15:00 in UTC.",  # noqa: RUF001
            "2026-11-24T22:00Z",
        ),
        (
            {"starts_on": "2026-12-01"},
            "Its flight begins on 1 Dec 2026; today is 24 Nov 2026.",
            "2026-12-01T00:00Z",
        ),
        ({"ends_on": "2026-11-23"}, "Its flight ended with 23 Nov 2026", None),
        ({"is_enabled": False}, "An operator switched it off.", None),
        ({"daily_budget": 0}, "0.00 of 0.00 USD spent today", None),
        ({"starts_on": "2028-01-01"}, "Its flight begins on 1 Jan 2028", "2028-01-01T00:00Z"),
        ({"starts_on": "9999-12-31"}, "Its flight begins on 31 Dec 9999", None),
        ({"starts_on": "2028-01-01", "daily_budget": 0}, "0.00 of 0.00 USD spent today", None),
        ({"monthly_budget": 0}, "0.00 of 0.00 USD spent in November", None),
    ],
)
def test_other_holds_say_why_and_whether_time_lifts_them(
    fields: dict[str, Any], sentence: str, starts_at: str | None
) -> None:
    campaign = make_campaign(**fields)
    campaign.refresh_from_db()
    decided(campaign)

    told = explained(campaign)

    assert sentence in words(campaign)
    assert told.next_change_at == (at(starts_at) if starts_at else None)
    if starts_at is None:
        assert told.outlook == "Time alone does not start it."


def test_a_brand_that_is_off_is_named() -> None:
    campaign = decided(make_campaign(make_brand(name="Acme", is_active=False)))

    assert words(campaign) == "The brand Acme is not active, so none of its campaigns runs."


def test_an_active_one_says_how_much_room_is_left_and_when_it_stops() -> None:
    brand = make_brand(daily_budget=100, monthly_budget=120)
    campaign = decided(make_campaign(brand, allowed_end_hour=18))
    spend(campaign, 30)

    told = explained(campaign)

    assert (told.is_active, told.reasons) == (True, ())
    assert told.outlook == (
        "Up to 70.00 USD more may be spent until the brand's daily budget is reached. "
        "By the clock it stops at 18:00 on Tue 24 Nov, UTC (in 3 h)."
    )


def test_an_active_one_without_budgets_says_so() -> None:
    assert explained(decided(make_campaign())).outlook == "No budget limits it."


def test_totals_of_another_day_do_not_count() -> None:
    brand = make_brand(daily_budget=100)
    campaign = decided(make_campaign(brand))
    spend(campaign, 100)

    told = explained(campaign, at("2026-11-25T00:00:30Z"))

    assert told.reasons == ()
    assert told.lag == (
        "The state in force lags: decided now, it would be active. "
        "The next pass puts it right, within a minute."
    )


def test_a_state_that_lags_behind_a_hold_names_it() -> None:
    campaign = decided(make_campaign(allowed_end_hour=18))

    told = explained(campaign, at("2026-11-24T18:00Z"))

    assert "it would be held: outside allowed hours" in told.lag
    assert told.is_active


def test_an_undecided_one_says_that_the_next_pass_decides() -> None:
    told = explained(make_campaign())

    assert told.lag == (
        "It was written by a road that does not decide. The next pass decides, within a minute."
    )
    assert told.outlook == "No budget limits it."


def test_a_zone_to_come_is_taken_into_account() -> None:
    brand = make_brand(daily_budget=100, timezone="Europe/Berlin")
    campaign = decided(make_campaign(brand, allowed_start_hour=9, allowed_end_hour=10))
    spend(campaign, 1)
    Brand.objects.filter(pk=brand.pk).update(timezone="Asia/Tokyo")

    # From Berlin's midnight, 08:00 in Tokyo, Tokyo's hours count.
    assert explained(campaign).next_change_at == at("2026-11-25T00:00Z")


def test_a_corrupt_zone_is_named_and_nothing_else_is_claimed() -> None:
    campaign = make_campaign(make_brand(timezone="Mars/Olympus"))

    told = explained(campaign)

    assert "'Mars/Olympus'" in told.trouble
    assert (told.reasons, told.today, told.next_change_at) == ((), None, None)
    assert "until the brand's time zone is put right" in told.outlook


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # The hour 2-3 does not exist on the day of the change, and opens on the next.
        ("2026-03-29T00:30Z", "2026-03-30T00:00Z"),
        # It comes twice in autumn: still open through the second.
        ("2026-10-24T22:00Z", "2026-10-25T00:00Z"),
    ],
)
def test_openings_follow_the_clock_changes(now: str, expected: str) -> None:
    brand = make_brand(timezone="Europe/Berlin")
    campaign = make_campaign(brand, allowed_start_hour=2, allowed_end_hour=3)

    assert explained(campaign, at(now)).next_change_at == at(expected)
