"""Who may ask for what: keys and their scopes, at every address that the api's description tells of."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from budgets.models import Campaign
from budgets.models.api_key import Scope
from budgets.services import keys
from budgets.tests.api.programs import (
    ROOT,
    Operation,
    Program,
    everything,
    make_program,
    operations,
    stranger,
)
from budgets.tests.builders import NOW

OPERATIONS = operations()
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


@every_operation
def test_reading_reporting_and_editing_ask_for_different_scopes(operation: Operation) -> None:
    if operation.path.startswith("/webhooks"):
        # Reading as well: where others listen and what they were sent is for those who set it up.
        assert operation.scope == "manage"
    elif operation.method == "GET":
        assert operation.scope == "read"
    else:
        is_report = operation.path.startswith("/spend")
        assert operation.scope == ("spend:write" if is_report else "manage")


@every_operation
@pytest.mark.parametrize("scope", Scope.values)
def test_a_key_does_what_its_scope_says_and_no_more(
    tents: Campaign, operation: Operation, scope: str
) -> None:
    program = make_program(scopes=[scope])
    before = everything()

    answer = program.ask(*operation.of(tents))

    if scope == operation.scope:
        assert answer.status not in (401, 403), answer.content
    else:
        assert scope != operation.scope
        assert operation.scope in answer.problem(403, "scope_missing")["detail"]
        assert everything() == before


def test_a_stream_asks_for_the_same_scope(tents: Campaign, unchanged: Any) -> None:
    program = make_program(scopes=["read", "manage"])
    unchanged()
    assert "spend:write" in program.stream(b"{}").problem(403, "scope_missing")["detail"]


GARBAGE = {
    "none": None,
    "empty": "",
    "no token": "Bearer",
    "a space": "Bearer ",
    "nonsense": "Bearer nonsense",
    "another scheme": "Basic dXNlcjpwYXNz",
    "bare": "{secret}",
    "wrong scheme": "Token {secret}",
    "cut": "Bearer {cut}",
    "longer": "Bearer {secret}x",
    "spaces": "Bearer  {secret}",
    "the prefix alone": "Bearer {prefix}",
    "another random part": "Bearer {other}",
    "control characters": "Bearer \x00\x01",
    "full-width": "Bearer \uff42\uff47_aaaaaaaaaaaa_" + "a" * 43,
    "huge": "Bearer " + "bg_" * 20_000,
}


@pytest.mark.parametrize("header", GARBAGE.values(), ids=GARBAGE)
def test_without_a_valid_key_nothing_is_answered(
    program: Program, tents: Campaign, unchanged: Any, header: str | None
) -> None:
    unchanged()
    headers = {}
    if header is not None:
        secret = program.secret
        other = secret[:-43] + "x" * 43
        shown = header.format(secret=secret, cut=secret[:-1], other=other, prefix=secret[:15])
        headers["Authorization"] = shown
    for operation in OPERATIONS:
        answer = stranger().ask(*operation.of(tents), **headers)
        answer.problem(401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    stranger().stream(b"{}", **headers).problem(401, "unauthorized")


def test_a_revoked_key_is_none_at_its_next_request(program: Program, tents: Campaign) -> None:
    assert program.get("/campaigns").status == 200
    assert program.key is not None
    keys.revoke(program.key, now=NOW)

    before = everything()
    for operation in OPERATIONS:
        answer = program.ask(*operation.of(tents))
        answer.problem(401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert everything() == before


def test_the_scheme_is_read_in_any_case(program: Program) -> None:
    answer = stranger().get("/campaigns", Authorization=f"bearer {program.secret}")
    assert answer.status == 200


def test_a_signed_in_person_is_no_program(tents: Campaign, unchanged: Any) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("alice"))
    person = Program(None, "", client)
    unchanged()

    for operation in OPERATIONS:
        person.ask(*operation.of(tents)).problem(401, "unauthorized")


def test_a_program_needs_no_csrf_token(program: Program, tents: Campaign) -> None:
    checking = Program(program.key, program.secret, Client(enforce_csrf_checks=True))
    assert checking.post(f"/campaigns/{tents.pk}/pause").json["hold"] == "operator"
    assert checking.stream(b"").status == 200


def test_the_api_sets_no_cookie(program: Program) -> None:
    assert "Set-Cookie" not in program.get("/campaigns").headers


@pytest.mark.parametrize("debug", [False, True])
def test_what_was_shown_is_in_no_log(
    program: Program, settings: Any, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    settings.DEBUG = debug
    with caplog.at_level(logging.DEBUG):
        for shown in ("Bearer {}", "{}", "Token {}", "Bearer {}x"):
            stranger().get("/campaigns", Authorization=shown.format(program.secret))
    assert caplog.records
    assert program.secret not in caplog.text


@every_operation
def test_a_get_changes_nothing(program: Program, tents: Campaign, operation: Operation) -> None:
    before = everything()
    program.ask("GET", operation.of(tents)[1])
    assert everything() == before


def test_the_description_and_its_page_are_for_everybody(db: None) -> None:
    for path in ("/openapi.json", "/docs"):
        assert stranger().get(path).status == 200
    assert Client().get(f"{ROOT}/docs").status_code == 200
