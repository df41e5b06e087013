"""A platform's report: recognised by its header, read whole, every complaint with its line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import BinaryIO, NamedTuple

from budgets.services import files
from budgets.services.files import Complain, Lines, Malformed, Unreadable
from budgets.services.reports import notation
from budgets.services.reports.notation import DayOrder, DecimalMark, Evidence
from budgets.services.reports.platforms import FIELDS, Platform, plain_name, platform_of

MAX_BYTES = 64_000_000
MAX_ROWS = 200_000
"""Bounds of memory: 215 MB were taken where both were reached. A month of an agency has 100,000 rows."""

PREAMBLE = 50
"""Lines among which the header is looked for."""

SEPARATORS = ("\t", ";", ",")
BLANK = frozenset({"", "-", "--", "\N{EN DASH}", "\N{EM DASH}"})
"""How platforms write that there is nothing."""

DAILY = frozenset({"day", "daily", "hour", "hourly"})

_OURS = frozenset({"brand", "campaign", "date", "amount"})
_TOTAL = re.compile(
    r"(?:(?:(?:grand|overall|filtered|deleted items) )?totals?|totales|gesamt|summe)"
    r"(?:\s*[:\-\N{EN DASH}\N{EM DASH}].*)?",
    re.IGNORECASE | re.DOTALL,
)
# The documentation writes @, the product ©.
_COPYRIGHT = re.compile(r"[@\N{COPYRIGHT SIGN}]\s*\d{4} Microsoft Corporation\b.*", re.DOTALL)
_SAID = re.compile(r'\W*(Report Aggregation|Report Time|Rows): ?([^"]*?)["\s,;]*')


class ReportRow(NamedTuple):
    """What a line says: a campaign has spent `amount` (plain decimal text) on `date` so far.

    `line` is where it begins in the file. Empty: the report does not say it.
    """

    line: int
    campaign: str
    campaign_id: str
    account: str
    date: date
    amount: str
    currency: str


@dataclass(slots=True)
class Report:
    """A report that was read. With complaints it has no rows, or not all of them."""

    platform: Platform
    rows: list[ReportRow] = field(default_factory=list)
    count: int = 0
    """Rows below the header without those that sum up, those that cannot be read included."""
    totals: int = 0
    """Rows that sum up others, and so were left out."""
    silent: int = 0
    """Rows that name no amount, and so say nothing."""
    cut: tuple[int, str] | None = None
    """Number and end of a last line without a line break, where the cut may be in what was read."""
    is_read: bool = False
    """Whether the rows were read to the end."""
    is_open: list[str] = field(default_factory=list)
    """What the file leaves open, of "decimal_mark" and "day_order": who hands it in must say."""


@dataclass(frozen=True, slots=True)
class _Header:
    platform: Platform
    separator: str
    line: int


class _Written(NamedTuple):
    """A row as it is written."""

    line: int
    campaign: str
    campaign_id: str
    account: str
    date: str
    amount: str
    currency: str
    until: str


def recognise(head: bytes) -> Platform | None:
    """Return whose report begins with `head` (`files.HEAD` bytes); ``None``: nobody's we know."""
    header = _header_of(head[: files.HEAD])
    return header.platform if header else None


def read(
    file: BinaryIO,
    complain: Complain,
    *,
    decimal_mark: DecimalMark | None = None,
    day_order: DayOrder | None = None,
) -> Report:
    """Read a report that was recognised; say what the file may leave open with the last two.

    Raises `Unreadable` when it is none, or too large.
    """
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Unreadable(
            f"is larger than {MAX_BYTES // 1_000_000} MB; export fewer days, or fewer columns"
        )
    header = _header_of(data[: files.HEAD])
    if header is None:
        raise Unreadable("is no report of Google Ads, Meta Ads or Microsoft Advertising")
    report = Report(header.platform)
    try:
        _Reading(report, header, complain, decimal_mark, day_order).run(_as_utf8(data))
    except Unreadable as error:
        complain(error.line, str(error))
    else:
        report.is_read = True
    return report


def _header_of(head: bytes) -> _Header | None:
    encoding = "utf-16" if files.is_utf16(head) else "utf-8-sig"
    text = head.decode(encoding, errors="replace")
    for number, line in enumerate(islice(io.StringIO(text, newline="\n"), PREAMBLE), start=1):
        for separator in SEPARATORS:
            try:
                fields = next(csv.reader([line], delimiter=separator), [])
            except csv.Error:
                continue
            if len(_OURS.intersection(plain_name(heading)[0] for heading in fields)) > 2:
                # Our own format. Below its header a campaign may have any name, "Cost" even.
                return None
            if platform := platform_of(fields):
                return _Header(platform, separator, number)
    return None


