"""One look at everything that is worth an alert. A second one tells nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from budgets.models import Alert, AlertKind, PassRecord
from budgets.services.alerts import raising, silence, stale, thresholds
from budgets.services.alerts.raising import News
from budgets.services.transactions import chunks

RAISE = "raise_alerts"
"""The name of the periodic job, and of its record."""

KEPT = {
    # Twice as long as a month lasts. A hundred thousand brands pass a few hundred thousand a day.
    AlertKind.THRESHOLD: timedelta(days=62),
    # A silence is told once, however long it lasts.
    AlertKind.SILENT: timedelta(days=400),
    AlertKind.REPORTS_STALE: timedelta(days=400),
    AlertKind.PASSES_STALE: timedelta(days=400),
}
PRUNED = 2000
"""Alerts of a kind that a run deletes at most: faster than they come."""


def look(now: datetime, patience: Mapping[str, timedelta]) -> dict[str, int]:
    """Raise what should be told by now and was not; return counts.

    `patience`: how long each job of the passes may stay away. May run several times at once.
    """
    counts = {"thresholds": 0, "silent": 0, "stale": 0, "passes": 0}
    counts["passes"] = raising.write(_stale_passes(now, patience), now)
    for news in thresholds.found(now):
        counts["thresholds"] += raising.write(news, now)
    for news in stale.found(now):
        counts["stale"] += raising.write(news, now)
    for piece in chunks(_by_topic(silence.found(now))):
        counts["silent"] += raising.write([one for topic in piece for one in topic], now)
    _prune(now)
    PassRecord.objects.update_or_create(name=RAISE, defaults={"at": now, "counts": counts})
    return counts


def _stale_passes(now: datetime, patience: Mapping[str, timedelta]) -> list[News]:
    """Return the jobs that stay away while this one runs: if nothing runs, only health can tell.

    Those that were late already when we looked last: after a restart everything is late for a moment.
    """
    records = {it.name: it.at for it in PassRecord.objects.filter(name__in=[RAISE, *patience])}
    looked = records.get(RAISE)
    if looked is None:
        return []
    return [
        News(
            kind=AlertKind.PASSES_STALE,
            period=f"{name} {records[name]:%Y-%m-%dT%H:%M:%S}",
            topic=("passes",),
            weight=-place,
            figures={"pass": name, "last_completed_at": records[name].isoformat()},
        )
        for place, (name, allowed) in enumerate(patience.items())
        if name in records and allowed < looked - records[name] < now - records[name]
    ]


def _by_topic(news: list[News]) -> list[list[News]]:
    topics: dict[tuple[object, ...], list[News]] = {}
    for one in news:
        topics.setdefault(one.topic, []).append(one)
    return list(topics.values())


def _prune(now: datetime) -> None:
    """Delete alerts that are too old to matter, some at a time; the lowest keys are the oldest."""
    for kind, kept in KEPT.items():
        oldest = Alert.objects.filter(kind=kind).order_by("pk")
        if old := [
            pk
            for pk, raised_at in oldest.values_list("pk", "raised_at")[:PRUNED]
            if raised_at < now - kept
        ]:
            Alert.objects.filter(pk__among=old).delete()
