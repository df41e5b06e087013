"""Webhooks in the admin: the secret on one page, every attempt in sight, all that changes by POST."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from budgets.models import WebhookDelivery, WebhookEndpoint
from budgets.services import deliveries, signatures, webhooks
from budgets.services.outbound import Reply
from budgets.tests.admin.conftest import HOSTILE, errors, html, told
from budgets.tests.builders import (
    NOW,
    decided,
    deleted_at_the_writing_of,
    deliveries_of,
    everything_stored,
    make_brand,
    make_campaign,
    make_webhook,
)

pytestmark = pytest.mark.django_db

LIST = "/admin/budgets/webhookendpoint/"
SENT = "/admin/budgets/webhookdelivery/"
FORM: dict[str, Any] = {
    "url": "https://93.184.215.14/hook",
    "description": "ads",
    "events": ["campaign.paused", "campaign.resumed"],
    "is_restricted": "False",
}


def secrets_in(text: str) -> set[str]:
    return set(re.findall(r"whsec_[A-Za-z0-9+/]{43}=", text))


def change(endpoint: WebhookEndpoint) -> str:
    return f"{LIST}{endpoint.pk}/change/"


def act(client: Client, action: str, *chosen: Any, path: str = LIST) -> Any:
    ids = [row.pk for row in chosen]
    return client.post(path, {"action": action, "_selected_action": ids})


def staff(client: Client, *permissions: str) -> None:
    user = User.objects.create_user("bo", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client.force_login(user)


def one_change(endpoint: WebhookEndpoint) -> WebhookDelivery:
    decided(make_campaign())
    (row,) = deliveries_of(endpoint)
    return row


def test_adding_one_shows_its_secret_once(ana: Client) -> None:
    response = ana.post(f"{LIST}add/", FORM)

    page = html(response)
    (secret,) = secrets_in(page)
    assert "it is not shown again" in page
    assert "no-store" in response["Cache-Control"]
    endpoint = WebhookEndpoint.objects.get()
    assert secret == signatures.shown(endpoint.sealed_secret)
    assert (endpoint.url, endpoint.description, endpoint.events, endpoint.is_restricted) == (
        FORM["url"],
        "ads",
        "campaign.paused campaign.resumed",
        False,
    )
    for path in (LIST, change(endpoint), f"{LIST}{endpoint.pk}/history/"):
        assert not secrets_in(html(ana.get(path))), path
    assert secret.removeprefix("whsec_") not in everything_stored()
    assert endpoint.sealed_secret not in html(ana.get(change(endpoint)))


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"url": ""}, "url", "required"),
        ({"url": "https://127.0.0.1/"}, "url", "not public"),
        ({"url": "http://93.184.215.14/"}, "url", "https://"),
        ({"url": "https://93.184.215.14:25/"}, "url", "443 or 8443"),
        ({"events": []}, "events", "required"),
        ({"events": ["root"]}, "events", "not one of the available"),
        ({"is_restricted": "True"}, "brands", "Choose at least one, or let it hear of all"),
        ({"description": "a\x1bb"}, "description", "without control"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    ana: Client, form: dict[str, Any], field: str, words: str
) -> None:
    response = ana.post(f"{LIST}add/", {**FORM, **form})

    assert words in " ".join(errors(response)[field])
    assert not WebhookEndpoint.objects.exists()


def test_an_edit_is_saved_with_its_brands(ana: Client) -> None:
    endpoint, _ = make_webhook()
    brand = make_brand(name="Acme")

    ana.post(change(endpoint), {**FORM, "is_restricted": "True", "brands": [brand.pk]})

    endpoint.refresh_from_db()
    assert (endpoint.description, endpoint.is_restricted) == ("ads", True)
    assert list(endpoint.brands.all()) == [brand]
    assert "Acme" in html(ana.get(LIST))


def test_rotating_shows_the_new_secret_once(ana: Client) -> None:
    endpoint, old = make_webhook()

    page = html(act(ana, "rotate", endpoint))

    (new,) = secrets_in(page)
    endpoint.refresh_from_db()
    assert new == signatures.shown(endpoint.sealed_secret) != old
    assert "25 Nov 2026, 15:00 UTC" in page
    shown = html(ana.get(change(endpoint)))
    assert "signs as well until 25 Nov 2026, 15:00 UTC" in shown
    assert not secrets_in(shown)


def test_only_one_is_rotated_at_once(ana: Client) -> None:
    chosen = [make_webhook()[0] for _ in range(2)]

    response = act(ana, "rotate", *chosen)

    assert told(response) == ["Select one: a secret is shown once, on a page of its own."]
    assert not WebhookEndpoint.objects.exclude(previous_sealed_secret="").exists()


def test_the_test_button_sends_one(ana: Client) -> None:
    endpoint, _ = make_webhook()
    assert 'value="test"' in html(ana.get(change(endpoint)))

    response = act(ana, "test", endpoint)

    assert told(response)[0] == "1 webhook: test sent."
    (row,) = deliveries_of(endpoint)
    assert (row.event, row.due_at) == ("webhook.test", NOW)


def test_switching_off_and_on(ana: Client) -> None:
    endpoint, _ = make_webhook()
    waiting = one_change(endpoint)

    act(ana, "disable", endpoint)

    endpoint.refresh_from_db()
    waiting.refresh_from_db()
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (False, "Switched off by ana.")
    assert waiting.state == "cancelled"
    page = html(ana.get(change(endpoint)))
    assert "Switched off by ana." in page
    assert 'value="enable"' in page
    assert 'value="test"' not in page
    assert "enable it first" in " ".join(told(act(ana, "test", endpoint)))

    act(ana, "enable", endpoint)

    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (True, "")


def test_removing_is_asked_for_and_then_for_good(ana: Client) -> None:
    endpoint, _ = make_webhook(description=HOSTILE)
    waiting = one_change(endpoint)
    assert 'value="remove"' in html(ana.get(change(endpoint)))

    asked = html(act(ana, "remove", endpoint))

    assert "Nothing more is sent to it, for good" in asked
    assert endpoint.url in asked
    assert "<script>alert(1)" not in asked
    endpoint.refresh_from_db()
    assert endpoint.is_enabled

    form = {"action": "remove", "confirmed": "yes", "_selected_action": [endpoint.pk]}
    response = ana.post(LIST, form)

    assert told(response) == ["1 webhook: removed."]
    endpoint.refresh_from_db()
    waiting.refresh_from_db()
    assert (endpoint.removed_at, endpoint.is_enabled, waiting.state) == (NOW, False, "cancelled")
    assert 'value="remove"' not in html(ana.get(change(endpoint)))
    assert told(act(ana, "remove", endpoint)) == ["Nothing to remove: they are removed already."]


def test_a_brand_that_is_deleted_before_it_is_saved_is_said_in_words(
    ana: Client,
) -> None:
    brand = make_brand(name="Acme")
    form = {**FORM, "is_restricted": "True", "brands": [brand.pk]}

    with deleted_at_the_writing_of("budgets_webhookendpoint", brand):
        response = ana.post(f"{LIST}add/", form)

    assert response.status_code == 302
    assert told(response) == ["Not saved: Acme was deleted at this moment; choose again."]
    assert not WebhookEndpoint.objects.exists()


def test_a_delivery_shows_every_attempt(ana: Client) -> None:
    endpoint, _ = make_webhook()
    row = one_change(endpoint)
    replies = iter([Reply(503, seconds=1.5), Reply(None, "no connection: refused", 0.02)])
    for _ in range(2):
        row.refresh_from_db()
        deliveries.deliver(row.due_at, send=lambda url, headers, body: next(replies))

    page = html(ana.get(f"{SENT}{row.pk}/change/"))

    for words in (row.message_id, "503", "1,500 ms", "no connection: refused", "20 ms"):
        assert words in page, words
    assert row.event in page
    assert "(&#x27;pending&#x27;" not in page
    assert 'value="replay"' in page
    assert row.event in html(ana.get(SENT, {"state__exact": "pending"}))
    assert row.event not in html(ana.get(SENT, {"state__exact": "failed"})).split("result_list")[-1]
    assert ana.get(SENT, {"endpoint__id__exact": endpoint.pk}).status_code == 200


def test_a_replay_makes_it_due_at_once(ana: Client) -> None:
    endpoint, _ = make_webhook()
    row = one_change(endpoint)
    WebhookDelivery.objects.update(state="failed", attempts=10)

    response = act(ana, "replay", row, path=SENT)

    assert told(response) == ["Replayed: 1."]
    row.refresh_from_db()
    assert (row.state, row.attempts, row.due_at) == ("pending", 0, NOW)


def test_a_replay_that_cannot_be_says_why(ana: Client) -> None:
    endpoint, _ = make_webhook()
    row = one_change(endpoint)
    webhooks.disable(endpoint, reason="Enough.")

    assert "enable it first" in told(act(ana, "replay", row, path=SENT))[0]


def test_hostile_words_stay_words(ana: Client) -> None:
    endpoint, _ = make_webhook(description=HOSTILE)
    one_change(endpoint)

    for path in (LIST, change(endpoint), SENT):
        page = html(ana.get(path))
        assert "<script>alert(1)" not in page
        assert "onerror=alert(2)>" not in page


def test_nothing_changes_by_looking_and_nobody_deletes(ana: Client) -> None:
    endpoint, _ = make_webhook()
    row = one_change(endpoint)
    before = WebhookEndpoint.objects.values().get(), WebhookDelivery.objects.values().get()

    for action in ("test", "rotate", "disable", "remove"):
        ana.get(f"{LIST}?action={action}&_selected_action={endpoint.pk}")
    ana.get(f"{SENT}?action=replay&_selected_action={row.pk}")
    for path in (f"{LIST}{endpoint.pk}/delete/", f"{SENT}{row.pk}/delete/"):
        assert ana.post(path, {"post": "yes"}).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get())
    assert act(strict, "rotate", endpoint).status_code == 403

    assert before == (
        WebhookEndpoint.objects.values().get(),
        WebhookDelivery.objects.values().get(),
    )


def test_without_the_permission_there_is_nothing(client: Client) -> None:
    endpoint, _ = make_webhook()
    row = one_change(endpoint)
    staff(client, "view_brand", "change_brand")

    for path in (LIST, f"{LIST}add/", change(endpoint), SENT, f"{SENT}{row.pk}/change/"):
        assert client.get(path).status_code == 403, path
    for response in (act(client, "rotate", endpoint), act(client, "replay", row, path=SENT)):
        assert response.status_code == 403


def test_who_may_look_may_do_nothing(client: Client) -> None:
    endpoint, _ = make_webhook()
    row = one_change(endpoint)
    staff(client, "view_webhookendpoint", "view_webhookdelivery")
    before = WebhookEndpoint.objects.values().get(), WebhookDelivery.objects.values().get()

    page = html(client.get(change(endpoint)))
    assert endpoint.url in page
    assert 'value="rotate"' not in page
    shown = html(client.get(f"{SENT}{row.pk}/change/"))
    assert 'value="replay"' not in shown
    for action in ("test", "rotate", "enable", "disable", "remove"):
        act(client, action, endpoint)
    client.post(LIST, {"action": "remove", "confirmed": "yes", "_selected_action": [endpoint.pk]})
    act(client, "replay", row, path=SENT)
    assert client.post(f"{LIST}add/", FORM).status_code == 403
    assert before == (
        WebhookEndpoint.objects.values().get(),
        WebhookDelivery.objects.values().get(),
    )


def test_the_state_can_be_asked_for(ana: Client) -> None:
    enabled, disabled, removed = (make_webhook(description=f"hook{at}")[0] for at in range(3))
    webhooks.disable(disabled, reason="Enough.")
    webhooks.remove(removed, now=NOW)

    for state, found in (("enabled", enabled), ("disabled", disabled), ("removed", removed)):
        page = html(ana.get(LIST, {"state": state}))
        names = {name for name in ("hook0", "hook1", "hook2") if name in page}
        assert names == {found.description}
