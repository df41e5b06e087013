"""Campaigns that run and spend nothing, and brands of which no campaign reports any spend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, F

from budgets.core.alerts import Change, running_time
from budgets.models import Alert, AlertKind, Brand, Campaign, PassRecord, Spend, StatusChange, sets
from budgets.services.alerts.raising import News
from budgets.services.transactions import chunks

BRANDS = 2000
"""Brands a run, one after the other: of 20,000 campaigns it takes a fraction of a second, and 100,000
brands are each looked at within the hour."""

PLACE = "alerts_silence"
"""The record of the brand up to which the last run came."""

LOOKED_BACK = timedelta(days=31)
"""How far running time is added up: a week of it, of a campaign that is open six hours a day."""


@dataclass(frozen=True, slots=True)
class _Quiet:
    """An active campaign without spend in its brand's hours; `newest` is its last row, 0: it has none."""

    campaign_id: int
    brand_id: int
    newest: int
    is_told: bool


def found(now: datetime) -> list[News]:
    """Return what is to be told of the next brands, and remember how far this run came.

    Silence is counted in hours of running: whoever is held spends nothing, and that is no news.
    """
    record = PassRecord.objects.filter(name=PLACE).first()
    last = int(record.counts.get("brand", 0)) if record else 0
    listening = Brand.objects.filter(alert_silence_hours__isnull=False)
    rows = listening.filter(pk__gt=last).order_by("pk").values_list("pk", "alert_silence_hours")
    hours = {pk: hours or 0 for pk, hours in rows[:BRANDS]}
    place = max(hours) if len(hours) == BRANDS else 0
    PassRecord.objects.update_or_create(
        name=PLACE, defaults={"at": now, "counts": {"brand": place}}
    )
    return _news(hours, now) if hours else []


def _news(hours: Mapping[int, int], now: datetime) -> list[News]:
    quiet = _quiet(hours, now)
    silent = [
        row
        for piece in chunks([row for row in quiet if not row.is_told])
        for row in _silent(piece, hours, now)
    ]
    if not silent:
        return []
    last_rows = Spend.objects.in_bulk([row.newest for row in silent if row.newest])
    campaigns = Campaign.objects.select_related("brand").in_bulk(
        [row.campaign_id for row in silent]
    )
    news = []
    for row in silent:
        campaign = campaigns.get(row.campaign_id)
        if campaign is None:
            continue  # deleted meanwhile
        last = last_rows.get(row.newest)
        news.append(
            News(
                kind=AlertKind.SILENT,
                brand=campaign.brand,
                campaign=campaign,
                period=str(row.newest),
                topic=("silence", row.brand_id),
                figures={
                    "hours": hours[row.brand_id],
                    "last_spend_at": last.created_at.isoformat() if last else None,
                },
            )
        )
    return [*news, *_stale_brands(quiet, news, hours)]


