"""Every address of the house, asked by everybody: who is let in, and what of others' they read.

A new address must be listed in `NEEDS`, with what it takes to open it and to post to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from budgets.models import (
    Alert,
    AlertRecipient,
    ApiKey,
    Brand,
    Campaign,
    PassRecord,
    Spend,
    StatusChange,
    WaitingReport,
    WebhookDelivery,
    WebhookEndpoint,
)
from budgets.services import access
from budgets.services.importing import Importing
from budgets.tests.builders import (
    NOW,
    alerted,
    decided,
    event,
    make_brand,
    make_campaign,
    make_key,
    make_recipient,
    make_webhook,
)
from budgets.tests.builders import spend as report

pytestmark = pytest.mark.django_db

# --- What an address takes --------------------------------------------------------------------

PUBLIC, SIGNED_IN, STAFF = "public", "signed in", "staff"
A_KEY = "an API key"  # No person gets anywhere with their session.
NO_POST = NO_GET = "another method"
NOWHERE = "nowhere"
"""Nobody finds anything there."""
LEAVES = "leaves"
"""Who is no staff is led away, since they are outside already."""


OURS = "ours: "
"""Begins a permission that is asked of anybody, not of staff alone: our own pages ask it."""
SEES_IT, PAUSES, EDITS = (
    f"{OURS}budgets.{codename}" for codename in ("view_brand", "pause_campaign", "change_brand")
)


class Needs(NamedTuple):
    """What it takes: one of the above, or a permission, which is asked of staff."""

    get: str
    post: str


OWN = Needs(SIGNED_IN, NO_POST)
MODELS = {
    "budgets": (
        "alert",
        "alertrecipient",
        "apikey",
        "brand",
        "campaign",
        "passrecord",
        "spend",
        "statuschange",
        "webhookdelivery",
        "webhookendpoint",
    ),
    "auth": ("group", "user"),
    "django_celery_beat": ("intervalschedule", "periodictask"),
}
NEVER = {
    "alert": ("add", "change", "delete"),
    "passrecord": ("add", "change", "delete"),
    "statuschange": ("add", "change", "delete"),
    "webhookdelivery": ("add", "change", "delete"),
    "spend": ("change", "delete"),
    "apikey": ("delete",),
    "webhookendpoint": ("delete",),
}
"""What not even a superuser can do in the admin."""


def of_model(app: str, model: str) -> dict[str, Needs]:
    def may(action: str) -> str:
        return NOWHERE if action in NEVER.get(model, ()) else f"{app}.{action}_{model}"

    page = f"admin:{app}_{model}"
    return {
        f"{page}_changelist": Needs(may("view"), may("view")),
        f"{page}_add": Needs(may("add"), may("add")),
        f"{page}_history": Needs(may("view"), may("view")),
        f"{page}_delete": Needs(may("delete"), may("delete")),
        f"{page}_change": Needs(may("view"), may("change")),
        # Leads to the form, which then asks.
        f"admin/{app}/{model}/<path:object_id>/": Needs(STAFF, STAFF),
    }


NEEDS: dict[str, Needs] = {
    "dashboard": OWN,
    "alerts": OWN,
    "brand": Needs(SEES_IT, NO_POST),
    "brand-edit": Needs(EDITS, EDITS),
    "brand-switch": Needs(NO_GET, PAUSES),
    "campaign": Needs(SEES_IT, NO_POST),
    "campaign-edit": Needs(EDITS, EDITS),
    "campaign-switch": Needs(NO_GET, PAUSES),
    "import": Needs(SEES_IT, NO_POST),
    "overspend": OWN,
    "overspend-sheet": OWN,
    "sign-out": Needs(NO_GET, SIGNED_IN),
    "health": Needs(PUBLIC, NO_POST),
    "health-live": Needs(PUBLIC, NO_POST),
    # Without a token in the settings it is not there.
    "metrics": Needs(NOWHERE, NO_POST),
    "health/live/": Needs(PUBLIC, NO_POST),
    "admin:index": Needs(STAFF, STAFF),
    "admin:search": Needs(STAFF, STAFF),
    "admin:login": Needs(PUBLIC, PUBLIC),
    "admin:logout": Needs(LEAVES, LEAVES),
    "admin:password_change": Needs(STAFF, STAFF),
    "admin:password_change_done": Needs(STAFF, NO_POST),
    "admin:jsi18n": Needs(STAFF, NO_POST),
    "admin:autocomplete": Needs("budgets.view_brand", NO_POST),
    "admin:app_list": Needs("budgets.view_brand", "budgets.view_brand"),
    "admin:view_on_site": Needs(NOWHERE, NOWHERE),
    "admin/(?P<url>.*)$": Needs(NOWHERE, NOWHERE),
    **{
        name: needs
        for app, models in MODELS.items()
        for model in models
        for name, needs in of_model(app, model).items()
    },
    "admin:auth_user_password_change": Needs("auth.change_user", "auth.change_user"),
    "admin:budgets_spend_campaigns": Needs("budgets.view_campaign", NO_POST),
    "admin:budgets_spend_import_report": Needs("budgets.add_spend", "budgets.add_spend"),
    # Each is its uploader's alone.
    "admin:budgets_spend_waiting_report": Needs(NOWHERE, NOWHERE),
    "api-v1:openapi-json": Needs(PUBLIC, PUBLIC),
    "api-v1:openapi-view": Needs(PUBLIC, PUBLIC),
    "api-v1:api-root": Needs(NOWHERE, NOWHERE),
    "api/v1/<path:rest>": Needs(NOWHERE, NOWHERE),
    **{
        f"api-v1:{name}": Needs(A_KEY, A_KEY)
        for name in (
            "post_spend",
            "post_to_date",
            "list_brands",
            "get_brand",
            "patch_brand",
            "list_campaigns",
            "get_campaign",
            "patch_campaign",
            "pause",
            "resume",
            "list_changes",
            "get_serving",
            "get_explanation",
            "list_webhooks",
            "create_webhook",
            "get_webhook",
            "patch_webhook",
            "delete_webhook",
            "rotate_webhook",
            "test_webhook",
            "list_deliveries",
            "get_delivery",
            "replay_delivery",
        )
    },
}

# --- Who asks ---------------------------------------------------------------------------------

SEES = {f"budgets.view_{model}" for model in ("brand", "campaign", "spend", "statuschange")}
OPERATOR = SEES | {"budgets.pause_campaign"}
MANAGER = OPERATOR | {"budgets.change_brand", "budgets.change_campaign"}


@dataclass(frozen=True)
class Who:
    """Somebody: their groups, and what these let them do."""

    name: str
    may: frozenset[str] = frozenset()
    group: str = ""
    is_signed_in: bool = True
    is_staff: bool = True
    is_superuser: bool = False
    is_restricted: bool = False

    def __str__(self) -> str:
        return self.name

    def expects(self, need: str) -> str:
        """Say what becomes of somebody who asks for what needs this."""
        if need in (PUBLIC, A_KEY):
            return "in" if need == PUBLIC else "asked for a key"
        if not self.is_signed_in:
            return "asked to sign in"
        if need in (SIGNED_IN, LEAVES, NO_GET):
            return "another method" if need == NO_GET else "in"
        if need.startswith(OURS):
            return "in" if self.is_superuser or need[len(OURS) :] in self.may else "kept out"
        if not self.is_staff:
            return "asked to sign in"
        if need == STAFF or ((need in self.may or self.is_superuser) and need != NOWHERE):
            return "in"
        return "kept out"


ANONYMOUS = Who("anonymous", is_signed_in=False, is_staff=False)
VISITOR = Who("no role, not staff", is_staff=False)
CLERK = Who("no role, staff")
READER = Who("operator, not staff", frozenset(OPERATOR), "Operator", is_staff=False)
ANA = Who("operator", frozenset(OPERATOR), "Operator")
BO = Who("manager", frozenset(MANAGER), "Manager")
CAI = Who("restricted operator", frozenset(OPERATOR), "Operator", is_restricted=True)
DEE = Who("restricted manager", frozenset(MANAGER), "Manager", is_restricted=True)
EVE = Who("restricted, with every permission", is_restricted=True)
ROOT = Who("superuser", is_superuser=True)
RESTRICTED = (CAI, DEE, EVE)
EVERYBODY = (ANONYMOUS, VISITOR, CLERK, READER, ANA, BO, CAI, DEE, ROOT)


def sign_in(client: Client, who: Who, *brands: Brand) -> User | None:
    if not who.is_signed_in:
        return None
    user, is_new = User.objects.get_or_create(
        username=who.name.replace(" ", "-").replace(",", ""),
        defaults={"is_staff": who.is_staff, "is_superuser": who.is_superuser},
    )
    if is_new:
        user.groups.set(Group.objects.filter(name=who.group))
        if who is EVE:
            user.user_permissions.set(Permission.objects.all())
        if who.is_restricted:
            access.restrict(user, brands)
    client.force_login(user)
    return user


# --- What there is ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Tenant:
    """A brand with one of everything, all of it called `word`."""

    word: str
    brand: Brand
    campaign: Campaign
    ids: dict[str, int]


def make_tenant(word: str) -> Tenant:
    brand = make_brand(name=f"Brand {word}", daily_budget=5)
    campaign = make_campaign(brand, name=f"Campaign {word}", external_id=f"id {word}")
    make_key(brand, name=f"key {word}")
    endpoint, _ = make_webhook(description=f"hook {word}", brands=[brand])
    recipient = make_recipient(f"{word}@example.com", brand)
    decided(campaign)
    report(campaign, "5", external_id=f"row {word}", source=f"source {word}")
    file = Importing(kind="csv", file=f"{word}.csv", source=f"source {word}", actor="somebody")
    file.events([event(campaign, "1", date=NOW.date(), external_id=f"line {word}")], now=NOW)
    assert file.record is not None
    # Two in trouble: one without campaigns, one with a row that no pass can count.
    decided(make_brand(name=f"Troubled {word}", timezone="Mars/Olympus"))
    alerted()
    ids = {
        "alert": Alert.objects.get(brand=brand).pk,
        "alertrecipient": recipient.pk,
        "apikey": ApiKey.objects.get(name=f"key {word}").pk,
        "brand": brand.pk,
        "campaign": campaign.pk,
        "import": file.record.pk,
        "spend": Spend.objects.filter(campaign=campaign).latest("pk").pk,
        "statuschange": StatusChange.objects.filter(campaign=campaign).latest("pk").pk,
        "webhookendpoint": endpoint.pk,
        "webhookdelivery": WebhookDelivery.objects.filter(endpoint=endpoint).latest("pk").pk,
    }
    return Tenant(word, brand, campaign, ids)


@dataclass(frozen=True)
class House:
    own: Tenant
    foreign: Tenant
    ids: dict[str, int]
    """Of what belongs to nobody's brand."""


