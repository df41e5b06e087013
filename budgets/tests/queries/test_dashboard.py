"""What the dashboard asks of the database."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connection

from budgets.models import Brand
from budgets.queries import dashboard
from budgets.queries.dashboard import CampaignCount, Filter
from budgets.services import passes
from budgets.services.access import Sight
from budgets.tests.builders import NOW, TODAY, make_brand, make_campaign, write_changes
from budgets.tests.statements import plan_of, statements

pytestmark = pytest.mark.django_db

ALL = Sight(brand_ids=None)


def brand(name: str, today: int = 0, month: int = 0, **fields: object) -> Brand:
    spend_day = fields.pop("spend_day", TODAY)
    row = make_brand(name=name, **{"daily_budget": 100, "monthly_budget": 1000, **fields})
    # As the services write it: a new row starts without spend.
    Brand.objects.filter(pk=row.pk).write(
        total_daily_spend=today, total_monthly_spend=month, spend_day=spend_day, zone_in_force="UTC"
    )
    return row


def names(*settled: str) -> list[str]:
    over = dict.fromkeys(settled, 0.625)  # as it is at NOW in UTC
    return [row.name for row in dashboard.candidates(ALL, Filter(), over, NOW)]


def test_brands_are_proposed_by_the_larger_of_their_two_ratios() -> None:
    brand("day", today=60, month=60)
    brand("month", today=1, month=900)
    brand("neither", today=10, month=100)

    assert names() == ["month", "day", "neither"]


def test_who_is_far_behind_is_proposed_where_enough_of_the_day_is_over() -> None:
    brand("behind", today=5, month=800)
    brand("on plan", today=60, month=800)
    brand("idle")
    brand("near", today=85, month=800)

    assert names("UTC") == ["near", "behind", "on plan", "idle"]
    assert names("Asia/Tokyo") == ["near", "behind", "on plan", "idle"]


def test_who_is_far_behind_in_the_month_is_proposed_once_a_quarter_of_it_is_over() -> None:
    for name in ("a", "b"):
        brand(name, month=500, daily_budget=None)
    brand("behind", month=200, daily_budget=None)

    assert names() == ["a", "behind", "b"]


def test_a_budget_of_zero_is_reached_and_no_budget_is_never_near() -> None:
    brand("unlimited", today=10_000, month=10_000, daily_budget=None, monthly_budget=None)
    brand("zero", daily_budget=0)
    brand("near", today=99)

    assert names() == ["zero", "near", "unlimited"]


def test_totals_that_are_stale_everywhere_do_not_propose() -> None:
    brand("yesterday", today=100, month=100, spend_day=TODAY - timedelta(days=1))
    brand("last month", today=100, month=1000, spend_day=date(2026, 10, 31))
    brand("today", today=20)

    assert names() == ["today", "yesterday", "last month"]


def test_the_number_of_proposals_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "CANDIDATES", 2)
    for spent in (10, 30, 20):
        brand(f"spent {spent}", today=spent)

    assert names() == ["spent 30", "spent 20"]


def test_each_kind_is_proposed_however_many_there_are_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dashboard, "CANDIDATES", 6)
    for number in range(9):
        brand(f"reached {number}", today=100)
        brand(f"near {number}", today=90 - number)
        brand(f"behind {number}", today=1 + number, month=1 + number)

    assert names("UTC") == [
        *("reached 0", "near 0", "behind 0"),
        *("reached 1", "near 1", "behind 1"),
    ]


@pytest.mark.parametrize(
    ("need", "found"),
    [("reached", ["reached"]), ("near", ["near", "behind"]), ("behind", ["behind"]), ("x", [])],
)
def test_one_kind_alone_may_be_asked_for(need: str, found: list[str]) -> None:
    brand("reached", today=100)
    brand("near", today=90, monthly_budget=None)
    brand("behind", today=1, month=1)

    rows = dashboard.candidates(ALL, Filter(need=need), {"UTC": 0.625}, NOW)

    assert [row.name for row in rows] == found


def test_inactive_brands_come_last() -> None:
    brand("archived", today=100, is_active=False)
    brand("quiet")

    assert names() == ["quiet", "archived"]


def test_campaigns_are_counted_by_hold_and_by_brand() -> None:
    one, other = brand("one"), brand("other")
    make_campaign(one)
    make_campaign(one, is_enabled=False)
    make_campaign(other, is_enabled=False)
    passes.check_and_pause(NOW)

    assert dashboard.campaigns_by_hold(ALL) == {"": 1, "operator": 2}
    assert dashboard.campaigns_by_hold(Sight(brand_ids=frozenset({other.pk}))) == {"operator": 1}
    assert dashboard.campaign_counts([one.pk, other.pk]) == {
        one.pk: CampaignCount(running=1, held=1),
        other.pk: CampaignCount(running=0, held=1),
    }


def test_the_whole_knows_the_zones_and_where_enough_of_the_day_is_over() -> None:
    make_brand(timezone="UTC")  # 15:00
    make_brand(timezone="Asia/Tokyo")  # 0:00
    make_brand(timezone="Mars/Olympus")
    passes.check_and_pause(NOW)

    found = dashboard.whole(ALL, NOW)

    assert (found.brands, found.troubled) == (3, 1)
    assert found.zones == {"UTC", "Asia/Tokyo", "Mars/Olympus"}
    assert found.settled_zones == {"UTC": 0.62}


def test_a_zone_counts_as_it_is_in_force() -> None:
    waiting = brand("waiting", timezone="Asia/Tokyo")  # from its midnight in UTC on
    fresh = make_brand(name="fresh", timezone="Asia/Tokyo")

    def found(zone: str) -> list[int]:
        return [row.pk for row in dashboard.candidates(ALL, Filter(zone=zone), {}, NOW)]

    assert (found("UTC"), found("Asia/Tokyo")) == ([waiting.pk], [fresh.pk])


def test_the_last_changes_of_some_brands_are_found_by_index_however_quiet_they_are() -> None:
    quiet, loud = make_campaign(), make_campaign()
    write_changes(quiet, 30)
    write_changes(loud, 50)

    few = dashboard.last_changes(20, [quiet.brand_id])
    both = dashboard.last_changes(20, [quiet.brand_id, loud.brand_id])

    assert [change.campaign_id for change in few] == [quiet.pk] * 20
    assert [change.campaign_id for change in both] == [loud.pk] * 20
    assert dashboard.last_changes(20, []) == []
    [asked] = statements(lambda: dashboard.last_changes(20, [quiet.brand_id]))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # a table of eighty rows is read whole
    assert "status_change_by_campaign" in plan_of(asked)


@pytest.mark.postgres
def test_a_part_of_a_name_is_found_by_its_index() -> None:
    make_campaign(name="Autumn Sale")
    [asked] = statements(lambda: dashboard.matching_campaigns(ALL, Filter(text="umn s"), 20))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_indexscan = off")

    assert "budgets_campaign_name_part" in plan_of(asked.replace("%", "%%"))
