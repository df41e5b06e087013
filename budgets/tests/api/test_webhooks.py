"""Webhooks by the api: secrets shown once, foreign ones unseen, deliveries to read and to replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from budgets.models import WebhookDelivery, WebhookEndpoint
from budgets.services import deliveries, signatures, webhooks
from budgets.services.outbound import Reply
from budgets.tests.builders import (
    NOW,
    decided,
    deleted_at_the_writing_of,
    deliveries_of,
    everything_stored,
    make_brand,
    make_campaign,
    make_key,
    make_webhook,
    switch,
)

pytestmark = pytest.mark.django_db

ROOT = "/api/v1/webhooks"
URL = "https://93.184.215.14/hook"


class Program:
    """A program that calls with a key."""

    def __init__(self, secret: str) -> None:
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.client = Client()

    def __call__(self, method: str, path: str = "", body: Any = None, **headers: str) -> Any:
        return self.client.generic(
            method,
            path if path.startswith("/") else ROOT + (f"/{path}" if path else ""),
            b"" if body is None else json.dumps(body).encode(),
            content_type="application/json",
            headers={
                **self.headers,
                **{name.replace("_", "-"): it for name, it in headers.items()},
            },
        )


@pytest.fixture
def manager() -> Program:
    return Program(make_key(name="manager", scopes=["manage"]))


def shown(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    return json.loads(response.content)


def wrong(response: Any) -> dict[str, str]:
    """Return the fields that are wrong, with the code of each."""
    return {it["field"]: it["code"] for it in shown(response, 422)["errors"]}


def told(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Change a state, and return the delivery."""
    switch(decided(make_campaign()), on=False)
    return deliveries_of(endpoint)[-1]


# --- Endpoints ----------------------------------------------------------------------------------


def test_a_secret_is_in_the_answer_that_makes_it_and_in_no_other(manager: Program) -> None:
    made = shown(manager("POST", body={"url": URL, "description": "ads"}), 201)

    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made == {
        "id": made["id"],
        "url": URL,
        "description": "ads",
        "events": ["campaign.paused", "campaign.resumed", "campaign.hold_changed"],
        "brands": None,
        "is_enabled": True,
        "disabled_reason": "",
        "failures": 0,
        "created_at": made["created_at"],
        "previous_secret_expires_at": None,
    }
    assert shown(manager("GET", str(made["id"]))) == made
    assert shown(manager("GET")) == {"data": [made], "next_cursor": None}
    assert secret.removeprefix("whsec_") not in everything_stored()


@pytest.mark.parametrize("headers", [{}, {"Idempotency_Key": "once"}])
def test_a_brand_that_is_deleted_meanwhile_is_said_of_its_field(
    manager: Program, headers: dict[str, str]
) -> None:
    brand = make_brand()

    with deleted_at_the_writing_of("budgets_webhookendpoint", brand):
        answer = manager("POST", body={"url": URL, "brands": [brand.pk]}, **headers)

    assert wrong(answer) == {"brands": "unknown_brand"}
    assert not WebhookEndpoint.objects.exists()


def test_an_answer_that_was_lost_can_be_asked_for_again(manager: Program) -> None:
    first = manager("POST", body={"url": URL}, Idempotency_Key="once")
    again = manager("POST", body={"url": URL}, Idempotency_Key="once")

    assert shown(again, 201) == shown(first, 201)
    assert again["Idempotent-Replayed"] == "true"
    assert WebhookEndpoint.objects.count() == 1
    assert shown(first, 201)["secret"].removeprefix("whsec_") not in everything_stored()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"url": "missing"}),
        ({"url": "https://127.0.0.1/"}, {"url": "refused"}),
        ({"url": "http://93.184.215.14/"}, {"url": "refused"}),
        ({"url": "https://93.184.215.14:22/"}, {"url": "refused"}),
        ({"url": "https://a\x00b/"}, {"url": "refused"}),
        ({"url": ""}, {"url": "blank"}),
        ({"url": "https://\ud800/"}, {"url": "invalid"}),
        ({"url": "https://[/"}, {"url": "refused"}),
        ({"url": f"{URL}\u202e"}, {"url": "refused"}),
        ({"url": 1, "description": None}, {"url": "string_type", "description": "string_type"}),
        ({"url": "https://93.184.215.14/" + "a" * 500}, {"url": "string_too_long"}),
        ({"url": URL, "events": []}, {"events": "too_short"}),
        ({"url": URL, "events": ["campaign.exploded"]}, {"events": "unknown_event"}),
        ({"url": URL, "events": ["\x00"]}, {"events": "unknown_event"}),
        ({"url": URL, "events": ["campaign.paused campaign.resumed"]}, {"events": "unknown_event"}),
        ({"url": URL, "events": ["\ud800"]}, {"events": "unknown_event"}),
        ({"url": URL, "description": "a\x00b"}, {"description": "unprintable"}),
        ({"url": URL, "description": "a\u202eb"}, {"description": "unprintable"}),
        ({"url": URL, "brands": ["1"]}, {"brands.0": "int_type"}),
        ({"url": URL, "brands": [2**63]}, {"brands.0": "less_than_equal"}),
        ({"url": URL, "description": "\ud800"}, {"description": "invalid"}),
        ({"url": URL, "brands": []}, {"brands": "required"}),
        ({"url": URL, "brands": [999]}, {"brands.0": "unknown_brand"}),
        ({"url": URL, "brands": [0]}, {"brands.0": "greater_than_equal"}),
        ({"url": URL, "secret": "whsec_x"}, {"secret": "unknown_field"}),
        ({"url": URL, "is_enabled": False}, {"is_enabled": "unknown_field"}),
    ],
)
def test_what_cannot_be_meant_is_refused_by_field(
    manager: Program, body: dict[str, Any], expected: dict[str, str]
) -> None:
    assert wrong(manager("POST", body=body)) == expected
    assert not WebhookEndpoint.objects.exists()


