"""What can be a primary key."""

from __future__ import annotations

import pytest

from budgets.core.primary_keys import LARGEST_KEY, is_key


@pytest.mark.parametrize("text", ["1", "42", "0007", "9" * 18])
def test_digits_that_fit_are_a_key(text: str) -> None:
    assert is_key(text)
    assert int(text) <= LARGEST_KEY


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1_000", "\u0663", "\u00b2", "9" * 19, "x"])
def test_what_no_database_takes_for_one_is_none(text: str) -> None:
    assert not is_key(text)
