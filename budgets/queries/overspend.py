"""What was spent beyond the budgets of brands, and why it could not be stopped earlier.

The log says when spend used up a brand's budget, and with which figures: how much was spent then, and
the budget that decided, whatever people made of it since. The ledger says what the day (for a monthly
budget the month) came to. So a stop has two parts, and they add up to the overspend exactly:

* what was *in the batch that crossed* the budget: spent when that batch was decided, less the budget.
  Spend and its pause commit together, so no spend of another transaction is part of it;
* what was *reported after the pause*: what the ledger holds now, less what was spent then. Credits
  that came later make it smaller, and may leave nothing beyond the budget.

A stop that was lifted later in its day or month (somebody raised the budget, a credit came) does not
count: the money was allowed after all, and if the new budget was crossed too, that is a stop of its
own. Days that went beyond their budget by late reports alone are not told: no decision was taken on
them, and so nobody knows which budget they had.

Latencies are exact percentiles by the nearest rank. *Reported*: from `occurred_at` to the row's
record, of all rows of the day or month that say when they happened. *Stopped*: from the record of the
rows at which the budget was reached, and of those after, until the pause; none of what came later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, Self

from django.db import connection
from django.db.models import Min, Q, QuerySet

from budgets.core import money, periods
from budgets.core.decision import Hold
from budgets.core.primary_keys import LARGEST_KEY
from budgets.models import Brand, Campaign, Cause, Spend, StatusChange, sets
from budgets.services.access import Sight

PAGE = 50
"""Stops a page: each has its rows summed and ranked."""
LONGEST_PERIOD = timedelta(days=92)

_WEAKEST_FIRST = tuple(reversed([hold for hold in Hold if hold is not Hold.UNDECIDED]))


def _weaker(hold: Hold) -> list[str]:
    """Return the states from which `hold` takes over only when it begins: the others hide it."""
    return ["", *(other.value for other in _WEAKEST_FIRST[: _WEAKEST_FIRST.index(hold)])]


_BEGINS = Q(hold=Hold.BRAND_DAILY_BUDGET.value, old_hold__in=_weaker(Hold.BRAND_DAILY_BUDGET)) | Q(
    hold=Hold.BRAND_MONTHLY_BUDGET.value, old_hold__in=_weaker(Hold.BRAND_MONTHLY_BUDGET)
)


class NoSuchPlace(ValueError):
    """A text that is no place in a report of ours."""

    def __init__(self) -> None:
        super().__init__("before: this is no place in the report; follow the page's own links")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the report, which is read by instant and brand, both falling."""

    at: datetime
    brand_id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; anything else raises `NoSuchPlace`."""
        at, _, key = text.partition("~")
        try:
            place = cls(datetime.fromisoformat(at), int(key) if len(key) < 20 else -1)
            if str(place) != text or not 0 <= place.brand_id <= LARGEST_KEY:
                raise NoSuchPlace
        except (ValueError, OverflowError):
            raise NoSuchPlace from None
        return place

    def __str__(self) -> str:
        return f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}~{self.brand_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which stops: local days from `since` to `until`, both included; of one brand, in one currency."""

    since: date
    until: date
    brand_id: int | None = None
    currency: str = ""


