"""The report of overspend in a real browser."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from budgets.models import Brand, Campaign
from budgets.services import ingestion, passes
from budgets.tests.builders import event, make_brand, make_campaign, spend
from budgets.tests.e2e.conftest import (
    DESK,
    IN_A_BROWSER,
    PHONE,
    TABLET,
    Scheme,
    Visit,
    assert_accessible,
    assert_fits,
)

pytestmark = IN_A_BROWSER

HOSTILE = '=cmd|<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture
def stopped(aurora: Brand, now: datetime) -> Brand:
    """A brand that was stopped at 125 of 100, and of which 8 more were reported since."""
    tents = Campaign.objects.get(name="Tents")
    minute = timedelta(minutes=1)
    ingestion.record([event(tents, "125", occurred_at=now - minute)], source="ads", now=now)
    spend(tents, "8", now=now)
    return aurora


@pytest.fixture
def report(stopped: Brand, visit: Visit) -> Page:
    visit.sign_in()
    visit.page.get_by_role("link", name="Overspend").click()
    return visit.page


def brand(report: Page) -> Locator:
    return report.get_by_role("textbox", name="Brand")


def test_it_is_found_read_and_narrowed_without_a_mouse(report: Page, visit: Visit) -> None:
    row = report.get_by_role("row", name="Aurora Outdoor")
    expect(row).to_contain_text("$33.00 33%")
    expect(row).to_contain_text("$25.00")
    expect(row).to_contain_text("$8.00")
    expect(row).to_contain_text("1 min")

    brand(report).focus()
    report.keyboard.type("Aurora Outdoors")
    report.keyboard.press("Enter")
    expect(report.get_by_role("alert")).to_contain_text("did you mean 'Aurora Outdoor'?")
    assert all("400" in complaint for complaint in visit.complaints)
    visit.complaints.clear()

    brand(report).fill("Aurora Outdoor")
    report.keyboard.press("Tab")
    report.keyboard.type("EUR")
    report.keyboard.press("Enter")
    expect(report.get_by_text("Nothing was spent beyond a brand's budget")).to_be_visible()
    expect(report.get_by_label("Currency")).to_have_value("EUR")

    report.get_by_text("How this is counted").click()
    expect(report.get_by_text("the slowest took longer than p99")).to_be_visible()
    visit.assert_kept_to_itself()


def test_it_is_downloaded_as_it_is_narrowed(report: Page, now: datetime, tmp_path: Path) -> None:
    other = make_campaign(make_brand(name=HOSTILE, daily_budget=10))
    passes.check_and_pause(now)
    spend(other, "15", now=now)
    brand(report).fill(HOSTILE)
    report.get_by_role("button", name="Show").click()

    with report.expect_download() as download:
        report.get_by_role("link", name="Download CSV").click()

    path = tmp_path / "overspend.csv"
    download.value.save_as(path)
    text = path.read_bytes().decode("utf-8-sig")
    assert download.value.suggested_filename.startswith("overspend-")
    assert "Aurora" not in text
    assert "\"'=cmd|<script>" in text
    assert ",10.00,15.00,5.00,5.00,0.00," in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_it_fits_and_can_be_read_by_everybody(
    stopped: Brand, visit: Visit, now: datetime, width: int, scheme: Scheme
) -> None:
    page = visit.page
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    other = make_campaign(make_brand(name=HOSTILE, daily_budget=10, currency="EUR"))
    passes.check_and_pause(now)
    spend(other, "15", now=now)
    visit.sign_in()

    for query in ("", "?brand=nobody"):
        page.goto(f"{visit.url}/overspend/{query}")
        page.get_by_text("How this is counted").click()
        expect(page.get_by_role("row", name="Aurora Outdoor")).to_be_visible()
        assert_fits(page, width)
        assert_accessible(page)
    assert all("400" in complaint for complaint in visit.complaints)
    visit.complaints.clear()
    visit.assert_kept_to_itself()
