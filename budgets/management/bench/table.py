"""What was measured, as an aligned table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Number = float | None
"""``None``: not measured here."""
NOT_MEASURED = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: ratios first, absolute figures second, in the order of the table's columns."""

    what: str
    ratios: Sequence[Number]
    figures: Sequence[Number]


@dataclass(slots=True)
class Table:
    """The figures of one measure, and the single runs their medians came from."""

    title: str
    ratios: Sequence[str]
    figures: Sequence[str]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    runs: dict[str, list[float]] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield it as aligned text."""
        head = [self.title, *self.ratios, *self.figures]
        body = [
            [row.what, *map(_ratio, row.ratios), *map(_figure, row.figures)] for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        for cells in (head, *body):
            first, *others = cells
            aligned = [f"{cell:>{wide}}" for cell, wide in zip(others, widths[1:], strict=True)]
            yield "   ".join([f"{first:<{widths[0]}}", *aligned]).rstrip()
        for note in self.notes:
            yield f"  {note}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it; runs are milliseconds unless their name says otherwise."""
        names = [*self.ratios, *self.figures]
        return {
            "title": self.title,
            "rows": [
                {
                    "what": row.what,
                    **dict(zip(names, [*row.ratios, *row.figures], strict=True)),
                }
                for row in self.rows
            ],
            "notes": self.notes,
            "runs": self.runs,
        }


def ratio(one: Number, other: Number) -> Number:
    """Return how many times `other` goes into `one`; ``None`` when either was not measured."""
    return None if one is None or not other else one / other


def median(runs: Sequence[float] | None) -> Number:
    """Return the median; ``None`` of nothing."""
    return statistics.median(runs) if runs else None


def percentile(runs: Sequence[float], share: float) -> float:
    """Return the smallest run that is at least as long as `share` of all."""
    ordered = sorted(runs)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _ratio(number: Number) -> str:
    return NOT_MEASURED if number is None else f"{_figure(number)}x"


def _figure(number: Number) -> str:
    if number is None:
        return NOT_MEASURED
    size = abs(number)
    decimals = 0 if size >= 100 or number == int(number) else 1 if size >= 10 else 2
    return f"{number:,.{3 if 0 < size < 0.1 else decimals}f}"
