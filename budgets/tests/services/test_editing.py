"""What people change is decided at once, in both directions, and names who did it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign
from budgets.services import editing, passes
from budgets.services.editing import ChangedMeanwhile, Difference
from budgets.services.enforcement import Outcome
from budgets.tests.builders import (
    NOW,
    at,
    decided,
    everything_stored,
    log,
    make_brand,
    make_campaign,
    make_webhook,
    spend,
    state,
)

pytestmark = pytest.mark.django_db


def save(row: Brand | Campaign, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    editing.save(row, by="ann", now=NOW)


@pytest.mark.parametrize(
    ("fields", "hold"),
    [
        ({"daily_budget": Decimal(10)}, Hold.BRAND_DAILY_BUDGET),
        ({"monthly_budget": Decimal("9.5")}, Hold.BRAND_MONTHLY_BUDGET),
        ({"is_active": False}, Hold.BRAND_INACTIVE),
    ],
)
def test_an_edit_of_a_brand_decides_at_once_in_both_directions(
    fields: dict[str, Any], hold: Hold
) -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    spend(campaign, 10)
    brand = campaign.brand
    before = {name: getattr(brand, name) for name in fields}

    save(brand, **fields)
    assert state(campaign) == hold

    save(brand, **before)
    assert state(campaign) == ""
    assert [change.actor for change in log(campaign)[-2:]] == ["ann", "ann"]


@pytest.mark.parametrize(
    ("fields", "hold"),
    [
        ({"daily_budget": Decimal(10)}, Hold.CAMPAIGN_DAILY_BUDGET),
        ({"monthly_budget": Decimal(10)}, Hold.CAMPAIGN_MONTHLY_BUDGET),
        ({"is_enabled": False}, Hold.OPERATOR),
        ({"allowed_start_hour": 16}, Hold.OUTSIDE_HOURS),
        ({"starts_on": date(2026, 11, 25)}, Hold.NOT_STARTED),
        ({"ends_on": date(2026, 11, 23)}, Hold.ENDED),
    ],
)
def test_an_edit_of_a_campaign_decides_at_once_in_both_directions(
    fields: dict[str, Any], hold: Hold
) -> None:
    campaign = decided(make_campaign())
    spend(campaign, 10)
    before = {name: getattr(campaign, name) for name in fields}

    save(campaign, **fields)
    assert state(campaign) == hold

    save(campaign, **before)
    assert state(campaign) == ""


def test_a_new_campaign_is_decided_when_it_is_saved() -> None:
    brand = decided(make_brand(daily_budget=0))

    campaign = Campaign(brand=brand, name="new")
    outcome = editing.save(campaign, by="ann", now=NOW, changed=["name"])

    assert outcome.changes == 1
    assert (state(campaign), log(campaign)[0].actor) == (Hold.BRAND_DAILY_BUDGET, "ann")


def test_a_new_brand_is_looked_at_when_it_is_saved() -> None:
    brand = Brand(name="new", timezone="Asia/Kolkata")

    editing.save(brand, by="ann", now=NOW)

    brand.refresh_from_db()
    assert brand.zone_in_force == "Asia/Kolkata"
    assert brand.due_at > NOW


def test_only_what_was_changed_is_written() -> None:
    opened_an_hour_ago = make_campaign(daily_budget=5, monthly_budget=50)
    Campaign.objects.filter(pk=opened_an_hour_ago.pk).update(monthly_budget=70, is_enabled=False)

    opened_an_hour_ago.daily_budget = Decimal(6)
    editing.save(opened_an_hour_ago, by="ann", now=NOW, changed=["daily_budget"])

    campaign = Campaign.objects.get(pk=opened_an_hour_ago.pk)
    assert (campaign.daily_budget, campaign.monthly_budget) == (Decimal(6), Decimal(70))
    assert not campaign.is_enabled


def test_an_edit_that_changed_nothing_still_decides() -> None:
    campaign = make_campaign()

    editing.save(campaign, by="ann", now=NOW, changed=[])

    assert state(campaign) == ""


def test_an_edit_and_what_it_decides_roll_back_together() -> None:
    campaign = decided(make_campaign())

    with transaction.atomic():
        save(campaign, is_enabled=False)
        transaction.set_rollback(True)

    assert state(campaign) == ""
    assert campaign.is_enabled


def test_an_edit_of_a_corrupt_brand_is_stored_and_its_trouble_named() -> None:
    brand = make_brand(timezone="Not/AZone")

    save(brand, daily_budget=Decimal(7))

    brand.refresh_from_db()
    assert brand.daily_budget == 7
    assert "'Not/AZone' is not a time zone" in brand.trouble


def test_the_switch_counts_only_those_it_changed() -> None:
    brand = make_brand()
    on = [make_campaign(brand), make_campaign(brand), make_campaign()]
    off = make_campaign(brand, is_enabled=False)
    decided(brand)
    ids = [campaign.pk for campaign in [*on, off]]

    assert editing.set_enabled([*ids, *ids, 2**60], False, by="ann", now=NOW) == 3
    assert editing.set_enabled(ids, False, by="ann", now=NOW) == 0

    assert {state(campaign) for campaign in [*on, off]} == {Hold.OPERATOR}
    assert len(log(off)) == 1
    assert editing.set_enabled([], True, by="ann", now=NOW) == 0
    assert editing.set_enabled(ids, True, by="ann", now=NOW) == 4
    assert {state(campaign) for campaign in [*on, off]} == {""}


def test_the_switch_of_campaigns_of_many_brands_is_set_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(editing, "BATCH", 2)
    campaigns = [make_campaign() for _ in range(5)]

    switched = editing.set_enabled([row.pk for row in campaigns], False, by="ann", now=NOW)

    assert switched == 5
    assert {state(campaign) for campaign in campaigns} == {Hold.OPERATOR}


def test_the_switch_does_not_count_what_another_hand_switched_meanwhile() -> None:
    campaigns = [decided(make_campaign()) for _ in range(2)]
    quicker: list[int] = []

    def let_another_hand_be_first(execute: Any, sql: str, *rest: Any) -> Any:
        # Who is to be switched is read; what comes next is the lock of their brands.
        if not quicker and 'FROM "budgets_brand"' in sql:
            quicker.append(0)
            quicker[0] = editing.set_enabled([campaigns[0].pk], False, by="bob", now=NOW)
        return execute(sql, *rest)

    with connection.execute_wrapper(let_another_hand_be_first):
        ours = editing.set_enabled([row.pk for row in campaigns], False, by="ann", now=NOW)

    assert (quicker, ours) == ([1], 1)
    assert [log(campaign)[-1].actor for campaign in campaigns] == ["bob", "ann"]


def test_a_campaign_resumed_while_its_budget_is_exhausted_is_held_by_the_budget() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10), is_enabled=False))
    spend(campaign, 10)
    assert state(campaign) == Hold.OPERATOR

    assert editing.set_enabled([campaign.pk], True, by="ann", now=NOW) == 1

    assert state(campaign) == Hold.BRAND_DAILY_BUDGET
    campaign.refresh_from_db()
    assert campaign.is_enabled


def test_a_zone_edited_while_no_pass_ran_waits_for_its_midnight_all_the_same() -> None:
    campaign = decided(make_campaign(make_brand(timezone="America/Los_Angeles")))
    brand = Brand.objects.get(pk=campaign.brand_id)
    two_days_later = at("2026-11-26T20:00Z")

    brand.timezone = "Asia/Tokyo"
    editing.save(brand, by="ann", now=two_days_later)

    brand.refresh_from_db()
    assert (brand.current_timezone, brand.pending_timezone) == ("America/Los_Angeles", "Asia/Tokyo")
    passes.reset(at("2026-11-27T08:00Z"))
    brand.refresh_from_db()
    assert (brand.current_timezone, brand.pending_timezone) == ("Asia/Tokyo", "")


@pytest.fixture
def busy() -> Brand:
    """Return a brand of which 60 are spent today, with campaigns in many a state."""
    brand = make_brand(daily_budget=100, monthly_budget=1000)
    runs = make_campaign(brand)
    make_campaign(brand, is_enabled=False)
    make_campaign(brand, allowed_start_hour=16)
    make_campaign(brand, daily_budget=50)
    passes.check_and_pause(NOW)
    spend(runs, 60)
    make_webhook()
    return brand


EDITS_OF_A_BRAND = [
    {"daily_budget": Decimal(60)},
    {"monthly_budget": Decimal(0)},
    {"is_active": False},
    {"daily_budget": None, "monthly_budget": None},
    {"daily_budget": Decimal(60), "monthly_budget": Decimal(60), "is_active": False},
    {"timezone": "Asia/Tokyo"},
    {"timezone": "Not/AZone"},
    {},
]


class TestPreview:
    @pytest.mark.parametrize("fields", EDITS_OF_A_BRAND)
    def test_it_says_what_saving_then_does_and_leaves_nothing_behind(
        self, busy: Brand, fields: dict[str, Any]
    ) -> None:
        brand = Brand.objects.get(pk=busy.pk)
        for name, value in fields.items():
            setattr(brand, name, value)
        before = everything_stored()

        foreseen = editing.preview(brand, by="ann", now=NOW, changed=fields)

        assert everything_stored() == before
        assert editing.save(brand, by="ann", now=NOW, changed=fields) == foreseen

    def test_an_edit_of_a_campaign_can_be_previewed_as_well(self, busy: Brand) -> None:
        runs = busy.campaigns.order_by("pk")[0]
        runs.daily_budget = Decimal(60)

        foreseen = editing.preview(runs, by="ann", now=NOW, changed=["daily_budget"])

        assert foreseen == Outcome(brands=1, changes=1, paused=(runs.pk,))
        assert state(Campaign.objects.get(pk=runs.pk)) == ""
        assert editing.save(runs, by="ann", now=NOW, changed=["daily_budget"]) == foreseen

    def test_it_foresees_what_starts(self, busy: Brand) -> None:
        spend(busy.campaigns.order_by("pk")[0], 40)
        ids = list(busy.campaigns.order_by("pk").values_list("pk", flat=True))
        busy.daily_budget = Decimal("100.000001")

        foreseen = editing.preview(busy, by="ann", now=NOW, changed=["daily_budget"])

        assert (foreseen.paused, set(foreseen.resumed)) == ((), {ids[0], ids[3]})

    def test_the_row_that_was_handed_in_can_be_saved_afterwards(self, busy: Brand) -> None:
        brand = Brand.objects.get(pk=busy.pk)
        brand.is_active = False
        before = dict(vars(brand))

        editing.preview(brand, by="ann", now=NOW)

        assert {**vars(brand), "_state": None} == {**before, "_state": None}

    def test_inside_a_transaction_it_takes_back_itself_alone(self, busy: Brand) -> None:
        with transaction.atomic():
            save(busy, daily_budget=Decimal(70))
            busy.daily_budget = Decimal(60)
            assert editing.preview(busy, by="ann", now=NOW).paused

        busy.refresh_from_db()
        assert busy.daily_budget == 70

    def test_a_stale_day_is_turned_for_the_answer_and_stays_stale(self, busy: Brand) -> None:
        tomorrow = at("2026-11-25T15:00Z")
        runs = busy.campaigns.order_by("pk")[0]
        busy.daily_budget = Decimal(60)

        foreseen = editing.preview(busy, by="ann", now=tomorrow, changed=["daily_budget"])

        assert (foreseen.rolled, runs.pk in foreseen.paused) == (0, False)
        busy.refresh_from_db()
        assert (busy.spend_day, busy.total_daily_spend) == (NOW.date(), Decimal(60))


class TestSeen:
    def test_what_somebody_else_changed_meanwhile_is_told_and_nothing_is_written(self) -> None:
        opened = make_brand(daily_budget=500, monthly_budget=None)
        Brand.objects.filter(pk=opened.pk).update(daily_budget=400)
        before = everything_stored()

        opened.daily_budget = Decimal(900)
        with pytest.raises(ChangedMeanwhile) as refused:
            editing.save(
                opened,
                by="ann",
                now=NOW,
                changed=["daily_budget"],
                seen={"daily_budget": Decimal(500), "monthly_budget": None},
            )

        [difference] = refused.value.differences
        assert difference == Difference(field="daily_budget", seen=500, found=400)
        assert everything_stored() == before

    def test_what_is_as_it_was_seen_is_saved(self) -> None:
        campaign = decided(make_campaign(daily_budget=5))

        campaign.daily_budget = Decimal(0)
        seen = {"daily_budget": Decimal("5.000000"), "is_enabled": True}
        outcome = editing.save(campaign, by="ann", now=NOW, changed=["daily_budget"], seen=seen)

        assert outcome == Outcome(brands=1, changes=1, paused=(campaign.pk,))
        assert state(campaign) == Hold.CAMPAIGN_DAILY_BUDGET
