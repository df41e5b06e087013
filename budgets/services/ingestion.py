"""Record spend: into the ledger exactly once, into the totals, and decide, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from budgets.core import money, periods
from budgets.core.money import InvalidAmount
from budgets.core.primary_keys import LARGEST_KEY
from budgets.models import Brand, Campaign, Spend, sets
from budgets.services import counting, enforcement, freshness, rollover, totals
from budgets.services.counting import Sums
from budgets.services.enforcement import Trigger
from budgets.services.rollover import BrandRow, Moment
from budgets.services.totals import Account, TotalTooLarge
from budgets.services.transactions import chunks, settle

MAX_SOURCE = 100
MAX_ID = 200
MAX_BATCH = 5000
"""Events a transaction: beyond this nothing is gained, and others wait longer for the brands."""
COPIED_FROM = 500
"""Rows from which PostgreSQL's COPY is worth its extra round trips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendEvent:
    """An amount that was spent, as it was reported.

    The local day is `date`, or else follows from `occurred_at` (aware) in the brand's zone.
    `external_id` is the reporter's own id, unique within its source; `currency`, when given, must
    be the brand's.
    """

    campaign_id: int
    amount: object
    date: date | None = None
    occurred_at: datetime | None = None
    external_id: str | None = None
    currency: str | None = None


class Answer(StrEnum):
    """What became of an event."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    """The same was recorded before; nothing changed."""
    CONFLICT = "conflict"
    """Something else was recorded under this id; nothing changed."""
    REJECTED = "rejected"
    """It cannot be meant; nothing changed."""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one event; unless it was recorded, which `field` is wrong and what to do."""

    answer: Answer
    code: str = ""
    field: str = ""
    words: str = ""


RECORDED = Result(Answer.RECORDED)
DUPLICATE = Result(Answer.DUPLICATE, "duplicate", "external_id", "this was recorded before")


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answers to a batch, in its order; the ids of campaigns it paused (and, by refunds, resumed)."""

    results: tuple[Result, ...]
    paused: tuple[int, ...] = ()
    resumed: tuple[int, ...] = ()

    def count(self, answer: Answer) -> int:
        """Return how many events got this answer."""
        return sum(result.answer is answer for result in self.results)


class Line(NamedTuple):
    """An event that may be recorded: a row of the ledger to be. Amounts are whole micro-units."""

    campaign_id: int
    brand_id: int
    date: date
    micros: int
    occurred_at: datetime | None
    external_id: str | None
    date_was_given: bool

    @property
    def amount(self) -> Decimal:
        """Return the amount in the brand's currency."""
        return money.from_micros(self.micros)


class Room:
    """How much more may be spent before a total would no longer fit the database's integer."""

    def __init__(self, moments: Mapping[int, Moment], accounts: Mapping[int, Account]) -> None:
        self._moments = moments
        self._accounts = accounts
        self._brands: dict[int, int] = {}
        self._campaigns: dict[int, int] = {}

    def takes(self, line: Line) -> bool:
        """Tell whether the line still fits; if it does, its room is taken."""
        brand, campaign, size = line.brand_id, line.campaign_id, abs(line.micros)
        if brand not in self._brands:
            self._brands[brand] = _room(self._moments[brand].brand)
        if campaign not in self._campaigns:
            self._campaigns[campaign] = _room(self._accounts[campaign])
        if size > min(self._brands[brand], self._campaigns[campaign]):
            return False
        self._brands[brand] -= size
        self._campaigns[campaign] -= size
        return True


def _room(account: Account | BrandRow) -> int:
    return money.MAX_TOTAL - max(abs(account.spent_today), abs(account.spent_this_month))


@dataclass(slots=True, kw_only=True)
class Batch:
    """Rows of a report on their way into the ledger, by their places; their brands are locked.

    `lines` are those that may be recorded; the others have their answer in `results`, where every
    row counts as recorded until it says otherwise. `room` is looked after only where a total might
    get too large.
    """

    source: str
    now: datetime
    moments: Mapping[int, Moment]
    results: list[Result]
    lines: dict[int, Line] = field(default_factory=dict)
    room: Room | None = None
    repeated: set[int] = field(default_factory=set)
    """Brands of which the spend was reported anew though it is as before."""
    _summed: Sequence[Line] = ()
    _sums: Sums | None = None

    def add_up(self, lines: Sequence[Line]) -> Sums:
        """Return the sums of lines; the same list is not summed twice."""
        if self._sums is None or lines is not self._summed:
            self._summed, self._sums = lines, counting.add_up(lines, self.moments)
        return self._sums


class ReportRow(Protocol):
    """A row of a report, whichever way a platform reports: it is of one campaign."""

    @property
    def campaign_id(self) -> int:
        """The campaign's primary key."""


