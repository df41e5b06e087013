"""Brands in the admin."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client

from budgets.models import Brand, Campaign
from budgets.tests.admin.conftest import errors, html, told
from budgets.tests.builders import (
    NOW,
    decided,
    log,
    make_brand,
    make_campaign,
    spend,
    state,
)

pytestmark = pytest.mark.django_db

LIST = "/admin/budgets/brand/"
FORM = {
    "name": "Acme",
    "is_active": "on",
    "daily_budget": "",
    "monthly_budget": "",
    "timezone": "UTC",
    "currency": "USD",
    "stale_after_hours": "",
    "stale_policy": "alert",
}


def change(brand: Brand) -> str:
    return f"{LIST}{brand.pk}/change/"


def test_adding_one_stores_it_and_looks_at_it_at_once(ana: Client) -> None:
    response = ana.post(f"{LIST}add/", {**FORM, "daily_budget": "100.5"})

    brand = Brand.objects.get()
    assert response.status_code == 302
    assert (brand.name, brand.daily_budget) == ("Acme", Decimal("100.50"))
    assert brand.due_at > NOW  # decided: a pass would find it due otherwise


def test_raising_the_budget_resumes_at_once_and_says_so(ana: Client) -> None:
    brand = make_brand(name="Acme", daily_budget=100)
    campaigns = [make_campaign(brand) for _ in range(3)]
    decided(brand)
    spend(campaigns[0], 100)

    response = ana.post(change(brand), {**FORM, "daily_budget": "200"})

    assert "3 campaigns resumed." in told(response)
    assert [state(campaign) for campaign in campaigns] == ["", "", ""]
    assert log(campaigns[0])[-1].actor == "ana"


def test_switching_one_off_pauses_at_once(ana: Client) -> None:
    brand = make_brand(name="Acme")
    campaign = decided(make_campaign(brand))

    response = ana.post(change(brand), {**FORM, "is_active": ""})

    assert "1 campaign paused." in told(response)
    assert state(campaign) == "brand_inactive"


def test_a_form_opened_earlier_does_not_undo_what_others_changed(ana: Client) -> None:
    brand = make_brand(name="Acme", daily_budget=100)
    spend(make_campaign(brand), 30)

    ana.post(change(brand), {**FORM, "daily_budget": "100", "monthly_budget": "500"})

    brand.refresh_from_db()
    assert (brand.total_daily_spend, brand.monthly_budget) == (Decimal(30), Decimal(500))


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("daily_budget", "NaN", "The amount NaN is not a finite amount"),
        ("daily_budget", "1e30", "The amount '1e30' has an exponent"),
        ("daily_budget", "1.0000001", "has more than 6 decimals"),
        ("daily_budget", "1,000", "has separators; write digits and a point alone"),
        ("monthly_budget", "1" * 13, "has more than 12 digits before the point"),
        ("timezone", "Mars/Olympus", "'Mars/Olympus' is not a time zone"),
        ("timezone", "../../etc/passwd", "is not a time zone"),
        ("currency", "usd", "Three capital letters, such as EUR."),
        ("name", "a\x00b", "Null characters are not allowed."),
        ("name", "", "This field is required."),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    ana: Client, field: str, typed: str, words: str
) -> None:
    response = ana.post(f"{LIST}add/", {**FORM, field: typed})

    assert words in " ".join(errors(response)[field])
    assert not Brand.objects.exists()


def test_a_negative_budget_and_a_name_in_use_are_refused_in_words(ana: Client) -> None:
    make_brand(name="Acme")

    response = ana.post(f"{LIST}add/", {**FORM, "daily_budget": "-1"})

    words = " ".join(errors(response)["__all__"])
    assert "A budget cannot be negative" in words
    assert "A brand of this name exists already." in words


def test_the_currency_cannot_change_once_money_was_spent(ana: Client) -> None:
    brand = make_brand(name="Acme")
    spend(make_campaign(brand), 1)

    response = ana.post(change(brand), {**FORM, "currency": "EUR"})

    assert "Spend is recorded in USD" in errors(response)["currency"][0]


def test_the_list_shows_todays_figures_and_counts(ana: Client) -> None:
    brand = make_brand(name="Acme", daily_budget=100, monthly_budget=1000)
    spend(make_campaign(brand), 100)
    make_campaign(brand)
    decided(brand)

    page = html(ana.get(LIST))

    assert "100.00 of 100.00 USD" in page
    assert "100.00 of 1,000.00 USD" in page
    assert "0 active, 2 held" in page


def test_totals_of_another_day_are_not_shown_as_todays(ana: Client) -> None:
    brand = make_brand(name="Acme", daily_budget=100, monthly_budget=1000)
    spend(make_campaign(brand), 40)

    with time_machine.travel(NOW + timedelta(hours=10), tick=False):
        page = html(ana.get(LIST))

    assert "0.00 of 100.00 USD" in page
    assert "40.00 of 1,000.00 USD" in page


def test_a_zone_to_come_is_told_in_words(ana: Client) -> None:
    brand = make_brand(name="Acme", timezone="Europe/Berlin")
    decided(brand)

    ana.post(change(brand), {**FORM, "timezone": "Asia/Tokyo"})

    assert "Europe/Berlin → Asia/Tokyo at midnight" in html(ana.get(LIST))
    words = "Asia/Tokyo from the next midnight in Europe/Berlin, 24 Nov 23:00 UTC"
    assert words in html(ana.get(change(brand)))


def test_a_brand_that_cannot_be_processed_is_named_and_can_be_repaired(ana: Client) -> None:
    healthy = make_brand()
    brand = make_brand(name="Acme", timezone="Mars/Olympus")
    campaign = make_campaign(brand)
    decided(brand)

    page = html(ana.get(f"{LIST}?troubled=1"))
    assert "cannot be processed" in page
    assert healthy.name not in page
    assert "Mars/Olympus&#x27; is not a time zone" in html(ana.get(change(brand)))

    ana.post(change(brand), {**FORM, "timezone": "Europe/Berlin"})
    assert state(campaign) == ""


def test_saving_a_brand_that_stays_in_trouble_warns(ana: Client) -> None:
    brand = make_brand(name="Acme")
    Brand.objects.filter(pk=brand.pk).write(zone_in_force="Mars/Olympus")

    response = ana.post(change(brand), {**FORM, "daily_budget": "5"})

    assert any("cannot be processed" in words for words in told(response))


def test_one_with_campaigns_is_kept_in_words(ana: Client) -> None:
    brand = make_brand(name="Acme")
    make_campaign(brand)
    empty = make_brand()

    asked = ana.get(f"{LIST}{brand.pk}/delete/")
    refused = ana.post(f"{LIST}{brand.pk}/delete/", {"post": "yes"})
    action = {"action": "delete_selected", "_selected_action": [brand.pk, empty.pk], "post": "yes"}
    several = ana.post(LIST, action)

    for response in (asked, refused, several):
        assert "Switch the brand off instead." in html(response)
    assert Brand.objects.count() == 2


def test_one_without_campaigns_can_be_deleted(ana: Client) -> None:
    one, other = make_brand(), make_brand()

    ana.post(f"{LIST}{one.pk}/delete/", {"post": "yes"})
    action = {"action": "delete_selected", "_selected_action": [other.pk], "post": "yes"}
    assert html(ana.post(LIST, {**action, "post": ""}))
    ana.post(LIST, action)

    assert not Brand.objects.exists()


def test_only_what_changes_is_offered_to_those_who_may_only_look(client: Client) -> None:
    from django.contrib.auth.models import Permission, User

    looker = User.objects.create_user("bo", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_brand"))
    client.force_login(looker)
    brand = make_brand(name="Acme")

    assert "Acme" in html(client.get(change(brand)))
    assert client.post(change(brand), FORM).status_code == 403
    assert client.post(f"{LIST}{brand.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/budgets/campaign/").status_code == 403
    assert Campaign.objects.count() == 0


def test_the_age_of_the_last_report_is_shown_to_those_who_asked_for_it(ana: Client) -> None:
    brand = make_brand(name="Acme")
    assert "Last report of spend" not in html(ana.get(change(brand)))

    ana.post(change(brand), {**FORM, "stale_after_hours": "1", "stale_policy": "hold"})
    assert "Last report of spend" in html(ana.get(change(brand)))

    Brand.objects.filter(pk=brand.pk).write(last_report_at=NOW - timedelta(hours=2))
    assert "<strong>stale</strong>" in html(ana.get(change(brand)))
