"""Brands, campaigns and the log as programs see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from budgets.api.schemas import (
    BrandOut,
    CampaignOut,
    ChangeOut,
    ExplanationOut,
    Instant,
    PastStateOut,
    ReasonOut,
    Spent,
)
from budgets.core import money
from budgets.models import Brand, Campaign, StatusChange
from budgets.queries.explain import Explanation, Limit, PastState
from budgets.services import rollover
from budgets.services.rollover import Moment


def brands_out(brands: Iterable[Brand], now: datetime) -> list[BrandOut]:
    """Return brands as they stand on their local day at `now`."""
    rows = list(brands)
    moments = rollover.preview(rows, now)
    return [
        BrandOut(
            id=brand.pk,
            name=brand.name,
            is_active=brand.is_active,
            daily_budget=_money(brand.daily_budget),
            monthly_budget=_money(brand.monthly_budget),
            currency=brand.currency,
            timezone=brand.current_timezone,
            pending_timezone=brand.pending_timezone or None,
            stale_after_hours=brand.stale_after_hours,
            stale_policy=brand.stale_policy,
            last_report_at=brand.last_report_at and brand.last_report_at.astimezone(UTC),
            spend=_spent(brand, moments.get(brand.pk)),
            trouble=brand.trouble,
        )
        for brand in rows
    ]


def campaigns_out(campaigns: Iterable[Campaign], now: datetime) -> list[CampaignOut]:
    """Return campaigns, their brands at hand, as they stand on the brand's local day at `now`."""
    rows = list(campaigns)
    moments = rollover.preview({row.brand_id: row.brand for row in rows}.values(), now)
    return [_campaign(row, moments) for row in rows]


def changes_out(changes: Iterable[StatusChange]) -> list[ChangeOut]:
    """Return rows of the log."""
    return [
        ChangeOut(
            id=change.pk,
            campaign=change.campaign_id,
            brand=change.campaign.brand_id,
            at=change.at.astimezone(UTC),
            was_active=change.was_active,
            is_active=change.is_active,
            old_hold=change.old_hold,
            hold=change.hold,
            cause=change.cause,
            actor=change.actor,
            figures=change.figures,
        )
        for change in changes
    ]


def explanation_out(found: Explanation) -> ExplanationOut:
    """Return what holds a campaign, for programs."""
    return ExplanationOut(
        is_active=found.is_active,
        hold=found.hold,
        reasons=[_reason(it.hold, it.words, it.limit) for it in found.reasons],
        limits=[_reason(it.hold, "", it) for it in found.limits],
        currency=found.currency,
        allowed_start_hour=found.allowed_start_hour,
        allowed_end_hour=found.allowed_end_hour,
        weekly_hours=found.weekly_hours,
        timezone=found.zone,
        local_time=found.local_time,
        runs_again_at=_instant(found.runs_again_local),
        next_change_at=_instant(found.next_change_local),
        outlook=found.outlook,
        lag=found.lag,
        trouble=found.trouble,
    )


def past_out(found: PastState) -> PastStateOut:
    """Return a past state, for programs."""
    return PastStateOut(
        is_active=found.is_active,
        hold=found.hold,
        since=found.since,
        cause=found.cause,
        actor=found.actor,
        holds=list(found.holds),
        spent=_money(found.spent),
        budget=_money(found.budget),
        currency=found.currency,
        words=found.words,
    )


def _reason(hold: str, words: str, limit: Limit | None) -> ReasonOut:
    return ReasonOut(
        hold=hold,
        words=words,
        spent=limit and money.plain(limit.spent),
        budget=limit and money.plain(limit.budget),
        left=limit and money.plain(limit.left),
        budget_needed=limit and money.plain(limit.budget_needed),
    )


def _instant(local: datetime | None) -> Instant | None:
    return None if local is None else Instant(utc=local.astimezone(UTC), local=local)


def _campaign(row: Campaign, moments: Mapping[int, Moment]) -> CampaignOut:
    return CampaignOut(
        id=row.pk,
        brand=row.brand_id,
        name=row.name,
        external_id=row.external_id,
        is_enabled=row.is_enabled,
        is_active=row.is_active,
        hold=row.hold,
        daily_budget=_money(row.daily_budget),
        monthly_budget=_money(row.monthly_budget),
        allowed_start_hour=row.allowed_start_hour,
        allowed_end_hour=row.allowed_end_hour,
        weekly_hours=row.weekly_hours,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        currency=row.brand.currency,
        timezone=row.brand.current_timezone,
        spend=_spent(row, moments.get(row.brand_id)),
    )


def _spent(row: Brand | Campaign, moment: Moment | None) -> Spent:
    if moment is None:
        return Spent(
            date=None,
            today=money.plain(row.total_daily_spend),
            this_month=money.plain(row.total_monthly_spend),
        )
    purse = rollover.purse(row, moment.day.date)
    return Spent(
        date=moment.day.date,
        today=money.plain(purse.spent_today),
        this_month=money.plain(purse.spent_this_month),
    )


def _money(amount: Decimal | None) -> Any:
    return None if amount is None else money.plain(amount)
