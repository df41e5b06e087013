"""Alerts in the admin: to read, with their mails; recipients are edited through the service."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from budgets.models import Alert, AlertKind, AlertMessage, AlertRecipient, Brand
from budgets.tests.admin.conftest import HOSTILE, errors, html
from budgets.tests.builders import (
    NOW,
    alerted,
    decided,
    make_brand,
    make_campaign,
    make_recipient,
    spend,
)
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

LIST = "/admin/budgets/alert/"
RECIPIENTS = "/admin/budgets/alertrecipient/"
FORM: dict[str, Any] = {
    "address": "ana@example.com",
    "is_enabled": "on",
    "kinds": ["budget_threshold", "campaign_silent"],
    "is_restricted": "False",
}


def crossed(name: str = "Acme") -> Alert:
    brand = make_brand(name=name, daily_budget=100)
    spend(decided(make_campaign(brand)), 85)
    alerted()
    return brand.alerts.get()


class TestRecipients:
    def test_one_is_made_with_what_it_is_told(self, ana: Client) -> None:
        response = ana.post(f"{RECIPIENTS}add/", FORM)

        assert response.status_code == 302
        row = AlertRecipient.objects.get()
        assert (row.address, row.kinds) == ("ana@example.com", "budget_threshold campaign_silent")
        assert (row.is_restricted, row.is_enabled, row.created_at) == (False, True, NOW)

    def test_one_of_some_brands_is_edited_and_keeps_what_it_was_sent(self, ana: Client) -> None:
        row, brand = make_recipient("old@example.com"), make_brand()
        crossed()

        ana.post(
            f"{RECIPIENTS}{row.pk}/change/",
            {**FORM, "is_restricted": "True", "brands": [brand.pk]},
        )

        row.refresh_from_db()
        assert (row.address, row.is_restricted, list(row.brands.all())) == (
            "ana@example.com",
            True,
            [brand],
        )
        assert AlertMessage.objects.get().address == "old@example.com"

    @pytest.mark.parametrize(
        ("typed", "field", "words"),
        [
            ({"address": "nobody"}, "address", "valid email address"),
            ({"address": "a@example.com\r\nBcc: b@example.com"}, "address", "valid email address"),
            ({"address": "BO@example.com"}, "__all__", "is a recipient already"),
            ({"kinds": []}, "kinds", "required"),
            ({"kinds": ["none"]}, "kinds", "not one of the available choices"),
            ({"is_restricted": "True"}, "brands", "Choose at least one"),
            ({"is_restricted": "True", "brands": ["x"]}, "brands", "not a valid value"),
            ({"user": "9" * 30}, "user", ""),
        ],
    )
    def test_what_cannot_be_meant_is_refused_in_words(
        self, ana: Client, typed: dict[str, Any], field: str, words: str
    ) -> None:
        make_recipient("bo@example.com")

        response = ana.post(f"{RECIPIENTS}add/", {**FORM, **typed})

        assert words in " ".join(errors(response)[field])
        assert AlertRecipient.objects.count() == 1

    def test_one_is_deleted_and_its_mails_stay(self, ana: Client) -> None:
        row = make_recipient("bo@example.com")
        crossed()

        ana.post(f"{RECIPIENTS}{row.pk}/delete/", {"post": "yes"})

        assert not AlertRecipient.objects.exists()
        message = AlertMessage.objects.get()
        assert (message.address, message.recipient_id) == ("bo@example.com", None)

    def test_the_list_says_what_each_is_told(self, ana: Client) -> None:
        make_recipient("all@example.com")
        make_recipient("some@example.com", make_brand(name=HOSTILE), kinds=[AlertKind.SILENT])

        text = html(ana.get(RECIPIENTS))

        assert "anything happens" in text
        assert "a campaign runs and nothing is spent" in text
        assert "<script>alert(1)" not in text

    def test_a_user_without_the_permission_sees_none(self, client: Client) -> None:
        client.force_login(User.objects.create_user("bo", is_staff=True))

        assert client.get(RECIPIENTS).status_code == 403
        assert client.get(LIST).status_code == 403


class TestAlerts:
    def test_the_list_says_what_happened_and_what_became_of_the_mails(self, ana: Client) -> None:
        for name in ("a", "b", "c"):
            make_recipient(f"{name}@example.com")
        crossed(HOSTILE)
        AlertMessage.objects.filter(address="a@example.com").update(state="sent")

        text = html(ana.get(LIST))

        assert ": 80 % of the daily budget of 2026-11-24 reached" in text
        assert "1 sent, 2 to be sent" in text
        assert "<script>alert(1)" not in text

    def test_one_can_be_read_with_its_mails_and_not_be_changed(self, ana: Client) -> None:
        make_recipient("bo@example.com")
        alert = crossed()
        AlertMessage.objects.update(error="The mail server answers 451 later")

        text = html(ana.get(f"{LIST}{alert.pk}/change/"))

        assert "85.00 of 100.00 USD" in text
        assert "bo@example.com" in text
        assert "The mail server answers 451 later" in text
        assert ana.get(f"{LIST}add/").status_code == 403
        assert ana.post(f"{LIST}{alert.pk}/delete/", {"post": "yes"}).status_code == 403

    def test_the_list_is_a_fixed_number_of_statements(self, ana: Client) -> None:
        make_recipient()
        crossed("Brand")
        few = statements(lambda: ana.get(LIST))
        for at in range(20):
            crossed(f"Brand {at}")

        assert len(statements(lambda: ana.get(LIST))) == len(few)


class TestBrand:
    def test_thresholds_are_stored_in_one_form(self, ana: Client) -> None:
        brand = make_brand(name="Acme")
        form = {
            "name": "Acme",
            "is_active": "on",
            "timezone": "UTC",
            "currency": "USD",
            "alert_thresholds": " 100%, 75 ",
            "alert_silence_hours": "",
            "stale_policy": "alert",
        }

        ana.post(f"/admin/budgets/brand/{brand.pk}/change/", form)

        stored = Brand.objects.get(pk=brand.pk)
        assert (stored.alert_thresholds, stored.alert_silence_hours) == ("75 100", None)

    @pytest.mark.parametrize(
        ("field", "typed", "words"),
        [
            ("alert_thresholds", "fifty", "is no threshold"),
            ("alert_thresholds", "0", "from 1 to 500"),
            ("alert_silence_hours", "0", "greater than or equal to 1"),
            ("alert_silence_hours", "169", "less than or equal to 168"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(
        self, ana: Client, field: str, typed: str, words: str
    ) -> None:
        form = {"name": "Acme", "timezone": "UTC", "currency": "USD", field: typed}

        response = ana.post("/admin/budgets/brand/add/", form)

        assert words in " ".join(errors(response)[field])
