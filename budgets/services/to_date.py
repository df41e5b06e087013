"""Spend to date: "campaign C has spent X on day D so far", as platforms report it.

The ledger records the difference to what the same source reported before. That is no second fact:
it is the sum of the ledger's rows of this source, campaign and day, whichever road they came by.
So a report needs no id to be counted once: said again, it differs by nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from django.db import connection

from budgets.core import money
from budgets.models import Spend, sets
from budgets.services import ingestion
from budgets.services.ingestion import Answer, Batch, Line, Receipt, Result, SpendEvent, rejected
from budgets.services.rollover import Moment

FIELD = "spend_to_date"

UNCHANGED = Result(Answer.DUPLICATE, "duplicate", FIELD, "the same was reported before")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSpend:
    """What a campaign has spent on a local day of its brand so far, as it was reported.

    `spend_to_date` is an amount (see `money.parse_amount`), negative where the platform's credits
    exceed what it charged for the day; `currency`, when given, must be the brand's.
    """

    campaign_id: int
    date: date
    spend_to_date: object
    currency: str | None = None


def record_to_date(rows: Sequence[ReportedSpend], *, source: str, now: datetime) -> Receipt:
    """Record `rows` as reported by `source`; answer each, in one transaction with what follows.

    In their order: of two rows of a campaign and day the later one holds, and so does the report
    that comes last, also when two come at once. Less than before, and the ledger gets a negative
    row; the same as before is a duplicate. Raises ``ValueError`` for a source that is no name and
    for more than `ingestion.MAX_BATCH` rows.
    """
    return ingestion.take(rows, examine, _enter, what="rows", source=source, now=now)


def examine(row: ReportedSpend, moment: Moment | None, now: datetime) -> Line | Result:
    """Return the row's whole amount as a line, not yet the difference, or why it cannot be meant.

    `moment` is that of the campaign's brand; ``None`` when there is no such campaign.
    """
    event = SpendEvent(
        campaign_id=row.campaign_id,
        amount=row.spend_to_date,
        date=row.date,
        currency=row.currency,
    )
    examined = ingestion.examine(event, moment, now)
    if isinstance(examined, Result) and examined.field == "amount":
        return replace(examined, field=FIELD)
    return examined


def reported_before(source: str, days: Iterable[tuple[int, date]]) -> dict[tuple[int, date], int]:
    """Return what `source` reported so far of these campaigns and days, in whole micro-units.

    Rows that no pass has counted yet are part of it: they were reported, and will be counted.
    """
    wanted = list(dict.fromkeys(days))
    if not wanted:
        return {}
    campaigns, dates = zip(*wanted, strict=True)
    table, params = sets.table(
        "wanted",
        place=("int", range(len(wanted))),
        campaign_id=("bigint", campaigns),
        date=("date", dates),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            # Whole units and millionths apart: the days of an old month are in no total, which would
            # have been refused before their sum outgrows SQLite's integers.
            f"SELECT wanted.place, SUM(spend.amount / {money.MICROS}),"  # noqa: S608  # names of ours
            f" SUM(spend.amount %% {money.MICROS})"
            f" FROM {table} JOIN {sets.name_of(Spend)} AS spend"
            " ON spend.campaign_id = wanted.campaign_id AND spend.date = wanted.date"
            " WHERE spend.source = %s GROUP BY wanted.place",
            [*params, source],
        )
        sums = {
            wanted[place]: int(units) * money.MICROS + int(rest)
            for place, units, rest in cursor.fetchall()
        }
    return {day: sums.get(day, 0) for day in wanted}


def _enter(batch: Batch) -> list[Line]:
    """Insert what differs from before, and return it. The lock of the brands lets nobody in between."""
    before = reported_before(
        batch.source, [(line.campaign_id, line.date) for line in batch.lines.values()]
    )
    differences = []
    for at, line in batch.lines.items():
        day = line.campaign_id, line.date
        difference = line._replace(micros=line.micros - before[day])
        if not difference.micros:
            batch.results[at] = UNCHANGED
            batch.repeated.add(line.brand_id)
        elif abs(difference.micros) >= money.to_micros(money.LIMIT):
            batch.results[at] = _cannot_be_meant(line, before[day])
        elif batch.room and not batch.room.takes(difference):
            batch.results[at] = ingestion.too_large(FIELD)
        else:
            differences.append(difference)
            before[day] = line.micros
    ingestion.insert(differences, batch)
    return differences


def _cannot_be_meant(line: Line, before: int) -> Result:
    return rejected(
        "difference_too_large",
        FIELD,
        f"was {money.from_micros(before):f} before; the difference to {line.amount:f} has more than "
        f"{money.MAX_WHOLE_DIGITS} digits before the point; that cannot be meant",
    )
