"""Record the rows of a file, batch by batch, and which file brought them, in the same transactions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from django.db import connection

from budgets.core import money
from budgets.models import Campaign, Import, Spend, sets
from budgets.services import ingestion
from budgets.services.ingestion import Answer, Receipt, SpendEvent
from budgets.services.reports import checking
from budgets.services.reports.finding import ToDate
from budgets.services.transactions import settle

T = TypeVar("T")

Column = tuple[str, Sequence[sets.Value]]


@dataclass(slots=True, kw_only=True)
class Importing:
    """An import on its way: the `kind` of the file and its name, who reports, and who imports it.

    `record` is its row in the database; ``None`` for as long as nothing of the file was new.
    """

    kind: str
    file: str
    source: str
    actor: str
    record: Import | None = None

    def events(self, events: Sequence[SpendEvent], *, now: datetime) -> Receipt:
        """Record a batch of events, each of which has an external id (see `ingestion.record`)."""

        def bring() -> tuple[Receipt, Import | None]:
            receipt = ingestion.record(events, source=self.source, now=now)
            ids = [event.external_id for event in _new(events, receipt)]
            return receipt, self._bring({"external_id": ("text", ids)}, now)

        return self._settle(bring)

    def to_date(self, sums: Sequence[ToDate], *, now: datetime) -> Receipt:
        """Record a batch of what a report says was spent so far (see `checking.record`)."""

        def bring() -> tuple[Receipt, Import | None]:
            receipt = checking.record(sums, source=self.source, now=now)
            new = _new(sums, receipt)
            # A campaign and day has one row at most in a batch, and the brand's lock is still ours.
            columns: dict[str, Column] = {
                "campaign_id": ("bigint", [one.campaign_id for one in new]),
                "date": ("date", [one.date for one in new]),
            }
            return receipt, self._bring(columns, now)

        return self._settle(bring)

    def finish(self, now: datetime) -> None:
        """Note that it came to its end."""
        if self.record is not None:
            Import.objects.filter(pk=self.record.pk).update(finished_at=now)

    def _settle(self, bring: Callable[[], tuple[Receipt, Import | None]]) -> Receipt:
        receipt, record = settle(bring)
        # Not before the commit: a batch that was taken back has brought nothing.
        self.record = record
        return receipt

    def _bring(self, columns: Mapping[str, Column], now: datetime) -> Import | None:
        """Note on rows inserted at `now`, told by these columns, that this file brought them."""
        if not any(values for _, values in columns.values()):
            return self.record
        record = copy(self.record) or Import.objects.create(
            started_at=now,
            actor=self.actor,
            kind=self.kind,
            file=self.file,
            source=self.source,
        )
        rows = self._mark(record, columns, now)
        currencies = dict(
            Campaign.objects.filter(pk__among={campaign_id for campaign_id, _ in rows}).values_list(
                "pk", "brand__currency"
            )
        )
        sums = defaultdict[str, Decimal](Decimal)
        sums.update({currency: Decimal(amount) for currency, amount in record.sums.items()})
        for campaign_id, micros in rows:
            sums[currencies[campaign_id]] += money.from_micros(micros)
        record.rows += len(rows)
        record.sums = {currency: money.plain(amount) for currency, amount in sorted(sums.items())}
        record.save(update_fields=["rows", "sums"])
        return record

    def _mark(
        self, record: Import, columns: Mapping[str, Column], now: datetime
    ) -> list[tuple[int, int]]:
        """Return campaign and micro-units of each row that now is the file's."""
        # Names of their own: SQLite takes no table's name after RETURNING.
        table, params = sets.table("new", **{f"new_{name}": each for name, each in columns.items()})
        is_same = " AND ".join(f"{name} = new_{name}" for name in columns)
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {sets.name_of(Spend)} SET brought_by_id = %s FROM {table}"  # noqa: S608  # names of ours
                f" WHERE source = %s AND created_at = %s AND {is_same}"
                " AND brought_by_id IS NULL RETURNING campaign_id, amount",
                [
                    record.pk,
                    *params,
                    self.source,
                    connection.ops.adapt_datetimefield_value(now),
                ],
            )
            return list(cursor.fetchall())


def _new(rows: Sequence[T], receipt: Receipt) -> list[T]:
    return [
        row
        for row, result in zip(rows, receipt.results, strict=True)
        if result.answer is Answer.RECORDED
    ]
