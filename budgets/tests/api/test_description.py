"""What the api says of itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from budgets.api.urls import urlpatterns
from budgets.tests.api.programs import Operation, operations, stranger

OPERATIONS = operations()
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


@pytest.fixture
def document(db: None) -> Any:
    return stranger().get("/openapi.json").json


def test_it_is_an_openapi_document(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    errors = [
        f"{list(it.instance_path)}: {it.message}"
        for it in OPENAPI_31_VALIDATOR.iter_errors(document)
    ]
    assert errors == []


def test_every_address_of_the_api_is_described(document: Any) -> None:
    said = {path.removeprefix("/api/v1/") for path in document["paths"]}
    known = {re.sub(r"<(\w+:)?(\w+)>", r"{\2}", str(it.pattern)) for it in urlpatterns}
    assert said == known - {"", "docs", "openapi.json", "{rest}"}


def test_every_reference_leads_somewhere(document: Any) -> None:
    names = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))
    assert names
    assert names <= set(document["components"]["schemas"])


def test_the_key_is_described(document: Any) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes == {"Bearer": {"type": "http", "scheme": "bearer"}}


@every_operation
def test_every_operation_says_what_it_does_and_who_may(operation: Operation) -> None:
    said = operation.said
    assert said["summary"]
    assert said["description"]
    assert said["tags"]
    assert re.fullmatch(r"[a-z_]+", said["operationId"])
    assert operation.scope in {"read", "spend:write", "manage"}


def test_names_of_operations_are_distinct() -> None:
    names = [operation.said["operationId"] for operation in OPERATIONS]
    assert len(set(names)) == len(names)


@every_operation
def test_every_operation_says_how_it_can_fail(operation: Operation) -> None:
    problems = {
        int(status): answer
        for status, answer in operation.said["responses"].items()
        if int(status) >= 400
    }
    assert {400, 401, 403, 422, 429, 503} <= set(problems)
    assert (404 in problems) == ("{" in operation.path)
    for answer in problems.values():
        assert answer["description"]
        assert answer["content"] == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}
        }
    done = operation.said["responses"][str(operation.done)]
    if operation.done == 204:
        assert "content" not in done
    else:
        assert "application/json" in done["content"]


@every_operation
def test_every_post_knows_the_idempotency_key(operation: Operation) -> None:
    headers = [it["name"] for it in operation.said["parameters"] if it["in"] == "header"]
    assert headers == (["Idempotency-Key"] if operation.method == "POST" else [])


def test_streams_are_described() -> None:
    [spend] = [operation for operation in OPERATIONS if str(operation) == "POST /spend"]
    body = spend.said["requestBody"]["content"]
    assert set(body) == {"application/json", "application/x-ndjson"}
    assert "application/x-ndjson" in spend.said["responses"]["200"]["content"]
    [source] = [it for it in spend.said["parameters"] if it["in"] == "query"]
    assert (source["name"], source["required"]) == ("source", False)


def test_its_page_loads_our_own_files_alone(db: None) -> None:
    page = stranger().get("/docs").content.decode()

    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith(("/static/ninja/", "/static/budgets/"))
        assert finders.find(address.removeprefix("/static/"))
    assert "//" not in re.sub(r"<!--.*?-->", "", page).replace("://www.w3.org", "")
