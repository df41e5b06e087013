"""The page of alerts: what was raised, what was sent to whom, and for whose eyes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from budgets.dashboard.pages import alerts
from budgets.dashboard.pages.alerts import SHOWN, Line
from budgets.dashboard.reader import Reader, locale_of
from budgets.models import Alert, AlertKind, AlertMessage, Brand
from budgets.queries.alerts import Asked
from budgets.services.access import Person
from budgets.services.alerts import raising
from budgets.services.alerts.raising import News
from budgets.tests.builders import (
    NOW,
    alerted,
    decided,
    make_brand,
    make_campaign,
    make_recipient,
    make_webhook,
    spend,
)
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7*7 }}'


def page(client: Client, query: str = "", status: int = 200) -> str:
    with time_machine.travel(NOW, tick=False):
        response = client.get(f"/alerts/{query}")
    assert response.status_code == status
    return response.text


def crossed(name: str = "Acme", amount: int = 85, **fields: Any) -> Brand:
    brand = make_brand(name=name, daily_budget=100, **fields)
    spend(decided(make_campaign(brand)), amount)
    alerted()
    return brand


def reader(*brands: Brand) -> Reader:
    """Return who sees these brands; all when none is named."""
    ids = frozenset(brand.pk for brand in brands) if brands else None
    person = Person(
        brand_ids=ids, name="ana", may_pause=False, may_edit=False, is_restricted=ids is not None
    )
    return Reader(now=NOW, person=person, locale=locale_of("de"))


def lines(*brands: Brand, **asked: Any) -> list[Line]:
    return alerts.build(reader(*brands), Asked(**asked)).lines


def news(kind: AlertKind, brand: Brand | None = None, **figures: object) -> News:
    return News(kind=kind, brand=brand, period="1", topic=(kind,), figures=figures)


STALE = News(
    kind=AlertKind.PASSES_STALE,
    period="1",
    topic=("passes",),
    figures={"pass": "reset", "last_completed_at": NOW.isoformat()},
)


def test_one_asks_who_signed_in(client: Client) -> None:
    response = client.get("/alerts/")

    assert (response.status_code, response["Location"]) == (302, "/admin/login/?next=/alerts/")


def test_it_says_what_was_raised_and_what_was_sent_to_whom(ana: Client) -> None:
    make_recipient("bo@example.com")
    make_webhook(
        "https://hooks.example.com/x", events=["budget.threshold_reached"], resolve=_public
    )
    brand = crossed(timezone="Europe/Berlin")
    AlertMessage.objects.update(state="sent", sent_at=NOW)

    html = page(ana)

    assert "80% of the daily budget reached" in html
    assert "$85.00 of $100.00, 2026-11-24" in html
    assert f'href="/brands/{brand.pk}/">Acme</a>' in html
    assert "bo@example.com</span>" in html
    assert "webhook hooks.example.com</span>" in html
    assert 'title="2026-11-24 15:00:00 UTC">16:00</time>' in html
    assert 'aria-current="page">Alerts</a>' in html


def _public(host: str, port: int) -> list[str]:
    return ["93.184.215.14"]


def test_what_failed_and_why_and_when_it_is_tried_again() -> None:
    make_recipient("bo@example.com")
    crossed()
    AlertMessage.objects.update(attempts=2, error="The mail server answers 451 later")
    (line,) = lines()
    assert [(it.state, it.words, it.why) for it in line.told] == [
        ("pending", "attempt 2 failed, next 15:00", "The mail server answers 451 later")
    ]

    AlertMessage.objects.update(state="failed")

    (line,) = lines()
    assert [(it.state, it.words) for it in line.told] == [("failed", "not sent")]


def test_every_kind_has_its_words_and_its_look() -> None:
    brand = crossed(amount=100)
    raising.write(
        [
            news(AlertKind.SILENT, brand, hours=24, last_spend_at=None),
            news(AlertKind.REPORTS_STALE, brand, hours=24, campaigns=1200),
            STALE,
        ],
        NOW,
    )

    found = {(it.look, it.what, it.figures, it.brand) for it in lines()}

    assert found == {
        (
            "budget",
            "100\u00a0% of the daily budget reached",
            "100,00\u00a0$ of 100,00\u00a0$, 2026-11-24",
            "Acme",
        ),
        ("time", "No spend in 24 hours of running", "It has never spent anything", "Acme"),
        ("unknown", "No campaign has reported spend for 24 hours", "1.200 campaigns run", "Acme"),
        ("unknown", "The pass reset stays away", "last completed 15:00", ""),
    }


def test_others_brands_do_not_exist() -> None:
    acme, bolt = crossed("Acme"), crossed("Bolt")
    raising.write([STALE], NOW)

    assert [it.brand for it in lines()] == ["", "Bolt", "Acme"]
    assert [it.brand for it in lines(acme)] == ["Acme"]
    assert lines(acme, brand_id=bolt.pk) == []
    assert lines(acme, name="Bolt") == []
    assert alerts.build(reader(acme), Asked(brand_id=bolt.pk)).only_brand == "an unknown brand"


def test_it_narrows_to_a_kind_a_brand_and_part_of_a_name() -> None:
    acme = crossed("Acme Outdoor")
    crossed("Bolt")
    raising.write([news(AlertKind.SILENT, acme, hours=4, last_spend_at=None)], NOW)

    assert len(lines(kind=AlertKind.THRESHOLD)) == 2
    assert [it.brand for it in lines(brand_id=acme.pk)] == ["Acme Outdoor"] * 2
    assert [it.brand for it in lines(name="outdoor")] == ["Acme Outdoor"] * 2
    assert [it.brand for it in lines(name="bolt", kind=AlertKind.THRESHOLD)] == ["Bolt"]


def test_pages_follow_each_other_without_gap_or_repetition(ana: Client) -> None:
    brand = make_brand()
    news_of = [
        News(kind=AlertKind.SILENT, brand=brand, period=str(at), topic=(at,), figures={"hours": 1})
        for at in range(2 * SHOWN + 1)
    ]
    raising.write(news_of, NOW)

    seen: list[int] = []
    query = "?kind=campaign_silent"
    while query:
        html = page(ana, query)
        seen += map(int, re.findall(r'id="alert-(\d+)-brand"', html))
        older = re.search(r'id="older" href="([^"]+)"', html)
        query = older[1].replace("&amp;", "&") if older else ""

    assert seen == list(Alert.objects.order_by("-pk").values_list("pk", flat=True))
    assert len(seen) == 2 * SHOWN + 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?kind=none", "kind: &#x27;none&#x27; is none"),
        ("?brand=x", "brand: &#x27;x&#x27; is no number"),
        ("?brand=99999999999999999999", "brand: "),
        ("?before=-1", "before: "),
        ("?before=%D9%A5", "before: "),
        ("?name=%00", "name: write part"),
        ("?name=" + "x" * 201, "name: write part"),
        ("?kind=&kind=", "kind stands there twice"),
        ("?page=2", "&#x27;page&#x27; is no filter"),
    ],
)
def test_what_cannot_be_meant_is_said_and_all_is_shown(ana: Client, query: str, words: str) -> None:
    crossed()

    html = page(ana, query, status=400)

    assert words in html
    assert "Acme" in html


def test_hostile_names_are_text(ana: Client) -> None:
    crossed(HOSTILE)

    html = page(ana, "?name=%3Cscript%3E")

    assert "<script>alert(1)" not in html
    assert "<img src=x" not in html
    assert "{{ 7*7 }}" in html
    assert 'value="&lt;script&gt;"' in html


def test_it_says_when_nobody_can_be_told(ana: Client, settings: Any) -> None:
    assert "there is no recipient yet" in page(ana)

    make_recipient()
    assert "no mail server is named" in page(ana)

    settings.MAIL_IS_CONFIGURED = True
    assert "Nobody is told" not in page(ana)


def test_only_who_may_see_recipients_is_shown_the_way_to_them(client: Client) -> None:
    client.force_login(User.objects.create_user("bo"))

    assert "/admin/budgets/alertrecipient/" not in page(client)


def test_a_page_is_a_fixed_number_of_statements() -> None:
    make_recipient()
    make_webhook(events=["budget.threshold_reached"])
    crossed("Brand")
    few = statements(lines)

    for at in range(30):
        make_recipient() if at < 9 else None
        crossed(f"Brand {at}")

    assert len(statements(lines)) == len(few)
    assert len(lines()) == 31


def test_an_address_says_what_is_asked() -> None:
    assert alerts.asked(QueryDict("")) == Asked()
    assert alerts.asked(QueryDict("kind=campaign_silent&brand=7&name=+x+&before=9")) == Asked(
        kind=AlertKind.SILENT, brand_id=7, name="x", before=9
    )
