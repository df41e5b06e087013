"""The report of overspend on its page, and as a file that a spreadsheet opens without harm."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from budgets.dashboard import sheet
from budgets.models import Campaign
from budgets.queries import overspend
from budgets.services import access, ingestion, passes
from budgets.tests.builders import NOW, event, make_brand, make_campaign, spend
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

PAGE, SHEET = "/overspend/", "/overspend/overspend.csv"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def stopped(name: str = "Acme", spent: str = "105", **fields: object) -> Campaign:
    """Return a campaign of a brand that spent more than the 100 it may."""
    campaign = make_campaign(make_brand(**{"name": name, "daily_budget": 100, **fields}))
    passes.check_and_pause(NOW)
    ingestion.record([event(campaign, spent, occurred_at=NOW)], source="ads", now=NOW)
    return campaign


def words(response: Any) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", response.text).split()))


def table(response: Any) -> list[dict[str, str]]:
    """Return the rows of a download."""
    text = b"".join(response.streaming_content).decode()
    assert text.startswith("\ufeffbrand,day,")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


def test_it_says_what_was_beyond_by_brand_and_day(ana: Client) -> None:
    spend(stopped(currency="EUR"), "7")

    page = words(ana.get(PAGE))

    assert "€12.00 1 stop: €5.00 in the crossing batch, €7.00 reported after the pause" in page
    assert "Acme 2026-11-24 €12.00 12% €5.00 €7.00 €112.00 €100.00 a day 15:00 0 s / 0 s" in page


def test_nothing_is_said_in_words(ana: Client) -> None:
    assert "Nothing was spent beyond a brand's budget in this period." in words(ana.get(PAGE))


def test_it_is_of_the_brands_that_who_asks_sees(client: Client) -> None:
    mine = stopped("Mine")
    stopped("Hidden")
    ben = User.objects.create_user("ben")
    ben.user_permissions.add(Permission.objects.get(codename="view_campaign"))
    access.restrict(ben, [mine.brand])
    client.force_login(ben)

    assert "Mine 2026-11-24" in words(client.get(PAGE))
    assert "Hidden" not in words(client.get(PAGE))
    assert [row["brand"] for row in table(client.get(SHEET))] == ["Mine"]
    # Nor can one find out that it exists.
    assert "there is no brand 'Hidden'" in words(client.get(f"{PAGE}?brand=Hidden"))


def test_it_can_be_narrowed_and_says_so_in_the_form(ana: Client) -> None:
    stopped("Acme", currency="EUR")
    stopped("Bolt")

    page = ana.get(f"{PAGE}?brand=Bolt&currency=usd&from=2026-11-24&to=2026-11-24")

    assert "Bolt 2026-11-24" in words(page)
    assert "Acme" not in words(page)
    assert re.search(r'name="brand"[^>]*value="Bolt"', page.text)
    assert re.search(r'name="currency"[^>]*value="USD"', page.text)
    assert "/overspend/overspend.csv?from=2026-11-24&amp;to=2026-11-24&amp;brand=Bolt" in page.text


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("from=x", "from: that is no date; write it as 2026-01-31."),
        ("to=2026-02-30", "to: that is no date"),
        ("to=0001-01-01", "to: choose a day from 2000-01-01 on."),
        ("from=2026-11-25&to=2026-11-24", "from: 2026-11-25 lies behind to: 2026-11-24"),
        ("from=2026-01-01", "from: more than 92 days lie up to"),
        ("currency=EURO", "currency: write its three letters, such as EUR."),
        ("brand=Acne", "brand: there is no brand 'Acne'; did you mean 'Acme'?"),
        ("brand=%00", "brand: there is no brand '\\x00'"),
        ("brand=" + "x" * 3000, "write its whole name"),
        ("before=x", "before: this is no place in the report"),
        ("before=2026-11-24T15:00:00Z~" + "9" * 40, "before: this is no place in the report"),
    ],
)
def test_what_cannot_be_meant_is_told(ana: Client, query: str, told: str) -> None:
    stopped()

    page, file = ana.get(f"{PAGE}?{query}"), ana.get(f"{SHEET}?{query}")

    assert (page.status_code, file.status_code) == (400, 400)
    assert told in words(page)
    assert told in file.text
    assert "Acme 2026-11-24" in words(page) or "to=" in query


def test_pages_follow_each_other(ana: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overspend, "PAGE", 2)
    for name in ("Acme", "Bolt", "Cord"):
        stopped(name)

    first = ana.get(PAGE)
    address = re.search(r'id="older"[^>]*href="([^"]+)"', first.text)
    assert address
    second = ana.get(html.unescape(address[1]))

    assert "2 stops of those shown" in words(first)
    assert "Acme 2026-11-24" in words(second)
    assert 'id="newest"' in second.text
    assert len(table(ana.get(SHEET))) == 3


class TestTheFile:
    def test_has_numbers_that_are_numbers(self, ana: Client) -> None:
        spend(stopped(spent="1105.000001"), "-7.5")

        response = ana.get(SHEET)

        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert (
            response["Content-Disposition"]
            == 'attachment; filename="overspend-2026-11-01-2026-11-25.csv"'
        )
        (row,) = table(response)
        assert row == {
            "brand": "Acme",
            "day": "2026-11-24",
            "budget_of": "day",
            "currency": "USD",
            "budget": "100.00",
            "spent": "1097.500001",
            "beyond_budget": "997.500001",
            "in_crossing_batch": "1005.000001",
            "reported_after_pause": "-7.50",
            "paused_at_utc": "2026-11-24 15:00:00",
            "time_zone": "UTC",
            "reported_p50_seconds": "0.00",
            "reported_p99_seconds": "0.00",
            "stopped_p50_seconds": "0.00",
            "stopped_p99_seconds": "0.00",
        }

    @pytest.mark.parametrize(
        "name",
        [
            '=HYPERLINK("http://x","y")',
            "+1",
            "-1",
            "@SUM(1)",
            " =1+1",
            "\uff1d1",
        ],
    )
    def test_has_texts_that_no_spreadsheet_runs(self, ana: Client, name: str) -> None:
        stopped(name)

        (row,) = table(ana.get(SHEET))

        assert row["brand"] == f"'{name}"

    def test_is_sent_as_it_is_read(self, ana: Client) -> None:
        stopped()

        response: Any = ana.get(SHEET)

        assert response.streaming
        assert len(list(response.streaming_content)) == 2


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_cell_that_begins_like_a_formula_is_text_and_a_number_is_not(start: str) -> None:
    text = "".join(sheet.lines(["a", "b", "c"], [[f"{start}1", Decimal("-1.5"), None]]))

    (row,) = list(csv.reader(io.StringIO(text[1:], newline="")))[1:]
    assert row == [f"'{start}1", "-1.50", ""]


def test_everybody_signs_in_first(client: Client) -> None:
    assert [client.get(address).status_code for address in (PAGE, SHEET)] == [302, 302]


def test_hostile_names_stay_names(ana: Client) -> None:
    name = "<script>alert('x')</script>"
    stopped(name)

    for query in ("", f"?{urlencode({'brand': name})}", f"?{urlencode({'brand': name + 'x'})}"):
        page = ana.get(f"{PAGE}{query}").text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page


def test_the_number_of_statements_does_not_grow(ana: Client) -> None:
    def asked() -> int:
        return len(statements(lambda: ana.get(PAGE)))

    stopped()
    ana.get(PAGE)
    one = asked()
    for number in range(20):
        stopped(f"Brand {number}")

    assert asked() == one <= 12
