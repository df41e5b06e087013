"""The benchmark believes nobody, touches nothing that is the user's, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, models

from budgets.management.bench import reference
from budgets.management.bench.reference import Mismatch
from budgets.management.bench.rivals.ours import Ours
from budgets.management.bench.table import Row, Table, percentile, ratio
from budgets.models import Brand, Campaign, StatusChange
from budgets.services import passes
from budgets.tests.builders import NOW, make_brand, make_campaign, spend, write_spend

pytestmark = pytest.mark.django_db

HOUSE = Path(__file__).resolve().parents[3]
USERS_OWN = b"not a database, and nobody may find that out"


class LeavesOneActive(Ours):
    """A rival that decides as we do, and then has somebody run who may not."""

    name = "careless"

    def run_pass(self, now: datetime) -> None:
        super().run_pass(now)
        held = Campaign.objects.filter(is_active=False).order_by("pk")[0]
        held.hold, held.is_active = "", True
        models.Model.save(held, update_fields=["hold", "is_active"])


@dataclass(frozen=True)
class Run:
    """A benchmark that ended."""

    pid: int
    code: int
    said: str
    complaint: str


def start(place: Path, *options: str) -> subprocess.Popen[str]:
    """Start a benchmark whose data directory is `place`, beside a database of the user's."""
    (place / "db.sqlite3").write_bytes(USERS_OWN)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "django_celery_budget.settings",
        "BUDGETS_DATA_DIR": str(place),
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", "bench", "--campaigns", "200", "--rounds", "1", *options],
        cwd=HOUSE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> Run:
    said, complaint = process.communicate(timeout=120)
    return Run(process.pid, process.returncode, said, complaint)


def databases_of(pid: int) -> list[str]:
    """Return the databases on the server that this process made."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"bench_{pid}_"]
        )
        return [name for (name,) in cursor.fetchall()]


def tables_of_the_users_database() -> list[str]:
    """Return what is in the database that DATABASE_URL names; the test's own is another one."""
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"]) as users_own:
        tables = users_own.execute("SELECT tablename FROM pg_tables ORDER BY 1")
        return [name for (name,) in tables.fetchall()]


def test_measures_verifies_and_writes_what_it_found(tmp_path: Path) -> None:
    is_postgres = connection.vendor == "postgresql"
    before = tables_of_the_users_database() if is_postgres else []
    several = ",workers,locks" if is_postgres else ""

    run = ended(start(tmp_path, "--only", f"passes,ingestion,http,imports,reading{several}"))

    assert run.code == 0, run.complaint
    assert "Every final state was verified." in run.said
    found = json.loads((tmp_path / f"bench-{connection.vendor}-200.json").read_text())
    assert found["verified"] is True
    assert found["machine"]["Python"]
    tables: dict[str, dict[str, Any]] = {table["title"]: table for table in found["tables"]}
    passes = tables["passes, 200 campaigns"]
    for row in passes["rows"]:
        assert row["ours ms"] > 0
        assert row["loop ms"] > 0
        assert row["loop/ours"] == pytest.approx(row["loop ms"] / row["ours ms"])
        assert ("SQL ms" in row) == is_postgres
    assert "all roll, 1" in passes["rows"][-1]["what"]
    floor = "COPY" if is_postgres else "INSERT"
    sizes = tables["ingestion, 200 campaigns, one writer"]["rows"]
    assert [row["what"] for row in sizes] == ["batches of 1", "batches of 100", "batches of 1,000"]
    assert all(row[f"{floor} events/s"] > 0 for row in sizes)
    api = tables["POST /api/v1/spend, 200 campaigns, 4 clients"]["rows"]
    assert [row["what"] for row in api] == ["1 a request", "100 a request", "1,000 a request"]
    assert all(row["HTTP/in process"] > 0 for row in api)
    assert tables["GET /api/v1/serving"]["rows"][0]["requests/s"] > 0
    imports = tables["import_spend, 200 campaigns"]["rows"]
    assert [row["what"] for row in imports][-1] == "200 rows, again"
    assert all(row["seconds"] > 0 for row in imports)
    pages = tables["pages, 200 campaigns"]["rows"]
    assert pages[0]["what"] == "/"
    assert all(row["statements"] > 0 for row in pages)

    # The user's own was not touched, and nothing else is left.
    assert (tmp_path / "db.sqlite3").read_bytes() == USERS_OWN
    assert list(tmp_path.glob("bench_*")) == []
    assert databases_of(run.pid) == []
    if is_postgres:
        workers = tables["midnight of 200 campaigns, worker processes"]["rows"]
        assert [row["what"] for row in workers][:3] == ["1", "2", "4"]
        locks = tables["batches of 100 events, 200 campaigns"]["rows"]
        assert [row["what"] for row in locks] == ["alone", "while midnight is drained"]
        assert tables_of_the_users_database() == before