def _as_utf8(data: bytes) -> bytes:
    if not files.is_utf16(data):
        return data
    try:
        return data.decode("utf-16").encode()
    except UnicodeDecodeError as error:
        whole = data[: error.start - error.start % 2].decode("utf-16", errors="replace")
        raise Unreadable(
            "is not UTF-16 as the file's beginning is (cut, or several files put together); "
            "download it again",
            whole.count("\n") + 1,
        ) from None


class _Reading:
    """One reading of one report."""

    def __init__(
        self,
        report: Report,
        header: _Header,
        complain: Complain,
        mark: DecimalMark | None,
        order: DayOrder | None,
    ) -> None:
        self.report = report
        self.platform = header.platform
        self.header = header
        self.complain = complain
        self.mark = mark
        self.order = order
        self.marks: Evidence[DecimalMark] = Evidence()
        self.orders: Evidence[DayOrder] = Evidence()
        self.said_rows: tuple[int, int] | None = None
        self.unnamed: list[tuple[int, int]] = []
        """Place and line of rows without a campaign."""
        self.texts: dict[str, str] = {}
        """Names repeat on every line: kept once, a report takes a third of the memory."""

    def run(self, data: bytes) -> None:
        lines = Lines(io.BytesIO(data))
        for text in islice(lines, self.header.line - 1):
            self._hear(lines.number, text)
        found = files.records(lines, self._refuse, separator=self.header.separator)
        first, headings = next(found, (self.header.line, []))
        self.headings = [plain_name(heading) for heading in headings]
        self.places = self._places(first)
        written: list[_Written] = []
        last: Sequence[str] = []
        for line, fields in found:
            last = self._take(line, fields, written)
        self._check_unnamed()
        self._check_count()
        self.report.rows = self._finished(written)
        if lines.cut and last and len(last) - 1 in self.places.values():
            # Elsewhere a cut is harmless: too few fields, or the end of a figure that nobody reads.
            self.report.cut = None if lines.cut[1].endswith('"') else lines.cut

    def _hear(self, line: int, text: str) -> None:
        """Take in what stands above the header: only Microsoft says more than a title and dates."""
        match _SAID.fullmatch(text.strip()):
            case None:
                pass
            case said if said[1] == "Rows" and said[2].isdecimal() and len(said[2]) < 10:
                self.said_rows = (line, int(said[2]))
            case said if said[1] == "Report Time":
                for day in re.split(r"[\s,]+|-", said[2]):
                    # The same page wrote it, so it writes days as the rows do.
                    self.orders.see(line, day, notation.proof_of_order(day), is_open=False)
            case said if said[1] == "Report Aggregation" and said[2].lower() not in DAILY:
                self.complain(
                    line, f"the rows are no days ({said[2][:40]!r}); {self.platform.days}"
                )

    def _refuse(self, line: int, words: str) -> None:
        self.report.count += 1
        self.complain(line, words)

    def _places(self, line: int) -> dict[str, int]:
        """Return where in a row each field stands."""
        names = [name for name, _ in self.headings]
        places: dict[str, int] = {}
        for wanted in FIELDS:
            present = [name for name in self.platform.column(wanted) if name in names]
            if present and names.count(present[0]) > 1:
                raise Unreadable(
                    f"the column {present[0]!r} is there {names.count(present[0])} times; keep one",
                    line,
                )
            if present:
                places[wanted] = names.index(present[0])
        for start, end in self.platform.spans:
            if "date" not in places and start in names and end in names:
                places |= {"date": names.index(start), "until": names.index(end)}
        if "date" not in places:
            raise Unreadable(
                f"date: this report of {self.platform.name} does not say which day a row speaks "
                f"of; {self.platform.days}",
                line,
            )
        return places

    def _take(self, line: int, fields: list[str], written: list[_Written]) -> Sequence[str]:
        """Add the row to `written`, or leave it out; return its fields when it is a row."""
        cells = [cell for cell in map(str.strip, fields) if cell not in BLANK]
        if not cells or (len(cells) == 1 and _COPYRIGHT.fullmatch(cells[0])):
            return ()
        if self._sums_up(fields, cells):
            self.report.totals += 1
            return ()
        if self.report.count == MAX_ROWS:
            raise Unreadable(
                f"has more than {MAX_ROWS:,} rows; export fewer days, or leave out breakdowns other "
                "than by campaign and day",
                line,
            )
        self.report.count += 1
        if len(fields) != len(self.headings):
            self.complain(line, files.misfit(len(fields), len(self.headings)))
            return ()
        row = _Written(line, *(self._cell(fields, name) for name in (*FIELDS, "until")))
        if not row.campaign and not row.campaign_id:
            self.unnamed.append((self.report.count, line))
        elif not row.amount:
            self.report.silent += 1
        else:
            written.append(self._noted(row))
        return fields

    def _cell(self, fields: Sequence[str], name: str) -> str:
        place = self.places.get(name)
        text = "" if place is None else fields[place].strip()
        if name == "campaign_id" and text.startswith("[") and text.endswith("]"):
            # Microsoft's web pages write ids so, that a spreadsheet does not round them.
            text = text[1:-1]
        return "" if text in BLANK else self.texts.setdefault(text, text)

    def _sums_up(self, fields: Sequence[str], cells: Iterable[str]) -> bool:
        """Tell whether a row is a total: labelled so and of no day. A campaign may be named so."""
        place = self.places["date"]
        day = fields[place].strip() if place < len(fields) else ""
        return (day in BLANK or _TOTAL.fullmatch(day) is not None) and any(
            map(_TOTAL.fullmatch, cells)
        )

    def _noted(self, row: _Written) -> _Written:
        """Give the row the currency of its heading, and see what it tells about the notation."""
        heading = self.headings[self.places["amount"]][1]
        if heading and row.currency and heading != row.currency:
            self.complain(
                row.line,
                f"currency: {row.currency[:20]!r}, but the heading of the amounts says {heading}; "
                "export it with one of the two",
            )
        row = row._replace(currency=row.currency or heading)
        amount = row.amount
        is_open = notation.is_open_amount(amount)
        if is_open and row.currency in notation.WITHOUT_DECIMALS:
            mark: DecimalMark | None = notation.mark_of_whole(amount)
        else:
            mark = notation.proof_of_mark(amount)
        self.marks.see(row.line, amount, mark, is_open=is_open)
        for day in (row.date, row.until):
            proof = notation.proof_of_order(day)
            self.orders.see(row.line, day, proof, is_open=notation.is_open_day(day))
        return row

    def _check_unnamed(self) -> None:
        for place, line in self.unnamed:
            if self.platform.has_summary and place in (1, self.report.count):
                self.report.totals += 1
            else:
                self.complain(line, "campaign: is empty; add the column of the campaign's name")
        if self.platform.has_summary:
            ends = {1, self.report.count}
            self.report.count -= sum(place in ends for place, _ in self.unnamed)

    def _check_count(self) -> None:
        if self.said_rows is None:
            return
        line, said = self.said_rows
        # Whether totals are rows the documentation leaves open.
        if said not in (self.report.count, self.report.count + self.report.totals):
            self.complain(
                line,
                f"says that there are {said:,} rows, but {self.report.count:,} follow; the file was "
                "cut or edited: download it again",
            )

    def _finished(self, written: Iterable[_Written]) -> list[ReportRow]:
        mark = self.mark or self.marks.settle(
            "amount",
            "its mark may part thousands or decimals, and nothing else in the file tells; say "
            "which mark stands before decimals: --decimal-mark point, or comma",
            self.complain,
        )
        order = self.order or self.orders.settle(
            "date",
            "day and month may be the other way round, and nothing else in the file tells; say "
            "which comes first: --day-order month-first, or day-first",
            self.complain,
        )
        if mark is None and self.marks.open and not self.marks.proofs:
            self.report.is_open.append("decimal_mark")
        if order is None and self.orders.open and not self.orders.proofs:
            self.report.is_open.append("day_order")
        if (mark is None and (self.marks.proofs or self.marks.open)) or (
            order is None and (self.orders.proofs or self.orders.open)
        ):
            return []
        rows = []
        for row in written:
            try:
                rows.append(self._row(row, mark or DecimalMark.POINT, order))
            except Malformed as error:
                self.complain(row.line, f"{error.field}: {error}")
        return rows

    def _row(self, row: _Written, mark: DecimalMark, order: DayOrder | None) -> ReportRow:
        day = notation.day_of(row.date, order)
        if row.until and (until := notation.day_of(row.until, order)) != day:
            raise Malformed(
                "date", f"the row speaks of {day} to {until}, not of a day; {self.platform.days}"
            )
        if not row.until and "until" in self.places:
            raise Malformed("date", f"the row does not say when it ends; {self.platform.days}")
        return ReportRow(
            row.line,
            row.campaign,
            row.campaign_id,
            row.account,
            day,
            notation.plain_amount(row.amount, mark),
            row.currency,
        )
