"""House rules that no linter knows, read from the syntax tree of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import budgets

HOUSE = Path(budgets.__file__).parent
BELOW_THE_DOORS = ("core", "models", "services", "queries")

STATE = frozenset({"is_active", "hold"})
TOTALS = frozenset({"total_daily_spend", "total_monthly_spend"})
WRITERS = frozenset({"update", "write", "update_or_create", "aupdate"})
NAMERS = frozenset({"bulk_update", "abulk_update"})


def files(*rooms: str) -> list[Path]:
    """Return the modules of these rooms; of the whole house when none is named."""
    found = [path for room in rooms or (".",) for path in (HOUSE / room).rglob("*.py")]
    kept = [path for path in found if not {"tests", "migrations"} & set(path.parts)]
    assert kept
    return kept


def name_of(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call with the last part of what it calls: `update` of `rows.filter().update()`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            yield getattr(called, "attr", getattr(called, "id", "")), node


def texts(node: ast.AST) -> set[str]:
    return {
        inner.value
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    }


def columns_written(tree: ast.AST) -> set[str]:
    """Return the columns that code writes to the database: by sets, by name, by dict or by SQL."""
    written: set[str] = set()
    for name, call in calls(tree):
        if name in WRITERS:
            written |= {keyword.arg for keyword in call.keywords if keyword.arg}
        if name in NAMERS:
            written |= texts(call)
        for keyword in call.keywords:
            if keyword.arg == "update_fields":
                written |= texts(keyword.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            written |= {text for key in node.keys if key is not None for text in texts(key)}
    for text in texts(tree):
        if re.search(r"\bSET\b", text):
            written |= set(re.findall(r"(\w+)\s*=", text))
        # A list of assignments that another module's UPDATE takes in: f"day = {today}, hold = {new}".
        written |= set(re.findall(r"(?:^|,)\s*(\w+) = $", text))
    return written


def writers_of(columns: frozenset[str], *rooms: str) -> set[str]:
    return {
        name_of(path)
        for path in files(*rooms)
        if columns & columns_written(ast.parse(path.read_text()))
    }


@pytest.mark.parametrize(
    "code",
    [
        "Campaign.objects.filter(pk=1).update(hold='')",
        "rows.write(is_enabled=True, hold=new)",
        "Campaign.objects.bulk_update(rows, ['name', 'hold'])",
        "campaign.save(update_fields={'hold'})",
        "rows.write(**{'hold': 'ended'})",
        "cursor.execute('UPDATE budgets_campaign SET name = 1, hold = %s')",
        "cursor.execute(f'UPDATE {table} SET hold = %s')",
        "assignments = f'day = {today}, hold = {new}'",
    ],
)
def test_a_column_written_by_any_means_is_seen(code: str) -> None:
    assert "hold" in columns_written(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "Campaign.objects.filter(hold='')",
        "rows.values_list('hold')",
        "StatusChange(hold=new)",
        "Count('pk', filter=Q(hold=''))",
    ],
)
def test_a_column_that_is_read_is_not_called_written(code: str) -> None:
    assert "hold" not in columns_written(ast.parse(code))


def test_only_enforcement_writes_the_state_in_force() -> None:
    assert writers_of(STATE, "core", "models", "services", "queries") == {"services/enforcement.py"}
    doors = [*files("admin", "dashboard", "health", "management"), HOUSE / "tasks.py"]
    for path in doors:
        for name, call in calls(ast.parse(path.read_text())):
            if name in WRITERS | NAMERS:
                given = {keyword.arg for keyword in call.keywords} | texts(call)
                assert not given & STATE, f"{name_of(path)}:{call.lineno}"


def test_only_totals_and_rollover_write_totals() -> None:
    # Those that the benchmark compares us with write them their own way.
    rivals = {f"management/bench/rivals/{name}.py" for name in ("loop", "statement")}
    assert writers_of(TOTALS) - rivals == {"services/rollover.py", "services/totals.py"}


def test_only_doors_read_the_clock() -> None:
    readers = {
        f"{name_of(path)}:{call.lineno}"
        for path in files(*BELOW_THE_DOORS)
        for name, call in calls(ast.parse(path.read_text()))
        if name in {"now", "utcnow", "today", "localtime", "localdate", "time", "monotonic"}
    }

    assert readers == set()


def test_money_is_never_a_float() -> None:
    floats = {
        f"{name_of(path)}:{call.lineno}"
        for path in files(*BELOW_THE_DOORS, "admin")
        for name, call in calls(ast.parse(path.read_text()))
        if name in {"float", "FloatField", "DecimalField"}
    }

    # The ratio that the dashboard draws and orders its bars by is no amount.
    assert {place.split(":")[0] for place in floats} <= {"queries/dashboard.py"}


def test_the_core_imports_plain_python_and_itself_alone() -> None:
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for path in files("core")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert "decimal" in imported
    own = {name for name in imported if name.startswith("budgets.core")}
    assert {name.split(".")[0] for name in imported - own} <= {
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "functools",
        "re",
        "typing",
        "zoneinfo",
    }


def test_nothing_below_the_doors_saves_row_by_row_in_a_loop() -> None:
    savers = {
        f"{name_of(path)}:{call.lineno}"
        for path in files("services")
        for loop in ast.walk(ast.parse(path.read_text()))
        if isinstance(loop, ast.For | ast.While | ast.ListComp | ast.GeneratorExp)
        for name, call in calls(loop)
        if name == "save"
    }

    assert savers == set()