class Latency(NamedTuple):
    """Percentiles of how long something took; ``None``: there is nothing to measure."""

    p50: timedelta | None = None
    p99: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overspend:
    """A brand's day (or its month, by its day of the stop) beyond the budget that decided.

    `in_batch` and `after` add up to `beyond`. Amounts are in `currency`; `paused_at` is UTC.
    """

    brand_id: int
    brand: str
    currency: str
    zone: str
    day: date
    is_of_month: bool
    budget: Decimal
    spent: Decimal
    in_batch: Decimal
    after: Decimal
    paused_at: datetime
    reported: Latency
    stopped: Latency

    @property
    def beyond(self) -> Decimal:
        """What was spent beyond the budget."""
        return self.spent - self.budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Overspends, the last stop first; `next` is where earlier ones begin, maybe none of them beyond.

    `reported` and `stopped` are of all rows of the page together.
    """

    rows: Sequence[Overspend]
    next: Place | None
    reported: Latency = field(default=Latency())
    stopped: Latency = field(default=Latency())


class _Stop(NamedTuple):
    """A stop with the days whose rows it is about, and when these days are over."""

    change: StatusChange
    brand: Brand
    day: date
    since: date
    until: date
    ends_at: datetime

    @property
    def days(self) -> list[date]:
        """The day, or all days of the month."""
        count = (self.until - self.since).days + 1
        return [self.since + timedelta(days=number) for number in range(count)]


def page(wanted: Wanted, sight: Sight, before: Place | None = None) -> Page:
    """Return overspends of the brands in `sight`, in five statements."""
    found = list(_crossings(wanted, sight, before)[: PAGE + 1])
    more = Place(found[PAGE - 1][0], found[PAGE - 1][1]) if len(found) > PAGE else None
    changes = StatusChange.objects.select_related("campaign__brand").in_bulk(
        [pk for _, _, pk in found[:PAGE]]
    )
    stops = [
        stop
        for _, _, pk in found[:PAGE]
        if (stop := _stop(changes[pk])) and wanted.since <= stop.day <= wanted.until
    ]
    lifted = _lifted(stops)
    lasting: dict[tuple[int, str, date], _Stop] = {}
    for stop in stops:
        if stop.change.pk not in lifted:
            lasting.setdefault((stop.brand.pk, stop.change.hold, stop.since), stop)
    beyond = [
        (stop, spent) for stop, spent in _spent(list(lasting.values())) if spent > _budget(stop)
    ]
    latencies = _latencies([stop for stop, _ in beyond])
    return Page(
        rows=[
            _overspend(stop, spent, latencies, place) for place, (stop, spent) in enumerate(beyond)
        ],
        next=more,
        reported=latencies.get(("reported", None), Latency()),
        stopped=latencies.get(("stopped", None), Latency()),
    )


def pages(wanted: Wanted, sight: Sight) -> Iterator[Page]:
    """Yield all pages, one in memory at a time."""
    before: Place | None = None
    while True:
        read = page(wanted, sight, before)
        yield read
        before = read.next
        if before is None:
            return


def _crossings(
    wanted: Wanted, sight: Sight, before: Place | None
) -> QuerySet[StatusChange, tuple[datetime, int, int]]:
    """Return instant, brand and one log row of each transaction that crossed a brand's budget."""
    rows = StatusChange.objects.filter(
        _BEGINS,
        cause=Cause.SPEND.value,
        hold__in=[Hold.BRAND_DAILY_BUDGET.value, Hold.BRAND_MONTHLY_BUDGET.value],
        at__gte=_midnight(wanted.since) - periods.EASTERNMOST,
        at__lt=_midnight(wanted.until) + timedelta(days=1) + periods.EASTERNMOST,
    )
    if wanted.brand_id is not None:
        rows = rows.filter(campaign__brand_id=wanted.brand_id)
    if wanted.currency:
        rows = rows.filter(campaign__brand__currency=wanted.currency)
    rows = sight.of(rows, "campaign__brand")
    if before is not None:
        rows = rows.filter(at__lte=before.at)
        rows = rows.exclude(at=before.at, campaign__brand_id__gte=before.brand_id)
    return (
        rows.values_list("at", "campaign__brand_id")
        .annotate(first=Min("pk"))
        .order_by("-at", "-campaign__brand_id")
    )


def _stop(change: StatusChange) -> _Stop | None:
    """Return the stop that a change tells of; ``None`` where its day cannot be known."""
    brand = change.campaign.brand
    if change.figures.get("spent") is None or change.figures.get("budget") is None:
        return None
    try:
        zone = periods.zone_named(brand.current_timezone)
    except periods.UnknownZone:
        return None
    day = periods.local_day(zone, change.at)
    if change.hold == Hold.BRAND_DAILY_BUDGET:
        return _Stop(change, brand, day.date, day.date, day.date, day.ends_at)
    first = periods.month_start(day.date)
    last = periods.month_end(day.date)
    ends_at = periods.day_of(zone, last, change.at).ends_at
    return _Stop(change, brand, day.date, first, last, ends_at)


def _lifted(stops: Sequence[_Stop]) -> set[int]:
    """Return the keys of changes whose hold was lifted before their day or month was over."""
    if not stops:
        return set()
    table, params = sets.table(
        "stop",
        pk=("bigint", [stop.change.pk for stop in stops]),
        campaign=("bigint", [stop.change.campaign_id for stop in stops]),
        ends_at=("timestamptz", [stop.ends_at for stop in stops]),
        holding=("text", [f'%"{stop.change.hold}"%' for stop in stops]),
    )
    figures = "figures::text" if connection.vendor == "postgresql" else "figures"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT stop.pk FROM {table} WHERE EXISTS (SELECT 1"  # noqa: S608  # names of ours
            f" FROM {sets.name_of(StatusChange)} WHERE campaign_id = stop.campaign"
            " AND id > stop.pk AND at < stop.ends_at"
            # All holds that applied stand in the figures, the hidden ones too.
            f""" AND {figures} LIKE '%%"holds"%%' AND NOT {figures} LIKE stop.holding)""",
            params,
        )
        return {pk for (pk,) in cursor.fetchall()}


def _spent(stops: Sequence[_Stop]) -> list[tuple[_Stop, Decimal]]:
    """Return what each stop's day or month came to: counted rows, as in the totals."""
    if not stops:
        return []
    table, params = _table(stops)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH {_days(table)} SELECT day.place, SUM(spend.amount) {_ROWS} GROUP BY day.place",
            params,
        )
        sums = {place: money.from_micros(int(micros)) for place, micros in cursor.fetchall()}
    return [(stop, sums.get(place, Decimal(0))) for place, stop in enumerate(stops)]