def test_a_rival_that_is_wrong_is_caught_and_named(tmp_path: Path) -> None:
    rival = "budgets.tests.management.test_bench:LeavesOneActive"

    run = ended(start(tmp_path, "--only", "passes", "--rival", rival))

    assert run.code == 1
    assert "careless is wrong in 'nothing due': campaign" in run.complaint
    assert "verified" not in run.said
    assert list(tmp_path.glob("bench*")) == []
    assert databases_of(run.pid) == []


def test_stopped_midway_it_leaves_nothing_behind(tmp_path: Path) -> None:
    process = start(tmp_path, "--only", "passes")
    assert process.stdout is not None
    for line in process.stdout:
        if "nothing due" in line:
            break
    process.send_signal(signal.SIGINT)

    run = ended(process)

    assert run.code == 130
    assert list(tmp_path.glob("bench*")) == []
    assert databases_of(run.pid) == []


def test_a_measure_that_the_database_has_no_use_for_is_refused(tmp_path: Path) -> None:
    elsewhere = "storm" if connection.vendor == "postgresql" else "locks"

    run = ended(start(tmp_path, "--only", elsewhere))

    assert run.code == 1
    assert f"{elsewhere}: not on {connection.vendor}" in run.complaint


def test_a_table_is_aligned_and_says_what_was_not_measured() -> None:
    table = Table("passes", ratios=["loop/ours"], figures=["ours ms", "loop ms"])
    table.rows += [Row("idle", [ratio(1234.5, 0.5)], [0.5, 1234.5]), Row("noon", [None], [2, None])]

    assert list(table.lines()) == [
        "passes   loop/ours   ours ms   loop ms",
        "idle        2,469x      0.50     1,234",
        "noon             -         2         -",
    ]


def test_percentiles_are_runs_that_happened() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(number) for number in range(1, 101)], 0.99) == 100.0
    assert percentile([7.0], 0.99) == 7.0


# --- What the reference sees --------------------------------------------------------------------


@pytest.fixture
def stopped() -> Campaign:
    """Return a campaign that spent its brand's budget, decided by a pass."""
    campaign = make_campaign(make_brand(daily_budget=10))
    make_campaign(campaign.brand)
    passes.check_and_pause(NOW)
    return campaign


def test_what_is_right_is_right_for_the_reference_too(stopped: Campaign) -> None:
    before = reference.remember()

    spend(stopped, 10)

    assert reference.verify(NOW, before, rolled=True) == 2
    reference.verify_ledger("test", 1, 10_000_000)


def test_the_reference_sees_a_change_that_is_not_in_the_log(stopped: Campaign) -> None:
    before = reference.remember()
    spend(stopped, 10)
    last = StatusChange.objects.order_by("-pk")[0]
    models.QuerySet(StatusChange).filter(pk=last.pk).delete()

    with pytest.raises(Mismatch, match="2 campaigns changed, and 1 are in the log"):
        reference.verify(NOW, before)


def test_the_reference_sees_a_log_that_does_not_begin_where_it_ended(stopped: Campaign) -> None:
    before = reference.remember()
    spend(stopped, 10)
    wrong = reference.Before({**before.holds, stopped.pk: "ended"}, before.newest_change)

    with pytest.raises(Mismatch, match=f"campaign {stopped.pk} went from '' to"):
        reference.verify(NOW, wrong)


@pytest.mark.parametrize("model", [Brand, Campaign])
def test_the_reference_sees_a_total_that_is_not_its_ledger(
    model: type[Brand | Campaign], stopped: Campaign
) -> None:
    spend(stopped, 4)
    model.objects.all().write(total_daily_spend=5)

    with pytest.raises(Mismatch, match=f"the totals of {model.__name__.lower()}"):
        reference.verify(NOW)


def test_the_reference_sees_spend_that_nobody_counted_or_that_is_missing(stopped: Campaign) -> None:
    write_spend(stopped, 1)

    with pytest.raises(Mismatch, match="was not counted"):
        reference.verify(NOW)
    with pytest.raises(Mismatch, match="it should have 1 with 1000000"):
        reference.verify_ledger("", 1, 1_000_000)
