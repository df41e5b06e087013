"""A file is accepted whole or refused whole, in words that name the line and the remedy."""

from __future__ import annotations

import codecs
import io
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from budgets.management.commands import import_spend
from budgets.management.spend_file import SpendFile
from budgets.models import Brand, Campaign, Spend, StatusChange
from budgets.services import imports, passes, reconciliation
from budgets.tests.agency import Agency, make_agency
from budgets.tests.builders import NOW, TODAY, make_campaign, state, totals
from budgets.tests.importing import run

pytestmark = pytest.mark.django_db

HEADER = "brand,campaign,date,amount\n"
GOOD = "Acme,Search,2026-11-23,5.00\n"
AGAIN = "run the same command again, and it records what is missing."
WITH_IDS = "brand,campaign,date,amount,external_id\n"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def agency() -> Agency:
    return make_agency(timezone="Asia/Kolkata", currency="EUR")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spend.csv"


def refusal(path: Path, content: str | bytes, *options: str) -> list[str]:
    """Return the complaints about `content`, and prove that nothing was written."""
    before = everything()
    with pytest.raises(CommandError) as error:
        run(path, content, *options)
    assert everything() == before
    first, *complaints = str(error.value).splitlines()
    assert first == f"{path} was refused and nothing was recorded:"
    return complaints


