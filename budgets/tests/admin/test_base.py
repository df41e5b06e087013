"""Nothing that anybody types ends in a 5xx, and nothing is fetched from elsewhere."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client

from budgets.services import keys
from budgets.tests.admin.conftest import errors, html, told
from budgets.tests.builders import NOW, TODAY, decided, make_brand, make_campaign, spend

pytestmark = pytest.mark.django_db

LISTS = [
    "/admin/budgets/brand/",
    "/admin/budgets/campaign/",
    "/admin/budgets/spend/",
    "/admin/budgets/statuschange/",
    "/admin/budgets/passrecord/",
    "/admin/budgets/apikey/",
    "/admin/django_celery_beat/periodictask/",
    "/admin/django_celery_beat/intervalschedule/",
    "/admin/auth/user/",
    "/admin/auth/group/",
]
HUGE = "9" * 25
QUERIES = [
    "q=a%00b",
    "q=%25_%5C'\"",
    "q=" + "x" * 60_000,
    f"q={HUGE}",
    "q=%ff%fe",
    "p=999999",
    "p=-1",
    "p=x",
    f"p={HUGE}",
    "o=99",
    "o=x.-.1",
    f"o={HUGE}",
    "e=1",
    "all=",
    "brand__id__exact=xyz",
    "brand__id__exact=-1",
    f"brand__id__exact={HUGE}",
    "brand__id__exact=1%00",
    "brand__id__exact=1&brand__id__exact=2",
    f"campaign__id__exact={HUGE}",
    "campaign__id__exact=xyz",
    "hold__exact=nonsense",
    "hold__exact=a%00",
    "cause__exact=%00",
    "is_active__exact=maybe",
    f"is_active__exact={HUGE}",
    "is_counted__exact=%F0%9F%92%A5",
    "troubled=maybe",
    "source=a%00",
    "source=" + "s" * 5_000,
    "date_from=garbage&date_to=2026-02-30",
    "date_from=0001-01-01&date_to=9999-12-31",
    "date_from=%00",
    "name__regex=(",
    "daily_budget__gte=NaN",
    "campaign__brand__name__regex=(",
    "password__startswith=p",
    "_facets=True",
    "_popup=1",
    "_to_field=nonsense",
    "state=maybe",
    "groups__id__exact=xyz",
    f"groups__id__exact={HUGE}",
]


@pytest.fixture
def rows() -> None:
    brand = make_brand(daily_budget=1)
    spend(make_campaign(brand), 1, date=TODAY)
    decided(brand)
    keys.create("ad server", ["read"], [brand], now=NOW)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
def test_no_list_fails_on_what_is_typed(ana: Client, rows: None, query: str) -> None:
    for path in LISTS:
        response = ana.get(f"{path}?{query}", follow=True)

        assert response.status_code in (200, 400), path


@pytest.mark.parametrize("key", [HUGE, "-1", "xyz", "a%00b", "1%00", "0", "%F0%9F%92%A5", "1_2F"])
@pytest.mark.parametrize("view", ["change", "delete", "history"])
def test_no_page_fails_on_a_key_that_cannot_be(
    ana: Client, rows: None, key: str, view: str
) -> None:
    for path in LISTS:
        response = ana.get(f"{path}{key}/{view}/")

        assert response.status_code in (302, 403, 404), path


@pytest.mark.parametrize("value", ["xyz", HUGE, "-1", "1%00", "", "%F0%9F%92%A5"])
def test_no_form_fails_on_a_proposed_key(ana: Client, rows: None, value: str) -> None:
    for form in ("campaign/add/?brand=", "spend/add/?campaign=", "apikey/add/?brands="):
        assert ana.get(f"/admin/budgets/{form}{value}").status_code == 200


@pytest.mark.parametrize("key", ["xyz", HUGE, "1\x00", "-1", "²"])
def test_no_form_fails_on_one_of_several_keys(ana: Client, key: str) -> None:
    form = {"username": "bo", "is_staff": "on", "date_joined_0": "2026-11-24", "groups": [key]}

    response = ana.post(f"/admin/auth/user/{User.objects.get().pk}/change/", form)

    assert "is not a valid value" in errors(response)["groups"][0]


@pytest.mark.parametrize("key", ["xyz", HUGE, "", "1\x00", "-1", "²"])
def test_no_action_fails_on_a_selected_key(ana: Client, rows: None, key: str) -> None:
    for path in ("/admin/budgets/brand/", "/admin/budgets/campaign/", "/admin/auth/user/"):
        response = ana.post(path, {"action": "delete_selected", "_selected_action": [key]})

        assert response.status_code == 302
        assert told(response)[-1] == "Select rows of the list."


@pytest.mark.parametrize(
    "query",
    ["term=a%00", "term=" + "x" * 60_000, "page=x", "page=999", f"page={HUGE}", "term=%ff"],
    ids=lambda query: query[:20],
)
def test_no_autocomplete_fails_on_what_is_typed(ana: Client, rows: None, query: str) -> None:
    for path, model, field in (
        ("/admin/autocomplete/", "campaign", "brand"),
        ("/admin/autocomplete/", "apikey", "brands"),
        ("/admin/budgets/spend/campaigns/", "spend", "campaign"),
    ):
        where = f"app_label=budgets&model_name={model}&field_name={field}"

        assert ana.get(f"{path}?{where}&{query}").status_code in (200, 404)


def test_whoever_loses_a_race_for_a_name_is_told_so(
    ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from budgets.models import Brand

    make_brand(name="Acme")
    monkeypatch.setattr(Brand, "validate_constraints", lambda self, exclude=None: None)

    response = ana.post(
        "/admin/budgets/brand/add/",
        {"name": "Acme", "timezone": "UTC", "currency": "USD", "stale_policy": "alert"},
    )

    assert response.status_code == 302
    assert "somebody else saved the same" in told(response)[0]
    assert Brand.objects.count() == 1


def test_pages_name_no_other_host_and_every_file_they_name_is_here(ana: Client, rows: None) -> None:
    forms = [f"/admin/budgets/{model}/add/" for model in ("campaign", "spend", "apikey")]
    paths = [*LISTS, "/admin/", *forms]
    for path in paths:
        page = html(ana.get(path))

        assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]+"', page), path
        for name in re.findall(r'(?:src|href)="/static/([^"?]+)"', page):
            assert finders.find(name), name


def test_the_sidebar_offers_what_one_may_open(client: Client, ana: Client) -> None:
    for title in ("Dashboard", "Brands", "Campaigns", "Status changes", "Schedules", "Users"):
        assert title in html(ana.get("/admin/"))

    client.force_login(User.objects.create_user("bo", is_staff=True))
    page = html(client.get("/admin/"))
    assert "Dashboard" in page
    assert "Campaigns" not in page
