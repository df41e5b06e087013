"""A platform's report is recognised, shown by a dry run, and refused whole with line and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine
from django.core.management import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets.models import Brand, Spend
from budgets.services import passes
from budgets.tests.agency import Agency, make_agency
from budgets.tests.builders import NOW, TODAY, make_brand, make_campaign
from budgets.tests.exports import (
    SERVICE_HEADER,
    google,
    google_excel,
    meta,
    microsoft,
    table,
)
from budgets.tests.importing import run

pytestmark = pytest.mark.django_db

NAMES = ("Account", "Campaign", "Campaign ID", "Day", "Cost (USD)", "Device")
DAY = "2026-11-23"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def agency() -> Agency:
    return make_agency()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report.csv"


def preview(path: Path, content: str | bytes, *options: str) -> list[str]:
    """Return what a dry run would record."""
    said = run(path, content, "--dry-run", *options).splitlines()
    assert not Spend.objects.exists()
    return [line.strip() for line in said[1:]]


REMEDY = "  --skip-unknown leaves out unknown campaigns, and says what that is in sum"


def refusal(path: Path, content: str | bytes, *options: str) -> list[str]:
    """Return the complaints about `content`, and prove that nothing was written.

    The last words are how to leave out unknown campaigns, if that is what could be done.
    """
    with pytest.raises(CommandError) as error:
        run(path, content, *options)
    assert not Spend.objects.exists()
    first, *complaints = str(error.value).splitlines()
    assert first == f"{path} was refused and nothing was recorded:"
    return [words for words in complaints if words != REMEDY]


def report(*rows: tuple[str, str, str, str]) -> str:
    """Return a report of accounts, campaigns, their ids and amounts, all on one day."""
    lines = [(account, name, key, DAY, amount, "") for account, name, key, amount in rows]
    return google(*lines, header=NAMES)


# --- Recognised ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(google((DAY, "Search", "111", "USD", "7", "12.50", "9")), id="Google Ads"),
        pytest.param(
            google_excel((DAY, "Search", "111", "USD", "7", "12.50", "9")), id="Google Ads, UTF-16"
        ),
        pytest.param(meta((DAY, DAY, "Search", "111", "12.50", "9")), id="Meta Ads"),
        pytest.param(
            microsoft((DAY, "Acme", "Search", "111", "USD", "12.50"), header=SERVICE_HEADER),
            id="Microsoft Advertising",
        ),
        pytest.param(microsoft(("11/23/2026", "Acme", "Search", "12.50", "7")), id="by account"),
        pytest.param(
            table([("Day", "Campaign", "Campaign ID", "Cost")], ";")
            + f"{DAY};Search;111;12,50\r\n",
            id="semicolons",
        ),
    ],
)
def test_says_what_a_report_would_record(agency: Agency, path: Path, content: str | bytes) -> None:
    assert preview(path, content) == ["Acme, Search, 2026-11-23: 12.50 USD"]


def test_rows_of_a_campaign_and_day_are_summed(agency: Agency, path: Path) -> None:
    content = report(
        ("Acme", "Search", "111", "1,000.10"),
        ("Acme", "Shopping, winter", "", "5.00"),
        ("Acme", "Search", "111", "0.20"),
        ("Acme", "Search", "", "-0.30"),
    )

    head, *said = run(path, content, "--dry-run").splitlines()

    assert head == (
        "A report of Google Ads: 4 rows say what 2 campaigns spent on 1 day, 1,005.00 USD. "
        "2 totals left out. Nothing was written."
    )
    assert said == [
        "  Acme, Search, 2026-11-23: 1,000.00 USD, of 3 rows",
        "  Acme, Shopping, winter, 2026-11-23: 5.00 USD",
    ]


def test_a_dry_run_shows_twenty_sums_and_counts_the_others(agency: Agency, path: Path) -> None:
    days = [str(TODAY - timedelta(days=n)) for n in range(23)]
    content = google(*((day, "Search", "111", "USD", "", "1.00", "") for day in days))

    shown = preview(path, content)

    assert (len(shown), shown[-1]) == (21, "… and 3 more")
    assert shown[0] == f"Acme, Search, {days[-1]}: 1.00 USD"


def test_a_name_cannot_forge_a_line_of_a_dry_run(agency: Agency, path: Path) -> None:
    make_campaign(agency.acme, name="x\n\x1b[2J")

    (line,) = preview(path, report(("Acme", "x\n\x1b[2J", "", "1.00")))

    assert line.isprintable()


def test_our_own_format_stays_what_it_is(agency: Agency, path: Path) -> None:
    make_campaign(make_brand(name="Cost"), name="Campaign")
    passes.check_and_pause(NOW)
    content = f"brand,campaign,date,amount\nCost,Campaign,{DAY},5.00\n"

    assert run(path, content) == "1 row: 1 recorded."
    assert Spend.objects.get().source == "import"


@pytest.mark.parametrize(
    ("option", "value"),
    [("--brand", "Acme"), ("--decimal-mark", "comma"), ("--day-order", "day-first")],
)
def test_our_own_format_has_no_need_of_options_of_reports(
    agency: Agency, path: Path, option: str, value: str
) -> None:
    with pytest.raises(CommandError, match=f"{option} goes with a report of Google Ads"):
        run(path, f"brand,campaign,date,amount\nAcme,Search,{DAY},5.00\n", option, value)


# --- Whom a row means ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "name", "key", "options", "brand"),
    [
        pytest.param("", "renamed there", "222", [], "Bolt", id="by the id alone"),
        pytest.param("", "Shopping, winter", "", [], "Acme", id="by the only name"),
        pytest.param(
            "", "Shopping, winter", "999", [], "Acme", id="by the name, it has no id here"
        ),
        pytest.param("Bolt", "Search", "", [], "Bolt", id="by the account"),
        pytest.param("Bolt", "Search", "999", [], "Bolt", id="by the account, its id unknown"),
        pytest.param("Elsewhere", "renamed", "222", [], "Bolt", id="an account that is no brand"),
        pytest.param("", "Search", "", ["--brand", "Bolt"], "Bolt", id="by --brand"),
        pytest.param("Elsewhere", "Search", "", ["--brand", "Bolt"], "Bolt", id="--brand says it"),
    ],
)
def test_finds_a_campaign(
    agency: Agency, path: Path, account: str, name: str, key: str, options: list[str], brand: str
) -> None:
    (line,) = preview(path, report((account, name, key, "1.00")), *options)

    assert line.startswith(f"{brand}, ")


def test_the_id_goes_before_the_name(agency: Agency, path: Path) -> None:
    make_campaign(agency.acme, name="Brand", external_id="333")

    (line,) = preview(path, report(("Acme", "Search", "333", "1.00")))

    assert line.startswith("Acme, Brand, ")


@pytest.mark.parametrize(
    ("account", "name", "key", "options", "complaint"),
    [
        (
            "",
            "Search",
            "",
            [],
            "campaign: 'Search' is a campaign of several brands ('Acme', 'Bolt'); say --brand, or",
        ),
        (
            "",
            "Search",
            "999",
            [],
            "campaign: no brand has a campaign 'Search' with the id '999'; that of 'Acme' has the id",
        ),
        ("", "Serch", "", [], "campaign: no brand has a campaign 'Serch'; did you mean 'Search'?"),
        ("", "", "112", [], "campaign: no brand has a campaign '112' with the id '112'; did you"),
        ("", "Zzzzzz", "", [], "campaign: no brand has a campaign 'Zzzzzz'; create it first"),
        ("Bolt", "Shopping, winter", "", [], "campaign: 'Bolt' has no campaign 'Shopping, winter'"),
        ("Bolt", "x", "111", [], "campaign: 'Bolt' has no campaign 'x'; create it first"),
        (
            "",
            "Shopping",
            "",
            ["--brand", "Acme"],
            "campaign: 'Acme' has no campaign 'Shopping'; did",
        ),
        ("Bolt", "Search", "", ["--brand", "Acme"], "account: 'Bolt' is another brand than 'Acme'"),
    ],
)
def test_refuses_a_campaign_that_it_cannot_find(
    agency: Agency,
    path: Path,
    account: str,
    name: str,
    key: str,
    options: list[str],
    complaint: str,
) -> None:
    (found,) = refusal(path, report((account, name, key, "1.00")), *options)

    assert found.startswith(f"  line 4: {complaint}")


def test_a_brand_that_is_none_is_said_once(agency: Agency, path: Path) -> None:
    content = report(*[("", "Search", "", "1.00")] * 5)

    assert refusal(path, content, "--brand", "Acne") == [
        "  --brand: there is no brand 'Acne'; did you mean 'Acme'?"
    ]


@pytest.mark.parametrize("brand", ["", " Acme", "a\0b", "\udcff"])
def test_refuses_a_brand_that_is_no_name(agency: Agency, path: Path, brand: str) -> None:
    with pytest.raises(CommandError, match=r"--brand (is empty|has)"):
        run(path, report(("", "Search", "", "1.00")), "--brand", brand)


def test_a_brand_with_a_corrupt_zone_is_named(agency: Agency, path: Path) -> None:
    Brand.objects.filter(name="Acme").write(zone_in_force="Mars/Olympus")

    (complaint,) = refusal(path, report(("Acme", "Search", "", "1.00")))

    assert complaint.startswith("  line 4: brand: ")
    assert "'Mars/Olympus'" in complaint


# --- Skipped on demand ---------------------------------------------------------------------------


STOVES = [("Acme", "Stoves", "777", "5.25"), ("Acme", "Stoves", "777", "6"), ("", "?\n", "", "1")]


def test_what_is_unknown_is_skipped_on_demand_and_printed_with_its_sum(
    agency: Agency, path: Path
) -> None:
    content = report(("Acme", "Search", "111", "10"), *STOVES)
    skipped = [
        "Skipped, not recorded: 2 unknown campaigns, 3 rows, 12.25 USD.",
        "  Acme, Stoves, 777: 11.25 USD, 2 rows from line 5",
        "  ?: 1 USD, 1 row from line 7",
    ]
    assert len(refusal(path, content)) == 3

    dry = run(path, content, "--skip-unknown", "--dry-run").splitlines()
    assert not Spend.objects.exists()
    assert dry[-3:] == skipped

    said = run(path, content, "--skip-unknown").splitlines()
    assert said[:3] == skipped
    assert said[3].startswith("1 row: 1 recorded.")
    recorded = Spend.objects.get()
    assert (recorded.campaign, recorded.amount) == (agency.search, Decimal(10))


def test_a_refusal_says_how_to_skip_where_that_would_help(agency: Agency, path: Path) -> None:
    for rows, is_said in ((STOVES, True), ([("", "Search", "", "1")], False)):
        with pytest.raises(CommandError) as error:
            run(path, report(*rows))
        assert str(error.value).endswith(REMEDY) == is_said


def test_nothing_else_is_skipped(agency: Agency, path: Path) -> None:
    content = report(
        ("Bolt", "Stoves", "777", "5"), ("", "Search", "", "1"), ("Acme", "Search", "", "0.1234567")
    )

    found = refusal(path, content, "--skip-unknown")

    assert [words.split(":")[0].strip() for words in found] == ["line 5", "line 6"]
    assert "of several brands" in found[0]


def test_our_own_format_skips_nothing(agency: Agency, path: Path) -> None:
    with pytest.raises(CommandError, match="--skip-unknown goes with a report of Google Ads"):
        run(path, "brand,campaign,date,amount\nAcme,Stoves,2026-11-23,5\n", "--skip-unknown")


# --- Refused whole ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ((DAY, "Search", "111", "EUR", "", "1.00", ""), "currency: 'EUR' is not the brand's"),
        ((DAY, "Search", "111", "USD", "", "0.1234567", ""), "amount: 0.1234567 has more than 6"),
        ((DAY, "Search", "111", "USD", "", "1" * 13, ""), "amount: 1.111e+12 has more than 12"),
        (("2026-11-25", "Search", "111", "USD", "", "1", ""), "date: 2026-11-25 is in the future"),
        (("2025-01-01", "Search", "111", "USD", "", "1", ""), "date: 2025-01-01 is too long ago"),
        ((DAY, "Search", "111", "USD", "", "1,2345.0", ""), "amount: '1,2345.0' is not an amount"),
    ],
)
def test_refuses_a_value(agency: Agency, path: Path, row: tuple[str, ...], complaint: str) -> None:
    good = (DAY, "Search", "111", "USD", "", "0.50", "")

    (found,) = refusal(path, google(good, row, good))

    assert found.startswith(f"  line 5: {complaint}")


def test_refuses_a_sum_that_cannot_be_meant(agency: Agency, path: Path) -> None:
    rows = [("Acme", "Search", "", "999999999999.50")] * 2

    (found,) = refusal(path, report(*rows))

    assert found.startswith("  line 4: amount: the rows of 'Search' on 2026-11-23 add up to 1999")


def test_refuses_amounts_that_no_total_could_hold(agency: Agency, path: Path) -> None:
    days = [str(TODAY - timedelta(days=n)) for n in range(12)]
    rows = [(day, "Search", "111", "USD", "", "999999999999.50", "") for day in days]

    (found,) = refusal(path, google(*rows))

    assert "and no total holds more" in found


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"PK\x03\x04rest", "is a workbook or an archive; save the sheet as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0rest", "is a workbook; save the sheet as CSV UTF-8"),
        (b"%PDF-1.7", "is a PDF; download it as CSV"),
        (b"\r\n<!DOCTYPE html><html>", "is a web page, such as that of a failed download"),
        (b"\xef\xbb\xbf<HTML lang=en>", "is a web page, such as that of a failed download"),
        ("Giorno\tCampagna\tCosto\n".encode("utf-16"), "is UTF-16; save it as CSV UTF-8"),
        (google(totals=False), "has no rows below the header; say --rows 0 if that is right"),
        (
            google((DAY, "Search", "111", "USD", "", "1.00", "")) * 2,
            "line 7: has 1 fields, the header",
        ),
    ],
)
def test_refuses_a_file(agency: Agency, path: Path, content: bytes | str, complaint: str) -> None:
    found = refusal(path, content)

    assert found[0].startswith(f"  {complaint}")


def test_a_report_in_another_language_is_told_what_is_known(agency: Agency, path: Path) -> None:
    (complaint,) = refusal(path, "Giorno,Campagna,Costo\n2026-11-23,Search,1\n")

    assert "is known by its column names in English" in complaint


def test_a_report_that_may_be_cut_is_refused_or_confirmed(agency: Agency, path: Path) -> None:
    cut = f"Day,Campaign,Campaign ID,Cost\n{DAY},Search,111,99.9"

    (complaint,) = refusal(path, cut)

    assert complaint.startswith("  line 2: has no line break at its end")
    assert preview(path, cut, "--rows", "1") == ["Acme, Search, 2026-11-23: 99.90 USD"]


def test_writes_out_twenty_complaints_and_asks_nothing_for_the_others(
    agency: Agency, path: Path
) -> None:
    def asked(count: int) -> int:
        content = report(*[("", f"nobody {n}", "", "1.00") for n in range(count)])
        with CaptureQueriesContext(connection) as statements:
            complaints = refusal(path, content)
        assert complaints[-1] == f"  … and {count - 20:,} more"
        return len(statements)

    assert asked(900) == asked(30)


def test_asks_the_database_by_chunks_not_by_rows(agency: Agency, path: Path) -> None:
    for n in range(300):
        make_campaign(agency.acme, name=f"C{n}")

    def asked(count: int) -> int:
        content = report(*[("Acme", f"C{n}", "", "1.00") for n in range(count)])
        with CaptureQueriesContext(connection) as statements:
            run(path, content, "--dry-run")
        return len(statements)

    assert asked(300) == asked(2)