def everything() -> list[object]:
    """Return every row that an import could change."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Spend, Brand, Campaign, StatusChange)
    ]


def ledger() -> list[tuple[int, str, str]]:
    rows = Spend.objects.order_by("campaign_id", "date", "amount", "pk")
    return [
        (pk, str(day), str(amount))
        for pk, day, amount in rows.values_list("campaign_id", "date", "amount")
    ]


# --- What is accepted ---------------------------------------------------------------------------


def test_records_a_file_and_pauses_whom_it_exhausts(agency: Agency, path: Path) -> None:
    content = HEADER + f"Acme,Search,{TODAY},60\n" + f'Acme,"Shopping, winter",{TODAY},40.00\n'

    said = run(path, content)

    assert said == "2 rows: 2 recorded. 2 campaigns paused."
    assert totals(agency.acme) == (Decimal(100), Decimal(100))
    assert state(agency.search) == state(agency.shopping) == "brand_daily_budget"
    assert reconciliation.check() == []


def test_a_campaign_paused_and_resumed_by_one_file_is_neither(
    agency: Agency, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_spend, "BATCH", 1)

    said = run(path, HEADER + f"Acme,Search,{TODAY},100\nAcme,Search,{TODAY},-1\n")

    assert said == "2 rows: 2 recorded."
    assert state(agency.search) == ""


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(codecs.BOM_UTF8 + (HEADER + GOOD).encode(), id="byte order mark"),
        pytest.param((HEADER + GOOD).replace("\n", "\r\n"), id="CRLF"),
        pytest.param("amount,date,campaign,brand\n5.00,2026-11-23,Search,Acme\n", id="any order"),
        pytest.param("Brand, CAMPAIGN ,Date,Amount\n" + GOOD, id="case and spaces of the header"),
        pytest.param('"brand","campaign","date","amount"\n' + GOOD, id="quoted header"),
        pytest.param(HEADER + '"Acme","Search","2026-11-23","5.00"\n', id="quoted"),
        pytest.param(HEADER + "Acme,111,2026-11-23,5\n", id="external id of the campaign"),
        pytest.param(HEADER + GOOD + "\n\r\n\n", id="blank lines at the end"),
        pytest.param(
            "brand,campaign,date,amount,currency\nAcme,Search,2026-11-23,5.00,USD\n", id="currency"
        ),
        pytest.param(
            "brand,campaign,date,amount,occurred_at\nAcme,Search,,5,2026-11-24T05:29:00+05:30\n",
            id="instant instead of a date",
        ),
    ],
)
def test_reads_the_same_row_from(agency: Agency, path: Path, content: str | bytes) -> None:
    assert run(path, content) == "1 row: 1 recorded."
    assert ledger() == [(agency.search.pk, "2026-11-23", "5.00")]


def test_an_instant_falls_on_the_local_day_of_its_brand(agency: Agency, path: Path) -> None:
    run(path, "brand,campaign,date,amount,occurred_at\nBolt,Search,,5,2026-11-23T18:30:00Z\n")

    assert ledger() == [(agency.bolt_search.pk, "2026-11-24", "5.00")]


def test_a_file_without_a_final_line_break_can_be_confirmed(agency: Agency, path: Path) -> None:
    assert run(path, (HEADER + GOOD).rstrip(), "--rows", "1") == "1 row: 1 recorded."


def test_a_header_alone_can_be_confirmed(agency: Agency, path: Path) -> None:
    assert run(path, HEADER, "--rows", "0") == "0 rows: 0 recorded."


# --- Again --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["5.00", "5", "5.000000"])
def test_a_second_import_without_ids_changes_nothing(
    agency: Agency, path: Path, spelling: str
) -> None:
    run(path, HEADER + GOOD)
    before = everything()

    said = run(path, HEADER + GOOD.replace("5.00", spelling).replace("Search", "111"))

    assert said == "1 row: 0 recorded, 1 was recorded before."
    assert everything() == before


def test_a_second_import_with_ids_changes_nothing(agency: Agency, path: Path) -> None:
    content = WITH_IDS + "".join(f"Acme,Search,2026-11-23,{n},id-{n}\n" for n in range(1, 6))
    assert run(path, content) == "5 rows: 5 recorded."
    before = everything()

    assert run(path, content) == "5 rows: 0 recorded, 5 were recorded before."
    assert everything() == before


def test_equal_rows_of_a_file_without_ids_count_each(agency: Agency, path: Path) -> None:
    assert run(path, HEADER + GOOD * 3) == "3 rows: 3 recorded."
    assert run(path, HEADER + GOOD * 3) == "3 rows: 0 recorded, 3 were recorded before."
    assert Spend.objects.count() == 3


def test_equal_rows_of_a_file_with_one_id_count_once(agency: Agency, path: Path) -> None:
    row = "Acme,Search,2026-11-23,5.00,A\n"

    assert run(path, WITH_IDS + row * 3) == "3 rows: 1 recorded, 2 repeat others of the file."
    assert Spend.objects.count() == 1


def test_a_grown_file_adds_its_new_rows(agency: Agency, path: Path) -> None:
    run(path, HEADER + GOOD * 2)

    said = run(path, HEADER + GOOD + "Acme,Search,2026-11-24,7\n" + GOOD * 2)

    assert said == "4 rows: 2 recorded, 2 were recorded before."
    assert totals(agency.acme) == (Decimal(7), Decimal(22))


def test_another_source_is_another_report(agency: Agency, path: Path) -> None:
    run(path, HEADER + GOOD)

    assert run(path, HEADER + GOOD, "--source", "agency B") == "1 row: 1 recorded."


def test_an_instant_is_the_same_after_its_brand_moved_to_another_zone(
    agency: Agency, path: Path
) -> None:
    content = "brand,campaign,date,amount,occurred_at\nBolt,Search,,5,2026-11-23T18:30:00Z\n"
    run(path, content)
    Brand.objects.filter(name="Bolt").update(timezone="America/New_York")

    with time_machine.travel(NOW + timedelta(days=2), tick=False):
        call_command("enforce_budgets", stdout=io.StringIO())
        assert run(path, content) == "1 row: 0 recorded, 1 was recorded before."


def test_what_changes_during_an_import_is_told_and_another_one_finishes_it(
    agency: Agency, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bolt changes its currency between the check and the record; later that is put right."""
    monkeypatch.setattr(import_spend, "BATCH", 2)
    content = "brand,campaign,date,amount,currency\n" + "".join(
        f"{brand},Search,2026-11-23,{n},{currency}\n"
        for n in range(1, 4)
        for brand, currency in (("Acme", "USD"), ("Bolt", "EUR"))
    )
    bolt = Brand.objects.filter(name="Bolt")

    def change(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if "INSERT INTO" in sql and "budgets_spend" in sql and bolt.get().currency == "EUR":
            bolt.update(currency="GBP")
        return execute(sql, *args)

    with connection.execute_wrapper(change), pytest.raises(CommandError) as error:
        run(path, content)

    assert str(error.value).splitlines() == [
        "6 rows: 3 recorded, 3 were not recorded. Something changed while the file was imported:",
        *(
            f"  line {line}: currency: 'EUR' is not the brand's currency; amounts are not "
            "converted, give them in GBP"
            for line in (3, 5, 7)
        ),
    ]
    bolt.update(currency="EUR")
    assert run(path, content) == "6 rows: 3 recorded, 3 were recorded before."


def test_a_database_that_fails_half_way_leaves_whole_batches(
    agency: Agency, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_spend, "BATCH", 2)
    content = HEADER + GOOD * 5
    inserts = itertools.count(1)

    def fail(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if "INSERT INTO" in sql and "budgets_spend" in sql and next(inserts) == 2:
            raise OperationalError("the disk is full")
        return execute(sql, *args)

    with connection.execute_wrapper(fail), pytest.raises(CommandError) as error:
        run(path, content)

    assert str(error.value).splitlines() == [
        "The database failed: the disk is full",
        f"2 rows had been recorded and stay so: {AGAIN}",
    ]
    assert run(path, content) == "5 rows: 3 recorded, 2 were recorded before."
    assert reconciliation.check() == []


# --- Dry run ------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing(agency: Agency, path: Path) -> None:
    run(path, HEADER + GOOD)
    before = everything()

    said = run(path, HEADER + GOOD * 3, "--dry-run")

    assert said == ("3 rows: 2 would be recorded, 1 was recorded before. Nothing was written.")
    assert everything() == before


def test_a_dry_run_refuses_what_an_import_refuses(agency: Agency, path: Path) -> None:
    complaints = refusal(path, HEADER + "Acme,Search,2026-11-23,NaN\n", "--dry-run")

    assert complaints == [
        "  line 2: amount: NaN is not a finite amount; write a number such as 12.50"
    ]


# --- What is refused ----------------------------------------------------------------------------

FUTURE = TODAY + timedelta(days=1)
OLD = TODAY - timedelta(days=401)


@pytest.mark.parametrize(
    ("row", "field", "remedy"),
    [
        ("Acme,Search,2026-11-23,NaN", "amount", "write a number such as 12.50"),
        ("Acme,Search,2026-11-23,inf", "amount", "not a finite amount"),
        ("Acme,Search,2026-11-23,1e30", "amount", "has an exponent; write the digits out"),
        ("Acme,Search,2026-11-23,0.1234567", "amount", "more than 6 decimals; round it first"),
        ("Acme,Search,2026-11-23,1234567890123", "amount", "that cannot be meant"),
        ('Acme,Search,2026-11-23,"1,000"', "amount", "write digits and a point alone: 1234.56"),
        ("Acme,Search,2026-11-23, 5", "amount", "write digits and a point: 1234.56"),
        ("Acme,Search,2026-11-23,\u0665", "amount", "write digits and a point: 1234.56"),
        ("Acme,Search,2026-11-23,", "amount", "write digits and a point: 1234.56"),
        (f"Acme,Search,{FUTURE},5", "date", f"is in the future; it is {TODAY} in UTC"),
        (f"Acme,Search,{OLD},5", "date", "the oldest day that is accepted is 2025-10-20"),
        ("Acme,Search,23.11.2026,5", "date", "write YYYY-MM-DD"),
        ("Acme,Search,20261123,5", "date", "write YYYY-MM-DD"),
        ("Acme,Search,2026-02-30,5", "date", "write YYYY-MM-DD"),
        ("Acme,Search,,5", "date", "say when it was spent"),
        ("acme,Search,2026-11-23,5", "brand", "did you mean 'Acme'?"),
        ("Zzzzzzzz,Search,2026-11-23,5", "brand", "create it first"),
        (",Search,2026-11-23,5", "brand", "is empty; name the brand"),
        ("Acme,Serch,2026-11-23,5", "campaign", "did you mean 'Search'?"),
        ("Acme,1111,2026-11-23,5", "campaign", "did you mean '111'?"),
        ("Acme, Search,2026-11-23,5", "campaign", "did you mean 'Search'?"),
        ("Acme,,2026-11-23,5", "campaign", "is empty; name the campaign"),
        ("Bolt,111,2026-11-23,5", "campaign", "'Bolt' has no campaign '111'"),
    ],
)
def test_refuses_a_value(agency: Agency, path: Path, row: str, field: str, remedy: str) -> None:
    (complaint,) = refusal(path, HEADER + GOOD + row + "\n" + GOOD)

    assert complaint.startswith(f"  line 3: {field}: ")
    assert remedy in complaint


@pytest.mark.parametrize(
    ("columns", "values", "field", "remedy"),
    [
        ("currency", "EUR", "currency", "amounts are not converted, give them in USD"),
        ("currency", "usd", "currency", "give them in USD"),
        ("external_id", " A1", "external_id", "has spaces around it"),
        ("external_id", "x" * 201, "external_id", "200 are the most"),
        ("external_id", "a\u202eb", "external_id", "control or invisible characters"),
        ("occurred_at", "2026-11-23T10:00:00", "occurred_at", "write 2026-01-31T09:00:00Z"),
        ("occurred_at", "2026-11-24T16:00:00Z", "occurred_at", "is in the future"),
        ("occurred_at", "yesterday", "occurred_at", "write 2026-01-31T09:00:00Z"),
        ("occurred_at", "2026-11-23", "occurred_at", "write 2026-01-31T09:00:00Z"),
        ("occurred_at", "2026-11-23T25:00:00Z", "occurred_at", "write 2026-01-31T09:00:00Z"),
        ("occurred_at", "0001-01-01T00:00:00+14:00", "occurred_at", "write 2026-01-31T09:00:00Z"),
        ("occurred_at", "0001-01-01T00:00:00Z", "occurred_at", "write 2026-01-31T09:00:00Z"),
    ],
)
def test_refuses_a_further_value(
    agency: Agency, path: Path, columns: str, values: str, field: str, remedy: str
) -> None:
    header, row = HEADER.rstrip(), GOOD.rstrip()

    (complaint,) = refusal(path, f"{header},{columns}\n{row},\n{row},{values}\n")

    assert complaint.startswith(f"  line 3: {field}: ")
    assert remedy in complaint


@pytest.mark.parametrize(
    ("content", "line", "remedy"),
    [
        pytest.param(b"", 0, "is empty; the first line names the columns", id="empty"),
        pytest.param(HEADER, 0, "has no rows below the header; say --rows 0", id="no rows"),
        pytest.param(GOOD, 1, "the header lacks brand, campaign, date, amount", id="no header"),
        pytest.param("brand,campaign,date\nA,B,C\n", 1, "lacks amount", id="missing column"),
        pytest.param(HEADER.replace("\n", ",ammount\n"), 1, "'amount'?", id="unknown column"),
        pytest.param(HEADER.replace("\n", ",\n"), 1, "no column ''; remove it", id="no name"),
        pytest.param(
            HEADER.replace("\n", ",Amount\n") + "Acme,Search,2026-11-23,5,6\n",
            1,
            "'amount' is there 2 times; keep one",
            id="duplicate column",
        ),
        pytest.param((HEADER + GOOD).replace(",", ";"), 1, "separated by ';'", id="semicolons"),
        pytest.param((HEADER + GOOD).replace(",", "\t"), 1, "separated by tabs", id="tabs"),
        pytest.param((HEADER + GOOD).encode("utf-16"), 0, "is UTF-16; save it", id="UTF-16"),
        pytest.param((HEADER + GOOD).encode("utf-16-le"), 1, "CSV UTF-8", id="UTF-16, no mark"),
        pytest.param(
            (HEADER + GOOD + "Müller,Search,2026-11-23,5\n").encode("latin-1"),
            3,
            "byte 0xFC at its position 2",
            id="Latin-1",
        ),
        pytest.param(HEADER + GOOD + "Ac\0me,Search,2026-11-23,5\n", 3, "NUL", id="NUL"),
        pytest.param(b"PK\x03\x04rest", 0, "save the sheet as CSV UTF-8", id="workbook"),
        pytest.param(b"\x1f\x8b\x08\x00", 0, "unpack it first", id="compressed"),
        pytest.param(
            HEADER + GOOD + "Acme,Search,5\n", 3, "has 3 fields, the header has 4", id="short"
        ),
        pytest.param(HEADER + "Acme,Search,2026-11-23,1,000\n", 2, "1234.56", id="long"),
        pytest.param(HEADER + GOOD + "\n\n" + GOOD, 3, "is blank; remove it", id="blank line"),
        pytest.param(
            HEADER + 'Acme,12" x,2026-11-23,5\n' + GOOD, 2, "stray quote", id="stray quote"
        ),
        pytest.param(HEADER + 'Acme,"a"b,2026-11-23,5\n' + GOOD, 2, "stray quote", id="text after"),
        pytest.param(HEADER + GOOD + 'Acme,"Search,2026-11-23,5\n', 3, "not closed", id="unclosed"),
        pytest.param(HEADER + "a\rb,Search,2026-11-23,5\n", 2, "carriage return", id="lone CR"),
        pytest.param(HEADER + "x" * 70_000 + "\n", 2, "longer than 65536 bytes", id="endless line"),
        pytest.param(
            (HEADER + GOOD).rstrip(), 2, "confirm with --rows 1", id="no final line break"
        ),
    ],
)
def test_refuses_a_file(
    agency: Agency, path: Path, content: str | bytes, line: int, remedy: str
) -> None:
    (complaint,) = refusal(path, content)

    assert complaint.startswith(f"  line {line}: " if line else "  ")
    assert ("line" in complaint[:7]) is bool(line)
    assert remedy in complaint


def test_a_quote_that_is_never_closed_ends_the_reading(agency: Agency, path: Path) -> None:
    complaints = refusal(path, HEADER + 'Acme,"Search,2026-11-23,5\n' + GOOD * 3000)

    unclosed, unread = complaints
    assert unclosed.startswith("  line 2: has a stray quote, or one that is not closed;")
    assert unread.endswith("what follows was not read")


def test_counts_lines_as_an_editor_does_through_quoted_line_breaks(
    agency: Agency, path: Path
) -> None:
    make_campaign(agency.acme, name="two\nlines")
    content = HEADER + 'Acme,"two\nlines",2026-11-23,5\n' + "Acme,Search,2026-11-23,x\n"

    (complaint,) = refusal(path, content)

    assert complaint.startswith("  line 4: amount: ")


@pytest.mark.parametrize("said", [0, 1, 3])
def test_refuses_another_number_of_rows_than_was_said(
    agency: Agency, path: Path, said: int
) -> None:
    complaints = refusal(path, HEADER + GOOD * 2, "--rows", str(said))

    assert complaints == [f"  has 2 rows below the header, --rows says {said}"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("absent", "there is no such file"), ("folder", "is not a file"), ("pipe", "is not a file")],
)
def test_refuses_what_is_no_file(agency: Agency, tmp_path: Path, kind: str, words: str) -> None:
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)

    with pytest.raises(CommandError) as error:
        call_command("import_spend", str(path))

    assert str(error.value).splitlines()[1:] == [f"  {words}"]


