"""Locks: how long a batch of spend waits while everybody's midnight is processed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import connection

from budgets.management.bench import crew, reference, seed, stage
from budgets.management.bench.events import events, micros
from budgets.management.bench.ingestion import deadlocks_of
from budgets.management.bench.reference import Mismatch
from budgets.management.bench.setting import Setting, judged, milliseconds
from budgets.management.bench.table import Row, Table, percentile, ratio
from budgets.services import ingestion, passes
from budgets.services.ingestion import SpendEvent

BATCH = 100
BATCHES_ALONE = 150
NEW_DAY = seed.MIDNIGHT.date()
AFTER = seed.MIDNIGHT + timedelta(seconds=1)


def measure(setting: Setting) -> Iterator[Table]:
    """Time batches while another process drains midnight, and alone, in the same database."""
    beside: list[float] = []
    alone: list[float] = []
    drained: list[float] = []
    for turn in range(setting.rounds):
        setting.say(f"locks, round {turn + 1}")
        with setting.copy(setting.exhausted()) as name:
            seed.no_full_check_after(seed.MIDNIGHT)
            setting.stage.settle()
            _round(setting, beside, alone, drained)
            with judged("batches beside midnight", "ours"), stage.unlimited():
                reference.verify(AFTER)
                if found := deadlocks_of(name):
                    raise Mismatch(f"there were {found} deadlocks")
    table = Table(
        title=f"batches of {BATCH} events, {setting.campaigns:,} campaigns",
        ratios=["p99 beside/alone"],
        figures=["p50 ms", "p99 ms", "batches"],
        notes=[f"midnight took {max(drained):,.0f} ms beside them; no deadlock"],
    )
    both = {"alone": alone, "while midnight is drained": beside}
    for what, runs in both.items():
        p99 = percentile(runs, 0.99)
        versus = ratio(p99, percentile(alone, 0.99))
        table.rows.append(Row(what, [versus], [percentile(runs, 0.5), p99, float(len(runs))]))
    table.runs = both
    yield table


def _round(setting: Setting, beside: list[float], alone: list[float], drained: list[float]) -> None:
    done: list[SpendEvent] = []
    everybody = range(1, setting.campaigns + 1)

    def one() -> float:
        batch = events(BATCH, everybody, label=f"beside-{len(done)}", day=NEW_DAY)
        done.extend(batch)
        return milliseconds(lambda: ingestion.record(batch, source="beside", now=AFTER))

    with crew.at_work([_drain]) as [worker]:
        connection.ensure_connection()
        while not worker.is_done:
            beside.append(one())
        drained.append(worker.answer())
    alone += [one() for _ in range(BATCHES_ALONE // setting.effort)]
    with judged("batches beside midnight", "ours"):
        reference.verify_ledger("beside", len(done), micros(done))


def _drain() -> float:
    return milliseconds(lambda: passes.check_and_pause(seed.MIDNIGHT))
