"""The money field: whole micro-units in the database, exact amounts everywhere else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import FieldError, ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F, Max, Sum, Value
from django.forms import modelform_factory

from budgets.core.money import InvalidAmount
from budgets.models import Brand, MoneyField, Spend
from budgets.tests.builders import make_brand, make_campaign, write_spend

pytestmark = pytest.mark.django_db

BrandForm = modelform_factory(Brand, fields=["name", "daily_budget", "currency", "timezone"])


def form(**data: str) -> Any:
    return BrandForm(
        {"name": "N", "currency": "USD", "timezone": "UTC", "stale_policy": "alert", **data}
    )


@pytest.mark.parametrize(
    ("given", "micros"),
    [
        (Decimal("0.1"), 100_000),
        (100, 100_000_000),
        ("12.345678", 12_345_678),
        (0.1, 100_000),
        (0, 0),
        (None, None),
    ],
)
def test_the_database_holds_whole_micro_units(given: object, micros: int | None) -> None:
    brand = make_brand(daily_budget=given)

    with connection.cursor() as cursor:
        cursor.execute("SELECT daily_budget FROM budgets_brand WHERE id = %s", [brand.pk])
        assert cursor.fetchone() == (micros,)
    brand.refresh_from_db()
    expected = None if given is None else Decimal(str(given))
    assert brand.daily_budget == expected


@pytest.mark.parametrize("given", ["NaN", 1e30, "0.1234567", True, "1_000"])
def test_a_model_refuses_what_cannot_be_meant(given: object) -> None:
    with pytest.raises(InvalidAmount), transaction.atomic():
        make_brand(daily_budget=given)
    with pytest.raises(ValidationError):
        Brand(name="N", daily_budget=given).full_clean()  # type: ignore[misc]  # nonsense on purpose


def test_a_thousand_rows_of_a_tenth_sum_to_a_hundred() -> None:
    campaign = make_campaign()
    day = "2026-11-24"
    Spend.objects.bulk_create(
        Spend(campaign=campaign, date=day, amount=Decimal("0.1")) for _ in range(1000)
    )

    assert Spend.objects.aggregate(sum=Sum("amount"))["sum"] == 100


def test_amounts_are_added_compared_and_ordered_in_the_database() -> None:
    small = make_brand(daily_budget="0.1", monthly_budget="0.3")
    large = make_brand(daily_budget="0.2", monthly_budget="0.3")
    tenth = Value(Decimal("0.1"), output_field=MoneyField())
    Brand.objects.update(daily_budget=F("daily_budget") + tenth)

    with_rest = Brand.objects.annotate(rest=F("monthly_budget") - F("daily_budget"))
    assert dict(with_rest.values_list("pk", "rest"))[small.pk] == Decimal("0.1")
    assert list(Brand.objects.filter(daily_budget__gte=F("monthly_budget"))) == [large]
    assert list(Brand.objects.filter(daily_budget__lt="0.200001")) == [small]
    assert list(Brand.objects.filter(daily_budget__in=[Decimal("0.3"), 7])) == [large]
    assert list(Brand.objects.order_by("-daily_budget")) == [large, small]
    assert Brand.objects.aggregate(most=Max("daily_budget"))["most"] == Decimal("0.3")
    assert Brand.objects.filter(pk=large.pk).values_list(
        "daily_budget", flat=True
    ).get() == Decimal("0.3")


def test_multiplying_amounts_fails_aloud() -> None:
    make_brand(daily_budget=1)

    with pytest.raises(FieldError):
        list(Brand.objects.annotate(nonsense=F("daily_budget") * F("monthly_budget")))


def test_adding_a_bare_number_fails_aloud_instead_of_adding_millionths() -> None:
    make_brand(daily_budget=1)

    with pytest.raises(FieldError):
        list(Brand.objects.annotate(more=F("daily_budget") + Decimal(5)))
    with pytest.raises(FieldError):
        Brand.objects.update(daily_budget=F("daily_budget") + Decimal(5))


@pytest.mark.parametrize("serialization", ["json", "xml", "jsonl"])
@pytest.mark.parametrize("budget", [None, Decimal("999999999999.999999"), Decimal("0.000001")])
def test_a_dump_and_load_loses_nothing(serialization: str, budget: Decimal | None) -> None:
    brand = make_brand(daily_budget=budget)
    write_spend(make_campaign(brand), "-0.000001")
    dump = serializers.serialize(serialization, [*Brand.objects.all(), *Spend.objects.all()])

    for row in serializers.deserialize(serialization, dump):
        if isinstance(row.object, Spend):
            assert row.object.amount == Decimal("-0.000001")
        else:
            row.save()

    brand.refresh_from_db()
    assert brand.daily_budget == budget


def test_dumpdata_and_loaddata_restore_a_whole_database(tmp_path: Any) -> None:
    campaign = make_campaign(make_brand(daily_budget="100.5"))
    row = write_spend(campaign, "12.345678")
    path = tmp_path / "dump.json"
    call_command("dumpdata", "budgets", output=str(path), verbosity=0)
    Brand.objects.update(daily_budget=1)

    call_command("loaddata", str(path), verbosity=0)

    campaign.brand.refresh_from_db()
    row.refresh_from_db()
    assert (campaign.brand.daily_budget, row.amount) == (Decimal("100.5"), Decimal("12.345678"))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("NaN", "The amount NaN is not a finite amount"),
        ("1e30", "The amount '1e30' has an exponent"),
        ("0.1234567", "The amount 0.1234567 has more than 6 decimals"),
        ("1234567890123", "has more than 12 digits before the point"),
        ("1,000", "The amount '1,000' has separators; write digits and a point alone"),
        ("１２", "is not an amount; write digits and a point"),  # noqa: RUF001  # full-width on purpose
        ("-1", "A budget cannot be negative; leave it empty for no limit."),
        ("-0.000001", "A budget cannot be negative; leave it empty for no limit."),
        ("9" * 41, "has more than 12 digits before the point"),
    ],
)
def test_a_form_says_in_words_what_is_wrong(typed: str, words: str) -> None:
    bound = form(daily_budget=typed)

    assert not bound.is_valid()
    assert words in " ".join(message for errors in bound.errors.values() for message in errors)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("", None), ("0", Decimal(0)), ("12.50", Decimal("12.5")), ("0.000001", Decimal("0.000001"))],
)
def test_a_form_takes_an_amount_as_typed(typed: str, expected: Decimal | None) -> None:
    bound = form(daily_budget=typed)

    assert bound.is_valid(), bound.errors
    assert bound.cleaned_data["daily_budget"] == expected


@pytest.mark.parametrize(
    ("stored", "shown"), [(Decimal("12.5"), "12.50"), (Decimal("1E+6"), "1000000.00")]
)
def test_a_form_shows_an_amount_without_exponent(stored: Decimal, shown: str) -> None:
    rendered = str(BrandForm(instance=Brand(name="N", daily_budget=stored))["daily_budget"])

    assert f'value="{shown}"' in rendered
    assert 'inputmode="decimal"' in rendered


@pytest.mark.parametrize(
    ("typed", "changed"), [("12.5", False), ("12.500", False), ("12.51", True), ("x", True)]
)
def test_a_form_compares_amounts_not_their_spelling(typed: str, changed: bool) -> None:
    field = MoneyField(null=True).formfield()

    assert field is not None
    assert field.has_changed(Decimal("12.5"), typed) is changed
