"""What the database knows of our health."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from budgets.models import Brand, Campaign, PassRecord, Spend
from budgets.queries import health
from budgets.services import passes
from budgets.services.access import EVERYTHING

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = date(2026, 3, 10)


def campaign_in(zone: str) -> Campaign:
    brand = Brand.objects.create(name=zone, timezone=zone)
    return Campaign.objects.create(brand=brand, name="Search")


def lay_down(campaign: Campaign, day: date, since: datetime) -> None:
    """Write a row by a road that does not count."""
    Spend.objects.bulk_create([Spend(campaign=campaign, date=day, amount=1, created_at=since)])


def test_rows_whose_day_has_come_wait_and_the_oldest_is_named() -> None:
    campaign = campaign_in("UTC")
    passes.check_and_pause(NOON)
    lay_down(campaign, TODAY, NOON - timedelta(minutes=2))
    lay_down(campaign, TODAY - timedelta(days=3), NOON - timedelta(minutes=9))

    waiting = health.waiting(NOON, EVERYTHING)

    assert (waiting.count, waiting.oldest) == (2, NOON - timedelta(minutes=9))
    assert not waiting.is_capped


def test_a_row_dated_ahead_of_its_brands_day_waits_rightly() -> None:
    # At 02:00 UTC it is still yesterday in Los Angeles and today in Tokyo.
    night = NOON - timedelta(hours=10)
    west, east = campaign_in("America/Los_Angeles"), campaign_in("Asia/Tokyo")
    passes.check_and_pause(night)
    lay_down(west, TODAY, night)
    assert health.waiting(night, EVERYTHING).count == 0

    lay_down(east, TODAY, night)
    assert health.waiting(night, EVERYTHING).count == 1


def test_counted_rows_do_not_wait() -> None:
    campaign = campaign_in("UTC")
    lay_down(campaign, TODAY, NOON)

    passes.check_and_pause(NOON)

    assert health.waiting(NOON, EVERYTHING) == health.Waiting(count=0, oldest=None)


def test_the_count_of_waiting_rows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "COUNTED_UP_TO", 3)
    campaign = campaign_in("UTC")
    passes.check_and_pause(NOON)
    for _ in range(5):
        lay_down(campaign, TODAY, NOON)

    waiting = health.waiting(NOON, EVERYTHING)

    assert waiting.count == 3
    assert waiting.is_capped


def test_a_pass_is_late_when_it_stayed_away_longer_than_allowed_or_never_came() -> None:
    PassRecord.objects.create(name="fresh", at=NOON - timedelta(seconds=180))
    PassRecord.objects.create(name="old", at=NOON - timedelta(seconds=181))
    allowed = dict.fromkeys(["fresh", "old", "never"], timedelta(seconds=180))

    ages = health.pass_ages(health.pass_records(), allowed, NOON)

    assert {age.name: age.is_late for age in ages} == {"fresh": False, "old": True, "never": True}


def test_a_migration_that_the_database_has_not_seen_is_pending() -> None:
    assert health.pending_migrations() == []

    MigrationRecorder(connection).record_unapplied("budgets", "0001_initial")

    assert health.pending_migrations() == ["budgets.0001_initial"]


def test_brands_that_cannot_be_processed_are_named_with_the_reason() -> None:
    campaign_in("UTC")
    broken = campaign_in("Europe/Berlin").brand
    Brand.objects.filter(pk=broken.pk).update(timezone="Mars/Olympus")
    passes.check_and_pause(NOON)

    [(name, trouble)] = health.troubled_brands(5, EVERYTHING)

    assert name == "Europe/Berlin"
    assert "Mars/Olympus" in trouble
