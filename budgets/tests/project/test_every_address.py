"""Every address of the house: asking changes nothing, and no other site can make a browser change it."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from budgets.models import ApiKey, WebhookEndpoint
from budgets.tests.builders import everything_stored
from budgets.tests.project import test_roles as roles
from budgets.tests.project.test_roles import A_KEY, ALL, NEEDS, ROOT, House, sign_in

pytestmark = pytest.mark.django_db

house = roles.house

PAGES = [address for address in ALL if not address.route.startswith("api/")]
OF_PROGRAMS = [address for address in ALL if NEEDS[address.name].post == A_KEY]


def test_there_are_pages_and_addresses_of_programs() -> None:
    assert len(PAGES) > 50
    assert len(OF_PROGRAMS) > 20


def test_asking_for_a_page_changes_no_table(client: Client, house: House) -> None:
    sign_in(client, ROOT)
    for address in PAGES:
        before = everything_stored()

        answer = client.get(address.of(house.own, house))

        assert answer.status_code < 500 or address.name == "health", address
        assert everything_stored() == before, address


def test_no_other_site_can_have_a_browser_post_to_a_page(house: House) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    sign_in(client, ROOT)
    for address in PAGES:
        before = everything_stored()

        answer = client.post(address.of(house.own, house), {"post": "yes", "name": "forged"})

        assert answer.status_code == 403, address
        assert everything_stored() == before, address


@pytest.mark.parametrize("method", ["post", "patch", "put", "delete"])
def test_a_session_opens_nothing_to_programs(house: House, method: str) -> None:
    """The api asks for no token of a form, so a browser's cookie must be worth nothing there."""
    client = Client(enforce_csrf_checks=True)
    sign_in(client, ROOT)
    before = everything_stored()
    for address in OF_PROGRAMS:
        answer = client.generic(method.upper(), address.of(house.own, house), "{}")

        assert answer.status_code in (401, 405), address
    assert everything_stored() == before


ODD_PARAMETERS = [
    "o=1;DROP TABLE budgets_brand",
    "o=-99",
    "o=1.2.-3.x",
    "o=%00",
    "q=%27%20OR%201=1--",
    "q=%00",
    "q=" + "x" * 3000,
    "p=-1",
    "p=99999999999999999999",
    "all=%27",
    "e=1%27",
    "pk__in=1%27)",
    "name__regex=(",
    "brand__id__exact=%27%20OR%20%271%27=%271",
    "brand__id__exact=99999999999999999999999",
    "campaign__brand__name__iregex=[",
    "password__startswith=p",
    "hold=%27;--",
    "date__gte=0000-00-00",
    "_to_field=password",
    "q=%22%3E%3Cscript%3E",
    "_popup=%22%3E%3Cscript%3E",
    "hold=a&hold=b",
    "cursor=%27;SELECT%201",
    "page=%F0%9F%92%A3",
]


@pytest.mark.parametrize("parameters", ODD_PARAMETERS)
def test_no_order_and_no_filter_reaches_the_database_as_anything_but_a_value(
    client: Client, house: House, parameters: str
) -> None:
    sign_in(client, ROOT)
    before = everything_stored()
    lists = [page for page in PAGES if "<" not in page.route and "(" not in page.route]
    for address in lists:
        path = address.of(house.own, house)

        answer = client.get(f"{path}{'&' if '?' in path else '?'}{parameters}")

        assert answer.status_code < 500 or address.name == "health", (address, parameters)
        assert answer.streaming or b'"><script>' not in answer.content, (address, parameters)
    assert everything_stored() == before


def test_no_secret_is_in_any_page_once_it_was_shown(client: Client, house: House) -> None:
    """Keys and secrets of webhooks are told once; afterwards no page has them, nor their digests."""
    sign_in(client, ROOT)
    key = ApiKey.objects.get(pk=house.own.ids["apikey"])
    hook = WebhookEndpoint.objects.get(pk=house.own.ids["webhookendpoint"])
    user = User.objects.get(pk=house.ids["user"])
    secrets = [key.digest, hook.sealed_secret, user.password, settings.SECRET_KEY]
    for address in PAGES:
        answer = client.get(address.of(house.own, house))
        if not answer.streaming:
            for secret in secrets:
                assert secret.encode() not in answer.content, address
