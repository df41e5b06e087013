"""A platform says what was spent so far; the ledger holds the differences, their sum is what it said."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.core.decision import Hold
from budgets.models import Campaign, Spend
from budgets.services import ingestion, passes, reconciliation
from budgets.services.ingestion import Answer, Receipt
from budgets.services.to_date import ReportedSpend, record_to_date, reported_before
from budgets.tests.builders import (
    NOW,
    TODAY,
    at,
    decided,
    event,
    log,
    make_brand,
    make_campaign,
    refuse_changes_of,
    spend,
    state,
    totals,
    write_spend,
)

pytestmark = pytest.mark.django_db

YESTERDAY = TODAY - timedelta(days=1)
LAST_MONTH = date(2026, 10, 31)


def so_far(campaign: Campaign, amount: object, day: date = TODAY, **fields: Any) -> ReportedSpend:
    return ReportedSpend(campaign_id=campaign.pk, date=day, spend_to_date=amount, **fields)


def report(*rows: ReportedSpend, source: str = "platform", **fields: Any) -> Receipt:
    return record_to_date(rows, source=source, **{"now": NOW, **fields})


def answers(receipt: Receipt) -> list[str]:
    return [result.answer.value for result in receipt.results]


def ledger(campaign: Campaign) -> list[Decimal]:
    rows = Spend.objects.filter(campaign=campaign).order_by("pk")
    return list(rows.values_list("amount", flat=True))


# --- The difference ------------------------------------------------------------------------------


def test_the_ledger_records_the_difference_to_what_was_reported_before() -> None:
    campaign = make_campaign()

    receipts = [report(so_far(campaign, amount)) for amount in ("10", "12.50", "12.500001")]

    assert [answers(receipt) for receipt in receipts] == [["recorded"]] * 3
    assert ledger(campaign) == [Decimal(10), Decimal("2.5"), Decimal("0.000001")]
    assert totals(campaign) == totals(campaign.brand) == (Decimal("12.500001"),) * 2
    assert set(Spend.objects.values_list("source", "external_id", "is_counted")) == {
        ("platform", None, True)
    }


def test_the_same_report_again_changes_nothing() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    first = report(so_far(campaign, 10))
    changes = len(log(campaign))

    second = report(so_far(campaign, "10.00"))

    assert first.paused == (campaign.pk,)
    assert answers(second) == ["duplicate"]
    assert (second.results[0].code, second.results[0].field) == ("duplicate", "spend_to_date")
    assert (second.paused, second.resumed) == ((), ())
    assert ledger(campaign) == [10]
    assert totals(campaign) == (10, 10)
    assert len(log(campaign)) == changes


def test_nothing_spent_so_far_is_nothing_new() -> None:
    campaign = make_campaign()

    assert answers(report(so_far(campaign, 0))) == ["duplicate"]
    assert ledger(campaign) == []


def test_a_credit_becomes_a_negative_row_by_itself_and_resumes() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    report(so_far(campaign, 10))
    assert state(campaign) == Hold.BRAND_DAILY_BUDGET

    receipt = report(so_far(campaign, 7))

    assert ledger(campaign) == [10, -3]
    assert receipt.resumed == (campaign.pk,)
    assert (state(campaign), totals(campaign)) == ("", (7, 7))


def test_a_day_whose_credits_exceed_its_charges_is_what_the_platform_says() -> None:
    campaign = make_campaign()
    report(so_far(campaign, 5))

    receipt = report(so_far(campaign, "-2.5"))

    assert answers(receipt) == ["recorded"]
    assert totals(campaign) == (Decimal("-2.5"), Decimal("-2.5"))


def test_a_late_day_counts_for_its_month_and_another_months_for_neither() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    report(so_far(campaign, 4))

    report(so_far(campaign, 100, YESTERDAY), so_far(campaign, 1000, LAST_MONTH))
    report(so_far(campaign, 90, YESTERDAY))

    assert totals(campaign) == totals(campaign.brand) == (4, 94)
    assert state(campaign) == ""
    assert sum(ledger(campaign)) == 1094


def test_the_month_is_the_sum_of_its_days_and_pauses() -> None:
    campaign = decided(make_campaign(make_brand(monthly_budget=100)))

    report(so_far(campaign, 60, date(2026, 11, 1)))
    receipt = report(so_far(campaign, 40, YESTERDAY))

    assert receipt.paused == (campaign.pk,)
    assert state(campaign) == Hold.BRAND_MONTHLY_BUDGET


def test_days_may_come_in_any_order() -> None:
    campaign = make_campaign()

    report(so_far(campaign, 3), so_far(campaign, 1, LAST_MONTH), so_far(campaign, 2, YESTERDAY))
    receipt = report(so_far(campaign, 2, YESTERDAY), so_far(campaign, 5), so_far(campaign, 3))

    assert answers(receipt) == ["duplicate", "recorded", "recorded"]
    assert totals(campaign) == (3, 5)


def test_of_two_rows_of_a_day_in_one_report_the_later_one_holds() -> None:
    campaign, other = decided(make_campaign(make_brand(daily_budget=10))), make_campaign()

    receipt = report(
        so_far(campaign, 12), so_far(other, 1), so_far(campaign, 7), so_far(campaign, 7)
    )

    assert answers(receipt) == ["recorded", "recorded", "recorded", "duplicate"]
    assert ledger(campaign) == [12, -5]
    assert ledger(other) == [1]
    # Both are one transaction: nobody was ever paused by what did not last.
    assert (receipt.paused, state(campaign), totals(campaign)) == ((), "", (7, 7))


def test_a_report_goes_on_after_midnight_for_the_day_that_is_over() -> None:
    campaign = decided(make_campaign(make_brand(timezone="Europe/Berlin")))
    report(so_far(campaign, 10))
    after_midnight = at("2026-11-24T23:30Z")

    report(so_far(campaign, 11), so_far(campaign, 1, date(2026, 11, 25)), now=after_midnight)

    assert totals(campaign) == (1, 12)


# --- What was reported before --------------------------------------------------------------------


def test_two_sources_are_independent() -> None:
    campaign = make_campaign()

    report(so_far(campaign, 10), source="one")
    report(so_far(campaign, 4), source="other")
    report(so_far(campaign, 11), source="one")

    assert ledger(campaign) == [10, 4, 1]
    assert totals(campaign) == (15, 15)


def test_events_of_the_same_source_are_part_of_what_it_reported() -> None:
    campaign = make_campaign()
    spend(campaign, 3, source="platform", external_id="a")
    spend(campaign, 4, source="platform")
    spend(campaign, 100, source="another")

    report(so_far(campaign, 10))
    spend(campaign, 1, source="platform")
    receipt = report(so_far(campaign, 11))

    assert answers(receipt) == ["duplicate"]
    assert ledger(campaign) == [3, 4, 100, 3, 1]
    assert totals(campaign) == (111, 111)


def test_rows_that_no_pass_has_counted_yet_are_part_of_it_too() -> None:
    campaign = decided(make_campaign())
    write_spend(campaign, 6, source="platform")

    report(so_far(campaign, 10))

    assert ledger(campaign) == [6, 4]
    assert totals(campaign) == (4, 4)
    decided(campaign)
    assert totals(campaign) == (10, 10)


def test_what_was_reported_before_can_be_asked() -> None:
    one, other = make_campaign(), make_campaign()
    report(so_far(one, 10), so_far(one, "2.000001", YESTERDAY), so_far(other, -3))

    days = [(one.pk, TODAY), (one.pk, YESTERDAY), (other.pk, TODAY), (other.pk, YESTERDAY)]

    assert reported_before("platform", [*days, *days]) == dict(
        zip(days, [10_000_000, 2_000_001, -3_000_000, 0], strict=True)
    )
    assert reported_before("another", days[:1]) == {days[0]: 0}
    assert reported_before("platform", []) == {}


def test_a_days_sum_may_outgrow_what_a_total_could_hold() -> None:
    campaign = make_campaign()
    most = "9" * 12
    for _ in range(2):  # of an old month, which is in no total
        ingestion.record([event(campaign, most, date=LAST_MONTH)] * 6, source="platform", now=NOW)

    day = campaign.pk, LAST_MONTH
    assert reported_before("platform", [day]) == {day: 12 * 999_999_999_999_000_000}
    receipt = report(so_far(campaign, most, LAST_MONTH))

    result = receipt.results[0]
    assert (result.answer, result.code) == (Answer.REJECTED, "difference_too_large")
    assert result.field == "spend_to_date"
    assert "was 11999999999988.00 before" in result.words


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "field", "words"),
    [
        ({"spend_to_date": "NaN"}, "invalid_amount", "spend_to_date", "not a finite amount"),
        ({"spend_to_date": "1,000"}, "invalid_amount", "spend_to_date", "has separators"),
        ({"spend_to_date": None}, "invalid_amount", "spend_to_date", "not an amount"),
        ({"spend_to_date": "0.1234567"}, "invalid_amount", "spend_to_date", "more than 6"),
        ({"date": date(2026, 11, 25)}, "future_date", "date", "is in the future"),
        ({"date": date.max}, "future_date", "date", "is in the future"),
        ({"date": date(2025, 10, 19)}, "date_too_old", "date", "SPEND_MAX_AGE_DAYS"),
        ({"currency": "EUR"}, "wrong_currency", "currency", "give them in USD"),
        ({"campaign_id": 2**70}, "unknown_campaign", "campaign", "there is no campaign"),
        ({"campaign_id": -1}, "unknown_campaign", "campaign", "there is no campaign -1"),
    ],
)
def test_a_row_that_cannot_be_meant_is_rejected_beside_one_that_is_recorded(
    fields: dict[str, Any], code: str, field: str, words: str
) -> None:
    campaign = make_campaign()
    good: dict[str, Any] = {"campaign_id": campaign.pk, "spend_to_date": 5, "date": TODAY}

    receipt = report(
        so_far(campaign, 1, currency="USD"),
        ReportedSpend(**{**good, **fields}),
        so_far(campaign, 2, YESTERDAY),
    )

    assert answers(receipt) == ["recorded", "rejected", "recorded"]
    result = receipt.results[1]
    assert (result.code, result.field) == (code, field)
    assert words in result.words
    assert totals(campaign) == totals(campaign.brand) == (1, 3)


def test_a_total_that_could_not_be_kept_is_refused_and_counts_as_not_reported() -> None:
    brand = make_brand()
    campaigns = [make_campaign(brand) for _ in range(11)]
    most, refused = "9" * 12, campaigns[9]

    receipt = report(*[so_far(campaign, most) for campaign in campaigns], so_far(refused, 5))

    assert answers(receipt) == ["recorded"] * 9 + ["rejected"] * 2 + ["recorded"]
    result = receipt.results[9]
    assert (result.code, result.field) == ("total_too_large", "spend_to_date")
    assert ledger(refused) == [5]
    assert totals(brand)[0] == 9 * 999_999_999_999 + 5


def test_a_brand_in_trouble_is_rejected_in_words_while_others_are_recorded() -> None:
    corrupt, healthy = make_campaign(make_brand(timezone="Not/AZone")), make_campaign()

    receipt = report(so_far(corrupt, 5), so_far(healthy, 5))

    assert answers(receipt) == ["rejected", "recorded"]
    assert receipt.results[0].code == "brand_in_trouble"


def test_a_caller_who_names_no_source_or_sends_too_much_is_told() -> None:
    campaign = make_campaign()

    with pytest.raises(ValueError, match=r"^source: "):
        report(so_far(campaign, 5), source="")
    with pytest.raises(ValueError, match=r"^rows: 5001 in one batch; 5000 are the most"):
        report(*[so_far(campaign, 5)] * 5001)

    assert ledger(campaign) == []


# --- Zero window, and what it costs --------------------------------------------------------------


def test_the_pause_commits_with_the_report_and_fails_with_it() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))

    with transaction.atomic():
        assert report(so_far(campaign, 10)).paused == (campaign.pk,)
        assert log(campaign)[-1].actor == "platform"
        transaction.set_rollback(True)
    assert (state(campaign), totals(campaign), ledger(campaign)) == ("", (0, 0), [])

    refuse_changes_of(campaign)
    with pytest.raises(Exception, match="refused"), transaction.atomic():
        report(so_far(campaign, 10))
    assert (state(campaign), totals(campaign), ledger(campaign)) == ("", (0, 0), [])


def test_a_full_report_takes_as_many_statements_as_a_small_one() -> None:
    campaigns = [decided(make_campaign(make_brand(daily_budget=100_000))) for _ in range(5)]
    days = [TODAY - timedelta(days=ago) for ago in range(100)]

    def statements(rows: list[ReportedSpend]) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert Counter(answers(report(*rows))) == {"recorded": len(rows)}
        return len(captured)

    few = statements([so_far(campaign, 1) for campaign in campaigns])
    many = statements([so_far(campaign, 2, day) for campaign in campaigns for day in days[:50]])
    most = statements([so_far(campaign, 3, day) for campaign in campaigns for day in days])

    assert few == many
    # On PostgreSQL a large batch is copied, with a savepoint around it.
    assert most == few + (2 if connection.vendor == "postgresql" else 0)


# --- Whatever is reported ------------------------------------------------------------------------

SOURCES = ("one", "other")
SEARCH = settings(
    max_examples=40,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
AMOUNTS = st.one_of(
    st.sampled_from([0, 1, 5]).map(Decimal),
    st.integers(-3_000_000, 12_000_000).map(lambda micros: micros * Decimal("0.000001")),
)
DAYS = st.sampled_from([0, 0, 1, 3, 23, 24, 40]).map(lambda ago: TODAY - timedelta(days=ago))


@contextmanager
def undone() -> Iterator[None]:
    """Forget at the end what happens inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@SEARCH
