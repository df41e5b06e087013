"""One hand-written SQL statement that does the whole pass: what a set-based design can reach.

It repeats the rules in SQL, decides everybody every time, holds all its locks to the end, and is
wrong beside ingestion, because it decides on what it read before it waited. Here it runs alone.
"""

from __future__ import annotations

from datetime import date, datetime

from django.db import connection

STATEMENT = """
WITH fresh AS (
    UPDATE budgets_spend SET is_counted = true
    WHERE NOT is_counted AND date <= %(today)s RETURNING campaign_id, date, amount
), added AS (
    SELECT campaign_id, coalesce(sum(amount) FILTER (WHERE date = %(today)s), 0)::bigint AS day,
        coalesce(sum(amount) FILTER (WHERE date >= %(month)s), 0)::bigint AS month
    FROM fresh GROUP BY campaign_id
), added_to_brand AS (
    SELECT brand_id, sum(day)::bigint AS day, sum(month)::bigint AS month
    FROM added JOIN budgets_campaign ON id = campaign_id GROUP BY brand_id
), brand AS (
    SELECT id, is_active, daily_budget, monthly_budget, currency, spend_day,
        added.brand_id IS NOT NULL AS is_added,
        CASE WHEN spend_day = %(today)s THEN total_daily_spend ELSE 0 END
            + coalesce(added.day, 0) AS day,
        CASE WHEN spend_day >= %(month)s THEN total_monthly_spend ELSE 0 END
            + coalesce(added.month, 0) AS month
    FROM budgets_brand LEFT JOIN added_to_brand AS added ON brand_id = id
), campaign AS (
    SELECT c.id, c.hold AS old, c.spend_day, added.campaign_id IS NOT NULL AS is_added,
        c.is_enabled, c.starts_on, c.ends_on, c.allowed_start_hour, c.allowed_end_hour,
        c.weekly_hours, c.daily_budget, c.monthly_budget,
        CASE WHEN c.spend_day = %(today)s THEN c.total_daily_spend ELSE 0 END
            + coalesce(added.day, 0) AS day,
        CASE WHEN c.spend_day >= %(month)s THEN c.total_monthly_spend ELSE 0 END
            + coalesce(added.month, 0) AS month,
        brand.is_active AS brand_is_active, brand.currency,
        brand.daily_budget AS brand_daily, brand.day AS brand_day,
        brand.monthly_budget AS brand_monthly, brand.month AS brand_month
    FROM budgets_campaign AS c JOIN brand ON brand.id = c.brand_id
    LEFT JOIN added ON added.campaign_id = c.id
), decided AS (
    SELECT *, CASE
        WHEN NOT is_enabled THEN 'operator'
        WHEN NOT brand_is_active THEN 'brand_inactive'
        WHEN starts_on > %(today)s THEN 'not_started'
        WHEN ends_on < %(today)s THEN 'ended'
        WHEN brand_month >= brand_monthly OR brand_monthly = 0 THEN 'brand_monthly_budget'
        WHEN month >= monthly_budget OR monthly_budget = 0 THEN 'campaign_monthly_budget'
        WHEN brand_day >= brand_daily OR brand_daily = 0 THEN 'brand_daily_budget'
        WHEN day >= daily_budget OR daily_budget = 0 THEN 'campaign_daily_budget'
        WHEN weekly_hours IS NOT NULL THEN
            CASE get_bit(
                ('x' || substr(weekly_hours, 6 * %(weekday)s + 1, 6))::bit(24), %(hour)s
            ) WHEN 0 THEN 'outside_hours' ELSE '' END
        WHEN allowed_start_hour < allowed_end_hour
            AND NOT (allowed_start_hour <= %(hour)s AND %(hour)s < allowed_end_hour)
            THEN 'outside_hours'
        WHEN allowed_start_hour > allowed_end_hour
            AND %(hour)s < allowed_start_hour AND %(hour)s >= allowed_end_hour
            THEN 'outside_hours'
        ELSE '' END AS new
    FROM campaign
), differs AS (
    SELECT * FROM decided WHERE old <> new OR spend_day <> %(today)s OR is_added
), brands_written AS (
    UPDATE budgets_brand SET total_daily_spend = brand.day, total_monthly_spend = brand.month,
        spend_day = %(today)s
    FROM brand WHERE brand.id = budgets_brand.id
        AND (brand.spend_day <> %(today)s OR brand.is_added)
), campaigns_written AS (
    UPDATE budgets_campaign SET hold = differs.new, is_active = (differs.new = ''),
        total_daily_spend = differs.day, total_monthly_spend = differs.month,
        spend_day = %(today)s
    FROM differs WHERE differs.id = budgets_campaign.id
    RETURNING differs.id, differs.old, differs.new, differs.spend_day, differs.is_added,
        differs.currency, differs.brand_day, differs.brand_daily
)
INSERT INTO budgets_statuschange
    (campaign_id, at, was_active, is_active, old_hold, hold, cause, actor, figures)
SELECT id, %(now)s, old = '', new = '', old, new,
    CASE WHEN is_added THEN 'spend' WHEN spend_day <> %(today)s THEN 'rollover'
        ELSE 'schedule' END,
    'statement',
    jsonb_build_object('holds', jsonb_build_array(new), 'currency', currency,
        'spent', brand_day, 'budget', brand_daily)
FROM campaigns_written WHERE old <> new
"""


class Statement:
    """One SQL statement, for PostgreSQL."""

    name = "SQL"

    def run_pass(self, now: datetime) -> None:
        """Count, roll, decide, write and log."""
        today = now.date()
        values: dict[str, date | datetime | int] = {
            "today": today,
            "month": today.replace(day=1),
            "weekday": today.weekday(),
            "hour": now.hour,
            "now": now,
        }
        with connection.cursor() as cursor:
            # It takes longer than the product lets any statement take, and is at its best uncompiled.
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET jit = off")
            cursor.execute(STATEMENT, values)
