"""What the dashboard asks of the database."""

from datetime import UTC, date, datetime, timedelta

import pytest

from budgets.models import Brand, Campaign
from budgets.queries import dashboard
from budgets.queries.dashboard import CampaignCount
from budgets.services import passes
from budgets.services.access import EVERYTHING

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = date(2026, 3, 10)


def brand(name: str, today: int = 0, month: int = 0, **fields: object) -> Brand:
    spend_day = fields.pop("spend_day", TODAY)
    values = {"daily_budget": 100, "monthly_budget": 1000, **fields}
    brand = Brand.objects.create(name=name, **values)
    # As the services write it: a new row starts without spend.
    Brand.objects.filter(pk=brand.pk).write(
        total_daily_spend=today, total_monthly_spend=month, spend_day=spend_day
    )
    return brand


def names() -> list[str]:
    return [brand.name for brand in dashboard.nearest_brands(NOON, EVERYTHING)]


def test_brands_are_proposed_by_the_larger_of_their_two_ratios() -> None:
    brand("day", today=60, month=60)
    brand("month", today=1, month=900)
    brand("neither", today=10, month=100)

    assert names() == ["month", "day", "neither"]


def test_a_budget_of_zero_is_reached_and_no_budget_is_never_near() -> None:
    brand("unlimited", today=10_000, month=10_000, daily_budget=None, monthly_budget=None)
    brand("zero", daily_budget=0)
    brand("near", today=99)

    assert names() == ["zero", "near", "unlimited"]


def test_totals_that_are_stale_everywhere_do_not_propose() -> None:
    brand("yesterday", today=100, month=100, spend_day=TODAY - timedelta(days=1))
    brand("last month", today=100, month=1000, spend_day=date(2026, 2, 28))
    brand("today", today=20)

    assert names() == ["today", "yesterday", "last month"]


def test_the_number_of_proposals_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "CANDIDATES", 2)
    for spent in (10, 30, 20):
        brand(f"spent {spent}", today=spent)

    assert names() == ["spent 30", "spent 20"]


def test_inactive_brands_come_last() -> None:
    brand("archived", today=100, is_active=False)
    brand("quiet")

    assert names() == ["quiet", "archived"]


def test_campaigns_are_counted_by_hold_and_by_brand() -> None:
    one, other = brand("one"), brand("other")
    Campaign.objects.create(brand=one, name="a")
    Campaign.objects.create(brand=one, name="b", is_enabled=False)
    Campaign.objects.create(brand=other, name="c", is_enabled=False)
    passes.check_and_pause(NOON)

    assert dashboard.campaigns_by_hold(EVERYTHING) == {"": 1, "operator": 2}
    assert dashboard.campaign_counts([one.pk, other.pk]) == {
        one.pk: CampaignCount(running=1, held=1),
        other.pk: CampaignCount(running=0, held=1),
    }
