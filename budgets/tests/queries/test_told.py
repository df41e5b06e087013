"""Status changes in words."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from budgets.models import Campaign, StatusChange
from budgets.queries import told
from budgets.queries.told import Told
from budgets.services import editing, passes
from budgets.tests.builders import (
    NOW,
    at,
    decided,
    make_brand,
    make_campaign,
    spend,
    switch,
)
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db


def changes(campaign: Campaign) -> list[StatusChange]:
    rows = StatusChange.objects.filter(campaign=campaign).select_related("campaign__brand")
    return list(rows.order_by("-pk"))


def newest(campaign: Campaign) -> Told:
    return told.tell(changes(campaign), NOW)[0]


def test_a_stop_says_when_where_why_with_which_figures_and_until_when() -> None:
    brand = make_brand(daily_budget=500, currency="EUR", timezone="Europe/Berlin")
    campaign = decided(make_campaign(brand, name="Autumn Sale"))
    spend(campaign, "1512.40")

    assert newest(campaign).sentence(NOW) == (
        "Autumn Sale stopped 16:00 Berlin: brand's daily budget reached, "
        "1,512.40 of 500.00 EUR; runs again tomorrow 00:00"
    )


def test_amounts_are_written_as_the_caller_writes_them() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=5)))
    spend(campaign, 5)

    def write(amount: Decimal, currency: str) -> str:
        return f"<{amount} {currency}>"

    [first, *_] = told.tell(changes(campaign), NOW, write)
    assert first.figures == "<5.00 USD> of <5.00 USD> USD"


def test_a_switch_says_by_whom() -> None:
    campaign = decided(make_campaign(name="Tents"))
    switch(campaign, on=False)
    assert newest(campaign).sentence(NOW) == "Tents stopped 15:00 UTC: paused by operator"

    switch(campaign, on=True)
    assert newest(campaign).sentence(NOW) == "Tents started 15:00 UTC: switched on by operator"


def test_an_edit_says_by_whom() -> None:
    brand = make_brand(daily_budget=5)
    campaign = decided(make_campaign(brand, name="Tents"))
    spend(campaign, 5)
    brand.refresh_from_db()
    brand.daily_budget = Decimal(10)
    editing.save(brand, by="ana", now=NOW)

    assert newest(campaign).sentence(NOW) == "Tents started 15:00 UTC: edited by ana"


def test_hours_and_flights_say_when_they_begin() -> None:
    brand = make_brand()
    night = make_campaign(brand, name="Night", allowed_start_hour=22, allowed_end_hour=6)
    later = make_campaign(brand, name="Later", starts_on=at("2026-12-24T00:00Z").date())
    passes.check_and_pause(NOW)

    assert newest(night).again(NOW) == "runs again 22:00"
    assert newest(later).again(NOW) == "runs again Thu 24 Dec, 00:00"


def test_only_the_state_in_force_runs_again() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=5)))
    spend(campaign, 5)
    tomorrow = NOW + timedelta(days=1)
    passes.check_and_pause(tomorrow)
    spend(campaign, 5, now=tomorrow)

    latest, started, earlier, _ = told.tell(changes(campaign), tomorrow)

    assert (latest.is_in_force, latest.again_at) == (True, at("2026-11-26T00:00Z"))
    assert (started.verb, started.reason) == ("started", "a new day or month began")
    # The same hold, but another time.
    assert (earlier.is_in_force, earlier.again_at) == (False, None)


def test_campaigns_that_wait_for_the_same_are_told_without_asking_more() -> None:
    brand = make_brand(daily_budget=5)
    for _ in range(8):
        make_campaign(brand)
    passes.check_and_pause(NOW)
    spend(brand.campaigns.all()[0], 5)
    rows = list(StatusChange.objects.select_related("campaign__brand").order_by("-pk"))

    said: list[Told] = []
    asked = statements(lambda: said.extend(told.tell(rows, NOW)))

    assert asked == []
    assert {each.again_at for each in said[:8]} == {at("2026-11-25T00:00Z")}


def test_a_corrupt_zone_is_told_in_utc() -> None:
    campaign = decided(make_campaign())
    switch(campaign, on=False)
    type(campaign.brand).objects.filter(pk=campaign.brand_id).write(zone_in_force="Mars/Olympus")

    assert newest(campaign).zone == ZoneInfo("UTC")
    assert newest(campaign).again_at is None


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        ("2026-11-24T23:59Z", "23:59"),
        ("2026-11-25T00:00Z", "tomorrow 00:00"),
        ("2026-11-23T09:05Z", "yesterday 09:05"),
        ("2026-12-01T08:00Z", "Tue 1 Dec, 08:00"),
        ("2027-01-01T08:00Z", "Fri 1 Jan 2027, 08:00"),
    ],
)
def test_an_instant_is_written_as_near_as_it_is(instant: str, words: str) -> None:
    assert told.when(at(instant), ZoneInfo("UTC"), NOW) == words
