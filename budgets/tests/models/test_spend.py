"""The ledger: minimal arguments, once per source, and nothing is ever edited or deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from budgets.models import AppendOnly, Campaign, Spend, StatusChange
from budgets.services import passes
from budgets.tests.builders import NOW, TODAY, make_campaign, spend, totals, write_spend

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("amount", [Decimal("10.5"), 10, "10.5", 10.5, Decimal(-3)])
def test_spend_needs_a_campaign_a_date_and_an_amount(amount: Decimal | float | str) -> None:
    row = Spend.objects.create(campaign=make_campaign(), date=TODAY, amount=amount)

    row.refresh_from_db()
    assert (row.amount, row.date, row.is_counted) == (Decimal(str(amount)), TODAY, False)
    assert (row.source, row.external_id, row.occurred_at) == ("", None, None)
    assert row.created_at.tzinfo is not None


def test_sql_needs_the_same_three() -> None:
    campaign = make_campaign()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO budgets_spend (campaign_id, date, amount) VALUES (%s, %s, %s)",
            [campaign.pk, "2026-11-24", 100_000],
        )

    row = Spend.objects.get()
    assert (row.amount, row.date, row.is_counted) == (Decimal("0.1"), TODAY, False)


def test_an_external_id_is_recorded_once_per_source() -> None:
    campaign = make_campaign()
    write_spend(campaign, 1, source="a", external_id="7")
    write_spend(campaign, 1, source="b", external_id="7")

    with pytest.raises(IntegrityError), transaction.atomic():
        write_spend(make_campaign(), 2, source="a", external_id="7")

    assert [write_spend(campaign, 1, source="a").external_id for _ in "two"] == [None] * 3


def save_again(row: Any) -> None:
    row.save()


def save_a_column(row: Any) -> None:
    row.save(update_fields=["campaign"])


def delete_the_row(row: Any) -> None:
    row.delete()


def delete_a_set(row: Any) -> None:
    type(row).objects.filter(pk=row.pk).delete()


def update_a_set(row: Any) -> None:
    type(row).objects.filter(pk=row.pk).update(campaign=row.campaign_id)


def update_in_bulk(row: Any) -> None:
    type(row).objects.bulk_update([row], ["campaign"])


def update_or_create(row: Any) -> None:
    type(row).objects.update_or_create(pk=row.pk, defaults={"campaign": row.campaign})


def update_by_the_campaign(row: Any) -> None:
    campaign: Any = row.campaign
    related = campaign.spends if isinstance(row, Spend) else campaign.status_changes
    related.update(campaign=campaign)


def move_to_another_campaign(row: Any) -> None:
    other = make_campaign(row.campaign.brand)
    related = other.spends if isinstance(row, Spend) else other.status_changes
    related.add(row)


@pytest.mark.parametrize("model", [Spend, StatusChange])
@pytest.mark.parametrize(
    "edit",
    [
        save_again,
        save_a_column,
        delete_the_row,
        delete_a_set,
        update_a_set,
        update_in_bulk,
        update_or_create,
        update_by_the_campaign,
        move_to_another_campaign,
    ],
)
def test_a_row_of_ledger_and_log_is_never_edited_or_deleted(
    edit: Callable[[Any], object], model: type[Spend | StatusChange]
) -> None:
    spend(make_campaign(), 5)
    row = model._default_manager.get()
    before = model._default_manager.values().get()

    with (
        pytest.raises(AppendOnly, match="record a correction as a new row"),
        transaction.atomic(),
    ):
        edit(row)

    assert model._default_manager.values().get() == before


def test_a_new_row_never_replaces_one_of_the_same_key() -> None:
    row = write_spend(make_campaign(), 5)

    with pytest.raises(IntegrityError), transaction.atomic():
        Spend(pk=row.pk, campaign=row.campaign, date=TODAY, amount=6).save()

    row.refresh_from_db()
    assert row.amount == 5


def test_an_upsert_never_edits_a_row_of_the_ledger() -> None:
    row = write_spend(make_campaign(), 5, source="a", external_id="7")
    again = Spend(campaign=row.campaign, date=TODAY, amount=6, source="a", external_id="7")

    with pytest.raises(AppendOnly), transaction.atomic():
        Spend.objects.bulk_create(
            [again],
            update_conflicts=True,
            unique_fields=["source", "external_id"],
            update_fields=["amount"],
        )

    row.refresh_from_db()
    assert row.amount == 5


def test_a_campaign_with_spend_is_protected_even_if_nobody_decided_it() -> None:
    write_spend(make_campaign(), 5)

    with pytest.raises(ProtectedError):
        Campaign.objects.all().delete()


def test_what_waits_for_its_day_is_not_countable_before() -> None:
    campaign = make_campaign()
    today = write_spend(campaign, 1)
    tomorrow = write_spend(campaign, 1, date(2026, 11, 25))
    spend(campaign, 1)

    assert set(Spend.objects.uncounted()) == {today, tomorrow}
    assert list(Spend.objects.countable(until=TODAY)) == [today]


def copy_it(row: Spend) -> None:
    row.pk, row._state.adding = None, True
    row.save()


def create_as_counted(row: Spend) -> None:
    Spend.objects.create(campaign=row.campaign, date=TODAY, amount=5, is_counted=True)


def bulk_create_as_counted(row: Spend) -> None:
    Spend.objects.bulk_create([Spend(campaign=row.campaign, date=TODAY, amount=5, is_counted=True)])


@pytest.mark.parametrize("create", [copy_it, create_as_counted, bulk_create_as_counted])
def test_a_new_row_is_in_no_total_whatever_it_says(create: Callable[[Spend], object]) -> None:
    campaign = make_campaign()
    spend(campaign, 5)

    create(Spend.objects.get())

    assert Spend.objects.uncounted().count() == 1
    passes.reset(NOW)
    assert totals(campaign) == (10, 10)


def overwrite_by_save(row: Spend) -> None:
    row.save(force_insert=False)


def overwrite_asynchronously(row: Spend) -> None:
    async_to_sync(row.asave)()


def overwrite_by_upsert(row: Spend) -> None:
    unique, columns = ["source", "external_id"], ["amount"]
    Spend.objects.bulk_create([row], None, False, True, columns, unique)


@pytest.mark.parametrize(
    "overwrite", [overwrite_by_save, overwrite_asynchronously, overwrite_by_upsert]
)
def test_no_caller_can_ask_for_an_overwrite(overwrite: Callable[[Spend], object]) -> None:
    row = write_spend(make_campaign(), 5, source="a", external_id="7")

    with pytest.raises((IntegrityError, AppendOnly)), transaction.atomic():
        overwrite(
            Spend(
                pk=row.pk,
                campaign=row.campaign,
                date=TODAY,
                amount=6,
                source="a",
                external_id="7",
            )
        )

    row.refresh_from_db()
    assert row.amount == 5


def test_an_empty_external_id_is_none() -> None:
    campaign = make_campaign()

    rows = [write_spend(campaign, 1, source="a", external_id="") for _ in range(2)]

    assert [row.external_id for row in rows] == [None, None]
