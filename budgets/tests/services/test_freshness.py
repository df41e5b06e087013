"""Spend that nobody reports for longer than a brand allows, and the report that comes after all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from budgets.core.decision import Hold
from budgets.models import Alert, Brand, Campaign, Cause
from budgets.queries.explain import explain
from budgets.services import editing, ingestion, passes
from budgets.services.alerts import mail
from budgets.services.alerts import watching as alerts
from budgets.services.to_date import ReportedSpend, record_to_date
from budgets.tests.builders import (
    NOW,
    TODAY,
    decided,
    event,
    log,
    make_brand,
    make_campaign,
    spend,
    state,
    switch,
    write_spend,
)

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def impatient(hours: int | None = 6, **fields: Any) -> Campaign:
    """Return a running campaign of a brand that is held after so many hours without a report."""
    brand = make_brand(stale_after_hours=hours, stale_policy="hold", **fields)
    return decided(make_campaign(brand))


def heard(campaign: Campaign) -> datetime | None:
    """Return when spend of the campaign's brand was last reported, as far as that is kept."""
    return Brand.objects.values_list("last_report_at", flat=True).get(pk=campaign.brand_id)


def say(campaign: Campaign, amount: object, now: datetime) -> ingestion.Answer:
    """Report the campaign's spend to date of the day."""
    row = ReportedSpend(campaign_id=campaign.pk, date=now.date(), spend_to_date=amount)
    return record_to_date([row], source="platform", now=now).results[0].answer


class TestTheHold:
    def test_it_begins_at_the_very_instant_without_anybody_looking_before(self) -> None:
        campaign = impatient()
        spend(campaign, 1, now=NOW + HOUR)

        passes.check_and_pause(NOW + 7 * HOUR - timedelta(seconds=1))
        assert state(campaign) == ""

        passes.reset(NOW + 7 * HOUR)
        assert state(campaign) == Hold.STALE_SPEND
        assert log(campaign)[-1].cause == Cause.SCHEDULE

    def test_a_brand_is_due_when_its_spend_gets_stale(self) -> None:
        campaign = impatient()

        assert Brand.objects.get(pk=campaign.brand_id).due_at == NOW + 6 * HOUR

    def test_a_report_lifts_it_in_its_own_transaction(self) -> None:
        campaign = impatient()
        passes.reset(NOW + 8 * HOUR)
        assert state(campaign) == Hold.STALE_SPEND

        receipt = spend(campaign, 1, now=NOW + 8 * HOUR + timedelta(minutes=1))

        assert receipt.resumed == (campaign.pk,)
        assert (state(campaign), log(campaign)[-1].cause) == ("", Cause.SPEND)

    def test_a_report_of_one_campaign_lifts_it_from_all_of_the_brand_and_of_no_other(self) -> None:
        campaign, neighbour = impatient(), impatient()
        sister = decided(make_campaign(campaign.brand))
        passes.reset(NOW + 8 * HOUR)

        spend(sister, 1, now=NOW + 8 * HOUR)

        assert [state(row) for row in (campaign, sister, neighbour)] == ["", "", Hold.STALE_SPEND]

    def test_a_report_that_reaches_the_budget_leaves_it_held_by_the_budget(self) -> None:
        campaign = impatient(daily_budget=10)
        passes.reset(NOW + 8 * HOUR)

        receipt = spend(campaign, 10, now=NOW + 8 * HOUR)

        assert receipt.resumed == ()
        assert state(campaign) == Hold.BRAND_DAILY_BUDGET

    def test_it_is_weaker_than_a_budget_and_stronger_than_the_hours(self) -> None:
        campaign = impatient(daily_budget=10)
        spend(campaign, 10)
        Campaign.objects.filter(pk=campaign.pk).update(allowed_start_hour=1, allowed_end_hour=2)

        passes.reset(NOW + 7 * HOUR)
        assert state(campaign) == Hold.BRAND_DAILY_BUDGET

        # The new day has a budget; still nobody said anything, and it is closed as well.
        passes.reset(NOW + 10 * HOUR)
        assert state(campaign) == Hold.STALE_SPEND
        told = explain(Campaign.objects.select_related("brand").get(), NOW + 12 * HOUR)
        assert [reason.hold for reason in told.reasons] == [Hold.STALE_SPEND, Hold.OUTSIDE_HOURS]

    def test_nothing_is_written_twice_by_passes_that_follow(self) -> None:
        campaign = impatient()
        passes.reset(NOW + 8 * HOUR)
        count = len(log(campaign))

        assert not any(passes.reset(NOW + 8 * HOUR).values())
        passes.check_and_pause(NOW + 9 * HOUR)

        assert len(log(campaign)) == count

    def test_the_operators_pause_survives_the_report(self) -> None:
        campaign = impatient()
        passes.reset(NOW + 8 * HOUR)
        switch(campaign, on=False)

        spend(campaign, 1, now=NOW + 9 * HOUR)

        assert state(campaign) == Hold.OPERATOR


