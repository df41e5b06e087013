"""Ingestion: events a second by batch size, next to the database's own speed and the naive way."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from django.db import connection, transaction

from budgets.management.bench import crew, reference, stage
from budgets.management.bench.events import RECORDED_AT, events, in_batches, micros, record
from budgets.management.bench.reference import Mismatch
from budgets.management.bench.rivals import Recorder
from budgets.management.bench.setting import Setting, judged, milliseconds
from budgets.management.bench.table import Row, Table, median, ratio
from budgets.services import reconciliation
from budgets.services.ingestion import SpendEvent

EVENTS = {1: 300, 100: 5_000, 1000: 20_000}
"""Events to record, by batch size."""
WRITERS = 8
BATCHES_A_WRITER = 15
WRITERS_BATCH = 100
HOT_BRAND = 2

Batch = Sequence[SpendEvent]
Values = tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A way in, and the batch sizes it knows; the floor has its rows made ready before the clock runs."""

    name: str
    sizes: Sequence[int]
    record: Callable[[Batch, str], object]
    is_floor: bool = False


def measure(setting: Setting) -> Iterator[Table]:
    """Time one writer with batches of several sizes, then eight writers on one brand and on all."""
    yield _one_writer(setting)
    yield _many_writers(setting)


def _one_writer(setting: Setting) -> Table:
    recorders = [rival for rival in setting.rivals if isinstance(rival, Recorder)]
    ours, *others = [_contestant(recorder) for recorder in recorders]
    floor = Contestant(
        "COPY" if connection.vendor == "postgresql" else "INSERT",
        tuple(EVENTS),
        lambda batch, source: _insert(_ready_made(batch, source)),
        is_floor=True,
    )
    runs: dict[tuple[str, int], list[float]] = defaultdict(list)
    for turn in range(setting.rounds):
        for contestant in (ours, floor, *others):
            setting.say(f"ingestion, round {turn + 1}: {contestant.name}")
            for size, rate in _rates(setting, contestant, verify_all=turn == 0):
                runs[contestant.name, size].append(rate)
    table = Table(
        title=f"ingestion, {setting.small:,} campaigns, one writer",
        ratios=[f"ours/{it.name}" for it in (floor, *others)],
        figures=[f"{it.name} events/s" for it in (ours, floor, *others)],
        notes=[
            f"{floor.name}: the same rows, ready-made, into the ledger alone, no total, no decision"
        ],
    )
    for size in EVENTS:
        figures = [median(runs[ours.name, size]), median(runs[floor.name, size])]
        # Who records one by one does so in batches of any size.
        figures += [median(runs[it.name, max(s for s in it.sizes if s <= size)]) for it in others]
        ratios = [ratio(figures[0], figure) for figure in figures[1:]]
        table.rows.append(Row(f"batches of {size:,}", ratios, figures))
    table.runs = {f"{name}, {size}, events/s": found for (name, size), found in runs.items()}
    return table


def _contestant(recorder: Recorder) -> Contestant:
    def record_with(batch: Batch, source: str) -> object:
        return recorder.record(batch, source=source, now=RECORDED_AT)

    return Contestant(
        recorder.name, (1,) if recorder.name == "loop" else tuple(EVENTS), record_with
    )