@pytest.fixture
def house() -> Iterator[House]:
    with time_machine.travel(NOW, tick=False):
        own, foreign = make_tenant("Aurora"), make_tenant("Borealis")
        root = User.objects.create_user("somebody")
        ids = {
            "user": root.pk,
            "group": Group.objects.get(name="Operator").pk,
            "passrecord": PassRecord.objects.order_by("pk")[0].pk,
            "periodictask": PeriodicTask.objects.order_by("pk")[0].pk,
            "intervalschedule": IntervalSchedule.objects.order_by("pk")[0].pk,
        }
        yield House(own, foreign, ids)


class Address(NamedTuple):
    """An address of the house: by its name, or where it has none, by its route."""

    name: str
    route: str

    @property
    def model(self) -> str:
        found = re.match(r"admin/\w+/(\w+)/", self.route)
        return found[1] if found else ""

    def of(self, tenant: Tenant, house: House) -> str:
        """Return the path about what `tenant` has."""
        ids = tenant.ids | house.ids
        values = {
            "object_id": ids.get(self.model, 1),
            "id": house.ids["user"],
            "content_type_id": 1,
            "token": uuid4(),
            "rest": "nothing",
            "brand_id": tenant.brand.pk,
            "campaign_id": tenant.campaign.pk,
            "import_id": tenant.ids["import"],
            "webhook_id": tenant.ids["webhookendpoint"],
            "delivery_id": tenant.ids["webhookdelivery"],
        }
        path = re.sub(r"(?<!P)<(?:\w+:)?(\w+)>", lambda found: str(values[found[1]]), self.route)
        return "/" + {
            "admin:app_list": "admin/budgets/",
            "admin/(?P<url>.*)$": "admin/nothing/",
            "admin:autocomplete": f"{path}?app_label=budgets&model_name=campaign&field_name=brand&term=",
            "admin:budgets_spend_campaigns": f"{path}?app_label=budgets&model_name=spend"
            "&field_name=campaign&term=",
        }.get(self.name, path)

    @property
    def is_of_a_brand(self) -> bool:
        """Whether it is about one row that belongs to a brand."""
        belongs = self.model in MODELS["budgets"] and self.model != "passrecord"
        pages = re.search(r"<\w+:(brand|campaign|import)_id>", self.route)
        return bool((belongs and "object_id" in self.route) or pages) and "api/" not in self.route