class TestWhatIsAReport:
    def test_spend_to_date_that_did_not_change_is_one(self) -> None:
        campaign = impatient()
        say(campaign, 5, NOW)

        assert say(campaign, 5, NOW + 5 * HOUR) is ingestion.Answer.DUPLICATE

        assert heard(campaign) == NOW + 5 * HOUR
        passes.reset(NOW + 7 * HOUR)
        assert state(campaign) == ""

    def test_unchanged_spend_to_date_lifts_the_hold(self) -> None:
        campaign = impatient()
        say(campaign, 5, NOW)
        passes.reset(NOW + 7 * HOUR)
        assert state(campaign) == Hold.STALE_SPEND

        say(campaign, 5, NOW + 8 * HOUR)

        assert state(campaign) == ""

    def test_spend_of_nothing_is_one(self) -> None:
        campaign = impatient()

        say(campaign, 0, NOW + HOUR)

        assert heard(campaign) == NOW + HOUR

    def test_an_event_sent_again_is_none(self) -> None:
        campaign = impatient()
        spend(campaign, 1, external_id="a")

        ingestion.record(
            [event(campaign, 1, occurred_at=NOW, external_id="a")],
            source="test",
            now=NOW + 5 * HOUR,
        )

        assert heard(campaign) == NOW

    def test_what_is_rejected_is_none(self) -> None:
        campaign = impatient()

        receipt = spend(campaign, "NaN", now=NOW + HOUR)

        assert receipt.results[0].answer is ingestion.Answer.REJECTED
        assert heard(campaign) == NOW

    def test_a_row_of_another_road_is_one_of_when_it_was_written(self) -> None:
        campaign = impatient()
        write_spend(campaign, 1, created_at=NOW + 2 * HOUR)
        write_spend(campaign, 1, created_at=NOW + HOUR)

        passes.reset(NOW + 3 * HOUR)

        assert heard(campaign) == NOW + 2 * HOUR

    def test_a_row_of_a_day_to_come_is_none_on_that_day(self) -> None:
        campaign = impatient()
        write_spend(campaign, 1, date=TODAY + timedelta(days=1), created_at=NOW)

        passes.reset(NOW + 10 * HOUR)

        assert heard(campaign) == NOW
        assert state(campaign) == Hold.STALE_SPEND

    def test_an_instant_ahead_of_the_clock_is_put_right_by_the_next_report(self) -> None:
        campaign = impatient()
        spend(campaign, 1, now=NOW + 30 * HOUR)  # by a clock that was ahead

        spend(campaign, 1, now=NOW + HOUR)

        assert heard(campaign) == NOW + HOUR

    def test_and_then_spend_is_stale_by_the_clock_that_was_put_right(self) -> None:
        campaign = impatient()
        spend(campaign, 1, now=NOW + 30 * HOUR)  # by a clock that was ahead
        passes.check_and_pause(NOW + HOUR)
        spend(campaign, 1, now=NOW + 2 * HOUR)

        passes.reset(NOW + 8 * HOUR)

        assert state(campaign) == Hold.STALE_SPEND


class TestTheWait:
    def test_it_begins_when_the_brand_is_first_decided(self) -> None:
        campaign = impatient()

        assert heard(campaign) == NOW

    @pytest.mark.parametrize("road", ["editing", "save", "update"])
    def test_it_begins_anew_when_it_is_switched_on(self, road: str) -> None:
        campaign = impatient(hours=None)
        spend(campaign, 1)
        assert heard(campaign) is None
        later = NOW + 30 * HOUR

        brand = Brand.objects.get(pk=campaign.brand_id)
        brand.stale_after_hours = 6
        match road:
            case "editing":
                editing.save(brand, by="editor", now=later)
            case "save":
                brand.save()
            case _:
                Brand.objects.filter(pk=brand.pk).update(stale_after_hours=6)
        passes.reset(later)

        assert (state(campaign), heard(campaign)) == ("", later)

    def test_switching_it_off_lifts_the_hold_at_once_and_forgets(self) -> None:
        campaign = impatient()
        passes.reset(NOW + 8 * HOUR)
        brand = Brand.objects.get(pk=campaign.brand_id)

        brand.stale_after_hours = None
        editing.save(brand, by="editor", now=NOW + 8 * HOUR)

        assert (state(campaign), heard(campaign)) == ("", None)
        assert log(campaign)[-1].cause == Cause.EDIT

    def test_more_patience_lifts_the_hold_at_once_and_less_brings_it(self) -> None:
        campaign = impatient()
        passes.reset(NOW + 8 * HOUR)
        brand = Brand.objects.get(pk=campaign.brand_id)
        seen = []
        for hours in (9, 8):
            brand.stale_after_hours = hours
            editing.save(brand, by="editor", now=NOW + 8 * HOUR)
            seen.append(state(campaign))

        assert seen == ["", Hold.STALE_SPEND]

    def test_a_copy_of_a_brand_begins_its_own(self) -> None:
        brand = impatient().brand
        brand.pk, brand.name, brand._state.adding = None, "A copy", True
        brand.save()

        assert Brand.objects.values_list("last_report_at", flat=True).get(pk=brand.pk) is None

    def test_a_brand_that_does_not_ask_is_never_stale(self) -> None:
        campaign = impatient(hours=None)

        passes.check_and_pause(NOW + timedelta(days=30))

        assert (state(campaign), heard(campaign)) == ("", None)


