"""`POST /spend` and `/spend/to-date`: what a program sends, and what it is told."""

from __future__ import annotations

import socket
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from budgets.models import Brand, Campaign, Spend
from budgets.tests.api.programs import Program, event, everything
from budgets.tests.builders import (
    TODAY,
    at,
    decided,
    log,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
)
from budgets.tests.children import environment, manage, python

YESTERDAY = "2026-11-23"


def codes(answer: Any) -> list[tuple[str, str]]:
    """Return status and code of each event, in order."""
    assert answer.status == 200, answer.content
    return [(one["status"], one["code"]) for one in answer.json["results"]]


def only(answer: Any) -> dict[str, str]:
    """Return the answer to the one event that was sent."""
    [one] = answer.json["results"]
    found: dict[str, str] = one
    return found


def test_every_event_is_answered_in_its_order(program: Program, tents: Campaign) -> None:
    spend(tents, 5, external_id="before", date=TODAY)

    answer = program.spend(
        event(tents.pk, "1.50", id="new"),
        event(tents.pk, "5", id="before"),
        event(tents.pk, "6", id="before"),
        event(tents.pk, "1e2", id="odd"),
        event(999, "1", id="nowhere"),
        event(tents.pk, "1.5", id="new"),
    )

    assert [one["id"] for one in answer.json["results"]] == [
        "new",
        "before",
        "before",
        "odd",
        "nowhere",
        "new",
    ]
    assert codes(answer) == [
        ("recorded", ""),
        ("duplicate", "duplicate"),
        ("conflict", "conflict"),
        ("rejected", "invalid_amount"),
        ("rejected", "unknown_campaign"),
        ("duplicate", "duplicate"),
    ]
    fields = [one["field"] for one in answer.json["results"]]
    assert fields == ["", "id", "id", "amount", "campaign", "id"]
    words = [one["message"] for one in answer.json["results"]]
    assert words[0] == ""
    assert all(words[1:])
    assert answer.json["totals"] == {"recorded": 1, "duplicate": 2, "conflict": 1, "rejected": 2}
    assert totals(tents) == (Decimal("6.5"), Decimal("6.5"))


def test_it_says_whom_this_request_stopped(program: Program, aurora: Brand) -> None:
    stopped, off = make_campaign(aurora), make_campaign(aurora, is_enabled=False)
    decided(aurora)

    before = program.spend(event(stopped.pk, "99.99"))
    crossing = program.spend(event(stopped.pk, "0.01", id="last cent"))
    after = program.spend(event(stopped.pk, "50"))
    again = program.spend(event(stopped.pk, "0.01", id="last cent"))

    # One that was off before was not stopped by it; nor is any stopped a second time.
    assert [it.json["paused"] for it in (before, crossing, after, again)] == [
        [],
        [stopped.pk],
        [],
        [],
    ]
    assert state(stopped) == "brand_daily_budget"
    assert state(off) == "operator"
    assert log(stopped)[-1].actor == "test"


def test_a_credit_resumes(program: Program, tents: Campaign) -> None:
    assert program.spend(event(tents.pk, "100")).json["paused"] == [tents.pk]

    credit = program.spend(event(tents.pk, "-0.01"))

    assert (credit.json["paused"], credit.json["resumed"]) == ([], [tents.pk])
    assert state(tents) == ""


def test_a_campaign_is_named_by_our_id_or_by_brand_and_platform_id(
    program: Program, tents: Campaign
) -> None:
    namesake = make_campaign(make_brand(name="Borealis"), external_id="t-1")

    answer = program.spend(
        event(tents.pk, "1"),
        event({"brand": "Aurora", "external_id": "t-1"}, "2"),
        event({"brand": "Borealis", "external_id": "t-1"}, "4"),
        event({"brand": "Borealis", "external_id": "t-2"}, "8"),
        event({"brand": "borealis", "external_id": "t-1"}, "16"),
    )

    assert [status for status, _ in codes(answer)] == [*["recorded"] * 3, *["rejected"] * 2]
    assert totals(tents)[0] == 3
    assert totals(namesake)[0] == 4


@pytest.mark.parametrize(
    ("campaign", "field"),
    [
        ("t-1", "events.0.campaign"),
        (True, "events.0.campaign"),
        (1.0, "events.0.campaign"),
        (None, "events.0.campaign"),
        ({"brand": "Aurora"}, "events.0.campaign.external_id"),
        ({"brand": 1, "external_id": "t-1"}, "events.0.campaign.brand"),
        ({"brand": "Aurora", "external_id": "t-1", "id": 1}, "events.0.campaign.id"),
    ],
)
def test_a_campaign_that_is_no_name_is_refused_by_its_field(
    program: Program, tents: Campaign, unchanged: Any, campaign: object, field: str
) -> None:
    unchanged()
    assert set(program.spend(event(campaign)).wrong()) == {field}


