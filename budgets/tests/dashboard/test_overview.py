"""The dashboard's doors."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from budgets.models import Brand, Campaign
from budgets.services import ingestion, passes
from budgets.services.ingestion import SpendEvent

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HTMX = {"hx-request": "true"}
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7*7 }}'


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ana"))
    return client


@pytest.fixture
def acme() -> Brand:
    """Return a brand that has just reached its budget."""
    brand = Brand.objects.create(name="Acme", daily_budget=100, currency="USD")
    campaign = Campaign.objects.create(brand=brand, name="Search")
    passes.check_and_pause(NOON)
    event = SpendEvent(campaign_id=campaign.pk, amount="100", date=NOON.date())
    ingestion.record([event], source="tests", now=NOON)
    return brand


def page(client: Client, path: str = "/", **headers: str) -> str:
    with time_machine.travel(NOON, tick=False):
        response = client.get(path, headers=headers)
    assert response.status_code == 200
    return response.text


def test_without_signing_in_one_is_asked_to_and_comes_back(client: Client) -> None:
    response = client.get("/")

    assert (response.status_code, response["Location"]) == (302, "/admin/login/?next=/")


def test_the_page_shows_counts_bars_and_reasons(operator: Client, acme: Brand) -> None:
    html = page(operator)
    [campaign] = acme.campaigns.all()

    assert "<strong>100.00</strong> of 100.00 USD" in html
    assert '<rect class="fill" width="100.00"' in html
    assert "Daily budget reached" in html
    assert (
        'stopped <time datetime="2026-03-10T12:00:00+00:00" title="2026-03-10 12:00:00 UTC">'
        "12:00 UTC</time>: brand&#x27;s daily budget reached, "
        '<span class="number">100.00 of 100.00 USD</span>; '
        '<time datetime="2026-03-11T00:00:00+00:00" title="2026-03-11 00:00:00 UTC">'
        "runs again tomorrow 00:00</time>"
    ) in html
    assert f'href="/brands/{acme.pk}/"' in html
    assert f'href="/campaigns/{campaign.pk}/"' in html


def test_numbers_are_written_as_the_reader_writes_them(operator: Client, acme: Brand) -> None:
    german = page(operator, "/", **{"accept-language": "de-DE"})

    assert "<strong>100,00</strong> of 100,00 USD" in german


def test_each_reason_is_a_link_that_sets_the_filter_and_takes_it_away_again(
    operator: Client, acme: Brand
) -> None:
    html = page(operator, "/?currency=USD")
    assert 'href="/?currency=USD&amp;hold=brand_daily_budget"' in html

    chosen = page(operator, "/?currency=USD&hold=brand_daily_budget")
    assert 'id="hold-brand_daily_budget" href="/?currency=USD" aria-current="true"' in chosen
    assert '<option value="brand_daily_budget" selected>' in chosen
    assert "<option selected>USD</option>" in chosen


def test_the_filter_is_a_plain_form_of_the_address(operator: Client, acme: Brand) -> None:
    html = page(operator, "/?q=xyz%22%3E")

    assert '<form class="filter" id="filter" method="get" action="/"' in html
    assert 'name="q" value="xyz&quot;&gt;"' in html
    assert 'hx-get="/?q=xyz%22%3E"' in html
    assert "No brand or campaign called “xyz&quot;&gt;”" in html


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=%FF",
        "q=" + "x" * 3000,
        "q=%25_%5C",
        "q=a&q=b&zone=&zone=UTC",
        "hold=none&zone=Mars/Olympus&currency=usd",
        "zone[]=1&hold=%00&page=99999999999999999999",
    ],
)
def test_whatever_the_address_says_there_is_a_page(
    operator: Client, acme: Brand, query: str
) -> None:
    assert "Brands that need you first" in page(operator, f"/?{query}")


def test_hostile_names_are_text(operator: Client) -> None:
    brand = Brand.objects.create(name=HOSTILE, daily_budget=1, timezone="Mars/Olympus")
    Campaign.objects.create(brand=brand, name=HOSTILE)
    fine = Brand.objects.create(name=f"fine {HOSTILE}", daily_budget=1)
    Campaign.objects.create(brand=fine, name=HOSTILE)
    passes.check_and_pause(NOON)

    html = page(operator)

    assert html.count("&lt;script&gt;alert(1)") >= 3  # the banner, the table, the changes
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "{{" in html  # as it was written; a token that is drawn by lot may hold any number


def test_pages_have_no_inline_script_or_style(operator: Client, acme: Brand) -> None:
    html = page(operator)

    assert "style=" not in html
    assert "<style" not in html
    data = html.count('type="application/json"')
    assert data == 1  # the chart's numbers are no script
    assert html.count("<script") == html.count("<script src=") + data
    assert not re.search(r"\son[a-z]+=", html)


def test_the_fragment_is_the_part_that_changes(operator: Client, acme: Brand) -> None:
    fragment = page(operator, "/", **HTMX)

    assert fragment.startswith('<div class="dashboard" data-summary="0 of 1 campaigns run."')
    assert "<html" not in fragment
    assert fragment.strip() in page(operator)


def test_the_fragment_sends_who_is_signed_out_to_sign_in_and_tells_nothing(
    client: Client, acme: Brand
) -> None:
    response = client.get("/", headers=HTMX)

    assert response["HX-Redirect"] == "/admin/login/?next=/"
    assert response.content == b""


def test_nothing_of_it_is_kept_by_caches(operator: Client) -> None:
    for headers in ({}, HTMX):
        response = operator.get("/", headers=headers)
        assert "no-store" in response["Cache-Control"]
        assert "HX-Request" in response["Vary"]


def test_who_may_not_add_brands_is_not_sent_to_the_admin(client: Client) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    client.force_login(clerk)
    assert "/admin/budgets/" not in page(client)

    clerk.user_permissions.add(Permission.objects.get(codename="add_brand"))

    assert 'href="/admin/budgets/brand/add/"' in page(client)


def test_an_empty_house_says_how_to_begin(operator: Client) -> None:
    html = page(operator)

    assert "No brands yet" in html
    assert 'href="/admin/budgets/brand/add/"' in html
    assert "import_spend" in html


def test_without_javascript_the_page_reloads_itself(operator: Client) -> None:
    assert '<noscript><meta http-equiv="refresh"' in page(operator)


def test_signing_out_is_a_post_and_leads_to_signing_in(operator: Client) -> None:
    assert operator.get("/sign-out").status_code == 405

    assert operator.post("/sign-out")["Location"] == "/"

    assert operator.get("/").status_code == 302


def test_signing_out_from_elsewhere_is_refused() -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("ana"))

    assert strict.post("/sign-out").status_code == 403


def test_a_page_that_is_not_there_has_our_face(operator: Client) -> None:
    response = operator.get("/nothing/here")

    assert response.status_code == 404
    assert "There is no such page" in response.text


def test_our_own_failure_has_our_face(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    operator.raise_request_exception = False
    monkeypatch.setattr("budgets.dashboard.pages.overview.SHOWN_NEEDS", "a mistake")

    response = operator.get("/")

    assert response.status_code == 500
    assert "Something went wrong on our side" in response.text


class TestSigningIn:
    def test_people_who_are_not_staff_reach_the_dashboard(self, client: Client) -> None:
        User.objects.create_user("olga", password="pass")

        response = client.post(
            "/admin/login/?next=/", {"username": "olga", "password": "pass", "next": "/"}
        )

        assert (response.status_code, response["Location"]) == (302, "/")
        assert client.get("/").status_code == 200

    def test_people_who_are_not_staff_are_told_that_the_admin_is_not_theirs(
        self, client: Client
    ) -> None:
        client.force_login(User.objects.create_user("olga"))

        response = client.get("/admin/", follow=True)

        assert "You are signed in as olga, who may not open this page." in response.text

    def test_a_wrong_password_is_said_and_leads_nowhere_else(self, client: Client) -> None:
        response = client.post(
            "/admin/login/?next=/",
            {"username": "olga", "password": "no", "next": "https://elsewhere.example/"},
        )

        assert response.status_code == 200
        assert "Please enter a correct username and password" in response.text
        assert "elsewhere.example" not in response.text
