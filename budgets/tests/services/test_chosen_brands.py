"""Brands chosen for keys and webhooks, while somebody deletes them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test import Client

from budgets.models import ApiKey, Brand, WebhookEndpoint
from budgets.services import keys, webhooks
from budgets.tests.builders import NOW, make_brand, make_key, make_webhook
from budgets.tests.colleagues import ON_POSTGRESQL, Colleagues, until_waiting

pytestmark = pytest.mark.django_db


def gone() -> Brand:
    """Return a brand that was read, and deleted since."""
    brand = make_brand(name="Acme")
    Brand.objects.filter(pk=brand.pk).delete()
    return brand


def said_of(refusal: pytest.ExceptionInfo[ValidationError]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = refusal.value.message_dict
    return found


SAID = {"brands": ["Acme was deleted at this moment; choose again."]}


def test_nothing_is_made_for_a_brand_that_is_gone() -> None:
    brand, other = gone(), make_brand()

    with pytest.raises(ValidationError) as no_key:
        keys.create("ad server", ["read"], [other, brand], now=NOW)
    with pytest.raises(ValidationError) as no_endpoint:
        make_webhook(brands=[other, brand])

    assert said_of(no_key) == said_of(no_endpoint) == SAID
    assert not ApiKey.objects.exists()
    assert not WebhookEndpoint.objects.exists()


def test_an_edit_that_names_one_changes_nothing() -> None:
    kept = make_brand()
    make_key(kept)
    key, (endpoint, _) = ApiKey.objects.get(), make_webhook(brands=[kept])
    brand = gone()

    with pytest.raises(ValidationError) as no_key:
        keys.change(key, scopes=["read"], brands=[brand])
    with pytest.raises(ValidationError) as no_endpoint:
        webhooks.change(
            endpoint, url=endpoint.url, description="", events=endpoint.event_list, brands=[brand]
        )

    assert said_of(no_key) == said_of(no_endpoint) == SAID
    assert list(key.brands.all()) == list(endpoint.brands.all()) == [kept]


class TestAtOnce:
    pytestmark = ON_POSTGRESQL

    def test_who_deletes_waits_for_who_chooses_and_takes_the_choice_too(
        self, colleagues: Colleagues
    ) -> None:
        brand = make_brand()
        client = Client()
        client.force_login(User.objects.create_superuser("ana"))
        path = f"/admin/budgets/brand/{brand.pk}/delete/"

        with transaction.atomic():
            endpoint, _ = make_webhook(brands=[brand])
            deleting = colleagues.start(lambda: client.post(path, {"post": "yes"}))
            until_waiting(1)
        answer = deleting.result()

        assert answer.status_code == 302
        assert not Brand.objects.exists()
        endpoint.refresh_from_db()
        assert (endpoint.is_restricted, endpoint.brands.count()) == (True, 0)

    def test_who_chooses_waits_for_who_deletes_and_is_told(self, colleagues: Colleagues) -> None:
        brand = make_brand(name="Acme")

        with transaction.atomic():
            Brand.objects.filter(pk=brand.pk).delete()
            making = colleagues.start(lambda: keys.create("ad server", ["read"], [brand], now=NOW))
            until_waiting(1)

        with pytest.raises(ValidationError) as refusal:
            making.result()
        assert said_of(refusal) == SAID
        assert not ApiKey.objects.exists()
