"""`/metrics`: what health knows, and how much there is to do, as Prometheus reads it.

Most of it is read from the database when somebody asks, so that it is the same whichever process
answers, and costs nothing while nobody does. Only what the database does not know afterwards is counted
by the processes themselves: see `budgets.services.meters`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error
from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from budgets.core.decision import Hold
from budgets.health import checks
from budgets.health.checks import Check, Report, Status
from budgets.models.status_change import Cause
from budgets.queries import dashboard, load
from budgets.services import meters
from budgets.services.access import EVERYTHING, NOTHING
from budgets.services.passes import MILLISECONDS
from budgets.services.reconciliation import INVARIANTS

logger = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "budget_guardian_"
LATELY = timedelta(minutes=5)

LEVELS = {Status.OK: 0, Status.WARN: 1, Status.FAIL: 2}
EVENTS = {
    (True, False): "paused",
    (False, True): "resumed",
    (False, False): "hold_changed",
}
"""What a change of state is called, as in webhooks: by whether it was active, and is."""


def write(now: datetime, *, moment: float) -> bytes:
    """Return all metrics at `now`; `moment` is of the monotonic clock, in seconds.

    With a database that does not answer they say that it does not, and no more.
    """
    return generate_latest(_Now(now, moment))


@dataclass(frozen=True, slots=True)
class _Now:
    """Everything, as the library wants to be given it."""

    now: datetime
    moment: float

    def collect(self) -> Iterator[Metric]:
        # No names of brands, and no waiting for workers: the verdict is the same.
        report = checks.examine(self.now, sight=NOTHING, ask_workers=False)
        yield from _health(report)
        yield from _numbers({check.key: check for check in report.checks})
        if report.checks[0].status is not Status.FAIL:
            yield from _loads(self.now, self.moment)
        yield from meters.collected()


def _health(report: Report) -> Iterator[Metric]:
    yield _gauge("healthy", "Whether /health/ is green: 1, or 0.", [({}, int(report.is_ok))])
    yield _gauge(
        "health_check_level",
        "Each line of /health/: 0 ok, 1 warn, 2 fail.",
        [({"check": check.key}, LEVELS[check.status]) for check in report.checks],
    )


def _numbers(parts: Mapping[str, Check]) -> Iterator[Metric]:
    """Say what the checks found, in numbers; what could not be read is left out."""
    yield from _passes(parts)
    yield from _ledger(parts)
    yield _gauge(
        "uncounted_rows",
        "Rows of the ledger that are in no total though their day has come, up to 10,000.",
        _found(parts, "uncounted", "rows"),
    )
    yield _gauge(
        "uncounted_oldest_seconds",
        "For how long the oldest of them waits; 0: there is none.",
        _found(parts, "uncounted", "oldest_seconds"),
    )
    yield _gauge(
        "webhook_pending_deliveries",
        "Deliveries to be sent, those that wait for their next attempt included, up to 10,000.",
        _found(parts, "webhooks", "pending"),
    )
    yield _gauge(
        "webhook_overdue_deliveries",
        "Deliveries that should have been sent 15 minutes ago, up to 10,000.",
        _found(parts, "webhooks", "overdue"),
    )
    yield _gauge(
        "webhook_overdue_oldest_seconds",
        "For how long the oldest of them is due; 0: there is none.",
        _found(parts, "webhooks", "oldest_seconds"),
    )


def _passes(parts: Mapping[str, Check]) -> Iterator[Metric]:
    tasks = _value(parts, "passes")
    found = {task: value for task, value in tasks.items() if isinstance(value, Mapping)}
    counts = {task: value["counts"] for task, value in found.items() if value["counts"]}
    done = {task: value for task, value in found.items() if value["age_seconds"] is not None}
    yield _gauge(
        "pass_age_seconds",
        "Since the last run that came to its end began; a task that never ran is left out.",
        [({"task": task}, value["age_seconds"]) for task, value in done.items()],
    )
    yield _gauge(
        "pass_patience_seconds",
        "From which age on it is late: three intervals of its schedule.",
        [({"task": task}, value["red_after_seconds"]) for task, value in found.items()],
    )
    yield _gauge(
        "pass_duration_seconds",
        "How long the last run took.",
        [
            ({"task": task}, count[MILLISECONDS] / 1000)
            for task, count in counts.items()
            if MILLISECONDS in count
        ],
    )
    yield _gauge(
        "pass_moved_campaigns",
        "Campaigns that the last run paused or resumed.",
        [
            ({"task": task, "event": event}, count.get(event, 0))
            for task, count in counts.items()
            for event in ("paused", "resumed")
        ],
    )
    yield _gauge(
        "pass_brands",
        "Brands that the last run decided.",
        [({"task": task}, count.get("brands", 0)) for task, count in counts.items()],
    )


def _ledger(parts: Mapping[str, Check]) -> Iterator[Metric]:
    found = _value(parts, "full_check")
    yield _gauge(
        "full_check_age_seconds",
        "Since the last full check that came to its end began.",
        _found(parts, "full_check", "age_seconds"),
    )
    yield _gauge(
        "full_check_corrected_campaigns",
        "Campaigns whose state it corrected: somebody wrote past the services.",
        _found(parts, "full_check", "corrected"),
    )
    yield _gauge(
        "invariant_violations",
        "Rows of the last full check that must not be, by invariant.",
        [({"invariant": code}, _number(found.get(code))) for code in INVARIANTS] if found else [],
    )


def _loads(now: datetime, moment: float) -> Iterator[Metric]:
    try:
        due, log = load.due_brands(now), load.log(now - LATELY)
        holds = dashboard.kept_campaigns_by_hold(EVERYTHING, moment)
    except Error as error:
        logger.warning("metrics cannot be read: %s", error)
        return
    yield _gauge("due_brands", "Brands that wait for a pass, up to 10,000.", [({}, due)])
    yield _gauge(
        "campaigns",
        "Campaigns by what holds them; active: nothing.",
        [({"hold": hold or "active"}, holds.get(hold, 0)) for hold in ("", *Hold)],
    )
    counts = {(row.cause, EVENTS[row.was_active, row.is_active]): row.count for row in log.recent}
    yield _gauge(
        "recent_status_changes",
        "Changes of state in the last five minutes, among the newest 10,000, by cause and event.",
        [
            ({"cause": cause, "event": event}, counts.get((cause, event), 0))
            for cause in Cause.values
            for event in EVENTS.values()
        ],
    )
    yield CounterMetricFamily(
        f"{PREFIX}status_changes",
        "Numbers given to changes of state; one that was rolled back leaves a gap.",
        value=log.newest,
    )


def _gauge(
    name: str, words: str, samples: Iterable[tuple[Mapping[str, str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}{name}", words)
    for labels, value in samples:
        family.add_sample(f"{PREFIX}{name}", dict(labels), value)
    return family


def _value(parts: Mapping[str, Check], key: str) -> Mapping[str, object]:
    return parts[key].value if key in parts else {}


def _found(
    parts: Mapping[str, Check], key: str, name: str
) -> list[tuple[Mapping[str, str], float]]:
    value = _value(parts, key)
    return [({}, _number(value[name]))] if name in value else []


def _number(value: object) -> float:
    """Return a value of a check as a number; of what is not there, zero."""
    return value if isinstance(value, int | float) else 0
