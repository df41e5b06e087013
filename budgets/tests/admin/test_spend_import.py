"""A platform's report in the admin: shown first, then recorded once, exactly as it was shown."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from budgets.admin import spend_import
from budgets.models import Brand, Spend, WaitingReport
from budgets.services import access
from budgets.tests.admin.conftest import HOSTILE, html, told
from budgets.tests.agency import Agency, make_agency
from budgets.tests.builders import (
    NOW,
    decided,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
)
from budgets.tests.exports import google, google_excel, meta, microsoft

pytestmark = pytest.mark.django_db

PAGE = "/admin/budgets/spend/import/"
DAY = "2026-11-24"


@pytest.fixture
def agency() -> Agency:
    return make_agency()


def row(amount: str, name: str = "Search", key: str = "111", day: str = DAY) -> tuple[str, ...]:
    return (day, name, key, "USD", "7", amount, "900")


def hand_in(client: Client, content: str | bytes, name: str = "report.csv", **fields: str) -> Any:
    data = content if isinstance(content, bytes) else content.encode()
    return client.post(PAGE, {"file": SimpleUploadedFile(name, data), **fields})


def waits(client: Client, content: str | bytes, **fields: str) -> str:
    """Hand a report in with which nothing is wrong; return the address of its preview."""
    response = hand_in(client, content, **fields)
    assert response.status_code == 302, problems(response)
    return str(response["Location"])


def problems(response: Any) -> list[str]:
    """Return what a page says is wrong."""
    alert = re.search(
        r'role="alert" aria-labelledby="problems-title">(.*?)</section>',
        response.text,
        re.DOTALL,
    )
    return re.findall(r"<li>(.*?)</li>", alert[1], re.DOTALL) if alert else []


def table(page: str) -> list[list[str]]:
    """Return the cells of the preview's rows."""
    body = re.findall(r'<tr class="sum-.*?</tr>', page, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", line, re.DOTALL) for line in body]
    return [[re.sub(r"\s*<span.*?</span>", "", cell) for cell in line] for line in cells]


def everything() -> dict[str, list[Any]]:
    """Return all rows of all tables but those of sessions and of what waits."""
    stored = {}
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            if name not in ("django_session", "budgets_waitingreport", "auth_user"):
                cursor.execute(f"SELECT * FROM {name}")  # noqa: S608  # names of ours
                stored[name] = sorted(map(repr, cursor.fetchall()))
    return stored


def test_what_was_previewed_is_recorded_and_decided(ana: Client, agency: Agency) -> None:
    spend(agency.search, "10", source="google_ads")
    before = everything()

    address = waits(ana, google(row("100.5"), row("3", "Shopping, winter", "")))
    page = html(ana.get(address))

    assert everything() == before
    assert "Google Ads: report.csv" in page
    assert "103.50 USD" in page
    assert table(page) == [
        ["Search", "24 Nov 2026", "10.00", "100.50 USD", "+90.50"],
        ["Shopping, winter", "24 Nov 2026", "0.00", "3.00 USD", "+3.00"],
    ]
    assert "2 campaigns paused" in page

    result = html(ana.post(address, follow=True))

    assert totals(agency.acme) == (Decimal("103.5"), Decimal("103.5"))
    assert [state(agency.search), state(agency.shopping)] == ["brand_daily_budget"] * 2
    assert result.count("was paused: brand&#x27;s daily budget reached") == 2
    entry = LogEntry.objects.get()
    assert entry.object_repr.startswith("Google Ads, report.csv: 2 rows: 2 recorded.")
    assert ana.get("/admin/").status_code == 200


def test_what_differs_is_marked_and_comes_first(ana: Client, agency: Agency) -> None:
    spend(agency.search, "10", source="google_ads")
    spend(agency.shopping, "5", source="google_ads")
    spend(agency.shopping, "7", source="another")

    page = html(ana.get(waits(ana, google(row("10"), row("4", "Shopping, winter", "")))))

    assert "1 of 2 differ" in page
    assert [line[-1] for line in table(page)] == ["-1.00", "no change"]
    assert re.findall(r'<tr class="(sum-\w+)"', page) == ["sum-differs", "sum-same"]


@pytest.mark.parametrize(
    ("content", "platform", "source"),
    [
        (google(row("12.50")), "Google Ads", "google_ads"),
        (google_excel(row("12.50")), "Google Ads", "google_ads"),
        (meta((DAY, DAY, "Search", "111", "12.50", "900")), "Meta Ads", "meta_ads"),
        (
            microsoft(("11/24/2026", "Acme", "Search", "12.50", "7")),
            "Microsoft Advertising",
            "microsoft_ads",
        ),
    ],
    ids=["google", "google excel", "meta", "microsoft"],
)
def test_the_report_of_each_platform(
    ana: Client, agency: Agency, content: str | bytes, platform: str, source: str
) -> None:
    address = waits(ana, content)

    assert f"{platform}: report.csv" in html(ana.get(address))
    ana.post(address)

    recorded = Spend.objects.get()
    assert (recorded.campaign, recorded.amount, recorded.source) == (
        agency.search,
        Decimal("12.5"),
        source,
    )


def test_confirmed_twice_it_is_recorded_once_and_told(ana: Client, agency: Agency) -> None:
    address = waits(ana, google(row("10")))
    ana.post(address)
    before = everything()

    again = ana.post(address)

    assert told(again)[-1] == "Already recorded."
    assert everything() == before
    assert "<dt>Recorded</dt><dd>1</dd>" in html(ana.get(address))
    assert everything() == before


def test_what_the_ledger_gained_in_between_is_no_part_of_the_difference(
    ana: Client, agency: Agency
) -> None:
    address = waits(ana, google(row("10")))
    spend(agency.search, "4", source="google_ads")

    page = html(ana.post(address, follow=True))

    assert totals(agency.search)[0] == Decimal(10)
    assert "<dt>Recorded</dt><dd>1</dd>" in page


def test_what_is_no_longer_accepted_is_told(ana: Client, agency: Agency) -> None:
    other = make_campaign(make_brand(name="Crane"), name="Shoes")
    address = waits(ana, google(row("10"), row("3", "Shoes", "")))
    Brand.objects.filter(pk=other.brand_id).write(
        timezone="Mars/Olympus", zone_in_force="Mars/Olympus"
    )

    page = html(ana.post(address, follow=True))

    assert "<dt>Not recorded</dt><dd>1</dd>" in page
    assert "Line 5: campaign: its brand" in page
    assert totals(agency.search)[0] == Decimal(10)


def test_a_confirmation_under_way_is_not_begun_again_but_one_that_died_is(
    ana: Client, agency: Agency
) -> None:
    address = waits(ana, google(row("10")))
    WaitingReport.objects.update(confirmed_at=NOW)

    assert told(ana.post(address))[-1] == "It is being recorded at this moment."
    assert not Spend.objects.exists()
    assert "It is being recorded: look again" in html(ana.get(address))

    with time_machine.travel(NOW + timedelta(minutes=2), tick=False):
        ana.post(address)
    assert Spend.objects.count() == 1


def test_cancelled_it_is_gone(ana: Client, agency: Agency) -> None:
    address = waits(ana, google(row("10")))

    response = ana.post(address, {"cancel": "yes"})

    assert told(response)[-1] == "Cancelled. Nothing was recorded."
    assert not WaitingReport.objects.exists()
    assert ana.post(address).status_code == 404
    assert not Spend.objects.exists()


def test_after_a_day_it_is_gone_and_the_next_upload_sweeps_it(ana: Client, agency: Agency) -> None:
    address = waits(ana, google(row("10")))

    with time_machine.travel(NOW + timedelta(days=1), tick=False):
        ana.force_login(User.objects.get())
        response = ana.post(address)
        assert response.status_code == 404
        assert "Upload the report again" in problems(response)[0]
        waits(ana, google(row("11")))

    assert WaitingReport.objects.count() == 1
    assert not Spend.objects.exists()


def test_it_is_nobody_elses(ana: Client, agency: Agency) -> None:
    address = waits(ana, google(row("10")))
    ana.force_login(User.objects.create_superuser("bo"))

    for answer in (ana.get(address), ana.post(address), ana.post(address, {"cancel": "yes"})):
        assert answer.status_code == 404

    assert WaitingReport.objects.count() == 1
    assert not Spend.objects.exists()


@pytest.mark.parametrize(
    "token", ["f4c2237f-999a-468a-9f86-ad73db140bdb", "x", "0" * 32, "..", "%00", "1"]
)
def test_a_token_that_was_never_given_is_not_found(ana: Client, token: str) -> None:
    assert ana.post(f"{PAGE}{token}/").status_code == 404


def test_only_who_may_add_spend_gets_in(client: Client, agency: Agency) -> None:
    bo = User.objects.create_user("bo", is_staff=True)
    client.force_login(bo)
    assert client.get(PAGE).status_code == 403
    assert hand_in(client, google(row("10"))).status_code == 403
    assert client.get(f"{PAGE}{uuid4()}/").status_code == 403

    bo.user_permissions.add(Permission.objects.get(codename="add_spend"))
    address = waits(client, google(row("10")))
    assert client.post(address).status_code == 302
    assert Spend.objects.count() == 1

    client.logout()
    assert client.get(PAGE).status_code == 302
    assert hand_in(client, google(row("10")))["Location"].startswith("/admin/login/")


def test_the_list_offers_it_to_who_may(client: Client, ana: Client) -> None:
    assert f'href="{PAGE}"' in html(ana.get("/admin/budgets/spend/"))

    bo = User.objects.create_user("bo", is_staff=True)
    bo.user_permissions.add(Permission.objects.get(codename="view_spend"))
    client.force_login(bo)
    assert PAGE not in html(client.get("/admin/budgets/spend/"))


def test_forged_requests_are_refused(agency: Agency) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("ana"))

    assert hand_in(client, google(row("10"))).status_code == 403
    assert not WaitingReport.objects.exists()

    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html(client.get(PAGE)))
    assert token
    address = waits(client, google(row("10")), csrfmiddlewaretoken=token[1])
    assert client.post(address).status_code == 403
    assert not Spend.objects.exists()