def _latencies(stops: Sequence[_Stop]) -> Mapping[tuple[str, int | None], Latency]:
    """Return percentiles by measure and place of the stop; without a place: of all together."""
    if not stops:
        return {}
    table, params = _table(stops)
    took = {
        "reported": _lag("created_at", "occurred_at"),
        "stopped": _lag("paused_at", "created_at"),
    }
    ranked = ", ".join(
        f"ROW_NUMBER() OVER ({each} ORDER BY took) AS {name}_rank, COUNT(*) OVER ({each}) AS {name}_of"
        for name, each in (
            ("own", "PARTITION BY measure, place"),
            ("all", "PARTITION BY measure"),
        )
    )
    answers = [
        f"SELECT measure, {place}, {percent}, took FROM ranked"  # noqa: S608  # names of ours
        # The nearest rank: the least row at or above which that many percent lie.
        f" WHERE {name}_rank = ({name}_of * {percent} + 99) / 100"
        for name, place in (("own", "place"), ("all", "NULL"))
        for percent in (50, 99)
    ]
    statement = (
        f"WITH {_days(table)}, spent AS (SELECT day.place, day.paused_at, day.budget,"  # noqa: S608  # names of ours
        " spend.created_at, spend.occurred_at, SUM(spend.amount) OVER (PARTITION BY day.place"
        f" ORDER BY spend.created_at, spend.id) AS so_far {_ROWS}), measured AS ("
        f"SELECT 'reported' AS measure, place, {took['reported']} AS took FROM spent"
        " WHERE occurred_at IS NOT NULL"
        f" UNION ALL SELECT 'stopped', place, {took['stopped']} FROM spent"
        " WHERE so_far >= budget AND created_at <= paused_at),"
        f" ranked AS (SELECT measure, place, took, {ranked} FROM measured)"
        f" {' UNION ALL '.join(answers)}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows = cursor.fetchall()
    found: dict[tuple[str, int | None], dict[int, timedelta]] = {}
    for measure, place, percent, span in rows:
        lasted = span if isinstance(span, timedelta) else timedelta(microseconds=span)
        # A reporter's clock that is ahead did not report before it happened.
        found.setdefault((measure, place), {})[percent] = max(lasted, timedelta(0))
    return {key: Latency(by.get(50), by.get(99)) for key, by in found.items()}


_ROWS = (
    f"FROM day JOIN {Spend._meta.db_table} AS spend ON spend.campaign_id = day.campaign_id"
    " AND spend.date = day.date AND spend.is_counted"
)


def _days(table: str) -> str:
    """Return a common table: each day of each stop with each campaign of its brand.

    Materialized, so that rows are looked up by campaign and day together. Of a join with the two
    apart PostgreSQL read all days of each campaign: 4 s instead of 0.2 s for 100,000 rows.
    """
    return (
        "day AS MATERIALIZED (SELECT stop.place, stop.date, stop.paused_at, stop.budget,"  # noqa: S608  # names of ours
        f" campaign.id AS campaign_id FROM {table} JOIN {Campaign._meta.db_table} AS campaign"
        " ON campaign.brand_id = stop.brand)"
    )


def _table(stops: Sequence[_Stop]) -> tuple[str, list[str]]:
    """Return a table of the days of each stop."""
    days = [(place, stop, day) for place, stop in enumerate(stops) for day in stop.days]
    return sets.table(
        "stop",
        place=("int", [place for place, _, _ in days]),
        brand=("bigint", [stop.brand.pk for _, stop, _ in days]),
        date=("date", [day for _, _, day in days]),
        paused_at=("timestamptz", [stop.change.at for _, stop, _ in days]),
        budget=("bigint", [money.to_micros(_budget(stop)) for _, stop, _ in days]),
    )


def _lag(later: str, earlier: str) -> str:
    """Return SQL for the time between two columns, as the database has it."""
    sql, _ = connection.ops.subtract_temporals("DateTimeField", (later, ()), (earlier, ()))
    return sql


def _overspend(
    stop: _Stop,
    spent: Decimal,
    latencies: Mapping[tuple[str, int | None], Latency],
    place: int,
) -> Overspend:
    budget, then = _budget(stop), Decimal(stop.change.figures["spent"])
    return Overspend(
        brand_id=stop.brand.pk,
        brand=stop.brand.name,
        currency=stop.brand.currency,
        zone=stop.brand.current_timezone,
        day=stop.day,
        is_of_month=stop.change.hold == Hold.BRAND_MONTHLY_BUDGET,
        budget=budget,
        spent=spent,
        in_batch=then - budget,
        after=spent - then,
        paused_at=stop.change.at.astimezone(UTC),
        reported=latencies.get(("reported", place), Latency()),
        stopped=latencies.get(("stopped", place), Latency()),
    )


def _budget(stop: _Stop) -> Decimal:
    return Decimal(stop.change.figures["budget"])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
