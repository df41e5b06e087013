"""Read spend from CSV, strictly and in constant memory: what a cut or bent file says is refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from io import BufferedReader
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

from budgets.services import files
from budgets.services.files import Complain, Lines, Malformed, Unreadable
from budgets.services.imports import Named
from budgets.services.ingestion import SpendEvent

REQUIRED = ("brand", "campaign", "date", "amount")
COLUMNS = (*REQUIRED, "external_id", "currency", "occurred_at")

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?", re.ASCII
)


class Row(NamedTuple):
    """One row as written; `line` is where it begins, from 1. Absent columns are empty."""

    line: int
    brand: str
    campaign: str
    date: str
    amount: str
    external_id: str
    currency: str
    occurred_at: str

    @property
    def named(self) -> Named:
        """The campaign it speaks of."""
        return Named(self.brand, self.campaign)

    def event(self, campaign_id: int) -> SpendEvent:
        """Return what the row reports; raise `Malformed` for a date or instant in another form."""
        return SpendEvent(
            campaign_id=campaign_id,
            amount=self.amount,
            date=_day(self.date) if self.date else None,
            occurred_at=_instant(self.occurred_at) if self.occurred_at else None,
            external_id=self.external_id or None,
            currency=self.currency or None,
        )


def open_spend_file(path: Path) -> BufferedReader:
    """Open a file that may be CSV; raise `Unreadable` with words for people."""
    try:
        if not path.exists():
            raise Unreadable("there is no such file")
        if not path.is_file():
            raise Unreadable("is not a file")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        files.refuse_no_text(file.peek(files.HEAD))
    except Unreadable:
        file.close()
        raise
    return file


class SpendFile:
    """The rows of an open file, read once. What is wrong goes to `complain`, with its line."""

    def __init__(self, file: BinaryIO, complain: Complain) -> None:
        self.count = 0
        """Rows below the header, those that cannot be read included."""
        self.is_read = False
        """Whether the rows were read to the end."""
        self._lines = Lines(file)
        self._complain = complain

    @property
    def position(self) -> int:
        """Bytes read."""
        return self._lines.position

    @property
    def cut(self) -> tuple[int, str] | None:
        """Number and end of a last line that has no line break."""
        return self._lines.cut

    def rows(self) -> Iterator[Row]:
        """Yield the rows, up to where no sense can be made of what follows."""
        try:
            yield from self._rows()
        except Unreadable as error:
            self._complain(error.line, str(error))
        except OSError as error:
            self._complain(self._lines.number + 1, f"cannot be read: {error.strerror or error}")
        else:
            self.is_read = True

    def _rows(self) -> Iterator[Row]:
        records = files.records(self._lines, self._refuse)
        first, header = next(records, (1, []))
        columns = _columns(first, header)
        blank = 0
        for line, fields in records:
            if not fields:
                blank = blank or line
                continue
            if blank:
                self._complain(blank, "is blank; remove it")
                blank = 0
            self.count += 1
            if len(fields) != len(header):
                self._complain(line, files.misfit(len(fields), len(header)))
                continue
            fields.append("")
            yield Row(line, *columns(fields))

    def _refuse(self, line: int, words: str) -> None:
        self.count += 1
        self._complain(line, words)


def _columns(line: int, header: list[str]) -> Callable[[list[str]], tuple[str, ...]]:
    """Return what takes the values of `COLUMNS` out of a row that has an empty one added."""
    names = [name.strip().lower() for name in header]
    if len(names) == 1:
        for mark, spelt in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
            if mark in names[0]:
                raise Unreadable(f"looks separated by {spelt}; save it separated by commas", line)
    problems = [
        f"the column {name!r} is there {names.count(name)} times; keep one"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    for name in names:
        if name not in COLUMNS:
            close = difflib.get_close_matches(name, COLUMNS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "remove it"
            problems.append(f"there is no column {name[:40]!r}; {hint}")
    if missing := [name for name in REQUIRED if name not in names]:
        problems.append(
            f"the header lacks {', '.join(missing)}; it names {','.join(REQUIRED)} and, where "
            f"wanted, {','.join(COLUMNS[len(REQUIRED) :])}, in any order. A report of Google Ads, "
            "Meta Ads or Microsoft Advertising is known by its column names in English; of "
            "the first two in German, French or Spanish, too"
        )
    if problems:
        raise Unreadable(". ".join(problems), line)
    places = [names.index(name) if name in names else len(names) for name in COLUMNS]
    return itemgetter(*places)


@lru_cache(maxsize=4096)
def _day(text: str) -> date:
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise Malformed("date", f"{text[:40]!r} is not a date; write YYYY-MM-DD, such as 2026-01-31")


def _instant(text: str) -> datetime:
    if _INSTANT.fullmatch(text):
        try:
            instant = datetime.fromisoformat(text)
            # Without an offset it is for `ingestion.examine` to refuse.
            instant = instant.astimezone(UTC) if instant.tzinfo else instant
            # The first day of the calendar has no date in zones to the west.
            if instant.year > 1:
                return instant
        except (ValueError, OverflowError):
            pass
    raise Malformed("occurred_at", f"{text[:40]!r} is not an instant; write 2026-01-31T09:00:00Z")
