"""A platform that reports spend for the demo, until it is stopped."""

from __future__ import annotations

import random
import secrets
import time

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from budgets.management import demo
from budgets.management.platform import NoDemo, Platform
from budgets.management.rounds import one_line, seconds, stop_signals

LONGEST_WAIT = 30.0
"""Seconds between two attempts while the database does not answer."""


class Command(BaseCommand):
    """Report spend for the demo's active campaigns, round by round."""

    help = (
        "Simulates an ad platform: reports spend for the demo's active campaigns through the "
        "ordinary way in, every few seconds, until it is stopped. Does nothing without the demo."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Say how fast and how long."""
        parser.add_argument(
            "--every", type=seconds, default=3.0, metavar="S", help="seconds a round (default 3)"
        )
        parser.add_argument(
            "--rounds", type=int, metavar="N", help="end after N rounds (default: never)"
        )
        parser.add_argument("--once", action="store_true", help="the same as --rounds 1")

    def handle(
        self, *args: object, every: float, rounds: int | None, once: bool, **options: object
    ) -> None:
        """Go on until stopped, waiting for a database that does not answer."""
        # So that reports of another run are never taken for the same.
        run = secrets.token_hex(6)
        dice = random.Random(run)  # noqa: S311  # chance, not a secret
        platform = Platform(demo.SOURCE, run, dice)
        left = 1 if once else rounds
        wait_after_failure = every
        with stop_signals() as stop:
            while left is None or left > 0:
                try:
                    began = time.monotonic()
                    now = timezone.now()
                    told = platform.round(every, now)
                except NoDemo as nothing:
                    self._say(str(nothing))
                    return
                except (DatabaseError, InterfaceError) as error:
                    self._say(
                        f"the database does not take reports ({one_line(error)}); "
                        f"trying again in {wait_after_failure:.0f} s"
                    )
                    # A broken connection stays broken; the next round opens another.
                    connection.close()
                    if stop.within(wait_after_failure):
                        break
                    wait_after_failure = min(2 * wait_after_failure, LONGEST_WAIT)
                    continue
                wait_after_failure = every
                self._say(f"{now:%H:%M:%S} {told.text()}")
                left = None if left is None else left - 1
                if left != 0 and stop.within(every - (time.monotonic() - began)):
                    break
            else:
                return
        self._say("Stopped.")

    def _say(self, text: str) -> None:
        """Print at once, also into a pipe; a name must not forge a line."""
        self.stdout.write("".join(sign if sign.isprintable() else "\ufffd" for sign in text))
        self.stdout.flush()