RowT = TypeVar("RowT", bound=ReportRow)


class _Rows(NamedTuple):
    """Lines, column by column."""

    campaigns: tuple[int, ...]
    brands: tuple[int, ...]
    dates: tuple[date, ...]
    micros: tuple[int, ...]
    instants: tuple[datetime | None, ...]
    external_ids: tuple[str | None, ...]
    dates_were_given: tuple[bool, ...]


def record(events: Sequence[SpendEvent], *, source: str, now: datetime) -> Receipt:
    """Record `events` as reported by `source`; answer each, in one transaction with what follows.

    Whoever reads "recorded" can already read the pauses that it caused. Raises ``ValueError`` for a
    source that is no name and for more than `MAX_BATCH` events.
    """
    return take(events, examine, _enter, what="events", source=source, now=now)


def take(
    rows: Sequence[RowT],
    examine: Callable[[RowT, Moment | None, datetime], Line | Result],
    enter: Callable[[Batch], Sequence[Line]],
    *,
    what: str,
    source: str,
    now: datetime,
) -> Receipt:
    """Take the rows of a report in: the flow of every way of reporting (see `record`).

    `examine` says of a row what it would be in the ledger, or why it cannot be. `enter` runs under
    the lock of the brands: it inserts what is new of a batch and returns it, and answers the rest.
    `what` the rows are called where their number is refused.
    """
    if problem := unfit_text(source, MAX_SOURCE):
        raise ValueError(f"source: {problem}")
    if len(rows) > MAX_BATCH:
        raise ValueError(f"{what}: {len(rows)} in one batch; {MAX_BATCH} are the most")
    try:
        return settle(lambda: _take(rows, examine, enter, source, now))
    except TotalTooLarge:
        # Hardly ever. What would not fit is looked for only now, and only that is rejected.
        return settle(lambda: _take(rows, examine, enter, source, now, carefully=True))


def moments_of(campaign_ids: Iterable[int], now: datetime) -> dict[int, Moment]:
    """Return the moment of each campaign's brand, by campaign, without locking anything.

    For doors that want to check events before they are recorded (see `examine`).
    """
    campaigns = Campaign.objects.filter(pk__among=_possible(campaign_ids))
    brand_of = dict(campaigns.values_list("pk", "brand_id"))
    brands = Brand.objects.filter(pk__among=set(brand_of.values()))
    moments = rollover.preview(brands, now)
    return {
        campaign_id: moments[brand_id]
        for campaign_id, brand_id in brand_of.items()
        if brand_id in moments
    }


def examine(event: SpendEvent, moment: Moment | None, now: datetime) -> Line | Result:
    """Return the row to be recorded for `event`, or why there is none.

    `moment` is that of the campaign's brand; ``None`` when there is no such campaign.
    """
    if moment is None:
        return rejected("unknown_campaign", "campaign", f"there is no campaign {event.campaign_id}")
    try:
        micros = money.parse_micros(event.amount)
    except InvalidAmount as error:
        return rejected("invalid_amount", "amount", str(error))
    if event.external_id is not None and (problem := unfit_text(event.external_id, MAX_ID)):
        return rejected("invalid_external_id", "external_id", problem)
    brand = moment.brand
    if event.currency is not None and event.currency != brand.currency:
        return rejected(
            "wrong_currency",
            "currency",
            f"{event.currency[:20]!r} is not the brand's currency; amounts are not converted, "
            f"give them in {brand.currency}",
        )
    if event.occurred_at is not None and (late := _unfit_instant(event.occurred_at, now)):
        return rejected(late[0], "occurred_at", late[1])
    day = event.date
    if day is None:
        if event.occurred_at is None:
            return rejected("date_missing", "date", "say when it was spent: date or occurred_at")
        # The reporter's clock may be ahead of ours; by ours it cannot have happened after now.
        day = min(event.occurred_at, now).astimezone(moment.zone).date()
    today = moment.day.date
    if day != today and (unfit := _unfit_day(day, today, moment.zone.key)):
        return unfit
    return Line(
        event.campaign_id,
        brand.pk,
        day,
        micros,
        event.occurred_at,
        event.external_id,
        event.date is not None,
    )


def unfit_text(text: str, longest: int) -> str:
    """Say in words why `text` cannot be a name or an id; empty when it can."""
    if not text or text != text.strip():
        return "is empty or has spaces around it; leave it out or write it without"
    if len(text) > longest:
        return f"has {len(text)} characters; {longest} are the most"
    if not text.isprintable():
        # NUL is stored by SQLite and refused by PostgreSQL; a line break forges a line of a log.
        return "has control or invisible characters; write it without"
    return ""


