"""Which file brought a row is recorded with the row, and costs what programs record nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from budgets.models import Campaign, Import, Spend
from budgets.services import ingestion
from budgets.services.importing import Importing
from budgets.services.ingestion import Answer
from budgets.services.reports.finding import ToDate
from budgets.tests.builders import (
    NOW,
    TODAY,
    event,
    make_brand,
    make_campaign,
    refuse,
    spend,
    write_spend,
)
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db


def importing(source: str = "import") -> Importing:
    return Importing(kind="CSV file", file="may.csv", source=source, actor="ana")


def to_date(campaign: Campaign, micros: int) -> ToDate:
    return ToDate(2, campaign.pk, campaign.brand.name, campaign.name, TODAY, "USD", micros, 1)


def brought_by(record: Import) -> list[str]:
    return [f"{row.amount}" for row in Spend.objects.filter(brought_by=record).order_by("pk")]


def test_rows_of_a_file_are_known_by_it_and_summed_by_currency() -> None:
    acme, bolt = make_campaign(), make_campaign(make_brand(currency="EUR"))
    file = importing()

    file.events([event(acme, "1.50", date=TODAY, external_id="a")], now=NOW)
    later = NOW + timedelta(seconds=1)
    file.events(
        [
            event(acme, "2", date=TODAY, external_id="b"),
            event(bolt, "-0.25", date=TODAY, external_id="c"),
        ],
        now=later,
    )
    file.finish(later)

    record = Import.objects.get()
    assert brought_by(record) == ["1.50", "2.00", "-0.25"]
    assert (record.rows, record.sums) == (3, {"EUR": "-0.25", "USD": "3.50"})
    assert (record.actor, record.kind, record.file) == ("ana", "CSV file", "may.csv")
    assert (record.started_at, record.finished_at) == (NOW, later)


def test_a_file_of_which_nothing_is_new_leaves_no_trace() -> None:
    campaign = make_campaign()
    events = [event(campaign, "1", date=TODAY, external_id="a")]
    importing().events(events, now=NOW)

    again = importing()
    receipt = again.events(events, now=NOW + timedelta(minutes=1))
    again.finish(NOW)

    assert receipt.results[0].answer is Answer.DUPLICATE
    assert Import.objects.count() == 1


def test_rows_that_others_recorded_at_the_same_instant_are_not_the_files() -> None:
    campaign = make_campaign()
    spend(campaign, "7", source="import", external_id="another", now=NOW)
    write_spend(campaign, "8", source="google_ads", created_at=NOW)
    other = make_campaign(campaign.brand)
    spend(other, "1.50", source="google_ads", date=TODAY, now=NOW - timedelta(minutes=1))

    importing().events([event(campaign, "1", date=TODAY, external_id="a")], now=NOW)
    importing("google_ads").to_date([to_date(other, 2_000_000)], now=NOW)

    assert [brought_by(record) for record in Import.objects.order_by("pk")] == [["1.00"], ["0.50"]]


def test_a_report_brings_the_difference_to_what_was_reported_before() -> None:
    campaign = make_campaign()
    first, second = importing("google_ads"), importing("google_ads")

    first.to_date([to_date(campaign, 5_000_000)], now=NOW)
    second.to_date([to_date(campaign, 4_000_000)], now=NOW + timedelta(hours=1))

    assert first.record
    assert second.record
    assert (brought_by(first.record), brought_by(second.record)) == (["5.00"], ["-1.00"])
    assert second.record.sums == {"USD": "-1.00"}


def test_a_batch_that_is_taken_back_takes_its_record_along() -> None:
    campaign, file = make_campaign(), importing()
    refuse("UPDATE", "budgets_import")

    with pytest.raises(Exception, match="refused"):
        file.events([event(campaign, "1", date=TODAY, external_id="a")], now=NOW)

    assert not Import.objects.exists()
    assert not Spend.objects.exists()
    assert file.record is None


def test_a_batch_that_failed_counts_nothing_and_the_import_goes_on() -> None:
    campaign, file = make_campaign(), importing()
    file.events([event(campaign, "1", date=TODAY, external_id="a")], now=NOW)
    more = [event(campaign, "2", date=TODAY, external_id="b")]

    refuse("UPDATE", "budgets_import")
    with pytest.raises(Exception, match="refused"):
        file.events(more, now=NOW + timedelta(seconds=1))
    with connection.cursor() as cursor:
        on = " ON budgets_import" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER refuse{on}")
    file.events(more, now=NOW + timedelta(seconds=2))

    record = Import.objects.get()
    assert (record.rows, record.sums) == (2, {"USD": "3.00"})


def test_spend_of_programs_says_nothing_about_imports() -> None:
    campaign = make_campaign()

    said = statements(
        lambda: ingestion.record([event(campaign, "1", date=TODAY)], source="ad server", now=NOW)
    )

    assert said
    assert not [sql for sql in said if "brought_by" in sql]
