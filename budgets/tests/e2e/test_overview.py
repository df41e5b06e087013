"""The dashboard as somebody keeps it open: search, filters, links to share, what changes by itself."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from budgets.models import Brand, Campaign
from budgets.services import ingestion, passes
from budgets.tests.builders import event, make_brand, make_campaign, spend, switch
from budgets.tests.e2e.conftest import (
    DESK,
    IN_A_BROWSER,
    PATIENT,
    PHONE,
    TABLET,
    Scheme,
    Visit,
    assert_accessible,
    assert_fits,
)

pytestmark = IN_A_BROWSER

HOSTILE = '<img src=x onerror="window.hacked=1">'


@pytest.fixture
def agency(aurora: Brand, now: datetime) -> Brand:
    """Aurora, which has spent half, beside a brand in yen that is paused and one with an odd name."""
    zone = aurora.timezone
    yen = make_brand(name="Sakura", daily_budget=9000, currency="JPY", timezone="Asia/Tokyo")
    paused = make_campaign(yen, name="Evening")
    odd = make_brand(name=HOSTILE, daily_budget=50, timezone=zone)
    make_campaign(odd, name=HOSTILE)
    passes.check_and_pause(now)
    switch(paused, on=False)
    # Some hours ago: of the hour that has just begun, half the budget would be a rate to worry about.
    half = event(Campaign.objects.get(name="Tents"), "50", occurred_at=now - timedelta(hours=3))
    ingestion.record([half], source="test", now=now)
    return aurora


def shown(page: Page) -> set[str]:
    return set(page.locator(".brand-name").all_inner_texts())


def test_searching_and_choosing_a_reason_make_an_address_to_share(
    agency: Brand, visit: Visit
) -> None:
    page = visit.page
    visit.sign_in()
    expect(page.get_by_text("3 of 4 run now")).to_be_visible()
    assert shown(page) == {"Aurora Outdoor", "Sakura", HOSTILE}

    page.get_by_role("searchbox", name="Search").fill("tent")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{visit.url}/?q=tent")
    assert shown(page) == {"Aurora Outdoor"}
    expect(page.get_by_role("region", name="Campaigns that match")).to_contain_text("Tents")

    page.get_by_role("link", name="Clear").click()
    page.get_by_role("link", name="paused by operator 1").click()
    expect(page).to_have_url(f"{visit.url}/?hold=operator")
    assert shown(page) == {"Sakura"}
    page.get_by_label("Currency").select_option("USD")
    expect(page).to_have_url(f"{visit.url}/?currency=USD&hold=operator")
    expect(page.get_by_text("No brand or campaign with the currency USD")).to_be_visible()

    page.go_back()
    expect(page).to_have_url(f"{visit.url}/?hold=operator")
    assert shown(page) == {"Sakura"}
    expect(page.get_by_role("combobox", name="State")).to_have_value("operator")
    expect(page.get_by_role("combobox", name="Currency")).to_have_value("")
    page.get_by_role("link", name=re.compile(r"paused by operator 1\s*, shown")).click()
    expect(page).to_have_url(f"{visit.url}/")

    other = page.context.new_page()
    other.goto(f"{visit.url}/?q=sakura&zone=Asia%2FTokyo")
    assert shown(other) == {"Sakura"}
    expect(other.get_by_role("searchbox")).to_have_value("sakura")
    assert page.evaluate("window.hacked") is None
    visit.assert_kept_to_itself()


def test_filters_work_without_javascript(agency: Brand, visit: Visit) -> None:
    visit.sign_in()
    signed_in = visit.page.context.storage_state()
    browser = visit.page.context.browser
    assert browser is not None
    with browser.new_context(java_script_enabled=False, storage_state=signed_in) as context:
        page = context.new_page()
        page.goto(visit.url)

        page.get_by_label("Currency").select_option("JPY")
        page.get_by_role("button", name="Show").click()

        assert shown(page) == {"Sakura"}
        assert "currency=JPY" in page.url


def test_what_changes_keeps_the_filter_the_opened_table_the_focus_and_the_place(
    agency: Brand, visit: Visit, now: datetime
) -> None:
    page = visit.page
    visit.sign_in()
    spend(Campaign.objects.get(name="Tents"), "50", now=now)
    page.goto(f"{visit.url}/?q=aurora")
    brand = page.locator(f"#need-{agency.pk}")
    expect(brand).to_contain_text("Daily budget reached")
    page.get_by_text("Table", exact=False).locator("visible=true").first.click()
    table = brand.get_by_role("table")
    expect(table).to_be_visible()
    page.get_by_label("Search").focus()
    page.evaluate("window.scrollTo(0, 120); window.isTheSame = document.getElementById('overview')")
    page.evaluate("window.before = document.querySelector('#by-hold')")

    spend(Campaign.objects.get(name="Tents"), "25", now=now)

    expect(brand).to_contain_text("125.00 of 100.00 USD", timeout=PATIENT)
    expect(table).to_be_visible()
    expect(page.get_by_label("Search")).to_be_focused()
    assert page.evaluate("window.scrollY") == 120
    assert page.evaluate("window.isTheSame.isConnected")
    assert page.evaluate("window.before.isConnected")  # what did not change was not touched
    assert shown(page) == {"Aurora Outdoor"}
    expect(page).to_have_url(f"{visit.url}/?q=aurora")
    visit.assert_kept_to_itself()


def test_a_brand_that_joins_those_in_need_is_put_in_without_a_reload(
    agency: Brand, visit: Visit, now: datetime
) -> None:
    page = visit.page
    visit.sign_in()
    expect(page.locator(f"#row-{agency.pk}")).to_be_visible()
    page.evaluate("window.isTheSame = true")
    page.locator(f"#brand-{agency.pk}").focus()

    spend(Campaign.objects.get(name="Tents"), "50", now=now)

    expect(page.locator(f"#need-{agency.pk}")).to_be_visible(timeout=PATIENT)
    expect(page.locator(f"#need-{agency.pk} canvas")).to_be_visible()
    expect(page.locator(f"#brand-{agency.pk}")).to_be_focused()
    assert page.evaluate("window.isTheSame") is True
    visit.assert_kept_to_itself()


def test_all_of_it_is_reached_by_keyboard(agency: Brand, visit: Visit, now: datetime) -> None:
    page = visit.page
    spend(Campaign.objects.get(name="Tents"), "50", now=now)
    visit.sign_in()
    expect(page.locator(f"#need-{agency.pk}")).to_be_visible()

    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))

    wanted = [
        "filter-q",
        "filter-zone",
        "filter-currency",
        "filter-hold",
        "filter-need",
        "filter-go",
        "to-health",
        "hold-running",
        "hold-operator",
        f"brand-{agency.pk}",
    ]
    assert [each for each in reached if each in wanted][: len(wanted)] == wanted
    page.locator("#hold-operator").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{visit.url}/?hold=operator")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_it_fits_every_screen_and_can_be_read_by_everybody(
    agency: Brand, visit: Visit, now: datetime, width: int, scheme: Scheme
) -> None:
    page = visit.page
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    spend(Campaign.objects.get(name="Tents"), "50", now=now)
    make_brand(name="X" * 200, daily_budget=999_999_999_999, currency="GBP")

    visit.sign_in()

    for path in ("/", "/?q=e", "/?q=nothing&hold=ended"):
        page.goto(f"{visit.url}{path}")
        expect(page.get_by_role("heading", name="Brands that need you first")).to_be_visible()
        assert_fits(page, width)
        assert_accessible(page)
    visit.assert_kept_to_itself()
