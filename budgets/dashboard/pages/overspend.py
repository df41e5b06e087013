"""The report of overspend: what was asked for, and the answer in words or for a spreadsheet."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.urls import reverse

from budgets.core import periods
from budgets.core.durations import in_words
from budgets.dashboard.filters import with_query
from budgets.dashboard.pages.campaign import FIRST_DAY
from budgets.dashboard.reader import Reader, Stamp
from budgets.dashboard.sheet import Cell
from budgets.models.brand import LONGEST_NAME
from budgets.queries import overspend
from budgets.queries.overspend import (
    LONGEST_PERIOD,
    Latency,
    NoSuchPlace,
    Overspend,
    Place,
    Wanted,
)
from budgets.services.imports import closest

HEADER = (
    "brand",
    "day",
    "budget_of",
    "currency",
    "budget",
    "spent",
    "beyond_budget",
    "in_crossing_batch",
    "reported_after_pause",
    "paused_at_utc",
    "time_zone",
    "reported_p50_seconds",
    "reported_p99_seconds",
    "stopped_p50_seconds",
    "stopped_p99_seconds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the address asks for: as it was typed, and as it is meant. `problems` are in words."""

    since: str
    until: str
    brand: str
    currency: str
    wanted: Wanted
    before: Place | None
    problems: list[str]

    @property
    def query(self) -> dict[str, str]:
        """The same as it stands in an address, without the place."""
        fields = {"from": self.since, "to": self.until, "brand": self.brand}
        return {**fields, "currency": self.currency}


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """A latency in words; empty where there is nothing to measure."""

    p50: str
    p99: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A brand's day beyond its budget; `drawn` (0-100) is the crossing batch's part of it."""

    key: str
    brand: str
    brand_url: str
    day: str
    of: str
    budget: str
    spent: str
    beyond: str
    share: str
    in_batch: str
    after: str
    paused: Stamp
    reported: Percentiles
    stopped: Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What the lines of one currency come to."""

    beyond: str
    in_batch: str
    after: str
    days: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on the page. The sums and latencies are of the lines that are shown."""

    asked: Asked
    lines: list[Line]
    sums: list[Sum]
    reported: Percentiles
    stopped: Percentiles
    is_part: bool
    older_url: str
    newest_url: str
    sheet_url: str
    last_day: str
    longest: int


def asked_for(typed: Mapping[str, str], reader: Reader) -> Asked:
    """Read what was asked for. What cannot be meant is told, and what is usual takes its place."""
    problems: list[str] = []
    last = periods.latest_date(reader.now)
    until = _day(typed, "to", last, problems)
    since = _day(typed, "from", periods.month_start(min(until, reader.now.date())), problems)
    if since > until:
        problems.append(f"from: {since} lies behind to: {until}; turn them round.")
        since = until
    if until - since >= LONGEST_PERIOD:
        problems.append(
            f"from: more than {LONGEST_PERIOD.days} days lie up to {until}; ask for fewer."
        )
        since = until - LONGEST_PERIOD + timedelta(days=1)
    currency = typed.get("currency", "").strip().upper()
    if currency and not re.fullmatch(r"[A-Z]{3}", currency, re.ASCII):
        problems.append("currency: write its three letters, such as EUR.")
        currency = ""
    return Asked(
        since=since.isoformat(),
        until=until.isoformat(),
        brand=typed.get("brand", "")[:LONGEST_NAME],
        currency=currency,
        wanted=Wanted(
            since=since,
            until=until,
            brand_id=_brand_id(typed.get("brand", ""), reader, problems),
            currency=currency,
        ),
        before=_place(typed.get("before", ""), problems),
        problems=problems,
    )


def build(asked: Asked, reader: Reader) -> Page:
    """Return the page that was asked for."""
    read = overspend.page(asked.wanted, reader.person, asked.before)
    address = reverse("overspend")
    newest = with_query(address, asked.query)
    return Page(
        asked=asked,
        lines=[_line(row, reader) for row in read.rows],
        sums=_sums(read, reader),
        reported=_percentiles(read.reported),
        stopped=_percentiles(read.stopped),
        is_part=bool(read.next or asked.before),
        older_url=with_query(address, {**asked.query, "before": str(read.next)})
        if read.next
        else "",
        newest_url=newest if asked.before else "",
        sheet_url=with_query(reverse("overspend-sheet"), asked.query),
        last_day=periods.latest_date(reader.now).isoformat(),
        longest=LONGEST_PERIOD.days,
    )


def sheet(asked: Asked, reader: Reader) -> Iterator[tuple[Cell, ...]]:
    """Yield all rows of the period, page by page, for a spreadsheet; see `HEADER`."""
    for page in overspend.pages(asked.wanted, reader.person):
        for row in page.rows:
            yield (
                row.brand,
                row.day.isoformat(),
                "month" if row.is_of_month else "day",
                row.currency,
                row.budget,
                row.spent,
                row.beyond,
                row.in_batch,
                row.after,
                f"{row.paused_at:%Y-%m-%d %H:%M:%S}",
                row.zone,
                *map(_seconds, (*row.reported, *row.stopped)),
            )


def _day(typed: Mapping[str, str], name: str, usual: date, problems: list[str]) -> date:
    text = typed.get(name, "")
    if not text:
        return usual
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"[\d-]{10}", text, re.ASCII) else None
    except ValueError:
        day = None
    if day is None:
        problems.append(f"{name}: that is no date; write it as 2026-01-31.")
        return usual
    if not FIRST_DAY <= day <= date(9000, 1, 1):
        problems.append(f"{name}: choose a day from {FIRST_DAY} on.")
        return usual
    return day


def _brand_id(name: str, reader: Reader, problems: list[str]) -> int | None:
    if not name:
        return None
    brands = reader.person.brands()
    is_name = "\x00" not in name and len(name) <= LONGEST_NAME
    found = (
        brands.filter(name=name.strip()).values_list("pk", flat=True).first() if is_name else None
    )
    if found is None:
        hint = closest(name, brands.order_by("pk"), ("name",)) if is_name else ""
        problems.append(
            f"brand: there is no brand {name[:60]!r}; {hint or 'write its whole name'}. "
            "These are all brands."
        )
    return found


def _place(text: str, problems: list[str]) -> Place | None:
    if not text:
        return None
    try:
        return Place.parse(text)
    except NoSuchPlace as error:
        problems.append(f"{error}. These are the last stops.")
        return None


def _line(row: Overspend, reader: Reader) -> Line:
    zone, currency = periods.zone_or_utc(row.zone), row.currency
    return Line(
        key=f"{row.brand_id}-{row.day.isoformat()}{'-month' if row.is_of_month else ''}",
        brand=row.brand,
        brand_url=reverse("brand", args=[row.brand_id]),
        day=row.day.isoformat(),
        of="month" if row.is_of_month else "day",
        budget=reader.money(row.budget, currency),
        spent=reader.money(row.spent, currency),
        beyond=reader.money(row.beyond, currency),
        share=reader.percent(row.beyond / row.budget) if row.budget else "",
        in_batch=reader.money(row.in_batch, currency),
        after=reader.money(row.after, currency),
        paused=reader.time(row.paused_at, zone),
        reported=_percentiles(row.reported),
        stopped=_percentiles(row.stopped),
    )


def _sums(read: overspend.Page, reader: Reader) -> list[Sum]:
    by_currency: dict[str, list[Overspend]] = defaultdict(list)
    for row in read.rows:
        by_currency[row.currency].append(row)
    nothing = Decimal(0)
    return [
        Sum(
            beyond=reader.money(sum((row.beyond for row in rows), nothing), currency),
            in_batch=reader.money(sum((row.in_batch for row in rows), nothing), currency),
            after=reader.money(sum((row.after for row in rows), nothing), currency),
            days=reader.counted(len(rows), "stop"),
        )
        for currency, rows in sorted(by_currency.items())
    ]


def _percentiles(latency: Latency) -> Percentiles:
    return Percentiles(p50=_lag(latency.p50), p99=_lag(latency.p99))


def _lag(span: timedelta | None) -> str:
    if span is None:
        return ""
    if timedelta(0) < span < timedelta(seconds=1):
        return f"{span / timedelta(milliseconds=1):.0f} ms"
    return in_words(span)


def _seconds(span: timedelta | None) -> Decimal | None:
    return None if span is None else Decimal(span // timedelta(microseconds=1)) / 1_000_000