def test_refuses_a_source_that_is_no_name(agency: Agency, path: Path) -> None:
    with pytest.raises(CommandError, match="--source is empty or has spaces around it"):
        run(path, HEADER + GOOD, "--source", " x")


def test_an_id_with_two_meanings_names_both_lines(agency: Agency, path: Path) -> None:
    rows = [f"Acme,Search,2026-11-23,{amount},{key}\n" for amount, key in ((5, "A"), (6, "B"))]

    (complaint,) = refusal(path, WITH_IDS + "".join(rows) + "Acme,Search,2026-11-23,7,A\n")

    assert complaint == (
        "  line 4: external_id: 'A' is also the id of line 2, which says 5.00 of campaign "
        f"{agency.search.pk} on 2026-11-23; each spend has an id of its own"
    )


def test_an_id_that_was_recorded_as_something_else_is_found_before_anything_is_written(
    agency: Agency, path: Path
) -> None:
    run(path, WITH_IDS + "Acme,Search,2026-11-23,5,A\n")

    (complaint,) = refusal(
        path, WITH_IDS + "Acme,Search,2026-11-22,1,new\n" + "Acme,Search,2026-11-23,6,A\n"
    )

    assert complaint.startswith(
        "  line 3: external_id: 'A' was recorded before as 5.00 of campaign"
    )


