"""The dashboard's values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets.core.decision import Hold
from budgets.dashboard.pages import overview as page
from budgets.dashboard.pages.overview import BrandLine, Page
from budgets.models import Brand, Campaign
from budgets.queries import dashboard
from budgets.queries.dashboard import CampaignCount
from budgets.services import editing, ingestion, passes
from budgets.services.access import EVERYTHING
from budgets.services.ingestion import SpendEvent

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = date(2026, 3, 10)


def make_brand(name: str, spent: str | None = None, **fields: object) -> Brand:
    """Create a brand with one campaign that spent `spent` today."""
    brand = Brand.objects.create(
        name=name, **{"daily_budget": 100, "monthly_budget": 1000, "currency": "EUR", **fields}
    )
    campaign = Campaign.objects.create(brand=brand, name=f"Search {name}")
    if spent is not None:
        spend(campaign, spent)
    return brand


def spend(campaign: Campaign, amount: str, day: date = TODAY, now: datetime = NOON) -> None:
    event = SpendEvent(campaign_id=campaign.pk, amount=amount, date=day)
    receipt = ingestion.record([event], source="tests", now=now)
    assert receipt.results == (ingestion.RECORDED,)


def build(now: datetime = NOON) -> Page:
    may = {"may_open_brands": True, "may_open_campaigns": True, "may_add_brands": True}
    return page.build(now, EVERYTHING, **may)


def line(name: str, now: datetime = NOON) -> BrandLine:
    return next(line for line in build(now).nearest if line.name == name)


def test_campaigns_are_counted_by_what_holds_them_and_the_slices_fill_the_bar() -> None:
    make_brand("spent", "100")
    make_brand("fine", "1")
    off = make_brand("off")
    editing.set_enabled([off.campaigns.get().pk], enabled=False, by="ana", now=NOON)
    passes.check_and_pause(NOON)

    built = build()

    assert {hold.words: hold.count for hold in built.holds if hold.count} == {
        "running": 1,
        "brand's daily budget reached": 1,
        "paused by operator": 1,
    }
    assert (built.running, built.campaigns, built.brands) == (1, 3, 3)
    assert built.summary == "1 of 3 campaigns run."
    assert sum(Decimal(hold.width) for hold in built.holds) == pytest.approx(100, abs=0.01)


def test_every_reason_has_words_and_a_shape() -> None:
    assert set(page.KINDS) == set(Hold)
    assert len(build().holds) == len(Hold) + 1


def test_brands_are_ordered_by_the_nearer_of_their_budgets_and_inactive_ones_come_last() -> None:
    make_brand("by day", "60")
    make_brand("by month", "70", daily_budget=None, monthly_budget=100)
    make_brand("over", "130")
    make_brand("inactive", "120", is_active=False)
    make_brand("unlimited", "500", daily_budget=None, monthly_budget=None)

    names = [line.name for line in build().nearest]

    assert names == ["over", "by month", "by day", "unlimited", "inactive"]


def test_a_budget_is_reached_to_the_last_micro_unit_and_not_before() -> None:
    make_brand("below", "99.999999")
    make_brand("exact", "100")

    below, exact = line("below").day, line("exact").day

    assert (below.spent, below.percent, below.level) == ("99.999999", 99, "near")
    assert (exact.spent, exact.percent, exact.level) == ("100.00", 100, "reached")


def test_bars_are_drawn_within_their_bounds() -> None:
    make_brand("over", "1250.50", daily_budget=1000)
    refunded = make_brand("refunded")
    spend(refunded.campaigns.get(), "-5")

    over, under = line("over").day, line("refunded").day

    assert (over.spent, over.budget, over.percent, over.width) == (
        "1,250.50",
        "1,000.00",
        125,
        "100.00",
    )
    assert (under.spent, under.width, under.level) == ("-5.00", "0.00", "calm")


def test_a_budget_of_zero_is_reached_and_no_budget_has_no_bar() -> None:
    make_brand("zero", daily_budget=0, monthly_budget=None)

    zero = line("zero")

    assert (zero.day.percent, zero.day.level) == (100, "reached")
    assert (zero.month.budget, zero.month.level) == ("", "unlimited")


def test_totals_of_another_local_day_count_as_zero_without_any_pass() -> None:
    make_brand("Kolkata", "100", timezone="Asia/Kolkata")
    make_brand("New York", "100", timezone="America/New_York")

    # 19:00 UTC is past midnight in Kolkata, and afternoon in New York.
    evening = NOON + timedelta(hours=7)

    assert line("Kolkata", evening).day.spent == "0.00"
    assert line("Kolkata", evening).month.spent == "100.00"
    assert line("Kolkata", evening).local_time == "Wed 11 Mar, 00:30"
    assert line("New York", evening).day.spent == "100.00"
    assert line("New York", evening).local_time_iso == "2026-03-10T15:00-04:00"


def test_totals_of_another_month_count_as_zero() -> None:
    make_brand("Acme", "100")

    assert line("Acme", NOON + timedelta(days=30)).month.spent == "0.00"


def test_a_pending_time_zone_is_shown() -> None:
    brand = make_brand("Acme", "1")
    brand.timezone = "Asia/Tokyo"
    editing.save(brand, by="ana", now=NOON)

    acme = line("Acme")

    assert (acme.zone, acme.pending_zone) == ("UTC", "Asia/Tokyo")


def test_the_brands_shown_are_bounded_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page, "SHOWN_BRANDS", 2)
    for spent in (10, 50, 30):
        make_brand(f"spent {spent}", str(spent))

    built = build()

    assert [line.name for line in built.nearest] == ["spent 50", "spent 30"]
    assert built.more_brands == 1
    assert built.nearest[0].campaigns == CampaignCount(running=1, held=0)


def test_a_brand_in_trouble_is_named_and_the_others_are_shown() -> None:
    make_brand("broken", timezone="Mars/Olympus")
    make_brand("fine", "1")
    passes.check_and_pause(NOON)

    built = build()

    assert [line.name for line in built.nearest] == ["fine"]
    [(name, trouble)] = built.troubles
    assert name == "broken"
    assert "Mars/Olympus" in trouble


def test_a_change_tells_what_became_of_what_when_why_and_by_whom() -> None:
    brand = make_brand("Acme", timezone="Asia/Kolkata")
    passes.check_and_pause(NOON - timedelta(hours=1))
    spend(brand.campaigns.get(), "100", now=NOON - timedelta(minutes=3))

    newest = build().changes[0]

    assert (newest.campaign, newest.brand) == ("Search Acme", "Acme")
    assert (newest.before.words, newest.after.words) == ("active", "brand's daily budget reached")
    assert (newest.after.kind, newest.before.kind) == ("budget", "running")
    assert (newest.figures, newest.cause, newest.actor) == (
        "100.00 of 100.00 EUR",
        "spend",
        "tests",
    )
    assert newest.ago == "3 min ago"
    assert newest.local_time == "2026-03-10T17:27:00+05:30 (Asia/Kolkata)"


def test_a_change_by_a_person_names_them() -> None:
    brand = make_brand("Acme", "1")
    editing.set_enabled([brand.campaigns.get().pk], enabled=False, by="ana", now=NOON)

    newest = build().changes[0]

    assert (newest.cause, newest.actor, newest.figures) == ("operator", "ana", "")


def test_the_last_twenty_changes_are_shown_newest_first() -> None:
    campaign = make_brand("Acme", "1").campaigns.get()
    for number in range(25):
        moment = NOON + timedelta(minutes=number)
        editing.set_enabled([campaign.pk], enabled=bool(number % 2), by=f"{number}", now=moment)

    changes = build(NOON + timedelta(hours=1)).changes

    assert [change.actor for change in changes] == [f"{n}" for n in range(24, 4, -1)]


def test_the_last_pass_is_the_older_of_the_two_jobs() -> None:
    assert (build().last_pass.ago, build().last_pass.is_late) == ("not yet", True)

    passes.check_and_pause(NOON - timedelta(seconds=20))
    passes.reset(NOON - timedelta(minutes=2))
    assert (build().last_pass.ago, build().last_pass.is_late) == ("2 min ago", False)

    assert build(NOON + timedelta(minutes=2)).last_pass.is_late


def test_the_number_of_statements_does_not_grow_with_the_data() -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            build()
        return len(captured)

    make_brand("first", "1")
    with_one = statements()
    for number in range(60):
        make_brand(f"brand {number}", "100")

    assert statements() == with_one <= 10


def test_counts_of_very_many_campaigns_are_kept_for_one_refresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brand = make_brand("Acme")
    passes.check_and_pause(NOON)
    assert build().running == 1

    monkeypatch.setattr(dashboard, "kept_counts", dashboard.KeptCounts())
    monkeypatch.setattr(dashboard, "MANY_CAMPAIGNS", 1)
    assert build().running == 1
    Campaign.objects.filter(brand=brand).update(is_enabled=False)
    passes.check_and_pause(NOON)
    assert build().running == 1

    monkeypatch.setattr(dashboard, "kept_counts", dashboard.KeptCounts())
    assert build().running == 0