def test_unknown_campaigns_are_listed_with_a_link_that_fills_the_form(
    ana: Client, agency: Agency
) -> None:
    before = everything()

    response = hand_in(
        ana,
        google(row("5", "Shop & <b>", "777"), row("6", "Shop & <b>", "777")),
        brand="Acme",
    )

    assert response.status_code == 400
    assert everything() == before
    assert not WaitingReport.objects.exists()
    page = response.text
    links = re.findall(r'href="(/admin/budgets/campaign/add/[^"]+)"', page)
    assert links == [
        f"/admin/budgets/campaign/add/?brand={agency.acme.pk}&amp;name=Shop+%26+%3Cb%3E&amp;external_id=777"
    ]
    assert problems(response)[0].startswith("Line 4: campaign:")
    assert "1 together: <strong>11 USD</strong>. Nothing was recorded" in page

    form = html(ana.get(links[0].replace("&amp;", "&")))
    assert 'value="Shop &amp; &lt;b&gt;"' in form
    assert 'value="777"' in form
    assert re.search(r"<option[^>]*selected[^>]*>\s*Acme", form)


def test_who_sees_what_is_unknown_can_record_the_rest_and_skip_that(
    ana: Client, agency: Agency
) -> None:
    address = waits(
        ana,
        google(
            row("10"), row("5.25", "Stoves", "777"), row("6", "Stoves", "777"), row("1", "?", "")
        ),
    )

    page = html(ana.get(address))
    assert not Spend.objects.exists()
    assert "Record 1 difference, skip 2 unknown campaigns" in page
    assert "11.25 USD" in page
    assert "2 together: <strong>12.25 USD</strong>. It is skipped if you record the others" in page
    assert len(re.findall(r'href="/admin/budgets/campaign/add/[^"]+"', page)) == 2
    assert table(page) == [["Search", "24 Nov 2026", "0.00", "10.00 USD", "+10.00"]]

    done = html(ana.post(address, follow=True))

    assert Spend.objects.get().campaign == agency.search
    assert "2 together: <strong>12.25 USD</strong>. It was skipped." in done
    assert "Stoves" in done
    assert LogEntry.objects.latest("pk").change_message == "Skipped 12.25 USD."


