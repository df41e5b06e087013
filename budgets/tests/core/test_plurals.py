"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from budgets.core.plurals import counted


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (2000, "2,000 rows")]
)
def test_a_number_stands_with_its_noun(count: int, words: str) -> None:
    assert counted(count, "row") == words