def addresses(patterns: Any = None, prefix: str = "", space: str = "") -> Iterator[Address]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = f"{prefix}{str(pattern.pattern).lstrip('^')}"
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from addresses(pattern.url_patterns, route, inner)
        elif isinstance(pattern, URLPattern):
            yield Address(f"{space}{pattern.name}" if pattern.name else route, route)


ALL = sorted(set(addresses()))


def outcome(response: Any) -> str:
    """Say what became of the one who asked."""
    status = response.status_code
    if status == 302 and response["Location"].startswith("/admin/login/"):
        return "asked to sign in"
    if status == 401:
        return "asked for a key"
    if status in (403, 404):
        return "kept out"
    return "another method" if status == 405 else "in"


def test_every_address_is_listed() -> None:
    assert {address.name for address in ALL} == NEEDS.keys()


def test_the_groups_let_do_what_is_asked_here() -> None:
    for who in (ANA, BO):
        permissions = Group.objects.get(name=who.group).permissions.select_related("content_type")
        assert {f"{it.content_type.app_label}.{it.codename}" for it in permissions} == who.may


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("who", EVERYBODY, ids=str)
def test_every_address_lets_in_whom_it_should(
    client: Client, house: House, who: Who, method: str
) -> None:
    sign_in(client, who, house.own.brand)
    wrong = {}
    for address in ALL:
        need = getattr(NEEDS[address.name], method)
        expected = {who.expects(need)}
        if need == NO_POST:
            # Whoever may not even look is told that first.
            expected = {"another method", who.expects(NEEDS[address.name].get)} - {"in"}
        if need == LEAVES and method == "get" and who.is_staff:
            expected = {"another method"}
        if need == A_KEY:
            expected.add("another method")
        if need == NOWHERE and not address.route.startswith("admin/"):
            expected = {"kept out"}
        found = outcome(getattr(client, method)(address.of(house.own, house)))
        if found not in expected:
            wrong[address.name] = (found, expected)
        if "out" in address.name and method == "post":
            sign_in(client, who, house.own.brand)

    assert wrong == {}


