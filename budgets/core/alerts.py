"""What is worth an alert: thresholds of a budget that are passed, and running time without spend."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

DEFAULT_THRESHOLDS = "50 80 90 100"
LOWEST, HIGHEST, MOST = 1, 500, 10
"""Of thresholds: whole percent of a budget, and how many a brand may have."""


class InvalidThresholds(ValueError):
    """What was written is no list of thresholds; the message says what would be right."""


class Change(NamedTuple):
    """A change of a campaign's state, as the log has it."""

    at: datetime
    is_active: bool


def parse_thresholds(text: str) -> tuple[int, ...]:
    """Return thresholds in whole percent, rising, each once; commas and percent signs are allowed.

    None for an empty text. Raises `InvalidThresholds` with words for people.
    """
    words = text.replace(",", " ").replace("%", " ").split()
    found = set()
    for word in words:
        is_number = word.isascii() and word.isdigit() and len(word) <= 4
        if not is_number or not LOWEST <= int(word) <= HIGHEST:
            raise InvalidThresholds(
                f"{word[:20]!r} is no threshold; write whole percent from {LOWEST} to {HIGHEST}, such "
                f"as {DEFAULT_THRESHOLDS}, or nothing for no alerts"
            )
        found.add(int(word))
    if len(found) > MOST:
        raise InvalidThresholds(f"These are {len(found)} thresholds; {MOST} are the most")
    return tuple(sorted(found))


def canonical(text: str) -> str:
    """Write thresholds the one way in which they are stored: '50 80 90 100'."""
    return " ".join(map(str, parse_thresholds(text)))


def passed(spent: Decimal, budget: Decimal | None, thresholds: Iterable[int]) -> list[int]:
    """Return those of `thresholds` (percent) that `spent` has reached, inclusive, exactly.

    Of nothing spent none: a budget of zero is a switch, and no news.
    """
    if budget is None or spent <= 0:
        return []
    return [percent for percent in thresholds if spent * 100 >= budget * percent]


def running_time(changes: Sequence[Change], since: datetime, until: datetime) -> timedelta:
    """Return how long a campaign that is active at `until` was so since `since`.

    `changes` of its state after `since`, oldest first; before the first it was in the other state.
    """
    total = timedelta(0)
    begun: datetime | None = since if not changes or not changes[0].is_active else None
    for change in changes:
        if not change.is_active and begun is not None:
            total += change.at - begun
            begun = None
        elif change.is_active and begun is None:
            begun = change.at
    return total + (max(until - begun, timedelta(0)) if begun is not None else timedelta(0))
