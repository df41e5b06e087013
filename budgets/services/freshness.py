"""When the spend of a brand was last reported: known of those whose spend can become stale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from budgets.models import Brand
from budgets.services.rollover import Moment


def wanting(moments: Mapping[int, Moment]) -> frozenset[int]:
    """Return the brands of which it is kept: hardly any, and only they pay for it."""
    return frozenset(pk for pk, moment in moments.items() if moment.brand.wants_reports)


def note(reports: Mapping[int, datetime], moments: Mapping[int, Moment]) -> None:
    """Note when spend of locked, turned brands was reported; whose was stale is due to be decided.

    What is older than what is known changes nothing, but for an instant that a clock put ahead of us:
    then it is stale earlier than was thought, and due to be decided as well.
    """
    heard: dict[datetime, list[int]] = defaultdict(list)
    for brand_id, instant in reports.items():
        moment = moments[brand_id]
        brand, was_stale = moment.brand, moment.is_stale
        at, known = min(instant, moment.now), brand.last_report_at
        if known is not None and (known < at or known > moment.now):
            brand.last_report_at = at
            brand.is_due = brand.is_due or was_stale or known > moment.now
            heard[at].append(brand_id)
    for at, ids in heard.items():
        Brand.objects.filter(pk__among=ids).write(last_report_at=at)
