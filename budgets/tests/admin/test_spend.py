"""The ledger in the admin: rows are added, never edited or deleted."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client

from budgets.core import money
from budgets.models import Spend
from budgets.tests.admin.conftest import errors, html, told
from budgets.tests.builders import (
    TODAY,
    decided,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
    write_spend,
)

pytestmark = pytest.mark.django_db

LIST = "/admin/budgets/spend/"


def add(client: Client, campaign: Any, amount: str, **fields: str) -> Any:
    form = {
        "campaign": str(getattr(campaign, "pk", campaign)),
        "amount": amount,
        "date": "",
        "occurred_at_0": "",
        "occurred_at_1": "",
        "external_id": "",
    }
    return client.post(f"{LIST}add/", {**form, **fields})


def test_adding_a_row_counts_and_pauses_in_the_same_breath(ana: Client) -> None:
    brand = make_brand(name="Acme", daily_budget=100)
    one, other = make_campaign(brand), make_campaign(brand)
    decided(brand)

    response = add(ana, one, "100")

    assert told(response)[0] == (
        "Recorded and counted. 2 campaigns of Acme were paused: brand's daily budget reached."
    )
    assert [state(one), state(other)] == ["brand_daily_budget"] * 2
    assert totals(brand) == (Decimal(100), Decimal(100))
    row = Spend.objects.get()
    assert (row.amount, row.date, row.source, row.is_counted) == (
        Decimal(100),
        TODAY,
        "admin",
        True,
    )
    assert (response.status_code, response["Location"]) == (302, LIST)
    assert LogEntry.objects.get().object_id == str(row.pk)


def test_a_correction_is_a_negative_row_and_resumes(ana: Client) -> None:
    brand = make_brand(name="Acme", daily_budget=100)
    campaign = make_campaign(brand)
    decided(brand)
    add(ana, campaign, "100")

    response = add(ana, campaign, "-0.000001")

    assert "1 campaign of Acme was resumed." in told(response)[-2]
    assert state(campaign) == ""


def test_the_row_just_added_can_be_viewed_next(ana: Client) -> None:
    campaign = decided(make_campaign())
    add(ana, campaign, "1")

    response = add(ana, campaign, "2", _continue="1")

    assert response["Location"] == f"{LIST}{Spend.objects.get(amount=2).pk}/change/"


def test_without_a_date_it_is_the_brands_today(ana: Client) -> None:
    campaign = make_campaign(make_brand(timezone="Pacific/Auckland"))

    add(ana, campaign, "1")
    add(ana, campaign, "2", occurred_at_0="2026-11-24", occurred_at_1="03:00:00")
    add(ana, campaign, "3", date="2026-11-20")

    rows = Spend.objects.order_by("amount").values_list("date", flat=True)
    assert list(rows) == [date(2026, 11, 25), date(2026, 11, 24), date(2026, 11, 20)]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"amount": "NaN"}, "amount", "The amount NaN is not a finite amount"),
        ({"amount": "Infinity"}, "amount", "is not a finite amount"),
        ({"amount": "1e30"}, "amount", "The amount '1e30' has an exponent"),
        ({"amount": "1.0000001"}, "amount", "has more than 6 decimals; round it first"),
        ({"amount": "1,5"}, "amount", "has separators; write digits and a point alone"),
        ({"amount": "9" * 13}, "amount", "has more than 12 digits before the point"),
        ({"amount": "١٢"}, "amount", "is not an amount"),
        ({"amount": ""}, "amount", "This field is required."),
        ({"date": "2026-11-25"}, "date", "2026-11-25 is in the future; it is 2026-11-24 in UTC."),
        ({"date": "2025-01-01"}, "date", "2025-01-01 is too long ago"),
        ({"date": "2026-02-30"}, "date", "Enter a valid date."),
        (
            {"occurred_at_0": "2026-11-24", "occurred_at_1": "16:00:00"},
            "occurred_at",
            "is in the future",
        ),
        ({"external_id": "a\u202eb"}, "external_id", "Has control or invisible characters"),
        ({"external_id": "a\x00b"}, "external_id", "Null characters are not allowed."),
        ({"external_id": "x" * 201}, "external_id", "at most 200 characters"),
        ({"campaign": "999999"}, "campaign", "Select a valid choice."),
        ({"campaign": "xyz"}, "campaign", "Select a valid choice."),
        ({"campaign": "9" * 25}, "campaign", "Select a valid choice."),
        ({"campaign": ""}, "campaign", "This field is required."),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_field(
    ana: Client, fields: dict[str, str], field: str, words: str
) -> None:
    campaign = decided(make_campaign())

    form: dict[str, Any] = {"campaign": campaign, "amount": "1", **fields}
    response = add(ana, **form)

    assert words in " ".join(errors(response)[field])
    assert not Spend.objects.exists()


def test_an_id_is_recorded_once(ana: Client) -> None:
    campaign = make_campaign(make_brand(name="Acme"), name="Search")
    add(ana, campaign, "1", external_id="INV-1")

    for amount in ("1", "2"):
        response = add(ana, campaign, amount, external_id="INV-1")

        words = "Recorded before under this ID: 1.00 USD of Search · Acme on 2026-11-24."
        assert words in errors(response)["external_id"][0]
    assert Spend.objects.count() == 1


def test_what_only_the_service_can_refuse_is_told_and_changes_nothing(ana: Client) -> None:
    campaign = make_campaign()
    with connection.cursor() as cursor:  # no single amount is as large as the sum may become
        full = money.MAX_TOTAL - 1_000_000
        cursor.execute("UPDATE budgets_campaign SET total_daily_spend = %s", [full])
        cursor.execute("UPDATE budgets_campaign SET spend_day = %s", [TODAY.isoformat()])

    response = add(ana, campaign, "2")

    assert told(response) == ["Not recorded: the total would be larger than can be kept."]
    assert not Spend.objects.exists()
    assert not LogEntry.objects.exists()


def test_a_brand_in_trouble_is_named(ana: Client) -> None:
    campaign = make_campaign(make_brand(timezone="Mars/Olympus"))

    response = add(ana, campaign, "2")

    assert "time zone is not known" in errors(response)["campaign"][0]


def test_rows_can_be_looked_at_but_not_edited_or_deleted(ana: Client) -> None:
    row = write_spend(make_campaign(), "12.50")

    page = html(ana.get(f"{LIST}{row.pk}/change/"))
    edited = ana.post(f"{LIST}{row.pk}/change/", {"amount": "1"})
    deleted = ana.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})
    ana.post(LIST, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})

    assert 'name="amount"' not in page
    assert "delete_selected" not in html(ana.get(LIST))
    assert (edited.status_code, deleted.status_code) == (403, 403)
    assert Spend.objects.get().amount == Decimal("12.5")


def test_the_list_finds_by_day_source_exact_id_and_campaign(ana: Client) -> None:
    acme = make_campaign(make_brand(name="Acme"), name="Search")
    bolt = make_campaign(make_brand(name="Bolt"), name="Video")
    spend(acme, 1, external_id="a-1", source="google")
    spend(bolt, 2, date=TODAY - timedelta(days=3), external_id="b-2", source="meta")
    write_spend(bolt, 3, TODAY - timedelta(days=9))

    def found(query: str) -> set[str]:
        page = html(ana.get(f"{LIST}?{query}"))
        return {amount for amount in ("1.00", "2.00", "3.00") if f">{amount} USD<" in page}

    assert found("") == {"1.00", "2.00", "3.00"}
    assert found("q=b-2") == {"2.00"}
    assert found("q=b-") == set()
    assert found("q=video") == {"2.00", "3.00"}
    assert found("q=acme") == {"1.00"}
    assert found("source=google") == {"1.00"}
    assert found("date_from=2026-11-20&date_to=2026-11-22") == {"2.00"}
    assert found("is_counted__exact=0") == {"3.00"}
    assert found(f"campaign__id__exact={acme.pk}") == {"1.00"}


def test_the_campaign_box_names_the_brand(ana: Client) -> None:
    make_campaign(make_brand(name="Acme"), name="Search")
    make_campaign(make_brand(name="Bolt"), name="Search")

    where = "app_label=budgets&model_name=spend&field_name=campaign"
    answer = ana.get(f"{LIST}campaigns/?{where}&term=search").json()

    names = {row["text"] for row in answer["results"]}
    assert names == {"Search · Acme", "Search · Bolt"}
    assert ana.get(f"{LIST}campaigns/?{where}&term=bolt").json()["results"][0]["text"] == (
        "Search · Bolt"
    )


def test_who_may_not_add_is_refused(client: Client) -> None:
    from django.contrib.auth.models import User

    client.force_login(User.objects.create_user("bo", is_staff=True))
    campaign = make_campaign()

    assert add(client, campaign, "1").status_code == 403
    assert not Spend.objects.exists()


def test_an_id_of_a_brand_that_is_not_seen_is_refused_without_a_word_on_it(client: Client) -> None:
    from django.contrib.auth.models import Permission, User

    from budgets.services import access

    own, foreign = make_campaign(), make_campaign(name="Theirs")
    spend(foreign, "43.21", external_id="e-1", source="admin")
    bo = User.objects.create_user("bo", is_staff=True)
    bo.user_permissions.set(Permission.objects.filter(codename__in=["add_spend", "view_spend"]))
    access.restrict(bo, [own.brand])
    client.force_login(bo)

    response = add(client, own, "1", external_id="e-1")

    assert errors(response)["external_id"] == ["Recorded before under this ID. Use another ID."]
    assert "43.21" not in response.text
    assert add(client, own, "1", external_id="e-2").status_code == 302
    assert "is not one of the available choices" in str(errors(add(client, foreign, "1")))
