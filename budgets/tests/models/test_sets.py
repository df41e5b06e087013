"""Sets as one parameter: what arrives is what was sent, whatever it looks like."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from budgets.models import Brand, Campaign, sets
from budgets.tests.builders import make_brand, make_campaign

NUMBERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)


def arrived(kind: str, values: list[Any]) -> list[Any]:
    """Send a column to the database and return what it holds."""
    item, params = sets.table("sent", place=("bigint", range(len(values))), it=(kind, values))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT it FROM {item} ORDER BY place", params)  # noqa: S608  # made by us
        return [row[0] for row in cursor.fetchall()]


class TestWhatIsSentArrives(TestCase):
    @given(st.lists(st.one_of(NUMBERS, st.none()), max_size=20))
    def test_numbers(self, values: list[int | None]) -> None:
        assert arrived("bigint", values) == values

    @given(st.lists(st.one_of(TEXTS, st.none()), max_size=20))
    def test_texts(self, values: list[str | None]) -> None:
        assert arrived("text", values) == values


HOSTILE = [
    '"',
    "\\",
    '\\"',
    "{}",
    "{a,b}",
    "NULL",
    "null",
    "",
    ",",
    "'; DROP TABLE x; --",
    "%s",
    "é☃",
]


@pytest.mark.django_db
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_a_text_alone_and_among_others(text: str) -> None:
    assert arrived("text", [text]) == [text]
    assert arrived("text", ["a", text, None, "b"]) == ["a", text, None, "b"]


@pytest.mark.django_db
def test_days_and_instants_arrive_as_the_database_stores_them() -> None:
    day, instant = date(2026, 11, 24), datetime(2026, 11, 24, 15, 0, 0, 123456, tzinfo=UTC)
    on_sqlite = connection.vendor == "sqlite"

    assert arrived("date", [day, None]) == ["2026-11-24" if on_sqlite else day, None]
    stored = connection.ops.adapt_datetimefield_value(instant)
    assert arrived("timestamptz", [instant]) == [stored if on_sqlite else instant]


@pytest.mark.django_db
@pytest.mark.parametrize("size", [0, 1, 2, 40])
def test_among_finds_exactly_the_rows_with_these_keys(size: int) -> None:
    brands = [make_brand() for _ in range(50)]
    campaigns = [make_campaign(brand) for brand in brands]
    keys = {brand.pk for brand in brands[:size]}

    assert set(Brand.objects.filter(pk__among=keys)) == set(brands[:size])
    assert set(Campaign.objects.filter(brand_id__among=keys)) == set(campaigns[:size])
    assert Campaign.objects.exclude(brand_id__among=keys).count() == 50 - size


@pytest.mark.django_db
def test_columns_of_different_lengths_are_an_error_of_ours() -> None:
    if connection.vendor == "sqlite":
        with pytest.raises(ValueError, match="argument 2 is shorter"):
            sets.table("sent", one=("bigint", [1, 2]), other=("text", ["a"]))
    else:
        item, params = sets.table("sent", one=("bigint", [1, 2]), other=("text", ["a"]))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {item}", params)  # noqa: S608  # made by us
            assert cursor.fetchall() == [(1, "a"), (2, None)]
