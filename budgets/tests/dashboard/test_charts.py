"""Charts as finished values."""

from __future__ import annotations

import json
from decimal import Decimal

from babel import Locale

from budgets.dashboard.charts import Chart, Series
from budgets.dashboard.reader import Reader
from budgets.services.access import Person
from budgets.tests.builders import NOW

READER = Reader(
    now=NOW,
    person=Person(brand_ids=None, name="ana", may_pause=False, may_edit=False, is_restricted=False),
    locale=Locale.parse("de_AT"),
)


def chart(**fields: object) -> Chart:
    given: dict[str, object] = {
        "key": "today-7",
        "title": "Today",
        "summary": "Half is spent.",
        "heading": "Hour",
        "labels": ["00:00", "01:00"],
        "series": [
            Series(name="Spent", kind="line", amounts=[Decimal("1234.50"), None]),
            Series(name="Plan", kind="plan", amounts=[Decimal(0), Decimal("0.000001")]),
        ],
        "currency": "EUR",
        "reader": READER,
    }
    return Chart(**{**given, **fields})  # type: ignore[arg-type]  # as given


def test_the_table_says_what_is_drawn_in_the_readers_numbers() -> None:
    assert chart().rows == [
        ("00:00", ["1.234,50", "0,00"]),
        ("01:00", ["", "0,000001"]),
    ]


def test_what_is_drawn_is_json_with_the_words_beside_it() -> None:
    data = chart(marked=1, is_small=True).data

    assert json.loads(json.dumps(data)) == {
        "labels": ["00:00", "01:00"],
        "locale": "de-AT",
        "marked": 1,
        "small": True,
        "series": [
            {
                "name": "Spent",
                "kind": "line",
                "values": [1234.5, None],
                "words": ["1.234,50", ""],
            },
            {"name": "Plan", "kind": "plan", "values": [0, 1e-06], "words": ["0,00", "0,000001"]},
        ],
    }


def test_the_data_has_an_id_of_its_own() -> None:
    assert chart().data_id == "today-7-data"
