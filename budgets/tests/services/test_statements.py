"""What things cost, in statements: by batches, never by campaigns; nothing to do costs a probe."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from budgets.models import Brand, Campaign, Spend
from budgets.services import ingestion, passes
from budgets.services.ingestion import Answer
from budgets.services.queue import BATCH
from budgets.services.transactions import ROWS
from budgets.tests.builders import NOW, TODAY, event, make_brand, make_campaign
from budgets.tests.statements import plan_of, statements

pytestmark = pytest.mark.django_db

TOMORROW = NOW + timedelta(days=1)


def populate(brands: int, campaigns: int, *, spent_rows: int = 0) -> None:
    """Write brands with `campaigns` in all: active, decided, due tomorrow; at the speed of SQL."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Brand._meta.db_table} (name, daily_budget, due_at, spend_day)"  # noqa: S608  # our own table's name
            f" {numbers} SELECT 'Brand ' || i, 10, %s, %s FROM n",
            [brands, TOMORROW, TODAY],
        )
        first = Brand.objects.order_by("pk").values_list("pk", flat=True)[0]
        cursor.execute(
            f"INSERT INTO {Campaign._meta.db_table} (brand_id, name, is_active, hold, spend_day)"  # noqa: S608  # our own table's name
            f" {numbers} SELECT %s + i %% %s, 'Campaign ' || i, %s, '', %s FROM n",
            [campaigns, first, brands, True, TODAY],
        )
        first = Campaign.objects.order_by("pk").values_list("pk", flat=True)[0]
        if spent_rows:
            cursor.execute(
                f"INSERT INTO {Spend._meta.db_table} (campaign_id, date, amount, is_counted)"  # noqa: S608  # our own table's name
                f" {numbers} SELECT %s + i %% %s, %s, 0, %s FROM n",
                [spent_rows, first, campaigns, TODAY, True],
            )


def log_statements(changes: int) -> int:
    """Return how many statements more the log of so many changes may take than that of a few.

    Django sends SQLite 999 parameters at once, 111 rows of the log.
    """
    return 0 if connection.vendor == "postgresql" else changes // 100


def changing_pass(*, brands: int, campaigns_each: int) -> int:
    """Return the statements of a pass in which every campaign changes."""
    passes.reset(NOW)
    made = Brand.objects.bulk_create(
        Brand(name=f"{brands}x{campaigns_each} {at}", daily_budget=0) for at in range(brands)
    )
    Campaign.objects.bulk_create(
        Campaign(brand=brand, name=str(at)) for brand in made for at in range(campaigns_each)
    )
    counts: dict[str, int] = {}
    said = statements(lambda: counts.update(passes.reset(NOW)))
    assert counts["changes"] == brands * campaigns_each
    return len(said)


def test_a_pass_over_fifty_times_the_campaigns_costs_the_same() -> None:
    few = changing_pass(brands=1, campaigns_each=10)
    many = changing_pass(brands=1, campaigns_each=500)

    assert few <= many <= few + log_statements(500)


def test_a_pass_costs_by_batches_of_brands() -> None:
    one_batch = changing_pass(brands=BATCH, campaigns_each=1)
    two_batches = changing_pass(brands=2 * BATCH, campaigns_each=1)
    three_batches = changing_pass(brands=3 * BATCH, campaigns_each=1)

    assert three_batches - two_batches == two_batches - one_batch
    assert two_batches < 2 * one_batch


def test_midnight_costs_by_batches_too() -> None:
    def midnight(brands: int, campaigns: int) -> int:
        made = Brand.objects.bulk_create(
            Brand(name=f"{brands}x{campaigns} {at}", daily_budget=1) for at in range(brands)
        )
        rows = Campaign.objects.bulk_create(
            Campaign(brand=brand, name=str(at)) for brand in made for at in range(campaigns)
        )
        Spend.objects.bulk_create(Spend(campaign=row, date=TODAY, amount=1) for row in rows)
        passes.reset(NOW)
        counts: dict[str, int] = {}
        said = statements(lambda: counts.update(passes.reset(TOMORROW)))
        assert (counts["rolled"], counts["resumed"]) == (brands, brands * campaigns)
        Brand.objects.update(is_active=False)  # out of the next one's way
        passes.reset(TOMORROW)
        Brand.objects.write(due_at=TOMORROW + timedelta(days=400))
        return len(said)

    few = midnight(2, 10)
    many = midnight(4, 200)

    assert few <= many <= few + log_statements(800)


def test_an_idle_pass_over_100_000_campaigns_costs_as_much_as_over_100() -> None:
    passes.reset(NOW)
    populate(10, 100)
    little = statements(lambda: passes.reset(NOW))
    Campaign.objects.all().delete()
    Brand.objects.all().delete()
    populate(10_000, 100_000, spent_rows=100_000)
    assert Campaign.objects.count() == 100_000
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # as autovacuum does in time

    much = statements(lambda: passes.reset(NOW))

    assert len(much) == len(little)
    tables = (Brand._meta.db_table, Campaign._meta.db_table, Spend._meta.db_table)
    reading = [sql for sql in much if any(f'FROM "{table}"' in sql for table in tables)]
    assert len(reading) == 2  # uncounted spend, and due brands
    for sql, index in zip(reading, ("spend_uncounted", "brand_due"), strict=True):
        plan = plan_of(sql)
        assert index in plan
        assert "Seq Scan" not in plan
        assert "SCAN" not in plan


def test_ingestion_costs_by_chunks_not_by_events() -> None:
    campaigns = [make_campaign(make_brand(daily_budget=100_000)) for _ in range(5)]
    passes.check_and_pause(NOW)

    def batch(size: int) -> int:
        events = [
            event(campaigns[at % 5], 1, date=TODAY, external_id=f"{at} of {size}")
            for at in range(size)
        ]
        receipts = []
        said = statements(
            lambda: receipts.append(ingestion.record(events, source="platform", now=NOW))
        )
        assert receipts[0].count(Answer.RECORDED) == size
        return len(said)

    few, some = batch(10), batch(ingestion.COPIED_FROM - 1)
    one_chunk, two, three = batch(ROWS), batch(2 * ROWS), batch(3 * ROWS)

    assert few == some
    assert one_chunk == two == three
    # On PostgreSQL a large batch is copied: a savepoint to fall back to, and a look at one id.
    assert one_chunk == few + (3 if connection.vendor == "postgresql" else 0)
