"""What people change: written and decided at once, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from budgets.models import Brand, Campaign
from budgets.services import rollover
from budgets.services.enforcement import Outcome, Trigger, look_at
from budgets.services.queue import BATCH
from budgets.services.transactions import chunks, settle


def save(
    row: Brand | Campaign, *, by: str, now: datetime, changed: Iterable[str] | None = None
) -> Outcome:
    """Store a brand or campaign as `by` edited it, and decide.

    `changed` names the fields that were edited, so that a form opened an hour ago does not undo
    what others changed since; ``None``: all of them.
    """

    def store() -> Outcome:
        if isinstance(row, Brand) and not row._state.adding:
            # First as it was: a new zone must not reach back to a midnight nobody has seen yet.
            rollover.turn(rollover.lock([row.pk], now), now)
        if row._state.adding or changed is None:
            row.save()
        elif names := set(changed):
            row.save(update_fields=names)
        brand_id = row.brand_id if isinstance(row, Campaign) else row.pk
        brands = rollover.lock([brand_id], now)
        return look_at(brands, trigger=Trigger.EDIT, now=now, actor=by)

    return settle(store)


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
