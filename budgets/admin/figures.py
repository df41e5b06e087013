"""Spend against a budget as a line of text over a bar, and the colour of each hold."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from budgets.core.decision import BUDGET_HOLDS, Hold, Purse
from budgets.models.campaign import HOLD_LABELS
from budgets.queries.explain import amount

NEAR = Decimal("0.8")
"""From this share of a budget on, its bar asks for attention."""

HOLD_COLOURS = {
    "": "success",
    **dict.fromkeys((hold.value for hold in BUDGET_HOLDS), "danger"),
    Hold.STALE_SPEND.value: "warning",
    Hold.OUTSIDE_HOURS.value: "info",
    Hold.NOT_STARTED.value: "info",
    Hold.ENDED.value: "info",
    Hold.OPERATOR.value: "primary",
    Hold.BRAND_INACTIVE.value: "primary",
    Hold.UNDECIDED.value: "warning",
}
"""Unfold's badge colours: budgets stop in red, clocks in blue, people in violet."""


def badge(hold: str) -> tuple[str, str]:
    """Return a state for unfold's label column: its colour's key and its words."""
    return hold, HOLD_LABELS.get(hold, hold) if hold else "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Spend against one budget; `width` (0-100) is the drawn part of the bar."""

    spent: Decimal
    budget: Decimal | None
    currency: str
    is_reached: bool

    @property
    def words(self) -> str:
        """The line of text: '105.00 of 100.00 USD'."""
        if self.budget is None:
            return f"{amount(self.spent)} {self.currency}"
        return f"{amount(self.spent)} of {amount(self.budget)} {self.currency}"

    @property
    def share(self) -> Decimal:
        """The share of the budget that is spent; of none, nothing."""
        if self.budget is None:
            return Decimal(0)
        return self.spent / self.budget if self.budget else Decimal(self.is_reached)

    @property
    def level(self) -> str:
        """How the bar is coloured."""
        return "reached" if self.is_reached else "near" if self.share >= NEAR else "calm"

    @property
    def html(self) -> SafeString:
        """The line of text over its bar."""
        if self.budget is None:
            return format_html('<span class="figure">{}</span>', self.words)
        return format_html(
            '<span class="figure">{}<svg class="figure-bar" viewBox="0 0 100 4" '
            'preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" '
            'height="4"/><rect class="{}" width="{}" height="4"/></svg></span>',
            self.words,
            self.level,
            f"{min(max(self.share, Decimal(0)), Decimal(1)) * 100:.1f}",
        )


def today(purse: Purse, currency: str) -> Figure:
    """Return the day's spend against the daily budget."""
    return Figure(
        spent=purse.spent_today,
        budget=purse.daily_budget,
        currency=currency,
        is_reached=purse.day_is_spent,
    )


def this_month(purse: Purse, currency: str) -> Figure:
    """Return the month's spend against the monthly budget."""
    return Figure(
        spent=purse.spent_this_month,
        budget=purse.monthly_budget,
        currency=currency,
        is_reached=purse.month_is_spent,
    )


def html(figure: Figure | None) -> SafeString | None:
    """Draw a figure for a list's cell."""
    return None if figure is None else figure.html
