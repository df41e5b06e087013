"""Campaigns in the admin."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from budgets.admin import campaign as campaign_admin
from budgets.models import Campaign, StatusChange
from budgets.services import access
from budgets.tests.admin.conftest import HOSTILE, errors, html, told
from budgets.tests.builders import decided, log, make_brand, make_campaign, spend, state

pytestmark = pytest.mark.django_db

LIST = "/admin/budgets/campaign/"
FORM = {
    "name": "Search",
    "external_id": "",
    "is_enabled": "on",
    "daily_budget": "",
    "monthly_budget": "",
    "allowed_start_hour": "0",
    "allowed_end_hour": "24",
    "starts_on": "",
    "ends_on": "",
}


def change(campaign: Campaign) -> str:
    return f"{LIST}{campaign.pk}/change/"


def switch(client: Client, action: str, *campaigns: Campaign, **more: str) -> Any:
    ids = [campaign.pk for campaign in campaigns]
    return client.post(LIST, {"action": action, "_selected_action": ids, **more})


def test_adding_one_decides_at_once_and_says_what_it_is(ana: Client) -> None:
    brand = make_brand()

    response = ana.post(f"{LIST}add/", {**FORM, "brand": brand.pk})

    assert "It is active." in told(response)
    assert Campaign.objects.get().is_active


def test_its_hours_by_weekday_decide_at_once_until_they_are_switched_off(ana: Client) -> None:
    campaign = decided(make_campaign(name="Search"))
    # 24 November 2026, a Tuesday, 15:00.
    grid = {"weekly_hours-on": "1", "weekly_hours": ["2-15", "2-16"]}

    held = ana.post(change(campaign), {**FORM, **grid})

    assert "It is held: outside allowed hours." in told(held)
    assert (log(campaign)[-1].actor, log(campaign)[-1].cause) == ("ana", "edit")
    campaign.refresh_from_db()
    assert campaign.weekly_hours == "Wed 15-17"
    assert "Wed 15–17" in html(ana.get(LIST))  # noqa: RUF001  # a range's dash

    lifted = ana.post(change(campaign), {**FORM, "weekly_hours": ["2-15"]})

    assert "It is active." in told(lifted)
    campaign.refresh_from_db()
    assert campaign.weekly_hours is None


def test_a_form_that_leaves_the_weekly_hours_alone_does_not_write_them(ana: Client) -> None:
    campaign = decided(make_campaign(name="Search", weekly_hours="Tue 15-17"))
    page = html(ana.get(change(campaign)))
    assert 'name="weekly_hours-on" value="1" checked' in page

    ana.post(
        change(campaign),
        {**FORM, "name": "Other", "weekly_hours-on": "1", "weekly_hours": ["1-16", "1-15"]},
    )

    campaign.refresh_from_db()
    assert (campaign.name, campaign.weekly_hours) == ("Other", "Tue 15-17")


def test_closing_its_hours_holds_it_at_once(ana: Client) -> None:
    campaign = decided(make_campaign(name="Search"))

    response = ana.post(
        change(campaign), {**FORM, "allowed_start_hour": "22", "allowed_end_hour": "6"}
    )

    assert "It is held: outside allowed hours." in told(response)
    assert state(campaign) == "outside_hours"
    assert (log(campaign)[-1].actor, log(campaign)[-1].cause) == ("ana", "edit")


def test_its_brand_cannot_be_edited(ana: Client) -> None:
    campaign = decided(make_campaign(name="Search"))

    ana.post(change(campaign), {**FORM, "brand": make_brand().pk, "name": "Renamed"})

    before = campaign.brand_id
    campaign.refresh_from_db()
    assert (campaign.brand_id, campaign.name) == (before, "Renamed")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"daily_budget": "NaN"}, "The amount NaN is not a finite amount"),
        ({"monthly_budget": "1.0000001"}, "has more than 6 decimals"),
        ({"daily_budget": "-1"}, "A budget cannot be negative"),
        ({"allowed_start_hour": "24"}, "less than or equal to 23"),
        ({"weekly_hours-on": "1"}, "opens no hour of the week"),
        ({"weekly_hours-on": "1", "weekly_hours": ["1-15", "9\x009"]}, "no hour of the week"),
        ({"allowed_end_hour": "25"}, "less than or equal to 24"),
        ({"allowed_end_hour": "9" * 30}, "less than or equal to"),
        ({"starts_on": "2026-02-30"}, "Enter a valid date."),
        ({"starts_on": "2026-12-02", "ends_on": "2026-12-01"}, "last day lies before its first"),
        ({"name": "Taken"}, "The brand has a campaign of this name already."),
        ({"external_id": "taken"}, "The brand has a campaign with this external ID already."),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    ana: Client, fields: dict[str, str], words: str
) -> None:
    campaign = make_campaign(name="Search")
    make_campaign(campaign.brand, name="Taken", external_id="taken")

    for path in (change(campaign), f"{LIST}add/"):
        response = ana.post(path, {**FORM, "brand": campaign.brand_id, "name": "New", **fields})

        assert words in str(errors(response))
    assert Campaign.objects.count() == 2


def test_pause_and_resume_report_counts(ana: Client) -> None:
    brand = make_brand()
    one, other, paused = (make_campaign(brand) for _ in range(3))
    decided(brand)
    switch(ana, "pause", paused)

    response = switch(ana, "pause", one, other, paused)
    assert told(response)[-1] == "2 campaigns paused; 1 was already paused."
    assert [state(each) for each in (one, other, paused)] == ["operator"] * 3
    assert (log(one)[-1].cause, log(one)[-1].actor) == ("operator", "ana")

    assert told(switch(ana, "resume", one))[-1] == "1 campaign resumed."
    assert state(one) == ""


def test_resume_says_what_stays_held(ana: Client) -> None:
    brand = make_brand(daily_budget=1)
    campaign = make_campaign(brand, is_enabled=False)
    spend(make_campaign(brand), 1)

    response = switch(ana, "resume", campaign)

    assert told(response) == ["1 campaign resumed; 1 stays held for another reason."]
    assert state(campaign) == "brand_daily_budget"


def test_an_action_on_all_pages_takes_what_the_filter_shows(ana: Client) -> None:
    brand, other = make_brand(), make_brand()
    campaigns = [make_campaign(brand) for _ in range(60)]
    spared = make_campaign(other)
    decided(brand)

    response = ana.post(
        f"{LIST}?brand__id__exact={brand.pk}",
        {"action": "pause", "select_across": "1", "_selected_action": [campaigns[0].pk]},
    )

    assert told(response) == ["60 campaigns paused."]
    assert Campaign.objects.filter(is_enabled=False).count() == 60
    assert state(spared) == ""


def test_an_action_on_too_many_changes_nothing(
    ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_admin, "COUNTED", 2)
    brand = make_brand()
    chosen = [make_campaign(brand) for _ in range(3)]

    response = switch(ana, "pause", *chosen)

    words = "Nothing changed: 2 campaigns at once are the most. Narrow the list."
    assert told(response) == [words]
    assert Campaign.objects.filter(is_enabled=True).count() == 3


def test_statements_of_a_list_and_an_action_do_not_grow_with_rows(ana: Client) -> None:
    counts = []
    for number in (10, 200):
        brand = make_brand(daily_budget=5)
        Campaign.objects.bulk_create(
            Campaign(brand=brand, name=f"{number}-{each}") for each in range(number)
        )
        decided(brand)
        with CaptureQueriesContext(connection) as listed:
            html(ana.get(LIST))
        with CaptureQueriesContext(connection) as paused:
            ids = list(brand.campaigns.values_list("pk", flat=True))
            ana.post(LIST, {"action": "pause", "_selected_action": ids})
        counts.append((len(listed), len(paused)))

    (few_listed, few_paused), (many_listed, many_paused) = counts
    assert few_listed == many_listed <= 10
    # SQLite takes the log's rows a hundred a statement.
    assert many_paused <= few_paused + 2


def test_the_page_explains_the_state_and_shows_the_last_changes(ana: Client) -> None:
    brand = make_brand(daily_budget=100)
    campaign = make_campaign(brand)
    decided(brand)
    spend(campaign, 105)

    page = html(ana.get(change(campaign)))

    assert "The brand&#x27;s daily budget is reached: 105.00 of 100.00 USD spent today" in page
    assert "it starts again at 00:00 on Wed 25 Nov, UTC (in 9 h)" in page
    assert "<td>105.00 of 100.00 USD</td>" in page


def test_a_refused_form_still_explains_what_is_stored(ana: Client) -> None:
    campaign = decided(make_campaign(name="Search"))

    response = ana.post(change(campaign), {**FORM, "is_enabled": "", "daily_budget": "x"})

    assert "No budget limits it." in html(response)


def test_filters_and_search_find_by_brand_hold_name_and_external_id(ana: Client) -> None:
    acme, other = make_brand(name="Acme"), make_brand(name="Bolt", is_active=False)
    make_campaign(acme, name="Findme")
    make_campaign(other, name="Another", external_id="ad-77")
    decided(acme)

    def found(query: str) -> set[str]:
        page = html(ana.get(f"{LIST}?{query}"))
        return {name for name in ("Findme", "Another") if f">{name}</a>" in page}

    assert found("q=findm") == {"Findme"}
    assert found("q=ad-77") == {"Another"}
    assert found("q=bolt") == {"Another"}
    assert found("q=") == {"Findme", "Another"}
    assert found("hold__exact=brand_inactive") == {"Another"}
    assert found("is_active__exact=1") == {"Findme"}
    assert found("is_enabled__exact=0") == set()
    assert found(f"brand__id__exact={acme.pk}") == {"Findme"}


def test_a_list_longer_than_is_counted_says_more_than(
    ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("budgets.admin.base.COUNTED", 60)
    brand = make_brand(name="Acme")
    Campaign.objects.bulk_create(Campaign(brand=brand, name=f"{each}") for each in range(62))

    assert "more than 60" in html(ana.get(LIST))
    assert "more than" not in html(ana.get(f"{LIST}?q=1"))


def test_history_is_never_deleted(ana: Client) -> None:
    campaign = decided(make_campaign(name="Search"))

    single = ana.post(f"{LIST}{campaign.pk}/delete/", {"post": "yes"})
    several = switch(ana, "delete_selected", campaign, post="yes")

    for response in (single, several):
        assert "Pause it instead." in html(response)
    assert Campaign.objects.count() == StatusChange.objects.count() == 1


def test_one_that_nothing_ever_happened_to_can_be_deleted(ana: Client) -> None:
    campaign = make_campaign()

    ana.post(f"{LIST}{campaign.pk}/delete/", {"post": "yes"})

    assert not Campaign.objects.exists()


def test_no_more_are_deleted_at_once_than_can_be_listed(ana: Client) -> None:
    brand = make_brand()
    Campaign.objects.bulk_create(Campaign(brand=brand, name=f"{each}") for each in range(101))

    response = ana.post(
        LIST,
        {
            "action": "delete_selected",
            "select_across": "1",
            "_selected_action": [Campaign.objects.values_list("pk", flat=True)[0]],
            "post": "yes",
        },
    )

    assert "More than 100 at once: select fewer." in html(response)
    assert Campaign.objects.count() == 101


def test_hostile_names_are_text(ana: Client) -> None:
    brand = make_brand(name=HOSTILE, daily_budget=1)
    campaign = make_campaign(brand, name=HOSTILE, external_id=HOSTILE)
    decided(brand)
    spend(campaign, 1)

    pages = [
        LIST,
        change(campaign),
        f"{LIST}{campaign.pk}/delete/",
        f"{LIST}{campaign.pk}/history/",
        f"/admin/budgets/brand/{brand.pk}/change/",
        "/admin/budgets/brand/",
        f"/admin/budgets/brand/{brand.pk}/delete/",
        "/admin/budgets/spend/",
        "/admin/budgets/statuschange/",
        f"{LIST}?brand__id__exact={brand.pk}",
        f"/admin/budgets/spend/add/?campaign={campaign.pk}",
    ]
    for path in pages:
        page = html(ana.get(path))
        assert "<script>alert" not in page, path
        assert "<img src=x" not in page, path
    switched = ana.post(LIST, {"action": "pause", "_selected_action": [campaign.pk]}, follow=True)
    assert "<script>alert" not in html(switched)


def signed_in(client: Client, *permissions: str, role: str = "") -> None:
    user = User.objects.create_user("bo", is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)


def test_an_operator_pauses_and_resumes_and_edits_nothing(client: Client) -> None:
    campaign = decided(make_campaign(name="Search"))
    signed_in(client, role="Operator")

    assert told(switch(client, "pause", campaign)) == ["1 campaign paused."]
    assert (log(campaign)[-1].actor, state(campaign)) == ("bo", "operator")
    assert 'name="daily_budget"' not in html(client.get(change(campaign)))
    assert client.post(change(campaign), {**FORM, "daily_budget": "5"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    switch(client, "resume", campaign)
    assert state(campaign) == ""
    assert Campaign.objects.get().daily_budget is None


def test_a_manager_edits_budgets_hours_flights_and_the_switch(client: Client) -> None:
    campaign = decided(make_campaign(name="Search"))
    signed_in(client, role="Manager")

    fields = {"daily_budget": "5", "allowed_end_hour": "20", "ends_on": "2026-12-31"}
    client.post(change(campaign), {**FORM, **fields, "is_enabled": ""})

    assert state(campaign) == "operator"
    assert (campaign.daily_budget, campaign.allowed_end_hour) == (Decimal(5), 20)
    assert str(campaign.ends_on) == "2026-12-31"


def test_the_switch_is_for_those_who_may_pause(client: Client) -> None:
    campaign = decided(make_campaign(name="Search"))
    signed_in(client, "view_campaign", "change_campaign")

    assert 'name="is_enabled"' not in html(client.get(change(campaign)))
    client.post(change(campaign), {**FORM, "daily_budget": "5", "is_enabled": ""})
    switch(client, "pause", campaign)

    assert state(campaign) == ""
    assert campaign.daily_budget == 5


def test_who_may_only_look_pauses_nothing(client: Client) -> None:
    campaign = decided(make_campaign(name="Search"))
    signed_in(client, "view_campaign")

    switch(client, "pause", campaign)

    assert state(campaign) == ""
    assert 'value="pause"' not in html(client.get(LIST))


def test_an_action_on_all_pages_leaves_what_is_not_seen(client: Client) -> None:
    own, foreign = decided(make_campaign()), decided(make_campaign())
    signed_in(client, role="Operator")
    access.restrict(User.objects.get(), [own.brand])

    fields = {"select_across": "1", "_selected_action": [foreign.pk]}
    response = client.post(LIST, {"action": "pause", **fields})

    assert told(response) == ["1 campaign paused."]
    assert (state(own), state(foreign)) == ("operator", "")


def test_many_names_of_others_crowd_out_no_own_campaign(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_admin, "BRANDS_SEARCHED", 2)
    for _ in range(3):
        make_campaign(name="Search")
    own = make_campaign(name="Search", brand=make_brand(name="Brand of ours"))
    signed_in(client, role="Operator")
    access.restrict(User.objects.get(), [own.brand])

    assert "Brand of ours" in html(client.get(f"{LIST}?q=brand"))
