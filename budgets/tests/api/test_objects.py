"""Brands and campaigns: read, listed, edited, paused and resumed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from budgets.core.dayparting import WEEKDAYS
from budgets.models import Brand, Campaign
from budgets.services import passes
from budgets.tests.api.programs import Program, everything
from budgets.tests.builders import NOW, decided, log, make_brand, make_campaign, spend, state

ODD_TEXTS = [
    " a",
    "a ",
    "a\x00b",
    "\ud800",
    "a\r\nb",
    "a\tb",
    "x" * 201,
    "\u202eabc",
    "\x1b[31m",
    "\ufeff",
]


def test_a_brand_as_it_stands(program: Program, tents: Campaign, aurora: Brand) -> None:
    spend(tents, "12.5", date=NOW.date())

    assert program.get(f"/brands/{aurora.pk}").json == {
        "id": aurora.pk,
        "name": "Aurora",
        "is_active": True,
        "daily_budget": "100.00",
        "monthly_budget": None,
        "currency": "USD",
        "timezone": "UTC",
        "pending_timezone": None,
        "stale_after_hours": None,
        "stale_policy": "alert",
        "last_report_at": None,
        "spend": {"date": "2026-11-24", "today": "12.50", "this_month": "12.50"},
        "trouble": "",
    }


def test_a_campaign_as_it_stands(program: Program, tents: Campaign) -> None:
    spend(tents, "100.000001", date=NOW.date())

    assert program.get(f"/campaigns/{tents.pk}").json == {
        "id": tents.pk,
        "brand": tents.brand_id,
        "name": "Tents",
        "external_id": "t-1",
        "is_enabled": True,
        "is_active": False,
        "hold": "brand_daily_budget",
        "daily_budget": None,
        "monthly_budget": None,
        "allowed_start_hour": 0,
        "allowed_end_hour": 24,
        "weekly_hours": None,
        "starts_on": None,
        "ends_on": None,
        "currency": "USD",
        "timezone": "UTC",
        "spend": {"date": "2026-11-24", "today": "100.000001", "this_month": "100.000001"},
    }


def test_totals_of_yesterday_are_none_of_today(program: Program, aurora: Brand) -> None:
    campaign = decided(make_campaign(aurora))
    spend(campaign, 30, date=NOW.date())
    Brand.objects.filter(pk=aurora.pk).write(spend_day="2026-11-23")

    shown = program.get(f"/brands/{aurora.pk}").json["spend"]

    assert shown == {"date": "2026-11-24", "today": "0.00", "this_month": "30.00"}


def listed(program: Program, query: str, path: str = "/campaigns") -> list[int]:
    return [row["id"] for row in program.get(f"{path}?{query}").json["data"]]


def test_lists_are_narrowed_by_every_filter(program: Program, tents: Campaign) -> None:
    other = make_brand(name="Borealis", timezone="Asia/Tokyo", currency="JPY", is_active=False)
    off = decided(make_campaign(other, name="Boots", external_id="b-1", is_enabled=False))
    both = [tents.pk, off.pk]

    assert listed(program, "") == both
    assert listed(program, f"brand={other.pk}") == [off.pk]
    assert listed(program, "name=Tents") == [tents.pk]
    assert listed(program, "name=tents") == []
    assert listed(program, "external_id=b-1") == [off.pk]
    assert listed(program, "is_active=true") == [tents.pk]
    assert listed(program, "is_enabled=false") == [off.pk]
    assert listed(program, "hold=operator") == [off.pk]
    assert listed(program, "hold=") == [tents.pk]
    assert listed(program, f"hold=operator&brand={tents.brand_id}") == []
    assert listed(program, "name=Borealis", "/brands") == [other.pk]
    assert listed(program, "is_active=true", "/brands") == [tents.brand_id]
    assert listed(program, "timezone=Asia/Tokyo", "/brands") == [other.pk]
    assert listed(program, "currency=JPY", "/brands") == [other.pk]


@pytest.mark.parametrize("path", ["/brands", "/campaigns"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("nam=Tents", "nam"),
        ("brand__name=Aurora", "brand__name"),
        ("order_by=pk", "order_by"),
        ("%00=1", "\x00"),
        ("name=a&name=b", "name"),
        ("name=a%00", "name"),
        ("name=a%0D%0Ab", "name"),
        ("name=%E2%80%AEa", "name"),
        ("name=%20a", "name"),
        ("name=" + "x" * 201, "name"),
        ("is_active=2", "is_active"),
        ("is_active=", "is_active"),
        ("is_active=%00", "is_active"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=1.0", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%201", "limit"),
        ("limit=%EF%BC%91", "limit"),
        ("limit=" + "9" * 400, "limit"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused_by_name(
    program: Program, tents: Campaign, unchanged: Any, path: str, query: str, field: str
) -> None:
    unchanged()
    assert set(program.get(f"{path}?{query}").wrong()) == {field}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/brands?timezone=a%00", "timezone"),
        ("/brands?currency=%0A", "currency"),
        ("/brands?brand=1", "brand"),
        ("/campaigns?external_id=a%00", "external_id"),
        ("/campaigns?is_enabled=maybe", "is_enabled"),
        ("/campaigns?hold=nonsense", "hold"),
        ("/campaigns?hold=a%00", "hold"),
        ("/campaigns?brand=0", "brand"),
        ("/campaigns?brand=x", "brand"),
        ("/campaigns?brand=1_0", "brand"),
        ("/campaigns?brand=%EF%BC%91", "brand"),
        ("/campaigns?brand=9223372036854775808", "brand"),
    ],
)
def test_so_is_one_that_only_this_list_has(
    program: Program, tents: Campaign, unchanged: Any, path: str, field: str
) -> None:
    unchanged()
    assert set(program.get(path).wrong()) == {field}


def test_bytes_that_are_no_text_find_nothing(program: Program, tents: Campaign) -> None:
    assert listed(program, "name=%FF") == []


PATHS = [
    "GET /brands/{}",
    "PATCH /brands/{}",
    "GET /campaigns/{}",
    "PATCH /campaigns/{}",
    "POST /campaigns/{}/pause",
    "POST /campaigns/{}/resume",
]


@pytest.mark.parametrize("operation", PATHS)
def test_there_is_nothing_under_an_unknown_id(
    program: Program, tents: Campaign, unchanged: Any, operation: str
) -> None:
    unchanged()
    method, path = operation.split()
    body: object = {} if method == "PATCH" else None
    for pk in ("0", "-1", "999999", "9223372036854775807", "9223372036854775808", "9" * 19):
        program.ask(method, path.format(pk), body).problem(404, "not_found")


@pytest.mark.parametrize("operation", PATHS)
def test_another_spelling_of_a_number_is_no_id(
    program: Program, tents: Campaign, unchanged: Any, operation: str
) -> None:
    unchanged()
    method, path = operation.split()
    body: object = {} if method == "PATCH" else None
    odd = ["x", "1_0", "%201", "+1", "1.0", "1e0", "%EF%BC%91", "true", "%00", "%FF", "%0A1"]
    for pk in (*odd, "9" * 5000):
        [field] = program.ask(method, path.format(pk), body).wrong()
        assert field in {"brand_id", "campaign_id"}, pk


def test_an_edit_of_a_brand_decides_at_once(program: Program, tents: Campaign) -> None:
    spend(tents, 60, date=NOW.date())

    lowered = program.patch(f"/brands/{tents.brand_id}", {"daily_budget": "60"})
    assert (lowered.status, lowered.json["daily_budget"]) == (200, "60.00")
    assert state(tents) == "brand_daily_budget"

    lifted = program.patch(f"/brands/{tents.brand_id}", {"daily_budget": None})
    assert lifted.json["daily_budget"] is None
    assert state(tents) == ""
    assert program.key is not None
    assert [change.actor for change in log(tents)[-2:]] == [program.key.name] * 2


@pytest.mark.parametrize(
    ("edit", "hold"),
    [
        ({"daily_budget": "0"}, "campaign_daily_budget"),
        ({"monthly_budget": 0}, "campaign_monthly_budget"),
        ({"is_enabled": False}, "operator"),
        ({"allowed_start_hour": 1, "allowed_end_hour": 2}, "outside_hours"),
        ({"weekly_hours": "Mon,Wed-Sun 0-24"}, "outside_hours"),
        ({"starts_on": "2026-11-25"}, "not_started"),
        ({"ends_on": "2026-11-23"}, "ended"),
        ({"starts_on": "9999-12-31"}, "not_started"),
        ({"ends_on": "0001-01-01"}, "ended"),
        ({"starts_on": "0001-01-01", "ends_on": "9999-12-31"}, ""),
        ({"name": "Boots", "external_id": None}, ""),
        ({}, ""),
    ],
)
def test_an_edit_of_a_campaign_answers_with_its_new_state(
    program: Program, tents: Campaign, edit: dict[str, Any], hold: str
) -> None:
    answer = program.patch(f"/campaigns/{tents.pk}", edit)

    assert answer.status == 200, answer.content
    assert (answer.json["hold"], answer.json["is_active"]) == (hold, not hold)
    assert answer.json == program.get(f"/campaigns/{tents.pk}").json
    passes.check_and_pause(NOW)  # which can read what was stored
    assert state(tents) == hold


def test_a_brand_can_be_held_for_want_of_reports(program: Program, tents: Campaign) -> None:
    edit = {"stale_after_hours": 6, "stale_policy": "hold"}

    answer = program.patch(f"/brands/{tents.brand_id}", edit).json

    assert {name: answer[name] for name in edit} == edit
    assert answer["last_report_at"] == "2026-11-24T15:00:00Z"
    passes.check_and_pause(NOW + timedelta(hours=6))
    assert state(tents) == "stale_spend"
    program.patch(f"/brands/{tents.brand_id}", {"stale_after_hours": None})
    assert state(tents) == ""


def test_what_is_left_out_stays(program: Program, tents: Campaign) -> None:
    before = program.get(f"/campaigns/{tents.pk}").json

    after = program.patch(f"/campaigns/{tents.pk}", {"name": "Boots"}).json

    assert after == {**before, "name": "Boots"}


def test_a_new_zone_waits_for_midnight(program: Program, aurora: Brand) -> None:
    decided(aurora)
    answer = program.patch(f"/brands/{aurora.pk}", {"timezone": "Asia/Tokyo"}).json
    assert (answer["timezone"], answer["pending_timezone"]) == ("UTC", "Asia/Tokyo")


BRAND_FIELDS = [
    "name",
    "is_active",
    "daily_budget",
    "monthly_budget",
    "timezone",
    "stale_after_hours",
    "stale_policy",
]
CAMPAIGN_FIELDS = [
    "name",
    "external_id",
    "is_enabled",
    "daily_budget",
    "monthly_budget",
    "allowed_start_hour",
    "allowed_end_hour",
    "weekly_hours",
    "starts_on",
    "ends_on",
]
BOTH = [f"brand {it}" for it in BRAND_FIELDS] + [f"campaign {it}" for it in CAMPAIGN_FIELDS]


RAGGED = "; ".join(
    f"{day} {', '.join(f'{hour}-{hour + 1}' for hour in range(first, 24, 3))}"
    for first, day in enumerate(WEEKDAYS)
)
ODD_BUDGETS = [
    '"NaN"',
    '"1e2"',
    '"1_000"',
    '"\uff11\uff12"',
    '"1.0000001"',
    '""',
    '"-1"',
    "-1",
    "-0.000001",
    "1.0000001",
    "1E400",
    "1e99999",
    "1000000000000",
    "true",
]
ODD_DAYS = [
    "",
    "20000",
    "2026-01-01T00:00:00",
    "10000-01-01",
    "0000-01-01",
    "2026-02-30",
    "20260101",
    "2026-W01-1",
    "\uff12\uff10\uff12\uff16-01-01",
    0,
    20000,
    True,
]


def edit(program: Program, tents: Campaign, what: str, value: str) -> tuple[Any, str]:
    """Send one field, its value spelled in JSON; return the answer, and the field's name."""
    kind, field = what.split()
    pk = tents.brand_id if kind == "brand" else tents.pk
    return program.patch(f"/{kind}s/{pk}", f'{{"{field}": {value}}}'.encode()), field


