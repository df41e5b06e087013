"""`manage.py archive_spend`: old months leave the ledger, and stay provable."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import ProtectedError

from budgets.models import ArchivedSpend, Campaign, Spend, SpendArchive
from budgets.models.brand import CurrencyCannotChange
from budgets.services import archiving, passes
from budgets.tests.builders import NOW, make_campaign, write_spend

pytestmark = pytest.mark.django_db

JANUARY, MARCH = date(2025, 1, 31), date(2025, 3, 1)


def archive_spend(directory: Path, what: str) -> str:
    out = StringIO()
    with time_machine.travel(NOW, tick=False):
        call_command("archive_spend", str(directory), what, stdout=out, no_color=True)
    return out.getvalue()


def rows_of(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture
def tents() -> Campaign:
    """Return a campaign with two old rows, one of them of another month, and one that is not old."""
    tents = make_campaign(name="Tents")
    write_spend(tents, "1.000001", JANUARY, source="shell", external_id='=a"b,\r\n')
    write_spend(tents, "-0.5", JANUARY)
    write_spend(tents, 7, MARCH)
    write_spend(tents, 9)
    passes.check_and_pause(NOW)
    return tents


def test_a_month_moves_to_a_file_exactly(tents: Campaign, tmp_path: Path) -> None:
    before = Spend.objects.get(external_id__isnull=False)

    printed = archive_spend(tmp_path, "--before=2025-02")

    assert printed.startswith("spend-2025-01-1.csv.gz  2 rows  sha256 ")
    first, second = rows_of(tmp_path / "spend-2025-01-1.csv.gz")
    assert (first["id"], first["amount"], first["date"]) == (
        str(before.pk),
        "1.000001",
        "2025-01-31",
    )
    assert first["external_id"] == before.external_id
    assert first["created_at"] == before.created_at.isoformat()
    assert second["amount"] == "-0.50"
    assert sorted(Spend.objects.values_list("amount", flat=True)) == [7, 9]
    [left] = ArchivedSpend.objects.values_list("campaign__name", "rows", "amount")
    assert left == ("Tents", 2, Decimal("0.500001"))
    assert "as it was written" in archive_spend(tmp_path, "--verify")


def test_every_month_before_goes_and_a_second_run_does_nothing(
    tents: Campaign, tmp_path: Path
) -> None:
    archive_spend(tmp_path, "--before=2025-05")
    files = sorted(path.name for path in tmp_path.iterdir())

    assert files == ["spend-2025-01-1.csv.gz", "spend-2025-03-1.csv.gz"]
    assert (
        archive_spend(tmp_path, "--before=2025-05") == "Nothing before 2025-05 is in the ledger.\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_a_month_that_may_still_be_reported_stays(tents: Campaign, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"2026-11: spend from 2025-10-20 on may still be"):
        archive_spend(tmp_path, "--before=2026-12")

    assert Spend.objects.filter(date__gte=date(2026, 11, 1)).count() == 1


def test_rows_that_are_in_no_total_stay(tents: Campaign, tmp_path: Path) -> None:
    write_spend(tents, 3, JANUARY)

    archive_spend(tmp_path, "--before=2025-02")

    assert list(Spend.objects.filter(date=JANUARY).values_list("amount", flat=True)) == [3]


def test_rows_that_came_later_make_a_second_file(tents: Campaign, tmp_path: Path) -> None:
    archive_spend(tmp_path, "--before=2025-02")
    write_spend(tents, 3, JANUARY)
    passes.check_and_pause(NOW)

    archive_spend(tmp_path, "--before=2025-02")

    assert [row["amount"] for row in rows_of(tmp_path / "spend-2025-01-2.csv.gz")] == ["3.00"]
    assert "as it was written" in archive_spend(tmp_path, "--verify")


def test_killed_in_the_middle_it_goes_on(
    tents: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "ROWS", 1)
    leave, left = archiving._leave, []

    def die_at_the_second(*args: object) -> None:
        left.append(args)
        if len(left) == 2:
            raise KeyboardInterrupt
        leave(*args)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(archiving, "_leave", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        archive_spend(tmp_path, "--before=2025-02")
    assert Spend.objects.filter(date=JANUARY).count() == 1
    with pytest.raises(CommandError):
        archive_spend(tmp_path, "--verify")

    archive_spend(tmp_path, "--before=2025-02")

    assert list(ArchivedSpend.objects.values_list("rows", "amount")) == [(2, Decimal("0.500001"))]
    assert SpendArchive.objects.count() == 1
    assert "as it was written" in archive_spend(tmp_path, "--verify")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (Path.unlink, "is not there"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "checksum differs"),
        (lambda _: ArchivedSpend.objects.update(amount=1), "does not sum to what was noted"),
    ],
)
def test_verify_names_what_is_wrong(
    tents: Campaign, tmp_path: Path, harm: Callable[[Path], object], words: str
) -> None:
    archive_spend(tmp_path, "--before=2025-02")
    harm(tmp_path / "spend-2025-01-1.csv.gz")

    out = StringIO()
    with pytest.raises(CommandError, match="1 of the archives cannot be trusted"):
        call_command("archive_spend", str(tmp_path), "--verify", stdout=out)
    assert words in out.getvalue()


def test_what_was_spent_still_binds_campaign_and_currency(tents: Campaign, tmp_path: Path) -> None:
    Spend.objects.filter(date__gt=JANUARY).leave()
    archive_spend(tmp_path, "--before=2025-02")
    assert not Spend.objects.exists()

    with pytest.raises(ProtectedError), transaction.atomic():
        tents.delete()
    tents.brand.currency = "EUR"
    with pytest.raises(CurrencyCannotChange):
        tents.brand.save()


@pytest.mark.parametrize(
    "month", ["2025", "2025-13", "0000-01", "\uff12\uff10\uff12\uff15-01", "2025-1"]
)
def test_what_is_no_month_is_refused(tmp_path: Path, month: str) -> None:
    with pytest.raises(CommandError, match="is no month; write it as 2025-07"):
        call_command("archive_spend", str(tmp_path), f"--before={month}")


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is no directory; make it first"):
        archive_spend(tmp_path / "nowhere", "--verify")
