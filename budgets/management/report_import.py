"""A platform's report in the command: what it would record in words, and recording it in batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.utils import timezone

from budgets.core import money
from budgets.core.plurals import counted
from budgets.management.progress import Progress
from budgets.services.importing import Importing
from budgets.services.reports.checking import Checked
from budgets.services.reports.finding import ToDate, Unknown, together
from budgets.services.tally import BATCH, Tally, chunked

SHOWN = 20
"""Sums that a dry run writes out."""


def preview(checked: Checked) -> str:
    """Say what would be recorded."""
    report, sums = checked.report, checked.sums
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
    said = [f"{head}{left_out} Nothing was written.", *shown]
    return "\n".join([*said, *skipped(checked)])


def skipped(checked: Checked) -> list[str]:
    """Say, line by line, which campaigns that do not exist are skipped, and what it comes to."""
    unknown = checked.unknown
    if not unknown:
        return []
    rows = counted(sum(one.rows for one in unknown), "row")
    lines = [
        f"{_named(one)}: {one.amounts}, {counted(one.rows, 'row')} from line {one.line}"
        for one in unknown
    ]
    head = f"Skipped, not recorded: {counted(len(unknown), 'unknown campaign')}, {rows}, "
    return [
        f"{head}{together(unknown)}.",
        *(f"  {line if line.isprintable() else ascii(line)}" for line in lines),
    ]


def _named(one: Unknown) -> str:
    said = one.reported
    return ", ".join(filter(None, (one.brand or said.account, said.campaign, said.campaign_id)))


def record(checked: Checked, importing: Importing, tally: Tally, progress: Progress) -> None:
    """Record what was checked, batch by batch, brand by brand."""
    tally.rows = len(checked.sums)
    done = 0
    for batch in chunked(checked.sums, BATCH):
        # Each batch has its own now: a large report may cross a midnight.
        receipt = importing.to_date(batch, now=timezone.now())
        tally.take((one.line for one in batch), receipt)
        done += len(batch)
        progress.show(done)
    importing.finish(timezone.now())
    progress.clear()


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
