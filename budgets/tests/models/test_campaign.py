"""Campaigns: what the database refuses, what `save` leaves be, and when the next pass looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from budgets.core.dayparting import InvalidHours
from budgets.core.decision import Hold
from budgets.models import Brand, Campaign, CampaignCannotMove
from budgets.models.brand import AT_ONCE
from budgets.services import reconciliation
from budgets.tests.builders import (
    NOW,
    TODAY,
    decided,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
)

pytestmark = pytest.mark.django_db


def test_a_campaign_needs_a_brand_and_a_name() -> None:
    campaign = Campaign.objects.create(brand=make_brand(), name="N")

    campaign.refresh_from_db()
    assert (campaign.is_enabled, campaign.is_active, campaign.hold) == (True, False, "undecided")
    assert (campaign.allowed_start_hour, campaign.allowed_end_hour) == (0, 24)
    assert (campaign.daily_budget, campaign.starts_on, campaign.external_id) == (None, None, None)


def test_sql_needs_a_brand_and_a_name() -> None:
    brand = make_brand()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO budgets_campaign (brand_id, name) VALUES (%s, 'N')", [brand.pk])

    campaign = Campaign.objects.get()
    assert state(campaign) == Hold.UNDECIDED
    decided(brand)
    assert state(campaign) == ""


@pytest.mark.parametrize("said", [True, False])
def test_a_new_campaign_is_undecided_whatever_its_writer_says(said: bool) -> None:
    assert state(make_campaign(is_active=said)) == Hold.UNDECIDED


@pytest.mark.parametrize(
    ("is_active", "hold"),
    [(True, "operator"), (True, "undecided"), (False, ""), (False, "weather"), (True, "weather")],
)
def test_the_database_holds_a_campaign_exactly_when_it_is_not_active(
    is_active: bool, hold: str
) -> None:
    campaign = make_campaign()

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budgets_campaign SET is_active = %s, hold = %s WHERE id = %s",
            [is_active, hold, campaign.pk],
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"allowed_start_hour": 24},
        {"allowed_start_hour": -1},
        {"allowed_end_hour": 25},
        {"allowed_end_hour": -1},
        {"daily_budget": Decimal("-0.000001")},
        {"monthly_budget": -1},
        {"starts_on": date(2026, 2, 2), "ends_on": date(2026, 2, 1)},
    ],
    ids=str,
)
def test_the_database_refuses_what_cannot_be_meant(fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_campaign(**fields)
    with pytest.raises(ValidationError):
        Campaign(brand=make_brand(), name="N", **fields).full_clean()


@pytest.mark.parametrize(
    ("given", "stored", "read"),
    [
        (None, None, None),
        ("", None, None),
        ("mon 0-24", "ffffff" + "000000" * 6, "Mon 0-24"),
        ("Sun 23-1", "800000" + "000000" * 5 + "000001", "Sun 23-1"),
        ("Mon 9-18; Tue-Fri 9-18", "007fc0" * 5 + "000000" * 2, "Mon-Fri 9-18"),
    ],
)
def test_weekly_hours_are_stored_as_a_week_and_read_as_people_write_them(
    given: str | None, stored: str | None, read: str | None
) -> None:
    by_create, by_update = make_campaign(weekly_hours=given), make_campaign()
    Campaign.objects.filter(pk=by_update.pk).update(weekly_hours=given)

    for campaign in (by_create, by_update):
        campaign.refresh_from_db()
        assert campaign.weekly_hours == read
        with connection.cursor() as cursor:
            cursor.execute("SELECT weekly_hours FROM budgets_campaign WHERE id = %s", [campaign.pk])
            assert cursor.fetchone() == (stored,)
    if given:
        assert Campaign.objects.filter(weekly_hours=given).count() == 2


@pytest.mark.parametrize("given", ["Mon 9-25", "always", "9-18", 9, True, "Mon 9-18\x00", ";"])
def test_a_weekly_calendar_that_cannot_be_meant_is_refused_in_words(given: Any) -> None:
    with pytest.raises(InvalidHours, match="The calendar "), transaction.atomic():
        make_campaign(weekly_hours=given)
    with pytest.raises(ValidationError) as refused:
        Campaign(brand=make_brand(), name="N", weekly_hours=given).full_clean()
    assert list(refused.value.message_dict) == ["weekly_hours"]


@pytest.mark.parametrize(
    "week",
    ["", "Mon-Fri 9-18", "000000" * 7, "ffffff" * 6, "FFFFFF" * 7, "fffffg" * 7, "0x0fff" * 7],
)
def test_the_database_takes_no_week_that_is_none(week: str) -> None:
    campaign = make_campaign()

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budgets_campaign SET weekly_hours = %s WHERE id = %s", [week, campaign.pk]
        )


def test_a_name_and_an_external_id_belong_to_one_campaign_of_a_brand() -> None:
    first = make_campaign(external_id="42")

    with pytest.raises(IntegrityError), transaction.atomic():
        make_campaign(first.brand, name=first.name)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_campaign(first.brand, external_id="42")
    other = make_campaign(name=first.name, external_id="42")

    assert other.brand != first.brand


def test_many_campaigns_of_a_brand_have_no_external_id() -> None:
    brand = make_brand()
    for road in (None, "", None):
        assert make_campaign(brand, external_id=road).external_id is None
    Campaign.objects.bulk_create([Campaign(brand=brand, name=n, external_id="") for n in "ab"])

    assert brand.campaigns.filter(external_id=None).count() == 5


@pytest.mark.parametrize("decided_only", [True, False])
def test_a_campaign_with_spend_or_a_log_cannot_be_deleted(decided_only: bool) -> None:
    campaign = make_campaign()
    if decided_only:
        decided(campaign)
    else:
        spend(campaign, 1)

    with pytest.raises(ProtectedError):
        campaign.delete()
    with pytest.raises(ProtectedError):
        Campaign.objects.all().delete()


def move_by_save(campaign: Campaign, brand: Brand) -> None:
    campaign.brand = brand
    campaign.save()


def move_by_update(campaign: Campaign, brand: Brand) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(brand=brand)


def move_by_update_of_the_id(campaign: Campaign, brand: Brand) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(brand_id=brand.pk)


def move_by_bulk_update(campaign: Campaign, brand: Brand) -> None:
    campaign.brand = brand
    Campaign.objects.bulk_update([campaign], ["brand"])


def move_by_adding(campaign: Campaign, brand: Brand) -> None:
    brand.campaigns.add(campaign)


@pytest.mark.parametrize(
    "move",
    [
        move_by_save,
        move_by_update,
        move_by_update_of_the_id,
        move_by_bulk_update,
        move_by_adding,
    ],
)
def test_a_campaign_belongs_to_its_brand_for_good(
    move: Callable[[Campaign, Brand], object],
) -> None:
    campaign = make_campaign()
    before = campaign.brand_id

    with (
        pytest.raises(CampaignCannotMove, match="belongs to one brand for good"),
        transaction.atomic(),
    ):
        move(campaign, make_brand())

    campaign.refresh_from_db()
    assert campaign.brand_id == before


def test_saving_a_stale_copy_leaves_what_was_derived_since() -> None:
    stale = make_campaign(daily_budget=5)
    spend(stale, 7)

    stale.daily_budget = Decimal(7)
    stale.save()

    campaign = Campaign.objects.get(pk=stale.pk)
    assert state(campaign) == Hold.CAMPAIGN_DAILY_BUDGET
    assert totals(campaign) == (7, 7)
    assert (campaign.spend_day, campaign.daily_budget) == (TODAY, Decimal(7))


def test_a_copy_of_a_campaign_starts_without_spend() -> None:
    campaign = make_campaign(daily_budget=5)
    spend(campaign, 7)
    campaign.refresh_from_db()

    campaign.pk, campaign.name = None, "copy"
    campaign._state.adding = True
    campaign.save()

    assert totals(Campaign.objects.get(name="copy")) == (0, 0)
    assert state(Campaign.objects.get(name="copy")) == Hold.UNDECIDED
    assert reconciliation.check() == []


def test_a_new_row_never_replaces_one_of_the_same_key() -> None:
    campaign = make_campaign(daily_budget=5)
    spend(campaign, 7)

    with suppress(IntegrityError), transaction.atomic():
        Campaign(pk=campaign.pk, brand=make_brand(), name="another").save()

    assert totals(campaign) == (7, 7)
    assert state(campaign) == Hold.CAMPAIGN_DAILY_BUDGET
    assert reconciliation.check() == []


def create_by_save(brand: Brand) -> None:
    Campaign(brand=brand, name="N").save()


def create_by_the_brand(brand: Brand) -> None:
    brand.campaigns.create(name="N")


def create_by_bulk_create(brand: Brand) -> None:
    Campaign.objects.bulk_create([Campaign(brand=brand, name="N")])


def create_by_get_or_create(brand: Brand) -> None:
    Campaign.objects.get_or_create(brand=brand, name="N")


def create_by_update_or_create(brand: Brand) -> None:
    Campaign.objects.update_or_create(brand=brand, name="N", defaults={"is_enabled": False})


@pytest.mark.parametrize(
    "create",
    [
        create_by_save,
        create_by_the_brand,
        create_by_bulk_create,
        create_by_get_or_create,
        create_by_update_or_create,
    ],
)
def test_a_new_campaign_makes_its_brand_due(create: Callable[[Brand], object]) -> None:
    brand, other = decided(make_brand()), decided(make_brand())

    create(brand)

    brand.refresh_from_db()
    other.refresh_from_db()
    assert brand.due_at == AT_ONCE
    assert other.due_at > NOW


def write_by_save(campaign: Campaign) -> None:
    campaign.is_enabled = False
    campaign.save()


def write_by_save_of_named_fields(campaign: Campaign) -> None:
    campaign.is_enabled = False
    campaign.save(update_fields=["is_enabled"])


def write_by_update(campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(is_enabled=False)


def write_by_update_of_ordered_rows(campaign: Campaign) -> None:
    campaign.brand.campaigns.order_by("-name").distinct().update(is_enabled=False)


def write_by_bulk_update(campaign: Campaign) -> None:
    campaign.is_enabled = False
    Campaign.objects.bulk_update([campaign], ["is_enabled"])


def write_by_update_or_create(campaign: Campaign) -> None:
    Campaign.objects.update_or_create(pk=campaign.pk, defaults={"is_enabled": False})


def write_by_upsert(campaign: Campaign) -> None:
    Campaign.objects.bulk_create(
        [Campaign(brand=campaign.brand, name=campaign.name, is_enabled=False)],
        update_conflicts=True,
        unique_fields=["brand", "name"],
        update_fields=["is_enabled"],
    )


@pytest.mark.parametrize(
    "write",
    [
        write_by_save,
        write_by_save_of_named_fields,
        write_by_update,
        write_by_update_of_ordered_rows,
        write_by_bulk_update,
        write_by_update_or_create,
        write_by_upsert,
    ],
)
def test_the_next_pass_knows_what_was_written_by_whatever_road(
    write: Callable[[Campaign], object],
) -> None:
    campaign = decided(make_campaign())
    untouched = decided(make_brand())
    assert state(campaign) == ""

    write(campaign)

    untouched.refresh_from_db()
    assert untouched.due_at > NOW
    assert state(decided(campaign)) == Hold.OPERATOR
