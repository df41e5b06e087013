"""The doors of the page of a brand: who is let in, what an edit does before and after it is saved."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign
from budgets.services import access, editing
from budgets.tests.builders import (
    NOW,
    decided,
    everything_stored,
    log,
    make_brand,
    make_campaign,
    spend,
    state,
    switch,
)

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7*7 }}'
ROLES = {
    "admin": ("view_brand", "view_campaign", "change_brand", "change_campaign", "pause_campaign"),
    "operator": ("view_brand", "view_campaign", "pause_campaign"),
    "viewer": ("view_brand", "view_campaign"),
}


def who(role: str, *brands: Brand, **fields: Any) -> Client:
    """Return the browser of somebody with this role, who sees `brands`, all when none is named."""
    user = User.objects.create_user(f"{role}-{User.objects.count()}", **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=ROLES[role]))
    if brands:
        access.restrict(user, brands)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def acme() -> Brand:
    """Return a brand with 60 of 100 spent today by two campaigns that run."""
    brand = make_brand(name="Acme", daily_budget=100, monthly_budget=None)
    for name in ("Search", "Display"):
        make_campaign(brand, name=name)
    decided(brand)
    spend(brand.campaigns.get(name="Search"), 60)
    return brand


@pytest.fixture
def ann(acme: Brand) -> Client:
    return who("admin")


def ask(client: Client, path: str, **headers: str) -> HttpResponse:
    with time_machine.travel(NOW, tick=False):
        return client.get(path, headers=headers)  # type: ignore[return-value]  # a test client's own


def send(client: Client, path: str, data: Mapping[str, Any], **headers: str) -> HttpResponse:
    with time_machine.travel(NOW, tick=False):
        return client.post(path, data, headers=headers)  # type: ignore[return-value]  # likewise


def text(response: HttpResponse) -> str:
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def words(response: HttpResponse) -> str:
    """Return what stands on the page, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", text(response)).split())