def rejected(code: str, field: str, words: str) -> Result:
    """Return the answer to what cannot be meant: a stable code, what is wrong, and the remedy."""
    return Result(Answer.REJECTED, code, field, words)


def too_large(field: str) -> Result:
    """Return the answer to an amount that a total has no room for."""
    return rejected("total_too_large", field, "the total would be larger than can be kept")


def _take(
    rows: Sequence[RowT],
    examine: Callable[[RowT, Moment | None, datetime], Line | Result],
    enter: Callable[[Batch], Sequence[Line]],
    source: str,
    now: datetime,
    *,
    carefully: bool = False,
) -> Receipt:
    locked = rollover.lock_of(_possible(row.campaign_id for row in rows), now)
    turned = rollover.turn([it.brand for it in locked], now, thoroughly=False)
    enforcement.note_troubles(turned.troubles, now)
    moments = turned.by_brand()
    rollover.roll_new(locked, moments)
    brand_of = {campaign: it.brand.pk for it in locked for campaign in it.campaigns}

    batch = Batch(
        source=source,
        now=now,
        moments=moments,
        results=[RECORDED] * len(rows),
        room=Room(moments, totals.accounts(brand_of)) if carefully else None,
    )
    for at, row in enumerate(rows):
        brand_id = brand_of.get(row.campaign_id, 0)
        if brand_id in turned.troubles:
            batch.results[at] = rejected(
                "brand_in_trouble", "campaign", f"its brand: {turned.troubles[brand_id]}"
            )
            continue
        examined = examine(row, moments.get(brand_id), now)
        if isinstance(examined, Result):
            batch.results[at] = examined
        else:
            batch.lines[at] = examined

    recorded = enter(batch)
    if wanting := freshness.wanting(moments):
        heard = batch.repeated | {line.brand_id for line in recorded}
        freshness.note({pk: moments[pk].now for pk in heard & wanting}, moments)
    to_decide = counting.count(batch.add_up(recorded), moments)
    outcome = enforcement.enforce(to_decide, trigger=Trigger.SPEND, actor=source)
    return Receipt(results=tuple(batch.results), paused=outcome.paused, resumed=outcome.resumed)


def _enter(batch: Batch) -> list[Line]:
    """Insert the events of `batch` that are new, and return them."""
    lines = dict(batch.lines)
    for at in _too_large(lines, batch.room, batch.source) if batch.room else ():
        batch.results[at] = too_large("amount")
        del lines[at]
    return _insert_new(lines, batch)


def _insert_new(lines: Mapping[int, Line], batch: Batch) -> list[Line]:
    """Insert the lines that are new and return them; put the answers to the others into `batch`."""
    # Only the first of an id goes to the database; the others are compared with it.
    firsts: dict[str, int] = {}
    for at, line in lines.items():
        if line.external_id is not None:
            firsts.setdefault(line.external_id, at)
    to_insert = [
        line
        for at, line in lines.items()
        if line.external_id is None or firsts[line.external_id] == at
    ]
    inserted = insert(to_insert, batch)
    if len(inserted) == len(firsts) and len(to_insert) == len(lines):
        return to_insert  # nearly always
    known = recorded_under(batch.source, [key for key in firsts if key not in inserted])
    recorded = []
    for at, line in lines.items():
        key = line.external_id
        if key is None or (key in inserted and firsts[key] == at):
            recorded.append(line)
        else:
            before = lines[firsts[key]] if key in inserted else known[key]
            batch.results[at] = compared(line, before)
    return recorded


def _possible(campaign_ids: Iterable[int]) -> set[int]:
    return {pk for pk in campaign_ids if 0 < pk <= LARGEST_KEY}


def _too_large(lines: Mapping[int, Line], room: Room, source: str) -> list[int]:
    """Return the places of events after which a total might not fit the database's integer."""
    # What was recorded before takes no room and is answered as what it is.
    known = recorded_under(
        source, [line.external_id for line in lines.values() if line.external_id]
    )
    return [
        at for at, line in lines.items() if line.external_id not in known and not room.takes(line)
    ]


def insert(lines: Sequence[Line], batch: Batch) -> set[str]:
    """Insert rows of the ledger; return the external ids that were new. Rows without one always are.

    In the order of their ids, so that two batches with the same ids wait for each other and do not
    deadlock.
    """
    if not lines:
        return set()
    rows = _Rows._make(zip(*sorted(lines, key=lambda line: line.external_id or ""), strict=True))
    is_worth_it = connection.vendor == "postgresql" and len(lines) >= COPIED_FROM
    if is_worth_it and not _is_known(batch.source, rows.external_ids[-1]):
        # Most batches are new from the first row to the last; those that came before do not get here.
        with suppress(IntegrityError), transaction.atomic():
            with _copying(rows, batch.source, batch.now):
                batch.add_up(lines)  # the database needs ten times as long
            return {key for key in rows.external_ids if key is not None}
    return _insert_missing(rows, batch.source, batch.now)


