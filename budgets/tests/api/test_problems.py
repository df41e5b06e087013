"""Errors have one shape, wherever they come from."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from budgets.api import problems
from budgets.api.problems import FieldError
from budgets.models import Campaign
from budgets.services import meters
from budgets.tests.api.programs import Program, ids_of, operations, stranger

PATHS = {operation.path for operation in operations()}


@pytest.mark.parametrize(
    "path",
    ["/", "/nope", "/campaigns/1/nope", "/campaigns/", "/spend/", "/v2", "/%00", "/%FF", "//"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_an_unknown_address_is_a_problem(
    program: Program, unchanged: Any, method: str, path: str
) -> None:
    unchanged()
    program.ask(method, path, {}).problem(404, "not_found")
    stranger().ask(method, path, {}).problem(404, "not_found")


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_wrong_method_is_a_problem(
    program: Program, tents: Campaign, unchanged: Any, path: str
) -> None:
    unchanged()
    known = {operation.method for operation in operations() if operation.path == path}
    real = path.format(**ids_of(tents))
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NONSENSE"} - known:
        answer = program.ask(method, real)
        answer.problem(405, "method_not_allowed")
        assert set(answer.headers["Allow"].split(", ")) == known
    assert program.ask("HEAD", real).status == 405


def test_a_type_that_is_wrong_in_two_ways_is_named_once(program: Program, tents: Campaign) -> None:
    answer = program.spend({"id": "1", "campaign": [], "amount": []})
    found = [error["field"] for error in answer.problem(422, "invalid")["errors"]]
    assert found == ["events.0.campaign", "events.0.amount"]


def test_one_wrong_field_stands_in_the_detail() -> None:
    one = problems.invalid([FieldError("amount", "negative", "cannot be negative")])
    two = problems.invalid([FieldError("a", "x", "y"), FieldError("b", "x", "y")])
    whole = problems.invalid([FieldError("", "x", "the whole is wrong")])

    assert one.detail == "amount: cannot be negative"
    assert two.detail == "2 fields are wrong"
    assert whole.detail == "the whole is wrong"
    assert str(one) == "422 invalid: amount: cannot be negative"


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("failure", [OperationalError, InterfaceError])
def test_a_database_that_is_down_is_not_the_callers_fault(
    program: Program, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise failure("it is down: postgres://user:password@host")

    def refused() -> float:
        return meters.OURS.get_sample_value("budget_guardian_unavailable_requests_total") or 0

    before = refused()
    with monkeypatch.context() as patch:
        patch.setattr("django.db.backends.utils.CursorWrapper.execute", refuse)
        answers = [program.get("/brands"), program.stream(b'{"id": "1"}')]

    for answer in answers:
        assert "password" not in answer.problem(503, "unavailable")["detail"]
        assert answer.headers["Retry-After"] == "5"
    assert refused() == before + len(answers)


def test_a_half_of_a_pair_of_surrogates_breaks_no_answer(program: Program, tents: Campaign) -> None:
    answer = program.post("/spend", b'{"source": "s", "events": [], "\\ud800": 1}')
    assert answer.status == 422
    answer.content.decode("utf-8")

    twice = program.post("/spend", b'{"\\ud800": 1, "\\ud800": 2}')
    assert "\\ud800" in twice.problem(400, "malformed_json")["detail"]