def hidden(response: HttpResponse) -> dict[str, str]:
    """Return the hidden fields, as a browser sends them back."""
    found = re.findall(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?', text(response))
    return {name: value for name, value in found if name != "csrfmiddlewaretoken"}


def edit_url(row: Brand | Campaign) -> str:
    return f"/{'brands' if isinstance(row, Brand) else 'campaigns'}/{row.pk}/edit/"


def preview(client: Client, row: Brand | Campaign, **typed: str) -> HttpResponse:
    """Open the form, type, and ask what it would do."""
    seen = hidden(ask(client, edit_url(row)))
    before = {name.removeprefix("seen-"): value for name, value in seen.items()}
    # The grid itself sends a box for each hour; this is how a step carries them on.
    before["weekly_hours-as"] = before.pop("weekly_hours", "")
    return send(client, edit_url(row), {**seen, **before, **typed, "step": "preview"})


def save(client: Client, row: Brand | Campaign, previewed: HttpResponse) -> HttpResponse:
    return send(client, edit_url(row), {**hidden(previewed), "step": "save"})


class TestTheDoor:
    def test_without_signing_in_one_is_asked_to_and_comes_back(
        self, acme: Brand, client: Client
    ) -> None:
        for url in (f"/brands/{acme.pk}/", edit_url(acme)):
            response = client.get(url)
            assert (response.status_code, response["Location"]) == (
                302,
                f"/admin/login/?next={url}",
            )

    @pytest.mark.parametrize("pk", ["0", "999999", "9" * 19, "9" * 400])
    @pytest.mark.parametrize(
        "path", ["/brands/{}/", "/brands/{}/edit/", "/campaigns/{}/edit/", "/brands/{}/switch/"]
    )
    def test_what_is_not_there_is_not_there(self, ann: Client, path: str, pk: str) -> None:
        answer = send if "switch" in path else lambda client, url, _: ask(client, url)

        assert answer(ann, path.format(pk), {}).status_code == 404

    def test_what_somebody_may_not_see_is_answered_like_what_is_not_there(
        self, acme: Brand
    ) -> None:
        stranger = who("admin", make_brand(name="Other"))
        campaign = acme.campaigns.get(name="Search")
        before = everything_stored()

        answers = [
            ask(stranger, f"/brands/{acme.pk}/"),
            ask(stranger, edit_url(acme)),
            ask(stranger, edit_url(campaign)),
            send(stranger, edit_url(acme), {"step": "save", "daily_budget": "1"}),
            send(stranger, edit_url(campaign), {"step": "save"}),
            send(stranger, f"/brands/{acme.pk}/switch/", {"pause": campaign.pk}),
        ]

        assert {answer.status_code for answer in answers} == {404}
        assert not any("Acme" in answer.content.decode() for answer in answers)
        assert everything_stored() == before

    def test_campaigns_of_another_brand_are_not_switched_from_here(
        self, acme: Brand, ann: Client
    ) -> None:
        other = decided(make_campaign())

        send(ann, f"/brands/{acme.pk}/switch/", {"campaign": [other.pk], "pause": "selected"})

        assert state(other) == ""

    @pytest.mark.parametrize(
        ("role", "edits", "pauses"),
        [("admin", True, True), ("operator", False, True), ("viewer", False, False)],
    )
    def test_a_role_does_what_it_may_and_is_offered_nothing_else(
        self, acme: Brand, role: str, edits: bool, pauses: bool
    ) -> None:
        somebody = who(role)
        campaign = acme.campaigns.get(name="Display")
        page = text(ask(somebody, f"/brands/{acme.pk}/"))

        assert ("Edit budgets" in page, "Pause selected" in page) == (edits, pauses)
        for row in (acme, campaign):
            assert ask(somebody, edit_url(row)).status_code == (200 if edits else 403)
            posted = send(somebody, edit_url(row), {"step": "preview"})
            assert posted.status_code == (200 if edits else 403)
        switched = send(somebody, f"/brands/{acme.pk}/switch/", {"pause": campaign.pk})
        assert switched.status_code == (302 if pauses else 403)
        assert state(campaign) == (Hold.OPERATOR if pauses else "")

    def test_requests_from_elsewhere_are_refused(self, acme: Brand) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(User.objects.create_superuser("sue"))

        for url in (edit_url(acme), f"/brands/{acme.pk}/switch/"):
            assert strict.post(url, {"step": "save", "pause": "1"}).status_code == 403

    def test_staff_are_led_to_the_admin_and_others_are_not(self, acme: Brand) -> None:
        link = f'href="/admin/budgets/brand/{acme.pk}/change/"'

        assert link in text(ask(who("admin", is_staff=True), f"/brands/{acme.pk}/"))
        assert link not in text(ask(who("admin"), f"/brands/{acme.pk}/"))

    def test_hostile_names_are_text_everywhere(self, ann: Client) -> None:
        brand = make_brand(name=HOSTILE, daily_budget=10)
        campaign = decided(make_campaign(brand, name=HOSTILE, external_id=HOSTILE))
        pages = [
            ask(ann, f"/brands/{brand.pk}/?search={HOSTILE}&hold={HOSTILE}&after={HOSTILE}"),
            ask(ann, f"{edit_url(brand)}?daily_budget={HOSTILE}"),
            preview(ann, brand, daily_budget="0"),
            preview(ann, campaign, daily_budget=HOSTILE),
        ]
        send(ann, f"/brands/{brand.pk}/switch/", {"pause": campaign.pk})
        save(ann, brand, preview(ann, brand, daily_budget="0"))
        pages.append(ask(ann, f"/brands/{brand.pk}/"))

        for response in pages:
            raw = response.content.decode()
            assert response.status_code == 200
            assert "&lt;script&gt;alert(1)" in raw
            assert "<script>alert" not in raw
            assert "<img" not in raw

    def test_pages_have_nothing_inline(self, acme: Brand, ann: Client) -> None:
        for response in (
            ask(ann, f"/brands/{acme.pk}/"),
            preview(ann, acme, daily_budget="5"),
            preview(ann, acme, daily_budget="nonsense"),
        ):
            raw = response.content.decode()
            assert not re.search(r"\sstyle=|<style|\son[a-z]+=", raw)
            scripts = re.findall(r"<script[^>]*>", raw)
            assert all(" src=" in one or 'type="application/json"' in one for one in scripts)

    def test_the_fragment_is_the_part_that_changes(self, acme: Brand, ann: Client) -> None:
        fragment = ask(ann, f"/brands/{acme.pk}/?hold=running", **HTMX)

        raw = fragment.content.decode()
        assert raw.startswith(
            '<div class="brand-page" data-summary="2 of 2 campaigns run; today 60%."'
        )
        assert "<html" not in raw
        assert "no-store" in fragment["Cache-Control"]

    def test_no_page_of_a_form_reloads_itself(self, acme: Brand, ann: Client) -> None:
        assert "http-equiv" in text(ask(ann, f"/brands/{acme.pk}/"))
        assert "http-equiv" not in text(ask(ann, edit_url(acme)))
        assert "http-equiv" not in text(preview(ann, acme, daily_budget="5"))

    def test_one_page_takes_few_statements(
        self, acme: Brand, django_assert_max_num_queries: Any
    ) -> None:
        operator = who("operator", acme)

        with django_assert_max_num_queries(12):
            ask(operator, f"/brands/{acme.pk}/")


class TestAnEdit:
    def test_it_shows_its_effect_and_leaves_nothing_behind(self, acme: Brand, ann: Client) -> None:
        make_campaign(acme, name="Video", is_enabled=False)
        decided(acme)
        before = everything_stored()

        shown = words(preview(ann, acme, daily_budget="60"))

        assert "Daily budget 100.00 becomes → 60" in shown
        assert "This pauses 2 campaigns Display Search" in shown
        assert "$60.00 of $60.00 reached, 100%" in shown
        assert everything_stored() == before

    def test_saving_does_what_was_shown_and_says_so(self, acme: Brand, ann: Client) -> None:
        response = save(ann, acme, preview(ann, acme, daily_budget="60", monthly_budget="900.5"))

        assert (response.status_code, response["Location"]) == (302, f"/brands/{acme.pk}/")
        told = words(ask(ann, f"/brands/{acme.pk}/"))
        assert (
            "Saved Acme: daily budget 100.00 → 60.00, monthly budget no limit → 900.50. "
            "2 campaigns paused." in told
        )
        acme.refresh_from_db()
        assert (acme.daily_budget, acme.monthly_budget) == (Decimal(60), Decimal("900.5"))
        search = acme.campaigns.get(name="Search")
        assert state(search) == Hold.BRAND_DAILY_BUDGET
        assert log(search)[-1].actor == User.objects.get().username

    def test_it_shows_what_starts(self, acme: Brand, ann: Client) -> None:
        spend(acme.campaigns.get(name="Search"), 40)

        shown = words(preview(ann, acme, daily_budget=""))

        assert "Daily budget 100.00 becomes → no limit" in shown
        assert "This starts 2 campaigns Display Search" in shown

    def test_names_are_bounded_and_the_rest_is_counted(self, acme: Brand, ann: Client) -> None:
        Campaign.objects.bulk_create(
            Campaign(brand=acme, name=f"Campaign {number:03}") for number in range(30)
        )
        decided(acme)

        shown = words(preview(ann, acme, is_active=""))

        assert "Active on becomes → off" in shown
        assert "This pauses 32 campaigns Campaign 000 Campaign 001" in shown
        assert "Campaign 009 and 22 more" in shown

    def test_an_effect_without_starts_and_stops_says_that(self, acme: Brand, ann: Client) -> None:
        assert "This pauses and starts no campaign." in words(
            preview(ann, acme, monthly_budget="1000000")
        )

    def test_another_reason_for_the_same_state_is_an_effect_as_well(
        self, acme: Brand, ann: Client
    ) -> None:
        spend(acme.campaigns.get(name="Search"), 40)

        shown = words(preview(ann, acme, is_active=""))

        assert "This pauses and starts no campaign." in shown
        assert "2 campaigns held for another reason than before." in shown

    def test_nothing_typed_is_nothing_to_save(self, acme: Brand, ann: Client) -> None:
        shown = text(preview(ann, acme, daily_budget="100"))

        assert "Nothing is changed." in shown
        assert 'value="save"' not in shown

    @pytest.mark.parametrize(
        ("typed", "error"),
        [
            ({"daily_budget": "1,284.20"}, "has separators; write digits and a point alone"),
            ({"daily_budget": "-1"}, "A budget cannot be negative; leave it empty for no limit."),
            ({"monthly_budget": "1e9"}, "has an exponent; write the digits out"),
            ({"monthly_budget": "0.0000001"}, "has more than 6 decimals; round it first"),
            ({"daily_budget": "9" * 30}, "more than 12 digits"),
            ({"daily_budget": "a\x00b"}, "is not an amount; write digits and a point"),
            ({"daily_budget": "-1", "monthly_budget": "7"}, "A budget cannot be negative"),
        ],
    )
    def test_what_cannot_be_meant_is_named_beside_its_field_and_stays_typed(
        self, acme: Brand, ann: Client, typed: dict[str, str], error: str
    ) -> None:
        before = everything_stored()
        name, value = next(iter(typed.items()))

        response = preview(ann, acme, **typed, is_active="")

        shown = text(response)
        assert f'id="id_{name}_error"' in shown
        assert error in shown
        assert f'value="{value}"' in shown
        assert "checked" not in shown
        assert 'value="save"' not in shown
        assert everything_stored() == before

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("allowed_start_hour", "24", "less than or equal to 23"),
            ("allowed_end_hour", "25", "less than or equal to 24"),
            ("allowed_start_hour", "", "This field is required."),
            ("daily_budget", "-0.01", "A budget cannot be negative"),
        ],
    )
    def test_so_it_is_with_campaigns(
        self, acme: Brand, ann: Client, field: str, value: str, error: str
    ) -> None:
        campaign = acme.campaigns.get(name="Search")

        shown = text(preview(ann, campaign, **{field: value}))

        assert error in shown.partition(f'id="id_{field}_error"')[2]

    def test_saving_what_cannot_be_meant_shows_the_same(self, acme: Brand, ann: Client) -> None:
        seen = hidden(ask(ann, edit_url(acme)))

        response = send(ann, edit_url(acme), {**seen, "daily_budget": "x", "step": "save"})

        assert "is not an amount" in text(response)

    @pytest.mark.parametrize("broken", [None, "nonsense"])
    def test_a_form_that_is_not_whole_saves_nothing(
        self, acme: Brand, ann: Client, broken: str | None
    ) -> None:
        sent = {**hidden(preview(ann, acme, daily_budget="5")), "step": "save"}
        del sent["seen-daily_budget"]
        before = everything_stored()

        response = send(
            ann, edit_url(acme), sent | ({"seen-daily_budget": broken} if broken else {})
        )

        assert "Look at it again" in text(response)
        assert everything_stored() == before

    def test_what_somebody_changed_meanwhile_is_told_and_nothing_is_saved(
        self, acme: Brand, ann: Client
    ) -> None:
        previewed = preview(ann, acme, monthly_budget="700")
        theirs = Brand.objects.get(pk=acme.pk)
        theirs.daily_budget = Decimal(400)
        editing.save(theirs, by="bob", now=NOW, changed=["daily_budget"])
        before = everything_stored()

        refused = save(ann, acme, previewed)

        assert (
            "Somebody changed the daily budget from 100.00 to 400.00 meanwhile. "
            "Nothing was saved." in words(refused)
        )
        assert everything_stored() == before
        # What they typed is still there, and can be saved now that they know: all of it.
        assert "Daily budget 400.00 becomes → 100.00" in words(refused)
        assert save(ann, acme, refused).status_code == 302
        acme.refresh_from_db()
        assert (acme.daily_budget, acme.monthly_budget) == (Decimal(100), Decimal(700))

    def test_a_preview_tells_of_it_too(self, acme: Brand, ann: Client) -> None:
        seen = hidden(ask(ann, edit_url(acme)))
        Brand.objects.filter(pk=acme.pk).update(is_active=False)

        response = send(
            ann,
            edit_url(acme),
            {**seen, "daily_budget": "100", "is_active": "on", "step": "preview"},
        )

        assert "Somebody changed the active from on to off meanwhile." in words(response)

    def test_one_can_go_back_and_change_what_was_typed(self, acme: Brand, ann: Client) -> None:
        previewed = preview(ann, acme, daily_budget="60", is_active="")

        again = send(ann, edit_url(acme), {**hidden(previewed), "step": "change"})

        shown = text(again)
        assert re.search(r'<input type="text" name="daily_budget" value="60"', shown)
        assert "checked" not in shown
        assert state(acme.campaigns.get(name="Search")) == ""

    def test_a_link_may_type_the_recommended_budget(self, acme: Brand, ann: Client) -> None:
        shown = text(ask(ann, f"{edit_url(acme)}?daily_budget=33.20&is_active=0&monthly_budget=1"))

        assert re.search(r'name="daily_budget" value="33.20"', shown)
        assert 'name="seen-daily_budget" value="100.00"' in shown
        assert 'name="monthly_budget" value="1"' not in shown

    def test_a_campaign_has_ceilings_and_hours_of_its_own(self, acme: Brand, ann: Client) -> None:
        search = acme.campaigns.get(name="Search")

        previewed = preview(ann, search, daily_budget="60", allowed_end_hour="9")

        assert "This pauses 1 campaign Search" in words(previewed)
        assert "Own daily budget no limit becomes → 60.00" in words(previewed)
        response = save(ann, search, previewed)
        assert response["Location"] == f"/campaigns/{search.pk}/"
        assert state(search) == Hold.CAMPAIGN_DAILY_BUDGET
        assert search.allowed_end_hour == 9

    def test_hours_of_each_weekday_stay_and_are_painted_anew(
        self, acme: Brand, ann: Client
    ) -> None:
        search = acme.campaigns.get(name="Search")
        search.weekly_hours = "Mon-Fri 9-18"
        editing.save(search, by="ann", now=NOW, changed=["weekly_hours"])

        assert save(ann, search, preview(ann, search, daily_budget="60")).status_code == 302
        search.refresh_from_db()
        assert (search.weekly_hours, search.daily_budget) == ("Mon-Fri 9-18", Decimal(60))

        seen = hidden(ask(ann, edit_url(search)))
        painted = {"weekly_hours-on": "1", "weekly_hours": ["0-22", "0-23", "1-0"]}
        typed = {"daily_budget": "60", "allowed_start_hour": "0", "allowed_end_hour": "24"}
        previewed = send(ann, edit_url(search), {**seen, **typed, **painted, "step": "preview"})
        assert "Mon-Fri 9-18 becomes → Mon 22-1" in words(previewed)
        assert save(ann, search, previewed).status_code == 302
        search.refresh_from_db()
        assert search.weekly_hours == "Mon 22-1"

    @pytest.mark.parametrize(
        ("typed", "error"),
        [
            ({"weekly_hours-on": "1"}, "opens no hour of the week"),
            ({"weekly_hours-on": "1", "weekly_hours": "7-1"}, "sent something that is no hour"),
            ({"weekly_hours-as": "Someday 9-18"}, "is not a day or a range of days"),
        ],
    )
    def test_hours_that_cannot_be_meant_are_told(
        self, acme: Brand, ann: Client, typed: dict[str, str], error: str
    ) -> None:
        search = acme.campaigns.get(name="Search")

        shown = words(preview(ann, search, **typed))

        assert error in shown
        assert "Look before you save" not in shown

    def test_a_brand_that_cannot_be_processed_is_saved_and_says_so(self, ann: Client) -> None:
        brand = make_brand(name="Lost", timezone="Mars/Olympus")
        decided(brand)

        previewed = preview(ann, brand, daily_budget="5")

        assert "The brand cannot be processed; its campaigns stay as they are." in words(previewed)
        assert save(ann, brand, previewed).status_code == 302

    def test_asked_for_in_place_it_answers_with_the_form_alone(
        self, acme: Brand, ann: Client
    ) -> None:
        form = ask(ann, edit_url(acme), **HTMX)
        assert form.content.decode().startswith('<form class="edit"')

        sent = {**hidden(preview(ann, acme, daily_budget="60")), "step": "save"}
        saved = send(ann, edit_url(acme), sent, **HTMX)

        assert (saved.status_code, saved["HX-Trigger"]) == (204, '{"edited": {}}')
        fragment = text(ask(ann, f"/brands/{acme.pk}/", **HTMX))
        assert 'hx-swap-oob="innerHTML:#told"' in fragment
        assert "2 campaigns paused." in fragment
        assert "hx-swap-oob" not in text(ask(ann, f"/brands/{acme.pk}/", **HTMX))


