"""What was spent beyond budgets, split exactly, by the budget that decided."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import pytest
from django.db import connection

from budgets.models import Brand, Campaign, Spend, StatusChange
from budgets.queries import overspend
from budgets.queries.overspend import NoSuchPlace, Overspend, Place, Wanted
from budgets.services import editing, ingestion, passes
from budgets.services.access import EVERYTHING, Sight
from budgets.tests.builders import (
    NOW,
    TODAY,
    Amount,
    at,
    event,
    make_brand,
    make_campaign,
    spend,
    switch,
    write_spend,
)
from budgets.tests.statements import plan_of, statements

pytestmark = pytest.mark.django_db

MONTH = Wanted(since=TODAY.replace(day=1), until=TODAY)
MINUTE = timedelta(minutes=1)


def acme(**fields: object) -> Campaign:
    """Return one of two campaigns of a brand that may spend 100 a day."""
    brand = make_brand(**{"name": "Acme", "daily_budget": 100, **fields})
    campaign = make_campaign(brand, name="Search")
    make_campaign(brand, name="Video")
    passes.check_and_pause(NOW)
    return campaign


def report(wanted: Wanted = MONTH, sight: Sight = EVERYTHING) -> list[Overspend]:
    return [row for page in overspend.pages(wanted, sight) for row in page.rows]


def parts(rows: Iterable[Overspend]) -> list[tuple[Amount, Amount, Amount]]:
    """Return of each the amount beyond the budget, in the crossing batch, and after the pause."""
    return [(row.beyond, row.in_batch, row.after) for row in rows]


def against(rows: Iterable[Overspend]) -> list[tuple[Amount, Amount]]:
    """Return of each the budget that decided, and what was spent in all."""
    return [(row.budget, row.spent) for row in rows]


def set_budget(campaign: Campaign, budget: int | None, now: datetime = NOW) -> None:
    brand = Brand.objects.get(pk=campaign.brand_id)
    brand.daily_budget = budget
    editing.save(brand, by="ana", now=now, changed=["daily_budget"])


class TestTheParts:
    def test_are_what_the_crossing_batch_held_and_what_was_reported_afterwards(self) -> None:
        campaign = acme()
        spend(campaign, "80", now=NOW)
        batch = [event(campaign, "15", date=TODAY), event(campaign, "30", date=TODAY)]
        ingestion.record(batch, source="ads", now=NOW + MINUTE)
        spend(campaign, "4", now=NOW + 2 * MINUTE)

        (row,) = report()

        assert (row.brand, row.day, row.currency, row.is_of_month) == ("Acme", TODAY, "USD", False)
        assert row.paused_at == NOW + MINUTE
        assert against([row]) == [(100, 129)]
        assert parts([row]) == [(29, 25, 4)]

    def test_shrink_by_credits_until_nothing_is_beyond(self) -> None:
        campaign = acme()
        spend(campaign, "130")
        spend(campaign, "-10", now=NOW + MINUTE)

        assert parts(report()) == [(20, 30, -10)]

        spend(campaign, "-20", now=NOW + 2 * MINUTE)
        assert report() == []

    def test_leave_out_what_no_pass_has_counted(self) -> None:
        campaign = acme()
        spend(campaign, "101")
        write_spend(campaign, "50")

        assert parts(report()) == [(1, 1, 0)]

    def test_of_late_reports_belong_to_the_day_on_which_the_money_was_spent(self) -> None:
        campaign = acme()
        spend(campaign, "101")
        tomorrow = NOW + timedelta(days=1)
        spend(campaign, "7", date=TODAY, now=tomorrow)
        spend(campaign, "3", now=tomorrow)

        assert parts(report(Wanted(since=TODAY, until=tomorrow.date()))) == [(8, 1, 7)]


class TestTheBudget:
    def test_is_the_one_that_decided_whatever_became_of_it(self) -> None:
        campaign = acme()
        spend(campaign, "105")
        set_budget(campaign, 104)  # still reached: nothing was decided anew

        assert against(report()) == [(100, 105)]

    def test_that_was_raised_in_time_leaves_no_overspend(self) -> None:
        campaign = acme()
        spend(campaign, "105")
        set_budget(campaign, 200, NOW + MINUTE)
        spend(campaign, "20", now=NOW + 2 * MINUTE)

        assert report() == []

    def test_that_was_raised_and_crossed_again_counts_from_there(self) -> None:
        campaign = acme()
        spend(campaign, "105")
        set_budget(campaign, 200, NOW + MINUTE)
        spend(campaign, "110", now=NOW + 2 * MINUTE)

        assert against(report()) == [(200, 215)]
        assert parts(report()) == [(15, 15, 0)]

    def test_of_the_month_is_told_by_the_day_of_the_stop(self) -> None:
        campaign = acme(daily_budget=None, monthly_budget=1000)
        spend(campaign, "990", date=date(2026, 11, 10))
        spend(campaign, "30")
        spend(campaign, "2", date=date(2026, 11, 20), now=NOW + MINUTE)

        (row,) = report()

        assert (row.is_of_month, row.day) == (True, TODAY)
        assert against([row]) == [(1000, 1022)]
        assert parts([row]) == [(22, 20, 2)]

    def test_that_is_lifted_at_midnight_was_overspent_all_the_same(self) -> None:
        campaign = acme()
        spend(campaign, "105")
        passes.check_and_pause(NOW + timedelta(days=1))

        assert StatusChange.objects.filter(hold="", cause="rollover").exists()
        assert parts(report()) == [(5, 5, 0)]


class TestAStop:
    def test_of_many_campaigns_is_one(self) -> None:
        campaign = acme()
        spend(campaign, "105")

        assert StatusChange.objects.filter(hold="brand_daily_budget").count() == 2
        assert len(report()) == 1

    def test_of_a_campaign_that_came_later_is_none(self) -> None:
        campaign = acme()
        spend(campaign, "105")
        make_campaign(campaign.brand, name="New")
        spend(campaign, "3", now=NOW + MINUTE)

        late = StatusChange.objects.filter(hold="brand_daily_budget", at=NOW + MINUTE)
        assert [change.cause for change in late] == ["spend"]
        assert parts(report()) == [(8, 5, 3)]

    def test_is_not_lifted_by_what_a_person_did_to_its_campaign(self) -> None:
        campaign = acme()
        spend(campaign, "105")
        switch(*Campaign.objects.all(), on=False)

        assert parts(report()) == [(5, 5, 0)]

    def test_that_only_reached_the_budget_is_no_overspend(self) -> None:
        spend(acme(), "100")

        assert report() == []

    def test_belongs_to_the_day_on_its_own_brands_clock(self) -> None:
        campaign = acme(timezone="Asia/Tokyo")  # midnight of the 25th there
        spend(campaign, "105", now=NOW)
        tomorrow = TODAY + timedelta(days=1)

        assert report() == []
        assert [row.day for row in report(Wanted(since=tomorrow, until=tomorrow))] == [tomorrow]


class TestLatency:
    def test_is_exact_to_the_nearest_rank(self) -> None:
        campaign = acme()
        ages = [timedelta(seconds=age) for age in range(1, 201)]
        events = [event(campaign, "1", occurred_at=NOW - age) for age in ages]
        ingestion.record(events, source="ads", now=NOW)

        (row,) = report()

        assert row.reported == (timedelta(seconds=100), timedelta(seconds=198))
        # They committed together: nobody waited for the pause.
        assert row.stopped == (timedelta(0), timedelta(0))

    def test_of_rows_that_a_pass_had_to_find_lasts_until_it_did(self) -> None:
        campaign = acme()
        write_spend(campaign, "99", created_at=NOW)
        write_spend(campaign, "1", created_at=NOW + 10 * MINUTE)
        write_spend(campaign, "1", created_at=NOW + 12 * MINUTE)
        passes.check_and_pause(NOW + 15 * MINUTE)
        for minutes in (16, 17, 18, 19):  # these came after the pause, and did not wait for it
            spend(campaign, "1", date=TODAY, now=NOW + minutes * MINUTE)

        (row,) = report()

        # Of the last two: before them the budget was not reached.
        assert row.stopped == (3 * MINUTE, 5 * MINUTE)
        assert row.reported == (None, None)

    def test_of_all_is_of_their_rows_together(self) -> None:
        for name, age in (("Acme", 1), ("Bolt", 3), ("Cord", 9)):
            campaign = acme(name=name)
            events = [event(campaign, "200", occurred_at=NOW - timedelta(minutes=age))]
            ingestion.record(events, source="ads", now=NOW)

        page = overspend.page(MONTH, EVERYTHING)

        assert page.reported == (3 * MINUTE, 9 * MINUTE)

    def test_is_never_negative(self) -> None:
        campaign = acme()
        ahead = [event(campaign, "200", occurred_at=NOW + MINUTE)]
        ingestion.record(ahead, source="ads", now=NOW)

        assert report()[0].reported == (timedelta(0), timedelta(0))


class TestWhatIsShown:
    def test_is_of_the_brands_that_who_asks_sees(self) -> None:
        seen, hidden = acme(), acme(name="Bolt")
        spend(seen, "105")
        spend(hidden, "106")

        sight = Sight(brand_ids=frozenset({seen.brand_id}))

        assert [row.brand for row in report(sight=sight)] == ["Acme"]
        assert report(sight=Sight(brand_ids=frozenset())) == []

    def test_can_be_narrowed(self) -> None:
        euro, dollar = acme(currency="EUR"), acme(name="Bolt")
        spend(euro, "105")
        spend(dollar, "106")

        def brands(**fields: object) -> list[str]:
            wanted = Wanted(**{"since": TODAY, "until": TODAY, **fields})  # type: ignore[arg-type]  # by name
            return [row.brand for row in report(wanted)]

        assert brands(currency="EUR") == ["Acme"]
        assert brands(brand_id=dollar.brand_id) == ["Bolt"]
        assert brands(since=TODAY - timedelta(days=2), until=TODAY - timedelta(days=1)) == []

    def test_comes_page_by_page_the_last_stop_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(5):
            # Two at each instant: one transaction may stop many brands.
            spend(acme(name=f"Brand {number}"), "105", now=NOW + number // 2 * MINUTE)
        monkeypatch.setattr(overspend, "PAGE", 2)

        pages = list(overspend.pages(MONTH, EVERYTHING))

        assert [[row.brand for row in page.rows] for page in pages] == [
            ["Brand 4", "Brand 3"],
            ["Brand 2", "Brand 1"],
            ["Brand 0"],
        ]

    def test_goes_on_only_where_a_page_said(self) -> None:
        place = Place(NOW, 7)

        assert Place.parse(str(place)) == place
        for text in ("", "x", "2026-11-24T15:00:00Z~7", f"{place}0" * 9, "\x00", f"{place}~"):
            with pytest.raises(NoSuchPlace):
                Place.parse(text)


def test_the_number_of_statements_does_not_grow() -> None:
    spend(acme(), "105")
    one = len(statements(lambda: overspend.page(MONTH, EVERYTHING)))
    for number in range(12):
        spend(acme(name=f"Brand {number}"), "105")

    assert len(statements(lambda: overspend.page(MONTH, EVERYTHING))) == one == 5


def test_the_indexes_are_used() -> None:
    campaign = acme()
    spend(campaign, "105")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")

    crossings, _, _, sums, latencies = statements(lambda: overspend.page(MONTH, EVERYTHING))

    assert "status_change_overspend" in plan_of(crossings)
    for said in (sums, latencies):
        assert "spend_by_campaign_and_day" in plan_of(said)
    assert Spend.objects.count() == 1


def test_a_day_that_crossed_in_autumn_has_all_its_25_hours() -> None:
    night = at("2026-10-25T23:30+01:00")
    campaign = acme(timezone="Europe/Berlin")
    spend(campaign, "105", now=night)
    spend(campaign, "5", now=night + 10 * MINUTE)

    day = night.date()

    assert parts(report(Wanted(since=day, until=day))) == [(10, 5, 5)]
