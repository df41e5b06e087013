"""What a page is filtered by, as its address says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from budgets.queries.dashboard import LONGEST_TERM, Filter

NAMES = {"text": "q", "zone": "zone", "currency": "currency", "hold": "hold", "need": "need"}
"""The parameters of an address, by what they are in a `Filter`."""


def filter_of(query: Mapping[str, str]) -> Filter:
    """Return what an address asks for. Whatever it says is looked for; nothing of it is an error."""
    # PostgreSQL refuses NUL, and no name has one: without it the term is looked for as it is.
    values = {
        field: query.get(name, "").replace("\x00", "").strip()[:LONGEST_TERM]
        for field, name in NAMES.items()
    }
    return Filter(**values)


def address(path: str, wanted: Filter, **changed: Any) -> str:
    """Return the address of a page with this filter, and with what is `changed` in it."""
    asked = replace(wanted, **changed)
    values = {name: getattr(asked, field) for field, name in NAMES.items()}
    return with_query(path, values)


def with_query(path: str, values: Mapping[str, str | None]) -> str:
    """Return an address with those of the `values` that there are."""
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{query}" if query else path