def test_a_name_that_means_two_campaigns_is_refused(agency: Agency, path: Path) -> None:
    other = make_campaign(agency.acme, name="111")

    (complaint,) = refusal(path, HEADER + "Acme,111,2026-11-23,5\n")

    assert f"means several campaigns (ids [{agency.search.pk}, {other.pk}])" in complaint
    assert complaint.endswith("rename one of them")


def test_a_brand_with_a_corrupt_zone_is_named(agency: Agency, path: Path) -> None:
    Brand.objects.filter(name="Acme").write(zone_in_force="Mars/Olympus")

    (complaint,) = refusal(path, HEADER + GOOD)

    assert complaint.startswith("  line 2: brand: ")
    assert "'Mars/Olympus'" in complaint


def test_writes_out_twenty_complaints_and_counts_the_others(agency: Agency, path: Path) -> None:
    bad = ["Acme,Search,2026-11-23,x\n", "Acme,Nobody,2026-11-23,5\n", "short\n"]

    complaints = refusal(path, HEADER + GOOD + "".join(bad * 1000))

    assert len(complaints) == 21
    assert [int(line.split(":")[0].removeprefix("  line ")) for line in complaints[:20]] == list(
        range(3, 23)
    )
    assert all(len(complaint) > len("  line 22: ") for complaint in complaints[:20])
    assert complaints[20] == "  … and 2,980 more"


