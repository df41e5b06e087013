"""The page of a brand in a real browser: looked at, edited by mouse and by keyboard alone."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, expect

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign
from budgets.services import editing
from budgets.tests.builders import decided, make_brand, make_campaign, spend, state, switch
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

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7*7 }}'


@pytest.fixture
def at_aurora(aurora: Brand, visit: Visit, now: datetime) -> Page:
    """Open the page of a brand that spent 60 of 100 today."""
    Brand.objects.filter(pk=aurora.pk).update(monthly_budget=Decimal(2000))
    spend(Campaign.objects.get(name="Tents"), 60, now=now)
    visit.sign_in()
    visit.page.goto(f"{visit.url}/brands/{aurora.pk}/")
    return visit.page


def budgets(page: Page) -> Locator:
    return page.get_by_role("dialog")


def today(page: Page) -> Locator:
    return page.get_by_role("region", name="Today").first


def test_an_edit_is_previewed_saved_and_seen_at_once(
    aurora: Brand, at_aurora: Page, visit: Visit
) -> None:
    page = at_aurora
    expect(today(page)).to_contain_text("of $100.00")
    page.evaluate("window.isTheSame = true")

    page.get_by_role("link", name="Edit budgets").click()
    budgets(page).get_by_label("Daily budget").fill("60")
    budgets(page).get_by_role("button", name="Preview").click()

    expect(budgets(page)).to_contain_text("This pauses 2 campaigns")
    expect(budgets(page).get_by_role("listitem")).to_have_text(["Boots", "Tents"])
    assert state(Campaign.objects.get(name="Tents")) == ""

    budgets(page).get_by_role("button", name="Save").click()

    expect(page.get_by_text("daily budget 100.00 → 60.00. 2 campaigns paused.")).to_be_visible()
    expect(budgets(page)).to_be_hidden()
    expect(today(page)).to_contain_text("reached, 100%")
    expect(page.get_by_text("0 of 2 run")).to_be_visible()
    assert page.evaluate("window.isTheSame") is True
    assert state(Campaign.objects.get(name="Tents")) == Hold.BRAND_DAILY_BUDGET
    visit.assert_kept_to_itself()


def test_an_edit_needs_no_mouse(aurora: Brand, at_aurora: Page) -> None:
    page = at_aurora

    page.get_by_role("link", name="Edit budgets").focus()
    page.keyboard.press("Enter")
    expect(budgets(page).get_by_label("Daily budget")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("1,000")
    page.keyboard.press("Enter")
    # What is wrong is said where the keyboard is.
    expect(budgets(page)).to_contain_text("has separators; write digits and a point alone")
    expect(budgets(page).get_by_label("Daily budget")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("60")
    page.keyboard.press("Enter")
    expect(budgets(page).get_by_role("button", name="Save")).to_be_focused()
    page.keyboard.press("Enter")

    expect(budgets(page)).to_be_hidden()
    expect(page.get_by_role("link", name="Edit budgets")).to_be_focused()
    expect(page.get_by_text("2 campaigns paused.")).to_be_visible()
    aurora.refresh_from_db()
    assert aurora.daily_budget == 60


def test_escape_and_cancel_leave_everything_as_it_is(aurora: Brand, at_aurora: Page) -> None:
    page = at_aurora
    opener = page.get_by_role("link", name="Edit budgets")

    opener.click()
    budgets(page).get_by_label("Daily budget").fill("1")
    page.keyboard.press("Escape")
    expect(budgets(page)).to_be_hidden()
    opener.click()
    budgets(page).get_by_label("Daily budget").fill("1")
    budgets(page).get_by_role("link", name="Cancel").click()
    expect(budgets(page)).to_be_hidden()

    aurora.refresh_from_db()
    assert aurora.daily_budget == 100


def test_what_somebody_else_changed_meanwhile_is_told_before_anything_is_saved(
    aurora: Brand, at_aurora: Page, now: datetime
) -> None:
    page = at_aurora
    page.get_by_role("link", name="Edit budgets").click()
    budgets(page).get_by_label("Daily budget").fill("60")
    budgets(page).get_by_role("button", name="Preview").click()
    expect(budgets(page).get_by_role("button", name="Save")).to_be_visible()
    theirs = Brand.objects.get(pk=aurora.pk)
    theirs.daily_budget = Decimal(400)
    editing.save(theirs, by="bob", now=now, changed=["daily_budget"])

    budgets(page).get_by_role("button", name="Save").click()

    expect(budgets(page).get_by_role("alert")).to_contain_text(
        "Somebody changed the daily budget from 100.00 to 400.00 meanwhile."
    )
    aurora.refresh_from_db()
    assert aurora.daily_budget == 400


def test_a_server_that_does_not_answer_is_told_and_what_was_typed_stays(
    aurora: Brand, at_aurora: Page
) -> None:
    page = at_aurora
    page.get_by_role("link", name="Edit budgets").click()
    budgets(page).get_by_label("Daily budget").fill("60")
    page.route("**/edit/", lambda route: route.abort())

    budgets(page).get_by_role("button", name="Preview").click()

    expect(budgets(page).get_by_role("alert")).to_contain_text("Look, and try again.")
    expect(budgets(page).get_by_label("Daily budget")).to_have_value("60")
    page.unroute("**/edit/")
    budgets(page).get_by_role("button", name="Preview").click()
    expect(budgets(page)).to_contain_text("This pauses 2 campaigns")
    expect(budgets(page).get_by_role("alert")).to_have_count(0)


def test_the_page_stays_fresh_and_leaves_alone_what_somebody_types_and_selects(
    aurora: Brand, at_aurora: Page, now: datetime
) -> None:
    page = at_aurora
    page.get_by_label("Select Boots").check()
    page.get_by_role("searchbox").fill("boo")
    page.get_by_role("link", name="Edit budgets").click()
    budgets(page).get_by_label("Monthly budget").fill("777")

    spend(Campaign.objects.get(name="Tents"), 20, now=now)
    expect(today(page)).to_contain_text("$80.00", timeout=PATIENT)

    expect(budgets(page).get_by_label("Monthly budget")).to_have_value("777")
    expect(budgets(page).get_by_label("Monthly budget")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).to_have_value("boo")
    expect(page.get_by_label("Select Boots")).to_be_checked()
    expect(page.get_by_label("Select Tents")).not_to_be_checked()


def test_campaigns_are_paused_and_resumed_one_and_all_selected(
    aurora: Brand, at_aurora: Page, visit: Visit
) -> None:
    page = at_aurora
    boots, tents = (Campaign.objects.get(name=name) for name in ("Boots", "Tents"))

    page.get_by_role("button", name="Pause Boots").press("Enter")

    expect(page.get_by_text("Paused 1 campaign.")).to_be_visible()
    expect(page.get_by_role("button", name="Resume Boots")).to_be_focused()
    expect(page.get_by_role("row", name="Boots")).to_contain_text("paused by operator")
    assert (state(boots), state(tents)) == (Hold.OPERATOR, "")

    page.get_by_label("All shown").check()
    page.get_by_role("button", name="Pause selected").click()
    expect(page.get_by_role("row", name="Tents")).to_contain_text("paused by operator")
    expect(page.get_by_label("Select Tents")).not_to_be_checked()

    page.get_by_label("Select Tents").check()
    page.get_by_role("button", name="Resume selected").click()
    expect(page.get_by_text("Resumed 1 campaign.")).to_be_visible()
    assert (state(boots), state(tents)) == (Hold.OPERATOR, "")
    visit.assert_kept_to_itself()


def test_a_campaign_is_edited_in_place(aurora: Brand, at_aurora: Page) -> None:
    page = at_aurora

    page.get_by_role("link", name="Edit Tents").click()
    budgets(page).get_by_label("Own daily budget").fill("60")
    budgets(page).get_by_role("button", name="Preview").click()
    expect(budgets(page)).to_contain_text("This pauses 1 campaign")
    budgets(page).get_by_role("button", name="Save").click()

    expect(page.get_by_role("row", name="Tents")).to_contain_text("daily budget reached")
    expect(page.get_by_role("row", name="Tents")).to_contain_text("at most $60.00 a day")
    assert state(Campaign.objects.get(name="Tents")) == Hold.CAMPAIGN_DAILY_BUDGET


def test_campaigns_are_found_by_state_and_name_and_the_link_says_the_same(
    aurora: Brand, at_aurora: Page, visit: Visit
) -> None:
    page = at_aurora
    switch(Campaign.objects.get(name="Boots"), on=False)
    page.reload()

    page.get_by_role("link", name="paused by operator 1").click()
    expect(page.get_by_role("link", name="Boots", exact=True).first).to_be_visible()
    expect(page.get_by_role("row", name="Tents")).to_have_count(0)
    page.get_by_role("searchbox").fill("tent")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_text("No campaign of this brand is like that.")).to_be_visible()

    page.goto(page.url)
    expect(page.get_by_role("searchbox")).to_have_value("tent")
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("row", name="Tents")).to_be_visible()


def test_everything_works_without_javascript(aurora: Brand, at_aurora: Page, visit: Visit) -> None:
    with at_aurora.context.browser.new_context(java_script_enabled=False) as context:  # type: ignore[union-attr]  # it has one
        plain = Visit(context.new_page(), visit.url)
        plain.sign_in()
        page = plain.page
        page.goto(f"{visit.url}/brands/{aurora.pk}/")

        page.get_by_role("link", name="Edit budgets").click()
        page.get_by_label("Daily budget").fill("60")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_text("This pauses 2 campaigns")).to_be_visible()
        page.get_by_role("button", name="Change it").click()
        expect(page.get_by_label("Daily budget")).to_have_value("60")
        page.get_by_role("button", name="Preview").click()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("2 campaigns paused.")).to_be_visible()

        page.get_by_label("Select Tents").check()
        page.get_by_role("button", name="Pause selected").click()
        expect(page.get_by_text("Paused 1 campaign.")).to_be_visible()
    assert state(Campaign.objects.get(name="Tents")) == Hold.OPERATOR


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_it_fits_every_screen_and_can_be_read_by_everybody(
    aurora: Brand, at_aurora: Page, visit: Visit, now: datetime, width: int, scheme: Scheme
) -> None:
    page = at_aurora
    make_campaign(aurora, name=HOSTILE, daily_budget=50)
    make_campaign(aurora, name="W" * 200)
    decided(aurora, now)
    Brand.objects.filter(pk=aurora.pk).update(name=HOSTILE)
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.reload()

    expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    page.get_by_text("Table").first.click()
    look(page, width)
    page.get_by_role("link", name="Edit budgets").click()
    budgets(page).get_by_label("Monthly budget").fill("much")
    look(page, width)
    budgets(page).get_by_role("button", name="Preview").click()
    expect(budgets(page)).to_contain_text("'much' is not an amount")
    look(page, width)
    budgets(page).get_by_label("Monthly budget").fill("60")
    budgets(page).get_by_role("button", name="Preview").click()
    expect(budgets(page)).to_contain_text("This pauses 4 campaigns")
    look(page, width)
    budgets(page).get_by_role("button", name="Save").click()
    expect(page.get_by_text("4 campaigns paused.")).to_be_visible()
    look(page, width)
    visit.assert_kept_to_itself()


def test_a_brand_without_anything_yet_can_be_looked_at(at_aurora: Page, visit: Visit) -> None:
    page, bare = at_aurora, make_brand(name="Bare")

    page.goto(f"{visit.url}/brands/{bare.pk}/")

    expect(page.get_by_text("This brand has no campaigns yet.")).to_be_visible()
    look(page, DESK)
    visit.assert_kept_to_itself()


def look(page: Page, width: int) -> None:
    assert_fits(page, width)
    assert_accessible(page)
