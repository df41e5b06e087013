"""Thresholds as people write them, and time that counts as running."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from budgets.core import alerts
from budgets.core.alerts import Change, InvalidThresholds
from budgets.tests.builders import NOW


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("50 80 90 100", "50 80 90 100"),
        (" 100%, 50 %,80,80\t90 ", "50 80 90 100"),
        ("120", "120"),
        ("", ""),
        (" , % ", ""),
        ("1 500", "1 500"),
        ("007 0500", "7 500"),
        ("1 2 3 4 5 6 7 8 9 10", "1 2 3 4 5 6 7 8 9 10"),
    ],
)
def test_thresholds_have_one_form(text: str, stored: str) -> None:
    assert alerts.canonical(text) == stored
    assert alerts.canonical(stored) == stored


@pytest.mark.parametrize(
    "text", ["0", "501", "-50", "50.5", "fifty", "\u0665\u0660", "1e2", "50;80", "00500", "9" * 99]
)
def test_what_is_no_threshold_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(InvalidThresholds, match="whole percent from 1 to 500"):
        alerts.parse_thresholds(text)


def test_a_refusal_quotes_the_beginning_of_what_was_typed() -> None:
    with pytest.raises(InvalidThresholds, match=f"'{'x' * 20}' is no threshold"):
        alerts.parse_thresholds("x" * 99)


def test_more_than_ten_are_refused() -> None:
    with pytest.raises(InvalidThresholds, match="10 are the most"):
        alerts.parse_thresholds(" ".join(map(str, range(1, 12))))


@pytest.mark.parametrize(
    ("spent", "budget", "passed"),
    [
        ("79.999999", "100", [50]),
        ("80", "100", [50, 80]),
        ("100", "100", [50, 80, 100]),
        ("0.000001", "0.000002", [50]),
        ("0", "0", []),
        ("-5", "0", []),
        ("0.01", "0", [50, 80, 100]),
        ("5", None, []),
    ],
)
def test_a_threshold_is_inclusive_to_the_last_millionth(
    spent: str, budget: str | None, passed: list[int]
) -> None:
    limit = None if budget is None else Decimal(budget)

    assert alerts.passed(Decimal(spent), limit, (50, 80, 100)) == passed


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


@pytest.mark.parametrize(
    ("changes", "running"),
    [
        ([], 10),
        ([(4, True)], 4),
        ([(8, False), (3, True)], 5),
        ([(9, True), (7, False), (2, True)], 4),
        ([(9, False), (8, True), (6, False), (3, True)], 6),
        # The same state again, as a log that raw SQL broke could have it.
        ([(9, True), (6, True)], 9),
        # Or one whose last change the caller did not expect.
        ([(4, False)], 6),
    ],
)
def test_only_time_in_which_it_ran_counts(changes: list[tuple[int, bool]], running: int) -> None:
    log = [Change(NOW - hours(ago), is_active) for ago, is_active in changes]

    assert alerts.running_time(log, NOW - hours(10), NOW) == hours(running)