def test_what_is_wrong_besides_is_not_skipped(ana: Client, agency: Agency) -> None:
    make_campaign(make_brand(name="Crane"), name="Shopping, winter")

    response = hand_in(
        ana, google(row("10"), row("5", "Stoves", "777"), row("6", "Shopping, winter", ""))
    )

    assert response.status_code == 400
    assert [words.split(":")[0] for words in problems(response)] == ["Line 5", "Line 6"]
    assert "is a campaign of several brands" in problems(response)[1]
    assert not WaitingReport.objects.exists()


@pytest.mark.parametrize(
    ("content", "field", "choice", "remedy"),
    [
        (google(row("1,234")), "decimal_mark", "comma", "“Decimal mark” point, or comma"),
        (
            microsoft(("11/3/2026", "Acme", "Search", "1.50", "7"), time="11/3/2026,11/3/2026"),
            "day_order",
            "month-first",
            "“Day order” month-first, or day-first",
        ),
    ],
)
def test_what_the_file_leaves_open_is_asked_for_only_then(
    ana: Client, agency: Agency, content: str, field: str, choice: str, remedy: str
) -> None:
    assert f'name="{field}"' not in html(ana.get(PAGE))

    response = hand_in(ana, content)
    assert response.status_code == 400
    assert remedy in problems(response)[0]
    assert f'name="{field}"' in response.text

    assert ana.post(waits(ana, content, **{field: choice})).status_code == 302
    assert Spend.objects.count() == 1


