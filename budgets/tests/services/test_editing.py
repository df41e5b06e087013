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
from budgets.tests.builders import (
    NOW,
    at,
    decided,
    log,
    make_brand,
    make_campaign,
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
