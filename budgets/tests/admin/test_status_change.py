"""The log and the passes in the admin: to read."""

from __future__ import annotations

import pytest
from django.test import Client

from budgets.models import PassRecord, StatusChange
from budgets.tests.admin.conftest import html
from budgets.tests.builders import decided, make_brand, make_campaign, spend

pytestmark = pytest.mark.django_db

LIST = "/admin/budgets/statuschange/"


def test_a_change_is_told_in_words_with_its_figures(ana: Client) -> None:
    brand = make_brand(name="Acme", daily_budget=100)
    campaign = make_campaign(brand, name="Search")
    decided(brand)
    spend(campaign, 100)

    page = html(ana.get(LIST))
    row = html(ana.get(f"{LIST}{StatusChange.objects.latest('pk').pk}/change/"))

    for shown in (page, row):
        assert "brand&#x27;s daily budget reached" in shown
        assert "100.00 of 100.00 USD" in shown
        assert "Acme" in shown
    assert "24 Nov 2026, 15:00:00" in page


def test_the_log_cannot_be_added_to_edited_or_deleted(ana: Client) -> None:
    decided(make_campaign())
    change = StatusChange.objects.get()

    for path in ("add/", f"{change.pk}/change/", f"{change.pk}/delete/"):
        assert ana.post(f"{LIST}{path}", {"post": "yes"}).status_code == 403
    ana.post(LIST, {"action": "delete_selected", "_selected_action": [change.pk], "post": "yes"})

    assert StatusChange.objects.get() == change


def test_filters_by_cause_hold_and_state(ana: Client) -> None:
    brand = make_brand(daily_budget=1)
    campaign = make_campaign(brand, name="Search")
    decided(brand)
    spend(campaign, 1)

    def rows(query: str) -> int:
        return html(ana.get(f"{LIST}?{query}")).count("Search</")

    assert rows("cause__exact=spend") == 1
    assert rows("hold__exact=brand_daily_budget") == 1
    assert rows("is_active__exact=1") == 1
    assert rows("cause__exact=sweep") == 0
    assert rows(f"campaign__id__exact={campaign.pk}") == rows("q=search") == 2


def test_passes_are_listed_with_what_they_did(ana: Client) -> None:
    decided(make_brand())

    page = html(ana.get("/admin/budgets/passrecord/"))

    assert PassRecord.objects.order_by("pk")[0].name in page
    assert "1 brands" in page