def test_an_edit_changes_what_is_sent_and_keeps_the_rest(manager: Program) -> None:
    brand = make_brand()
    endpoint, _ = make_webhook(URL, description="old", brands=[brand])

    edited = shown(manager("PATCH", str(endpoint.pk), {"events": ["campaign.paused"]}))

    assert edited["events"] == ["campaign.paused"]
    assert (edited["url"], edited["description"], edited["brands"]) == (URL, "old", [brand.pk])
    assert shown(manager("PATCH", str(endpoint.pk), {"brands": None}))["brands"] is None
    assert wrong(manager("PATCH", str(endpoint.pk), {"url": "https://10.0.0.1/"})) == {
        "url": "refused"
    }
    assert wrong(manager("PATCH", str(endpoint.pk), {"url": None})) == {"url": "null"}
    assert shown(manager("GET", str(endpoint.pk)))["url"] == URL


def test_switched_off_it_says_by_whom_and_can_be_switched_on(manager: Program) -> None:
    endpoint, _ = make_webhook()

    off = shown(manager("PATCH", str(endpoint.pk), {"is_enabled": False}))
    on = shown(manager("PATCH", str(endpoint.pk), {"is_enabled": True}))

    assert (off["is_enabled"], off["disabled_reason"]) == (False, "Switched off by manager.")
    assert (on["is_enabled"], on["disabled_reason"]) == (True, "")


def test_removed_it_is_gone_and_sent_nothing(manager: Program) -> None:
    endpoint, _ = make_webhook()
    waiting = told(endpoint)

    assert manager("DELETE", str(endpoint.pk)).status_code == 204

    for method, path in (
        ("GET", f"{endpoint.pk}"),
        ("DELETE", f"{endpoint.pk}"),
        ("POST", f"{endpoint.pk}/rotate"),
        ("GET", f"{endpoint.pk}/deliveries"),
        ("POST", f"{endpoint.pk}/deliveries/{waiting.pk}/replay"),
    ):
        assert shown(manager(method, path), 404)["code"] == "not_found"
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"
    assert shown(manager("GET"))["data"] == []


def test_a_rotation_shows_the_new_secret_and_until_when_the_old_one_is_good(
    manager: Program,
) -> None:
    endpoint, old = make_webhook()

    rotated = shown(manager("POST", f"{endpoint.pk}/rotate"))

    assert rotated["secret"] != old
    endpoint.refresh_from_db()
    assert rotated["secret"] == signatures.shown(endpoint.sealed_secret)
    assert rotated["previous_secret_expires_at"] is not None


def test_rotated_twice_by_one_key_it_is_rotated_once(manager: Program) -> None:
    endpoint, _ = make_webhook()

    first = shown(manager("POST", f"{endpoint.pk}/rotate", Idempotency_Key="once"))
    again = shown(manager("POST", f"{endpoint.pk}/rotate", Idempotency_Key="once"))

    assert first == again


def test_an_answer_that_is_asked_for_again_tells_the_secret_of_then(manager: Program) -> None:
    """A later one may be for others: here a person rotated it, and gave the endpoint another brand."""
    mine, foreign = make_brand(), make_brand()
    program = Program(make_key(mine, scopes=["manage"]))
    body = {"url": URL, "brands": [mine.pk]}
    made = shown(program("POST", body=body, Idempotency_Key="made"), 201)
    path = f"{made['id']}/rotate"
    rotated = shown(program("POST", path, Idempotency_Key="rotated"))
    shown(manager("PATCH", str(made["id"]), {"brands": [foreign.pk]}))
    latest = shown(manager("POST", path))["secret"]

    assert shown(program("POST", body=body, Idempotency_Key="made"), 201) == made
    assert shown(program("POST", path, Idempotency_Key="rotated")) == rotated
    assert len({made["secret"], rotated["secret"], latest}) == 3
    assert shown(program("POST", path), 404)["code"] == "not_found"


