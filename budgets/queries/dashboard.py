"""What the dashboard shows of what somebody sees, in a fixed number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Case, Count, F, FloatField, Q, Value, When
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Greatest

from budgets.core import money
from budgets.core.pacing import FAR_BEHIND, SETTLED, Press
from budgets.core.periods import UnknownZone, earliest_date, month_end, month_start
from budgets.models import Brand, Campaign, StatusChange, sets
from budgets.models.brand import BrandQuerySet
from budgets.models.campaign import CampaignQuerySet
from budgets.queries.kept import Kept
from budgets.services import rollover
from budgets.services.access import Sight
from budgets.services.rollover import BrandRow

CANDIDATES = 60
"""Brands that the database proposes; the page orders these exactly and shows the first of each kind."""

CAMPAIGNS_A_BRAND = 10
"""About: what sums take is measured in campaigns."""

HELD_LOOKED_AT = 5_000
"""Campaigns of one hold whose brands are looked at: all of a rare hold, enough of a common one."""

FOUND_LOOKED_AT = 1_000
"""Names with the part that is searched for that are looked at; who finds more than these searches on."""

TRIGRAM = 3

LONGEST_TERM = 100
"""Characters of a search that are looked for: more than any name needs, and few enough for a pattern."""

RUNNING = "running"
"""What `Filter.hold` says for campaigns that nothing holds."""

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which brands to look at; empty: all of them.

    `text` is part of a brand's or a campaign's name. `hold` is one of `Hold`, or `RUNNING`: brands with
    a campaign in that state. `need` is one of `pacing.Press`.
    """

    text: str = ""
    zone: str = ""
    currency: str = ""
    hold: str = ""
    need: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether everything is looked at."""
        return self == Filter()


@dataclass(frozen=True, slots=True)
class CampaignCount:
    """How many campaigns of a brand run, and how many are held."""

    running: int = 0
    held: int = 0


@dataclass(slots=True)
class Sums:
    """Spend and budgets of a currency. Spend of brands that have no such budget stands apart."""

    currency: str
    brands: int = 0
    spent_today: Decimal = ZERO
    unlimited_today: Decimal = ZERO
    daily_budget: Decimal = ZERO
    has_daily_budget: bool = False
    spent_this_month: Decimal = ZERO
    unlimited_this_month: Decimal = ZERO
    monthly_budget: Decimal = ZERO
    has_monthly_budget: bool = False


@dataclass(slots=True)
class Whole:
    """All brands that somebody sees, summed: how many, where, and their money by currency."""

    brands: int = 0
    troubled: int = 0
    zones: set[str] = field(default_factory=set)
    settled_zones: dict[str, float] = field(default_factory=dict)
    """How much of the day is over, where it is enough for a brand to be far behind."""
    sums: dict[str, Sums] = field(default_factory=dict)


def campaigns_by_hold(sight: Sight) -> dict[str, int]:
    """Count the campaigns that somebody sees by hold; the empty one: active."""
    campaigns = sight.campaigns()
    if sight.brand_ids is not None:
        rows = campaigns.values_list("hold").order_by("hold")
        return dict(rows.annotate(count=Count("pk")))
    # The held ones from their own index, the others by subtraction: a quarter of grouping them all.
    table = sets.name_of(Campaign)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT hold, COUNT(*) FROM {table} WHERE NOT (hold = '') GROUP BY hold"  # noqa: S608  # names of ours
            f" UNION ALL SELECT '', COUNT(*) FROM {table}"
        )
        held = dict(cursor.fetchall())
    active = max(held.pop("") - sum(held.values()), 0)
    return {"": active, **held} if active else held


counts_kept = Kept[dict[str, int]]()
wholes_kept = Kept["Whole"]()


def kept_campaigns_by_hold(sight: Sight, moment: float) -> dict[str, int]:
    """Count the campaigns in `sight` by hold, or remember: see `Kept`."""
    return counts_kept.get(
        sight.brand_ids,
        lambda: campaigns_by_hold(sight),
        lambda found: sum(found.values()),
        moment,
    )


def kept_whole(sight: Sight, now: datetime, moment: float) -> Whole:
    """Sum up all brands in `sight`, or remember."""
    return wholes_kept.get(
        sight.brand_ids,
        lambda: whole(sight, now),
        lambda found: found.brands * CAMPAIGNS_A_BRAND,
        moment,
    )


def whole(sight: Sight, now: datetime) -> Whole:
    """Sum up all brands that somebody sees, each by its own local day."""
    found = Whole()
    for group in _groups(sight):
        _add(found, group, now)
    return found


def candidates(
    sight: Sight, wanted: Filter, settled: Mapping[str, float], now: datetime
) -> list[Brand]:
    """Return the brands that seem to need a person most, in no exact order, of those that are wanted.

    Each kind has its share of `CANDIDATES`; what one does not need the others take. Sixty that reached
    a budget must not hide who is far behind. First comes who is nearest to a budget, or farthest behind
    what `settled` says, for each zone, is over of the day, or of the month.

    The stored totals propose, they decide nothing: those whose day is over in some zones but not in all
    may be stale, floats are not exact, and nobody's hours are looked at. A stale total only ever seems
    nearer than it is, so that no brand near its budget is missed for it, unless others wait for their
    roll.
    """
    earliest = earliest_date(now)
    day = _ratio("daily", since=earliest)
    month = _ratio("monthly", since=month_start(earliest))
    lag = Greatest(_lag_of_day(day, settled), _lag_of_month(month, earliest))
    rows = _wanted(sight, wanted).annotate(nearness=Greatest(day, month), lag=lag).order_by()
    asked = [each for each in enumerate(_KINDS.items()) if wanted.need in ("", each[1][0])]
    if not asked:
        return []
    columns = rows.values("id", "name", "is_active", "nearness", "lag")
    try:
        scored, params = columns.query.sql_with_params()
    except EmptyResultSet:
        return []  # who sees no brand: there is nothing to ask
    # One reading of all brands: three questions, one for each kind, took twice as long.
    lists = " UNION ALL ".join(
        f"SELECT id, row_number() OVER (ORDER BY {order}) * {len(_KINDS)} + {at} AS turn FROM"  # noqa: S608  # ours
        f" (SELECT * FROM scored WHERE {condition} ORDER BY {order} LIMIT {CANDIDATES}) AS {kind.value}"
        for at, (kind, (condition, order)) in asked
    )
    brands = Brand.objects.raw(
        f"WITH scored AS MATERIALIZED ({scored}) SELECT brand.* FROM {sets.name_of(Brand)} AS brand"  # noqa: S608  # ours
        f" JOIN (SELECT id, MIN(turn) AS turn FROM ({lists}) AS listed GROUP BY id) AS proposed"
        f" ON proposed.id = brand.id ORDER BY turn LIMIT {CANDIDATES}",
        params,
    )
    return list(brands)


_KINDS: dict[Press, tuple[str, str]] = {
    Press.REACHED: ("is_active AND nearness >= 1", "nearness DESC, name"),
    # With those that need nobody, by how near they are; inactive ones last.
    Press.NEAR: ("nearness < 1 OR NOT is_active", "is_active DESC, nearness DESC, name"),
    Press.BEHIND: ("is_active AND nearness < 1 AND lag > -1", "lag DESC, name"),
}
"""Which scored brands may be of a kind, and who of them comes first."""


def matching_campaigns(sight: Sight, wanted: Filter, limit: int) -> list[Campaign]:
    """Return the first campaigns whose name or hold is what is wanted, with their brands.

    None unless one of these two is asked for: all campaigns of a zone are no answer, nor are those of
    brands that need somebody.
    """
    if wanted.need or not (wanted.text or wanted.hold):
        return []
    rows = _held(sight.campaigns(), wanted.hold).select_related("brand")
    if wanted.text:
        rows = rows.filter(_named(wanted.text))
    if wanted.zone:
        rows = rows.filter(_in_zone(wanted.zone, "brand__"))
    if wanted.currency:
        rows = rows.filter(brand__currency=wanted.currency)
    return list(rows.order_by("pk")[:limit])


def campaign_counts(brand_ids: Collection[int]) -> dict[int, CampaignCount]:
    """Count running and held campaigns of these brands."""
    rows = (
        Campaign.objects.filter(brand_id__among=brand_ids)
        .values_list("brand_id")
        .annotate(
            running=Count("pk", filter=Q(is_active=True)),
            held=Count("pk", filter=Q(is_active=False)),
        )
    )
    return {brand_id: CampaignCount(running, held) for brand_id, running, held in rows}


def last_changes(limit: int, brand_ids: Collection[int] | None = None) -> list[StatusChange]:
    """Return the last status changes, of all brands or of these, with campaigns, newest first."""
    rows = StatusChange.objects.all()
    if brand_ids is not None:
        rows = rows.filter(pk__in=_last_of_each(limit, brand_ids))
    return list(rows.select_related("campaign__brand").order_by("-pk")[:limit])


def _last_of_each(limit: int, brand_ids: Collection[int]) -> RawSQL:
    """Return SQL for the ids of the last changes of each campaign of some brands.

    By the index of campaign and id: looking for them in the log from its end on would read all of it
    where these brands are quiet.
    """
    log, campaigns = sets.name_of(StatusChange), sets.name_of(Campaign)
    is_wanted, keys = sets.among("campaign.brand_id", brand_ids)
    nth = f"SELECT id FROM {log} WHERE campaign_id = campaign.id ORDER BY id DESC LIMIT 1 OFFSET %s"  # noqa: S608  # names of ours
    return RawSQL(  # noqa: S611  # no input in it
        f"SELECT change.id FROM {campaigns} AS campaign JOIN {log} AS change"  # noqa: S608  # names of ours
        f" ON change.campaign_id = campaign.id AND change.id >= COALESCE(({nth}), 0)"
        f" WHERE {is_wanted}",
        [limit - 1, keys],
    )


def _wanted(sight: Sight, wanted: Filter) -> BrandQuerySet:
    """Return the brands that somebody sees and wants to look at."""
    rows = sight.brands()
    if wanted.zone:
        rows = rows.filter(_in_zone(wanted.zone))
    if wanted.currency:
        rows = rows.filter(currency=wanted.currency)
    if wanted.hold:
        order = ["pk"] if wanted.hold == RUNNING else ["hold", "pk"]  # as the indexes have them
        held = _held(sight.campaigns(), wanted.hold).order_by(*order)
        rows = rows.filter(pk__in=held.values("brand_id")[:HELD_LOOKED_AT])
    if wanted.text:
        # Two questions to two indexes: one OR across the join would answer from neither.
        brands = sight.brands().filter(_named(wanted.text)).order_by().values("pk")
        campaigns = sight.campaigns().filter(_named(wanted.text)).order_by().values("brand_id")
        rows = rows.filter(
            Q(pk__in=brands[:FOUND_LOOKED_AT]) | Q(pk__in=campaigns[:FOUND_LOOKED_AT])
        )
    return rows


def _named(text: str) -> Q:
    """Return the condition that a name has this part; of one or two letters, that it begins with them.

    So few are no trigram, and an index that finds parts of names does not find them.
    """
    return Q(name__istartswith=text) if len(text) < TRIGRAM else Q(name__icontains=text)


def _held(campaigns: CampaignQuerySet, hold: str) -> CampaignQuerySet:
    if not hold:
        return campaigns
    return campaigns.active() if hold == RUNNING else campaigns.filter(hold=hold)


def _in_zone(zone: str, brand: str = "") -> Q:
    """Return the condition that a zone is the one whose calendar counts now; see `Zoned`."""
    in_force, named = f"{brand}zone_in_force", f"{brand}timezone"
    return Q(**{in_force: zone}) | Q(**{in_force: "", named: zone})


def _lag_of_day(ratio: Case, settled: Mapping[str, float]) -> Case:
    """Return how far a brand is behind its day: above 0 far, -1 where it spent its part, or more."""
    by_share = defaultdict[float, list[str]](list)
    for zone, share in settled.items():
        by_share[share].append(zone)
    # A brand without any spend this month is not behind, it is idle.
    spends = Q(daily_budget__gt=0, total_monthly_spend__gt=0)
    return Case(
        *(
            When(spends & Q(zone_in_force__in=sorted(zones)), then=_lag(ratio, share))
            for share, zones in sorted(by_share.items())
        ),
        default=Value(-1.0),
        output_field=FloatField(),
    )


def _lag_of_month(ratio: Case, today: date) -> Case:
    """Return the same of its month."""
    share = (today.day - 1) / month_end(today).day
    spends = Q(monthly_budget__gt=0, total_monthly_spend__gt=0, spend_day__gte=month_start(today))
    whens = [When(spends, then=_lag(ratio, share))] if share >= SETTLED else []
    return Case(*whens, default=Value(-1.0), output_field=FloatField())


def _lag(ratio: Case, share: float) -> Any:
    return Value(1.0) - ratio / Value(float(FAR_BEHIND) * share)


def _ratio(period: str, *, since: date) -> Case:
    total = Cast(F(f"total_{period}_spend"), FloatField())
    budget = Cast(F(f"{period}_budget"), FloatField())
    return Case(
        When(Q(**{f"{period}_budget__isnull": True}), then=Value(0.0)),
        When(Q(**{f"{period}_budget": 0}), then=Value(1.0)),
        When(spend_day__gte=since, then=total / budget),
        default=Value(0.0),
        output_field=FloatField(),
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Brands that share currency, zone and day, and which budgets they have; amounts in micro-units."""

    currency: str
    timezone: str
    zone_in_force: str
    spend_day: date
    is_active: bool
    has_daily_budget: bool
    has_monthly_budget: bool
    brands: int
    troubled: int
    spent_today: int
    spent_this_month: int
    daily_budget: int
    monthly_budget: int

    def row(self) -> BrandRow:
        """Return them as if they were one brand."""
        return BrandRow(
            pk=0,
            name="",
            currency=self.currency,
            is_active=self.is_active,
            timezone=self.timezone,
            zone_in_force=self.zone_in_force,
            spend_day=self.spend_day,
            spent_today=self.spent_today,
            spent_this_month=self.spent_this_month,
            daily_budget=self.daily_budget,
            monthly_budget=self.monthly_budget,
            trouble="",
            stale_after_hours=None,
            stale_policy="",
            last_report_at=None,
            is_due=False,
            is_written=False,
            decided_at=None,
        )


