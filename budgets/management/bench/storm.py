"""Storm: web, worker and beat writing to one SQLite file at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.db import OperationalError

from budgets.management.bench import crew, reference, seed, stage
from budgets.management.bench.events import events, in_batches, micros
from budgets.management.bench.reference import Mismatch
from budgets.management.bench.setting import Setting, judged
from budgets.management.bench.table import Row, Table, percentile
from budgets.models import Brand
from budgets.services import editing, ingestion, passes, reconciliation

BATCH = 10
PASS_EVERY = 0.2
BEAT_EVERY = 0.1
EDIT_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class Log:
    """What one process saw: how long its transactions took, and how many were refused."""

    who: str
    taken: list[float]
    locked: int
    rows: int = 0
    micros: int = 0


Step = Callable[[int, datetime], tuple[int, int]]
"""One transaction: its number, the instant; returns the rows it recorded and their sum."""


def measure(setting: Setting) -> Iterator[Table]:
    """Let five processes write for some seconds; nobody may be told that the database is locked."""
    setting.say(f"storm: five writers for {setting.seconds:.0f} s")
    with setting.copy(setting.seed(setting.small)):
        jobs: list[Callable[[], Log]] = [
            partial(_work, setting.seconds, "spend", 0.0, partial(_spend, name, setting.small))
            for name in ("one", "two")
        ]
        jobs += [
            partial(_work, setting.seconds, "passes", PASS_EVERY, _pass),
            partial(_work, setting.seconds, "beat", BEAT_EVERY, _beat),
            partial(_work, setting.seconds, "edits", EDIT_EVERY, _edit),
        ]
        _, logs = crew.together(jobs)
        with judged("the storm", "ours"):
            _verify(logs, seed.SEED_AT + timedelta(seconds=setting.seconds + 60))
    table = Table(
        title=f"storm of {setting.seconds:.0f} s, {setting.small:,} campaigns",
        ratios=[],
        figures=["transactions/s", "p50 ms", "p99 ms", "longest ms", '"database is locked"'],
    )
    for who in dict.fromkeys(log.who for log in logs):
        mine = [log for log in logs if log.who == who]
        table.rows.append(_row(who, mine, setting.seconds))
    table.rows.append(_row("all", logs, setting.seconds))
    yield table


def _row(who: str, logs: list[Log], seconds: float) -> Row:
    taken = [time for log in logs for time in log.taken]
    return Row(
        who,
        [],
        [
            len(taken) / seconds,
            percentile(taken, 0.5),
            percentile(taken, 0.99),
            max(taken),
            float(sum(log.locked for log in logs)),
        ],
    )


def _work(seconds: float, who: str, every: float, step: Step) -> Log:
    began = time.monotonic()
    taken: list[float] = []
    locked = rows = total = 0
    while (passed := time.monotonic() - began) < seconds:
        before = time.perf_counter()
        try:
            recorded, amount = step(len(taken), seed.SEED_AT + timedelta(seconds=passed))
        except OperationalError as error:
            if "locked" not in str(error):
                raise
            locked += 1
        else:
            rows, total = rows + recorded, total + amount
        taken.append((time.perf_counter() - before) * 1000)
        time.sleep(every)
    return Log(who, taken, locked, rows, total)


def _spend(name: str, campaigns: int, number: int, now: datetime) -> tuple[int, int]:
    [batch] = in_batches(events(BATCH, range(1, campaigns + 1), label=f"{name}-{number}"), BATCH)
    ingestion.record(batch, source="storm", now=now)
    return len(batch), micros(batch)


def _pass(_: int, now: datetime) -> tuple[int, int]:
    passes.check_and_pause(now)
    return 0, 0


def _beat(number: int, now: datetime) -> tuple[int, int]:
    from django_celery_beat.models import PeriodicTask

    task = PeriodicTask.objects.order_by("pk")[number % 2]
    task.last_run_at = now
    task.total_run_count += 1
    task.save()
    return 0, 0


def _edit(number: int, now: datetime) -> tuple[int, int]:
    brand = Brand.objects.order_by("pk")[number % 50]
    brand.daily_budget = Decimal(20 + number % 40)
    editing.save(brand, by="storm", now=now, changed=["daily_budget"])
    return 0, 0


def _verify(logs: list[Log], now: datetime) -> None:
    reference.verify_ledger("storm", sum(it.rows for it in logs), sum(it.micros for it in logs))
    passes.check_and_pause(now)
    with stage.unlimited():
        reference.verify(now)
        if findings := reconciliation.check():
            raise Mismatch(str(findings))
    if locked := sum(log.locked for log in logs):
        raise Mismatch(f'"database is locked" was answered {locked} times')
