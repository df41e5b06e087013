"""What a run of the benchmark was asked for, and the databases it prepared."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from django.core.management.base import CommandError

from budgets.management.bench import seed, stage
from budgets.management.bench.reference import Mismatch
from budgets.management.bench.rivals import Rival
from budgets.management.bench.stage import Stage

MEASURABLE = 1000
"""Campaigns below which a run proves that everything works, and its figures mean little."""
SMALL = 10_000
"""Campaigns of the measures that have one size, and of what idle passes are compared with."""
LOOP_LIMIT = 100_000
"""Campaigns up to which the loop runs: of a million it decides for hours."""
SLOW_FROM = 5_000
"""Campaigns from which the loop runs once and not in every round: 15 s of a midnight at 10,000."""


@dataclass(slots=True)
class Setting:
    """Sizes, rivals and the place where it all happens."""

    stage: Stage
    campaigns: int
    rounds: int
    seconds: float
    rivals: Sequence[Rival]
    say: Callable[[str], None]
    _seeds: dict[int, str] = field(default_factory=dict)
    _exhausted: str = ""

    @property
    def small(self) -> int:
        """The size of the measures that do not grow."""
        return min(self.campaigns, SMALL)

    @property
    def effort(self) -> int:
        """What to divide repetitions by: a run of too few campaigns need not be exact."""
        return 10 if self.campaigns < MEASURABLE else 1

    def seed(self, campaigns: int) -> str:
        """Return the database of the morning, built when it is first asked for."""
        if campaigns not in self._seeds:
            self.say(f"building {campaigns:,} campaigns")
            with judged("the first decisions", "ours"):
                self._seeds[campaigns] = seed.build(self.stage, campaigns)
        return self._seeds[campaigns]

    def exhausted(self) -> str:
        """Return the database of the evening, when everybody has spent the day's budget."""
        if not self._exhausted:
            morning = self.seed(self.campaigns)
            self.say("spending everybody's budget")
            with judged("the evening before", "ours"):
                self._exhausted = seed.exhaust(self.stage, morning)
        return self._exhausted

    @contextlib.contextmanager
    def copy(self, name: str) -> Iterator[str]:
        """Work on a copy of a prepared database."""
        with stage.copied(self.stage, name) as copy:
            yield copy

    def takes_part(self, rival: Rival, turn: int) -> bool:
        """Tell whether `rival` runs in this round (from 0) at this size."""
        if rival.name != "loop":
            return True
        return self.campaigns <= LOOP_LIMIT and (turn == 0 or self.campaigns < SLOW_FROM)


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long `work` took, without collecting the garbage of what prepared it."""
    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


@contextlib.contextmanager
def judged(what: str, who: str) -> Iterator[None]:
    """End the benchmark when something was left behind that is not as the rules say."""
    try:
        yield
    except Mismatch as error:
        raise CommandError(f"{who} is wrong in {what!r}: {error}") from error
