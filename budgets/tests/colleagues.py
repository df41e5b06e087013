"""Colleagues: threads that work beside a test, and how to wait until they wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from django.db import connection, connections

from budgets.tests.waiting import PATIENCE, until

ON_POSTGRESQL = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]
T = TypeVar("T")


class Colleagues:
    """Threads that work beside the test, each on a database connection of its own."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def start(self, job: Callable[[], T]) -> Future[T]:
        def work() -> T:
            try:
                return job()
            finally:
                connections.close_all()

        return self._pool.submit(work)

    def together(self, *jobs: Callable[[], T]) -> list[T]:
        """Run all at once; raise what any of them raised."""
        gate = threading.Barrier(len(jobs))

        def through(job: Callable[[], T]) -> Callable[[], T]:
            def enter() -> T:
                gate.wait(PATIENCE)
                return job()

            return enter

        return [future.result() for future in [self.start(through(job)) for job in jobs]]


def asked(statement: str, *params: str | int) -> Any:
    """Return the one value that `statement` gives."""
    with connection.cursor() as cursor:
        # Else the first look at other sessions would last for the whole transaction.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(statement, params)
        return cursor.fetchone()[0]


def sessions_of_others() -> int:
    """Return how many sessions but ours this database has."""
    found = asked(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return int(found)


WAITING = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def until_waiting(count: int) -> None:
    """Return when that many colleagues wait for a lock."""
    until(lambda: asked(f"SELECT count(*) {WAITING}") == count)
