"""Each fault and each threat has its trial: the tests that the tables name exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

DOCS = Path(settings.BASE_DIR) / "docs"
ROW = re.compile(r"^\| (?!\||Fault|Threat)(?P<name>[^|]+) \|(?P<rest>.+)\|$", re.MULTILINE)
TRIAL = re.compile(r"`(budgets/tests/[^`]+\.py[^`]*)`")


def rows_of(table: str) -> dict[str, str]:
    """Return the rows of a table by their first cell."""
    text = (DOCS / table).read_text(encoding="utf-8")
    return {row["name"].strip(): row["rest"] for row in ROW.finditer(text)}


def is_there(trial: str) -> bool:
    """Tell whether a test, a class of tests or a file of them exists, without running anything."""
    path, *names = trial.split("::")
    file = Path(settings.BASE_DIR) / path
    if not file.is_file():
        return False
    body: list[ast.stmt] = ast.parse(file.read_text(encoding="utf-8")).body
    for name in names:
        found = [it for it in body if isinstance(it, ast.ClassDef | ast.FunctionDef)]
        named = [it for it in found if it.name == name]
        if not named:
            return False
        body = named[0].body
    return True


def test_every_fault_has_its_row() -> None:
    assert list(rows_of("faults.md")) == [f"F{number}" for number in range(1, 32)]


def test_the_list_of_threats_is_no_shorter_than_it_was() -> None:
    assert len(rows_of("security.md")) >= 22


@pytest.mark.parametrize("table", ["faults.md", "security.md"])
def test_every_trial_that_is_named_exists(table: str) -> None:
    for name, rest in rows_of(table).items():
        trials = TRIAL.findall(rest)

        assert trials, f"{name} names no trial"
        assert [trial for trial in trials if not is_there(trial)] == [], name


@pytest.mark.parametrize("trial", ["budgets/tests/no.py", f"{__name__.replace('.', '/')}.py::no"])
def test_one_that_does_not_exist_is_noticed(trial: str) -> None:
    assert not is_there(trial)
