"""The page of a campaign: why it runs or not, its day, its ledger, and its switch."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from budgets.models import Brand, Campaign, Import, StatusChange
from budgets.services import access, passes
from budgets.services.importing import Importing
from budgets.tests.builders import (
    NOW,
    TODAY,
    event,
    make_brand,
    make_campaign,
    spend,
    state,
    write_changes,
    write_spend,
)
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert('x')</script>\u202e\"=cmd"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def tents() -> Campaign:
    """A campaign of a brand in Berlin, where it is 16:00, that may spend 100 a day."""
    brand = make_brand(name="Aurora", daily_budget=100, currency="EUR", timezone="Europe/Berlin")
    campaign = make_campaign(brand, name="Tents", daily_budget=40, allowed_start_hour=8)
    passes.check_and_pause(NOW)
    return campaign


def who_sees(client: Client, *brands: Brand, may: str = "view_campaign") -> Client:
    """Sign in somebody of these brands with one permission."""
    user = User.objects.create_user("ben")
    user.user_permissions.add(Permission.objects.get(codename=may))
    access.restrict(user, brands)
    client.force_login(user)
    return client


def get(client: Client, campaign: Campaign, query: str = "", **headers: str) -> Any:
    return client.get(f"/campaigns/{campaign.pk}/{query}", headers=headers)


def words(response: Any) -> str:
    """Return the text of a page."""
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", response.text).split()))


class TestWhy:
    def test_a_campaign_runs_is_said_with_what_may_still_be_spent(
        self, ana: Client, tents: Campaign
    ) -> None:
        spend(tents, "30")

        page = words(get(ana, tents))

        assert "Running" in page
        assert "Up to 10.00 EUR more may be spent until its own daily budget is reached." in page
        assert "Its own, today 75%" in page
        assert "€30.00 of €40.00, €10.00 left" in page
        assert "Runs again" not in page

    def test_it_does_not_is_said_with_every_hold_and_how_far_budgets_must_rise(
        self, ana: Client, tents: Campaign
    ) -> None:
        spend(tents, "100.50")

        page = words(get(ana, tents))

        assert "Not running: brand's daily budget reached" in page
        assert "The brand's daily budget is reached: 100.50 of 100.00 EUR spent today" in page
        assert "Must rise to €100.500001 or more, by €0.500001." in page
        assert "Its own daily budget is reached: 100.50 of 40.00 EUR spent today" in page
        assert "Must rise to €100.500001 or more, by €60.500001." in page
        assert "Runs again Wed 25 Nov, 08:00 , in 16 h" in page

    def test_time_alone_does_not_start_it_is_said(self, ana: Client, tents: Campaign) -> None:
        ana.post(f"/campaigns/{tents.pk}/switch/", {"to": "pause"})

        page = words(get(ana, tents))

        assert "Not running: paused by operator" in page
        assert "Runs again not by time alone" in page

    def test_amounts_are_written_as_the_reader_writes_them(
        self, ana: Client, tents: Campaign
    ) -> None:
        spend(tents, "30.5")

        page = words(get(ana, tents, **{"accept-language": "de-DE,de;q=0.9"}))

        assert "30,50 € of 40,00 €" in page.replace("\xa0", " ")

    def test_a_corrupt_zone_is_said_and_breaks_nothing(self, ana: Client, tents: Campaign) -> None:
        Brand.objects.all().write(timezone="Mars/Base", zone_in_force="Mars/Base")

        response = get(ana, tents)

        assert response.status_code == 200
        assert "Its brand cannot be processed:" in words(response)


class TestTheDay:
    def test_is_drawn_with_its_hours_its_running_time_and_now(
        self, ana: Client, tents: Campaign
    ) -> None:
        page = words(get(ana, tents))

        assert "Allowed 08:00–24:00." in page  # noqa: RUF001  # a range's dash
        assert "Ran 16:00" not in page  # it has just begun
        later = NOW + timedelta(hours=1)
        spend(tents, "100", now=later)
        with time_machine.travel(NOW + timedelta(hours=2), tick=False):
            page = words(get(ana, tents))
        assert "Ran 16:00–17:00 (1 h)." in page  # noqa: RUF001  # a range's dash
        assert "It is now 18:00." in page

    def test_has_every_change_with_cause_actor_and_figures(
        self, ana: Client, tents: Campaign
    ) -> None:
        spend(tents, "100", now=NOW + timedelta(minutes=5), source="ad server")

        page = words(get(ana, tents))

        assert (
            "16:05:00 active became → brand's daily budget reached 100.00 of 100.00 EUR "
            "· by spend, ad server" in page
        )

    def test_can_be_any_day_with_ways_to_its_neighbours(self, ana: Client, tents: Campaign) -> None:
        response = get(ana, tents, "?day=2026-10-25")

        page = words(response)
        assert response.status_code == 200
        assert "Sun 25 Oct 2026" in page
        assert "This day has 25 h: the clocks of Europe/Berlin change." in page
        assert "Not known: the log of this campaign begins later." in page
        assert f'href="/campaigns/{tents.pk}/?day=2026-10-24#day"' in response.text
        assert f'href="/campaigns/{tents.pk}/?day=2026-10-26#day"' in response.text
        assert f'id="today" href="/campaigns/{tents.pk}/#day"' in response.text

    @pytest.mark.parametrize(
        "text",
        [
            "x",
            "2026-02-30",
            "2026-13-01",
            "0001-01-01",
            "9999-12-31",
            "1999-12-31",
            "2027-01-01",
            "20261124",
            "2026-11-24T00:00",
            "%00",
            "2026-11-2%D9%A1",
        ],
    )
    def test_that_cannot_be_is_told_and_today_is_shown(
        self, ana: Client, tents: Campaign, text: str
    ) -> None:
        response = get(ana, tents, f"?day={text}")

        assert response.status_code == 400
        assert "This is today." in words(response)
        assert "Today, Tue 24 Nov 2026" in words(response)
        # What refreshes the page is not to think that the server is down.
        assert get(ana, tents, f"?day={text}", **{"HX-Request": "true"}).status_code == 200

    def test_at_either_end_has_one_neighbour(self, ana: Client, tents: Campaign) -> None:
        assert 'id="previous-day"' not in get(ana, tents, "?day=2000-01-01").text
        assert 'id="next-day"' not in get(ana, tents, "?day=2026-12-25").text


class TestTheLedger:
    def test_shows_each_row_and_whether_it_counts(self, ana: Client, tents: Campaign) -> None:
        spend(tents, "12.5", source="ad server", external_id="imp-1")
        write_spend(tents, "-3", source="shell")

        page = words(get(ana, tents))

        assert "2026-11-24 12.50 yes ad server imp-1 16:00 16:00" in page
        assert "2026-11-24 -3.00 not yet shell" in page

    def test_links_a_row_to_the_file_that_brought_it(self, ana: Client, tents: Campaign) -> None:
        file = Importing(kind="CSV file", file=HOSTILE, source="import", actor="ana")
        file.events([event(tents, "5", date=TODAY, external_id="a")], now=NOW)

        page = get(ana, tents)

        assert f'<a href="/imports/{Import.objects.get().pk}/">&lt;script&gt;' in page.text
        assert "<script>alert" not in page.text

    def test_goes_on_page_by_page(self, ana: Client, tents: Campaign) -> None:
        for number in range(1, 53):
            write_spend(tents, number)

        first = get(ana, tents)
        address = re.search(r'id="older"[^>]*href="([^"]+)"', first.text)
        assert address
        second = ana.get(html.unescape(address[1]))

        assert len(re.findall(r'<tr id="row-', first.text)) == 50
        assert len(re.findall(r'<tr id="row-', second.text)) == 2
        assert 'id="older"' not in second.text

    @pytest.mark.parametrize("text", ["x", "%00", "2026-11-24.-1", "2026-11-24." + "9" * 30])
    def test_tells_a_place_that_is_none(self, ana: Client, tents: Campaign, text: str) -> None:
        response = get(ana, tents, f"?before={text}")

        assert response.status_code == 400
        assert "before: this is no place in the ledger" in words(response)

    def test_is_not_asked_for_by_what_refreshes_the_page(
        self, ana: Client, tents: Campaign
    ) -> None:
        page = get(ana, tents, **{"HX-Request": "true"}).text

        assert "Ledger" not in page
        assert 'class="campaign"' in page


class TestTheSwitch:
    def test_pauses_and_resumes(self, ana: Client, tents: Campaign) -> None:
        response = ana.post(f"/campaigns/{tents.pk}/switch/", {"to": "pause"}, follow=True)
        assert state(tents) == "operator"
        assert "Paused. Nothing automatic starts it again." in words(response)

        ana.post(f"/campaigns/{tents.pk}/switch/", {"to": "resume"})
        assert state(tents) == ""
        assert [row.actor for row in StatusChange.objects.order_by("-pk")[:2]] == ["ana", "ana"]

    def test_does_nothing_for_who_may_not(self, client: Client, tents: Campaign) -> None:
        ben = who_sees(client, tents.brand)

        assert 'id="switch"' not in get(ben, tents).text
        assert ben.post(f"/campaigns/{tents.pk}/switch/", {"to": "pause"}).status_code == 403
        assert state(tents) == ""

    def test_is_there_for_an_operator_who_may_edit_nothing(
        self, client: Client, tents: Campaign
    ) -> None:
        ben = who_sees(client, tents.brand, may="pause_campaign")

        page = get(ben, tents).text
        assert 'id="switch"' in page
        assert 'id="edit"' not in page
        ben.post(f"/campaigns/{tents.pk}/switch/", {"to": "pause"})
        assert state(tents) == "operator"

    @pytest.mark.parametrize("typed", [{}, {"to": "x"}, {"to": "\x00"}])
    def test_does_nothing_that_it_was_not_told(
        self, ana: Client, tents: Campaign, typed: dict[str, str]
    ) -> None:
        response = ana.post(f"/campaigns/{tents.pk}/switch/", typed, follow=True)

        assert "Nothing was done" in words(response)
        assert state(tents) == ""

    def test_asks_for_a_token_and_a_post(self, tents: Campaign) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(User.objects.create_superuser("ana"))

        assert strict.post(f"/campaigns/{tents.pk}/switch/", {"to": "pause"}).status_code == 403
        assert strict.get(f"/campaigns/{tents.pk}/switch/").status_code == 405
        assert state(tents) == ""


def test_what_one_does_not_see_does_not_exist(client: Client, tents: Campaign) -> None:
    hidden = make_campaign(make_brand(name="Bolt"))
    file = Importing(kind="CSV file", file="a.csv", source="import", actor="ana")
    file.events([event(hidden, "5", date=TODAY, external_id="a")], now=NOW)
    ben = who_sees(client, tents.brand, may="pause_campaign")

    assert get(ben, tents).status_code == 200
    for address in (
        f"/campaigns/{hidden.pk}/",
        f"/imports/{Import.objects.get().pk}/",
        "/campaigns/99999999999999999999999/",
        "/imports/99999999999999999999999/",
    ):
        assert ben.get(address).status_code == 404
    assert ben.post(f"/campaigns/{hidden.pk}/switch/", {"to": "pause"}).status_code == 404


def test_an_import_shows_who_sees_a_part_only_that(client: Client, tents: Campaign) -> None:
    hidden = make_campaign(make_brand(name="Bolt"), name="Hidden")
    file = Importing(kind="CSV file", file="a.csv", source="import", actor="ana")
    file.events(
        [
            event(hidden, "5", date=TODAY, external_id="a"),
            event(tents, "6", date=TODAY, external_id="b"),
        ],
        now=NOW,
    )
    address = f"/imports/{Import.objects.get().pk}/"

    client.force_login(User.objects.create_superuser("ana"))
    whole = words(client.get(address))
    part = words(who_sees(client, tents.brand).get(address))

    assert "New rows 2 Together €6.00, $5.00" in whole
    assert "Hidden" in whole
    assert "Tents Aurora , EUR" in part
    assert "Hidden" not in part
    assert "5.00" not in part
    assert client.get(f"{address}?before=x").status_code == 400


def test_everybody_signs_in_first(client: Client, tents: Campaign) -> None:
    assert get(client, tents).status_code == 302


def test_hostile_names_stay_names(ana: Client) -> None:
    campaign = make_campaign(make_brand(name=HOSTILE), name=HOSTILE, external_id=HOSTILE)
    spend(campaign, 1, source="<b>=cmd", external_id="<i>'\"")

    page = get(ana, campaign).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_the_number_of_statements_does_not_grow(ana: Client, tents: Campaign) -> None:
    def asked() -> int:
        return len(statements(lambda: get(ana, tents)))

    spend(tents, "1")
    get(ana, tents)
    one = asked()
    for number in range(60):
        write_spend(tents, number)
    write_changes(tents, 80)

    assert asked() == one <= 14
