"""What goes wrong, and when: drawn from the seed before the trial begins, so that it comes again."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from budgets.tests.chaos.household import Household, Part
from budgets.tests.chaos.servers import Broker, Line, Postgres

WEIGHTS = {
    "pool process killed": 5,
    "pool process frozen": 2,
    "worker killed": 3,
    "web process killed": 3,
    "web server killed": 1,
    "beat killed": 2,
    "beat away": 2,
    "second beat": 1,
    "PostgreSQL crashed": 3,
    "broker stopped": 2,
    "broker killed": 2,
    "broker flushed": 2,
    "broker half-open": 2,
}
GAPS = (1.5, 4.5)
"""Seconds between two faults, at least and at most."""
SECOND_BEAT = "beat 2"

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens `at` so many seconds, to whom (0 to 1: from the first to the last), how long."""

    at: float
    kind: str
    whom: float
    lasts: float


def schedule(rng: Random, seconds: float) -> list[Fault]:
    """Return the faults of a trial."""
    faults = []
    at = rng.uniform(*GAPS)
    while at < seconds:
        [kind] = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
        lasts = rng.uniform(8, 12) if kind == "beat away" else rng.uniform(0.5, 4)
        faults.append(Fault(at, kind, rng.random(), lasts))
        at += rng.uniform(*GAPS)
    return faults


@dataclass
class Breaker:
    """Does it; what lasts is undone by what it returns."""

    household: Household
    postgres: Postgres
    broker: Broker
    line: Line
    is_broker_down: bool = False
    is_database_down: bool = False

    def do(self, fault: Fault) -> Undo | None:
        """Break something. What is broken already stays so, and is not counted again."""
        workers = [part for name, part in self.household.parts.items() if "worker" in name]
        worker = workers[int(fault.whom * len(workers))]
        web = self.household.parts["web"]
        ways: dict[str, Callable[[], Undo | None]] = {
            "pool process killed": lambda: self._kill_child(worker, fault),
            "pool process frozen": lambda: self._freeze_child(worker, fault),
            # Its pool processes see to their own end.
            "worker killed": lambda: self._kill(worker, fault, whole_group=False),
            "web process killed": lambda: self._kill_child(web, fault),
            "web server killed": lambda: self._kill(web, fault),
            "beat killed": lambda: self._kill(self.household.parts["beat"], fault),
            "beat away": lambda: self._send_away(fault),
            "second beat": lambda: self._call_in(fault),
            "PostgreSQL crashed": lambda: self._crash_database(fault),
            "broker stopped": lambda: self._end_broker(signal.SIGTERM, fault),
            "broker killed": lambda: self._end_broker(signal.SIGKILL, fault),
            "broker flushed": lambda: self._lose(self.broker.flush, fault),
            "broker half-open": lambda: self._lose(self.line.freeze, fault),
        }
        return ways[fault.kind]()

    def _count(self, fault: Fault) -> None:
        self.household.findings.count(f"fault: {fault.kind}")

    def _lose(self, how: Callable[[], None], fault: Fault) -> None:
        self._count(fault)
        how()

    def _kill(self, part: Part, fault: Fault, *, whole_group: bool = True) -> None:
        if part.is_running:
            self._count(fault)
            self.household.kill(part.name, whole_group=whole_group)

    def _kill_child(self, part: Part, fault: Fault) -> None:
        if children := part.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(children[int(fault.whom * 1000) % len(children)], signal.SIGKILL)
                self._count(fault)
                self.household.findings.count("kills")

    def _freeze_child(self, part: Part, fault: Fault) -> Undo | None:
        if not (children := part.children()):
            return None
        pid = children[int(fault.whom * 1000) % len(children)]

        def thaw() -> None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._count(fault)
        return thaw

    def _send_away(self, fault: Fault) -> Undo:
        part = self.household.parts["beat"]
        self._count(fault)
        part.is_wanted = False
        self.household.kill(part.name)

        def call_back() -> None:
            part.is_wanted = True

        return call_back

    def _call_in(self, fault: Fault) -> Undo:
        parts = self.household.parts
        part = parts.setdefault(SECOND_BEAT, Part(SECOND_BEAT, parts["beat"].command))
        part.is_wanted = True
        self._count(fault)

        def send_off() -> None:
            part.is_wanted = False
            self.household.kill(part.name)

        return send_off

    def _crash_database(self, fault: Fault) -> Undo | None:
        if self.is_database_down:
            return None
        self.is_database_down = True
        self._count(fault)
        self.postgres.crash()

        def start() -> None:
            self.postgres.start()
            self.is_database_down = False

        return start

    def _end_broker(self, how: signal.Signals, fault: Fault) -> Undo | None:
        if self.is_broker_down:
            return None
        self.is_broker_down = True
        self._count(fault)
        self.broker.end(how)

        def start() -> None:
            self.broker.start()
            self.is_broker_down = False

        return start