def test_exactly_twenty_complaints_have_no_remainder(agency: Agency, path: Path) -> None:
    complaints = refusal(path, HEADER + "Acme,Search,2026-11-23,x\n" * 20)

    assert len(complaints) == 20
    assert complaints[-1].startswith("  line 21: ")


def test_a_name_cannot_forge_a_line_of_the_answer(agency: Agency, path: Path) -> None:
    (complaint,) = refusal(path, HEADER + '"x\n\x1b[2J",Search,2026-11-23,5\n')

    assert complaint.isprintable()


# --- Cut files ----------------------------------------------------------------------------------

WHOLE = (
    HEADER
    + "Acme,Search,2026-11-21,99.99\n"
    + 'Acme,"Shopping, winter",2026-11-22,10.5\r\n'
    + '"Acme",111,2026-11-23,"7.25"\n'
).encode()


def test_a_file_cut_anywhere_gives_whole_rows_or_an_error(agency: Agency, path: Path) -> None:
    run(path, WHOLE)
    whole = ledger()
    accepted = []

    for end in range(len(WHOLE)):
        try:
            run(path, WHOLE[:end], "--source", f"cut at {end}", "--dry-run")
        except CommandError:
            continue
        accepted.append(end)
        run(path, WHOLE[:end])
        assert ledger() == whole

    assert accepted, "cut between two lines, a file is a shorter file"
    assert all(WHOLE[:end].endswith((b"\n", b"\r")) for end in accepted)


