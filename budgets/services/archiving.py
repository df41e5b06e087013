"""Old months leave the ledger for compressed files, whose sums stay provable.

Only what is older than spend may be dated: nothing is reported for such a day any more, neither
events, whose ids must stay known, nor spend to date, which is compared with the ledger's sum.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from django.db import transaction
from django.db.models import Min

from budgets.core import periods
from budgets.models import ArchivedSpend, Spend, SpendArchive
from budgets.services.tally import chunked
from budgets.services.transactions import ROWS

COLUMNS = (
    "id",
    "campaign_id",
    "date",
    "amount",
    "occurred_at",
    "source",
    "external_id",
    "created_at",
)


class NotOldEnough(ValueError):
    """Spend of this month may still be reported."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with one file."""

    name: str
    words: str


class _Row(NamedTuple):
    pk: int
    campaign_id: int
    amount: Decimal


def months_before(month: date) -> Iterator[date]:
    """Yield the months that the ledger has rows of, up to the one before `month`, oldest first."""
    while True:
        rows = Spend.objects.filter(date__lt=month, is_counted=True)
        earliest: date | None = rows.aggregate(first=Min("date"))["first"]
        if earliest is None:
            return
        yield periods.month_start(earliest)


def archive(month: date, directory: Path, *, keep_days: int, now: datetime) -> SpendArchive:
    """Write the counted rows of `month` (its first day) to a new file, and take them out of the ledger.

    The file is whole, on disk and noted with its checksum before the first row leaves; rows leave in
    small transactions, each with the sums of what left. Killed in the middle, the next call goes on.
    Raises `NotOldEnough` while a day of the month is within `keep_days` of some brand's today.
    """
    end = periods.next_month(month)
    oldest_reported = periods.earliest_date(now) - timedelta(days=keep_days)
    if end > oldest_reported:
        raise NotOldEnough(
            f"{month:%Y-%m}: spend from {oldest_reported} on may still be reported "
            f"(SPEND_MAX_AGE_DAYS is {keep_days}); name an earlier month"
        )
    moving = SpendArchive.objects.filter(month=month, is_moving=True).first()
    return _move(moving or _write(month, end, directory, now), directory)


def verify(directory: Path) -> Iterator[Flaw]:
    """Yield what is wrong with the files in `directory`, by what was noted when they were written."""
    for noted in SpendArchive.objects.order_by("name"):
        path = directory / noted.name
        if not path.exists():
            yield Flaw(noted.name, "is not there")
        elif _checksum(path) != noted.sha256:
            yield Flaw(noted.name, "is not the file that was written: its checksum differs")
        elif noted.is_moving:
            yield Flaw(noted.name, "is written, but not all of its rows have left the ledger")
        else:
            yield from _compare(noted, path)


def _compare(noted: SpendArchive, path: Path) -> Iterator[Flaw]:
    found: dict[int, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for rows in _read(path):
        for row in rows:
            count, amount = found[row.campaign_id]
            found[row.campaign_id] = count + 1, amount + row.amount
        if Spend.objects.filter(pk__among=[row.pk for row in rows]).exists():
            yield Flaw(noted.name, "has rows that are in the ledger as well")
    sums = noted.sums.values_list("campaign_id", "rows", "amount")
    if dict(found) != {pk: (count, amount) for pk, count, amount in sums}:
        yield Flaw(noted.name, "does not sum to what was noted of its campaigns")


def _write(month: date, end: date, directory: Path, now: datetime) -> SpendArchive:
    path = _free(directory, month)
    draft = path.with_name(f"{path.name}.partial")
    rows = Spend.objects.filter(date__gte=month, date__lt=end, is_counted=True).order_by("pk")
    count, last = 0, 0
    with draft.open("wb") as file:
        with _compressed(file) as text:
            out = csv.writer(text, lineterminator="\n")
            out.writerow(COLUMNS)
            while piece := list(rows.filter(pk__gt=last).values_list(*COLUMNS)[:ROWS]):
                out.writerows(_plain(row) for row in piece)
                count, last = count + len(piece), piece[-1][0]
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return SpendArchive.objects.create(
        name=path.name, month=month, rows=count, sha256=_checksum(path), written_at=now
    )


def _move(noted: SpendArchive, directory: Path) -> SpendArchive:
    path = directory / noted.name
    if not path.exists() or _checksum(path) != noted.sha256:
        raise FileNotFoundError(
            f"{noted.name} is not in {directory} as it was written, and some of its rows have left "
            "the ledger: bring it back, then go on"
        )
    for rows in _read(path):
        _leave(noted, rows)
    noted.is_moving = False
    noted.save(update_fields={"is_moving"})
    return noted


def _leave(noted: SpendArchive, rows: Sequence[_Row]) -> None:
    """Take rows out of the ledger and note their sums, both or neither; those that left are left."""
    with transaction.atomic():
        # The archive's own row is the mutex: of two that go on at once, one finds nothing left.
        SpendArchive.objects.select_for_update(no_key=True).get(pk=noted.pk)
        here = Spend.objects.filter(pk__among=[row.pk for row in rows])
        still = set(here.values_list("pk", flat=True))
        by_campaign: dict[int, list[_Row]] = defaultdict(list)
        for row in rows:
            if row.pk in still:
                by_campaign[row.campaign_id].append(row)
        here.leave()
        _note(noted, by_campaign)


def _note(noted: SpendArchive, by_campaign: Mapping[int, Sequence[_Row]]) -> None:
    sums = {one.campaign_id: one for one in noted.sums.filter(campaign__among=by_campaign)}
    for pk, left in by_campaign.items():
        one = sums.setdefault(pk, ArchivedSpend(archive=noted, campaign_id=pk))
        one.rows += len(left)
        one.amount += sum(row.amount for row in left)
    ArchivedSpend.objects.bulk_create(
        sums.values(),
        update_conflicts=True,
        unique_fields=["campaign", "archive"],
        update_fields=["rows", "amount"],
    )


def _read(path: Path) -> Iterator[list[_Row]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        rows = (
            _Row(int(row["id"]), int(row["campaign_id"]), Decimal(row["amount"]))
            for row in csv.DictReader(text)
        )
        yield from chunked(rows, ROWS)


@contextmanager
def _compressed(file: Any) -> Iterator[TextIO]:
    # Without the time and the name in it: the same rows make the same file.
    with (
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        yield text


def _plain(row: Sequence[Any]) -> list[str]:
    """Write every value so that it reads back exactly; NULL as nothing at all."""
    return ["" if value is None else _text(value) for value in row]


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _free(directory: Path, month: date) -> Path:
    """Return the path of the month's next file: rows that a shell wrote later make a second one."""
    taken = set(SpendArchive.objects.filter(month=month).values_list("name", flat=True))
    number = 1
    while (name := f"spend-{month:%Y-%m}-{number}.csv.gz") in taken:
        number += 1
    return directory / name


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
