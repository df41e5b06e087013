"""The demo: an agency on an empty database, and never anywhere else."""

from __future__ import annotations

import io
from datetime import datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command

from budgets.core.decision import Hold
from budgets.management import demo
from budgets.models import Brand, Campaign, Cause, Spend, StatusChange
from budgets.services import passes, reconciliation
from budgets.tests.builders import NOW, at, make_brand, make_campaign, write_spend

pytestmark = pytest.mark.django_db


def seed(now: datetime = NOW, *options: str) -> str:
    said = io.StringIO()
    with time_machine.travel(now, tick=False):
        call_command("seed_demo", *options, stdout=said)
    return said.getvalue().strip()


def test_makes_what_it_says() -> None:
    said = seed()

    rows = Spend.objects.count()
    running = Campaign.objects.active().count()
    assert said == (
        "Loaded the demo: 12 brands in 12 time zones, 60 campaigns of which "
        f"{running} run now, and 60 days of history in {rows:,} rows of spend."
    )
    assert (Brand.objects.count(), Campaign.objects.count()) == (12, 60)
    assert rows > 3000
    assert set(Spend.objects.values_list("source", flat=True)) == {"demo"}
    assert Spend.objects.filter(amount__lt=0).exists()
    assert not Spend.objects.uncounted().exists()
    assert {
        "Asia/Kolkata",
        "America/New_York",
        "Europe/Berlin",
        "Pacific/Auckland",
        "America/Los_Angeles",
        "Asia/Tokyo",
        "UTC",
    } <= set(Brand.objects.values_list("timezone", flat=True))


def test_shows_every_kind_of_state_for_a_reason() -> None:
    seed()

    assert set(Campaign.objects.values_list("hold", flat=True)) == {
        "",
        Hold.OPERATOR,
        Hold.BRAND_INACTIVE,
        Hold.NOT_STARTED,
        Hold.ENDED,
        Hold.BRAND_MONTHLY_BUDGET,
        Hold.OUTSIDE_HOURS,
    }
    assert reconciliation.check() == []


@pytest.mark.parametrize(
    "now",
    [
        at("2026-11-24T15:00Z"),
        at("2026-12-01T00:30Z"),
        at("2026-12-31T23:30Z"),
        at("2026-03-08T10:15Z"),
        at("2028-02-29T12:00Z"),
    ],
)
def test_is_believable_on_any_day(now: datetime) -> None:
    seed(now)

    days = Spend.objects.filter(date__gt=(now + timedelta(days=1)).date())
    assert not days.exists()
    over = [brand.name for brand in Brand.objects.all() if month_is_spent(brand)]
    assert over in ([], ["Fjord Coffee"])
    for brand in Brand.objects.all():
        assert brand.daily_budget is not None
        assert brand.total_daily_spend < brand.daily_budget
        assert brand.monthly_budget is not None
        assert brand.monthly_budget >= 3 * brand.daily_budget * 9 / 10
    assert reconciliation.check() == []


def month_is_spent(brand: Brand) -> bool:
    return brand.monthly_budget is not None and brand.total_monthly_spend >= brand.monthly_budget


def test_the_log_holds_decisions_only() -> None:
    seed()

    changes = StatusChange.objects.all()
    assert set(changes.values_list("at", flat=True)) == {NOW}
    assert changes.filter(cause=Cause.OPERATOR, actor=demo.ACTOR).count() == 3
    assert changes.filter(cause=Cause.SPEND, hold=Hold.BRAND_MONTHLY_BUDGET).count() == 5
    # Each campaign's first change begins where its row began.
    assert changes.filter(old_hold=Hold.UNDECIDED).count() == 60


def test_a_pass_afterwards_has_nothing_to_do() -> None:
    seed()

    assert passes.check_and_pause(NOW)["changes"] == 0


def test_is_the_same_for_everybody() -> None:
    made = []
    for _ in range(2):
        demo.load(NOW)
        rows = Spend.objects.values_list(
            "campaign__brand__name", "campaign__name", "date", "amount"
        )
        made.append(sorted(rows))
        StatusChange.objects.all()._raw_delete("default")
        Spend.objects.all()._raw_delete("default")
        Campaign.objects.all().delete()
        Brand.objects.all().delete()

    assert made[0] == made[1]


def test_a_second_time_is_refused_and_changes_nothing() -> None:
    seed()
    before = everything()

    with pytest.raises(CommandError, match="never touches a database that has data"):
        seed(NOW + timedelta(days=1))

    assert everything() == before


@pytest.mark.parametrize("with_spend", [False, True])
def test_a_database_that_has_data_is_refused(with_spend: bool) -> None:
    if with_spend:
        write_spend(make_campaign(), 5)
    else:
        make_brand()
    before = everything()

    with pytest.raises(CommandError, match="Give it an empty one"):
        seed()

    assert everything() == before


def test_where_it_is_not_wanted_by_all_means_it_leaves_data_alone() -> None:
    make_brand()
    before = everything()

    assert seed(NOW, "--if-empty") == "The database has data; the demo is left out."
    assert everything() == before


def everything() -> list[object]:
    return [
        list(model.objects.order_by("pk").values())
        for model in (Brand, Campaign, Spend, StatusChange)
    ]