@pytest.mark.parametrize("what", BOTH)
def test_no_field_takes_an_odd_text(
    program: Program, tents: Campaign, unchanged: Any, what: str
) -> None:
    unchanged()
    for text in ODD_TEXTS:
        answer, field = edit(program, tents, what, json.dumps(text))
        assert set(answer.wrong()) == {field}, text


@pytest.mark.parametrize("what", BOTH)
def test_no_field_takes_another_kind_of_value(
    program: Program, tents: Campaign, unchanged: Any, what: str
) -> None:
    unchanged()
    for text in ["[]", "{}", '["a"]', '{"a": 1}', "-1.5", "-1", "9" * 30, "9" * 31, "9" * 4001]:
        answer, field = edit(program, tents, what, text)
        assert set(answer.wrong()) == {field}, text


@pytest.mark.parametrize("what", [it for it in BOTH if "budget" in it])
def test_a_budget_must_be_an_amount(
    program: Program, tents: Campaign, unchanged: Any, what: str
) -> None:
    unchanged()
    for text in ODD_BUDGETS:
        answer, field = edit(program, tents, what, text)
        [code] = answer.wrong().values()
        assert code == ("negative" if "-" in text else "invalid_amount"), text
        assert set(answer.wrong()) == {field}


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("Mon-Fri 9-18; Sat 22-6", "Mon-Fri 9-18; Sat 22-6"),
        ("tue 9-18;mon 9-18", "Mon-Tue 9-18"),
        # Too long for a name.
        (RAGGED, RAGGED),
        (None, None),
    ],
)
def test_weekly_hours_are_answered_one_way_however_they_were_sent(
    program: Program, tents: Campaign, sent: str | None, answered: str | None
) -> None:
    assert len(RAGGED) > 200
    path = f"/campaigns/{tents.pk}"
    program.patch(path, {"weekly_hours": "Sun 1-2"})

    assert program.patch(path, {"weekly_hours": sent}).json["weekly_hours"] == answered
    assert program.get(path).json["weekly_hours"] == answered
    assert program.get(f"{path}/explain").json["weekly_hours"] == answered


