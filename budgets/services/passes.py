"""The periodic jobs: what is uncounted, then what is due, and every quarter of an hour everything."""

from __future__ import annotations

from datetime import datetime, timedelta

from budgets.models import PassRecord
from budgets.services import counting, enforcement, reconciliation

CHECK_AND_PAUSE = "check_and_pause_campaigns"
RESET = "reset_daily_monthly_spend"
FULL_CHECK = "full_check"

FULL_CHECK_EVERY = timedelta(minutes=15)


def check_and_pause(now: datetime) -> dict[str, int]:
    """Count what is uncounted, drain the due brands, and when its time has come check everything."""
    counts = _pass(now)
    counts["corrected"] = full_check(now) if _full_check_is_due(now) else 0
    _remember(CHECK_AND_PAUSE, now, counts)
    return counts


def reset(now: datetime) -> dict[str, int]:
    """Roll the totals of brands whose local day or month is over and reactivate whom that frees.

    What is uncounted is counted first: else a campaign that spent its new day already would start.
    """
    counts = _pass(now)
    _remember(RESET, now, counts)
    return counts


def full_check(now: datetime) -> int:
    """Look at every brand, prove the invariants; return how many states had to be corrected.

    Finds what raw SQL changed in brands and campaigns, and what must not be: a total that drifted.
    """
    corrected = enforcement.sweep(now).changes
    # The sweep calls every brand well that can be decided; whose spend cannot be counted is named
    # again here. Where nothing waits, that is one look at an empty index.
    counting.count_uncounted(now)
    findings = {finding.code: finding.count for finding in reconciliation.check()}
    _remember(FULL_CHECK, now, {"corrected": corrected, **findings})
    return corrected


def _pass(now: datetime) -> dict[str, int]:
    counted = counting.count_uncounted(now)
    outcome = counted.outcome + enforcement.drain(now)
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


def _remember(name: str, now: datetime, counts: dict[str, int]) -> None:
    PassRecord.objects.update_or_create(name=name, defaults={"at": now, "counts": counts})
