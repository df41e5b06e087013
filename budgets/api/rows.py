"""Brands and campaigns as programs see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from budgets.api.schemas import BrandOut, CampaignOut, Spent
from budgets.core import money
from budgets.models import Brand, Campaign
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
