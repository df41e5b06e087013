"""Import a platform's report: all of it is checked first, and what it says is shown or recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import BinaryIO

from django.utils import timezone

from budgets.core import money
from budgets.management.progress import Progress
from budgets.management.tally import BATCH, Tally, check_end, check_sum, chunked, counted
from budgets.services.files import Complaints, Unreadable
from budgets.services.ingestion import Receipt
from budgets.services.reports import reading
from budgets.services.reports.finding import Finder, ToDate, sums_to_date
from budgets.services.reports.notation import DayOrder, DecimalMark
from budgets.services.reports.reading import Report

SHOWN = 20
"""Sums that a dry run writes out."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A report, and what it says of each campaign and day, brand by brand."""

    report: Report | None
    sums: list[ToDate]


def check(
    file: BinaryIO,
    complaints: Complaints,
    *,
    brand: str | None,
    decimal_mark: DecimalMark | None,
    day_order: DayOrder | None,
    rows: int | None,
    now: datetime,
) -> Checked:
    """Read a report that was recognised; what is wrong with it goes to `complaints`."""
    try:
        report = reading.read(file, complaints.add, decimal_mark=decimal_mark, day_order=day_order)
    except Unreadable as error:
        complaints.add(error.line, str(error))
        return Checked(None, [])
    if report.is_read:
        check_end(report, rows, complaints)
    sums = sums_to_date(report.rows, Finder(now, brand=brand), complaints, now)
    check_sum(sum(abs(one.micros) for one in sums), complaints)
    return Checked(report, sums)


def preview(checked: Checked) -> str:
    """Say what would be recorded."""
    report, sums = checked.report, checked.sums
    if report is None:
        return ""
    lines = [
        f"{one.brand}, {one.campaign}, {one.date}: {_amount(one.micros)} {one.currency}"
        + (f", of {one.lines:,} rows" if one.lines > 1 else "")
        for one in sums[:SHOWN]
    ]
    shown = [f"  {line if line.isprintable() else ascii(line)}" for line in lines]
    if len(sums) > SHOWN:
        shown.append(f"  … and {len(sums) - SHOWN:,} more")
    left_out = ""
    if report.totals:
        left_out += f" {counted(report.totals, 'total')} left out."
    if report.silent:
        left_out += f" {counted(report.silent, 'row')} without an amount left out."
    campaigns = len({one.campaign_id for one in sums})
    days = len({one.date for one in sums})
    head = (
        f"A report of {report.platform.name}: {counted(report.count, 'row')} say what "
        f"{counted(campaigns, 'campaign')} spent on {counted(days, 'day')}, {_together(sums)}."
    )
    return "\n".join([f"{head}{left_out} Nothing was written.", *shown])


def record(checked: Checked, source: str, tally: Tally, progress: Progress) -> None:
    """Record what was checked, batch by batch, brand by brand."""
    tally.rows = len(checked.sums)
    done = 0
    for batch in chunked(checked.sums, BATCH):
        tally.take((one.line for one in batch), _recorded(batch, source))
        done += len(batch)
        progress.show(done)
    progress.clear()


def _recorded(batch: Iterable[ToDate], source: str) -> Receipt:
    # By name: the module arrives with the merge; then this is a plain import.
    to_date = import_module("budgets.services.to_date")
    receipt: Receipt = to_date.record_to_date(
        [
            to_date.ReportedSpend(
                campaign_id=one.campaign_id,
                date=one.date,
                spend_to_date=money.from_micros(one.micros),
                currency=one.currency,
            )
            for one in batch
        ],
        source=source,
        now=timezone.now(),
    )
    return receipt


def _amount(micros: int) -> str:
    return f"{money.from_micros(micros):,f}"


def _together(sums: Iterable[ToDate]) -> str:
    by_currency: dict[str, int] = defaultdict(int)
    for one in sums:
        by_currency[one.currency] += one.micros
    return (
        " and ".join(
            f"{_amount(micros)} {currency}" for currency, micros in sorted(by_currency.items())
        )
        or "nothing"
    )
