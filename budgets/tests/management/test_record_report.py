"""What a platform's report says is recorded as spend to date, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine
from django.core.management import CommandError

from budgets.management import report_import
from budgets.models import Campaign, Spend
from budgets.services import passes, reconciliation
from budgets.tests.builders import NOW, TODAY, make_brand, make_campaign, state, totals
from budgets.tests.exports import SERVICE_HEADER, google, meta, microsoft
from budgets.tests.importing import run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def search() -> Campaign:
    brand = make_brand(name="Acme", daily_budget=100)
    campaign = make_campaign(brand, name="Search", external_id="111")
    passes.check_and_pause(NOW)
    return campaign


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report.csv"


def of(*amounts: str, day: str = str(TODAY)) -> str:
    return google(*((day, "Search", "111", "USD", "", amount, "") for amount in amounts))


def ledger() -> list[tuple[str, str, str]]:
    rows = Spend.objects.order_by("pk").values_list("source", "date", "amount")
    return [(source, str(day), str(amount)) for source, day, amount in rows]


def test_records_a_report_and_pauses_whom_it_exhausts(search: Campaign, path: Path) -> None:
    said = run(path, of("60.00", "40.00"))

    assert said == "1 row: 1 recorded. 1 campaign paused."
    assert ledger() == [("google_ads", str(TODAY), "100.00")]
    assert state(search) == "brand_daily_budget"
    assert reconciliation.check() == []


@pytest.mark.parametrize(
    ("content", "source"),
    [
        (google((str(TODAY), "Search", "111", "USD", "", "1.50", "")), "google_ads"),
        (meta((str(TODAY), str(TODAY), "Search", "111", "1.50", "")), "meta_ads"),
        (
            microsoft((str(TODAY), "Acme", "Search", "111", "USD", "1.50"), header=SERVICE_HEADER),
            "microsoft_ads",
        ),
    ],
)
def test_each_platform_is_a_source_of_its_own(
    search: Campaign, path: Path, content: str | bytes, source: str
) -> None:
    run(path, content)

    assert ledger() == [(source, str(TODAY), "1.50")]


def test_a_second_import_changes_nothing(search: Campaign, path: Path) -> None:
    run(path, of("60.00"))

    assert run(path, of("60.00")) == "1 row: 0 recorded, 1 was recorded before."
    assert totals(search) == (Decimal(60), Decimal(60))


def test_a_later_report_adds_the_difference_and_a_credit_takes_it_back(
    search: Campaign, path: Path
) -> None:
    run(path, of("60.00"))
    run(path, of("60.00", "45.50"))
    assert state(search) == "brand_daily_budget"

    said = run(path, of("60.00", "39.00"))

    assert said == "1 row: 1 recorded. 1 campaign resumed."
    assert [amount for _, _, amount in ledger()] == ["60.00", "45.50", "-6.50"]
    assert totals(search) == (Decimal(99), Decimal(99))


def test_another_source_is_another_report(search: Campaign, path: Path) -> None:
    run(path, of("10.00"))
    run(path, of("10.00"), "--source", "second account")

    assert totals(search) == (Decimal(20), Decimal(20))


def test_a_report_with_one_wrong_line_records_nothing(search: Campaign, path: Path) -> None:
    with pytest.raises(CommandError, match="line 5: amount: 'x' is not an amount"):
        run(path, of("10.00", "x"))

    assert ledger() == []


def test_is_recorded_batch_by_batch(
    search: Campaign, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_import, "BATCH", 2)
    rows = ((f"2026-11-{day:02}", "Search", "111", "USD", "", "1.50", "") for day in range(1, 8))

    assert run(path, google(*rows)) == "7 rows: 7 recorded."
    assert totals(search) == (Decimal(0), Decimal("10.50"))
    assert reconciliation.check() == []