def test_a_file_that_may_be_cut_is_confirmed_by_its_rows(ana: Client, agency: Agency) -> None:
    cut = "Campaign,Day,Cost\nVideo,2026-11-24,99.9"
    make_campaign(agency.acme, name="Video")

    response = hand_in(ana, cut)

    assert "“Rows” 1" in problems(response)[0]
    assert 'name="rows"' in response.text
    waits(ana, cut, rows="1")


def test_errors_are_listed_with_their_lines_the_first_twenty(ana: Client, agency: Agency) -> None:
    response = hand_in(ana, google(*[row(f"x{number}") for number in range(25)]))

    listed = problems(response)
    assert len(listed) == 20
    assert listed[0].startswith("Line 4: amount: &#x27;x0&#x27; is not an amount")
    assert "… and 5 more." in response.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04xx", "is a workbook"),
        (b"%PDF-1.7", "is a PDF"),
        (b"<!doctype html><p>sign in", "is a web page"),
        (b"\x00\x01\x02", "is no report of Google Ads"),
        (b"brand,campaign,date,amount\nAcme,Search,2026-11-24,1\n", "by the command import_spend"),
        (google().encode(), "has no rows below the header"),
    ],
)
def test_what_is_no_report_is_refused_in_words(
    ana: Client, agency: Agency, content: bytes, words: str
) -> None:
    response = hand_in(ana, content)

    assert response.status_code == 400
    assert words in problems(response)[0]
    assert not WaitingReport.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"brand": "x" * 201},
        {"brand": "a\x00b"},
        {"brand": "Nobody"},
        {"decimal_mark": "colon"},
        {"rows": "-1"},
        {"rows": "9" * 30},
        {"day_order": "\x00"},
    ],
)
def test_a_field_that_cannot_be_meant_is_refused(
    ana: Client, agency: Agency, fields: dict[str, str]
) -> None:
    response = hand_in(ana, google(row("10")), **fields)

    assert response.status_code == 400
    assert problems(response)


def test_without_a_file_nothing_happens(ana: Client) -> None:
    response = ana.post(PAGE)

    assert response.status_code == 400
    assert problems(response) == ["Report: This field is required."]


def test_a_file_that_is_too_large_is_refused_in_words(
    ana: Client, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spend_import, "MAX_BYTES", 100_000)

    response = hand_in(ana, b"x" * 100_001)

    assert response.status_code == 413
    assert "larger than" in problems(response)[0]
    assert not WaitingReport.objects.exists()


def test_what_is_refused_only_when_recorded_is_told_before(ana: Client, agency: Agency) -> None:
    for _ in range(2):
        spend(agency.shopping, "-999999999999", date=NOW.date(), source="google_ads")

    response = hand_in(ana, google(row("999999999999", "Shopping, winter", "")))

    assert "difference to" in problems(response)[0]
    assert not WaitingReport.objects.exists()


def test_hostile_names_are_only_text(ana: Client, agency: Agency) -> None:
    make_campaign(agency.acme, name=HOSTILE)
    report = google(row("10", HOSTILE, ""), row("5", HOSTILE + "?", ""))

    refused = hand_in(ana, report, name="<script>alert(1)<script>.csv")
    shown = ana.get(waits(ana, google(row("10", HOSTILE, ""))))
    done = ana.post(shown.request["PATH_INFO"], follow=True)

    for response in (refused, shown, done):
        assert "<script>alert" not in response.text
        assert "<img src=x" not in response.text
    assert HOSTILE.startswith("<script>")
    assert "&lt;script&gt;alert(1)" in shown.text


