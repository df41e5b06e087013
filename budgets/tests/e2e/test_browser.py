"""What a person sees, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.db import connections
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from budgets.models import ApiKey, Brand, Campaign, WebhookEndpoint
from budgets.services import passes
from budgets.tests.api.programs import operations
from budgets.tests.builders import make_brand, make_campaign, make_key, make_webhook, spend, state
from budgets.tests.conftest import CHROMIUM
from budgets.tests.exports import google

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

QUIETLY = [
    "--no-sandbox",  # as root there is none
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
PASSWORD = "correct horse battery staple"
PHONE, DESK = 360, 1440
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


def test_from_signing_in_to_raising_a_budget(aurora: Brand, visit: Visit, now: datetime) -> None:
    page, tents = visit.page, Campaign.objects.get(name="Tents")

    visit.sign_in()
    row = page.get_by_role("row", name="Aurora Outdoor")
    expect(page.get_by_text("2 of 2 run now")).to_be_visible()
    expect(row).to_contain_text("0.00 of 100.00 USD")

    # Spend arrives while the page is open: it must show by itself, in the same document.
    page.evaluate("window.isTheSame = true")
    spend(tents, "100", now=now)
    expect(page.get_by_text("0 of 2 run now")).to_be_visible(timeout=15_000)
    expect(row).to_contain_text("100.00 of 100.00 USD")
    expect(row).to_contain_text("reached, 100 %")
    changes = page.get_by_role("region", name="Last changes")
    expect(changes.get_by_text("brand's daily budget reached")).to_have_count(2)
    assert page.evaluate("window.isTheSame") is True

    changes.get_by_role("link", name="Tents").first.click()
    expect(page.locator("#content")).to_contain_text(re.compile("daily budget", re.IGNORECASE))
    expect(page.locator("#content")).to_contain_text("100.00")

    page.goto(f"{visit.url}/")
    row.get_by_role("link", name="Aurora Outdoor").click()
    page.get_by_label("Daily budget").fill("250")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("2 campaigns resumed")).to_be_visible()
    assert state(tents) == ""

    page.goto(f"{visit.url}/")
    expect(page.get_by_text("2 of 2 run now")).to_be_visible()
    expect(row).to_contain_text("100.00 of 250.00 USD")
    visit.assert_kept_to_itself()


EVERY_SCREEN = [
    pytest.mark.parametrize("scheme", ["light", "dark"]),
    pytest.mark.parametrize("width", [PHONE, DESK]),
]


class TestEveryScreen:
    pytestmark = EVERY_SCREEN

    @pytest.fixture(autouse=True)
    def screen(self, page: Page, width: int, scheme: Scheme) -> None:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)

    def test_the_sign_in_fits_and_can_be_read_by_everybody(
        self, aurora: Brand, visit: Visit, width: int
    ) -> None:
        visit.page.goto(f"{visit.url}/")

        expect(visit.page.get_by_role("button", name="Log in")).to_be_visible()
        assert_fits(visit.page, width)
        visit.assert_kept_to_itself()
        assert_accessible(visit.page)

    def test_the_dashboard_fits_and_can_be_read_by_everybody(
        self, aurora: Brand, visit: Visit, now: datetime, width: int, scheme: Scheme
    ) -> None:
        spend(Campaign.objects.get(name="Tents"), "100", now=now)

        visit.sign_in()

        expect(visit.page.get_by_text("0 of 2 run now")).to_be_visible()
        assert_fits(visit.page, width)
        visit.assert_kept_to_itself()
        assert_accessible(visit.page)
        assert_shade(visit.page, "document.body", scheme)

    def test_keys_and_webhooks_fit_and_can_be_read_by_everybody(
        self, aurora: Brand, visit: Visit, now: datetime, width: int
    ) -> None:
        make_key()
        make_webhook(now=now)
        visit.sign_in()

        for kind in ("apikey", "webhookendpoint"):
            row = ApiKey.objects.get() if kind == "apikey" else WebhookEndpoint.objects.get()
            for page in ("add", f"{row.pk}/change"):
                visit.page.goto(f"{visit.url}/admin/budgets/{kind}/{page}/")
                expect(visit.page.locator("#id_brands")).to_be_attached()
                assert_fits(visit.page, width)
        visit.page.get_by_role("button", name="Remove …").click()
        expect(visit.page.get_by_role("heading", name="Nothing more is sent to it")).to_be_visible()
        self.look(visit.page, width)
        visit.assert_kept_to_itself()

    def test_the_description_of_the_api_fits_and_is_as_dark_as_the_reader_likes(
        self, visit: Visit, width: int, scheme: Scheme
    ) -> None:
        visit.page.goto(f"{visit.url}/api/v1/docs")

        expect(visit.page.get_by_role("heading", name="Ad-budget guardian")).to_be_visible()
        assert_fits(visit.page, width)
        assert_shade(visit.page, "document.documentElement", scheme)
        visit.assert_kept_to_itself()

    def test_the_import_of_a_report_fits_and_can_be_read_by_everybody(
        self, aurora: Brand, visit: Visit, now: datetime, width: int, scheme: Scheme
    ) -> None:
        page, noon = visit.page, f"{now:%Y-%m-%d}"
        report = google(
            (noon, "Tents", "", "USD", "7", "100.50", "900"),
            (noon, "Boots", "", "USD", "7", "3.00", "900"),
        )
        unknown = google((noon, "Stoves", "777", "USD", "7", "1,234", "900"))
        visit.sign_in()
        page.goto(f"{visit.url}/admin/budgets/spend/import/")

        self.look(page, width)
        hand_in(page, unknown)
        expect(page.get_by_role("heading", name="Nothing was recorded")).to_be_visible()
        self.look(page, width)
        page.get_by_label("Decimal mark").select_option("comma")
        hand_in(page, unknown)
        expect(page.get_by_role("link", name="Create it: Stoves")).to_be_visible()
        self.look(page, width)
        assert all("400" in complaint for complaint in visit.complaints)
        visit.complaints.clear()

        page.get_by_label("Decimal mark").select_option("as the file tells")
        hand_in(page, report)
        expect(page.get_by_role("row", name="Tents")).to_contain_text("+100.50")
        self.look(page, width)
        page.get_by_role("button", name="Record 2 differences").click()
        expect(page.get_by_text("was paused: brand's daily budget reached")).to_have_count(2)
        self.look(page, width)
        visit.assert_kept_to_itself()

    def look(self, page: Page, width: int) -> None:
        assert_fits(page, width)
        # The frame around it is the admin theme's, and has no landmarks.
        assert_accessible(page, "#content")


def hand_in(page: Page, report: str) -> None:
    file: FilePayload = {"name": "report.csv", "mimeType": "text/csv", "buffer": report.encode()}
    page.get_by_label("Report", exact=True).set_input_files(file)
    page.get_by_role("button", name="Check").click()


def assert_fits(page: Page, width: int) -> None:
    """Nothing sticks out to the right."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def assert_shade(page: Page, element: str, scheme: Scheme) -> None:
    """What is behind the text is dark for who prefers that, and light for others."""
    shade = page.evaluate(f"getComputedStyle({element}).backgroundColor")
    *colour, opacity = [float(part) for part in [*re.findall(r"[\d.]+", shade), "1"]][:4]
    is_dark = opacity > 0 and sum(colour) < 3 * 128
    assert is_dark is (scheme == "dark")


def assert_accessible(page: Page, part: str | None = None) -> None:
    found = Axe().run(page, context=part)
    assert found.violations_count == 0, found.generate_report()


def test_the_api_describes_itself_without_a_network(visit: Visit) -> None:
    page = visit.page
    page.route(lambda url: not url.startswith(visit.url), lambda route: route.abort())

    page.goto(f"{visit.url}/api/v1/docs")

    expect(page.get_by_role("heading", name="Ad-budget guardian")).to_be_visible()
    for operation in operations():
        row = page.locator(
            f"#operations-{operation.said['tags'][0]}-{operation.said['operationId']}"
        )
        expect(row).to_contain_text(operation.said["summary"])
        expect(row).to_contain_text(operation.method)
    events = page.locator("#operations-spend-post_spend")
    events.get_by_role("button").first.click()
    expect(events.get_by_text("Record each event exactly once")).to_be_visible()
    expect(events.get_by_text("Idempotency-Key", exact=True)).to_be_visible()
    visit.assert_kept_to_itself()
