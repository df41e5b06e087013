"""The values on the page of a brand."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from babel import Locale
from django.http import QueryDict

from budgets.core.decision import Hold
from budgets.dashboard.pages import brand as brand_page
from budgets.dashboard.pages.brand import CampaignLine, Fact, Meter, Page
from budgets.dashboard.reader import Reader
from budgets.models import Brand, Campaign
from budgets.services import editing
from budgets.services.access import Person
from budgets.tests.builders import (
    NOW,
    TODAY,
    at,
    decided,
    make_brand,
    make_campaign,
    spend,
    switch,
)
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

NOON = at("2026-11-16T12:00Z")
"""Half of a day, and after 15.5 of November's 30 days."""


def reader(
    now: datetime = NOON, *, locale: str = "en_US", may_edit: bool = True, may_pause: bool = True
) -> Reader:
    person = Person(
        brand_ids=None, name="ann", may_pause=may_pause, may_edit=may_edit, is_restricted=False
    )
    return Reader(now=now, person=person, locale=Locale.parse(locale))


def build(brand: Brand, query: str = "", *, by: Reader | None = None) -> Page:
    brand.refresh_from_db()
    return brand_page.build(by or reader(), brand, brand_page.wanted_by(QueryDict(query)))


def meter(page: Page, title: str) -> Meter:
    return next(meter for meter in page.meters if meter.title == title)


def fact(shown: Meter, name: str) -> Fact:
    return next(fact for fact in shown.facts if fact.name == name)


def line(page: Page, name: str) -> CampaignLine:
    return next(line for line in page.campaigns.lines if line.name == name)


@pytest.fixture
def acme() -> Brand:
    """Return a brand that spent 60 of 100 by noon, at 20 in each of the last hours, and 460 of 900."""
    brand = make_brand(name="Acme", daily_budget=100, monthly_budget=900)
    search = make_campaign(brand, name="Search")
    make_campaign(brand, name="Display", daily_budget=50, allowed_start_hour=8)
    decided(brand, NOON - timedelta(hours=12))
    spend(search, 400, date=NOON.date() - timedelta(days=1), now=NOON)
    for hours in (3, 2, 1):
        spend(search, 20, now=NOON - timedelta(hours=hours, minutes=-30))
    return brand


def test_the_day_stands_against_its_plan_and_where_it_leads(acme: Brand) -> None:
    today = meter(build(acme), "Today")

    assert (today.bar.spent, today.bar.budget, today.bar.percent, today.bar.level) == (
        "$60.00",
        "$100.00",
        "60%",
        "calm",
    )
    assert (today.bar.width, today.bar.mark, today.period) == (
        "60.00",
        "50.00",
        "Monday 16 November",
    )
    assert fact(today, "Left").words == "$40.00"
    assert fact(today, "Against even pace").words == "$10.00 ahead"
    assert fact(today, "Against even pace").title == "Spent evenly, it were $50.00 by now."
    # Its last four hours, the newer counting for more: 18 an hour.
    assert fact(today, "Budget reached").words == "about 14:13"
    assert fact(today, "At midnight").words == "$276.00, 276%"


def test_the_month_stands_against_its_plan_and_where_it_leads(acme: Brand) -> None:
    page = build(acme)
    month = meter(page, "This month")

    assert (month.bar.spent, month.bar.budget, month.bar.percent) == ("$460.00", "$900.00", "51%")
    assert month.bar.mark == "51.67"
    assert fact(month, "Against even pace").words == "$5.00 behind"
    assert fact(month, "Budget reached").words.startswith("about ")
    # 440 are left for half of today and fourteen days.
    assert page.recommended == "$30.34"
    assert page.recommended_url == f"/brands/{acme.pk}/edit/?daily_budget=30.34"


def test_a_reached_budget_says_so_and_how_far_over(acme: Brand) -> None:
    spend(acme.campaigns.get(name="Search"), "43.50", now=NOON)

    today = meter(build(acme), "Today")

    assert (today.bar.level, today.bar.percent, today.bar.width) == ("reached", "103%", "100.00")
    assert fact(today, "Left") == Fact(
        name="Left", words="nothing, $3.50 over", level="reached", title=""
    )
    assert fact(today, "Budget reached").words == "yes"


