"""Read spend from CSV, strictly and in constant memory: what a cut or bent file says is refused."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

from budgets.services.imports import Named
from budgets.services.ingestion import SpendEvent

LONGEST_LINE = 65_536
"""Bytes: no line of spend is longer, and one without an end must not fill the memory."""

REQUIRED = ("brand", "campaign", "date", "amount")
COLUMNS = (*REQUIRED, "external_id", "currency", "occurred_at")

NOT_TEXT = {
    b"\xff\xfe": "is UTF-16; save it as CSV UTF-8",
    b"\xfe\xff": "is UTF-16; save it as CSV UTF-8",
    b"PK\x03\x04": "is a workbook or an archive; save the sheet as CSV UTF-8",
    b"\x1f\x8b": "is compressed; unpack it first",
}
"""How files begin that are no CSV."""

_PLAIN_FIELD, _QUOTED_FIELD = r'[^",\r\n]*', r'"(?:[^"]|"")*"'
_FIELD = f"(?:{_QUOTED_FIELD}|{_PLAIN_FIELD})"
_WELL_QUOTED = re.compile(rf"{_FIELD}(?:,{_FIELD})*(?:\r?\n|\r)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?", re.ASCII
)


class Unreadable(Exception):
    """The file, or the rest of it from `line` on, cannot be read; `line` 0: none of it."""

    def __init__(self, words: str, line: int = 0) -> None:
        super().__init__(words)
        self.line = line


class Malformed(ValueError):
    """A value that is not written as its column wants it."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


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


def open_spend_file(path: Path) -> BinaryIO:
    """Open a file that may be CSV; raise `Unreadable` with words for people."""
    try:
        if not path.exists():
            raise Unreadable("there is no such file")
        if not path.is_file():
            raise Unreadable("is not a file")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    start = file.read(4)
    file.seek(0)
    for magic, words in NOT_TEXT.items():
        if start.startswith(magic):
            file.close()
            raise Unreadable(words)
    if not start:
        file.close()
        raise Unreadable("is empty; the first line names the columns")
    return file


class SpendFile:
    """The rows of an open file, read once. What is wrong goes to `complain`, with its line."""

    def __init__(self, file: BinaryIO, complain: Callable[[int, str], None]) -> None:
        self.position = 0
        """Bytes read."""
        self.count = 0
        """Rows below the header, those that cannot be read included."""
        self.is_read = False
        """Whether the rows were read to the end."""
        self.cut: tuple[int, str] | None = None
        """Number and end of a last line that has no line break."""
        self._file = file
        self._complain = complain
        self._line = 0
        self._text: list[str] = []

    def rows(self) -> Iterator[Row]:
        """Yield the rows, up to where no sense can be made of what follows."""
        try:
            yield from self._rows()
        except Unreadable as error:
            self._complain(error.line, str(error))
        except OSError as error:
            self._complain(self._line + 1, f"cannot be read: {error.strerror or error}")
        else:
            self.is_read = True

    def _rows(self) -> Iterator[Row]:
        records = self._records()
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
                self._complain(line, _misfit(len(fields), len(header)))
                continue
            fields.append("")
            yield Row(line, *columns(fields))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(self._lines(), strict=True)
        while True:
            self._text.clear()
            first = self._line + 1
            try:
                fields = next(reader, None)
            except csv.Error:
                self.count += 1
                text = "".join(self._text)
                self._complain(first, _bent(text))
                if self._line > first:
                    # Where the quote was meant to end nobody can tell.
                    raise Unreadable("what follows was not read", self._line) from None
                continue
            if fields is None:
                return
            if any('"' in text for text in self._text):
                # Python's reader takes `12" screen` as it stands, and so would move commas.
                text = "".join(self._text)
                if not _WELL_QUOTED.fullmatch(text):
                    self.count += 1
                    self._complain(first, _bent(text))
                    continue
            yield first, fields

    def _lines(self) -> Iterator[str]:
        while raw := self._file.readline(LONGEST_LINE):
            self._line += 1
            self.position += len(raw)
            if not raw.endswith((b"\n", b"\r")):
                if len(raw) == LONGEST_LINE:
                    raise Unreadable(f"is longer than {LONGEST_LINE} bytes", self._line)
                self.cut = (self._line, raw[-60:].decode("utf-8", "replace"))
            if b"\0" in raw:
                raise Unreadable(
                    "contains a NUL character (UTF-16, or a damaged file); save it as CSV UTF-8",
                    self._line,
                )
            try:
                # A byte order mark may precede the first line.
                text = raw.decode("utf-8-sig" if self._line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise Unreadable(
                    f"is not UTF-8: byte 0x{raw[error.start]:02X} at its position "
                    f"{error.start + 1} (Latin-1 or Windows-1252, or a cut file); "
                    "save it as CSV UTF-8",
                    self._line,
                ) from None
            self._text.append(text)
            yield text


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
            f"wanted, {','.join(COLUMNS[len(REQUIRED) :])}, in any order"
        )
    if problems:
        raise Unreadable(". ".join(problems), line)
    places = [names.index(name) if name in names else len(names) for name in COLUMNS]
    return itemgetter(*places)


def _misfit(count: int, expected: int) -> str:
    hint = "write an empty field as nothing between two commas"
    if count > expected:
        hint = 'quote a field that contains a comma, and write amounts without any: "a, b",1234.56'
    return f"has {count} fields, the header has {expected}; {hint}"


def _bent(text: str) -> str:
    if "\r" in text.rstrip("\r\n").replace("\r\n", "\n"):
        return "has a carriage return inside; end lines with LF or CRLF"
    return (
        "has a stray quote, or one that is not closed; quote the whole field and write a quote "
        'inside it twice: "12"" screens"'
    )


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
