"""A worker that lives. No database here: its start closes connections."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from structlog.contextvars import bound_contextvars

from budgets.health import checks
from budgets.health.checks import Status
from budgets.queries.health import PassAge
from budgets.tests.overhearing import overhearing
from budgets.tests.waiting import until
from django_celery_budget.celery import app

NEVER = PassAge(name="check_and_pause_campaigns", at=None, age=None, patience=timedelta(minutes=3))


@pytest.mark.usefixtures("running_broker")
def test_a_worker_that_answers_without_passes_is_a_warning() -> None:
    with start_worker(app, perform_ping_check=False, shutdown_timeout=30):
        answering = checks.check_worker([NEVER], ask=True)

    assert answering.status is Status.WARN


@pytest.fixture
def errand() -> Iterator[Any]:
    """A task that sends another one, as a pass that asks for help."""

    @app.task(name="errand")
    def errand(more: int) -> None:
        logging.getLogger("errand").warning("%s more", more)
        if more:
            errand.delay(more - 1)

    yield errand
    del app.tasks["errand"]


@pytest.mark.usefixtures("running_broker")
def test_the_log_names_the_request_that_asked_and_the_pass(errand: Any) -> None:
    # The worker sets up the log when it starts: we listen afterwards.
    with (
        start_worker(app, perform_ping_check=False, shutdown_timeout=30),
        overhearing(logging.WARNING) as heard,
    ):

        def said() -> list[dict[str, Any]]:
            return [record for record in heard.records() if record["logger"] == "errand"]

        with bound_contextvars(request_id="r-1"):
            first = errand.delay(1)
        second = errand.delay(0)
        until(lambda: len(said()) == 3)

    names = {(record.get("request_id"), record["pass_id"]) for record in said()}
    # The helper is called by the pass that asked for it; nobody's request is left to the next task.
    assert names == {("r-1", first.id), (None, second.id)}