def test_without_budgets_there_is_no_limit_and_nothing_to_recommend() -> None:
    brand = decided(make_brand(), NOON)

    page = build(brand)

    assert [(one.bar.budget, one.bar.percent, one.bar.level) for one in page.meters] == [
        ("", "", "unlimited")
    ] * 2
    assert [[fact.name for fact in one.facts] for one in page.meters] == [
        ["At midnight"],
        ["At the month's end"],
    ]
    assert (page.recommended, page.recommended_url) == ("", "")
    assert page.summary == "0 of 0 campaigns run."


def test_the_month_is_drawn_day_by_day_against_the_even_line_and_the_projection(
    acme: Brand,
) -> None:
    chart = build(acme).charts[0]
    series = {one.name: list(one.amounts) for one in chart.series}

    assert len(chart.labels) == 30
    assert (chart.labels[0], chart.labels[-1], chart.marked) == ("1 Nov", "30 Nov", 15)
    assert series["Spent that day"][13:17] == [0, 400, 60, None]
    assert series["Spent to date"][13:17] == [0, 400, 460, None]
    assert series["Even pace"][0] == 30
    assert series["Even pace"][-1] == 900
    assert series["Monthly budget"] == [900] * 30
    foreseen = series["Projection"]
    assert foreseen[:16] == [*[None] * 15, Decimal(460)]
    assert foreseen[15:18] == sorted(set(filter(None, foreseen[15:18])))
    # It pauses at its budget, and the line does not go on.
    assert foreseen[-1] == 900
    assert chart.summary.startswith("$460.00 spent this month of $900.00; projected $")


def test_the_day_is_drawn_hour_by_hour_against_its_plan(acme: Brand) -> None:
    chart = build(acme).charts[1]
    series = {one.name: list(one.amounts) for one in chart.series}

    assert len(chart.labels) == 24
    assert (chart.labels[0], chart.labels[-1], chart.marked) == ("0:00", "23:00", 12)
    assert series["In the hour"][8:14] == [0, 20, 20, 20, 0, None]
    assert series["Spent by then"][8:14] == [0, 20, 40, 60, 60, None]
    assert series["Even pace"][11] == 50
    assert series["Even pace"][-1] == 100
    assert series["Projection"][11:14] == [None, 60, Decimal("96.00")]
    assert dict(chart.rows)["9:00"][:2] == ["20.00", "20.00"]


def test_on_the_night_of_a_clock_change_the_hours_are_those_of_the_wall() -> None:
    brand = decided(make_brand(timezone="Europe/Berlin", daily_budget=10), at("2026-10-24T22:00Z"))

    chart = build(brand, by=reader(at("2026-10-25T12:00Z"))).charts[1]

    assert len(chart.labels) == 25
    assert list(chart.labels[:5]) == ["0:00", "1:00", "2:00", "2:00", "3:00"]


def test_a_campaign_has_its_part_of_the_brands_spend(acme: Brand) -> None:
    display = acme.campaigns.get(name="Display")
    spend(display, 20, now=NOON)

    page = build(acme)

    search, shown = line(page, "Search"), line(page, "Display")
    assert (search.today.amount, search.today.share, search.today.width) == (
        "$60.00",
        "75%",
        "75.00",
    )
    assert (search.month.amount, search.month.share) == ("$460.00", "95%")
    assert (shown.today.share, shown.month.share) == ("25%", "4%")
    assert (shown.limits, shown.hours) == ("$50.00 a day", "8–24")  # noqa: RUF001  # a range's dash
    assert (search.limits, search.hours) == ("", "all day")


def test_what_was_credited_is_no_part_of_anything(acme: Brand) -> None:
    spend(acme.campaigns.get(name="Display"), -5, now=NOON)

    shown = line(build(acme), "Display")

    assert (shown.today.amount, shown.today.share, shown.today.width) == ("-$5.00", "", "0.00")


