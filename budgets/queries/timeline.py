"""A campaign's states on one local day, as the log tells them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from budgets.core.periods import LocalDay
from budgets.models import Campaign, StatusChange

MOST_CHANGES = 500
"""Changes of one campaign on one day that are read: a page is not a feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What the log knows of a day.

    `before` is the change in force when the day began; ``None``: the log begins later. `changes` are
    those of the day, in the log's order, the first `MOST_CHANGES` of them; `is_cut`: there are more.
    """

    day: LocalDay
    before: StatusChange | None
    changes: tuple[StatusChange, ...]
    is_cut: bool

    def running(self, now: datetime) -> tuple[tuple[datetime, datetime], ...]:
        """Return the spans (UTC, the end exclusive) of the day until `now` in which it was active."""
        until = min(self.day.ends_at, now)
        spans: list[tuple[datetime, datetime]] = []
        begun = self.day.starts_at if self.before is not None and self.before.is_active else None
        last = self.day.starts_at
        for change in self.changes:
            # By the order of the log: a clock that went back does not turn it round.
            last = max(last, min(change.at, until))
            if change.is_active and begun is None:
                begun = last
            elif not change.is_active and begun is not None:
                spans.append((begun, last))
                begun = None
        if begun is not None and not self.is_cut:
            spans.append((begun, until))
        return tuple((start, end) for start, end in spans if start < end)


def timeline(campaign: Campaign, day: LocalDay) -> Timeline:
    """Return the states of `campaign` on `day`, in two statements."""
    log = StatusChange.objects.filter(campaign_id=campaign.pk)
    within = log.filter(at__gte=day.starts_at, at__lt=day.ends_at).order_by("pk")
    changes = list(within[: MOST_CHANGES + 1])
    return Timeline(
        day=day,
        before=log.filter(at__lt=day.starts_at).order_by("-pk").first(),
        changes=tuple(changes[:MOST_CHANGES]),
        is_cut=len(changes) > MOST_CHANGES,
    )
