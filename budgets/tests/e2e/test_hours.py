"""A weekly calendar, painted in a real browser with mouse, touch and keyboard."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from budgets.core.dayparting import DIGITS, HOURS, WEEKDAYS, Hours, parse, week_of
from budgets.forms.hours import DAY_NAMES, in_words
from budgets.models import Brand, Campaign
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

SLOTS = [(day, hour) for day in range(len(WEEKDAYS)) for hour in range(HOURS)]


class Grid:
    """The grid of the campaign's form in the admin."""

    def __init__(self, visit: Visit, campaign: Campaign) -> None:
        self.page, self.campaign = visit.page, campaign
        self.address = f"{visit.url}/admin/budgets/campaign/{campaign.pk}/change/"
        self.root = self.page.locator(".hours")
        self.status = self.root.get_by_role("status")

    def open(self) -> None:
        self.page.goto(self.address)
        self.root.get_by_label("Set the hours of each weekday by itself").check()

    def box(self, day: str, hour: int) -> Locator:
        name = DAY_NAMES[WEEKDAYS.index(day)]
        return self.root.get_by_label(f"{name} {hour}–{hour + 1}", exact=True)  # noqa: RUF001

    def preset(self, name: str) -> None:
        self.root.get_by_role("button", name=name).click()

    def drag(self, *stops: Locator) -> None:
        first, *rest = [middle(stop) for stop in stops]
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for stop in rest:
            self.page.mouse.move(*stop, steps=3)
        self.page.mouse.up()

    def shows(self, calendar: str) -> None:
        """The boxes are those of `calendar`, and the words say so."""
        week = parse(calendar) if calendar else week_of(())
        expect(self.status).to_have_text(in_words(week))
        ticked = self.root.locator("td input").evaluate_all("all => all.map(it => it.checked)")
        assert ticked == [Hours(week=week).is_open(*slot) for slot in SLOTS]

    def save(self) -> None:
        self.page.get_by_role("button", name="Save and continue editing").click()
        expect(self.page.get_by_text("was changed successfully")).to_be_visible()
        self.campaign.refresh_from_db()


def middle(box: Locator) -> tuple[float, float]:
    box.scroll_into_view_if_needed()
    place = box.bounding_box()
    assert place
    return place["x"] + place["width"] / 2, place["y"] + place["height"] / 2


@pytest.fixture
def width() -> int:
    return DESK


@pytest.fixture
def grid(aurora: Brand, visit: Visit, width: int) -> Grid:
    # High enough that nothing scrolls away under the mouse.
    visit.page.set_viewport_size({"width": width, "height": 2000})
    visit.sign_in()
    grid = Grid(visit, Campaign.objects.get(name="Tents"))
    grid.open()
    return grid


def test_a_calendar_is_painted_with_the_mouse_saved_and_decided(grid: Grid, visit: Visit) -> None:
    grid.shows("Mon-Sun 0-24")
    grid.preset("Clear")
    grid.shows("")

    grid.drag(grid.box("Mon", 9), grid.box("Fri", 17))
    grid.shows("Mon-Fri 9-18")
    # A stroke that began on an open hour closes; what it leaves again is as it was.
    grid.drag(grid.box("Wed", 12), grid.box("Fri", 13), grid.box("Thu", 12))
    grid.shows("Mon-Tue,Fri 9-18; Wed-Thu 9-12, 13-18")
    grid.box("Sun", 23).click()
    grid.box("Wed", 12).click()
    grid.box("Wed", 12).click()
    grid.box("Thu", 12).click()
    grid.shows("Mon-Tue,Thu-Fri 9-18; Wed 9-12, 13-18; Sun 23-24")

    grid.save()

    assert grid.campaign.weekly_hours == "Mon-Tue,Thu-Fri 9-18; Wed 9-12, 13-18; Sun 23-24"
    grid.shows(grid.campaign.weekly_hours)
    visit.assert_kept_to_itself()


def test_headings_turn_whole_days_and_hours(grid: Grid) -> None:
    grid.preset("Clear")
    grid.root.get_by_role("button", name="Tue", exact=True).click()
    grid.root.get_by_role("button", name="22", exact=True).click()
    grid.shows("Mon,Wed-Sun 22-23; Tue 0-24")

    grid.root.get_by_role("button", name="Tue", exact=True).click()
    grid.shows("Mon,Wed-Sun 22-23")
    grid.root.get_by_role("button", name="22", exact=True).click()
    grid.root.get_by_role("button", name="22", exact=True).click()
    grid.shows("")