_AMOUNTS = ("total_daily_spend", "total_monthly_spend", "daily_budget", "monthly_budget")


def _groups(sight: Sight) -> list[_Group]:
    where, params = "", list[str]()
    if sight.brand_ids is not None:
        is_seen, keys = sets.among("id", sight.brand_ids)
        where, params = f"WHERE {is_seen}", [keys]
    # SQLite fails when a sum outgrows 64 bits, which twenty absurd budgets do: whole units and the rest.
    total = (
        "SUM({0})"
        if connection.vendor == "postgresql"
        else "SUM({0} / 1000000) || ' ' || SUM({0} % 1000000)".replace("%", "%%")
    )
    sums = ", ".join(total.format(column) for column in _AMOUNTS)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT currency, timezone, zone_in_force, spend_day, is_active, daily_budget IS NOT NULL,"  # noqa: S608  # names of ours
            " monthly_budget IS NOT NULL, COUNT(*), COUNT(NULLIF(trouble, '')),"
            f" {sums} FROM {sets.name_of(Brand)} {where} GROUP BY 1, 2, 3, 4, 5, 6, 7",
            params,
        )
        return [_group(row) for row in cursor.fetchall()]


def _group(row: Sequence[Any]) -> _Group:
    day = row[3] if isinstance(row[3], date) else date.fromisoformat(row[3])
    flags, counts, sums = map(bool, row[4:7]), row[7:9], map(_micros, row[9:])
    return _Group(*[*row[:3], day, *flags, *counts, *sums])


