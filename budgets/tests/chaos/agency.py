"""Whose money it is: brands whose budgets bind, in zones that fall back in these days, and others."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import psycopg

from budgets.tests.chaos.clock import START
from budgets.tests.oracle import BrandFact, CampaignFact, World

ZONES = ("UTC", "America/New_York", "America/Havana", "Asia/Kolkata", "Pacific/Auckland")
WINDOWS = ((0, 24), (6, 22), (22, 6), (0, 24))
MICROS = 1_000_000


def agency(rng: Random) -> World:
    """Return the facts; the last campaign of the first brand is paused, and stays so."""
    brands = []
    for place, zone in enumerate(ZONES):
        brand = BrandFact(
            zone=zone,
            daily=Decimal(rng.randint(15, 60)),
            monthly=Decimal(rng.randint(60, 150)) if place % 2 else None,
        )
        for number, (opens, closes) in enumerate(WINDOWS):
            brand.campaigns.append(
                CampaignFact(
                    opens=opens,
                    closes=closes,
                    daily=Decimal(rng.randint(8, 20)) if number == 1 else None,
                    monthly=Decimal(rng.randint(20, 60)) if number == 2 else None,
                    ends_on=(START + timedelta(days=2)).date() if number == place == 3 else None,
                )
            )
        brands.append(brand)
    return World(brands)


def settle_in(connection: psycopg.Connection[Any], world: World) -> None:
    """Write brands and campaigns as a neighbouring system does, and learn their keys."""
    for place, brand in enumerate(world.brands):
        brand.pk = _key(
            connection,
            "INSERT INTO budgets_brand (name, timezone, daily_budget, monthly_budget)"
            " VALUES (%s, %s, %s, %s) RETURNING id",
            f"Brand {place}",
            brand.zone,
            *map(micros, (brand.daily, brand.monthly)),
        )
        for number, campaign in enumerate(brand.campaigns):
            campaign.pk = _key(
                connection,
                "INSERT INTO budgets_campaign (brand_id, name, allowed_start_hour,"
                " allowed_end_hour, daily_budget, monthly_budget, ends_on)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
                *(brand.pk, f"Campaign {number}", campaign.opens, campaign.closes),
                *map(micros, (campaign.daily, campaign.monthly)),
                campaign.ends_on,
            )


def have_passes_every(connection: psycopg.Connection[Any], seconds: int) -> None:
    """Let beat send the passes more often than once a minute."""
    interval = _key(
        connection,
        "INSERT INTO django_celery_beat_intervalschedule (every, period)"
        " VALUES (%s, 'seconds') RETURNING id",
        seconds,
    )
    connection.execute(
        "UPDATE django_celery_beat_periodictask SET interval_id = %s"
        " WHERE task IN ('budgets.tasks.check_and_pause_campaigns',"
        " 'budgets.tasks.reset_daily_monthly_spend')",
        [interval],
    )


def micros(amount: Decimal | None) -> int | None:
    """Return whole micro-units, as the database keeps them."""
    return None if amount is None else int(amount * MICROS)


def _key(connection: psycopg.Connection[Any], statement: str, *params: Any) -> int:
    row = connection.execute(statement.encode(), params).fetchone()
    assert row is not None
    return int(row[0])
