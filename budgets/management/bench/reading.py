"""Reading: how many statements the pages cost, and how long they take."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from budgets.management.bench.setting import Setting, milliseconds
from budgets.management.bench.table import Row, Table, median

PAGES = (
    "/",
    "/?hold=brand_daily_budget",
    "/?q=Campaign+77",
    "/overspend/",
    "/alerts/",
    "/admin/budgets/brand/",
    "/admin/budgets/campaign/",
    "/admin/budgets/spend/",
    "/admin/budgets/statuschange/",
    "/health/",
)
REQUESTS = 5
"""A round, after one that warms."""


def measure(setting: Setting) -> Iterator[Table]:
    """Ask for each page as a superuser, several times."""
    table = Table(
        title=f"pages, {setting.campaigns:,} campaigns", ratios=[], figures=["statements", "ms"]
    )
    with setting.copy(setting.seed(setting.campaigns)), _quiet():
        host = (settings.ALLOWED_HOSTS or ["localhost"])[0].lstrip(".")
        client = Client(SERVER_NAME=host)
        client.force_login(get_user_model()._default_manager.create_superuser("bench"))
        for page in PAGES:
            setting.say(f"reading {page}")
            _get(client, page)
            with CaptureQueriesContext(connection) as asked:
                _get(client, page)
            statements = len(asked)  # counted now: the next request forgets them
            runs = [
                milliseconds(lambda page=page: _get(client, page))  # type: ignore[misc]  # bound now
                for _ in range(REQUESTS * setting.rounds)
            ]
            table.rows.append(Row(page, [], [float(statements), median(runs)]))
            table.runs[page] = runs
    yield table


def _get(client: Client, page: str) -> None:
    response = client.get(page, secure=settings.SECURE_SSL_REDIRECT)
    # No worker runs here, and health says so.
    if response.status_code != 200 and not (page == "/health/" and response.status_code == 503):
        raise CommandError(f"{page} answered {response.status_code}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
