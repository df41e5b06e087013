"""The campaigns of one brand, page by page, and its part of the log."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from budgets.core import money
from budgets.models import Brand, Campaign
from budgets.queries import brand as queries
from budgets.queries.brand import Order, Wanted
from budgets.tests.builders import (
    NOW,
    TODAY,
    decided,
    log,
    make_brand,
    make_campaign,
    spend,
    switch,
)
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

YESTERDAY = TODAY - timedelta(days=1)


def names(brand: Brand, *, limit: int = 50, today: date = TODAY, **wanted: object) -> list[str]:
    found = queries.campaigns(brand.pk, today, Wanted(**wanted), limit)  # type: ignore[arg-type]  # a test's shorthand
    return [campaign.name for campaign in found.rows]


def paged(brand: Brand, order: Order, limit: int) -> list[str]:
    """Read page after page, as a reader who follows the cursors."""
    seen: list[str] = []
    after = ""
    for _ in range(Campaign.objects.count() + 1):
        found = queries.campaigns(brand.pk, TODAY, Wanted(order=order, after=after), limit)
        seen += [campaign.name for campaign in found.rows]
        after = found.after
        if not after:
            return seen
        assert len(found.rows) == limit
    pytest.fail("the cursors have no end")


@pytest.fixture
def brand() -> Brand:
    """Return a brand whose campaigns spent differently today and this month."""
    brand = make_brand()
    rows = {name: make_campaign(brand, name=name) for name in ("ant", "bee", "cow", "dog", "eel")}
    decided(brand)
    for name, today, before in (("bee", 5, 0), ("cow", 9, 1), ("dog", 1, 30), ("eel", 5, 0)):
        spend(rows[name], today)
        spend(rows[name], before, date=YESTERDAY)
    make_campaign(name="of another brand")
    return brand


def test_who_spent_most_stands_first_and_equals_in_the_order_of_their_keys(brand: Brand) -> None:
    assert names(brand, order=Order.MONTH) == ["dog", "cow", "bee", "eel", "ant"]
    assert names(brand, order=Order.TODAY) == ["cow", "bee", "eel", "dog", "ant"]
    assert names(brand, order=Order.NAME) == ["ant", "bee", "cow", "dog", "eel"]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_who_follows_the_cursors_sees_each_campaign_once(
    brand: Brand, order: Order, limit: int
) -> None:
    assert paged(brand, order, limit) == names(brand, order=order)


def test_totals_of_another_day_or_month_order_nobody(brand: Brand) -> None:
    tomorrow, next_month = TODAY + timedelta(days=1), date(2026, 12, 1)

    assert names(brand, order=Order.TODAY, today=tomorrow) == ["ant", "bee", "cow", "dog", "eel"]
    assert names(brand, order=Order.MONTH, today=tomorrow)[0] == "dog"
    assert names(brand, order=Order.MONTH, today=next_month) == ["ant", "bee", "cow", "dog", "eel"]


def test_a_list_is_narrowed_by_state_and_by_a_part_of_name_or_platform_id(brand: Brand) -> None:
    Campaign.objects.filter(name="cow").update(external_id="UK-77_x")
    switch(Campaign.objects.get(name="bee"), on=False)

    assert names(brand, hold="operator") == ["bee"]
    assert set(names(brand, hold="")) == {"ant", "cow", "dog", "eel"}
    assert names(brand, search="E") == ["bee", "eel"]
    assert names(brand, search="7_X") == ["cow"]
    assert names(brand, search="%") == []
    assert names(brand, search="of another") == []
    assert names(brand, search="e", hold="operator") == ["bee"]


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "1",
        "1.",
        ".1",
        "1.1.1",
        "-",
        "9" * 30 + ".1",
        "1." + "9" * 30,
        "\x00",
        "١.٢",  # noqa: RUF001  # digits, and not ours
        "1.5 ",
    ],
)
def test_a_cursor_that_was_never_given_begins_at_the_first(brand: Brand, after: str) -> None:
    assert names(brand, after=after) == names(brand)


@pytest.mark.parametrize("micros", [money.MAX_TOTAL, -money.MAX_TOTAL, 10**18 - 1, -(10**18) + 1])
@pytest.mark.parametrize("pk", [0, 2**63 - 1, 2**63])
def test_no_cursor_is_too_large_for_a_database(brand: Brand, micros: int, pk: int) -> None:
    assert len(names(brand, after=f"{micros}.{pk}")) in (0, 5)


@pytest.mark.parametrize("text", ["\x00", "a\x00", "x" * 100_000, "\\", "'", "%_", "\ud7ff"])
def test_any_text_can_be_looked_for(brand: Brand, text: str) -> None:
    assert names(brand, search=text) == []
    assert names(brand, order=Order.NAME, after=text) is not None


def test_campaigns_are_counted_by_what_holds_them(brand: Brand) -> None:
    switch(Campaign.objects.get(name="bee"), on=False)

    assert queries.campaigns_by_hold(brand.pk) == {"": 4, "operator": 1}


def test_the_last_changes_are_those_of_the_brand_newest_first(brand: Brand) -> None:
    ant, bee = (Campaign.objects.get(name=name) for name in ("ant", "bee"))
    for on in (False, True, False):
        switch(ant, on=on)
    switch(bee, on=False)
    switch(Campaign.objects.get(name="of another brand"), on=False)
    newest = [log(bee)[-1], *log(ant)[::-1][:3]]

    assert list(queries.last_changes(brand.pk, 4)) == newest
    assert list(queries.last_changes(brand.pk, 1)) == newest[:1]
    assert len(queries.last_changes(brand.pk, 100)) == 5 + 4


def test_names_are_bounded_and_in_order(brand: Brand) -> None:
    ids = list(brand.campaigns.values_list("pk", flat=True))

    assert queries.names(ids, 3) == ["ant", "bee", "cow"]
    assert queries.names([], 3) == []


def test_each_question_is_one_statement(brand: Brand) -> None:
    def ask() -> None:
        names(brand)
        queries.campaigns_by_hold(brand.pk)
        list(queries.last_changes(brand.pk, 10))

    assert len(statements(ask)) == 3


def test_amounts_are_exact(brand: Brand) -> None:
    spend(Campaign.objects.get(name="ant"), "5.000001", now=NOW)

    found = queries.campaigns(brand.pk, TODAY, Wanted(order=Order.TODAY), 2)

    assert [vars(row)["today"] for row in found.rows] == [Decimal(9), Decimal("5.000001")]
