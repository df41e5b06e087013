"""A worker that lives but completes nothing. No database here: its start closes connections."""

from datetime import timedelta

import pytest
from celery.contrib.testing.worker import start_worker

from budgets.health import checks
from budgets.health.checks import Status
from budgets.queries.health import PassAge
from django_celery_budget.celery import app

NEVER = PassAge(name="check_and_pause_campaigns", at=None, age=None, patience=timedelta(minutes=3))


@pytest.mark.usefixtures("running_broker")
def test_a_worker_that_answers_without_passes_is_a_warning() -> None:
    with start_worker(app, perform_ping_check=False, shutdown_timeout=30):
        answering = checks.check_worker([NEVER], ask=True)

    assert answering.status is Status.WARN
