"""One pass now, or one every so often: a pacemaker beside beat, or instead of it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from budgets.core.durations import stopwatch
from budgets.management.rounds import one_line, seconds, stop_signals
from budgets.services import passes


class Command(BaseCommand):
    """Do by hand what the worker does every minute."""

    help = (
        "Counts uncounted spend, decides every brand that is due, and says what it did. With --every "
        "it goes on until it is stopped, and may run beside beat, broker and workers, or without."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Say how often."""
        parser.add_argument(
            "--every", type=seconds, metavar="S", help="a pass every S seconds, until stopped"
        )

    def handle(self, *args: object, every: float | None = None, **options: object) -> None:
        """Run one pass and print its counts, or passes until stopped."""
        if every is None:
            self._print(passes.check_and_pause(timezone.now(), stopwatch(time.monotonic)))
        else:
            self._keep_pace(every)

    def _keep_pace(self, every: float) -> None:
        """Run passes `every` so many seconds, whatever the database and the wall clock do.

        Paced by the monotonic clock: beat stood still for a whole hour when the wall clock went back
        by one. A pass that takes longer than its round is followed by the next at once, not by all
        that were missed.
        """
        next_at = time.monotonic()
        with stop_signals() as stop:
            while not stop.within(next_at - time.monotonic()):
                next_at = max(next_at + every, time.monotonic())
                try:
                    self._pass()
                except (DatabaseError, InterfaceError) as error:
                    self._say(f"the database does not answer ({one_line(error)}); trying again")
                    # A broken connection stays broken; the next pass opens another.
                    connection.close()
        self._say("Stopped.")

    def _pass(self) -> None:
        now = timezone.now()
        counts = passes.check_and_pause(now, stopwatch(time.monotonic))
        # Nothing is left for it to do; but health asks when it last came to its end.
        passes.reset(now, stopwatch(time.monotonic))
        done = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        self._say(f"{now:%Y-%m-%d %H:%M:%S} UTC: {done or 'nothing was due'}")

    def _say(self, text: str) -> None:
        """Print at once, also into a pipe."""
        self.stdout.write(text)
        self.stdout.flush()

    def _print(self, counts: Mapping[str, int]) -> None:
        if not any(counts.values()):
            self.stdout.write("Nothing was due.")
            return
        width = max(len(name) for name in counts)
        for name, count in counts.items():
            self.stdout.write(f"{name:<{width}}  {count}")