@given(st.data())
def test_after_any_reports_the_ledger_says_what_was_said_last(data: st.DataObject) -> None:
    with undone():
        brands = [make_brand(daily_budget=10, monthly_budget=40) for _ in range(2)]
        campaigns = [make_campaign(brand) for brand in brands for _ in range(2)]
        passes.reset(NOW)
        said: dict[tuple[str, int, date], Decimal] = {}
        for _ in range(data.draw(st.integers(1, 6), "steps")):
            source = data.draw(st.sampled_from(SOURCES))
            rows = data.draw(
                st.lists(st.builds(so_far, st.sampled_from(campaigns), AMOUNTS, DAYS), max_size=6),
                "report",
            )
            receipt = report(*rows, source=source)
            for row, answer in zip(rows, answers(receipt), strict=True):
                key = source, row.campaign_id, row.date
                amount = Decimal(str(row.spend_to_date))
                assert answer == ("duplicate" if said.get(key, 0) == amount else "recorded")
                said[key] = amount
            if data.draw(st.booleans(), "an event"):
                campaign, day, amount = data.draw(
                    st.tuples(st.sampled_from(campaigns), DAYS, AMOUNTS)
                )
                if data.draw(st.booleans(), "past the front door"):
                    write_spend(campaign, amount, day, source=source)
                else:
                    spend(campaign, amount, date=day, source=source)
                key = source, campaign.pk, day
                said[key] = said.get(key, Decimal(0)) + amount
        again = [
            ReportedSpend(campaign_id=pk, date=day, spend_to_date=amount)
            for (source, pk, day), amount in said.items()
            if source == SOURCES[0]
        ]
        assert set(answers(report(*again, source=SOURCES[0]))) <= {"duplicate"}

        passes.reset(NOW)

        summed: dict[tuple[str, int, date], Decimal] = defaultdict(Decimal)
        for spent_by, pk, day, amount in Spend.objects.values_list(
            "source", "campaign_id", "date", "amount"
        ):
            summed[spent_by, pk, day] += amount
        assert {key: amount for key, amount in summed.items() if amount} == {
            key: amount for key, amount in said.items() if amount
        }
        for campaign in campaigns:
            assert totals(campaign) == spent_of(said, [campaign])
        for brand in brands:
            own_ones = [campaign for campaign in campaigns if campaign.brand == brand]
            today, this_month = spent_of(said, own_ones)
            assert totals(brand) == (today, this_month)
            held = "brand_monthly_budget" if this_month >= 40 else ""
            held = held or ("brand_daily_budget" if today >= 10 else "")
            assert {state(campaign) for campaign in own_ones} == {held}
        assert reconciliation.check() == []


def spent_of(
    said: dict[tuple[str, int, date], Decimal], campaigns: list[Campaign]
) -> tuple[Decimal, Decimal]:
    """Add up what was said of campaigns, of today and of this month."""
    keys = {campaign.pk for campaign in campaigns}
    of_month = [
        (day, amount)
        for (_, pk, day), amount in said.items()
        if pk in keys and (day.year, day.month) == (TODAY.year, TODAY.month)
    ]
    return (
        sum((amount for day, amount in of_month if day == TODAY), Decimal(0)),
        sum((amount for _, amount in of_month), Decimal(0)),
    )
