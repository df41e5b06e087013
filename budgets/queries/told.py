"""Status changes in words: "Autumn Sale stopped 14:32 Berlin: brand's daily budget reached, …"."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from budgets.core import periods
from budgets.core.decision import Hold
from budgets.models import Brand, Campaign, Cause, StatusChange
from budgets.models.campaign import HOLD_LABELS
from budgets.queries import explain
from budgets.queries.explain import Write, decided_by

PLURAL = {"started": "started", "stopped": "stopped", "stays stopped": "stay stopped"}
"""What several campaigns did."""

STARTED_BY = {
    Cause.SPEND: "a correction of spend made room",
    Cause.SCHEDULE: "its hours began",
    Cause.ROLLOVER: "a new day or month began",
    Cause.EDIT: "edited",
    Cause.OPERATOR: "switched on",
    Cause.SWEEP: "found by the full check",
}
_NEAR_DAYS = {-1: "yesterday ", 0: "", 1: "tomorrow "}
_BY_PEOPLE = frozenset({Cause.EDIT, Cause.OPERATOR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A change in words. Instants are aware; `zone` is the brand's, UTC when that is not known.

    `verb` is what the campaign did, `reason` why, `figures` the spend and the budget that decided, or
    empty. `again_at` is when it runs again by time alone: only while the change is the state in force.
    """

    change: StatusChange
    zone: ZoneInfo
    verb: str
    reason: str
    figures: str
    again_at: datetime | None
    is_in_force: bool

    @property
    def place(self) -> str:
        """The zone in a word: 'Berlin'."""
        return place_of(self.zone)

    def again(self, now: datetime, *, count: int = 1) -> str:
        """Say when it runs again: 'runs again tomorrow 00:00'; empty when time alone does not do it."""
        if self.again_at is None:
            return ""
        return f"{'runs' if count == 1 else 'run'} again {when(self.again_at, self.zone, now)}"

    def sentence(self, now: datetime) -> str:
        """Say all of it in one line of text."""
        said = f"{self.change.campaign.name} {self.verb} {when(self.change.at, self.zone, now)}"
        why = ", ".join(part for part in (self.reason, self.figures) if part)
        again = self.again(now)
        return f"{said} {self.place}: {why}{f'; {again}' if again else ''}"


def tell(changes: Iterable[StatusChange], now: datetime, write: Write | None = None) -> list[Told]:
    """Say changes in words, newest first as they must come, with their campaigns and brands.

    `write` writes amounts, as `explain.decided_by` has it.
    """
    return list(_tell(changes, now, write))


def when(instant: datetime, zone: ZoneInfo, now: datetime) -> str:
    """Write an instant on the clock of `zone`: '14:32', 'tomorrow 00:00', 'Mon 1 Dec, 08:00'."""
    local, today = instant.astimezone(zone), now.astimezone(zone).date()
    clock, days = f"{local:%H:%M}", (local.date() - today).days
    if days in _NEAR_DAYS:
        return f"{_NEAR_DAYS[days]}{clock}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year}, {clock}"


def place_of(zone: ZoneInfo) -> str:
    """Return the zone in a word: 'Berlin' of Europe/Berlin."""
    return zone.key.rpartition("/")[2].replace("_", " ")


def zone_of(brand: Brand) -> ZoneInfo:
    """Return the zone whose calendar counts now; UTC when it is not known."""
    return periods.zone_or_utc(brand.current_timezone)


def _tell(changes: Iterable[StatusChange], now: datetime, write: Write | None) -> Iterator[Told]:
    seen = set[int]()
    # Campaigns of a brand stop together: those that wait for the same begin again together.
    known = dict[Hashable, datetime | None]()
    for change in changes:
        campaign = change.campaign
        is_in_force = campaign.pk not in seen and campaign.hold == change.hold
        seen.add(campaign.pk)
        again_at = None
        if is_in_force and change.hold:
            key = _alike(campaign)
            if key not in known:
                known[key] = explain.explain(campaign, now).runs_again_at
            again_at = known[key]
        yield Told(
            change=change,
            zone=zone_of(campaign.brand),
            verb=_verb(change),
            reason=_reason(change),
            figures=decided_by(change.figures, write) if change.hold else "",
            again_at=again_at,
            is_in_force=is_in_force,
        )


def _alike(campaign: Campaign) -> Hashable:
    """Return what decides when time alone starts a campaign again."""
    if campaign.daily_budget is not None or campaign.monthly_budget is not None:
        return campaign.pk
    return (
        campaign.brand_id,
        campaign.is_enabled,
        campaign.starts_on,
        campaign.ends_on,
        campaign.hours,
    )


def _verb(change: StatusChange) -> str:
    if change.is_active:
        return "started"
    return "stopped" if change.was_active else "stays stopped"


def _reason(change: StatusChange) -> str:
    by = f" by {change.actor}" if change.actor and change.cause in _BY_PEOPLE else ""
    if change.is_active:
        return f"{STARTED_BY[Cause(change.cause)]}{by}"
    words = HOLD_LABELS.get(change.hold, change.hold)
    if change.hold == Hold.OPERATOR:
        return f"paused{by}" if by else words
    return f"{words} (edited{by})" if by else words
