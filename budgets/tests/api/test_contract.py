"""Requests that nobody thought of, made from the api's own description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from budgets.models import Campaign
from budgets.tests.api.programs import ROOT, ids_of, make_program, operations
from django_celery_budget.wsgi import application

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Leave the test's database connection open: a server closes it before and after a request."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.slow
@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", [str(operation) for operation in operations()])
def test_the_answer_is_one_that_the_description_tells_of(
    tents: Campaign, settings: Any, name: str, mode: GenerationMode
) -> None:
    settings.API_REQUESTS_PER_SECOND = 1_000_000
    method, path = name.split()
    program = make_program()
    schema = schemathesis.openapi.from_wsgi(f"{ROOT}/openapi.json", application)
    operation = schema[f"{ROOT}{path}"][method]
    ids = ids_of(tents)
    answered: set[int] = set()

    @generously
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        # Half of the requests are about what is there.
        for parameter, pk in ids.items():
            if parameter in case.path_parameters and len(answered) % 2 == 0:
                case.path_parameters[parameter] = pk
        response = case.call(headers={"Authorization": f"Bearer {program.secret}"})
        answered.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    ask()
    assert answered


generously = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