class TestTheAlertAlone:
    def test_it_holds_nothing_and_says_so_where_one_looks(self) -> None:
        campaign = decided(make_campaign(make_brand(stale_after_hours=6)))
        now = NOW + 6 * HOUR

        passes.check_and_pause(now)

        assert state(campaign) == ""
        told = explain(Campaign.objects.select_related("brand").get(), now)
        assert told.outlook == (
            "No budget limits it. It goes on, but: No spend of the brand was reported since 15:00 on "
            "24 Nov 2026, UTC: that is longer than the 6 hours it may take."
        )

    @pytest.mark.parametrize(
        ("policy", "follows"),
        [("alert", "Nothing holds its campaigns here."), ("hold", "Its campaigns are held until")],
    )
    def test_people_are_told_once_for_each_silence(self, policy: str, follows: str) -> None:
        brand = make_brand(name="Acme", stale_after_hours=6, stale_policy=policy)
        campaign = decided(make_campaign(brand))
        told = []
        for hours in (5, 6, 7):
            alerts.look(NOW + hours * HOUR, {})
            told.append(Alert.objects.count())
        spend(campaign, 1, now=NOW + 8 * HOUR)
        for hours in (9, 14, 15):
            alerts.look(NOW + hours * HOUR, {})
            told.append(Alert.objects.count())

        assert told == [0, 1, 1, 1, 2, 2]
        alert = Alert.objects.order_by("pk")[0]
        assert alert.words == "Acme: no campaign has reported spend for 6 hours"
        letter = mail.letter(alert)
        assert letter.follows.startswith(follows)
        assert ("Last report", "2026-11-24 15:00 UTC") in letter.facts

    def test_a_brand_is_looked_at_when_its_spend_gets_stale(self) -> None:
        campaign = decided(make_campaign(make_brand(stale_after_hours=6)))

        assert Brand.objects.get(pk=campaign.brand_id).due_at == NOW + 6 * HOUR


class TestTheWords:
    def test_of_a_held_campaign(self) -> None:
        campaign = impatient(hours=1, timezone="Asia/Kolkata")
        now = NOW + HOUR
        passes.reset(now)

        told = explain(Campaign.objects.select_related("brand").get(pk=campaign.pk), now)

        [reason] = told.reasons
        assert reason.words == (
            "No spend of the brand was reported since 20:30 on 24 Nov 2026, Asia/Kolkata: that is "
            "longer than the 1 hour it may take. The next report lifts this."
        )
        assert (told.outlook, told.runs_again_at) == ("Time alone does not start it.", None)

    def test_of_a_running_campaign_say_when_it_stops_without_a_report(self) -> None:
        campaign = impatient()

        told = explain(Campaign.objects.select_related("brand").get(pk=campaign.pk), NOW)

        assert told.next_change_at == NOW + 6 * HOUR
        assert told.outlook == (
            "No budget limits it. Unless spend of the brand is reported before, it stops at 21:00 on "
            "Tue 24 Nov, UTC (in 6 h)."
        )


@pytest.mark.parametrize("hours", [0, 721])
def test_the_hours_have_bounds_wherever_they_are_written(hours: int) -> None:
    brand = make_brand()

    with pytest.raises(ValidationError, match="stale_after_hours"):
        Brand(name="Another", stale_after_hours=hours).full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        Brand.objects.filter(pk=brand.pk).update(stale_after_hours=hours)


def test_the_policy_is_one_that_is_known() -> None:
    brand = make_brand()

    with pytest.raises(IntegrityError), transaction.atomic():
        Brand.objects.filter(pk=brand.pk).update(stale_policy="panic")
