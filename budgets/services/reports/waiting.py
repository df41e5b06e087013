"""Between the preview of a report and its confirmation: what was shown is what is recorded."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import Q

from budgets.models import WaitingReport
from budgets.services import to_date
from budgets.services.ingestion import MAX_BATCH, Receipt
from budgets.services.reports import checking
from budgets.services.reports.finding import Reported, ToDate, Unknown
from budgets.services.reports.reading import Report
from budgets.services.transactions import chunks

KEPT = timedelta(days=1)
LEASE = timedelta(minutes=2)
"""After this long a confirmation without an outcome has died, and may be given again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a report is, besides its sums."""

    file: str
    platform: str
    source: str
    rows: int
    totals: int
    silent: int
    paused: list[int] | None = None
    """Campaigns that would pause, as it was when the report was checked; ``None``: not tried."""
    resumed: list[int] | None = None
    skipped: list[Unknown] = field(default_factory=list)
    """Campaigns that do not exist: what the report says of them is not recorded."""

    @classmethod
    def of(
        cls, report: Report, file: str, foreseen: Receipt | None, skipped: Iterable[Unknown]
    ) -> Self:
        """Return that of a report that was read; `foreseen`: see `rehearse`."""
        return cls(
            file=file,
            platform=report.platform.name,
            source=report.platform.source,
            rows=report.count,
            totals=report.totals,
            silent=report.silent,
            paused=list(foreseen.paused) if foreseen else None,
            resumed=list(foreseen.resumed) if foreseen else None,
            skipped=list(skipped),
        )


class Difference(NamedTuple):
    """A sum, and what its source reported before, in micro-units."""

    sum: ToDate
    before: int

    @property
    def change(self) -> int:
        """Return what the ledger would gain."""
        return self.sum.micros - self.before


def rehearse(sums: list[ToDate], *, source: str, now: datetime) -> Receipt | None:
    """Return what recording would do; ``None``: it is too much to try, or somebody else is at it.

    It records and takes that back, so the answer is exact, refusals included. The brands are locked
    as long as by one batch of spend, and so it is one batch at most.
    """
    if len(sums) > MAX_BATCH:
        return None
    try:
        with transaction.atomic():
            receipt = checking.record(sums, source=source, now=now)
            transaction.set_rollback(True)
    except OperationalError:  # A brand was locked for long: what would pause is a courtesy.
        return None
    return receipt


def differences(sums: list[ToDate], source: str) -> list[Difference]:
    """Compare with what `source` reported so far; those that differ first."""
    found = []
    for chunk in chunks(sums, MAX_BATCH):
        before = to_date.reported_before(source, [(one.campaign_id, one.date) for one in chunk])
        found += [Difference(one, before[one.campaign_id, one.date]) for one in chunk]
    return sorted(found, key=lambda one: not one.change)


def together(sums: list[ToDate]) -> list[tuple[str, str, int]]:
    """Return the sum of each brand: its name, currency and micro-units."""
    micros: dict[tuple[str, str], int] = defaultdict(int)
    for one in sums:
        micros[one.brand, one.currency] += one.micros
    return [(*key, sum_) for key, sum_ in sorted(micros.items())]


def keep(user_id: int, summary: Summary, sums: list[ToDate], *, now: datetime) -> WaitingReport:
    """Keep a checked report for its uploader to confirm; those of yesterday are thrown away."""
    WaitingReport.objects.filter(created_at__lte=now - KEPT).delete()
    return WaitingReport.objects.create(
        user_id=user_id,
        created_at=now,
        summary=asdict(summary),
        sums=json.dumps([_plain(one) for one in sums], separators=(",", ":")),
    )


def find(token: str, user_id: int, *, now: datetime) -> WaitingReport | None:
    """Return the report of this user; ``None``: there is none, or no longer, or it is another's."""
    try:
        key = UUID(token)
    except ValueError:
        return None
    return WaitingReport.objects.filter(pk=key, user_id=user_id, created_at__gt=now - KEPT).first()


def sums_of(waiting: WaitingReport) -> list[ToDate]:
    """Return the sums as they were kept."""
    return [
        ToDate(line, campaign_id, brand, campaign, date.fromisoformat(day), currency, micros, lines)
        for line, campaign_id, brand, campaign, day, currency, micros, lines in json.loads(
            waiting.sums
        )
    ]


def summary_of(waiting: WaitingReport) -> Summary:
    """Return the summary as it was kept."""
    kept = dict(waiting.summary)
    skipped = [
        Unknown(brand, Reported(*reported), *rest)
        for brand, reported, *rest in kept.pop("skipped", ())
    ]
    return Summary(**kept, skipped=skipped)


def claim(waiting: WaitingReport, *, now: datetime) -> bool:
    """Take a report to record it; of two at once one gets it. It ends with `finish` or `release`.

    Whoever dies in between holds it for `LEASE`. Recording it again is harmless: see `to_date`.
    """
    free = Q(confirmed_at=None) | Q(confirmed_at__lte=now - LEASE)
    rows = WaitingReport.objects.filter(free, pk=waiting.pk, outcome__isnull=True)
    return bool(rows.update(confirmed_at=now))


def release(waiting: WaitingReport) -> None:
    """Let it be confirmed again: recording it was interrupted."""
    WaitingReport.objects.filter(pk=waiting.pk).update(confirmed_at=None)


def finish(waiting: WaitingReport, outcome: dict[str, Any]) -> None:
    """Note what became of it. The sums are in the ledger and no longer needed."""
    WaitingReport.objects.filter(pk=waiting.pk).update(outcome=outcome, sums="[]")


def discard(waiting: WaitingReport) -> None:
    """Throw away what nobody wants to record; what was recorded stays, to be looked at."""
    WaitingReport.objects.filter(pk=waiting.pk, confirmed_at=None).delete()


def _plain(one: ToDate) -> list[object]:
    return [
        one.line,
        one.campaign_id,
        one.brand,
        one.campaign,
        one.date.isoformat(),
        one.currency,
        one.micros,
        one.lines,
    ]
