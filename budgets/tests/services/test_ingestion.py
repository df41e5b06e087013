"""Spend comes in exactly once, each event has its own answer, and pauses commit with it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign, Spend
from budgets.services import ingestion
from budgets.services.ingestion import DUPLICATE, RECORDED, Answer, SpendEvent
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

YESTERDAY = date(2026, 11, 23)


def record(*events: SpendEvent, source: str = "test", now: datetime = NOW) -> ingestion.Receipt:
    return ingestion.record(events, source=source, now=now)


def answers(receipt: ingestion.Receipt) -> list[str]:
    return [result.answer.value for result in receipt.results]


# --- Exactly once --------------------------------------------------------------------------------


class TestLargeBatch:
    """PostgreSQL copies it: nobody may be able to tell, from the ledger or from the answers."""

    SIZE = ingestion.COPIED_FROM

    @pytest.fixture
    def events(self) -> list[SpendEvent]:
        campaigns = [make_campaign() for _ in range(3)]
        odd = [r"back\slash", r"\N", r"\.", "ä 语 🙂", '"quoted"', "it's", "{a,b}", "%s", "NULL"]
        ids = [*odd, None, None, *(f"id-{n}" for n in range(self.SIZE))]
        days = [TODAY, YESTERDAY]
        instants = [None, at("2026-11-23T23:59:59.999999+05:30")]
        return [
            event(
                campaigns[n % 3],
                f"{n - 5}.000001".replace("--", "-"),
                external_id=key,
                date=days[n % 2],
                occurred_at=instants[n % 2],
            )
            for n, key in enumerate(ids)
        ]

    def ledger(self, source: str) -> list[tuple[Any, ...]]:
        rows = Spend.objects.filter(source=source).values_list(
            "campaign_id",
            "date",
            "amount",
            "occurred_at",
            "external_id",
            "is_counted",
            "created_at",
        )
        return sorted(rows, key=repr)

    def test_is_recorded_as_many_small_ones(self, events: list[SpendEvent]) -> None:
        large = record(*events, source="large")
        for start in range(0, len(events), 50):
            record(*events[start : start + 50], source="small")

        assert large.count(Answer.RECORDED) == len(events)
        assert self.ledger("large") == self.ledger("small")
        assert len(self.ledger("large")) == len(events)

    def test_that_comes_again_is_a_duplicate_but_for_rows_without_an_id(
        self, events: list[SpendEvent]
    ) -> None:
        record(*events)

        again = record(*events)

        assert Counter(answers(again)) == {"duplicate": len(events) - 2, "recorded": 2}
        assert Spend.objects.count() == len(events) + 2

    @pytest.mark.parametrize("known", [0, 100, -1], ids=["first", "middle", "last"])
    def test_of_which_one_is_known_records_the_others(
        self, events: list[SpendEvent], known: int
    ) -> None:
        with_id = sorted(
            (one for one in events if one.external_id), key=lambda one: str(one.external_id)
        )
        record(with_id[known])

        receipt = record(*events)

        assert Counter(answers(receipt)) == {"duplicate": 1, "recorded": len(events) - 1}
        assert Spend.objects.count() == len(events)
        for campaign in Campaign.objects.all():
            total = sum(row.amount for row in campaign.spends.filter(date=TODAY))
            assert totals(campaign)[0] == total


def test_what_is_recorded_is_in_the_ledger_and_in_the_totals() -> None:
    campaign = make_campaign()

    receipt = record(event(campaign, "12.345678", date=TODAY, external_id="a"), source="adnet")

    assert receipt.results == (RECORDED,)
    row = Spend.objects.get()
    assert (row.campaign, row.date, row.amount) == (campaign, TODAY, Decimal("12.345678"))
    assert (row.source, row.external_id, row.is_counted) == ("adnet", "a", True)
    assert row.created_at == NOW
    assert totals(campaign) == totals(campaign.brand) == (row.amount, row.amount)


@pytest.mark.parametrize("together", [True, False], ids=["within one batch", "across batches"])
@pytest.mark.parametrize(
    ("repeat", "answer"),
    [
        ({}, "duplicate"),
        ({"amount": "5.00"}, "duplicate"),
        ({"amount": Decimal("5E0")}, "duplicate"),
        ({"amount": "5.000001"}, "conflict"),
        ({"amount": "-5"}, "conflict"),
        ({"date": YESTERDAY}, "conflict"),
        ({"other_campaign": True}, "conflict"),
    ],
    ids=str,
)
def test_the_same_again_is_a_duplicate_and_anything_different_a_conflict(
    repeat: dict[str, Any], answer: str, together: bool
) -> None:
    campaign, other = decided(make_campaign()), make_campaign()
    first = event(campaign, "5", date=TODAY, external_id="a")
    fields = {"amount": "5", "date": TODAY, "external_id": "a", **repeat}
    second = event(other if fields.pop("other_campaign", False) else campaign, **fields)

    receipts = [record(first, second)] if together else [record(first), record(second)]

    assert [given for receipt in receipts for given in answers(receipt)] == ["recorded", answer]
    result = receipts[-1].results[-1]
    assert (result.code, result.field) == (answer, "external_id")
    if answer == "conflict":
        assert f"'a' was recorded before as 5.00 of campaign {campaign.pk}" in result.words
        assert "on 2026-11-24; use another id, or a negative amount to correct it" in result.words
    assert Spend.objects.count() == 1
    assert totals(campaign) == totals(campaign.brand) == (5, 5)
    assert totals(other) == (0, 0)


def test_an_id_is_unique_within_its_source_alone() -> None:
    campaign = make_campaign()
    one = event(campaign, 5, date=TODAY, external_id="a")

    assert answers(record(one, source="x")) == answers(record(one, source="y")) == ["recorded"]
    assert totals(campaign) == (10, 10)


def test_rows_without_an_id_are_all_recorded() -> None:
    campaign = make_campaign()

    receipt = record(*[event(campaign, 5, date=TODAY)] * 3)

    assert answers(receipt) == ["recorded"] * 3
    assert totals(campaign) == (15, 15)


def test_a_repeated_batch_changes_nothing() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    batch = [event(campaign, "0.1", date=TODAY, external_id=str(n)) for n in range(1000)]
    first = record(*batch)
    assert (state(campaign), first.paused) == (Hold.BRAND_DAILY_BUDGET, (campaign.pk,))
    changes = len(log(campaign))

    second = record(*reversed(batch))

    assert Counter(answers(second)) == {"duplicate": 1000}
    assert (second.paused, second.resumed) == ((), ())
    assert Spend.objects.count() == 1000
    assert totals(campaign) == totals(campaign.brand) == (100, 100)
    assert len(log(campaign)) == changes


def test_a_duplicate_stays_one_after_its_day_and_month_are_over() -> None:
    campaign = make_campaign()
    one = event(campaign, 5, date=TODAY, external_id="a")
    record(one)

    later = record(one, now=at("2026-12-24T15:00Z"))

    assert answers(later) == ["duplicate"]
    assert totals(campaign) == (0, 0)


def test_a_duplicate_stays_one_though_the_totals_have_no_room_left() -> None:
    campaign = make_campaign()
    batch = [event(campaign, "9" * 12, date=TODAY, external_id=str(n)) for n in range(9)]
    assert Counter(answers(record(*batch))) == {"recorded": 9}

    assert Counter(answers(record(*batch))) == {"duplicate": 9}


def test_a_duplicate_whose_day_followed_from_its_instant_stays_one_in_another_zone() -> None:
    campaign = make_campaign(make_brand(timezone="Pacific/Auckland"))
    one = event(campaign, 5, occurred_at=NOW, external_id="a")
    record(one)
    Brand.objects.filter(pk=campaign.brand_id).update(timezone="America/Los_Angeles")
    later = at("2026-11-26T12:00Z")
    decided(campaign, later)

    assert answers(record(one, now=later)) == ["duplicate"]


def test_a_row_that_another_road_wrote_under_the_same_id_is_known() -> None:
    campaign = make_campaign()
    write_spend(campaign, 5, source="test", external_id="a")

    receipt = record(event(campaign, 5, date=TODAY, external_id="a"))

    assert answers(receipt) == ["duplicate"]
    decided(campaign)
    assert totals(campaign) == (5, 5)


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "field", "words"),
    [
        ({"amount": "NaN"}, "invalid_amount", "amount", "not a finite amount"),
        ({"amount": "1e30"}, "invalid_amount", "amount", "exponent"),
        ({"amount": 1e30}, "invalid_amount", "amount", "more than 12 digits"),
        ({"amount": "0.1234567"}, "invalid_amount", "amount", "more than 6 decimals"),
        ({"amount": True}, "invalid_amount", "amount", "true or false"),
        ({"amount": "1_000"}, "invalid_amount", "amount", "write digits and a point"),
        ({"amount": None}, "invalid_amount", "amount", "not an amount"),
        ({"date": date(2026, 11, 25)}, "future_date", "date", "2026-11-25 is in the future"),
        ({"date": date.max}, "future_date", "date", "is in the future; it is 2026-11-24 in UTC"),
        ({"date": date(2025, 10, 19)}, "date_too_old", "date", "SPEND_MAX_AGE_DAYS"),
        ({"date": date.min}, "date_too_old", "date", "the oldest day that is accepted"),
        ({"date": None}, "date_missing", "date", "say when it was spent"),
        (
            {"occurred_at": NOW + timedelta(minutes=6)},
            "future_date",
            "occurred_at",
            "is in the future",
        ),
        (
            {"occurred_at": datetime(2026, 11, 24, 12)},
            "no_offset",
            "occurred_at",
            "has no UTC offset",
        ),
        ({"currency": "EUR"}, "wrong_currency", "currency", "'EUR' is not the brand's currency"),
        ({"currency": "usd"}, "wrong_currency", "currency", "give them in USD"),
        ({"currency": ""}, "wrong_currency", "currency", "amounts are not converted"),
        ({"campaign_id": 2**70}, "unknown_campaign", "campaign", f"no campaign {2**70}"),
        ({"campaign_id": 2**63 - 1}, "unknown_campaign", "campaign", "there is no campaign"),
        ({"campaign_id": 0}, "unknown_campaign", "campaign", "there is no campaign 0"),
        ({"campaign_id": -1}, "unknown_campaign", "campaign", "there is no campaign -1"),
        ({"external_id": ""}, "invalid_external_id", "external_id", "is empty"),
        ({"external_id": " a"}, "invalid_external_id", "external_id", "spaces around"),
        ({"external_id": "a\x00b"}, "invalid_external_id", "external_id", "control or invisible"),
        ({"external_id": "a\r\nb"}, "invalid_external_id", "external_id", "control or invisible"),
        ({"external_id": "a\u202eb"}, "invalid_external_id", "external_id", "control or invisible"),
        ({"external_id": "a\ud800"}, "invalid_external_id", "external_id", "control or invisible"),
        ({"external_id": "x" * 201}, "invalid_external_id", "external_id", "has 201 characters"),
    ],
)
def test_an_event_that_cannot_be_meant_is_rejected_beside_one_that_is_recorded(
    fields: dict[str, Any], code: str, field: str, words: str
) -> None:
    campaign = make_campaign()
    good: dict[str, Any] = {"campaign_id": campaign.pk, "amount": 5, "date": TODAY}

    receipt = record(
        SpendEvent(**{**good, "external_id": "1"}),
        SpendEvent(**{**good, **fields}),
        SpendEvent(**{**good, "external_id": "2"}),
    )

    assert answers(receipt) == ["recorded", "rejected", "recorded"]
    result = receipt.results[1]
    assert (result.code, result.field) == (code, field)
    assert words in result.words
    assert totals(campaign) == totals(campaign.brand) == (10, 10)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland"])
@pytest.mark.parametrize("day", [None, TODAY])
@pytest.mark.parametrize("instant", [datetime.min, datetime.max])
def test_an_instant_at_the_end_of_the_calendar_is_rejected_like_any_other(
    instant: datetime, day: date | None, zone: str
) -> None:
    campaign = make_campaign(make_brand(timezone=zone))

    receipt = record(
        event(campaign, 5, date=day, occurred_at=instant.replace(tzinfo=UTC)),
        event(campaign, 5, date=TODAY),
    )

    assert answers(receipt) == ["rejected", "recorded"]
    assert [row.occurred_at for row in Spend.objects.all()] == [None]


@pytest.mark.parametrize(
    ("external_id", "kept"), [("x" * 200, "x" * 200), ("Ünïcode-☃", "Ünïcode-☃"), (None, None)]
)
def test_an_id_that_can_be_kept_is_kept(external_id: str | None, kept: str | None) -> None:
    record(event(make_campaign(), 5, date=TODAY, external_id=external_id))

    assert Spend.objects.get().external_id == kept


@pytest.mark.parametrize("source", ["", " ", "a ", "a\x00", "a\nb", "x" * 101])
def test_a_source_that_is_no_name_is_an_error_of_the_caller(source: str) -> None:
    with pytest.raises(ValueError, match=r"^source: "):
        record(event(make_campaign(), 5, date=TODAY), source=source)

    assert not Spend.objects.exists()


def test_more_than_five_thousand_events_are_an_error_of_the_caller() -> None:
    campaign = make_campaign()

    with pytest.raises(ValueError, match="5001 in one batch; 5000 are the most"):
        record(*[event(campaign, 1, date=TODAY)] * 5001)

    assert not Spend.objects.exists()


def test_five_thousand_events_fit() -> None:
    campaign = make_campaign()
    batch = [event(campaign, 1, date=TODAY, external_id=str(n)) for n in range(5000)]

    assert record(*batch).count(Answer.RECORDED) == 5000
    assert totals(campaign) == (5000, 5000)


def test_no_events_are_no_work() -> None:
    assert record() == ingestion.Receipt(results=())


def test_the_age_that_is_too_old_is_a_setting(settings: Any) -> None:
    campaign = make_campaign()
    settings.SPEND_MAX_AGE_DAYS = 1

    receipt = record(
        event(campaign, 1, date=YESTERDAY), event(campaign, 1, date=date(2026, 11, 22))
    )

    assert answers(receipt) == ["recorded", "rejected"]
    assert receipt.results[1].code == "date_too_old"


def test_a_total_that_could_not_be_kept_is_refused_and_names_the_amount() -> None:
    brand = make_brand()
    campaigns = [make_campaign(brand) for _ in range(10)]

    receipt = record(*[event(campaign, "9" * 12, date=TODAY) for campaign in campaigns])

    assert answers(receipt) == ["recorded"] * 9 + ["rejected"]
    result = receipt.results[-1]
    assert (result.code, result.field) == ("total_too_large", "amount")
    assert totals(brand)[0] == Decimal(8999999999991)
    assert answers(record(event(campaigns[0], 1, date=TODAY))) == ["recorded"]


def test_a_brand_in_trouble_is_rejected_in_words_while_others_are_recorded() -> None:
    corrupt = make_campaign(make_brand(timezone="Not/AZone"))
    healthy = make_campaign()

    receipt = record(event(corrupt, 5, date=TODAY), event(healthy, 5, date=TODAY))

    assert answers(receipt) == ["rejected", "recorded"]
    assert (receipt.results[0].code, receipt.results[0].field) == ("brand_in_trouble", "campaign")
    assert "'Not/AZone' is not a time zone" in receipt.results[0].words
    assert list(Brand.objects.troubled()) == [corrupt.brand]


# --- Days ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "occurred_at", "day"),
    [
        ("Asia/Kolkata", "2026-11-23T18:29:59Z", "2026-11-23"),
        ("Asia/Kolkata", "2026-11-23T18:30:00Z", "2026-11-24"),
        ("America/New_York", "2026-11-24T04:59:59Z", "2026-11-23"),
        ("America/New_York", "2026-11-24T00:00:00-05:00", "2026-11-24"),
        ("Pacific/Chatham", "2026-11-24T10:15:00Z", "2026-11-25"),
        ("UTC", "2026-11-24T15:05:00Z", "2026-11-24"),
    ],
)
def test_the_local_day_follows_from_the_instant(zone: str, occurred_at: str, day: str) -> None:
    campaign = make_campaign(make_brand(timezone=zone))

    record(event(campaign, 5, occurred_at=at(occurred_at)))

    row = Spend.objects.get()
    assert row.date == date.fromisoformat(day)
    assert row.occurred_at == at(occurred_at)


def test_a_day_that_is_given_wins_over_the_instant() -> None:
    record(event(make_campaign(), 5, date=YESTERDAY, occurred_at=NOW))

    assert Spend.objects.get().date == YESTERDAY


def test_a_reporters_clock_a_little_ahead_of_ours_makes_no_spend_of_tomorrow() -> None:
    campaign = make_campaign()
    before_midnight = at("2026-11-24T23:58Z")

    receipt = record(event(campaign, 5, occurred_at=at("2026-11-25T00:02Z")), now=before_midnight)

    assert answers(receipt) == ["recorded"]
    assert totals(campaign) == (5, 5)


def test_the_future_is_the_brands_own() -> None:
    ahead = make_campaign(make_brand(timezone="Pacific/Auckland"))
    behind = make_campaign(make_brand(timezone="Pacific/Pago_Pago"))
    tomorrow = date(2026, 11, 25)

    receipt = record(event(ahead, 5, date=tomorrow), event(behind, 5, date=tomorrow))

    assert answers(receipt) == ["recorded", "rejected"]


# --- Zero window ---------------------------------------------------------------------------------


def test_whoever_is_told_recorded_can_already_read_the_pause() -> None:
    brand = make_brand(daily_budget=10)
    campaigns = [make_campaign(brand) for _ in range(3)]
    decided(brand)

    receipt = spend(campaigns[0], 10)

    assert receipt.paused == tuple(campaign.pk for campaign in campaigns)
    assert not Campaign.objects.active().exists()


def test_spend_totals_and_pauses_roll_back_together() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))

    with transaction.atomic():
        assert spend(campaign, 10).paused == (campaign.pk,)
        transaction.set_rollback(True)

    assert state(campaign) == ""
    assert totals(campaign) == totals(campaign.brand) == (0, 0)
    assert not Spend.objects.exists()


def test_a_failure_while_deciding_takes_the_spend_back_too() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    refuse_changes_of(campaign)

    with pytest.raises(DatabaseError, match="refused"):
        spend(campaign, 10)

    assert state(campaign) == ""
    assert totals(campaign) == (0, 0)
    assert not Spend.objects.exists()


def test_spend_of_several_brands_pauses_in_all_of_them() -> None:
    first, second, third = (
        decided(make_campaign(make_brand(daily_budget=10), allowed_end_hour=end))
        for end in (24, 24, 24)
    )

    receipt = record(*[event(row, 10, date=TODAY) for row in (third, first)])

    assert set(receipt.paused) == {first.pk, third.pk}
    assert [state(row) for row in (first, second, third)] == [
        "brand_daily_budget",
        "",
        "brand_daily_budget",
    ]


def test_spend_that_crosses_nothing_decides_nothing() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    Campaign.objects.filter(pk=campaign.pk).write(is_enabled=False)

    spend(campaign, 1)

    assert state(campaign) == ""


def test_a_brand_that_is_due_is_decided_with_the_spend() -> None:
    edited = decided(make_campaign())
    new = make_campaign()
    Campaign.objects.filter(pk=edited.pk).update(is_enabled=False)

    receipt = record(event(new, 1, date=TODAY), event(edited, 1, date=TODAY))

    assert (receipt.resumed, receipt.paused) == ((new.pk,), (edited.pk,))
    assert (state(new), state(edited)) == ("", Hold.OPERATOR)


def test_a_paused_campaign_can_still_spend_and_is_counted() -> None:
    campaign = decided(make_campaign(is_enabled=False))

    assert answers(spend(campaign, 5)) == ["recorded"]
    assert (state(campaign), totals(campaign)) == (Hold.OPERATOR, (5, 5))


# --- Looking before recording --------------------------------------------------------------------


def test_events_can_be_examined_without_writing_anything() -> None:
    campaign = make_campaign(make_brand(timezone="Asia/Kolkata"))
    corrupt = make_campaign(make_brand(timezone="Not/AZone"))

    moments = ingestion.moments_of([campaign.pk, corrupt.pk, 2**70], NOW)
    line = ingestion.examine(event(campaign, "5", occurred_at=NOW), moments[campaign.pk], NOW)

    assert set(moments) == {campaign.pk}
    assert isinstance(line, ingestion.Line)
    assert (line.date, line.brand_id) == (TODAY, campaign.brand_id)
    assert line.amount == 5
    assert not Spend.objects.exists()
    campaign.brand.refresh_from_db()
    assert campaign.brand.zone_in_force == ""


def test_the_answers_can_be_counted() -> None:
    campaign = make_campaign()
    one = event(campaign, 5, date=TODAY, external_id="a")

    receipt = record(one, one, event(campaign, "x", date=TODAY))

    assert receipt.results[1] == DUPLICATE
    assert {answer: receipt.count(answer) for answer in Answer} == {
        Answer.RECORDED: 1,
        Answer.DUPLICATE: 1,
        Answer.CONFLICT: 0,
        Answer.REJECTED: 1,
    }


def test_a_large_batch_of_rows_without_ids_is_recorded_whole() -> None:
    campaign = decided(make_campaign())

    receipt = ingestion.record([event(campaign, 1, date=TODAY)] * 600, source="test", now=NOW)

    assert receipt.count(Answer.RECORDED) == 600
    assert totals(campaign) == (600, 600)
