"""The plan, the rates and where they lead: examples, and what holds for every day."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.core import pacing
from budgets.core.dayparting import Hours
from budgets.core.decision import CampaignFacts, Purse
from budgets.core.pacing import HOUR, Need, OpenDay, Pace, Press, Spending
from budgets.core.periods import day_of, local_day, month_start, zone_named
from budgets.tests.builders import at

UTC_ZONE = zone_named("UTC")
NOON = at("2026-11-10T12:00Z")
ALL_DAY = CampaignFacts(is_enabled=True)


def campaign(opens: int = 0, closes: int = 24, **fields: object) -> CampaignFacts:
    return CampaignFacts(is_enabled=True, hours=Hours(opens, closes), **fields)  # type: ignore[arg-type]  # dates


def day(*campaigns: CampaignFacts, now: datetime = NOON, zone: str = "UTC") -> OpenDay:
    return pacing.open_day(local_day(zone_named(zone), now), campaigns)


def spending(
    purse: Purse,
    *campaigns: CampaignFacts,
    now: datetime = NOON,
    by_hour: Mapping[int, object] | None = None,
    by_day: Mapping[date, Decimal] | None = None,
) -> Spending:
    """Return the spending of a brand in UTC; `by_hour` is what the hours of today spent."""
    today, first = now.date(), month_start(now.date())
    last = month_start(first + timedelta(days=31)) - timedelta(days=1)
    open_today = day(*campaigns, now=now)

    def days(since: date, until: date) -> tuple[OpenDay, ...]:
        return pacing.open_days(UTC_ZONE, since, until, local_day(UTC_ZONE, now), campaigns)

    spent = {hour: Decimal(str(amount)) for hour, amount in (by_hour or {}).items()}
    return Spending(
        now=now,
        today=open_today,
        behind=days(first, today - timedelta(days=1)),
        ahead=days(today + timedelta(days=1), last),
        recent=days(today - timedelta(days=7), today - timedelta(days=1)),
        by_slot=[spent.get(slot.hour, Decimal(0)) for slot in open_today.slots],
        by_day=by_day or {},
        purse=purse,
    )


def purse(**amounts: int) -> Purse:
    return Purse(**{name: Decimal(amount) for name, amount in amounts.items()})


def pace(purse: Purse, *campaigns: CampaignFacts, **known: object) -> Pace:
    return pacing.pace(spending(purse, *(campaigns or (ALL_DAY,)), **known))  # type: ignore[arg-type]  # as above


class TestOpenTime:
    @pytest.mark.parametrize(
        ("now", "zone", "hours", "twice"),
        [
            ("2026-11-24T12:00Z", "UTC", 24, None),
            ("2026-03-29T12:00Z", "Europe/Berlin", 23, None),
            ("2026-10-25T12:00Z", "Europe/Berlin", 25, 2),
            ("2026-11-01T18:00Z", "America/New_York", 25, 1),
        ],
    )
    def test_a_day_has_as_many_slots_as_hours(
        self, now: str, zone: str, hours: int, twice: int | None
    ) -> None:
        slots = day(ALL_DAY, now=at(now), zone=zone).slots

        shown = [slot.hour for slot in slots]
        assert len(slots) == hours
        assert [hour for hour in range(24) if shown.count(hour) == 2] == ([twice] if twice else [])

    def test_it_is_open_where_any_campaign_is(self) -> None:
        opened = day(campaign(8, 10), campaign(22, 1))

        assert [slot.hour for slot in opened.slots if slot.is_open] == [0, 8, 9, 22, 23]
        assert opened.open_time == 5 * HOUR

    def test_flights_and_switches_close_it(self) -> None:
        today = NOON.date()
        later = campaign(starts_on=today + timedelta(days=1))
        over = campaign(ends_on=today - timedelta(days=1))

        assert not day(later, over, CampaignFacts(is_enabled=False)).open_time
        assert day(campaign(starts_on=today, ends_on=today)).open_time == 24 * HOUR

    def test_weekly_hours_open_their_weekdays(self) -> None:
        tuesday = CampaignFacts(is_enabled=True, hours=Hours(week="000000" + "ff0000" + "0" * 30))

        assert day(tuesday).open_time == 8 * HOUR
        assert not day(tuesday, now=NOON + timedelta(days=1)).open_time

    def test_the_days_of_a_zone_begin_at_its_own_midnights(self) -> None:
        tokyo = zone_named("Asia/Tokyo")
        first, last = date(2026, 11, 9), date(2026, 11, 10)

        days = pacing.open_days(tokyo, first, last, local_day(tokyo, NOON), [ALL_DAY])

        assert [(each.date, each.slots[0].begins) for each in days] == [
            (first, at("2026-11-08T15:00Z")),
            (last, at("2026-11-09T15:00Z")),
        ]

    @given(
        zone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        on=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
        hours=st.tuples(st.integers(0, 23), st.integers(0, 24)),
        minutes=st.integers(0, 25 * 60),
        span=st.integers(0, 25 * 60),
    )
    def test_slots_fill_the_day_and_time_is_found_again(
        self, zone: str, on: date, hours: tuple[int, int], minutes: int, span: int
    ) -> None:
        whole = day_of(zone_named(zone), on, at("2000-01-01T00:00Z"))
        opened = pacing.open_day(whole, [campaign(*hours)])
        now = whole.starts_at + timedelta(minutes=minutes)

        slots = opened.slots
        assert (slots[0].begins, slots[-1].ends) == (whole.starts_at, whole.ends_at)
        assert all(one.ends == other.begins for one, other in itertools.pairwise(slots))
        assert all(timedelta(0) < slot.ends - slot.begins <= HOUR for slot in slots)
        assert all(slots[opened.slot_at(slot.begins)] is slot for slot in slots)
        assert opened.slot_at(whole.starts_at - HOUR) == 0
        assert opened.slot_at(whole.ends_at + HOUR) == len(slots) - 1

        asked = timedelta(minutes=span)
        then = opened.after(now, asked)
        assert (then is None) == (
            asked > opened.open_time - opened.until(now)
            or not opened.open_time
            or opened.open_time == opened.until(now)
        )
        if then is not None:
            assert opened.until(then) - opened.until(now) == asked


class TestPlan:
    @given(
        hours=st.tuples(st.integers(0, 23), st.integers(0, 24)),
        budget=st.decimals(0, 10**12, places=6),
        instants=st.tuples(st.integers(0, 24 * 60), st.integers(0, 24 * 60)),
    )
    def test_it_rises_from_nothing_to_the_budget(
        self, hours: tuple[int, int], budget: Decimal, instants: tuple[int, int]
    ) -> None:
        opened = day(campaign(*hours))
        start, end = opened.slots[0].begins, opened.slots[-1].ends
        earlier, later = (start + timedelta(minutes=each) for each in sorted(instants))

        plans = [pacing.planned(budget, opened, each) for each in (start, earlier, later, end)]

        assert opened.open_time
        known = [plan for plan in plans if plan is not None]
        assert known == sorted(known)
        assert [known[0], known[-1], len(known)] == [0, budget, 4]

    def test_it_stands_still_while_nothing_is_open(self) -> None:
        opened = day(campaign(8, 18))

        plan = [
            pacing.planned(Decimal(100), opened, at(f"2026-11-10T{hour:02}:00Z"))
            for hour in (7, 8, 13, 18, 23)
        ]

        assert plan == [0, 0, 50, 100, 100]
        assert pacing.planned(Decimal(96), day(ALL_DAY), at("2026-11-10T23:30Z")) == 94
        assert pace(purse(daily_budget=96)).day_plan == 48

    def test_without_a_budget_or_open_hours_there_is_none(self) -> None:
        assert pace(purse()).day_plan is None
        assert pace(purse(daily_budget=10), CampaignFacts(is_enabled=False)).day_plan is None

    def test_the_month_is_even_over_the_days_on_which_something_is_open(self) -> None:
        assert pace(purse(monthly_budget=300)).month_plan == 95  # 9.5 of 30 days
        second_half = campaign(starts_on=date(2026, 11, 6))
        assert pace(purse(monthly_budget=500), second_half).month_plan == 90  # 4.5 of 25
        to_come = campaign(starts_on=date(2026, 11, 20))
        assert pace(purse(monthly_budget=500), to_come).month_plan == 0
        assert (
            pace(purse(monthly_budget=500), campaign(ends_on=date(2026, 10, 31))).month_plan is None
        )


class TestPresentRate:
    def test_newer_hours_count_for_more(self) -> None:
        now = at("2026-11-10T12:30Z")
        opened, hours = day(ALL_DAY), {9: 10, 10: 20, 11: 30, 12: 40}
        by_slot = [Decimal(hours.get(slot.hour, 0)) for slot in opened.slots]

        # (1 x 10 + 2 x 20 + 3 x 30 + 4 x 40) / (1 + 2 + 3 + 4 / 2) hours
        assert pacing.present_rate(opened, by_slot, now) == Decimal(300) / 8

    def test_hours_that_are_not_open_are_passed_over(self) -> None:
        found = pace(purse(daily_budget=90), campaign(8, 11), by_hour={8: 5, 9: 5, 10: 5, 11: 77})

        assert found.rate == 5

    def test_cents_are_a_rate_too(self) -> None:
        found = pace(purse(daily_budget=90), by_hour={11: "0.10"})

        assert found.rate == Decimal("0.04")  # 4 x 0.10 / (1 + 2 + 3 + 4) hours

    @pytest.mark.parametrize("by_hour", [{}, {3: 50}, {11: -5}])
    def test_without_spend_in_these_hours_nothing_is_foreseen(
        self, by_hour: dict[int, int]
    ) -> None:
        found = pace(purse(daily_budget=90, monthly_budget=900), by_hour=by_hour)

        assert (found.rate, found.day_end, found.day_reached_at) == (None, None, None)
        assert (found.month_end, found.month_reached_at) == (None, None)

    def test_the_first_minutes_are_too_early(self) -> None:
        early, later = at("2026-11-10T00:14Z"), at("2026-11-10T00:15Z")

        assert pace(purse(daily_budget=90), now=early, by_hour={0: 5}).rate is None
        assert pace(purse(daily_budget=90), now=later, by_hour={0: 5}).rate == 20


EVENLY = dict.fromkeys(range(12), 5)


class TestDay:
    def test_the_budget_is_reached_when_the_rate_says(self) -> None:
        found = pace(purse(daily_budget=90, spent_today=60), by_hour=EVENLY)

        assert found.day_reached_at == at("2026-11-10T18:00Z")
        assert found.day_end == 120

    def test_or_not_before_the_day_ends(self) -> None:
        assert pace(purse(daily_budget=120, spent_today=60), by_hour=EVENLY).day_reached_at == at(
            "2026-11-11T00:00Z"
        )
        assert pace(purse(daily_budget=121, spent_today=60), by_hour=EVENLY).day_reached_at is None

    def test_closed_hours_are_waited_for(self) -> None:
        opened = (campaign(0, 13), campaign(20, 24))

        found = pace(purse(daily_budget=75, spent_today=60), *opened, by_hour=EVENLY)

        assert found.day_reached_at == at("2026-11-10T22:00Z")

    def test_what_is_reached_is_not_foreseen(self) -> None:
        found = pace(purse(daily_budget=60, spent_today=60), by_hour=EVENLY)

        assert [found.day_reached_at, found.day_end] == [None, 60]

    @given(
        left=st.integers(1, 3000),
        hours=st.lists(st.integers(1, 1000), min_size=4, max_size=4),
        window=st.tuples(st.integers(0, 23), st.integers(0, 24)),
        minute=st.integers(0, 24 * 60 - 1),
    )
    def test_at_the_foreseen_instant_the_rest_is_spent_at_the_rate(
        self, left: int, hours: list[int], window: tuple[int, int], minute: int
    ) -> None:
        now = at("2026-11-10T00:00Z") + timedelta(minutes=minute)
        by_hour = {max(now.hour - back, 0): amount for back, amount in enumerate(hours)}
        money = purse(daily_budget=5000 + left, spent_today=5000)
        known = spending(money, campaign(*window), now=now, by_hour=by_hour)

        found = pacing.pace(known)

        rate, then = found.rate or Decimal(0), found.day_reached_at
        opened = known.today.until(then or known.today.slots[-1].ends) - known.today.until(now)
        more = rate * (opened // timedelta(microseconds=1)) / (3600 * 10**6)
        if then is None:
            assert more < left
        else:
            assert now < then
            assert abs(more - left) <= rate / 10**9  # less than a microsecond's


WEEK = {date(2026, 11, number): Decimal(48) for number in range(3, 10)}


class TestMonth:
    def test_days_ahead_are_foreseen_at_the_usual_rate(self) -> None:
        found = pace(
            purse(daily_budget=90, monthly_budget=2000, spent_today=60, spent_this_month=500),
            by_hour=EVENLY,
            by_day=WEEK,
        )

        # Today goes on at 5 an hour, but not beyond its budget; then 20 days of 48.
        assert found.month_end == 500 + 30 + 20 * 48
        assert found.month_reached_at is None

    def test_no_day_ahead_spends_more_than_its_budget(self) -> None:
        # Nor today, which is beyond it.
        budgets = purse(daily_budget=30, monthly_budget=2000, spent_today=35, spent_this_month=400)

        assert pace(budgets, by_hour=EVENLY, by_day=WEEK).month_end == 400 + 20 * 30

    def test_days_on_which_nothing_is_open_spend_nothing(self) -> None:
        ends = campaign(ends_on=date(2026, 11, 15))

        found = pace(purse(monthly_budget=900, spent_this_month=400), ends, by_day=WEEK)

        assert found.month_end == 400 + 24 + 5 * 48

    def test_the_budget_is_reached_on_a_later_day(self) -> None:
        found = pace(purse(monthly_budget=500, spent_this_month=400), by_day=WEEK)

        # 24 today, 48 tomorrow, and 28 of the day after, at 2 an hour.
        assert found.month_reached_at == at("2026-11-12T14:00Z")
        # Or as a whole day ends.
        found = pace(purse(monthly_budget=472, spent_this_month=400), by_day=WEEK)
        assert found.month_reached_at == at("2026-11-12T00:00Z")

    @pytest.mark.parametrize(
        ("budget", "reached_at"), [(424, at("2026-12-01T00:00Z")), (425, None)]
    )
    def test_or_as_the_month_ends_or_not_at_all(
        self, budget: int, reached_at: datetime | None
    ) -> None:
        days = {date(2026, 11, number): Decimal(48) for number in range(23, 30)}
        money = purse(monthly_budget=budget, spent_this_month=400)

        assert pace(money, by_day=days, now=at("2026-11-30T12:00Z")).month_reached_at == reached_at

    def test_a_new_brand_is_foreseen_from_its_first_day_on(self) -> None:
        two_days = {date(2026, 11, 8): Decimal(48), date(2026, 11, 9): Decimal(24)}

        assert pace(purse(), by_day=two_days).month_end == 20 * 36 + 18
        with_a_gap = {date(2026, 11, 7): Decimal(48), date(2026, 11, 9): Decimal(24)}
        assert pace(purse(), by_day=with_a_gap).month_end == 20 * 24 + 12
        assert pace(purse(), by_hour=EVENLY).month_end == 60 + 20 * 120

    def test_a_month_that_is_spent_stays_as_it_is(self) -> None:
        found = pace(purse(monthly_budget=400, spent_this_month=400), by_hour=EVENLY, by_day=WEEK)

        assert [found.month_end, found.month_reached_at, found.day_reached_at] == [400, None, None]


class TestRecommendedDailyBudget:
    def test_it_is_the_rest_over_the_remaining_days_today_by_what_is_left_of_it(self) -> None:
        found = pace(purse(monthly_budget=1000, spent_this_month=180))

        assert found.recommended_daily_budget == Decimal("40.00")  # 820 over 20.5 days

    def test_it_is_rounded_down_to_the_coin(self) -> None:
        known = spending(purse(monthly_budget=1001), ALL_DAY)

        assert pacing.pace(known).recommended_daily_budget == Decimal("48.82")
        assert pacing.pace(known, decimals=0).recommended_daily_budget == 48
        assert pacing.pace(known, decimals=3).recommended_daily_budget == Decimal("48.829")

    def test_only_days_in_flight_count(self) -> None:
        ends = campaign(8, 18, ends_on=date(2026, 11, 12))

        found = pace(purse(monthly_budget=260), ends)

        assert found.recommended_daily_budget == Decimal("100.00")  # 0.6 of today, and two days

    def test_it_is_never_negative(self) -> None:
        assert pace(
            purse(monthly_budget=100, spent_this_month=180)
        ).recommended_daily_budget == Decimal(0)

    def test_without_a_monthly_budget_or_days_to_come_there_is_none(self) -> None:
        assert pace(purse(daily_budget=9)).recommended_daily_budget is None
        over = campaign(ends_on=date(2026, 11, 9))
        assert pace(purse(monthly_budget=9), over).recommended_daily_budget is None

    @given(
        budget=st.decimals(0, 10**12, places=6),
        spent=st.decimals(-(10**6), 10**12, places=6),
        window=st.tuples(st.integers(0, 23), st.integers(0, 24)),
        minute=st.integers(0, 30 * 24 * 60 - 1),
    )
    def test_who_spends_it_ends_at_the_budget(
        self, budget: Decimal, spent: Decimal, window: tuple[int, int], minute: int
    ) -> None:
        now = at("2026-11-01T00:00Z") + timedelta(minutes=minute)
        money = Purse(monthly_budget=budget, spent_this_month=spent)
        known = spending(money, campaign(*window), now=now)

        daily = pacing.pace(known).recommended_daily_budget

        whole = known.today.open_time
        days = len(known.ahead) + Decimal((whole - known.today.until(now)) / whole)
        if daily is None:
            assert days == 0
        else:
            left = max(budget - spent, Decimal(0)) if budget else Decimal(0)
            days = days if known.ahead else Decimal(1)
            assert 0 <= left - daily * days <= Decimal("0.01") * days + Decimal("0.001")

    @pytest.mark.parametrize(
        ("spent_today", "this_month", "expected"),
        [
            ("30", "90", "40"),  # 10 more than today's 30 so far
            ("30", "100", "0"),  # nothing more, whatever was spent
            ("-5", "98", "0"),  # a credit of today is not to be spent again
            ("0", "90", "10"),
        ],
    )
    @pytest.mark.parametrize("now", ["2026-11-30T00:00Z", "2026-11-30T23:59Z"])
    def test_on_the_last_open_day_is_what_the_whole_day_may_spend(
        self, now: str, spent_today: str, this_month: str, expected: str
    ) -> None:
        money = Purse(
            monthly_budget=Decimal(100),
            spent_this_month=Decimal(this_month),
            spent_today=Decimal(spent_today),
        )

        found = pacing.pace(spending(money, ALL_DAY, now=at(now)))

        assert found.recommended_daily_budget == Decimal(expected)


class TestFarBehind:
    @pytest.mark.parametrize(
        ("spent", "plan", "expected"),
        [(49, 100, True), (50, 100, False), (0, 25, True), (0, 24, False), (12, 25, True)],
    )
    def test_less_than_half_of_the_plan_once_a_quarter_of_it_is_due(
        self, spent: int, plan: int, expected: bool
    ) -> None:
        assert pacing.is_far_behind(Decimal(spent), Decimal(plan), Decimal(100)) is expected

    def test_without_a_plan_or_with_a_budget_of_zero_nobody_is(self) -> None:
        assert not pacing.is_far_behind(Decimal(0), None, Decimal(100))
        assert not pacing.is_far_behind(Decimal(0), Decimal(0), Decimal(0))

    def test_day_and_month_are_told_apart(self) -> None:
        found = pace(purse(daily_budget=100, monthly_budget=900, spent_this_month=200))

        assert (found.is_day_far_behind, found.is_month_far_behind) == (True, False)


class TestNeeds:
    @staticmethod
    def of(purse: Purse, *campaigns: CampaignFacts, **known: object) -> list[Need]:
        found = spending(purse, *(campaigns or (ALL_DAY,)), **known)  # type: ignore[arg-type]  # as above
        return list(pacing.needs(found, pacing.pace(found)))

    def test_a_brand_on_its_plan_needs_nobody(self) -> None:
        assert self.of(purse(daily_budget=120, spent_today=60), by_hour=EVENLY) == []

    def test_reached_budgets_come_first(self) -> None:
        both = purse(daily_budget=1, monthly_budget=1, spent_today=1, spent_this_month=1)

        assert self.of(both) == [Need.MONTH_REACHED, Need.DAY_REACHED]

    def test_who_reaches_the_days_budget_within_two_hours_is_about_to(self) -> None:
        assert self.of(purse(daily_budget=69, spent_today=60), by_hour=EVENLY) == [Need.DAY_SOON]
        assert self.of(purse(daily_budget=70, spent_today=60), by_hour=EVENLY) == []

    def test_but_not_who_reaches_it_as_the_day_ends(self) -> None:
        closing = campaign(0, 14)

        assert self.of(purse(daily_budget=64, spent_today=60), closing, by_hour=EVENLY) == [
            Need.DAY_SOON
        ]
        assert self.of(purse(daily_budget=66, spent_today=60), closing, by_hour=EVENLY) == []

    def test_who_reaches_the_months_budget_within_two_days_is_about_to(self) -> None:
        for budget, needs in ((495, [Need.MONTH_SOON]), (496, [])):
            money = purse(monthly_budget=budget, spent_this_month=400)
            assert self.of(money, by_day=WEEK) == needs

    @pytest.mark.parametrize(
        ("budget", "now", "needs"),
        [
            (423, "2026-11-29T12:00Z", [Need.MONTH_SOON]),  # reached at 23:30
            (424, "2026-11-29T12:00Z", []),  # at midnight
            (425, "2026-11-29T12:00Z", []),
            (460, "2026-11-29T12:00Z", []),
            (401, "2026-11-30T12:00Z", []),
        ],
    )
    def test_but_not_on_the_months_last_day(self, budget: int, now: str, needs: list[Need]) -> None:
        money = purse(monthly_budget=budget, spent_this_month=400)
        days = {date(2026, 11, number): Decimal(48) for number in range(22, 30)}

        assert self.of(money, by_day=days, now=at(now)) == needs

    def test_who_is_far_behind_needs_somebody(self) -> None:
        assert self.of(purse(daily_budget=100, monthly_budget=900)) == [
            Need.DAY_BEHIND,
            Need.MONTH_BEHIND,
        ]

    def test_where_nothing_may_run_today_nobody_can_do_anything(self) -> None:
        assert (
            self.of(purse(daily_budget=1, spent_today=1), campaign(ends_on=date(2026, 11, 9))) == []
        )

    def test_needs_of_one_kind_stand_together_the_more_pressing_kind_first(self) -> None:
        kinds = [need.press for need in Need]

        assert [kind for kind, _ in itertools.groupby(kinds)] == list(Press)