def test_an_instant_counts_for_the_local_day_of_the_brand(program: Program) -> None:
    tokyo = decided(make_campaign(make_brand(timezone="Asia/Tokyo")))

    answer = program.spend(
        event(tokyo.pk, "1", date=None, occurred_at="2026-11-24T14:59:59Z"),
        event(tokyo.pk, "2", date=None, occurred_at="2026-11-24T15:00:00Z"),
        event(tokyo.pk, "4", date=None, occurred_at="2026-11-24T16:00:00+01:00"),
    )

    assert codes(answer) == [("recorded", "")] * 3
    days = Spend.objects.order_by("amount").values_list("date", flat=True)
    assert [str(day) for day in days] == ["2026-11-24", "2026-11-25", "2026-11-25"]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"date": None}, "date_missing", "date"),
        ({"date": "2026-11-25"}, "future_date", "date"),
        ({"date": "2025-10-19"}, "date_too_old", "date"),
        ({"date": "2026-02-30"}, "invalid_date", "date"),
        ({"date": "20261124"}, "invalid_date", "date"),
        ({"date": "2026-W48-2"}, "invalid_date", "date"),
        ({"date": "0001-01-01"}, "date_too_old", "date"),
        ({"date": "9999-12-31"}, "future_date", "date"),
        ({"date": "10000-01-01"}, "invalid_date", "date"),
        ({"date": "\uff12\uff10\uff12\uff16-11-24"}, "invalid_date", "date"),
        ({"occurred_at": "2026-11-24T14:00"}, "no_offset", "occurred_at"),
        ({"occurred_at": "2026-11-24T16:00Z"}, "future_date", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00Z"}, "date_too_old", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00+23:59"}, "date_too_old", "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-23:59"}, "future_date", "occurred_at"),
        ({"occurred_at": "10000-01-01T00:00Z"}, "invalid_instant", "occurred_at"),
        ({"occurred_at": "2026-11-24T14:00+25:00"}, "invalid_instant", "occurred_at"),
        ({"occurred_at": "2026-11-24T23:59:60Z"}, "invalid_instant", "occurred_at"),
        ({"occurred_at": "1790000000"}, "invalid_instant", "occurred_at"),
        ({"occurred_at": "\uff12026-11-24T14:00Z"}, "invalid_instant", "occurred_at"),
        ({"currency": "EUR"}, "wrong_currency", "currency"),
        ({"currency": "usd"}, "wrong_currency", "currency"),
        ({"currency": "\ud800"}, "wrong_currency", "currency"),
        ({"id": ""}, "invalid_external_id", "id"),
        ({"id": " 7"}, "invalid_external_id", "id"),
        ({"id": "a\x00b"}, "invalid_external_id", "id"),
        ({"id": "a\r\nb"}, "invalid_external_id", "id"),
        ({"id": "\u202eabc"}, "invalid_external_id", "id"),
        ({"id": "\ud800"}, "invalid_external_id", "id"),
        ({"id": "x" * 201}, "invalid_external_id", "id"),
        ({"campaign": 0}, "unknown_campaign", "campaign"),
        ({"campaign": -1}, "unknown_campaign", "campaign"),
        ({"campaign": 2**63}, "unknown_campaign", "campaign"),
        ({"campaign": 10**29}, "unknown_campaign", "campaign"),
        ({"campaign": {"brand": "a\x00b", "external_id": "t-1"}}, "unknown_campaign", "campaign"),
        ({"campaign": {"brand": "Aurora", "external_id": "\n"}}, "unknown_campaign", "campaign"),
    ],
)
def test_a_value_that_cannot_be_meant_rejects_its_event_alone(
    program: Program, tents: Campaign, fields: dict[str, object], code: str, field: str
) -> None:
    answer = program.spend({**event(tents.pk), **fields}, event(tents.pk, "3"))

    assert codes(answer) == [("rejected", code), ("recorded", "")]
    assert answer.json["results"][0]["field"] == field
    assert answer.json["results"][0]["message"]
    assert totals(tents)[0] == 3


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.1", "0.1"),
        ('"0.1"', "0.1"),
        ("12.000001", "12.000001"),
        ('"12.000001"', "12.000001"),
        ("99.99", "99.99"),
        ("7", "7"),
        ("-7.5", "-7.5"),
        ("999999999999.999999", "999999999999.999999"),
        # As a number these are how machines write 100 and 0.000001; as a text it is a typing error.
        ("1e2", "100"),
        ("1E-6", "0.000001"),
        ("-0", "0"),
        ('"-0"', "0"),
        ("1.0000000", "1"),
    ],
)
def test_an_amount_is_taken_digit_by_digit(
    program: Program, tents: Campaign, text: str, amount: str
) -> None:
    answer = program.post("/spend", raw_event(tents, text))

    assert codes(answer) == [("recorded", "")]
    assert Spend.objects.get().amount == Decimal(amount)