def test_every_preset_paints_what_it_is_called(grid: Grid) -> None:
    for name, calendar in {
        "All day": "Mon-Sun 0-24",
        "Weekdays": "Mon-Fri 9-18",
        "Evenings": "Mon-Sun 18-24",
        "Nights": "Mon-Sun 22-6",
        "Weekends": "Sat-Sun 0-24",
        "Clear": "",
    }.items():
        grid.preset(name)
        grid.shows(calendar)


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_a_calendar_is_painted_with_the_keyboard_alone(grid: Grid, width: int) -> None:
    # On a phone the hours go down, and the arrows with them.
    is_turned = width == PHONE
    later, next_day = ("ArrowDown", "ArrowRight") if is_turned else ("ArrowRight", "ArrowDown")
    earlier = "ArrowUp" if is_turned else "ArrowLeft"
    press = grid.page.keyboard.press
    grid.root.get_by_role("button", name="Clear").focus()
    press("Enter")

    press("Tab")
    expect(grid.box("Mon", 0)).to_be_focused()
    for _ in range(9):
        press(later)
    expect(grid.box("Mon", 9)).to_be_focused()
    press("Space")
    grid.shows("Mon 9-10")
    grid.page.keyboard.down("Shift")
    for key in (later, later, next_day, earlier):
        press(key)
    grid.page.keyboard.up("Shift")
    grid.shows("Mon-Tue 9-11")
    expect(grid.box("Tue", 10)).to_be_focused()
    press("Space")
    press(next_day)
    grid.shows("Mon 9-11; Tue 9-10")
    press("Home")
    expect(grid.root.get_by_role("button", name="Wed")).to_be_focused()
    press("Space")
    grid.shows("Mon 9-11; Tue 9-10; Wed 0-24")
    press("End")
    expect(grid.box("Wed", 23)).to_be_focused()
    # One stop of the tabulator, wherever one stands in it.
    press("Tab")
    assert not grid.page.evaluate("Boolean(document.activeElement.closest('.hours-grid'))")
    press("Shift+Tab")
    expect(grid.box("Wed", 23)).to_be_focused()

    grid.save()

    assert grid.campaign.weekly_hours == "Mon 9-11; Tue 9-10; Wed 0-24"


def test_any_calendar_is_told_as_the_server_tells_it(grid: Grid) -> None:
    dice = random.Random(7)
    nights = "Fri 9-24; Sat 0-24; Sun 0-6"
    weeks = [
        parse(nights),
        parse("Mon-Sun 23-1"),
        parse("Sun 22-6; Mon 5-8"),
        *(week_of(slot for slot in SLOTS if dice.random() < share) for share in (0.02, 0.5, 0.97)),
    ]
    preset = grid.root.get_by_role("button", name="All day")
    for week in weeks:
        assert len(week) == DIGITS * len(WEEKDAYS)
        preset.evaluate("(button, week) => { button.dataset.week = week; }", week)
        preset.click()
        expect(grid.status).to_have_text(in_words(week))


def test_a_finger_paints_without_scrolling_the_page(
    aurora: Brand, browser: Browser, live_server: LiveServer
) -> None:
    screen = {"width": PHONE, "height": 800}
    with browser.new_context(has_touch=True, is_mobile=True, viewport=screen) as phone:  # type: ignore[arg-type]  # a dict is one
        visit = Visit(phone.new_page(), live_server.url)
        visit.sign_in()
        grid = Grid(visit, Campaign.objects.get(name="Tents"))
        grid.open()
        grid.root.get_by_role("button", name="Clear").tap()
        grid.box("Wed", 12).scroll_into_view_if_needed()
        top = visit.page.evaluate("scrollY")

        swipe(visit.page, grid.box("Tue", 8), grid.box("Thu", 12))

        grid.shows("Tue-Thu 8-13")
        assert visit.page.evaluate("scrollY") == top
        grid.box("Wed", 10).tap()
        grid.shows("Tue,Thu 8-13; Wed 8-10, 11-13")


def swipe(page: Page, start: Locator, end: Locator) -> None:
    """Draw a finger over the glass, as the browser's own driver does it."""
    driver = page.context.new_cdp_session(page)
    (x, y), (to_x, to_y) = middle(start), middle(end)
    driver.send(
        "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
    )
    for step in (0.5, 1):
        point = {"x": x + (to_x - x) * step, "y": y + (to_y - y) * step}
        driver.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    driver.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_without_our_script_boxes_are_ticked_and_an_empty_week_is_refused(
    aurora: Brand, visit: Visit
) -> None:
    visit.page.route("**/hours*.js", lambda route: route.abort())
    visit.sign_in()
    grid = Grid(visit, Campaign.objects.get(name="Tents"))
    Campaign.objects.filter(pk=grid.campaign.pk).update(weekly_hours="Mon 9-11")
    visit.page.goto(grid.address)
    expect(grid.root.get_by_role("button")).to_have_count(0)

    grid.box("Mon", 9).uncheck()
    grid.box("Mon", 10).uncheck()
    visit.page.get_by_role("button", name="Save and continue editing").click()
    expect(visit.page.get_by_text("opens no hour of the week")).to_be_visible()

    grid.box("Sat", 22).check()
    grid.save()
    assert grid.campaign.weekly_hours == "Sat 22-23"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_the_grid_fits_and_can_be_read_by_everybody(
    grid: Grid, visit: Visit, width: int, scheme: Scheme
) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    grid.preset("Weekdays")
    grid.box("Mon", 9).focus()

    assert_fits(visit.page, width)
    assert_accessible(visit.page, ".hours")
    corner = grid.box("Sun", 23).bounding_box()
    assert corner
    assert corner["x"] + corner["width"] <= width
    # A finger hits it (WCAG 2.5.8).
    assert min(corner["width"], corner["height"]) >= 24
