"""Why a campaign runs or not, in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign, Cause, StatusChange
from budgets.queries.explain import Explanation, Limit, explain, explain_at
from budgets.services import editing, passes
from budgets.tests.builders import (
    NOW,
    TODAY,
    at,
    decided,
    make_brand,
    make_campaign,
    spend,
    state,
)

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
            {"weekly_hours": "Sat-Sun 22-6"},
            "Its hours are Sat–Sun 22–6, local to the brand; it is 15:00 in UTC.",  # noqa: RUF001
            "2026-11-28T22:00Z",
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


# --- Figures -------------------------------------------------------------------------------------


def test_each_budget_says_what_is_spent_what_is_left_and_how_high_it_must_be() -> None:
    brand = make_brand(daily_budget=100, monthly_budget=1000, currency="EUR")
    campaign = decided(make_campaign(brand, daily_budget=200))
    spend(campaign, "105.25")

    told = explained(campaign)

    month, day, own = told.limits
    assert told.currency == "EUR"
    assert [limit.hold for limit in told.limits] == [
        Hold.BRAND_MONTHLY_BUDGET,
        Hold.BRAND_DAILY_BUDGET,
        Hold.CAMPAIGN_DAILY_BUDGET,
    ]
    assert [day.spent, day.budget] == [Decimal("105.25"), Decimal(100)]
    assert [day.left, day.budget_needed] == [Decimal(0), Decimal("105.250001")]
    assert (month.left, own.left) == (Decimal("894.75"), Decimal("94.75"))
    assert [(reason.hold, reason.limit) for reason in told.reasons] == [(day.hold, day)]


@pytest.mark.parametrize(
    ("budget", "spent"), [(100, 100), (100, "150.5"), (0, 0), (0, 7), (0, -7), ("0.000001", 3)]
)
def test_the_budget_that_is_needed_is_the_least_that_lets_it_run(
    budget: Decimal | str, spent: Decimal | str
) -> None:
    brand = make_brand(daily_budget=budget)
    campaign = decided(make_campaign(brand))
    spend(campaign, spent)
    (reason,) = explained(campaign).reasons
    assert reason.limit is not None
    needed = reason.limit.budget_needed
    brand = Brand.objects.get(pk=brand.pk)

    brand.daily_budget = needed - Decimal("0.000001")
    editing.save(brand, by="ana", now=NOW, changed=["daily_budget"])
    assert state(campaign) == Hold.BRAND_DAILY_BUDGET
    brand.daily_budget = needed
    editing.save(brand, by="ana", now=NOW, changed=["daily_budget"])
    assert state(campaign) == ""


def test_a_credit_leaves_more_than_the_budget_except_of_none() -> None:
    limits = [
        Limit(hold=Hold.BRAND_DAILY_BUDGET, spent=Decimal(-5), budget=Decimal(budget))
        for budget in (10, 0)
    ]

    assert [limit.left for limit in limits] == [15, 0]


def test_holds_that_are_no_budgets_have_no_figures() -> None:
    campaign = decided(make_campaign(is_enabled=False, ends_on=TODAY - timedelta(days=1)))

    told = explained(campaign)

    assert [(reason.hold, reason.limit) for reason in told.reasons] == [
        (Hold.OPERATOR, None),
        (Hold.ENDED, None),
    ]
    assert (told.allowed_start_hour, told.allowed_end_hour) == (0, 24)
    assert told.weekly_hours is None


# --- When it runs again --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "now", "fields", "runs_again"),
    [
        # Overnight: the end of the day is none of its business.
        ("UTC", "2026-11-24T06:00Z", {"opens": 22, "closes": 6}, "2026-11-24T22:00+00:00"),
        ("UTC", "2026-11-30T21:59Z", {"opens": 22, "closes": 6}, "2026-11-30T22:00+00:00"),
        # The night from Sunday, and none from Tuesday.
        ("UTC", "2026-11-24T22:00Z", {"weekly_hours": "Sun 22-6"}, "2026-11-29T22:00+00:00"),
        # The only Friday night of the week has no Friday: Samoa left it out.
        (
            "Pacific/Apia",
            "2011-12-29T12:00Z",
            {"weekly_hours": "Fri 9-18"},
            "2012-01-06T09:00+14:00",
        ),
        # Its hour 2-3 does not exist on the day of the change.
        (
            "Europe/Berlin",
            "2026-03-28T12:00Z",
            {"opens": 2, "closes": 3},
            "2026-03-30T02:00+02:00",
        ),
        # It comes twice in autumn, and the second time it is still open: so the first counts.
        (
            "Europe/Berlin",
            "2026-10-24T12:00Z",
            {"opens": 2, "closes": 3},
            "2026-10-25T02:00+02:00",
        ),
        # Days that begin at 01:00, and days of 25 hours.
        ("Africa/Cairo", "2026-04-23T12:00Z", {"daily": 5}, "2026-04-24T01:00+03:00"),
        ("Africa/Cairo", "2026-10-28T22:30Z", {"daily": 5}, "2026-10-30T00:00+02:00"),
        ("Australia/Lord_Howe", "2026-04-04T20:00Z", {"daily": 5}, "2026-04-06T00:00+10:30"),
        # Ends of months.
        ("UTC", "2026-12-31T23:59Z", {"monthly": 5}, "2027-01-01T00:00+00:00"),
        ("UTC", "2028-02-28T12:00Z", {"monthly": 5}, "2028-03-01T00:00+00:00"),
        ("Pacific/Auckland", "2026-11-30T10:30Z", {"monthly": 5}, "2026-12-01T00:00+13:00"),
        ("Asia/Kolkata", "2027-01-01T00:00Z", {"monthly": 5}, "2027-02-01T00:00+05:30"),
        # All of them together: the first instant after every one.
        (
            "America/New_York",
            "2026-11-24T15:00Z",
            {"daily": 5, "monthly": 5, "opens": 9, "closes": 17, "starts_on": "2026-12-24"},
            "2026-12-24T09:00-05:00",
        ),
        (
            "America/New_York",
            "2026-11-24T15:00Z",
            {"monthly": 5, "opens": 22, "closes": 2},
            "2026-12-01T00:00-05:00",
        ),
        # Over before it could.
        ("UTC", "2026-11-24T15:00Z", {"daily": 5, "ends_on": "2026-11-24"}, None),
        ("UTC", "2026-11-24T15:00Z", {"monthly": 5, "ends_on": "2026-11-30"}, None),
        ("UTC", "2026-11-24T15:00Z", {"daily": 5, "ends_on": "2026-11-25"}, "2026-11-25T00:00Z"),
        (
            "UTC",
            "2026-11-24T15:00Z",
            {"starts_on": "2026-11-28", "ends_on": "2026-11-28", "opens": 9, "closes": 10},
            "2026-11-28T09:00Z",
        ),
    ],
)
def test_it_runs_again_at_the_first_instant_at_which_time_has_lifted_every_hold(
    zone: str, now: str, fields: dict[str, Any], runs_again: str | None
) -> None:
    columns = {"opens": "allowed_start_hour", "closes": "allowed_end_hour"}
    columns |= {"daily": "daily_budget", "monthly": "monthly_budget"}
    named = {columns.get(name, name): value for name, value in fields.items()}
    campaign = make_campaign(make_brand(timezone=zone), **named)
    passes.reset(at(now))
    spend(campaign, 5, now=at(now))

    told = explained(campaign, at(now))

    if runs_again is None:
        assert (told.runs_again_at, told.runs_again_local) == (None, None)
        return
    assert told.runs_again_at == at(runs_again)
    assert told.runs_again_at.tzinfo is UTC
    assert told.runs_again_local is not None
    assert told.runs_again_local.isoformat() == at(runs_again).isoformat()
    passes.reset(max(at(now), at(runs_again) - timedelta(minutes=1)))
    assert state(campaign) != ""
    passes.reset(at(runs_again))
    assert state(campaign) == ""


@pytest.mark.parametrize(
    ("pending", "runs_again"),
    [
        # Ahead: at Berlin's midnight it is the 25th, 08:00 in Tokyo.
        ("Asia/Tokyo", "2026-11-25T08:00+09:00"),
        # Behind: Berlin's midnight is 15:00 of the same 24th, whose budget is spent.
        ("America/Los_Angeles", "2026-11-25T00:00-08:00"),
    ],
)
def test_a_pending_zone_is_told_by_the_clock_that_the_brand_will_have(
    pending: str, runs_again: str
) -> None:
    campaign = decided(make_campaign(make_brand(timezone="Europe/Berlin", daily_budget=5)))
    spend(campaign, 5)
    Brand.objects.filter(pk=campaign.brand_id).update(timezone=pending)
    decided(campaign)

    told = explained(campaign)

    assert told.local_time is not None
    assert told.local_time.isoformat() == "2026-11-24T16:00:00+01:00"
    assert told.zone == "Europe/Berlin"
    assert told.runs_again_local is not None
    assert told.runs_again_local.isoformat() == at(runs_again).isoformat()
    assert f"{pending} (in " in told.outlook
    passes.reset(at(runs_again) - timedelta(minutes=1))
    assert state(campaign) == Hold.BRAND_DAILY_BUDGET
    passes.reset(at(runs_again))
    assert state(campaign) == ""


@pytest.mark.parametrize(
    ("pending", "runs_again"),
    [("Asia/Tokyo", "2026-11-25T08:00+09:00"), ("Pacific/Pago_Pago", "2026-11-25T00:00-11:00")],
)
def test_a_flight_begins_by_the_pending_zone(pending: str, runs_again: str) -> None:
    brand = make_brand(timezone="Europe/Berlin")
    campaign = decided(make_campaign(brand, starts_on=date(2026, 11, 25)))
    Brand.objects.filter(pk=brand.pk).update(timezone=pending)
    decided(campaign)

    assert explained(campaign).runs_again_at == at(runs_again)


def test_what_runs_does_not_run_again() -> None:
    told = explained(decided(make_campaign(allowed_end_hour=18)))

    assert (told.runs_again_at, told.runs_again_local) == (None, None)
    assert told.next_change_at == at("2026-11-24T18:00Z")


def test_a_start_in_another_year_names_it() -> None:
    told = explained(decided(make_campaign(starts_on=date(2028, 1, 1))))

    assert "it starts again at 00:00 on Sat 1 Jan 2028, UTC (in 402 days)." in told.outlook


# --- The past ------------------------------------------------------------------------------------


def test_the_past_is_told_from_the_log() -> None:
    brand = make_brand(daily_budget=100, currency="EUR")
    campaign = decided(make_campaign(brand))
    spent_at = NOW + timedelta(minutes=30)
    spend(campaign, 105, now=spent_at, source="platform")
    raised_at = NOW + timedelta(minutes=50)
    brand = Brand.objects.get(pk=brand.pk)
    brand.daily_budget = Decimal(200)
    editing.save(brand, by="ana", now=raised_at)

    def past(instant: datetime) -> tuple[bool, str, datetime] | None:
        told = explain_at(campaign, instant)
        return (told.is_active, told.hold, told.since) if told else None

    assert past(NOW - timedelta(microseconds=1)) is None
    assert past(NOW) == (True, "", NOW)
    assert past(spent_at - timedelta(microseconds=1)) == (True, "", NOW)
    assert past(spent_at) == (False, "brand_daily_budget", spent_at)
    assert past(raised_at) == past(raised_at + timedelta(days=900)) == (True, "", raised_at)


def test_the_past_says_what_decided() -> None:
    campaign = decided(
        make_campaign(make_brand(daily_budget=100, currency="EUR"), monthly_budget=50)
    )
    spend(campaign, 105, source="platform")

    told = explain_at(campaign, NOW + timedelta(hours=1))

    assert told is not None
    assert (told.cause, told.actor) == (Cause.SPEND, "platform")
    assert told.holds == ("campaign_monthly_budget", "brand_daily_budget")
    assert (told.spent, told.budget, told.currency) == (Decimal(105), Decimal(50), "EUR")
    assert told.since.tzinfo is UTC
    assert told.words == (
        "Held: monthly budget reached, since 15:00:00 on 24 Nov 2026, UTC. "
        "Caused by spend (105.00 of 50.00 EUR), by platform."
    )


def test_the_past_of_a_switch_has_no_amounts() -> None:
    campaign = decided(make_campaign())
    editing.set_enabled([campaign.pk], False, by="ana", now=NOW + timedelta(minutes=1))

    told = explain_at(campaign, NOW + timedelta(minutes=2))

    assert told is not None
    assert (told.spent, told.budget, told.holds) == (None, None, ("operator",))
    assert told.words == (
        "Held: paused by operator, since 15:01:00 on 24 Nov 2026, UTC. Caused by operator, by ana."
    )


def test_the_past_after_a_clock_that_went_back_is_the_logs_last_word() -> None:
    campaign = decided(make_campaign())
    for instant, old, new in [
        (NOW + timedelta(hours=9), "", "outside_hours"),  # by a clock that was ahead
        (NOW + timedelta(hours=1), "outside_hours", ""),
    ]:
        StatusChange.objects.create(
            campaign=campaign,
            at=instant,
            was_active=not old,
            is_active=not new,
            old_hold=old,
            hold=new,
            cause=Cause.SCHEDULE,
        )

    told = explain_at(campaign, NOW + timedelta(hours=10))

    assert told is not None
    assert (told.is_active, told.since) == (True, NOW + timedelta(hours=1))


def test_the_past_is_the_campaigns_own_and_asks_nothing_but_the_log(
    django_assert_num_queries: Any,
) -> None:
    campaign, other = decided(make_campaign()), make_campaign(is_enabled=False)
    decided(other)

    with django_assert_num_queries(2):
        mine, theirs = (explain_at(one, NOW) for one in (campaign, other))

    assert mine is not None
    assert theirs is not None
    assert (mine.hold, theirs.hold) == ("", "operator")
    assert explain_at(make_campaign(), NOW) is None
