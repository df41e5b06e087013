"""A platform that reports spend for the demo, until it is stopped."""

from __future__ import annotations

import contextlib
import queue
import random
import secrets
import signal
import threading
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from budgets.management import demo
from budgets.management.platform import NoDemo, Platform

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
            "--every", type=_seconds, default=3.0, metavar="S", help="seconds a round (default 3)"
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
        with _stop_signals() as stop:
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
                        f"the database does not take reports ({_one_line(error)}); "
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


class _Stop:
    """Somebody asked to stop. `SimpleQueue.put` is safe in a signal handler, `Event.set` is not."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ask(self, *_: object) -> None:
        self._asked.put(None)

    def within(self, seconds: float) -> bool:
        """Wait, and tell whether it was asked meanwhile."""
        try:
            self._asked.get(timeout=max(seconds, 0))
        except queue.Empty:
            return False
        return True


@contextlib.contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Turn Ctrl-C and SIGTERM into a request, between two rounds."""
    stop = _Stop()
    is_ours = threading.current_thread() is threading.main_thread()
    names = [signal.SIGINT, signal.SIGTERM] if is_ours else []
    before = [(name, signal.signal(name, stop.ask)) for name in names]
    try:
        yield stop
    finally:
        for name, handler in before:
            signal.signal(name, handler)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds <= 3600:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0.01 to 3600")
    return seconds


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