def _rates(
    setting: Setting, contestant: Contestant, *, verify_all: bool
) -> Iterator[tuple[int, float]]:
    """Yield events a second by batch size, in one fresh copy; the ledger is verified each time."""
    campaigns = range(1, setting.small + 1)
    with setting.copy(setting.seed(setting.small)), judged("ingestion", contestant.name):
        contestant.record(events(10, campaigns, label="warm"), "warm")
        for size in contestant.sizes:
            source = f"{contestant.name}-{size}"
            found = events(EVENTS[size] // setting.effort, campaigns, label=source)
            setting.stage.settle()
            gc.collect()
            gc.freeze()  # as the web server does: the events of the test are no garbage to look for
            seconds = _time(contestant, list(in_batches(found, size)), source)
            reference.verify_ledger(source, len(found), micros(found))
            yield size, len(found) / seconds
        if verify_all and not contestant.is_floor:
            _verify_all(contestant.name)


def _time(contestant: Contestant, batches: Sequence[Batch], source: str) -> float:
    if contestant.is_floor:
        ready = [_ready_made(batch, source) for batch in batches]
        return milliseconds(lambda: list(map(_insert, ready))) / 1000
    return milliseconds(lambda: [contestant.record(batch, source) for batch in batches]) / 1000


def _verify_all(name: str) -> None:
    with stage.unlimited():
        reference.verify(RECORDED_AT)
        if name == "ours" and (findings := reconciliation.check()):
            raise Mismatch(str(findings))


def _ready_made(batch: Batch, source: str) -> str | list[Values]:
    """Return rows in the form in which the database takes them fastest."""
    rows: list[Values] = [
        (event.campaign_id, str(event.date), micros([event]), source, event.external_id, 1)
        for event in batch
    ]
    if connection.vendor == "postgresql":
        return "".join("\t".join(map(str, row)) + "\n" for row in rows)
    return rows


def _insert(rows: str | list[Values]) -> None:
    columns = "(campaign_id, date, amount, source, external_id, is_counted)"
    with transaction.atomic(), connection.cursor() as cursor:
        if isinstance(rows, str):
            with cursor.copy(f"COPY budgets_spend {columns} FROM STDIN") as copy:
                copy.write(rows)
        else:
            cursor.executemany(
                f"INSERT INTO budgets_spend {columns} VALUES (%s, %s, %s, %s, %s, %s)",  # noqa: S608  # names of ours
                rows,
            )


def _many_writers(setting: Setting) -> Table:
    everybody = range(1, setting.small + 1)
    first = (HOT_BRAND - 1) * 10 + 1
    kinds = {"spread over all brands": everybody, "one hot brand": range(first, first + 10)}
    runs: dict[str, list[float]] = defaultdict(list)
    for turn in range(setting.rounds):
        for kind, campaigns in kinds.items():
            setting.say(f"ingestion, round {turn + 1}: {WRITERS} writers, {kind}")
            with setting.copy(setting.seed(setting.small)) as name:
                rate = _rate_of_writers(setting, kind, campaigns, name, verify_all=turn == 0)
                runs[kind].append(rate)
    spread = median(runs[next(iter(kinds))])
    table = Table(
        title=f"ingestion, {WRITERS} writers, batches of {WRITERS_BATCH}",
        ratios=["of the spread rate"],
        figures=["events/s"],
        notes=["no deadlock; every sum is exact"],
    )
    table.rows = [
        Row(kind, [ratio(median(runs[kind]), spread)], [median(runs[kind])]) for kind in kinds
    ]
    table.runs = {f"{kind}, events/s": found for kind, found in runs.items()}
    return table


def _rate_of_writers(
    setting: Setting, kind: str, campaigns: Sequence[int], name: str, *, verify_all: bool
) -> float:
    count = BATCHES_A_WRITER * WRITERS_BATCH // setting.effort
    shares = [events(count, campaigns, label=f"writer{writer}") for writer in range(WRITERS)]
    setting.stage.settle()
    seconds, _ = crew.together(
        [partial(record, share, WRITERS_BATCH, "writers") for share in shares]
    )
    with judged(kind, "ours"):
        total = sum(map(micros, shares))
        reference.verify_ledger("writers", WRITERS * count, total)
        if verify_all:
            _verify_all("ours")
        if found := deadlocks_of(name):
            raise Mismatch(f"there were {found} deadlocks")
    return WRITERS * count / seconds


def deadlocks_of(database: str) -> int:
    """Return how many deadlocks PostgreSQL counted in `database`; SQLite has none."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = %s", [database])
        [deadlocks] = cursor.fetchone()
        return int(deadlocks)