def _quiet(hours: Mapping[int, int], now: datetime) -> list[_Quiet]:
    """Return active campaigns without spend that was recorded in the last hours of their brand.

    Row by row backwards in the index, so that one row answers for a campaign that is spending.
    """
    since = [now - timedelta(hours=count) for count in hours.values()]
    brands, params = sets.table(
        "wanted",
        brand=("bigint", list(hours)),
        since=("timestamptz", since),
        # A day more: the dates are local.
        day=("date", [(instant - timedelta(days=1)).date() for instant in since]),
    )
    spend = sets.name_of(Spend)
    last = (
        f"COALESCE((SELECT id FROM {spend} WHERE campaign_id = campaign.id AND amount > 0"  # noqa: S608  # names of ours
        " ORDER BY date DESC, id DESC LIMIT 1), 0)"
    )
    lately = (
        f"(SELECT id FROM {spend} WHERE campaign_id = campaign.id AND date >= wanted.day"  # noqa: S608  # names of ours
        " AND created_at > wanted.since AND amount > 0 ORDER BY date DESC LIMIT 1)"
    )
    told = (
        f"EXISTS (SELECT 1 FROM {sets.name_of(Alert)} AS told WHERE told.kind = %s"  # noqa: S608  # names of ours
        " AND told.budget = '' AND told.subject = quiet.id"
        " AND told.period = CAST(quiet.newest AS text))"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, brand_id, newest, {told} FROM (SELECT campaign.id, campaign.brand_id,"  # noqa: S608  # names of ours
            f" {last} AS newest FROM {brands} JOIN {sets.name_of(Campaign)} AS campaign"
            f" ON campaign.brand_id = wanted.brand WHERE campaign.is_active AND {lately} IS NULL"
            ") AS quiet ORDER BY id",
            [AlertKind.SILENT.value, *params],
        )
        return [
            _Quiet(pk, brand_id, newest, bool(is_told))
            for pk, brand_id, newest, is_told in cursor.fetchall()
        ]


def _silent(quiet: Sequence[_Quiet], hours: Mapping[int, int], now: datetime) -> list[_Quiet]:
    """Return those that ran for so long since their last spend."""
    begins = now - LOOKED_BACK
    last_rows = Spend.objects.in_bulk([row.newest for row in quiet if row.newest])
    changes: dict[int, list[Change]] = defaultdict(list)
    logged = StatusChange.objects.filter(
        campaign_id__among=[row.campaign_id for row in quiet], at__gt=begins, at__lte=now
    ).order_by("campaign_id", "pk")
    # Another reason for the same state is no change of it.
    moved = logged.exclude(was_active=F("is_active"))
    for campaign_id, at, is_active in moved.values_list("campaign_id", "at", "is_active"):
        changes[campaign_id].append(Change(at, is_active))
    silent = []
    for row in quiet:
        last = last_rows.get(row.newest)
        since = max(last.created_at, begins) if last else begins
        theirs = [change for change in changes[row.campaign_id] if change.at > since]
        if running_time(theirs, since, now) >= timedelta(hours=hours[row.brand_id]):
            silent.append(row)
    return silent


def _stale_brands(
    quiet: Sequence[_Quiet], news: Sequence[News], hours: Mapping[int, int]
) -> list[News]:
    """Return brands of which every active campaign is quiet: one alert instead of one for each.

    Of a brand with one active campaign the alert about that says the same.
    """
    of_brand: dict[int, list[_Quiet]] = defaultdict(list)
    for row in quiet:
        of_brand[row.brand_id].append(row)
    brands = {one.brand.pk: one.brand for one in news if one.brand}
    active = _active_campaigns(brands)
    stale = [pk for pk in brands if len(of_brand[pk]) >= max(active.get(pk, 0), 2)]
    newest = _newest_of(stale)
    return [
        News(
            kind=AlertKind.REPORTS_STALE,
            brand=brands[pk],
            period=str(newest.get(pk, 0)),
            topic=("silence", pk),
            weight=1,
            figures={"hours": hours[pk], "campaigns": len(of_brand[pk])},
        )
        for pk in stale
    ]


def _active_campaigns(brand_ids: Collection[int]) -> dict[int, int]:
    rows = Campaign.objects.active().filter(brand_id__among=brand_ids)
    counted: Any = rows.values_list("brand_id").annotate(count=Count("pk")).order_by()
    return dict(counted)


def _newest_of(brand_ids: Collection[int]) -> dict[int, int]:
    """Return the last row of the ledger of each brand, held campaigns included."""
    is_wanted, keys = sets.among("brand_id", brand_ids)
    newest = (
        f"(SELECT id FROM {sets.name_of(Spend)} WHERE campaign_id = campaign.id AND amount > 0"  # noqa: S608  # names of ours
        " ORDER BY date DESC, id DESC LIMIT 1)"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT brand_id, COALESCE(MAX({newest}), 0) FROM {sets.name_of(Campaign)} AS campaign"  # noqa: S608  # names of ours
            f" WHERE {is_wanted} GROUP BY brand_id",
            [keys],
        )
        return dict(cursor.fetchall())
