"""Workers: how the same midnight is drained by one, two and four of them, and when one is killed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator

from budgets.management.bench import crew, reference, seed, stage
from budgets.management.bench.setting import Setting, judged
from budgets.management.bench.table import Row, Table, median, ratio
from budgets.models import Brand
from budgets.services import queue

COUNTS = (1, 2, 4)
KILLED = "2, one killed midway"
LEFT_WHEN_KILLED = 0.7
"""Of the due brands; the killed one is then in the middle of its work."""


def measure(setting: Setting) -> Iterator[Table]:
    """Drain copies of the same evening with different numbers of workers, in turn."""
    runs: dict[str, list[float]] = defaultdict(list)
    notes = ["the one killed left nothing behind that the other, or the next pass, did not do"]
    for turn in range(setting.rounds):
        for count in COUNTS:
            setting.say(f"workers, round {turn + 1}: {count}")
            with setting.copy(setting.exhausted()):
                before = reference.remember()
                setting.stage.settle()
                seconds, _ = crew.together([_drain] * count)
                runs[str(count)].append(seconds * 1000)
                _verify(before, f"midnight with {count} workers")
    setting.say("workers: one is killed")
    with setting.copy(setting.exhausted()):
        before = reference.remember()
        setting.stage.settle()
        taken, was_killed = _with_one_killed()
        runs[KILLED].append(taken)
        if not was_killed:
            notes = ["it was over before one could be killed: too few campaigns"]
        _verify(before, "midnight with a worker killed")
    table = Table(
        title=f"midnight of {setting.campaigns:,} campaigns, worker processes",
        ratios=["of one's time"],
        figures=["ms"],
        notes=notes,
    )
    one = median(runs["1"])
    for what, found in runs.items():
        table.rows.append(Row(what, [ratio(median(found), one)], [median(found)]))
    table.runs = dict(runs)
    yield table


def _drain() -> int:
    return queue.drain(seed.MIDNIGHT).changes


def _with_one_killed() -> tuple[float, bool]:
    due = Brand.objects.due(at=seed.MIDNIGHT)
    all_due = due.count()
    with crew.at_work([_drain, _drain]) as [victim, survivor]:
        began = time.perf_counter()
        while due.count() > LEFT_WHEN_KILLED * all_due and not victim.is_done:
            time.sleep(0.001)
        was_killed = not victim.is_done
        victim.kill()
        survivor.answer()
    # The next pass: what the killed one held was locked while the survivor went by.
    while due.exists():
        queue.drain(seed.MIDNIGHT)
    return (time.perf_counter() - began) * 1000, was_killed


def _verify(before: reference.Before, what: str) -> None:
    with judged(what, "ours"), stage.unlimited():
        reference.verify(seed.MIDNIGHT, before, rolled=True)