@pytest.mark.parametrize("sent", ["", ";", "9-18", "Mon 9-25", "Mon-Fri", {"mon": [[9, 18]]}, 918])
def test_weekly_hours_that_cannot_be_meant_are_refused_in_words(
    program: Program, tents: Campaign, unchanged: Any, sent: object
) -> None:
    unchanged()
    answer = program.patch(f"/campaigns/{tents.pk}", {"weekly_hours": sent})
    assert answer.wrong() == {"weekly_hours": "invalid_hours"}


@pytest.mark.parametrize("field", ["starts_on", "ends_on"])
def test_a_day_of_a_flight_must_be_a_date(
    program: Program, tents: Campaign, unchanged: Any, field: str
) -> None:
    unchanged()
    for day in ODD_DAYS:
        answer = program.patch(f"/campaigns/{tents.pk}", {field: day})
        assert answer.wrong() == {field: "invalid_date"}, day


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("brand name", None),
        ("brand is_active", None),
        ("brand timezone", None),
        ("campaign name", None),
        ("campaign is_enabled", None),
        ("campaign allowed_start_hour", None),
        ("campaign allowed_end_hour", None),
        ("brand name", ""),
        ("brand timezone", ""),
        ("brand timezone", "Mars/Olympus"),
        ("brand timezone", "../../etc/passwd"),
        ("brand timezone", "/etc/localtime"),
        ("brand is_active", "true"),
        ("brand is_active", 1),
        ("brand stale_after_hours", 0),
        ("brand stale_after_hours", 721),
        ("brand stale_after_hours", True),
        ("brand stale_policy", "panic"),
        ("brand stale_policy", None),
        ("campaign name", ""),
        ("campaign is_enabled", 0),
        ("campaign allowed_start_hour", 24),
        ("campaign allowed_start_hour", True),
        ("campaign allowed_end_hour", 25),
        ("campaign allowed_end_hour", "24"),
    ],
)
def test_a_field_says_what_it_cannot_be(
    program: Program, tents: Campaign, unchanged: Any, what: str, value: object
) -> None:
    unchanged()
    answer, field = edit(program, tents, what, json.dumps(value))
    assert set(answer.wrong()) == {field}


