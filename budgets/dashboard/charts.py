"""Charts as finished values: what is drawn, and the table beside it that says the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from budgets.dashboard.reader import Reader

Kind = Literal["bar", "line", "plan", "projection", "limit"]
"""How a series is drawn: money spent as bars or a line, what was planned, what is foreseen, a budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Amounts in the chart's currency, one for each label; ``None``: nothing is drawn there."""

    name: str
    kind: Kind
    amounts: Sequence[Decimal | None]


def until(amounts: Iterable[Decimal], here: int) -> list[Decimal | None]:
    """Return what is drawn of amounts that are known up to the place `here`, and nothing after it."""
    return [amount if place <= here else None for place, amount in enumerate(amounts)]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart. `key` is unique on its page; `summary` is the sentence for who cannot see it.

    `marked` is the place of the label that is now. A `is_small` one has no axes and no legend.
    """

    key: str
    title: str
    summary: str
    heading: str
    labels: Sequence[str]
    series: Sequence[Series]
    currency: str
    reader: Reader
    marked: int | None = None
    is_small: bool = False

    @property
    def data_id(self) -> str:
        """The id of the element with `data`."""
        return f"{self.key}-data"

    @property
    def data(self) -> dict[str, Any]:
        """What the script draws: floats, for nothing but drawing, beside the words for tooltips."""
        return {
            "labels": list(self.labels),
            "locale": str(self.reader.locale).replace("_", "-"),
            "marked": self.marked,
            "small": self.is_small,
            "series": [
                {
                    "name": series.name,
                    "kind": series.kind,
                    "values": [None if each is None else float(each) for each in series.amounts],
                    "words": words,
                }
                for series, words in zip(self.series, self.words, strict=True)
            ],
        }

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """The table: each label with the words of every series."""
        return [
            (label, [column[place] for column in self.words])
            for place, label in enumerate(self.labels)
        ]

    @cached_property
    def words(self) -> list[list[str]]:
        """What each series says, label by label. Both of the above ask, and a hundred cost 10 ms."""
        return [[self._words(each) for each in series.amounts] for series in self.series]

    def _words(self, amount: Decimal | None) -> str:
        return "" if amount is None else self.reader.amount(amount, self.currency)