@given(st.binary(max_size=400))
def test_whatever_the_bytes_are_reading_ends_in_rows_or_words(content: bytes) -> None:
    complaints: list[tuple[int, str]] = []
    file = SpendFile(io.BytesIO(content), lambda line, words: complaints.append((line, words)))

    rows = list(file.rows())

    assert file.count >= len(rows)
    assert rows or complaints or file.is_read
    assert all(1 <= line <= content.count(b"\n") + 1 and words for line, words in complaints)


# --- Size ---------------------------------------------------------------------------------------


def test_many_campaigns_and_batches_reconcile(
    agency: Agency, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_spend, "BATCH", 7)
    monkeypatch.setattr(imports, "REMEMBERED", 3)
    campaigns = [make_campaign(agency.acme, name=f"C{n}") for n in range(10)]
    passes.check_and_pause(NOW)
    content = HEADER + "".join(f"Acme,C{n % 10},2026-11-2{n % 4},0.1\n" for n in range(1000))

    assert run(path, content) == "1,000 rows: 1,000 recorded."
    assert totals(agency.acme) == (Decimal(0), Decimal(100))
    assert totals(campaigns[0]) == (Decimal(0), Decimal(10))
    assert reconciliation.check() == []


def test_asks_the_database_by_batches_not_by_rows(agency: Agency, path: Path) -> None:
    def statements(rows: int) -> int:
        content = HEADER + "".join(f"Acme,Search,2026-11-23,{n}\n" for n in range(1, rows + 1))
        with CaptureQueriesContext(connection) as asked:
            run(path, content, "--source", f"{rows} rows")
        return len(asked)

    # A large batch is copied on PostgreSQL, with a savepoint to fall back to and a look at one id.
    assert statements(1000) <= statements(2) + 2 + 3


