"""A real browser on the running site, signed in as a person would; and the product as processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from budgets.models import Brand
from budgets.services import passes
from budgets.tests.builders import make_brand, make_campaign
from budgets.tests.e2e.household import METRICS_TOKEN, Household, OwnBroker, new_database, settled
from budgets.tests.programs import CHROMIUM
from django_celery_budget import broker

QUIETLY = [
    "--no-sandbox",  # as root there is none
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
PASSWORD = "correct horse battery staple"
PHONE, TABLET, DESK = 360, 768, 1440
PATIENT = 15_000
"""Milliseconds until what changes by itself must show: two refreshes, and a slow machine."""
IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]
"""The marks of a module of such tests."""
Scheme = Literal["light", "dark"]


@dataclass
class Visit:
    """A browser tab on the running site, and what it did behind the reader's back."""

    page: Page
    url: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )

    def sign_in(self) -> None:
        self.page.goto(f"{self.url}/")
        self.page.get_by_label("Username").fill("alice")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()

    def assert_kept_to_itself(self) -> None:
        """Nothing was fetched from elsewhere, and the console stayed empty."""
        assert self.asked
        assert not [url for url in self.asked if not url.startswith((self.url, "data:"))]
        assert self.complaints == []


@pytest.fixture(scope="module")
def browser(django_db_setup: None) -> Iterator[Browser]:
    """Run the system's Chromium."""
    migrated = vars(connections["default"])["_test_serialized_contents"]
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop in this thread, where Django then expects no database,
        # and gives us another connection. It must know as well what to put back after a test.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        vars(connections["default"])["_test_serialized_contents"] = migrated
        with playwright.chromium.launch(executable_path=CHROMIUM, args=QUIETLY) as browser:
            yield browser
        connections["default"].close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def aurora(now: datetime) -> Brand:
    """A brand with two campaigns, where it is noon now: no test runs into its midnight."""
    User.objects.create_superuser("alice", password=PASSWORD)
    brand = make_brand(
        name="Aurora Outdoor", daily_budget=100, timezone=f"Etc/GMT{now.hour - 12:+d}"
    )
    make_campaign(brand, name="Tents")
    make_campaign(brand, name="Boots")
    passes.check_and_pause(now)
    return brand


@pytest.fixture
def visit(page: Page, live_server: LiveServer) -> Visit:
    return Visit(page, live_server.url)


def assert_fits(page: Page, width: int) -> None:
    """Nothing sticks out to the right."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def assert_accessible(page: Page, part: str | None = None) -> None:
    found = Axe().run(page, context=part)
    assert found.violations_count == 0, found.generate_report()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[OwnBroker]:
    try:
        own = OwnBroker(tmp_path)
    except broker.BrokerUnavailable as error:
        pytest.skip(str(error))
    yield own
    own.stop()


@pytest.fixture
def household(
    tmp_path: Path, own_broker: OwnBroker, django_db_blocker: DjangoDbBlocker
) -> Iterator[Household]:
    """Prepare a fresh database, whose beat ticks every second, with a broker; nothing runs yet.

    A broker of its own: on one that all are given, the workers of two tests that run at once take each
    other's ticks. (That all of it works with a Redis that is named is part of `make chaos`.)
    """
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        database_url = stack.enter_context(new_database(tmp_path))
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": own_broker.url,
            "BUDGETS_DATA_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "budgets.tests.e2e.shifted_settings",
            "PYTHONPATH": str(settings.BASE_DIR),
            "PYTHONUNBUFFERED": "1",
            "METRICS_TOKEN": METRICS_TOKEN,
        }
        yield stack.enter_context(settled(tmp_path, environment))