def _micros(total: Decimal | str | None) -> int:
    if isinstance(total, str):
        units, rest = total.split()
        return int(units) * money.MICROS + int(rest)
    return int(total or 0)


def _add(found: Whole, group: _Group, now: datetime) -> None:
    found.brands += group.brands
    found.troubled += group.troubled
    row = group.row()
    found.zones.add(row.current_timezone)
    with suppress(UnknownZone):  # those brands are named in a banner
        moment = rollover.moment_at(row, now)
        over = (now - moment.day.starts_at) / (moment.day.ends_at - moment.day.starts_at)
        if over >= SETTLED:
            found.settled_zones[row.current_timezone] = round(over, 2)
        sums = found.sums.setdefault(group.currency, Sums(group.currency))
        sums.brands += group.brands
        purse = moment.purse
        if group.has_daily_budget:
            sums.spent_today += purse.spent_today
        else:
            sums.unlimited_today += purse.spent_today
        if group.has_monthly_budget:
            sums.spent_this_month += purse.spent_this_month
        else:
            sums.unlimited_this_month += purse.spent_this_month
        if group.is_active:
            sums.has_daily_budget |= group.has_daily_budget
            sums.has_monthly_budget |= group.has_monthly_budget
            sums.daily_budget += purse.daily_budget or ZERO
            sums.monthly_budget += purse.monthly_budget or ZERO
