"""Tables for spreadsheets: CSV that is streamed, and in which no text can become a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from budgets.core import money

Cell = str | int | Decimal | None

BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel takes UTF-8 for the machine's own code page."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may run instead of show; the last four are = + - @ in full width."""


def lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield a table line by line: texts made harmless, numbers left to be numbers."""
    yield BYTE_ORDER_MARK + _line(header)
    for row in rows:
        yield _line([_written(cell) for cell in row])


def _written(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Decimal():
            return money.plain(cell)
        case int():
            return str(cell)
        case _:
            # An apostrophe says that it is text. Spaces before a formula do not stop one everywhere.
            return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA_STARTS) else cell


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