def test_what_is_there_can_be_read_by_who_sees_all(client: Client, house: House) -> None:
    sign_in(client, ROOT)

    told = {
        path
        for path in paths_about(house, house.foreign)
        if house.foreign.word in text_of(client.get(path, follow=True))
    }

    for page in ("/", "/alerts/", "/health/"):
        assert page in told
    for model in (
        "alert",
        "alertrecipient",
        "apikey",
        "brand",
        "campaign",
        "spend",
        "statuschange",
        "webhookendpoint",
    ):
        assert f"/admin/budgets/{model}/" in told
        assert f"/admin/budgets/{model}/{house.foreign.ids[model]}/change/" in told
    for narrowed in (
        "brand__id__exact",
        "campaign__id__exact",
        "endpoint__id__exact",
        "&term=",
        "add/?",
    ):
        assert any(narrowed in path for path in told), narrowed


def text_of(response: Any) -> str:
    """Return a body, also of one that streams."""
    return b"".join(response).decode() if response.streaming else str(response.text)


def paths_about(house: House, tenant: Tenant) -> Iterator[str]:
    """Yield every path that a person may read, also narrowed to what `tenant` has."""
    asked_in_lists = (
        f"brand__id__exact={tenant.brand.pk}",
        f"campaign__id__exact={tenant.campaign.pk}",
        f"endpoint__id__exact={tenant.ids['webhookendpoint']}",
        f"q={tenant.word[1:]}",
    )
    asked_in_forms = (
        f"brand={tenant.brand.pk}&brands={tenant.brand.pk}&campaign={tenant.campaign.pk}",
    )
    for address in ALL:
        if address.route.startswith("api/") or "out" in address.name:
            continue
        path = address.of(tenant, house)
        yield path
        if address.name.endswith("_changelist"):
            yield from (f"{path}?{asked}" for asked in asked_in_lists)
        elif address.name.endswith("_add"):
            yield from (f"{path}?{asked}" for asked in asked_in_forms)
        elif path.endswith("term="):
            yield f"{path}{tenant.word[1:]}"


@pytest.mark.parametrize("who", [CAI, EVE, CLERK], ids=str)
def test_nothing_is_read_of_brands_that_are_not_seen(
    client: Client, house: House, who: Who
) -> None:
    user = sign_in(client, who, house.own.brand)
    assert user is not None
    # What they did before they saw less.
    LogEntry.objects.log_actions(user.pk, Brand.objects.all(), 2, "Changed.")

    for tenant in (house.own, house.foreign):
        for path in paths_about(house, tenant):
            assert house.foreign.word not in text_of(client.get(path, follow=True)), path


