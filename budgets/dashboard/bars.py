"""Spend against one budget as a bar, with a mark where even spending would be by now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from budgets.core.decision import reached
from budgets.dashboard.reader import Reader

NEAR = Decimal("0.8")
"""From this share of a budget on, a bar asks for attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Finished words and lengths. `width` and `mark` (0-100) are where it ends and where the plan is.

    `budget` and `percent` are empty where there is no limit. `level` is one of unlimited, calm, near,
    reached.
    """

    spent: str
    budget: str
    currency: str
    percent: str
    width: str
    mark: str
    level: str


def bar(
    reader: Reader,
    currency: str,
    spent: Decimal,
    budget: Decimal | None,
    plan: Decimal | None = None,
    *,
    write: Callable[[Decimal, str], str] | None = None,
) -> Bar:
    """Return the bar of an amount spent of a budget; `plan` is what even spending had spent by now.

    Amounts are written without the sign of the currency, unless `write` writes them.
    """
    write = write or reader.amount
    if budget is None:
        share, level = Decimal(0), "unlimited"
    else:
        share = spent / budget if budget else Decimal(1)
        level = "reached" if reached(spent, budget) else "near" if share >= NEAR else "calm"
    return Bar(
        spent=write(spent, currency),
        budget="" if budget is None else write(budget, currency),
        currency=currency,
        percent="" if budget is None else reader.percent(share),
        width=length(share),
        mark=length(plan / budget) if plan is not None and budget else "",
        level=level,
    )


def length(share: Decimal) -> str:
    """Return how far a bar of this share is drawn, 0 to 100."""
    return f"{min(max(share, Decimal(0)), Decimal(1)) * 100:.2f}"