def test_the_bar_is_drawn_on_a_terminal_only(agency: Agency, path: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    path.write_text(HEADER + GOOD)
    log, terminal = io.StringIO(), Terminal()

    call_command("import_spend", str(path), stdout=io.StringIO(), stderr=log)
    call_command("import_spend", str(path), "--source", "x", stdout=io.StringIO(), stderr=terminal)

    assert log.getvalue() == ""
    assert "checking  ██████████████████████████████ 100 %" in terminal.getvalue()
    assert "recording ██████████████████████████████ 100 %" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Twenty times as many rows take a page cache and a sorter more: the rest lies on disk."""

    def peak(rows: int) -> int:
        program = (
            "import sys, resource, datetime\n"
            "from budgets.management.spend_stage import Stage, Staged\n"
            "from budgets.services.ingestion import Line\n"
            "stage = Stage()\n"
            "for start in range(0, int(sys.argv[1]), 2000):\n"
            "    stage.add(Staged(n, Line(campaign_id=1, brand_id=1,"
            " date=datetime.date(2026, 1, 1), micros=n, occurred_at=None,"
            " external_id=None, date_was_given=True), None) for n in range(start, start + 2000))\n"
            "stage.seal()\n"
            "assert not list(stage.clashes())\n"
            "assert sum(map(len, stage.batches(2000))) == len(stage) == int(sys.argv[1])\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        )
        ran = subprocess.run(
            [sys.executable, "-c", f"import django; django.setup()\n{program}", str(rows)],
            check=True,
            capture_output=True,
            text=True,
        )
        return int(ran.stdout) // 1024

    assert peak(200_000) < peak(10_000) + 45


def test_refuses_amounts_that_no_total_could_hold_before_anything_is_recorded(
    agency: Agency, path: Path
) -> None:
    rows = "".join(f"Acme,Search,2026-11-23,999999999999.{n:02}\n" for n in range(12))

    [complaint] = refusal(path, HEADER + rows)

    assert "add up to 11999999999988.66, and no total holds more" in complaint