def test_a_secret_whose_key_is_gone_cannot_be_told_again(manager: Program, settings: Any) -> None:
    made = shown(manager("POST", body={"url": URL}, Idempotency_Key="once"), 201)
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another" * 10

    lost = shown(manager("POST", body={"url": URL}, Idempotency_Key="once"), 409)

    assert lost["code"] == "secret_lost"
    assert "SECRET_KEY_FALLBACKS" in lost["detail"]
    settings.SECRET_KEY_FALLBACKS = [before]
    assert shown(manager("POST", body={"url": URL}, Idempotency_Key="once"), 201) == made


def test_fields_and_the_switch_are_written_together_or_not_at_all(
    manager: Program,
) -> None:
    endpoint, _ = make_webhook(description="before")
    body = {"description": "after", "is_enabled": False}

    with connection.execute_wrapper(fail_to_disable), pytest.raises(RuntimeError):
        manager("PATCH", str(endpoint.pk), body)

    endpoint.refresh_from_db()
    assert (endpoint.description, endpoint.is_enabled) == ("before", True)
    edited = shown(manager("PATCH", str(endpoint.pk), body))
    assert (edited["description"], edited["is_enabled"]) == ("after", False)
    assert edited["disabled_reason"] == "Switched off by manager."


def fail_to_disable(execute: Callable[..., Any], sql: str, *more: Any) -> Any:
    if sql.startswith("UPDATE") and "disabled_reason" in sql:
        raise RuntimeError("killed at this moment")
    return execute(sql, *more)


# --- Deliveries ---------------------------------------------------------------------------------


def test_a_test_is_sent_and_its_attempt_can_be_read(manager: Program) -> None:
    endpoint, _ = make_webhook()

    made = shown(manager("POST", f"{endpoint.pk}/test"), 202)
    deliveries.deliver(timezone.now(), send=lambda url, headers, body: Reply(500, seconds=0.5))

    found = shown(manager("GET", f"{endpoint.pk}/deliveries/{made['id']}"))
    assert (found["event"], found["sequence"], found["state"]) == ("webhook.test", None, "failed")
    assert json.loads(found["body"])["type"] == "webhook.test"
    [attempt] = found["attempts_made"]
    assert (attempt["status"], attempt["error"], attempt["duration_ms"]) == (500, "", 500)
    # A test that fails is an answer to whoever asked, and no reason to disable.
    assert shown(manager("GET", str(endpoint.pk)))["is_enabled"]


def test_deliveries_are_paged_and_narrowed(manager: Program) -> None:
    endpoint, _ = make_webhook()
    other, _ = make_webhook()
    for _ in range(3):
        told(endpoint)
    rows = deliveries_of(endpoint)
    WebhookDelivery.objects.filter(pk=rows[0].pk).update(state="failed")
    path = f"{endpoint.pk}/deliveries"

    first = shown(manager("GET", f"{path}?limit=4"))
    rest = shown(manager("GET", f"{path}?limit=4&cursor={first['next_cursor']}"))

    assert [it["id"] for it in first["data"] + rest["data"]] == [row.pk for row in rows]
    assert rest["next_cursor"] is None
    failed = shown(manager("GET", f"{path}?state=failed"))["data"]
    assert [it["id"] for it in failed] == [rows[0].pk]
    assert "state" in wrong(manager("GET", f"{path}?state=lost"))
    assert "cursor" in wrong(manager("GET", f"{path}?cursor=x"))
    # Those of another endpoint are not found here.
    foreign = deliveries_of(other)[0].pk
    assert manager("GET", f"{path}/{foreign}").status_code == 404


def test_a_replay_sends_the_same_again(manager: Program) -> None:
    endpoint, _ = make_webhook()
    row = told(endpoint)
    sent: list[tuple[str, bytes]] = []

    def send(url: str, headers: Any, body: bytes) -> Reply:
        sent.append((dict(headers)["webhook-id"], body))
        return Reply(204)

    deliveries.deliver(NOW, send=send)
    before = set(sent)
    again = shown(manager("POST", f"{endpoint.pk}/deliveries/{row.pk}/replay"), 202)
    assert (again["state"], again["attempts"]) == ("pending", 0)
    deliveries.deliver(timezone.now(), send=send)

    assert set(sent) == before
    assert sent.count((row.message_id, row.body.encode())) == 2
    assert row.attempts_made.count() == 2