def test_every_state_has_its_words_and_can_be_chosen(acme: Brand) -> None:
    switch(acme.campaigns.get(name="Display"), on=False)

    page = build(acme, "hold=operator")

    assert [line.name for line in page.campaigns.lines] == ["Display"]
    assert page.campaigns.lines[0].state.words == "paused by operator"
    assert [(one.value, one.words, one.count, one.is_chosen) for one in page.campaigns.choices] == [
        ("", "All", "2", False),
        ("running", "active", "1", False),
        ("operator", "paused by operator", "1", True),
    ]
    assert page.campaigns.is_narrowed
    assert set(brand_page.HOLDS.values()) == {"", *Hold}


def test_an_address_can_be_copied_and_means_the_same(
    acme: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brand_page, "SHOWN_CAMPAIGNS", 1)
    page = build(acme, "search=s&order=name&hold=running")

    assert (page.campaigns.search, page.campaigns.hold) == ("s", "running")
    assert [order for order, _, is_chosen in page.campaigns.orders if is_chosen] == ["name"]
    assert page.campaigns.next_url == (
        f"/brands/{acme.pk}/?hold=running&search=s&order=name&after=Display#campaigns"
    )
    second = build(acme, page.campaigns.next_url.partition("?")[2].partition("#")[0])
    assert [line.name for line in second.campaigns.lines] == ["Search"]
    assert second.campaigns.next_url == ""
    assert second.campaigns.first_url.endswith("?hold=running&search=s&order=name#campaigns")


@pytest.mark.parametrize(
    "query", ["hold=nonsense&order=%00&after=%00", "hold=&order=", "hold=%F0%9F", "order=month&x=y"]
)
def test_an_address_that_means_nothing_shows_everything(acme: Brand, query: str) -> None:
    assert len(build(acme, query).campaigns.lines) == 2


def test_amounts_are_written_as_the_reader_writes_them(acme: Brand) -> None:
    page = build(acme, by=reader(locale="de_DE"))

    assert meter(page, "Today").bar.spent == "60,00\xa0$"
    assert page.charts[1].rows[9][1][0] == "20,00"
    # What is typed is the same for everybody.
    assert page.recommended_url.endswith("daily_budget=30.34")


def test_a_brand_has_its_own_time_and_a_zone_that_waits(acme: Brand) -> None:
    acme.timezone = "Asia/Tokyo"
    editing.save(acme, by="ann", now=NOON, changed=["timezone"])

    page = build(acme)

    assert page.local is not None
    assert (page.local.local, page.zone, page.pending) == ("12:00", "UTC", "Asia/Tokyo")


def test_a_brand_without_a_known_zone_shows_its_campaigns_and_what_is_wrong() -> None:
    brand = make_brand(timezone="Mars/Olympus", daily_budget=5)
    make_campaign(brand, name="Search")
    decided(brand)

    page = build(brand)

    assert "Mars/Olympus" in page.trouble
    assert (page.meters, page.charts, page.recommended) == ([], [], "")
    assert line(page, "Search").state.words == "not decided yet"


def test_the_last_changes_tell_what_became_of_what_why_and_by_whom(acme: Brand) -> None:
    switch(acme.campaigns.get(name="Display"), on=False)

    newest = build(acme, by=reader(NOW + timedelta(minutes=3))).changes[0]

    assert (newest.campaign, newest.before.words, newest.after.words) == (
        "Display",
        "active",
        "paused by operator",
    )
    assert (newest.cause, newest.actor, newest.ago) == ("operator", "operator", "3 min ago")


def test_who_may_not_edit_or_pause_is_not_offered_it(acme: Brand) -> None:
    page = build(acme, by=reader(may_edit=False, may_pause=False))

    assert (page.edit_url, page.recommended_url, page.may_pause) == ("", "", False)
    assert {line.edit_url for line in page.campaigns.lines} == {""}
    assert page.recommended == "$30.34"


def test_the_number_of_statements_does_not_grow_with_the_data(acme: Brand) -> None:
    few = len(statements(lambda: build(acme)))
    rows = Campaign.objects.bulk_create(
        Campaign(brand=acme, name=f"Campaign {number}") for number in range(200)
    )
    decided(acme)
    for row in rows[:20]:
        spend(row, "0.10", date=TODAY, now=NOW)

    assert len(statements(lambda: build(acme))) == few <= 7
