"""What people change: written and decided at once, in one transaction."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from budgets.models import Brand, Campaign
from budgets.services import rollover
from budgets.services.enforcement import Outcome, Trigger, look_at
from budgets.services.queue import BATCH
from budgets.services.transactions import chunks, settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field that is not what the editor saw."""

    field: str
    seen: Any
    found: Any


class ChangedMeanwhile(Exception):
    """Somebody else changed what is edited, after the editor looked; nothing was written."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        super().__init__(", ".join(one.field for one in differences))
        self.differences = differences


def save(
    row: Brand | Campaign,
    *,
    by: str,
    now: datetime,
    changed: Iterable[str] | None = None,
    seen: Mapping[str, Any] | None = None,
) -> Outcome:
    """Store a brand or campaign as `by` edited it, and decide.

    `changed` names the fields that were edited, so that a form opened an hour ago does not undo
    what others changed since; ``None``: all of them. `seen` are fields as the editor saw them:
    raises `ChangedMeanwhile` when one is not so any more.
    """
    names = None if changed is None else set(changed)
    return settle(lambda: _store(row, names, seen or {}, by, now))


def preview(
    row: Brand | Campaign, *, by: str, now: datetime, changed: Iterable[str] | None = None
) -> Outcome:
    """Return what `save` would do to an existing row: by doing it and taking it back.

    So no rule is written twice, and the answer is right to the last campaign. Log rows and webhooks
    are taken back as well, and nobody ever sees them; ids that they took stay unused. The brand is
    locked for as long as a save would lock it: its spend waits that long, and on SQLite, which has
    one lock, everybody's; readers of the log are told of nothing newer until then.
    """
    names = None if changed is None else set(changed)

    def rehearse() -> Outcome:
        # A copy: what saving notes on the row did not happen.
        outcome = _store(copy.copy(row), names, {}, by, now)
        transaction.set_rollback(True)
        return outcome

    return settle(rehearse)


def _store(
    row: Brand | Campaign,
    names: set[str] | None,
    seen: Mapping[str, Any],
    by: str,
    now: datetime,
) -> Outcome:
    if not row._state.adding:
        brands = rollover.lock([_brand_id(row)], now)
        if isinstance(row, Brand):
            # First as it was: a new zone must not reach back to a midnight nobody has seen yet.
            rollover.turn(brands, now)
        _refuse_changed(row, seen)
    if row._state.adding or names is None:
        row.save()
    elif names:
        row.save(update_fields=names)
    brands = rollover.lock([_brand_id(row)], now)
    return look_at(brands, trigger=Trigger.EDIT, now=now, actor=by)


def _brand_id(row: Brand | Campaign) -> int:
    return row.brand_id if isinstance(row, Campaign) else row.pk


def _refuse_changed(row: Brand | Campaign, seen: Mapping[str, Any]) -> None:
    """Raise `ChangedMeanwhile` where a locked row differs from what was `seen`."""
    if not seen:
        return
    stored = type(row)._default_manager.filter(pk=row.pk).values(*seen).get()
    differences = [
        Difference(field=name, seen=value, found=stored[name])
        for name, value in seen.items()
        if stored[name] != value
    ]
    if differences:
        raise ChangedMeanwhile(differences)


def set_enabled(campaign_ids: Iterable[int], enabled: bool, *, by: str, now: datetime) -> int:  # noqa: FBT001  # the switch's two positions
    """Set the operator's switch of campaigns and decide; return how many it changed."""
    by_brand: dict[int, list[int]] = defaultdict(list)
    rows = Campaign.objects.filter(pk__among=list(campaign_ids)).exclude(is_enabled=enabled)
    for pk, brand_id in rows.values_list("pk", "brand_id"):
        by_brand[brand_id].append(pk)
    switched = 0
    for brand_ids in chunks(sorted(by_brand), BATCH):
        ids = [pk for brand_id in brand_ids for pk in by_brand[brand_id]]

        def switch(brand_ids: Sequence[int] = brand_ids, ids: list[int] = ids) -> int:
            brands = rollover.lock(brand_ids, now)
            still = Campaign.objects.filter(pk__among=ids).exclude(is_enabled=enabled)
            count = still.write(is_enabled=enabled)
            look_at(brands, trigger=Trigger.EDIT, now=now, actor=by)
            return count

        switched += settle(switch)
    return switched