def test_nothing_is_replayed_to_a_disabled_one_or_while_it_is_sent(manager: Program) -> None:
    endpoint, _ = make_webhook()
    row = told(endpoint)
    path = f"{endpoint.pk}/deliveries/{row.pk}/replay"
    deliveries._claim(timezone.now(), 64)
    assert wrong(manager("POST", path)) == {"": "being_sent"}

    webhooks.disable(endpoint, reason="A person did.")
    assert wrong(manager("POST", path)) == {"": "disabled"}
    assert wrong(manager("POST", f"{endpoint.pk}/test")) == {"": "disabled"}
    row.refresh_from_db()
    assert row.state == "cancelled"


# --- Who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scopes", [["read"], ["spend:write"], ["read", "spend:write"]])
def test_it_takes_the_scope_manage(scopes: list[str]) -> None:
    endpoint, _ = make_webhook()
    row = told(endpoint)
    program = Program(make_key(scopes=scopes))

    for method, path, body in requests(endpoint.pk, row.pk):
        assert shown(program(method, path, body), 403)["code"] == "scope_missing", path
    assert Client().get(ROOT).status_code == 401


def requests(endpoint: int, delivery: int) -> list[tuple[str, str, Any]]:
    return [
        ("GET", "", None),
        ("POST", "", {"url": URL}),
        ("GET", f"{endpoint}", None),
        ("PATCH", f"{endpoint}", {"description": "mine"}),
        ("DELETE", f"{endpoint}", None),
        ("POST", f"{endpoint}/rotate", None),
        ("POST", f"{endpoint}/test", None),
        ("GET", f"{endpoint}/deliveries", None),
        ("GET", f"{endpoint}/deliveries/{delivery}", None),
        ("POST", f"{endpoint}/deliveries/{delivery}/replay", None),
    ]


def test_a_restricted_key_sees_what_hears_of_its_brands_alone() -> None:
    mine, foreign = make_brand(), make_brand()
    own, _ = make_webhook(brands=[mine])
    hidden = [make_webhook(brands=it)[0] for it in (None, [foreign], [mine, foreign])]
    orphan, _ = make_webhook(brands=[foreign])
    orphan.brands.clear()
    row = told(hidden[0])
    program = Program(make_key(mine, scopes=["manage"]))
    before = everything_stored()

    assert [it["id"] for it in shown(program("GET"))["data"]] == [own.pk]
    for endpoint in (*hidden, orphan):
        for method, path, body in requests(endpoint.pk, row.pk)[2:]:
            assert shown(program(method, path, body), 404)["code"] == "not_found", path
    for pk in (0, -1, 10**18, 10**19 - 1):
        assert program("GET", str(pk)).status_code == 404
    assert wrong(program("GET", str(10**30))) == {"webhook_id": "invalid_number"}
    assert wrong(program("POST", body={"url": URL})) == {"brands": "required"}
    assert wrong(program("POST", body={"url": URL, "brands": [foreign.pk]})) == {
        "brands.0": "unknown_brand"
    }
    assert wrong(program("PATCH", str(own.pk), {"brands": None})) == {"brands": "required"}
    assert tables_of_webhooks(before) == tables_of_webhooks(everything_stored())
    made = shown(program("POST", body={"url": URL, "brands": [mine.pk]}), 201)
    assert made["brands"] == [mine.pk]


def test_what_an_endpoint_heard_of_other_brands_before_is_not_theirs_to_read() -> None:
    mine, foreign = make_brand(), make_brand()
    endpoint, _ = make_webhook(brands=[mine, foreign])
    switch(decided(make_campaign(mine)), on=False)
    own = [row.pk for row in deliveries_of(endpoint)]
    switch(decided(make_campaign(foreign)), on=False)
    hidden = deliveries_of(endpoint)[-1]
    endpoint.brands.remove(foreign)
    program = Program(make_key(mine, scopes=["manage"]))
    test = shown(program("POST", f"{endpoint.pk}/test"), 202)["id"]
    before = everything_stored()

    listed = shown(program("GET", f"{endpoint.pk}/deliveries"))["data"]
    assert [it["id"] for it in listed] == [*own, test]
    for method, path in (("GET", ""), ("POST", "/replay")):
        answer = program(method, f"{endpoint.pk}/deliveries/{hidden.pk}{path}")
        assert shown(answer, 404)["code"] == "not_found"
    assert tables_of_webhooks(before) == tables_of_webhooks(everything_stored())
    assert shown(program("GET", f"{endpoint.pk}/deliveries/{own[-1]}"))["id"] == own[-1]
    everybody = Program(make_key(name="everybody", scopes=["manage"]))
    assert shown(everybody("GET", f"{endpoint.pk}/deliveries/{hidden.pk}"))["body"] == hidden.body


def tables_of_webhooks(stored: str) -> list[str]:
    """Return the lines that may not change; the note of a key's use may."""
    return [line for line in stored.splitlines() if "msg_" in line or "campaign." in line]
