"""A key for one brand: of the others it learns nothing, not even that they exist."""

from __future__ import annotations

import json
from typing import Any

import pytest

from budgets.models import Brand, Campaign
from budgets.tests.api.programs import (
    IDS,
    Operation,
    Program,
    event,
    make_program,
    operations,
    tell,
)
from budgets.tests.builders import NOW, decided, make_brand, make_campaign, spend

NOWHERE = 987_654
ABOUT_ONE = [operation for operation in operations() if "{" in operation.path]


@pytest.fixture
def foreign(db: None) -> Campaign:
    """A campaign of somebody else, who has an endpoint too."""
    brand = make_brand(name="Borealis", daily_budget=100)
    return tell(decided(make_campaign(brand, name="Boots", external_id="b-1")))


@pytest.fixture
def restricted(tents: Campaign, aurora: Brand) -> Program:
    """A program that may do everything with Aurora."""
    return make_program(brands=[aurora])


def said(content: bytes, *ids: int) -> bytes:
    """Return what was said, whatever id it was about."""
    for pk in ids:
        content = content.replace(str(pk).encode(), b"N")
    return content


def test_one_of_each_kind_is_asked_for() -> None:
    parts = {part for operation in ABOUT_ONE for part in operation.path.split("/")}
    assert {part for part in parts if "{" in part} == {f"{{{name}}}" for name in IDS}


def headers(answer: Any) -> dict[str, str]:
    """Return all that is the answer's own, and not the name of the request."""
    return {name: value for name, value in answer.headers.items() if name != "X-Request-ID"}


@pytest.mark.parametrize("operation", ABOUT_ONE, ids=str)
def test_a_foreign_object_is_answered_like_none(
    restricted: Program, tents: Campaign, foreign: Campaign, unchanged: Any, operation: Operation
) -> None:
    unchanged()

    theirs = restricted.ask(*operation.of(foreign))
    nobodys = restricted.ask(*operation.of_nothing(NOWHERE))

    theirs.problem(404, "not_found")
    assert theirs.content == nobodys.content
    assert headers(theirs) == headers(nobodys)


@pytest.mark.parametrize("operation", ABOUT_ONE, ids=str)
def test_an_own_object_is_found(restricted: Program, tents: Campaign, operation: Operation) -> None:
    assert restricted.ask(*operation.of(tents)).status == operation.done


def results(answer: Any) -> list[dict[str, str]]:
    found: list[dict[str, str]] = answer.json["results"] if answer.status == 200 else []
    assert found, answer.content
    return [{**one, "id": ""} for one in found]


@pytest.mark.parametrize("amount", ["5", "nonsense"])
def test_foreign_campaigns_in_a_batch_are_unknown(
    restricted: Program, tents: Campaign, foreign: Campaign, unchanged: Any, amount: str
) -> None:
    unchanged()
    theirs, nobodys = (
        {"brand": "Borealis", "external_id": "b-1"},
        {"brand": "X", "external_id": "Y"},
    )
    day = {"date": NOW.date().isoformat(), "spend_to_date": amount}

    for refs in ([foreign.pk, NOWHERE], [theirs, nobodys]):
        events = [event(ref, amount) for ref in refs]
        rows = [{"campaign": ref, **day} for ref in refs]
        stream = b"\n".join(json.dumps(it).encode() for it in events)
        answers = [
            results(restricted.spend(*events)),
            results(restricted.post("/spend/to-date", {"source": "s", "rows": rows})),
            [{**it, "id": ""} for it in restricted.stream(stream).lines[:-1]],
        ]
        for first, second in answers:
            assert first["code"] == second["code"] == "unknown_campaign"
            assert first["status"] == second["status"] == "rejected"
            words = first["message"].replace("Borealis", "X").replace("b-1", "Y")
            assert words.replace(str(foreign.pk), str(NOWHERE)) == second["message"]


def test_a_key_for_all_is_told_the_same_words(
    program: Program, restricted: Program, foreign: Campaign
) -> None:
    assert results(program.spend(event(NOWHERE))) == results(restricted.spend(event(NOWHERE)))


def test_a_foreign_event_in_a_batch_leaves_the_others_alone(
    restricted: Program, tents: Campaign, foreign: Campaign
) -> None:
    answer = restricted.spend(event(foreign.pk), event(tents.pk), event(foreign.pk))

    assert answer.json["totals"] == {"recorded": 1, "duplicate": 0, "conflict": 0, "rejected": 2}
    foreign.refresh_from_db()
    assert foreign.total_daily_spend == 0


def test_a_conflict_does_not_tell_what_others_spent(
    program: Program, restricted: Program, tents: Campaign, foreign: Campaign
) -> None:
    spend(foreign, "43.21", external_id="theirs", source="s", date=NOW.date())
    spend(tents, "12.34", external_id="mine", source="s", date=NOW.date())

    sent = [event(tents.pk, "1", id="theirs"), event(tents.pk, "1", id="mine")]
    theirs, mine = results(restricted.spend(*sent, source="s"))

    assert theirs["code"] == mine["code"] == "conflict"
    assert "43.21" not in theirs["message"]
    assert {**theirs, "message": theirs["message"].replace("theirs", "mine")} == mine
    # Who sees all brands is told what it was.
    assert "43.21" in results(program.spend(*sent, source="s"))[0]["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/brands?",
        "/brands?limit=1",
        "/brands?name=Borealis",
        "/campaigns?",
        "/campaigns?limit=1",
        "/campaigns?name=Boots",
        "/campaigns?external_id=b-1",
        "/campaigns?is_active=true",
        "/campaigns?brand={}",
    ],
)
def test_lists_show_ones_own(
    restricted: Program, tents: Campaign, foreign: Campaign, path: str
) -> None:
    page = restricted.get(path.format(foreign.brand_id)).json

    names = {row["name"] for row in page["data"]}
    assert names <= {"Aurora", "Tents"}
    assert page["next_cursor"] is None
    assert b"Borealis" not in restricted.get("/brands").content


def test_a_foreign_brand_is_filtered_like_none(restricted: Program, foreign: Campaign) -> None:
    theirs = restricted.get(f"/campaigns?brand={foreign.brand_id}")
    assert theirs.content == restricted.get(f"/campaigns?brand={NOWHERE}").content
    assert theirs.json == {"data": [], "next_cursor": None}


def test_a_key_whose_last_brand_is_gone_sees_nothing(foreign: Campaign) -> None:
    gone = make_brand(name="Gone")
    program = make_program(brands=[gone])
    gone.delete()

    assert program.get("/brands").json["data"] == []
    assert program.get("/campaigns").json["data"] == []
    assert results(program.spend(event(foreign.pk)))[0]["code"] == "unknown_campaign"