@pytest.mark.parametrize(
    "what",
    [
        "brand currency",
        "brand total_daily_spend",
        "brand spend_day",
        "brand due_at",
        "brand last_report_at",
        "brand zone_in_force",
        "brand id",
        "campaign is_active",
        "campaign hold",
        "campaign brand",
        "campaign brand_id",
        "campaign total_daily_spend",
        "campaign spend_day",
        "campaign id",
    ],
)
def test_what_nobody_may_write_is_an_unknown_field(
    program: Program, tents: Campaign, unchanged: Any, what: str
) -> None:
    unchanged()
    answer, field = edit(program, tents, what, "null")
    assert answer.wrong() == {field: "unknown_field"}


def test_a_name_that_is_taken_is_refused(program: Program, tents: Campaign, unchanged: Any) -> None:
    make_brand(name="Borealis")
    make_campaign(tents.brand, name="Boots", external_id="b-1")
    decided(tents)
    unchanged()

    taken = [
        program.patch(f"/brands/{tents.brand_id}", {"name": "Borealis"}),
        program.patch(f"/campaigns/{tents.pk}", {"name": "Boots"}),
        program.patch(f"/campaigns/{tents.pk}", {"external_id": "b-1"}),
    ]

    for answer in taken:
        assert "already" in answer.problem(422, "invalid")["detail"]


