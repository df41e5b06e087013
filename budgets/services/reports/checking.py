"""A report from its bytes to what can be recorded, and the one call that records it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from budgets.core import money
from budgets.services import files, imports, to_date
from budgets.services.access import EVERYTHING, Sight
from budgets.services.files import Complaints
from budgets.services.ingestion import Receipt
from budgets.services.reports import reading
from budgets.services.reports.finding import Finder, ToDate, Unknown, sums_to_date
from budgets.services.reports.notation import DayOrder, DecimalMark
from budgets.services.reports.reading import Report


@dataclass(frozen=True, slots=True)
class Checked:
    """A report, and what it says of each campaign and day, brand by brand."""

    report: Report
    sums: list[ToDate]
    unknown: list[Unknown]
    """Campaigns that are named and do not exist, in the order of the file: complained of, or skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the person who hands in a report says of it; ``None``: it speaks for itself.

    `rows`: how many there should be, which also confirms a file that may be cut. `skip_unknown`: leave
    out campaigns that do not exist.
    """

    brand: str | None
    decimal_mark: DecimalMark | None
    day_order: DayOrder | None
    rows: int | None
    skip_unknown: bool = False


def check(
    file: BinaryIO, complaints: Complaints, said: Said, *, now: datetime, sight: Sight = EVERYTHING
) -> Checked:
    """Read a report that was recognised; what is wrong with it goes to `complaints`.

    With none, `sums` can be recorded. Campaigns that are not in `sight` are not known. Raises
    `Unreadable` for what is no report, or too large.
    """
    report = reading.read(
        file, complaints.add, decimal_mark=said.decimal_mark, day_order=said.day_order
    )
    if report.is_read:
        files.check_end(report, said.rows, complaints)
    finder = Finder(now, brand=said.brand, sight=sight)
    sums = sums_to_date(report.rows, finder, complaints, now, skip_unknown=said.skip_unknown)
    if words := imports.too_much(sum(abs(one.micros) for one in sums), sight):
        complaints.add(0, words)
    return Checked(report, sums, finder.unknown(report.rows))


def record(sums: Iterable[ToDate], *, source: str, now: datetime) -> Receipt:
    """Record what a report says, as `source` reports it; at most `ingestion.MAX_BATCH` sums."""
    return to_date.record_to_date(
        [
            to_date.ReportedSpend(
                campaign_id=one.campaign_id,
                date=one.date,
                spend_to_date=money.from_micros(one.micros),
                currency=one.currency,
            )
            for one in sums
        ],
        source=source,
        now=now,
    )
