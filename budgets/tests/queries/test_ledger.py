"""Rows of the ledger, page by page."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from budgets.models import Campaign, Import, Spend
from budgets.queries import ledger
from budgets.queries.ledger import NoSuchPlace, Place
from budgets.services.access import EVERYTHING, Sight
from budgets.services.importing import Importing
from budgets.tests.builders import (
    NOW,
    TODAY,
    event,
    make_brand,
    make_campaign,
    spend,
    write_spend,
)
from budgets.tests.statements import plan_of, statements

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def every(campaign: Campaign) -> list[list[Decimal]]:
    """Follow the pages to the end."""
    pages, before = [], None
    while True:
        page = ledger.of_campaign(campaign.pk, before)
        pages.append([row.amount for row in page.rows])
        if page.next is None:
            return pages
        before = Place.parse(page.next)


def test_pages_hold_every_row_once_the_latest_day_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "PAGE", 2)
    campaign = make_campaign()
    make_campaign(campaign.brand)
    for amount, day in ((1, TODAY - DAY), (2, TODAY), (3, TODAY - DAY), (4, TODAY), (5, TODAY)):
        write_spend(campaign, amount, day)
    write_spend(make_campaign(), 9)

    assert every(campaign) == [[5, 4], [2, 3], [1]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "2026-11-24",
        "2026-11-24.-1",
        "2026-11-24.01",
        "2026-11-24.99999999999999999999",
        "2026-02-30.1",
        "20261124.1",
        "2026-11-24.\u0661",
        "\x00.1",
    ],
)
def test_a_place_is_only_what_a_page_said(text: str) -> None:
    with pytest.raises(NoSuchPlace):
        Place.parse(text)


def test_sums_are_of_counted_rows_by_day_and_by_the_minute_in_which_it_happened() -> None:
    campaign = make_campaign()
    spend(campaign, "2", now=NOW)
    spend(campaign, "3", now=NOW + timedelta(seconds=40))
    spend(campaign, "7", date=TODAY - DAY)
    write_spend(campaign, "100")

    assert ledger.by_day(campaign, TODAY - DAY, TODAY) == {TODAY: 5, TODAY - DAY: 7}
    assert ledger.by_minute(campaign, TODAY) == {NOW: 5}
    assert Spend.objects.count() == 4


def test_the_rows_of_an_import_are_those_of_the_brands_that_are_seen() -> None:
    mine, other = make_campaign(make_brand()), make_campaign(make_brand())
    importing = Importing(kind="CSV file", file="a.csv", source="import", actor="ana")
    importing.events(
        [
            event(campaign, 1, date=TODAY, external_id=f"{number}")
            for number, campaign in enumerate((mine, other, mine))
        ],
        now=NOW,
    )
    write_spend(mine, 9)
    file = Import.objects.get()

    def rows(sight: Sight, before: int | None = None) -> list[int]:
        return [row.campaign_id for row in ledger.of_import(file, sight, before).rows]

    assert rows(EVERYTHING) == [mine.pk, other.pk, mine.pk]
    last = ledger.of_import(file, EVERYTHING, None).rows[0].pk
    assert rows(Sight(brand_ids=frozenset({mine.brand_id}))) == [mine.pk, mine.pk]
    assert rows(Sight(brand_ids=frozenset())) == []
    assert rows(EVERYTHING, before=last) == [other.pk, mine.pk]


def test_the_indexes_are_used() -> None:
    campaign = make_campaign()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    file = Import(pk=7)

    (said,) = statements(lambda: ledger.of_campaign(campaign.pk, Place(TODAY, 5)))
    (brought,) = statements(lambda: ledger.of_import(file, EVERYTHING, 5))

    assert "spend_by_campaign_and_day" in plan_of(said)
    assert "spend_by_import" in plan_of(brought)
