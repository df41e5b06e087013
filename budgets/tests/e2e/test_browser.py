"""What a person sees, in a real browser."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from playwright.sync_api import FilePayload, Page, expect

from budgets.models import ApiKey, Brand, Campaign, WebhookEndpoint
from budgets.tests.api.programs import operations
from budgets.tests.builders import make_key, make_webhook, spend, state
from budgets.tests.e2e.conftest import (
    DESK,
    IN_A_BROWSER,
    PATIENT,
    PHONE,
    Scheme,
    Visit,
    assert_accessible,
    assert_fits,
)
from budgets.tests.exports import google

pytestmark = IN_A_BROWSER


def test_from_signing_in_to_raising_a_budget(aurora: Brand, visit: Visit, now: datetime) -> None:
    page, tents = visit.page, Campaign.objects.get(name="Tents")

    visit.sign_in()
    brand = page.locator(f"#need-{aurora.pk}")  # nothing is spent at noon: far behind
    expect(page.get_by_text("2 of 2 run now")).to_be_visible()
    expect(brand).to_contain_text("0.00 of 100.00 USD")

    # Spend arrives while the page is open: it must show by itself, in the same document.
    page.evaluate("window.isTheSame = true")
    spend(tents, "100", now=now)
    expect(page.get_by_text("0 of 2 run now")).to_be_visible(timeout=PATIENT)
    expect(brand).to_contain_text("100.00 of 100.00 USD")
    expect(brand).to_contain_text("reached, 100%")
    changes = page.get_by_role("region", name="Last changes")
    expect(changes.get_by_role("listitem").first).to_contain_text(
        "brand's daily budget reached, 100.00 of 100.00 USD; run again tomorrow 00:00"
    )
    assert page.evaluate("window.isTheSame") is True

    page.goto(f"{visit.url}/admin/budgets/campaign/{tents.pk}/change/")
    expect(page.locator("#content")).to_contain_text(re.compile("daily budget", re.IGNORECASE))
    expect(page.locator("#content")).to_contain_text("100.00")

    page.goto(f"{visit.url}/admin/budgets/brand/{aurora.pk}/change/")
    page.get_by_label("Daily budget").fill("250")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("2 campaigns resumed")).to_be_visible()
    assert state(tents) == ""

    page.goto(f"{visit.url}/")
    expect(page.get_by_text("2 of 2 run now")).to_be_visible()
    expect(page.get_by_role("row", name="Aurora Outdoor")).to_contain_text("100.00 of 250.00 USD")
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


def assert_shade(page: Page, element: str, scheme: Scheme) -> None:
    """What is behind the text is dark for who prefers that, and light for others."""
    shade = page.evaluate(f"getComputedStyle({element}).backgroundColor")
    *colour, opacity = [float(part) for part in [*re.findall(r"[\d.]+", shade), "1"]][:4]
    is_dark = opacity > 0 and sum(colour) < 3 * 128
    assert is_dark is (scheme == "dark")


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
