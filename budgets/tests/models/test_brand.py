"""Brands: what the database refuses, what `save` leaves be, and when the next pass looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import ProtectedError

from budgets.models import Brand, Campaign
from budgets.models.brand import AT_ONCE, CurrencyCannotChange
from budgets.services import passes, reconciliation
from budgets.tests.builders import (
    NOW,
    TODAY,
    decided,
    log,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("budget", [Decimal("10.5"), 10, "10.5", 10.5])
def test_a_brand_needs_a_name_and_two_budgets(budget: Decimal | float | str) -> None:
    brand = Brand.objects.create(name="N", daily_budget=budget, monthly_budget=budget)

    brand.refresh_from_db()
    assert (brand.daily_budget, brand.monthly_budget) == (Decimal(str(budget)),) * 2
    assert (brand.is_active, brand.timezone, brand.currency) == (True, "UTC", "USD")
    assert brand.due_at == AT_ONCE


def test_sql_needs_a_name_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO budgets_brand (name) VALUES ('neighbour')")

    brand = Brand.objects.get(name="neighbour")
    assert (brand.daily_budget, brand.timezone, brand.due_at) == (None, "UTC", AT_ONCE)
    assert decided(brand).due_at > NOW


@pytest.mark.parametrize("field", ["daily_budget", "monthly_budget"])
def test_a_negative_budget_is_refused_by_the_database(field: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_brand(**{field: Decimal("-0.000001")})
    with pytest.raises(ValidationError, match="A budget cannot be negative"):
        Brand(name="N", **{field: -1}).full_clean()


def test_a_name_belongs_to_one_brand() -> None:
    brand = make_brand()

    with pytest.raises(IntegrityError), transaction.atomic():
        make_brand(name=brand.name)
    with pytest.raises(ValidationError, match="A brand of this name exists already"):
        Brand(name=brand.name).full_clean()


@pytest.mark.parametrize("zone", ["Not/AZone", "../etc/passwd", "/etc/localtime", "Europe"])
def test_a_form_refuses_what_is_no_time_zone(zone: str) -> None:
    with pytest.raises(ValidationError, match="write an IANA name such as Europe/Berlin"):
        Brand(name="N", timezone=zone).full_clean()


@pytest.mark.parametrize("currency", ["usd", "US", "EURO", "€UR", "US\n"])
def test_a_form_refuses_what_is_no_currency(currency: str) -> None:
    with pytest.raises(ValidationError):
        Brand(name="N", currency=currency).full_clean()


def test_the_currency_stays_once_money_was_spent_in_it() -> None:
    campaign = make_campaign()
    brand = campaign.brand
    brand.currency = "EUR"
    brand.full_clean()
    spend(campaign, 1)

    with pytest.raises(
        ValidationError, match="Spend is recorded in USD; amounts are not converted"
    ):
        brand.full_clean()


@pytest.mark.parametrize("with_spend", [False, True])
def test_a_brand_with_campaigns_cannot_be_deleted(with_spend: bool) -> None:
    campaign = make_campaign()
    if with_spend:
        spend(campaign, 1)

    with pytest.raises(ProtectedError):
        campaign.brand.delete()
    with pytest.raises(ProtectedError):
        Brand.objects.all().delete()

    assert Brand.objects.exists()


def create_by_get_or_create(name: str) -> None:
    Brand.objects.get_or_create(name=name)


def create_by_update_or_create(name: str) -> None:
    Brand.objects.update_or_create(name=name, defaults={"daily_budget": 5})


def create_by_bulk_create(name: str) -> None:
    Brand.objects.bulk_create([Brand(name=name, due_at=NOW + timedelta(days=9))])


def create_by_save(name: str) -> None:
    Brand(name=name, due_at=NOW + timedelta(days=9)).save()


@pytest.mark.parametrize(
    "create",
    [
        create_by_save,
        create_by_bulk_create,
        create_by_get_or_create,
        create_by_update_or_create,
    ],
)
def test_a_new_brand_is_due_by_whatever_road_it_came(create: Callable[[str], object]) -> None:
    create("new")

    assert Brand.objects.get(name="new").due_at == AT_ONCE


def write_by_save(brand: Brand) -> None:
    brand.daily_budget = Decimal(5)
    brand.save()


def write_by_save_of_named_fields(brand: Brand) -> None:
    brand.daily_budget = Decimal(5)
    brand.save(update_fields=["daily_budget"])


def write_by_update(brand: Brand) -> None:
    Brand.objects.filter(pk=brand.pk).update(daily_budget=5)


def write_by_bulk_update(brand: Brand) -> None:
    brand.daily_budget = Decimal(5)
    Brand.objects.bulk_update([brand], ["daily_budget"])


def write_by_update_or_create(brand: Brand) -> None:
    Brand.objects.update_or_create(name=brand.name, defaults={"daily_budget": 5})


def write_by_upsert(brand: Brand) -> None:
    Brand.objects.bulk_create(
        [Brand(name=brand.name, daily_budget=5)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["daily_budget"],
    )


@pytest.mark.parametrize(
    "write",
    [
        write_by_save,
        write_by_save_of_named_fields,
        write_by_update,
        write_by_bulk_update,
        write_by_update_or_create,
        write_by_upsert,
    ],
)
def test_a_written_brand_is_due_by_whatever_road_it_was_written(
    write: Callable[[Brand], object],
) -> None:
    brand = decided(make_brand())
    assert brand.due_at > NOW

    write(brand)

    brand.refresh_from_db()
    assert (brand.daily_budget, brand.due_at) == (Decimal(5), AT_ONCE)


def test_saving_a_stale_copy_leaves_what_was_derived_since() -> None:
    campaign = make_campaign()
    stale = Brand.objects.get(pk=campaign.brand_id)
    spend(campaign, 7)

    stale.daily_budget = Decimal(100)
    stale.save()

    brand = Brand.objects.get(pk=stale.pk)
    assert totals(brand) == (7, 7)
    assert (brand.spend_day, brand.zone_in_force) == (TODAY, "UTC")
    assert brand.daily_budget == 100


def test_a_copy_of_a_brand_starts_without_spend() -> None:
    campaign = make_campaign(make_brand(daily_budget=5))
    spend(campaign, 7)
    brand = Brand.objects.get()

    brand.pk, brand.name = None, "copy"
    brand._state.adding = True
    brand.save()

    assert totals(Brand.objects.get(name="copy")) == (0, 0)


def test_a_new_row_never_replaces_one_of_the_same_key() -> None:
    campaign = make_campaign()
    spend(campaign, 7)

    with suppress(IntegrityError), transaction.atomic():
        Brand(pk=campaign.brand_id, name="another").save()

    assert totals(campaign.brand) == (7, 7)


def test_a_brand_tells_which_zone_counts_and_which_is_pending() -> None:
    brand = Brand(timezone="Asia/Kolkata")
    assert (brand.current_timezone, brand.pending_timezone) == ("Asia/Kolkata", "")

    brand.zone_in_force = "UTC"
    assert (brand.current_timezone, brand.pending_timezone) == ("UTC", "Asia/Kolkata")

    brand.timezone = "UTC"
    assert (brand.current_timezone, brand.pending_timezone) == ("UTC", "")


def change_by_save(brand: Brand) -> None:
    brand.currency = "EUR"
    brand.save()


def change_by_update(brand: Brand) -> None:
    Brand.objects.update(currency="EUR")


@pytest.mark.parametrize("change", [change_by_save, change_by_update])
def test_no_road_changes_the_currency_of_money_that_was_spent(
    change: Callable[[Brand], object],
) -> None:
    campaign = make_campaign()
    spend(campaign, 1)

    with pytest.raises(CurrencyCannotChange, match="amounts are not converted"):
        change(campaign.brand)

    campaign.brand.refresh_from_db()
    assert campaign.brand.currency == "USD"


@pytest.mark.parametrize("currency", ["usd", "US", "EURO", ""])
def test_the_database_refuses_what_is_no_currency(currency: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        make_brand(currency=currency)


def write_state_by_update(campaign: Campaign) -> None:
    Campaign.objects.update(is_active=True, hold="")


def write_state_by_save(campaign: Campaign) -> None:
    campaign.is_active, campaign.hold = True, ""
    campaign.save(update_fields=["is_active", "hold"])


@pytest.mark.parametrize("write", [write_state_by_update, write_state_by_save])
def test_a_state_that_somebody_wrote_is_undone_by_the_next_pass_and_both_are_logged(
    write: Callable[[Campaign], object],
) -> None:
    campaign = make_campaign(make_brand(daily_budget=5))
    spend(campaign, 7)

    write(campaign)
    passes.reset(NOW)

    assert state(campaign) == "brand_daily_budget"
    assert [change.hold for change in log(campaign)][-3:] == [
        "brand_daily_budget",
        "",
        "brand_daily_budget",
    ]
    assert reconciliation.check() == []


def test_who_writes_when_it_is_due_and_nothing_else_is_believed() -> None:
    brand = decided(make_brand())
    later = NOW + timedelta(days=9)

    Brand.objects.update(due_at=later)
    brand.refresh_from_db()
    assert brand.due_at == later

    Brand.objects.update(due_at=later, daily_budget=0)
    brand.refresh_from_db()
    assert brand.due_at == AT_ONCE
