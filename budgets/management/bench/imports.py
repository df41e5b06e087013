"""A file of as many rows as there are campaigns: killed in the middle, imported again, exact."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from budgets.core import money
from budgets.management.bench import reference, stage
from budgets.management.bench.reference import Mismatch
from budgets.management.bench.seed import CAMPAIGNS_A_BRAND
from budgets.management.bench.setting import Setting, judged
from budgets.management.bench.table import Row, Table, ratio
from budgets.models import Spend
from budgets.services import reconciliation

AMOUNT = "0.01"
SMALL_PART = 10
"""A file of this part of the rows takes nearly as much memory as the whole."""


@dataclass(frozen=True, slots=True)
class _Import:
    """An import that ended: its seconds, its largest memory in MB, and whether we killed it."""

    seconds: float
    memory: float | None
    was_killed: bool


def measure(setting: Setting) -> Iterator[Table]:
    """Import a small file, kill the import of a large one midway, and import that one again."""
    rows = setting.campaigns
    small = max(1, rows // SMALL_PART)
    with tempfile.TemporaryDirectory() as place, setting.copy(setting.seed(rows)) as name:
        setting.say(f"import: {small:,} rows")
        few = _import(_written(Path(place), small), "few", name)
        path = _written(Path(place), rows)
        setting.say(f"import: {rows:,} rows, to be killed")
        killed = _import(path, "many", name, kill_at=rows // 2)
        left = rows - Spend.objects.filter(source="many").count()
        setting.say(f"import: again, {left:,} rows are left")
        again = _import(path, "many", name)
        with judged("import", "ours"), stage.unlimited():
            reference.verify_ledger("many", rows, rows * money.parse_micros(AMOUNT))
            if findings := reconciliation.check():
                raise Mismatch(str(findings))
    table = Table(
        title=f"import_spend, {rows:,} campaigns",
        ratios=["memory of the first's"],
        figures=["seconds", "MB at most"],
        notes=[
            f"when the second was killed {left:,} rows were left; in the end each is there once"
            if killed.was_killed
            else "it was over before it could be killed: too few rows"
        ],
    )
    for what, ran in {
        f"{small:,} rows": few,
        f"{rows:,} rows, killed midway": killed,
        f"{rows:,} rows, again": again,
    }.items():
        table.rows.append(Row(what, [ratio(ran.memory, few.memory)], [ran.seconds, ran.memory]))
    yield table


def _written(place: Path, rows: int) -> Path:
    path = place / f"{rows}.csv"
    today = timezone.now().date()
    with path.open("w", encoding="utf-8") as file:
        file.write("brand,campaign,date,amount\n")
        file.writelines(
            f"Brand {at // CAMPAIGNS_A_BRAND + 1},Campaign {at + 1},{today},{AMOUNT}\n"
            for at in range(rows)
        )
    return path


def _import(path: Path, source: str, database: str, kill_at: int | None = None) -> _Import:
    """Run the command as people do; kill it when `kill_at` of its rows are in the ledger."""
    began = time.perf_counter()
    process = subprocess.Popen(  # our own command
        [sys.executable, settings.BASE_DIR / "manage.py", "import_spend", path, "--source", source],
        env={**os.environ, "DATABASE_URL": stage.url_of(database)},
        stdout=subprocess.DEVNULL,
    )
    recorded = Spend.objects.filter(source=source)
    memory: float | None = None
    is_killed = False
    while process.poll() is None:
        memory = _most_memory(process.pid) or memory
        if kill_at is not None and not is_killed and recorded.count() >= kill_at:
            process.kill()
            is_killed = True
        time.sleep(0.05)
    if process.returncode and not is_killed:
        raise Mismatch(f"import_spend ended with {process.returncode}")
    was_killed = process.returncode < 0
    return _Import(time.perf_counter() - began, memory, was_killed)


def _most_memory(pid: int) -> float | None:
    """Return the most memory (MB) that a process had so far; Linux tells, others do not.

    `wait4` would tell as well, but of a child it counts what its parent had when it forked.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
