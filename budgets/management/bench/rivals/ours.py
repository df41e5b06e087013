"""What the tasks call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from budgets.services import ingestion, passes
from budgets.services.ingestion import SpendEvent


class Ours:
    """The product itself, through the doors' own calls."""

    name = "ours"

    def run_pass(self, now: datetime) -> object:
        """Run the pass of every minute."""
        return passes.check_and_pause(now)

    def record(self, events: Sequence[SpendEvent], *, source: str, now: datetime) -> object:
        """Record a batch."""
        return ingestion.record(events, source=source, now=now)
