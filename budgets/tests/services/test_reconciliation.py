"""The proof: every planted contradiction is found, and totals are summed anew from the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign, Cause, StatusChange
from budgets.models.brand import AT_ONCE
from budgets.services import passes, reconciliation
from budgets.tests.builders import (
    NOW,
    decided,
    log,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
    write_spend,
)

pytestmark = pytest.mark.django_db


def an_honest_house() -> Campaign:
    """Return a campaign with spend today, this month and before, beside others."""
    campaign = decided(make_campaign(make_brand(daily_budget=100, monthly_budget=1000)))
    spend(campaign, 10)
    spend(campaign, 20, date=date(2026, 11, 3))
    spend(campaign, 40, date=date(2026, 10, 31))
    spend(make_campaign(campaign.brand, is_enabled=False), 5)
    write_spend(campaign, 7)
    write_spend(campaign, 7, date(2026, 11, 30))
    make_campaign()
    return campaign


def test_an_honest_house_has_no_findings_even_between_passes() -> None:
    campaign = an_honest_house()
    assert reconciliation.check() == []

    decided(campaign)
    assert reconciliation.check() == []

    Campaign.objects.filter(pk=campaign.pk).update(is_enabled=False)
    assert reconciliation.check() == []


def drift_a_daily_total(campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).write(total_daily_spend="10.000001")


def drift_a_monthly_total(campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).write(total_monthly_spend=0)


def drift_a_brands_total(campaign: Campaign) -> None:
    Brand.objects.filter(pk=campaign.brand_id).write(total_monthly_spend=1)


def change_a_state_behind_the_log(campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).write(hold="ended", is_active=False)


def break_the_chain(campaign: Campaign) -> None:
    change = StatusChange(
        campaign=campaign,
        at=NOW,
        was_active=False,
        is_active=True,
        old_hold="ended",
        hold="",
        cause=Cause.EDIT,
    )
    StatusChange.objects.bulk_create([change])


def switch_off_behind_our_back(campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).write(is_enabled=False)


@pytest.mark.parametrize(
    ("plant", "codes"),
    [
        (drift_a_daily_total, {"campaign_totals", "brand_totals"}),
        (drift_a_monthly_total, {"campaign_totals", "brand_totals"}),
        (drift_a_brands_total, {"brand_totals"}),
        (change_a_state_behind_the_log, {"log_differs"}),
        (break_the_chain, {"log_broken"}),
        (switch_off_behind_our_back, {"active_though_off"}),
    ],
)
def test_each_planted_contradiction_is_found_and_shown(
    plant: Callable[[Campaign], object], codes: set[str]
) -> None:
    campaign = decided(an_honest_house())
    plant(campaign)

    findings = reconciliation.check()

    assert {finding.code for finding in findings} == codes
    for finding in findings:
        assert finding.count == 1
        assert len(finding.shown) == 1
        assert finding.words


@pytest.mark.parametrize(
    "plant", [drift_a_daily_total, drift_a_monthly_total, drift_a_brands_total]
)
def test_a_repair_sums_totals_anew_from_the_ledger(plant: Callable[[Campaign], object]) -> None:
    campaign = decided(an_honest_house())
    honest = totals(campaign), totals(campaign.brand)
    assert honest == ((17, 37), (22, 42))
    plant(campaign)

    outcome = reconciliation.repair(NOW)

    assert outcome.brands == 1
    assert (totals(campaign), totals(campaign.brand)) == honest
    assert reconciliation.check() == []


def test_a_repair_decides_by_the_true_totals() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    spend(campaign, 10)
    Campaign.objects.filter(pk=campaign.pk).write(total_daily_spend=0)
    Brand.objects.filter(pk=campaign.brand_id).write(total_daily_spend=0, due_at=AT_ONCE)
    assert state(decided(campaign)) == ""

    outcome = reconciliation.repair(NOW)

    assert outcome.paused == (campaign.pk,)
    assert state(campaign) == Hold.BRAND_DAILY_BUDGET
    assert log(campaign)[-1].cause == Cause.SWEEP


def test_a_repair_of_an_honest_house_changes_nothing() -> None:
    an_honest_house()
    passes.check_and_pause(NOW)

    outcome = reconciliation.repair(NOW)

    assert (outcome.brands, outcome.changes, reconciliation.check()) == (0, 0, [])


def test_a_finding_counts_all_and_shows_twenty() -> None:
    brand = make_brand()
    campaigns = [make_campaign(brand) for _ in range(25)]
    Campaign.objects.filter(brand=brand).write(total_daily_spend=1)

    finding = next(row for row in reconciliation.check() if row.code == "campaign_totals")

    assert finding.count == 25
    assert finding.shown == tuple(f"{row.pk} {row.name}" for row in campaigns[:20])
