"""The periodic jobs: what is uncounted, then what is due, and every quarter of an hour everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection

from budgets.models import Brand, PassRecord
from budgets.services import counting, queue, reconciliation, retention

CHECK_AND_PAUSE = "check_and_pause_campaigns"
RESET = "reset_daily_monthly_spend"
FULL_CHECK = "full_check"
PROVEN_LOG = "proven_log"
"""Up to where the chain of the log was proven: each full check goes on from there."""

MILLISECONDS = "milliseconds"
"""How long a run took, among its counts."""

BRANDS_A_HELPER = 2000
"""Due brands for which another worker is worth asking: about a second's work."""
MOST_HELPERS = 3

FULL_CHECK_EVERY = timedelta(minutes=15)


def check_and_pause(now: datetime, elapsed: Callable[[], int] | None = None) -> dict[str, int]:
    """Count what is uncounted, drain the due brands; when its time has come check and tidy up.

    `elapsed` is the door's stopwatch, in milliseconds since `now`: kept on record beside the counts.
    """
    counts = _pass(now)
    counts["corrected"] = counts["forgotten"] = 0
    # Before the full check: one that fails must not look like passes that stand still.
    _remember(CHECK_AND_PAUSE, now, counts, elapsed)
    if _full_check_is_due(now):
        counts["corrected"] = full_check(now)
        counts["forgotten"] = retention.prune(now)
        _remember(CHECK_AND_PAUSE, now, counts, elapsed)
    return counts


def reset(now: datetime, elapsed: Callable[[], int] | None = None) -> dict[str, int]:
    """Roll the totals of brands whose local day or month is over and reactivate whom that frees.

    What is uncounted is counted first: else a campaign that spent its new day already would start.
    """
    counts = _pass(now)
    _remember(RESET, now, counts, elapsed)
    return counts


def help_wanted(now: datetime) -> int:
    """Return how many more workers could drain the queue beside the one that asks."""
    if not connection.features.has_select_for_update_skip_locked:
        return 0  # one writer at a time: helpers would wait for each other
    due = Brand.objects.due(at=now)[: BRANDS_A_HELPER * (MOST_HELPERS + 1)].count()
    return max(due // BRANDS_A_HELPER - 1, 0)


def help_drain(now: datetime) -> dict[str, int]:
    """Drain due brands beside a pass, which is none itself: what remains is the pass's."""
    outcome = queue.drain(now)
    return {"brands": outcome.brands, "changes": outcome.changes}


def full_check(now: datetime) -> int:
    """Look at every brand, prove the invariants; return how many states had to be corrected.

    Finds what raw SQL changed in brands and campaigns, and what must not be: a total that drifted.
    """
    corrected = queue.sweep(now).changes
    proven = PassRecord.objects.filter(name=PROVEN_LOG).first()
    newest = reconciliation.newest_change()
    findings = reconciliation.check(log_after=proven.counts["id"] if proven else 0)
    _remember(FULL_CHECK, now, {"corrected": corrected, **{it.code: it.count for it in findings}})
    # A break is told once: nobody can mend a log, and health must turn green again by itself.
    _remember(PROVEN_LOG, now, {"id": newest})
    return corrected


def _pass(now: datetime) -> dict[str, int]:
    counted = counting.count_uncounted(now)
    outcome = counted.outcome + queue.drain(now)
    return {
        "counted": counted.rows,
        "brands": outcome.brands,
        "rolled": outcome.rolled,
        "paused": len(outcome.paused),
        "resumed": len(outcome.resumed),
        "changes": outcome.changes,
        "troubled": outcome.troubled,
    }


def _full_check_is_due(now: datetime) -> bool:
    last = PassRecord.objects.filter(name=FULL_CHECK).first()
    # A record from the future: the clock went back, and what was decided then may not hold now.
    return last is None or not timedelta(0) <= now - last.at < FULL_CHECK_EVERY


def _remember(
    name: str,
    now: datetime,
    counts: dict[str, int],
    elapsed: Callable[[], int] | None = None,
) -> None:
    if elapsed is not None:
        counts = {**counts, MILLISECONDS: elapsed()}
    PassRecord.objects.update_or_create(name=name, defaults={"at": now, "counts": counts})