ODD_AMOUNTS = [
    '"NaN"',
    '"Infinity"',
    '"-Infinity"',
    '"1e30"',
    '"1E400"',
    '"1e-400"',
    '"1_000"',
    '"1,000"',
    '"\uff11\uff12"',
    '" 5 "',
    '""',
    '"+5"',
    '".5"',
    '"5."',
    '"0x10"',
    '"1/3"',
    '"true"',
    '"12.50 USD"',
    '"5\\u0000"',
    '"\\ud800"',
    '"1.0000001"',
    '"1000000000000"',
    "1.0000001",
    "1E400",
    "-1e400",
    "1e-400",
    "1e30",
    "1000000000000",
    "9" * 30,
    "9" * 31,
    "9" * 4001,
    "9" * 20000,
]


def raw_event(campaign: Campaign, amount: str) -> bytes:
    """Return a body with an amount in the very spelling that JSON has for it."""
    return (
        f'{{"source": "s", "events": [{{"id": "1", "campaign": {campaign.pk}, '
        f'"date": "{TODAY}", "amount": {amount}}}]}}'
    ).encode()


def raw_report(campaign: Campaign, amount: str) -> bytes:
    return (
        f'{{"source": "s", "rows": [{{"campaign": {campaign.pk}, '
        f'"date": "{TODAY}", "spend_to_date": {amount}}}]}}'
    ).encode()


@pytest.mark.parametrize("amount", ODD_AMOUNTS, ids=lambda text: text[:20])
def test_an_odd_amount_rejects_its_event_and_changes_nothing(
    program: Program, tents: Campaign, unchanged: Any, amount: str
) -> None:
    unchanged()

    spent = program.post("/spend", raw_event(tents, amount))
    so_far = program.post("/spend/to-date", raw_report(tents, amount))

    assert codes(spent) == codes(so_far) == [("rejected", "invalid_amount")]
    assert only(spent)["field"] == "amount"
    assert only(so_far)["field"] == "spend_to_date"


@pytest.mark.parametrize("amount", ["true", "null", "[]", "{}", "[1]"])
def test_what_is_neither_text_nor_number_is_no_amount(
    program: Program, tents: Campaign, unchanged: Any, amount: str
) -> None:
    unchanged()
    spent = program.post("/spend", raw_event(tents, amount))
    so_far = program.post("/spend/to-date", raw_report(tents, amount))

    assert set(spent.wrong()) == {"events.0.amount"}
    assert set(so_far.wrong()) == {"rows.0.spend_to_date"}


def test_five_thousand_events_are_taken_and_one_more_is_refused(
    program: Program, tents: Campaign
) -> None:
    events = [event(tents.pk, "0.01") for _ in range(5001)]

    many = program.spend(*events[:5000])
    before = everything()
    too_many = program.spend(*events)

    assert many.json["totals"]["recorded"] == 5000
    assert totals(tents)[0] == 50
    assert set(too_many.wrong()) == {"events"}
    assert everything() == before


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"amount": True}, "amount", "string_type"),
        ({"date": 20261124}, "date", "string_type"),
        ({"id": 7}, "id", "string_type"),
        ({"occurred_at": 1790000000}, "occurred_at", "string_type"),
        ({"currency": 840}, "currency", "string_type"),
        ({"day": "2026-11-24"}, "day", "unknown_field"),
        ({"is_counted": True}, "is_counted", "unknown_field"),
        ({"int": 1}, "int", "unknown_field"),
    ],
)
def test_a_mistake_of_shape_refuses_the_request_whole(
    program: Program,
    tents: Campaign,
    unchanged: Any,
    change: dict[str, object],
    field: str,
    code: str,
) -> None:
    unchanged()
    answer = program.spend(event(tents.pk), {**event(tents.pk), **change})

    assert answer.wrong() == {f"events.1.{field}": code}


@pytest.mark.parametrize("name", ["id", "campaign", "amount"])
def test_a_missing_field_is_named(
    program: Program, tents: Campaign, unchanged: Any, name: str
) -> None:
    unchanged()
    short = {key: value for key, value in event(tents.pk).items() if key != name}

    assert program.spend(short).wrong() == {f"events.0.{name}": "missing"}


