"""Several processes at once, each with a connection of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any, Generic, TypeVar

from django.core.management.base import CommandError
from django.db import connection

from django_celery_budget import lifeline

PATIENCE = 600.0
"""Seconds after which a process is taken to hang."""

T = TypeVar("T")


class Killed(Exception):
    """The process was killed before it could answer."""


@dataclass(slots=True)
class Member(Generic[T]):
    """A process at work."""

    process: ForkProcess
    pipe: Connection

    @property
    def is_done(self) -> bool:
        """Whether it has answered, or died."""
        return self.pipe.poll() or not self.process.is_alive()

    def answer(self) -> T:
        """Wait for what its work returned; raise `Killed` when it died before."""
        if not self.pipe.poll(PATIENCE):
            raise CommandError(f"process {self.process.pid} hangs")
        try:
            ok, value = pickle.loads(self.pipe.recv_bytes())  # noqa: S301  # our own child's
        except EOFError:
            raise Killed from None
        if not ok:
            raise CommandError(f"a process of the benchmark failed: {value}")
        answer: T = value
        return answer

    def kill(self) -> None:
        """Kill it as a machine does that runs out of memory."""
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def at_work(jobs: Sequence[Callable[[], T]]) -> Iterator[list[Member[T]]]:
    """Start the jobs together, each in a process; nobody is left at the end."""
    # First: a child that closed our connection would close it for us as well.
    connection.close()
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(len(jobs) + 1)
    crew: list[Member[T]] = []
    try:
        for job in jobs:
            ours, theirs = fork.Pipe()
            process = fork.Process(target=_work, args=(job, theirs, start), daemon=True)
            process.start()
            theirs.close()
            crew.append(Member(process, ours))
        # When one could not even begin, its answer says why.
        with contextlib.suppress(threading.BrokenBarrierError):
            start.wait(PATIENCE)
        yield crew
    finally:
        for member in crew:
            if not member.process.is_alive():
                continue
            member.process.join(0.5)
            member.kill()


def together(jobs: Sequence[Callable[[], T]]) -> tuple[float, list[T]]:
    """Run the jobs at once; return the seconds until the last was done, and their answers."""
    with at_work(jobs) as crew:
        began = time.perf_counter()
        answers = [member.answer() for member in crew]
        return time.perf_counter() - began, answers


def _work(job: Callable[[], Any], pipe: Connection, start: Any) -> None:
    # Ctrl-C is the parent's to handle; whoever kills the parent ends us as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    lifeline.die_with_parent(signal.SIGKILL)
    try:
        connection.ensure_connection()
        start.wait(PATIENCE)
        answer = (True, job())
    except Exception as error:  # noqa: BLE001  # told to the parent, which ends the benchmark
        answer = (False, f"{type(error).__name__}: {error}")
        start.abort()
    connection.close()
    pipe.send_bytes(pickle.dumps(answer))