def test_looking_changes_nothing(ana: Client, agency: Agency) -> None:
    address = waits(ana, google(row("100")))
    before = everything(), list(WaitingReport.objects.values())

    for path in (PAGE, address, f"{address}?cancel=yes"):
        assert ana.get(path).status_code == 200

    assert (everything(), list(WaitingReport.objects.values())) == before


def test_a_large_report_shows_its_first_rows_and_tries_nothing(
    ana: Client, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("budgets.services.reports.waiting.MAX_BATCH", 2)
    monkeypatch.setattr(spend_import, "SHOWN", 2)
    rows = [row(str(day), day=f"2026-11-{day:02}") for day in range(1, 6)]

    page = html(ana.get(waits(ana, google(*rows))))

    assert len(table(page)) == 2
    assert "The first 2 of 5" in page
    assert "was not tried" in page
    assert decided(agency.search).hold == ""


@pytest.fixture
def clerk(client: Client, agency: Agency) -> User:
    """Return who records spend of Acme and sees nothing else."""
    clerk = User.objects.create_user("bo", is_staff=True)
    names = ["add_spend", "view_spend", "view_brand", "add_campaign"]
    clerk.user_permissions.set(Permission.objects.filter(codename__in=names))
    access.restrict(clerk, [agency.acme])
    client.force_login(clerk)
    return clerk


def test_campaigns_of_brands_that_are_not_seen_are_not_known(
    client: Client, agency: Agency, clerk: User
) -> None:
    theirs = make_brand(name="Borealis")
    make_campaign(theirs, name="Searching", external_id="222")
    before = Spend.objects.count()

    assert "Borealis" not in html(client.get(PAGE))
    for content, fields in (
        (google(row("10", "Searching", "222")), {}),
        (google(row("10", "Searching", "")), {}),
        (google(row("10", "Searchin", "")), {}),
        (google(row("10", "Searching", "222")), {"brand": "Borealis"}),
        (google(row("10", "Searching", "222")), {"brand": "Boreali"}),
    ):
        response = hand_in(client, content, **fields)

        assert response.status_code == 400
        said = " ".join(problems(response))
        assert "no brand has a campaign" in said or "there is no brand" in said
        assert "did you mean" not in said.replace("did you mean &#x27;Search&#x27;", "")
        assert "Borealis" not in response.text.replace('value="Borealis"', "").replace(
            "there is no brand &#x27;Borealis&#x27;", ""
        )
    assert Spend.objects.count() == before

    # A campaign that others have too is the one that is seen.
    make_campaign(theirs, name="Video")
    make_campaign(agency.acme, name="Video")
    address = waits(client, google(row("10", "Video", "")))
    assert client.post(address).status_code == 302
    assert Spend.objects.latest("pk").campaign.brand.name == "Acme"


def test_a_preview_is_gone_once_its_campaigns_are_not_seen(
    client: Client, agency: Agency, clerk: User
) -> None:
    address = waits(client, google(row("10"), row("3", "Shopping, winter", "")))
    access.restrict(clerk, [make_brand()])

    for answer in (client.get(address), client.post(address)):
        assert answer.status_code == 404
        assert "Search" not in answer.text

    assert not Spend.objects.exists()


def test_what_became_of_a_report_names_no_campaign_that_is_not_seen(
    client: Client, agency: Agency, clerk: User
) -> None:
    address = waits(client, google(row("100.5")))
    client.post(address)
    assert "was paused" in html(client.get(address))

    access.restrict(clerk, [make_brand()])

    page = html(client.get(address))
    assert "was paused" not in page
    assert "Acme" not in page


def test_sums_too_large_tell_nothing_of_what_others_spent(client: Client, clerk: User) -> None:
    rich = make_campaign()
    Brand.objects.filter(pk=rich.brand_id).write(total_daily_spend=Decimal(999999999999))

    many = [row("999999999999", "Search", "111", f"2026-11-{day:02}") for day in range(1, 10)]

    assert hand_in(client, google(*many)).status_code == 302