@pytest.mark.parametrize("path", ["/spend", "/spend/to-date"])
@pytest.mark.parametrize("source", ["", " a", "a\x00b", "\ud800", "a\nb", "x" * 101, "\u202ea", 7])
def test_a_source_must_be_a_name(
    program: Program, tents: Campaign, unchanged: Any, path: str, source: object
) -> None:
    unchanged()
    row = {"campaign": tents.pk, "date": str(TODAY), "spend_to_date": "1"}
    sent = {"events": [event(tents.pk)]} if path == "/spend" else {"rows": [row]}

    assert set(program.post(path, {"source": source, **sent}).wrong()) == {"source"}


def test_a_report_records_the_difference_and_a_second_one_changes_nothing(
    program: Program, tents: Campaign
) -> None:
    def report(*amounts: str) -> Any:
        rows = [{"campaign": tents.pk, "date": str(TODAY), "spend_to_date": it} for it in amounts]
        return program.post("/spend/to-date", {"source": "ads", "rows": rows})

    first, again, crossing, credit = report("60"), report("60"), report("100"), report("99.5")

    assert codes(first) == [("recorded", "")]
    assert codes(again) == [("duplicate", "duplicate")]
    assert crossing.json["paused"] == [tents.pk]
    assert credit.json["resumed"] == [tents.pk]
    assert only(first)["id"] is None
    assert totals(tents)[0] == Decimal("99.5")
    assert [row.amount for row in Spend.objects.order_by("pk")] == [60, 40, Decimal("-0.5")]


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"campaign": 999}, "unknown_campaign", "campaign"),
        ({"campaign": {"brand": "Aurora", "external_id": "?"}}, "unknown_campaign", "campaign"),
        ({"date": "2026-11-25"}, "future_date", "date"),
        ({"date": "nope"}, "invalid_date", "date"),
        ({"currency": "EUR"}, "wrong_currency", "currency"),
    ],
)
def test_a_row_of_a_report_is_rejected_alone(
    program: Program, tents: Campaign, row: dict[str, object], code: str, field: str
) -> None:
    sound = {"campaign": tents.pk, "date": str(TODAY), "spend_to_date": "2"}

    answer = program.post("/spend/to-date", {"source": "ads", "rows": [{**sound, **row}, sound]})

    assert codes(answer) == [("rejected", code), ("recorded", "")]
    assert answer.json["results"][0]["field"] == field


def test_late_spend_counts_for_its_own_day(program: Program, tents: Campaign) -> None:
    program.spend(event(tents.pk, "30", date=YESTERDAY))
    assert totals(tents) == (0, 30)


def test_the_clock_is_the_doors(program: Program, tents: Campaign) -> None:
    def tomorrows() -> Any:
        return program.spend(event(tents.pk, "1", date="2026-11-25"))

    assert codes(tomorrows()) == [("rejected", "future_date")]
    with time_machine.travel(at("2026-11-25T00:00Z"), tick=False):
        assert codes(tomorrows()) == [("recorded", "")]


BROKERLESS = """
import django
django.setup()
from datetime import date
from django.test import Client
from django.conf import settings
from django.utils import timezone
from budgets.models import Brand, Campaign
from budgets.services import keys, passes
now = timezone.now()
brand = Brand.objects.create(name="B", daily_budget=1)
campaign = Campaign.objects.create(brand=brand, name="C")
passes.check_and_pause(now)
key, secret = keys.create("program", ["spend:write"], now=now)
answer = Client().post("/api/v1/spend", {"source": "s", "events": [
    {"id": "1", "campaign": campaign.pk, "amount": "1", "occurred_at": now.isoformat()}
]}, content_type="application/json", headers={"Authorization": f"Bearer {secret}", "Host": "localhost"})
print(answer.json())
"""


def test_without_a_broker_spend_is_recorded_and_pauses(tmp_path: Any) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as broker:
        port = broker.getsockname()[1]
        env = environment(tmp_path, REDIS_URL=f"redis://127.0.0.1:{port}/0")
        migrated = manage("migrate", env=env)
        assert migrated.returncode == 0, migrated.stderr
        ended = python(BROKERLESS, env=env)

        # It would have answered nobody. It was not even called.
        broker.settimeout(0)
        with pytest.raises(BlockingIOError):
            broker.accept()

    assert ended.returncode == 0, ended.stderr
    assert "'recorded': 1" in ended.stdout
    assert "'paused': [1]" in ended.stdout