def test_a_flight_must_end_after_it_begins(
    program: Program, tents: Campaign, unchanged: Any
) -> None:
    unchanged()
    flight = {"starts_on": "2026-12-02", "ends_on": "2026-12-01"}
    assert (
        "last day"
        in program.patch(f"/campaigns/{tents.pk}", flight).problem(422, "invalid")["detail"]
    )


def test_an_empty_platform_id_is_none(program: Program, tents: Campaign) -> None:
    assert program.patch(f"/campaigns/{tents.pk}", {"external_id": ""}).json["external_id"] is None


def test_the_switch_answers_with_the_new_state(program: Program, tents: Campaign) -> None:
    paused = program.post(f"/campaigns/{tents.pk}/pause").json
    again = program.post(f"/campaigns/{tents.pk}/pause").json
    assert paused == again
    assert (paused["is_enabled"], paused["is_active"], paused["hold"]) == (False, False, "operator")

    resumed = program.post(f"/campaigns/{tents.pk}/resume").json
    assert (resumed["is_enabled"], resumed["is_active"], resumed["hold"]) == (True, True, "")
    assert [change.hold for change in log(tents)][-2:] == ["operator", ""]


def test_resuming_lifts_no_other_hold(program: Program, tents: Campaign) -> None:
    program.post(f"/campaigns/{tents.pk}/pause")
    spend(tents, 100, date=NOW.date())

    resumed = program.post(f"/campaigns/{tents.pk}/resume").json

    assert (resumed["is_enabled"], resumed["hold"]) == (True, "brand_daily_budget")


def test_reading_changes_nothing(program: Program, tents: Campaign) -> None:
    before = everything()
    for path in ("/brands", f"/brands/{tents.brand_id}", "/campaigns", f"/campaigns/{tents.pk}"):
        assert program.get(path).status == 200
    assert everything() == before
