"""A program that follows the feed."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Literal

from budgets.models import StatusChange
from budgets.queries import feed
from budgets.tests.waiting import until


class Reader:
    """Reads on from where it was; keeps all that it was told, in the order in which it was told."""

    def __init__(
        self,
        after: feed.Cursor | Literal["now"] | None = None,
        *,
        limit: int = 100,
        brand_ids: Collection[int] | None = None,
    ) -> None:
        self._limit = limit
        self._brand_ids = brand_ids
        self.seen: list[int] = []
        self.after = after
        if after == "now":
            self.after = feed.changes("now", limit, brand_ids).cursor

    def poll(self) -> list[int]:
        """Read up to the present end; return the keys of what was told."""
        told: list[int] = []
        has_more = True
        while has_more:
            page = feed.changes(self.after, self._limit, self._brand_ids)
            told += [change.pk for change in page.changes]
            # As a program keeps it: as text.
            self.after, has_more = feed.Cursor.parse(str(page.cursor)), page.has_more
        self.seen += told
        return told

    def until_told(self, *keys: int) -> None:
        """Return when these were told: others may write on the same server, and hold the feed back."""
        until(lambda: self.poll() is not None and set(keys) <= set(self.seen))


def until_all_is_final() -> None:
    """Return when the feed tells all that is committed."""
    keys = list(StatusChange.objects.values_list("pk", flat=True))
    Reader(limit=1000).until_told(*keys)


def assert_told_once_and_in_sequence(reader: Reader) -> None:
    """Nothing is missed, nothing comes twice, and each campaign's changes follow each other."""
    assert sorted(reader.seen) == list(
        StatusChange.objects.order_by("pk").values_list("pk", flat=True)
    )
    rows = StatusChange.objects.in_bulk(reader.seen)
    told: dict[int, list[StatusChange]] = {}
    for pk in reader.seen:
        told.setdefault(rows[pk].campaign_id, []).append(rows[pk])
    for changes in told.values():
        assert all(one.hold == other.old_hold for one, other in pairwise(changes))
