"""Beat's scheduler: what it makes of a clock that was set back, and of a signal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django_celery_beat.models import PeriodicTask
from pytest_django import DjangoAssertNumQueries

from budgets.tests.builders import NOW
from django_celery_budget.beat import Scheduler
from django_celery_budget.celery import app

# Beat hangs up before it reads or saves, also what a test would roll back.
pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def scheduler(*, last_run_at: datetime) -> Any:
    PeriodicTask.objects.update(last_run_at=last_run_at)
    return Scheduler(app=app, lazy=True)


def test_what_was_sent_in_the_future_is_sent_again_after_one_interval() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        [entry, *_] = scheduler(last_run_at=NOW + HOUR).schedule.values()
        interval = entry.schedule.run_every

        is_due, wait = entry.is_due()
        assert (is_due, wait) == (False, interval.total_seconds())
        clock.shift(interval)
        assert entry.is_due().is_due


def test_a_signal_that_comes_in_the_middle_of_a_statement_makes_no_other(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    beat = scheduler(last_run_at=NOW - MINUTE)
    [entry, *_] = beat.schedule.values()
    beat.reserve(entry)

    with django_assert_num_queries(0):
        beat.close()

    beat.sync()
    assert PeriodicTask.objects.get(name=entry.name).last_run_at > NOW - MINUTE
