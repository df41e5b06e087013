"""How a file writes amounts and days: what one value leaves open, the whole file may settle."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Generic, TypeVar

from budgets.services.files import Complain, Malformed


class DecimalMark(StrEnum):
    """What stands before the decimals."""

    POINT = "point"
    COMMA = "comma"


class DayOrder(StrEnum):
    """What comes first in 03/04/2026."""

    MONTH_FIRST = "month-first"
    DAY_FIRST = "day-first"


ChoiceT = TypeVar("ChoiceT", DecimalMark, DayOrder)

WITHOUT_DECIMALS = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
"""Currencies without a minor unit (ISO 4217): in yen, 1,234 can only be a thousand and some."""

_PARTING = (
    "'\N{RIGHT SINGLE QUOTATION MARK} \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}"
)
"""What parts thousands besides the other mark."""
_AMOUNT = {
    mark: re.compile(
        rf"(-?)(\d+|\d{{1,3}}(?:([{other}{_PARTING}])\d{{3}})"
        # India counts in lakhs: 1,23,456.
        rf"(?:\3\d{{3}})*|\d{{1,2}}(?:{other}\d\d)+{other}\d{{3}})(?:{own}(\d+))?",
        re.ASCII,
    )
    for mark, own, other in ((DecimalMark.POINT, r"\.", ","), (DecimalMark.COMMA, ",", r"\."))
}
_OPEN_AMOUNT = re.compile(r"-?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)

_ISO = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", re.ASCII)
_MONTH_DAY = re.compile(r"(?:[a-z]{3},? )?([a-z]{3,9})\.? (\d{1,2}), (\d{4})", re.ASCII)
_DAY_MONTH = re.compile(r"(?:[a-z]{3},? )?(\d{1,2}) ([a-z]{3,9})\.?,? (\d{4})", re.ASCII)
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]


class Evidence(Generic[ChoiceT]):
    """What the values of a file say about a choice between two notations."""

    def __init__(self) -> None:
        self.proofs: dict[ChoiceT, tuple[int, str]] = {}
        """Line and text of the first value that can only be written this way."""
        self.open: tuple[int, str] | None = None
        """Those of the first value that can be read in both."""

    def see(self, line: int, text: str, choice: ChoiceT | None, *, is_open: bool) -> None:
        """Take in a value that proves `choice`, or leaves it open, or says nothing."""
        if choice is not None:
            self.proofs.setdefault(choice, (line, text))
        elif is_open and self.open is None:
            self.open = (line, text)

    def settle(self, field: str, remedy: str, complain: Complain) -> ChoiceT | None:
        """Return what the file proves; complain when it proves both, or nothing but should."""
        match list(self.proofs.items()):
            case [(choice, _)]:
                return choice
            case [(_, (line, text)), (_, (other, contrary))]:
                complain(
                    max(line, other),
                    f"{field}: the file is written in two ways, {text[:40]!r} in line {line} and "
                    f"{contrary[:40]!r} in line {other}; export it anew, and do not save it from "
                    "a spreadsheet",
                )
            case _:
                if self.open is not None:
                    line, text = self.open
                    complain(line, f"{field}: {text[:40]!r} is ambiguous: {remedy}")
        return None


def proof_of_mark(text: str) -> DecimalMark | None:
    """Return the decimal mark that an amount proves; ``None``: see `is_open_amount`."""
    marks = [character for character in text if character in ".,"]
    if not marks or is_open_amount(text):
        return None
    if len(marks) > 1 and len(set(marks)) == 1:
        # One that repeats parts thousands, so that decimals would stand behind the other one.
        return DecimalMark.POINT if marks[0] == "," else DecimalMark.COMMA
    return DecimalMark.POINT if marks[-1] == "." else DecimalMark.COMMA


def is_open_amount(text: str) -> bool:
    """Tell whether the mark in an amount may part decimals or thousands: 1,234."""
    return _OPEN_AMOUNT.fullmatch(text) is not None


def mark_of_whole(text: str) -> DecimalMark:
    """Return the decimal mark of an open amount that has no decimals: its mark parts thousands."""
    return DecimalMark.POINT if "," in text else DecimalMark.COMMA


def plain_amount(text: str, mark: DecimalMark) -> str:
    """Return an amount as digits and a point: '1.234,56' is '1234.56'. Raises `Malformed`."""
    found = _AMOUNT[mark].fullmatch(text)
    if found is None:
        example = "1,234.56" if mark is DecimalMark.POINT else "1.234,56"
        raise Malformed(
            "amount", f"{text[:40]!r} is not an amount; this file writes amounts such as {example}"
        )
    sign, whole, _, decimals = found.groups()
    digits = re.sub(r"\D", "", whole).lstrip("0") or "0"
    return f"{sign}{digits}.{decimals}" if decimals else f"{sign}{digits}"


def proof_of_order(text: str) -> DayOrder | None:
    """Return the order that a date with slashes proves; ``None``: see `is_open_day`."""
    if found := _SLASHED.fullmatch(text):
        first, second = int(found[1]), int(found[2])
        if first > 12 >= second:
            return DayOrder.DAY_FIRST
        if second > 12 >= first:
            return DayOrder.MONTH_FIRST
    return None


def is_open_day(text: str) -> bool:
    """Tell whether a date with slashes means different days by its order: 3/4/2026."""
    found = _SLASHED.fullmatch(text)
    return bool(found and int(found[1]) != int(found[2]) and proof_of_order(text) is None)


@lru_cache(maxsize=4096)
def day_of(text: str, order: DayOrder | None) -> date:
    """Return the day that is written; raises `Malformed`. `order` is that of dates with slashes."""
    try:
        if _ISO.fullmatch(text):
            return date.fromisoformat(text)
        if found := _DOTTED.fullmatch(text):
            return date(int(found[3]), int(found[2]), int(found[1]))
        if found := _SLASHED.fullmatch(text):
            first, second = int(found[1]), int(found[2])
            day, month = (first, second) if order is DayOrder.DAY_FIRST else (second, first)
            return date(int(found[3]), month, day)
        small = text.lower()
        if found := _MONTH_DAY.fullmatch(small):
            return date(int(found[3]), _month(found[1]), int(found[2]))
        if found := _DAY_MONTH.fullmatch(small):
            return date(int(found[3]), _month(found[2]), int(found[1]))
    except ValueError:
        pass
    raise Malformed(
        "date", f"{text[:40]!r} is not a day; write YYYY-MM-DD, 11/23/2026 or Nov 23, 2026"
    )


def _month(name: str) -> int:
    """Return the number of the month of an English name, or of its first letters."""
    (number,) = [at for at, month in enumerate(_MONTHS, start=1) if month.startswith(name)]
    return number
