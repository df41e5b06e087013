"""Which campaigns may run now, and a version that is another one whenever these may be others.

What is active moves only together with the log: who writes `is_active` writes a row in the same
transaction. So equal sets of rows mean equal sets of active campaigns. What raw SQL does to a state is
seen here when the full check has logged it, up to 15 minutes later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from django.db import connection

from budgets.models import Campaign, StatusChange, sets
from budgets.models.commit_order import end


def version(brand_ids: Collection[int] | None) -> str:
    """Return a text that differs whenever the active campaigns of these brands (None: all) may differ.

    Two looks at an index. It may differ without need: when any brand's campaign changes, and once more
    when a change is final that committed beside transactions that still ran.
    """
    # Of the rows that one sees: the last below the end (m), and how many lie beyond it (n). Rows never
    # vanish and nothing is added below an end (see `commit_order`), so equal (m, n) mean equal rows:
    # let a later reader see a row more. It lies beyond the earlier end. Either some row lies between
    # the two ends: then m is another. Or none does: then all rows beyond the earlier end lie beyond
    # the later one as well, and n is higher by the new ones.
    log = sets.name_of(StatusChange)
    xid, pk = end(log)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT last.xid, last.id, (SELECT COUNT(*) FROM {log} WHERE (xid, id) > ({xid}, {pk}))"  # noqa: S608  # names of ours
            f" FROM (SELECT 1) AS one LEFT JOIN (SELECT xid, id FROM {log}"
            f" WHERE (xid, id) <= ({xid}, {pk}) ORDER BY xid DESC, id DESC LIMIT 1) AS last ON TRUE"
        )
        numbers = [number or 0 for number in cursor.fetchone()]
    return "-".join([*map(str, numbers), *_digest(brand_ids)])


def serving(brand_ids: Collection[int] | None) -> list[int]:
    """Return the ids of the active campaigns of these brands, or of all (None), in their order.

    Read `version` before it, never after: the list may then be newer than its version, and the next
    question gets another version and the list again. The other way round an old list would stay.
    """
    campaigns = Campaign.objects.active()
    if brand_ids is not None:
        campaigns = campaigns.filter(brand_id__among=brand_ids)
    return list(campaigns.order_by("pk").values_list("pk", flat=True))


def _digest(brand_ids: Collection[int] | None) -> list[str]:
    # Who may see other brands than before has another list, though nothing moved.
    if brand_ids is None:
        return []
    text = ",".join(map(str, sorted(set(brand_ids))))
    return [hashlib.blake2b(text.encode(), digest_size=8).hexdigest()]
