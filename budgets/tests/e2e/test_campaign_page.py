"""The page of a campaign in a real browser: by mouse, by keyboard alone, on every screen."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from budgets.models import Campaign, Import
from budgets.services.importing import Importing
from budgets.tests.builders import event, make_brand, make_campaign, spend, state
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

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7*7 }}\u202e'


@pytest.fixture
def tents(aurora: object, now: datetime) -> Campaign:
    """A campaign that is active since some minutes, and has spent 40 of its brand's 100."""
    campaign = Campaign.objects.get(name="Tents")
    spend(campaign, "40", now=now)
    return campaign


@pytest.fixture
def at_tents(tents: Campaign, visit: Visit) -> Page:
    visit.sign_in()
    visit.page.goto(f"{visit.url}/campaigns/{tents.pk}/")
    return visit.page


def test_it_shows_by_itself_why_a_campaign_stopped(
    tents: Campaign, at_tents: Page, visit: Visit, now: datetime
) -> None:
    page = at_tents
    expect(page.get_by_role("heading", name="Running")).to_be_visible()
    page.evaluate("window.isTheSame = true")

    spend(tents, "60.50", now=now, source="ad server")

    expect(
        page.get_by_role("heading", name="Not running: brand's daily budget reached")
    ).to_be_visible(timeout=PATIENT)
    expect(page.get_by_role("region", name="Not running")).to_contain_text(
        "Must rise to $100.500001 or more, by $0.500001."
    )
    states = page.get_by_role("list", name="States")
    expect(states).to_contain_text("100.50 of 100.00 USD · by spend, ad server")
    assert page.evaluate("window.isTheSame") is True
    visit.assert_kept_to_itself()


def test_it_is_paused_and_resumed_without_a_mouse(tents: Campaign, at_tents: Page) -> None:
    page = at_tents

    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Not running: paused by operator")).to_be_visible()
    assert state(tents) == "operator"

    page.get_by_role("button", name="Resume").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Running")).to_be_visible()
    assert state(tents) == ""


def test_days_are_gone_through_and_chosen(tents: Campaign, at_tents: Page, now: datetime) -> None:
    page = at_tents
    day = page.locator("#day")
    expect(day).to_contain_text("Today,")

    page.get_by_role("link", name="Day before").click()
    expect(day).to_contain_text("Not known: the log of this campaign begins later.")
    page.get_by_role("link", name="Today", exact=True).click()
    expect(day).to_contain_text("Today,")
    expect(page).to_have_url(re.compile(r"/campaigns/\d+/#day$"))

    chosen = (now - timedelta(days=40)).date()
    page.get_by_label("Day", exact=True).fill(chosen.isoformat())
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(f"day={chosen}"))
    expect(day.get_by_role("heading", level=2)).to_contain_text(f"{chosen:%b %Y}")


def test_what_is_being_chosen_survives_a_refresh(at_tents: Page) -> None:
    page = at_tents
    page.get_by_label("Day", exact=True).fill("2026-01-31")

    page.evaluate("document.querySelector('.campaign').id = 'before'")
    expect(page.locator("#before")).to_have_count(0, timeout=PATIENT)
    expect(page.get_by_label("Day", exact=True)).to_have_value("2026-01-31")


def test_from_a_row_to_the_file_that_brought_it_and_back(
    tents: Campaign, visit: Visit, now: datetime
) -> None:
    page = visit.page
    file = Importing(kind="CSV file", file="may.csv", source="import", actor="bob")
    file.events([event(tents, "5.25", occurred_at=now, external_id="row-1")], now=now)
    visit.sign_in()
    page.goto(f"{visit.url}/campaigns/{tents.pk}/")

    page.get_by_role("link", name="may.csv").click()

    expect(page).to_have_url(re.compile(f"/imports/{Import.objects.get().pk}/$"))
    expect(page.get_by_role("region", name="The import", exact=True)).to_contain_text("bob")
    row = page.get_by_role("row", name="Tents")
    expect(row).to_contain_text("5.25")
    row.get_by_role("link", name="Tents").click()
    expect(page.get_by_role("heading", name="Tents")).to_be_visible()
    visit.assert_kept_to_itself()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_it_fits_and_can_be_read_by_everybody(
    tents: Campaign, visit: Visit, now: datetime, width: int, scheme: Scheme
) -> None:
    page = visit.page
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    file = Importing(kind="CSV file", file="x" * 200, source="import", actor="bob")
    file.events([event(tents, "99", occurred_at=now, external_id="y" * 200)], now=now)
    visit.sign_in()

    for address in (
        f"/campaigns/{tents.pk}/",
        f"/campaigns/{tents.pk}/?day=2026-03-29",
        f"/imports/{Import.objects.get().pk}/",
    ):
        page.goto(f"{visit.url}{address}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert_fits(page, width)
        assert_accessible(page)
    visit.assert_kept_to_itself()


def test_hostile_names_are_only_names(aurora: object, visit: Visit, now: datetime) -> None:
    page = visit.page
    campaign = make_campaign(make_brand(name=HOSTILE), name=HOSTILE, external_id=HOSTILE)
    file = Importing(kind="CSV file", file=HOSTILE, source="import", actor=HOSTILE)
    file.events([event(campaign, "5", occurred_at=now, external_id="<b>'")], now=now)
    page.on("dialog", lambda dialog: visit.complaints.append(dialog.message))
    visit.sign_in()

    for address in (f"/campaigns/{campaign.pk}/", f"/imports/{Import.objects.get().pk}/"):
        page.goto(f"{visit.url}{address}")
        expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    visit.assert_kept_to_itself()
