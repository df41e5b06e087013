"""What must be true after a run, from the rows alone: the ledger, what people wrote, and `decide`.

It reads tuples and shares nothing with the services, so that it can judge any implementation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from django.db import connection

from budgets.core.dayparting import Hours
from budgets.core.decision import BrandFacts, CampaignFacts, Facts, decide, reached, stale_at

READ_AT_ONCE = 10_000


class Mismatch(Exception):
    """A run left something behind that is not as the rules say."""


@dataclass(frozen=True, slots=True)
class Before:
    """The state before a run: what its log must begin with."""

    holds: Mapping[int, str]
    newest_change: int


class _Brand(NamedTuple):
    pk: int
    is_active: bool
    daily_budget: int | None
    monthly_budget: int | None
    spent_today: int
    spent_this_month: int
    spend_day: date
    stale_after_hours: int | None
    stale_policy: str
    last_report_at: datetime | None


class _Campaign(NamedTuple):
    pk: int
    brand_id: int
    is_enabled: bool
    daily_budget: int | None
    monthly_budget: int | None
    opens: int
    closes: int
    week: str | None
    starts_on: date | None
    ends_on: date | None
    is_active: bool
    hold: str
    spent_today: int
    spent_this_month: int
    spend_day: date


class _Spent(NamedTuple):
    today: int = 0
    this_month: int = 0

    def __add__(self, other: object) -> _Spent:
        if not isinstance(other, _Spent):
            return NotImplemented
        return _Spent(self.today + other.today, self.this_month + other.this_month)


def remember() -> Before:
    """Return the state before a run."""
    holds = dict(_rows("SELECT id, hold FROM budgets_campaign"))
    [(newest,)] = _rows("SELECT COALESCE(MAX(id), 0) FROM budgets_statuschange")
    return Before(holds, newest)


def verify(now: datetime, before: Before | None = None, *, rolled: bool = False) -> int:
    """Raise `Mismatch` unless every state, total and new log row is right; return how many changed.

    `rolled`: every total must speak of today. Without `before` the log is not looked at.
    """
    today = now.date()
    brands = {row[0]: _brand(row) for row in _rows(_BRANDS)}
    spent = _spent(today)
    spent_by_brand: dict[int, _Spent] = defaultdict(_Spent)
    campaigns = [_campaign(row) for row in _rows(_CAMPAIGNS)]
    for campaign in campaigns:
        spent_by_brand[campaign.brand_id] += spent[campaign.pk]
    known: dict[tuple[object, ...], str] = {}
    facts = {pk: _brand_facts(brand, spent_by_brand[pk], now) for pk, brand in brands.items()}
    for brand in brands.values():
        _verify_totals("brand", brand, spent_by_brand[brand.pk], today, rolled=rolled)
    for campaign in campaigns:
        _verify_totals("campaign", campaign, spent[campaign.pk], today, rolled=rolled)
        right = _hold(facts[campaign.brand_id], campaign, spent[campaign.pk], known)
        if campaign.hold != right or campaign.is_active != (not right):
            raise Mismatch(
                f"campaign {campaign.pk} is {_words(campaign.is_active, campaign.hold)}; "
                f"it should be {_words(not right, right)}"
            )
    return _verify_log(before, {it.pk: it.hold for it in campaigns}) if before else 0


def ledger_of(source: str) -> tuple[int, int]:
    """Return how many counted rows `source` has in the ledger, and their sum in micro-units."""
    [(count, total)] = _rows(
        "SELECT COUNT(*), COALESCE(SUM(amount), 0) FROM budgets_spend"
        " WHERE source = %s AND is_counted",
        [source],
    )
    return int(count), int(total)


def verify_ledger(source: str, rows: int, micros: int) -> None:
    """Raise `Mismatch` unless the ledger has exactly these rows of `source`, all of them counted."""
    if (found := ledger_of(source)) != (rows, micros):
        raise Mismatch(
            f"the ledger has {found[0]} rows of {source!r} with {found[1]} micro-units; "
            f"it should have {rows} with {micros}"
        )


_BRANDS = (
    "SELECT id, is_active, daily_budget, monthly_budget, total_daily_spend, total_monthly_spend,"
    " spend_day, stale_after_hours, stale_policy, last_report_at FROM budgets_brand"
)
_CAMPAIGNS = (
    "SELECT id, brand_id, is_enabled, daily_budget, monthly_budget, allowed_start_hour,"
    " allowed_end_hour, weekly_hours, starts_on, ends_on, is_active, hold, total_daily_spend,"
    " total_monthly_spend, spend_day FROM budgets_campaign"
)
_LEDGER = (
    "SELECT campaign_id, date, SUM(amount), MIN(CASE WHEN is_counted THEN 1 ELSE 0 END)"
    " FROM budgets_spend GROUP BY campaign_id, date"
)
_LOG = (
    "SELECT campaign_id, old_hold, hold, was_active, is_active FROM budgets_statuschange"
    " WHERE id > %s"
)


def _rows(statement: str, params: Sequence[int | str] = ()) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(params) or None)
        while rows := cursor.fetchmany(READ_AT_ONCE):
            yield from rows


def _date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _utc_or_none(value: datetime | None) -> datetime | None:
    return value and value.replace(tzinfo=UTC)


def _date_or_none(value: Any) -> date | None:
    return None if value is None else _date(value)


def _brand(row: tuple[Any, ...]) -> _Brand:
    brand = _Brand._make(row)
    return brand._replace(
        is_active=bool(brand.is_active),
        spend_day=_date(brand.spend_day),
        last_report_at=_utc_or_none(brand.last_report_at),
    )


def _campaign(row: tuple[Any, ...]) -> _Campaign:
    campaign = _Campaign._make(row)
    if connection.vendor == "postgresql":
        return campaign
    return campaign._replace(
        starts_on=_date_or_none(campaign.starts_on),
        ends_on=_date_or_none(campaign.ends_on),
        spend_day=_date(campaign.spend_day),
    )


def _spent(today: date) -> dict[int, _Spent]:
    """Add up the ledger: what is dated ahead waits, and nothing else may be uncounted."""
    spent: dict[int, _Spent] = defaultdict(_Spent)
    for campaign_id, day, amount, is_counted in _rows(_LEDGER):
        dated = _date(day)
        if dated > today:
            continue
        if not is_counted:
            raise Mismatch(f"campaign {campaign_id} has spend of {dated} that was not counted")
        if dated.replace(day=1) == today.replace(day=1):
            micros = int(amount)
            spent[campaign_id] += _Spent(micros if dated == today else 0, micros)
    return spent


def _brand_facts(brand: _Brand, spent: _Spent, now: datetime) -> BrandFacts:
    stale = stale_at(brand.last_report_at, brand.stale_after_hours)
    return BrandFacts(
        is_active=brand.is_active,
        day_is_spent=reached(spent.today, brand.daily_budget),
        month_is_spent=reached(spent.this_month, brand.monthly_budget),
        today=now.date(),
        hour=now.hour,
        waits_for_reports=brand.stale_policy == "hold" and stale is not None and stale <= now,
    )


def _hold(
    brand: BrandFacts, campaign: _Campaign, spent: _Spent, known: dict[tuple[object, ...], str]
) -> str:
    facts = CampaignFacts(
        is_enabled=bool(campaign.is_enabled),
        starts_on=campaign.starts_on,
        ends_on=campaign.ends_on,
        hours=Hours(campaign.opens, campaign.closes, campaign.week),
        day_is_spent=reached(spent.today, campaign.daily_budget),
        month_is_spent=reached(spent.this_month, campaign.monthly_budget),
    )
    if (brand, facts) not in known:
        holds = decide(Facts(brand=brand, campaign=facts))
        known[brand, facts] = holds[0].value if holds else ""
    return known[brand, facts]


def _verify_totals(
    what: str, row: _Brand | _Campaign, spent: _Spent, today: date, *, rolled: bool
) -> None:
    if rolled and row.spend_day != today:
        raise Mismatch(f"the totals of {what} {row.pk} speak of {row.spend_day}, not of {today}")
    same_month = row.spend_day.replace(day=1) == today.replace(day=1)
    stored = _Spent(
        row.spent_today if row.spend_day == today else 0,
        row.spent_this_month if same_month else 0,
    )
    if stored != spent:
        raise Mismatch(
            f"the totals of {what} {row.pk} are {stored.today} today and {stored.this_month} this "
            f"month; its ledger says {spent.today} and {spent.this_month}"
        )


def _verify_log(before: Before, after: Mapping[int, str]) -> int:
    changed = {pk: hold for pk, hold in after.items() if before.holds[pk] != hold}
    logged: set[int] = set()
    for campaign_id, old, new, was_active, is_active in _rows(_LOG, [before.newest_change]):
        if campaign_id in logged:
            raise Mismatch(f"the log has two changes of campaign {campaign_id}")
        logged.add(campaign_id)
        if (old, new) != (before.holds[campaign_id], after[campaign_id]) or (
            bool(was_active),
            bool(is_active),
        ) != (not old, not new):
            raise Mismatch(
                f"the log says that campaign {campaign_id} went from {old!r} to {new!r}; it went "
                f"from {before.holds[campaign_id]!r} to {after[campaign_id]!r}"
            )
    if logged != changed.keys():
        raise Mismatch(f"{len(changed)} campaigns changed, and {len(logged)} are in the log")
    return len(changed)


def _words(is_active: bool, hold: str) -> str:  # noqa: FBT001  # a state's two halves
    return f"{'active' if is_active else 'paused'} ({hold or 'no hold'})"