def _is_known(source: str, external_id: str | None) -> bool:
    if external_id is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {sets.name_of(Spend)} WHERE source = %s AND external_id = %s",  # noqa: S608  # names of ours
            [source, external_id],
        )
        return cursor.fetchone() is not None


def _copying(rows: _Rows, source: str, now: datetime) -> AbstractContextManager[None]:
    return sets.copying(
        Spend,
        {"source": source, "is_counted": True, "created_at": now},
        campaign_id=rows.campaigns,
        date=rows.dates,
        amount=rows.micros,
        occurred_at=rows.instants,
        external_id=rows.external_ids,
    )


def _insert_missing(rows: _Rows, source: str, now: datetime) -> set[str]:
    # One statement. `bulk_create(ignore_conflicts=True)` would not say what it inserted.
    reported, params = sets.table(
        "reported",
        campaign_id=("bigint", rows.campaigns),
        date=("date", rows.dates),
        amount=("bigint", rows.micros),
        occurred_at=("timestamptz", rows.instants),
        external_id=("text", rows.external_ids),
    )
    statement = (
        f"INSERT INTO {sets.name_of(Spend)}"  # noqa: S608  # names of ours
        " (campaign_id, date, amount, occurred_at, source, external_id, is_counted, created_at)"
        " SELECT campaign_id, date, amount, occurred_at, %s, external_id, %s, %s"
        # Without WHERE, SQLite would take ON for a part of the FROM.
        f" FROM {reported} WHERE TRUE"
        " ON CONFLICT (source, external_id) DO NOTHING RETURNING external_id"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            statement, [source, True, connection.ops.adapt_datetimefield_value(now), *params]
        )
        return {key for (key,) in cursor.fetchall() if key is not None}


@dataclass(frozen=True, slots=True)
class Before:
    """What was recorded under an id."""

    campaign_id: int
    date: date
    micros: int
    occurred_at: datetime | None


def recorded_under(source: str, external_ids: Sequence[str]) -> dict[str, Before]:
    """Return what `source` recorded under these ids; those that are new are left out."""
    rows = (
        row
        for chunk in chunks(external_ids)
        for row in Spend.objects.filter(source=source, external_id__in=chunk).values_list(
            "external_id", "campaign_id", "date", "amount", "occurred_at"
        )
    )
    return {
        external_id: Before(campaign_id, day, money.to_micros(amount), occurred_at)
        for external_id, campaign_id, day, amount, occurred_at in rows
        if external_id is not None
    }


def compared(line: Line, before: Line | Before) -> Result:
    """Return the answer to a line whose id was recorded before: a duplicate, or a conflict."""
    # Without a date its day followed from `occurred_at`, in a zone that may have changed since.
    same_day = line.date == before.date or (
        not line.date_was_given and line.occurred_at == before.occurred_at
    )
    if same_day and (line.campaign_id, line.micros) == (before.campaign_id, before.micros):
        return DUPLICATE
    return Result(
        Answer.CONFLICT,
        "conflict",
        "external_id",
        f"{line.external_id!r} was recorded before as {money.from_micros(before.micros):f} of campaign "
        f"{before.campaign_id} on {before.date}; use another id, or a negative amount to correct it",
    )


def _unfit_day(day: date, today: date, zone_name: str) -> Result | None:
    if day > today:
        return rejected(
            "future_date", "date", f"{day} is in the future; it is {today} in {zone_name}"
        )
    if day < (oldest := today - timedelta(days=settings.SPEND_MAX_AGE_DAYS)):
        return rejected(
            "date_too_old",
            "date",
            f"{day} is too long ago; the oldest day that is accepted is {oldest} "
            "(SPEND_MAX_AGE_DAYS)",
        )
    return None


def _unfit_instant(instant: datetime, now: datetime) -> tuple[str, str] | None:
    if instant.tzinfo is None:
        return "no_offset", "has no UTC offset; write 2026-01-31T09:00:00Z"
    if instant > now + periods.CLOCK_SKEW:
        return "future_date", f"{instant.isoformat()} is in the future; it is {now.isoformat()}"
    # Roughly: the day decides. But PostgreSQL stores the year 1 and then cannot read the row again.
    if instant < now - timedelta(days=settings.SPEND_MAX_AGE_DAYS + 2):
        words = f"{instant.isoformat()} is too long ago; it is {now.isoformat()}, and "
        words += f"{settings.SPEND_MAX_AGE_DAYS} days are the most (SPEND_MAX_AGE_DAYS)"
        return "date_too_old", words
    return None
