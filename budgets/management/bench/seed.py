"""The data: brands of ten campaigns with windows, budgets, switches and flights of all kinds.

Everybody lives in UTC, so that one SQL statement can compete. Which campaign gets what is a function
of its number: every run, on every database, sees the same.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import F

from budgets.core import dayparting
from budgets.management.bench import reference, stage
from budgets.management.bench.stage import Stage
from budgets.models import Brand, Campaign, PassRecord, Spend
from budgets.services import passes, queue

SEED_AT = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
TODAY = SEED_AT.date()
FLIP_AT = SEED_AT.replace(hour=11, minute=0)
"""When a fifth of the windows opens or closes."""
MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)
EVENING = MIDNIGHT - timedelta(minutes=1)

CAMPAIGNS_A_BRAND = 10
SOURCE = "seed"

# `dice` is Knuth's multiplicative hash: its digits are as good as independent.
_NUMBERS = """
WITH RECURSIVE number(i) AS (
    SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM number WHERE i < %s
), campaign AS (
    SELECT i, (i - 1) / 10 + 1 AS brand, (i * 2654435761) %% 4294967296 / 65536 AS dice FROM number
), spent AS (
    SELECT i, brand, dice, (1 + dice %% 50) * 100000 AS amount FROM campaign
)
"""

_BRANDS = f"""
INSERT INTO budgets_brand (id, name, daily_budget, monthly_budget, is_active,
    total_daily_spend, total_monthly_spend, spend_day, zone_in_force)
{_NUMBERS}
SELECT brand, 'Brand ' || brand,
    CASE WHEN brand %% 10 IN (0, 1, 9) THEN NULL
         WHEN brand %% 10 = 7 THEN 20000000
         ELSE 60000000 END,
    CASE WHEN brand %% 100 = 33 THEN 20000000
         WHEN brand %% 10 >= 8 THEN 900000000 END,
    brand %% 50 <> 17, SUM(amount), SUM(amount), %s, 'UTC'
FROM spent GROUP BY brand ORDER BY brand
"""  # noqa: S608  # our own text

# A tenth has a weekly calendar, which on the weekdays of the benchmark is 8-20 again.
_OFFICE = dayparting.parse("Mon-Fri 8-20; Sat-Sun 11-17")

_CAMPAIGNS = f"""
INSERT INTO budgets_campaign (id, brand_id, name, is_enabled, daily_budget, monthly_budget,
    allowed_start_hour, allowed_end_hour, weekly_hours, starts_on, ends_on,
    total_daily_spend, total_monthly_spend, spend_day)
{_NUMBERS}
SELECT i, brand, 'Campaign ' || i, dice / 10 %% 20 <> 0,
    CASE WHEN dice / 200 %% 10 = 0 THEN 3000000 END,
    CASE WHEN dice / 200 %% 10 = 1 THEN 4000000 END,
    CASE WHEN dice %% 10 = 0 THEN 11 WHEN dice %% 10 IN (1, 6, 7) THEN 8
         WHEN dice %% 10 IN (8, 9) THEN 22 ELSE 0 END,
    CASE WHEN dice %% 10 IN (0, 6, 7) THEN 20 WHEN dice %% 10 = 1 THEN 11
         WHEN dice %% 10 IN (8, 9) THEN 6 ELSE 24 END,
    CASE WHEN dice %% 10 = 7 THEN '{_OFFICE}' END,
    CASE WHEN dice / 2000 %% 20 = 0 AND brand %% 3 = 0 THEN %s END,
    CASE WHEN dice / 2000 %% 20 = 0 AND brand %% 3 = 1 THEN %s
         WHEN dice / 2000 %% 20 = 0 AND brand %% 3 = 2 THEN %s END,
    amount, amount, %s
FROM spent ORDER BY i
"""  # noqa: S608  # our own text

_LEDGER = f"""
INSERT INTO budgets_spend (campaign_id, date, amount, source, external_id, is_counted)
{_NUMBERS}
SELECT i, %s, amount, '{SOURCE}', 'seed-' || i, TRUE FROM spent ORDER BY i
"""  # noqa: S608  # our own text

_CROSSINGS = """
INSERT INTO budgets_spend (campaign_id, date, amount, source, external_id)
SELECT campaign.id, %s, crossed.daily_budget / 5, 'raw', 'raw-' || campaign.id
FROM budgets_campaign AS campaign JOIN (
    SELECT id, daily_budget FROM budgets_brand
    WHERE is_active AND total_daily_spend < daily_budget
        AND (monthly_budget IS NULL OR total_monthly_spend < monthly_budget)
    ORDER BY id * 7919 %% 100003, id LIMIT %s
) AS crossed ON crossed.id = campaign.brand_id
ORDER BY campaign.id
"""


def build(where: Stage, campaigns: int) -> str:
    """Make the database of `campaigns` campaigns as it is at `SEED_AT`; our own pass decides first."""
    name = stage.migrated(where, f"seed{campaigns}")
    today, tomorrow = _date(TODAY), _date(TODAY + timedelta(days=1))
    yesterday = _date(TODAY - timedelta(days=1))
    with stage.unlimited() as cursor, transaction.atomic():
        cursor.execute(_BRANDS, [campaigns, today])
        cursor.execute(_CAMPAIGNS, [campaigns, tomorrow, today, yesterday, today])
        cursor.execute(_LEDGER, [campaigns, today])
        for statement in connection.ops.sequence_reset_sql(no_style(), [Brand, Campaign, Spend]):
            cursor.execute(statement)
    where.seal(name)
    stage.use(name)
    with stage.unlimited():
        queue.drain(SEED_AT)
        reference.verify(SEED_AT)
    no_full_check_after(SEED_AT)
    where.seal(name)
    return name


def exhaust(where: Stage, seed: str) -> str:
    """Make the database of `seed` as it is in the evening, when everybody has spent the day's budget."""
    name = where.copy(seed)
    stage.use(name)
    with stage.unlimited():
        Brand.objects.update(daily_budget=F("total_daily_spend"), monthly_budget=None)
        queue.drain(EVENING)
        reference.verify(EVENING)
    no_full_check_after(EVENING)
    where.seal(name)
    return name


def insert_crossings(brands: int) -> None:
    """Write raw rows, which no total knows, with which `brands` brands reach their daily budget."""
    with connection.cursor() as cursor:
        cursor.execute(_CROSSINGS, [_date(TODAY), brands])


def no_full_check_after(now: datetime) -> None:
    """Say that everything was checked at `now`: the passes timed are those of 14 minutes in 15."""
    PassRecord.objects.update_or_create(name=passes.FULL_CHECK, defaults={"at": now, "counts": {}})


def _date(day: date) -> Any:
    return connection.ops.adapt_datefield_value(day)