@pytest.mark.parametrize("who", RESTRICTED, ids=str)
def test_what_is_not_seen_is_answered_like_what_is_not_there(
    client: Client, house: House, who: Who
) -> None:
    sign_in(client, who, house.own.brand)
    before = stored()
    nobodys = Tenant(
        "", Brand(pk=987_654), Campaign(pk=987_654), dict.fromkeys(house.own.ids, 987_654)
    )
    own = [address for address in ALL if address.is_of_a_brand]
    assert len(own) > 20

    for address in own:
        for ask in (client.get, client.post):
            theirs = ask(address.of(house.foreign, house))
            nothing = ask(address.of(nobodys, house))
            need = NEEDS[address.name][ask == client.post]
            permission = need.removeprefix(OURS)
            if permission in who.may or (who is EVE and permission.startswith("budgets.")):
                assert theirs.status_code == 404, address
            assert theirs.status_code == nothing.status_code, address
            assert without_ids(theirs) == without_ids(nothing), address
    assert stored() == before


def without_ids(response: Any) -> str:
    return re.sub(r"\d+|[A-Za-z0-9]{64}", "N", text_of(response))


def stored() -> dict[str, Any]:
    """Return what people and programs have written."""
    through = (
        AlertRecipient.brands.through,
        ApiKey.brands.through,
        WebhookEndpoint.brands.through,
    )
    rows = (
        Alert,
        AlertRecipient,
        Brand,
        Campaign,
        Spend,
        StatusChange,
        ApiKey,
        WebhookEndpoint,
        WebhookDelivery,
    )
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in (*rows, *through, User, WaitingReport)
    }


CAMPAIGN = {"name": "New", "is_enabled": "on", "allowed_start_hour": "0", "allowed_end_hour": "24"}
KEY = {"name": "new", "scopes": ["read"], "is_restricted": "True"}
MAIL = {"address": "new@example.com", "kinds": ["budget_threshold"], "is_restricted": "True"}
HOOK = {"url": "https://93.184.215.14/x", "events": ["campaign.paused"], "is_restricted": "True"}


def test_nothing_can_be_written_to_brands_that_are_not_seen(client: Client, house: House) -> None:
    sign_in(client, EVE, house.own.brand)
    before, theirs = stored(), house.foreign
    chosen = {name: [pk] for name, pk in theirs.ids.items()}
    forms: list[tuple[str, dict[str, Any]]] = [
        ("campaign/add/", {**CAMPAIGN, "brand": theirs.brand.pk}),
        ("spend/add/", {"campaign": theirs.campaign.pk, "amount": "1"}),
        ("apikey/add/", {**KEY, "brands": [theirs.brand.pk]}),
        ("apikey/add/", {**KEY, "is_restricted": "False"}),
        (f"apikey/{house.own.ids['apikey']}/change/", {**KEY, "is_restricted": "False"}),
        (f"apikey/{house.own.ids['apikey']}/change/", {**KEY, "brands": [theirs.brand.pk]}),
        ("webhookendpoint/add/", {**HOOK, "brands": [theirs.brand.pk]}),
        ("webhookendpoint/add/", {**HOOK, "is_restricted": "False"}),
        (
            "brand/add/",
            {"name": "New", "timezone": "UTC", "currency": "USD", "stale_policy": "alert"},
        ),
        ("alertrecipient/add/", {**MAIL, "brands": [theirs.brand.pk]}),
        ("alertrecipient/add/", {**MAIL, "is_restricted": "False"}),
    ]
    forms += [
        (f"{model}/", {"action": action, "_selected_action": chosen[model], "post": "yes"})
        for model, action in (
            ("brand", "delete_selected"),
            ("campaign", "delete_selected"),
            ("campaign", "pause"),
            ("campaign", "resume"),
            ("alertrecipient", "delete_selected"),
            ("apikey", "revoke"),
            ("webhookendpoint", "disable"),
            ("webhookendpoint", "rotate"),
            ("webhookdelivery", "replay"),
        )
    ]

    for path, fields in forms:
        response = client.post(f"/admin/budgets/{path}", {**fields, "confirmed": "yes"})

        assert theirs.word not in response.text, path
        assert stored() == before, path

    # The same with what is seen is done.
    client.post("/admin/budgets/campaign/add/", {**CAMPAIGN, "brand": house.own.brand.pk})
    client.post("/admin/budgets/apikey/add/", {**KEY, "brands": [house.own.brand.pk]})
    assert Campaign.objects.get(name="New").brand == house.own.brand
    assert ApiKey.objects.get(name="new").brands.get() == house.own.brand
