"""Cursors: every row once, whatever happens between two pages."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from budgets.models import Campaign
from budgets.tests.api.programs import Program
from budgets.tests.builders import make_brand, make_campaign


def pages_of(program: Program, path: str, limit: int) -> list[list[int]]:
    """Follow the cursors to the end."""
    found, cursor = [], ""
    while True:
        page = program.get(f"{path}?limit={limit}{cursor}").json
        found.append([row["id"] for row in page["data"]])
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def test_pages_hold_every_row_once(program: Program) -> None:
    brands = [make_brand() for _ in range(5)]
    campaigns = [make_campaign(brand) for brand in brands]

    ids = [it.pk for it in brands]
    assert pages_of(program, "/brands", 2) == [ids[:2], ids[2:4], ids[4:]]
    assert pages_of(program, "/brands", 5) == [ids]
    assert pages_of(program, "/campaigns", 1) == [[it.pk] for it in campaigns]


def test_an_empty_list_is_one_page(program: Program) -> None:
    assert program.get("/brands").json == {"data": [], "next_cursor": None}


def test_rows_that_come_between_two_pages_are_not_missed(program: Program) -> None:
    brand = make_brand()
    first, second = make_campaign(brand), make_campaign(brand)

    page = program.get("/campaigns?limit=1").json
    third = make_campaign(brand)
    rest = program.get(f"/campaigns?cursor={page['next_cursor']}").json

    assert [row["id"] for row in page["data"]] == [first.pk]
    assert [row["id"] for row in rest["data"]] == [second.pk, third.pk]


def test_fifty_are_a_page_and_five_hundred_at_most(program: Program) -> None:
    brand = make_brand()
    Campaign.objects.bulk_create(Campaign(brand=brand, name=f"C{it}") for it in range(501))

    assert len(program.get("/campaigns").json["data"]) == 50
    assert len(program.get("/campaigns?limit=500").json["data"]) == 500


def forged(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize("path", ["/brands", "/campaigns"])
@pytest.mark.parametrize(
    "cursor",
    ["", "x", "%00", "%FF", "%E2%80%AE", "a" * 5000, "="]
    + [
        forged(text)
        for text in (
            b"1",
            b"id:",
            b"id:-1",
            b"id:+1",
            b"id: 1",
            b"id:1_0",
            b"id:1.0",
            b"id:1\x00",
            b"id:1 OR 1=1",
            b"id:9223372036854775808",
            b"id:" + b"9" * 5000,
            "id:\uff11".encode(),
            b"name:1",
            b"\xff\xfe",
        )
    ],
    ids=lambda cursor: cursor[:20],
)  # fmt: skip
def test_a_forged_cursor_is_refused(
    program: Program, unchanged: Any, path: str, cursor: str
) -> None:
    unchanged()
    assert program.get(f"{path}?cursor={cursor}").wrong() == {"cursor": "invalid_cursor"}
