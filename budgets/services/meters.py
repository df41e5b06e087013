"""What web processes count while they work: what the database does not know afterwards.

A count is an addition in memory, or in the process's own mapped file where several processes answer
(`PROMETHEUS_MULTIPROC_DIR`, which the web server sets). No statement, no lock of the database.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from budgets.services.ingestion import Answer

# Several processes could only give each its own.
prometheus_client.disable_created_metrics()

OURS = CollectorRegistry()

EVENTS = Counter(
    "budget_guardian_spend_events",
    "Events and rows of spend that the API answered, by outcome.",
    ["outcome"],
    registry=OURS,
)
UNAVAILABLE = Counter(
    "budget_guardian_unavailable_requests",
    "Requests that the API answered with 503, because the database failed or has no room.",
    registry=OURS,
)
PAUSE_SECONDS = Histogram(
    "budget_guardian_spend_pause_seconds",
    "From the arrival of spend at the API until the pauses that it caused were committed.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=OURS,
)

# By name once: looking a label up costs more than adding to it. And what is zero is said as well.
_by_outcome = {answer.value: EVENTS.labels(answer.value) for answer in Answer}


def count(totals: Mapping[str, int]) -> None:
    """Add how many events got each answer."""
    for outcome, number in totals.items():
        if number:
            _by_outcome[outcome].inc(number)


def collected() -> Iterable[Metric]:
    """Return what all processes counted that share a directory; else what this one did."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not directory:
        return OURS.collect()
    collector = MultiProcessCollector(None, directory)
    return list(collector.collect())
