"""The project's own benchmark."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from budgets.management.bench import (
    http,
    imports,
    ingestion,
    locks,
    passes,
    reading,
    storm,
    workers,
)
from budgets.management.bench.rivals import Rival, load
from budgets.management.bench.rivals.loop import Loop
from budgets.management.bench.rivals.ours import Ours
from budgets.management.bench.rivals.statement import Statement
from budgets.management.bench.setting import MEASURABLE, Setting
from budgets.management.bench.stage import Stage, staged
from budgets.management.bench.table import Table

MEASURES = {
    "passes": passes.measure,
    "ingestion": ingestion.measure,
    "http": http.measure,
    "imports": imports.measure,
    "locks": locks.measure,
    "workers": workers.measure,
    "reading": reading.measure,
    "storm": storm.measure,
}
NOT_HERE = {"postgresql": {"storm"}, "sqlite": {"locks", "workers"}}
"""What a database has no use for: one writer at a time needs no lock order and no second worker."""


class Command(BaseCommand):
    """Measure, verify, and only then print."""

    help = (
        "Measures this product against a naive loop, one SQL statement and the database's own speed, "
        "on databases of its own beside yours. Every final state is verified before its figure counts."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take sizes and what to measure."""
        add = parser.add_argument
        add("--campaigns", type=_campaigns, default=10_000, metavar="N", help="default 10000")
        add("--only", type=_measures, metavar="A,B", help=f"of {','.join(MEASURES)}")
        add("--rounds", type=_at_least_one, default=3, metavar="N", help="default 3")
        add("--seconds", type=float, default=10.0, metavar="S", help="of the storm; default 10")
        add("--json", type=Path, metavar="FILE", help="default: in the data directory")
        add(
            "--rival",
            action="append",
            default=[],
            metavar="package.module:Class",
            help="measure another implementation too (see budgets.management.bench.rivals)",
        )

    def handle(self, *args: object, **options: Any) -> None:
        """Run what was asked for."""
        here = [name for name in MEASURES if name not in NOT_HERE[connection.vendor]]
        wanted = options["only"] or here
        if elsewhere := [name for name in wanted if name not in here]:
            raise CommandError(f"{', '.join(elsewhere)}: not on {connection.vendor}")
        rivals: list[Rival] = [Ours()]
        if connection.vendor == "postgresql":
            rivals.append(Statement())
        rivals += [*map(load, options["rival"]), Loop()]
        is_tiny = options["campaigns"] < MEASURABLE
        with _ended_by_signals(), staged(quick=is_tiny) as stage:
            setting = Setting(
                stage=stage,
                campaigns=options["campaigns"],
                rounds=options["rounds"],
                seconds=options["seconds"],
                rivals=rivals,
                say=self._say,
            )
            tables = [self._told(table) for name in wanted for table in MEASURES[name](setting)]
            machine = _machine(stage)
        path = options["json"] or settings.DATA_DIR / (
            f"bench-{connection.vendor}-{options['campaigns']}.json"
        )
        self._write(path, machine, options, tables)

    def _told(self, table: Table) -> Table:
        self.stdout.write("")
        for line in table.lines():
            self.stdout.write(line)
        self.stdout.write("")
        return table

    def _say(self, text: str) -> None:
        self.stdout.write(f"… {text}")
        self.stdout.flush()

    def _write(
        self, path: Path, machine: dict[str, Any], options: dict[str, Any], tables: list[Table]
    ) -> None:
        found = {
            "machine": machine,
            "campaigns": options["campaigns"],
            "rounds": options["rounds"],
            "verified": True,
            "tables": [table.as_json() for table in tables],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self.stdout.write(", ".join(f"{name} {value}" for name, value in machine.items()))
        self.stdout.write(self.style.SUCCESS(f"Every final state was verified. Written to {path}."))


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end the benchmark as Ctrl-C does, so that its databases are cleared away.

    And SIGINT itself too where a shell had it ignored, as it does for what runs in the background.
    """

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        raise CommandError("Stopped; the benchmark's databases are gone.", returncode=130) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _machine(stage: Stage) -> dict[str, Any]:
    return {
        "CPUs": os.cpu_count(),
        "Python": platform.python_version(),
        connection.display_name: stage.version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": _load(),
    }


def _load() -> float | None:
    return None if sys.platform == "win32" else round(os.getloadavg()[0], 1)


def _measures(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in MEASURES]:
        raise ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(MEASURES)}")
    return names


def _campaigns(text: str) -> int:
    number = int(text)
    if number < 100:
        raise ArgumentTypeError(f"{number} campaigns are too few; take 100 or more")
    return number


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError("take 1 or more")
    return number
