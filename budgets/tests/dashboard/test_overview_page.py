"""The dashboard's values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from babel import Locale

from budgets.core.decision import Hold
from budgets.dashboard.filters import address, filter_of
from budgets.dashboard.pages import overview as page
from budgets.dashboard.pages.overview import BrandLine, Page
from budgets.dashboard.reader import Reader
from budgets.dashboard.states import KINDS
from budgets.models import Brand
from budgets.queries import dashboard, kept
from budgets.queries.dashboard import Filter
from budgets.services import editing, passes
from budgets.services.access import Person
from budgets.tests import builders
from budgets.tests.builders import spend, switch, write_changes
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

NOW = builders.NOW  # 15:00, 62.5 % of a day in UTC
EVERYBODY = Person(brand_ids=None, name="ana", may_pause=True, may_edit=True, is_restricted=False)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    forget()


def forget() -> None:
    dashboard.counts_kept.forget()
    dashboard.wholes_kept.forget()


def make_brand(name: str, spent: int | str = 0, **fields: Any) -> Brand:
    """Create a brand with a daily budget of 100 and one campaign that spent, evenly so far."""
    brand = builders.make_brand(name=name, **{"daily_budget": 100, "currency": "EUR", **fields})
    campaign = builders.make_campaign(brand, name=f"Search {name}")
    passes.check_and_pause(NOW)
    if Decimal(spent):
        spend(campaign, spent)
    return brand


def evenly(name: str, hourly: int, hours: int = 15, **fields: Any) -> Brand:
    """Create a brand whose campaign spent `hourly` in each of the last `hours` hours."""
    brand = make_brand(name, **fields)
    for ago in range(hours):
        spend(brand.campaigns.get(), hourly, now=NOW - timedelta(hours=ago, minutes=30))
    return brand


def build(wanted: Filter | None = None, *, now: object = NOW, **seen: object) -> Page:
    person = replace(EVERYBODY, **seen)  # type: ignore[arg-type]  # brand_ids
    reader = Reader(now=now, person=person, locale=Locale("en", "US"))  # type: ignore[arg-type]  # an instant
    return page.build(reader, wanted or Filter())


def line(name: str, now: object = NOW) -> BrandLine:
    built = build(now=now)
    return next(line for line in [*built.needs, *built.others] if line.name == name)


def names(lines: list[BrandLine]) -> list[str]:
    return [line.name for line in lines]


def test_keys_are_taken_in_turn_and_once() -> None:
    assert page.in_turn([[1, 2, 3], [], [3, 4]], 3) == [1, 3, 2]
    assert page.in_turn([[1], [1], [2, 1, 5]], 9) == [1, 2, 5]


class TestTheWhole:
    def test_campaigns_are_counted_by_what_holds_them_and_the_slices_fill_the_bar(self) -> None:
        make_brand("spent", 100)
        make_brand("fine", 1)
        switch(make_brand("off").campaigns.get(), on=False)

        built = build()

        assert {hold.words: hold.count for hold in built.holds if not hold.is_none} == {
            "running": "1",
            "brand's daily budget reached": "1",
            "paused by operator": "1",
        }
        assert (built.running, built.campaigns, built.brands) == ("1", "3", 3)
        assert built.summary == "1 of 3 campaigns run."
        assert sum(Decimal(hold.width) for hold in built.holds) == pytest.approx(100, abs=0.01)

    def test_every_reason_has_words_and_a_shape(self) -> None:
        assert set(KINDS) == set(Hold)
        assert len(build().holds) == len(Hold) + 1

    def test_money_is_summed_by_currency_and_never_across(self) -> None:
        make_brand("one", 60, monthly_budget=1000)
        make_brand("two", 20, monthly_budget=500)
        make_brand("yen", 5000, daily_budget=20_000, currency="JPY")

        euro, yen = build().sums

        assert (euro.currency, euro.day.spent, euro.day.budget) == ("EUR", "80.00", "200.00")
        assert (euro.month.spent, euro.month.budget, euro.month.percent) == (
            "80.00",
            "1,500.00",
            "5%",
        )
        assert (yen.day.spent, yen.day.budget, yen.month.budget) == ("5,000", "20,000", "")

    def test_what_brands_without_a_limit_spend_stands_apart(self) -> None:
        make_brand("limited", 60)
        make_brand("free", 7, daily_budget=None)

        [euro] = build().sums

        assert (euro.day.spent, euro.day.percent, euro.unlimited_day) == ("60.00", "60%", "7.00")
        assert (euro.month.spent, euro.month.budget, euro.unlimited_month) == ("67.00", "", "")

    def test_budgets_of_inactive_brands_are_nobodys_to_spend(self) -> None:
        make_brand("active", 10)
        make_brand("archived", is_active=False)

        assert build().sums[0].day.budget == "100.00"

    def test_each_brand_counts_by_its_own_day(self) -> None:
        make_brand("Kolkata", 40, timezone="Asia/Kolkata")
        make_brand("New York", 30, timezone="America/New_York")

        # 19:00 UTC is past midnight in Kolkata, and afternoon in New York.
        [euro] = build(now=NOW + timedelta(hours=4)).sums

        assert (euro.day.spent, euro.month.spent) == ("30.00", "70.00")

    def test_absurd_budgets_are_summed_too(self) -> None:
        for number in range(12):
            builders.make_brand(name=f"{number}", daily_budget=999_999_999_999, currency="EUR")

        assert build().sums[0].day.budget == "11,999,999,999,988.00"

    def test_the_last_pass_is_the_older_of_the_two_jobs(self) -> None:
        assert (build().last_pass.ago, build().last_pass.is_late) == ("not yet", True)

        passes.check_and_pause(NOW - timedelta(seconds=20))
        passes.reset(NOW - timedelta(minutes=2))
        assert (build().last_pass.ago, build().last_pass.is_late) == ("2 min ago", False)

        assert build(now=NOW + timedelta(minutes=2)).last_pass.is_late

    def test_a_brand_in_trouble_is_named_and_the_others_are_shown(self) -> None:
        builders.make_brand(name="broken", timezone="Mars/Olympus")
        make_brand("fine", 50)

        built = build()

        assert names([*built.needs, *built.others]) == ["fine"]
        [(name, trouble)] = built.troubles
        assert name == "broken"
        assert "Mars/Olympus" in trouble


class TestWhoNeedsAPerson:
    def test_reached_about_to_reach_and_far_behind_in_this_order(self) -> None:
        make_brand("behind", 10)
        evenly("soon", 6)
        make_brand("reached", 100)
        make_brand("month", 50, daily_budget=None, monthly_budget=50)
        evenly("on plan", 4)

        built = build()

        assert names(built.needs) == ["month", "reached", "soon", "behind"]
        assert [line.needs for line in built.needs] == [
            ["Monthly budget reached"],
            ["Daily budget reached"],
            ["Reaches its daily budget about 16:40"],
            ["Far behind today: 62.50 planned by now"],
        ]
        assert [line.level for line in built.needs] == ["reached", "reached", "near", "behind"]
        assert names(built.others) == ["on plan"]

    def test_who_stands_still_longest_comes_first(self) -> None:
        make_brand("at night", 100, timezone="Asia/Karachi")
        make_brand("in the afternoon", 100)
        make_brand("in the morning", 100, timezone="America/Los_Angeles")

        assert names(build().needs) == ["in the morning", "in the afternoon", "at night"]

    def test_it_says_where_the_present_rate_leads(self) -> None:
        evenly("soon", 6, monthly_budget=1000)

        [soon] = build().needs

        assert [(fact.name, fact.words) for fact in soon.facts] == [
            ("Day's budget", "reached about 16:40"),
            ("Month's budget", "not this month"),
            # Today up to its budget, then six days that are as today.
            ("Month ends near", "700.00"),
            ("Recommended a day", "142.74"),
        ]
        stamp = soon.facts[0].stamp
        assert stamp is not None
        assert stamp.utc.startswith("2026-11-24 16:40")

    def test_the_chart_is_today_against_its_plan_as_a_table_too(self) -> None:
        evenly("soon", 6)

        [soon] = build().needs

        assert soon.chart is not None
        rows = dict(soon.chart.rows)
        assert rows["09:00"] == ["60.00", "41.67", ""]
        assert rows["16:00"] == ["", "70.83", "100.00"]
        assert soon.chart.is_small
        assert soon.chart.summary == "Today: 90.00 EUR spent, 62.50 planned by now."

    def test_the_bar_has_a_mark_where_even_spending_would_be(self) -> None:
        evenly("on plan", 4)

        assert line("on plan").day.mark == "62.50"

    def test_those_that_need_nobody_are_ordered_by_the_nearer_of_their_budgets(self) -> None:
        evenly("by day", 4)
        evenly("by month", 4, daily_budget=None, monthly_budget=70, hours=15)
        make_brand("unlimited", 500, daily_budget=None)
        make_brand("inactive", is_active=False)

        built = build()

        assert names(built.others) == ["by day", "unlimited", "inactive"]
        assert names(built.needs) == ["by month"]

    def test_the_brands_shown_are_bounded_and_the_others_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(page, "SHOWN_NEEDS", 2)
        for number in range(4):
            make_brand(f"spent {number}", 100)

        built = build()

        assert names(built.needs) == ["spent 0", "spent 1"]
        assert built.pressing[0].more == "… and 2: budget reached."
        assert built.more == "2 more brands: search or filter to see them."

    def test_no_kind_of_need_hides_another_and_each_leads_to_its_others(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(page, "SHOWN_NEEDS", 3)
        monkeypatch.setattr(page, "CANDIDATES", 9)
        monkeypatch.setattr(dashboard, "CANDIDATES", 9)
        for number in range(12):
            make_brand(f"spent {number:02}", 100)
        for number in range(2):
            make_brand(f"behind {number}", 10)

        built = build()

        assert names(built.needs) == ["spent 00", "spent 01", "behind 0"]
        reached, near, behind = built.pressing
        assert (reached.more, reached.url) == ("… and 5 or more: budget reached.", "/?need=reached")
        assert (near.lines, near.more) == ([], "")
        assert (behind.more, behind.url) == ("… and 1 or more: far behind plan.", "/?need=behind")

    def test_one_kind_of_need_alone_is_shown_as_far_as_it_was_looked_at(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_brand("spent", 100)
        make_brand("behind", 10)
        make_brand("on plan", 60)

        built = build(Filter(need="behind"))

        assert (names(built.needs), built.others, built.more) == (["behind"], [], "")
        assert {change.brand for change in built.changes} == {"behind"}
        assert build(Filter(need="near")).nothing == (
            "No brand or campaign that is “about to reach a budget”"
        )

        monkeypatch.setattr(page, "CANDIDATES", 2)
        monkeypatch.setattr(dashboard, "CANDIDATES", 2)
        make_brand("behind too", 11)
        [group] = build(Filter(need="behind")).pressing
        assert names(group.lines) == ["behind", "behind too"]
        assert group.more == "2 brands were looked at: search or filter on to see others."

    def test_a_pending_time_zone_is_shown(self) -> None:
        brand = make_brand("Acme", 50)
        brand.timezone = "Asia/Tokyo"
        editing.save(brand, by="ana", now=NOW)

        acme = line("Acme")

        assert (acme.zone, acme.pending_zone) == ("UTC", "Asia/Tokyo")


class TestFilters:
    @pytest.fixture(autouse=True)
    def brands(self) -> None:
        make_brand("Aurora", 100, timezone="Europe/Berlin")
        make_brand("Boreas", 50, currency="USD")
        switch(make_brand("Castor", 55).campaigns.get(), on=False)

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (Filter(text="auro"), {"Aurora"}),
            (Filter(text="SEARCH BOREAS"), {"Boreas"}),
            (Filter(text="bo"), {"Boreas"}),
            (Filter(text="re"), set()),
            (Filter(text="%"), set()),
            (Filter(text="search"), {"Aurora", "Boreas", "Castor"}),
            (Filter(zone="Europe/Berlin"), {"Aurora"}),
            (Filter(currency="USD"), {"Boreas"}),
            (Filter(hold="operator"), {"Castor"}),
            (Filter(hold="running"), {"Boreas"}),
            (Filter(hold="brand_daily_budget", currency="USD"), set()),
            (Filter(text="search", currency="EUR", hold="operator"), {"Castor"}),
            (Filter(hold="nonsense"), set()),
        ],
    )
    def test_only_what_is_wanted_is_shown(self, wanted: Filter, found: set[str]) -> None:
        built = build(wanted)

        assert {line.name for line in [*built.needs, *built.others]} == found
        assert {change.brand for change in built.changes} == found
        assert built.brands == 3  # the whole stays the whole

    def test_campaigns_that_match_are_named(self) -> None:
        [found] = build(Filter(text="search cast")).found

        assert (found.name, found.brand, found.state.words) == (
            "Search Castor",
            "Castor",
            "paused by operator",
        )

    def test_what_is_not_found_is_said_with_all_that_was_asked(self) -> None:
        wanted = Filter(text="x", zone="UTC", currency="CHF", hold="operator")

        assert build(wanted).nothing == (
            "No brand or campaign called “x” in UTC with the currency CHF "
            "in the state “paused by operator”"
        )

    def test_a_filter_is_read_from_an_address_and_written_into_one(self) -> None:
        wanted = filter_of({"q": " a b\x00 ", "zone": "UTC", "page": "3"})

        assert wanted == Filter(text="a b", zone="UTC")
        assert address("/", wanted) == "/?q=a+b&zone=UTC"
        assert address("/", wanted, text="", zone="", hold="ended") == "/?hold=ended"
        assert address("/", Filter()) == "/"


def test_who_is_restricted_sees_and_counts_only_their_brands() -> None:
    mine, other = make_brand("mine", 100), make_brand("other", 100)
    broken = builders.make_brand(name="broken", timezone="Mars/Olympus")
    passes.check_and_pause(NOW)
    for number in range(25):
        switch(other.campaigns.get(), on=bool(number % 2))
    only = frozenset({mine.pk})

    built = build(brand_ids=only)

    assert (built.campaigns, built.brands, built.troubles) == ("1", 1, [])
    assert names([*built.needs, *built.others]) == ["mine"]
    assert [euro.day.spent for euro in built.sums] == ["100.00"]
    assert {change.brand for change in built.changes} == {"mine"}
    assert build(Filter(text="other"), brand_ids=only).found == []
    assert build(Filter(hold="operator"), brand_ids=only).needs == []
    assert build(brand_ids=frozenset()).brands == 0
    assert build(brand_ids=frozenset({broken.pk})).troubles != []


class TestChanges:
    def test_a_change_says_what_when_why_with_which_figures_and_until_when(self) -> None:
        brand = make_brand("Acme", timezone="Asia/Kolkata")
        spend(brand.campaigns.get(), "102.40")

        newest = build(now=NOW + timedelta(minutes=3)).changes[0]

        assert (newest.campaign, newest.verb, newest.brand) == ("Search Acme", "stopped", "Acme")
        assert (newest.at.local, newest.place) == ("20:30", "Kolkata")
        assert newest.at.utc == "2026-11-24 15:00:00 UTC"
        assert newest.reason == "brand's daily budget reached"
        assert newest.figures == "102.40 of 100.00 EUR"
        assert newest.again == "runs again tomorrow 00:00"
        assert newest.again_at is not None
        assert newest.again_at.utc == "2026-11-24 18:30:00 UTC"

    def test_campaigns_that_stop_together_are_one_line(self) -> None:
        brand = make_brand("Acme")
        builders.make_campaign(brand, name="Second")
        builders.make_campaign(brand, name="Third")
        passes.check_and_pause(NOW)
        spend(brand.campaigns.first() or builders.make_campaign(), 100)

        newest = build().changes[0]

        said = {newest.campaign, *(name for name, _ in newest.others)}
        assert said == {"Search Acme", "Second", "Third"}
        assert newest.again == "run again tomorrow 00:00"

    def test_only_the_state_in_force_runs_again(self) -> None:
        campaign = make_brand("Acme", 100).campaigns.get()
        switch(campaign, on=False)

        off, spent = build().changes[:2]

        assert (off.reason, off.again, off.is_in_force) == ("paused by operator", "", True)
        assert (spent.reason, spent.again, spent.is_in_force) == (
            "brand's daily budget reached",
            "",
            False,
        )

    def test_the_last_twenty_changes_are_looked_at_newest_first(self) -> None:
        campaign = make_brand("Acme", 1).campaigns.get()
        write_changes(campaign, 25)

        changes = build().changes

        assert len(changes) == 20
        assert [change.pk for change in changes] == sorted(
            (change.pk for change in changes), reverse=True
        )


def asked(make: Callable[[int], object], wanted: Filter, **seen: object) -> list[int]:
    counts = []
    for count in (1, 30):
        make(count)
        forget()
        counts.append(len(statements(lambda: build(wanted, **seen))))
    return counts


@pytest.mark.parametrize(
    ("wanted", "most"),
    [(Filter(), 9), (Filter(text="search"), 10), (Filter(hold="brand_daily_budget"), 10)],
)
def test_the_number_of_statements_does_not_grow_with_the_data(wanted: Filter, most: int) -> None:
    made = iter(range(100))

    def make(count: int) -> None:
        for _ in range(count):
            make_brand(f"{next(made)}", 100)

    few, many = asked(make, wanted)

    assert few == many <= most


def test_counts_of_very_many_campaigns_are_kept_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brand = make_brand("Acme", 50)
    assert build().running == "1"

    monkeypatch.setattr(kept, "MANY_CAMPAIGNS", 1)
    assert build().running == "1"
    switch(brand.campaigns.get(), on=False)
    assert build().running == "1"
    assert build(brand_ids=frozenset({brand.pk})).running == "0"  # another's are not given out

    forget()
    assert build().running == "0"
