"""Passes: nothing due, crossings, the flip of a fifth of the windows, everybody's midnight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from budgets.management.bench import reference, seed, stage
from budgets.management.bench.reference import Mismatch
from budgets.management.bench.rivals import Rival
from budgets.management.bench.setting import LOOP_LIMIT, SLOW_FROM, Setting, judged, milliseconds
from budgets.management.bench.table import Row, Table, median, ratio
from budgets.services import passes, reconciliation

IDLE_PASSES = 15
"""Idle passes a round: each is short, and the first ones warm the connection."""
ONE_BRAND_IN = 770
"""Crosses its budget between two passes: of a million campaigns 1,300, as many as a busy minute has."""

Runs = dict[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A pass to time: from which state, at which instant, after what."""

    name: str
    detail: str
    """What is done, with a place for how many campaigns it changed."""
    seed: Callable[[], str]
    idle_at: datetime
    """Nothing is due here: a pass that is not timed warms connection and caches."""
    now: datetime
    prepare: Callable[[], None] | None = None
    rolls: bool = False


def measure(setting: Setting) -> Iterator[Table]:
    """Time each scenario with each rival in turn, round by round, on copies of one state."""
    names = [rival.name for rival in setting.rivals]
    table = Table(
        title=f"passes, {setting.campaigns:,} campaigns",
        ratios=[_versus(name) for name in names[1:]],
        figures=[f"{name} ms" for name in names],
    )
    _add(table, "nothing due", names, _idle(setting))
    for scenario in _scenarios(setting):
        changed, runs = _time(setting, scenario)
        _add(table, scenario.name + scenario.detail.format(f"{changed:,}"), names, runs)
    if setting.campaigns > LOOP_LIMIT:
        table.notes.append(f"the loop is left out: above {LOOP_LIMIT:,} campaigns it takes hours")
    elif setting.campaigns >= SLOW_FROM:
        table.notes.append("the loop ran once")
    yield table
    yield _idle_by_size(setting)


def _scenarios(setting: Setting) -> Iterator[Scenario]:
    brands = setting.campaigns // seed.CAMPAIGNS_A_BRAND
    crossings = max(1, round(brands / ONE_BRAND_IN))

    def morning() -> str:
        return setting.seed(setting.campaigns)

    minute = timedelta(minutes=1)
    yield Scenario(
        name="crossings",
        detail=f": {crossings} brands, {{}} change",
        seed=morning,
        idle_at=seed.SEED_AT + minute,
        now=seed.SEED_AT + 2 * minute,
        prepare=lambda: seed.insert_crossings(crossings),
    )
    yield Scenario(
        name="the hour 11:00",
        detail=": {} change",
        seed=morning,
        idle_at=seed.FLIP_AT - minute,
        now=seed.FLIP_AT,
    )
    yield Scenario(
        name="midnight",
        detail=": all roll, {} change",
        seed=setting.exhausted,
        idle_at=seed.MIDNIGHT - minute / 2,
        now=seed.MIDNIGHT,
        rolls=True,
    )


def _time(setting: Setting, scenario: Scenario) -> tuple[int, Runs]:
    """Return how many campaigns changed, and the runs of each rival."""
    runs: Runs = defaultdict(list)
    changed: set[int] = set()
    for turn in range(setting.rounds):
        for rival in setting.rivals:
            if not setting.takes_part(rival, turn):
                continue
            with setting.copy(scenario.seed()):
                setting.say(f"{scenario.name}, round {turn + 1}: {rival.name}")
                seed.no_full_check_after(scenario.idle_at)
                rival.run_pass(scenario.idle_at)
                if scenario.prepare:
                    scenario.prepare()
                before = reference.remember() if turn == 0 else None
                setting.stage.settle()
                taken = milliseconds(lambda rival=rival: rival.run_pass(scenario.now))  # type: ignore[misc]  # bound now
                runs[rival.name].append(taken)
                if before:
                    with judged(scenario.name, rival.name):
                        changed.add(_verify(rival, scenario, before))
    return max(changed), runs


def _verify(rival: Rival, scenario: Scenario, before: reference.Before) -> int:
    with stage.unlimited():
        changed = reference.verify(scenario.now, before, rolled=scenario.rolls)
        if rival.name == "ours" and (findings := reconciliation.check()):
            raise Mismatch(str(findings))
    return changed


def _idle(setting: Setting) -> Runs:
    """Time passes that find nothing to do, all in one copy: they leave it as it is."""
    runs: Runs = defaultdict(list)
    now = seed.SEED_AT + timedelta(minutes=1)
    with setting.copy(setting.seed(setting.campaigns)):
        before = reference.remember()
        for turn in range(setting.rounds):
            for rival in setting.rivals:
                if not setting.takes_part(rival, turn):
                    continue
                setting.say(f"nothing due, round {turn + 1}: {rival.name}")
                passes_a_round = IDLE_PASSES if rival.name == "ours" else 1
                rival.run_pass(now)
                for _ in range(passes_a_round):
                    taken = milliseconds(lambda rival=rival: rival.run_pass(now))  # type: ignore[misc]  # bound now
                    runs[rival.name].append(taken)
                if turn == 0:
                    with judged("nothing due", rival.name), stage.unlimited():
                        if reference.verify(now, before):
                            raise Mismatch("campaigns changed though nothing was due")
    return runs


def _idle_by_size(setting: Setting) -> Table:
    """Time our idle passes at this size and at 10,000 campaigns, in turn."""
    sizes = sorted({setting.small, setting.campaigns})
    now = seed.SEED_AT + timedelta(minutes=1)
    jobs = {"check_and_pause": passes.check_and_pause, "reset": passes.reset}
    runs: dict[tuple[str, int], list[float]] = defaultdict(list)
    for turn in range(setting.rounds):
        for size in sizes:
            setting.say(f"idle passes, round {turn + 1}: {size:,} campaigns")
            with setting.copy(setting.seed(size)):
                for name, job in jobs.items():
                    job(now)
                    runs[name, size] += [
                        milliseconds(lambda job=job: job(now))  # type: ignore[misc]  # bound now
                        for _ in range(IDLE_PASSES)
                    ]
    table = Table(
        title="idle passes by size",
        ratios=[f"at {sizes[-1]:,}/{sizes[0]:,}"] if len(sizes) > 1 else [],
        figures=[f"at {size:,} ms" for size in sizes],
    )
    for name in jobs:
        figures = [median(runs[name, size]) for size in sizes]
        ratios = [ratio(figures[-1], figures[0])] if len(sizes) > 1 else []
        table.rows.append(Row(name, ratios, figures))
        table.runs |= {f"{name}, {size}": runs[name, size] for size in sizes}
    return table


def _versus(name: str) -> str:
    return "ours/SQL" if name == "SQL" else f"{name}/ours"


def _add(table: Table, what: str, names: list[str], runs: Runs) -> None:
    figures = [median(runs.get(name)) for name in names]
    ours, *others = figures
    ratios = [
        ratio(ours, other) if name == "SQL" else ratio(other, ours)
        for name, other in zip(names[1:], others, strict=True)
    ]
    table.rows.append(Row(what, ratios, figures))
    table.runs |= {f"{what}: {name}": runs[name] for name in names if name in runs}
