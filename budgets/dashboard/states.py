"""Active, or why not: the words, the kind and the shape of a campaign's state on every page."""

from __future__ import annotations

from dataclasses import dataclass

from budgets.core.decision import Hold
from budgets.models.campaign import HOLD_LABELS
from budgets.queries.dashboard import RUNNING

KINDS = {
    Hold.BRAND_MONTHLY_BUDGET: "budget",
    Hold.BRAND_DAILY_BUDGET: "budget",
    Hold.CAMPAIGN_MONTHLY_BUDGET: "budget",
    Hold.CAMPAIGN_DAILY_BUDGET: "budget",
    Hold.STALE_SPEND: "unknown",
    Hold.OUTSIDE_HOURS: "time",
    Hold.NOT_STARTED: "time",
    Hold.ENDED: "time",
    Hold.OPERATOR: "person",
    Hold.BRAND_INACTIVE: "person",
    Hold.UNDECIDED: "unknown",
}
"""What holds a campaign, in the order shown: each kind has its colour and its shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Active, or why not."""

    words: str
    kind: str


def state_of(hold: str) -> State:
    """Return the state of a campaign with this `hold`; empty: it is active."""
    if not hold:
        return State(words="active", kind=RUNNING)
    return State(words=HOLD_LABELS[hold], kind=KINDS[Hold(hold)])