class TestTheSwitch:
    def test_one_is_paused_and_resumed_by_its_own_button(self, acme: Brand, ann: Client) -> None:
        search = acme.campaigns.get(name="Search")

        response = send(ann, f"/brands/{acme.pk}/switch/?hold=running", {"pause": search.pk})

        assert response["Location"] == f"/brands/{acme.pk}/?hold=running#campaigns"
        assert "Paused 1 campaign." in words(ask(ann, f"/brands/{acme.pk}/"))
        assert state(search) == Hold.OPERATOR
        assert log(search)[-1].actor.startswith("admin")

        send(ann, f"/brands/{acme.pk}/switch/", {"resume": search.pk})
        assert state(search) == ""

    def test_all_selected_are_switched_together(self, acme: Brand, ann: Client) -> None:
        rows = list(acme.campaigns.all())
        switch(rows[0], on=False)

        data = {"campaign": [row.pk for row in rows], "pause": "selected"}
        send(ann, f"/brands/{acme.pk}/switch/", data)

        assert "Paused 1 campaign." in words(ask(ann, f"/brands/{acme.pk}/"))
        assert {state(row) for row in rows} == {Hold.OPERATOR}

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"pause": ""},
            {"pause": "selected"},
            {"pause": "x"},
            {"pause": "9" * 30},
            {"pause": "-1"},
            {"pause": "\x00"},
            {"resume": "selected", "campaign": ["x", "9" * 40, "٣"]},
        ],
    )
    def test_without_a_campaign_nothing_is_done(
        self, acme: Brand, ann: Client, data: dict[str, Any]
    ) -> None:
        assert send(ann, f"/brands/{acme.pk}/switch/", data).status_code == 302

        assert "Nothing was done: select campaigns first." in words(ask(ann, f"/brands/{acme.pk}/"))

    def test_it_is_thrown_by_a_post(self, acme: Brand, ann: Client) -> None:
        assert ask(ann, f"/brands/{acme.pk}/switch/").status_code == 405
