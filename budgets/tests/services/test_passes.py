"""The periodic jobs: the full check every quarter of an hour, and what they remember."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from budgets.core.decision import Hold
from budgets.models import Campaign, Cause, PassRecord
from budgets.services import passes
from budgets.tests.builders import NOW, decided, log, make_brand, make_campaign, state

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def switch_off_by_sql(campaign: Campaign) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budgets_campaign SET is_enabled = %s WHERE id = %s", [False, campaign.pk]
        )


def cut_the_budget_by_sql(campaign: Campaign) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budgets_brand SET daily_budget = 0 WHERE id = %s", [campaign.brand_id]
        )


@pytest.mark.parametrize(
    ("write", "hold"),
    [(switch_off_by_sql, Hold.OPERATOR), (cut_the_budget_by_sql, Hold.BRAND_DAILY_BUDGET)],
)
def test_what_sql_changed_is_found_by_the_full_check_and_only_then(
    write: object, hold: Hold
) -> None:
    campaign = decided(make_campaign())
    assert callable(write)
    write(campaign)

    for minute in (1, 14):
        assert passes.check_and_pause(NOW + minute * MINUTE)["corrected"] == 0
        passes.reset(NOW + minute * MINUTE)
        assert state(campaign) == ""

    assert passes.check_and_pause(NOW + 15 * MINUTE)["corrected"] == 1
    assert (state(campaign), log(campaign)[-1].cause) == (hold, Cause.SWEEP)
    assert PassRecord.objects.get(name=passes.FULL_CHECK).counts["corrected"] == 1


def test_the_full_check_runs_every_quarter_of_an_hour() -> None:
    ran = []
    for minute in range(0, 60, 5):
        passes.check_and_pause(NOW + minute * MINUTE)
        ran.append(PassRecord.objects.get(name=passes.FULL_CHECK).at)

    assert sorted(set(ran)) == [NOW + quarter * 15 * MINUTE for quarter in range(4)]


def test_a_clock_that_went_back_makes_the_full_check_run_at_once() -> None:
    campaign = decided(make_campaign())
    switch_off_by_sql(campaign)

    assert passes.check_and_pause(NOW - MINUTE)["corrected"] == 1
    assert PassRecord.objects.get(name=passes.FULL_CHECK).at == NOW - MINUTE


def test_the_full_check_remembers_what_does_not_belong_together() -> None:
    campaign = decided(make_campaign())
    Campaign.objects.filter(pk=campaign.pk).write(total_daily_spend=1)

    passes.full_check(NOW)

    counts = PassRecord.objects.get(name=passes.FULL_CHECK).counts
    assert counts == {"corrected": 0, "campaign_totals": 1, "brand_totals": 1}


def test_each_job_remembers_when_it_came_to_its_end() -> None:
    make_campaign(make_brand(timezone="Not/AZone"))

    checked = passes.check_and_pause(NOW)
    reset = passes.reset(NOW + MINUTE)

    records = {record.name: (record.at, record.counts) for record in PassRecord.objects.all()}
    assert records == {
        passes.CHECK_AND_PAUSE: (NOW, checked),
        passes.RESET: (NOW + MINUTE, reset),
        passes.FULL_CHECK: (NOW, {"corrected": 0}),
        passes.PROVEN_LOG: (NOW, {"id": 0}),
    }
