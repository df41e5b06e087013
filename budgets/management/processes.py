"""Several processes as one: one log, restarts, and an orderly end.

Each child has a session of its own, so that Ctrl-C reaches this process alone and the order of
ending is ours: a tool that signalled the whole group lost the running tasks in 2 of 2 trials.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from django_celery_budget import lifeline

LONGEST_WAIT = 30.0
HEALTHY_AFTER = 60.0
"""Seconds of life after which an end counts as the first one again."""
LAST_WORDS = 1.0
"""Seconds to read what an ended child said, often why it ended; a grandchild may hold the pipe."""

LONGEST_SLEEP = 1.0
"""Seconds: a signal that comes just before a wait, or to another thread, does not interrupt it."""

COLOURS = (36, 32, 33, 35, 34, 31)


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One program to keep running."""

    name: str
    command: list[str]
    patience: float
    """Seconds to end on request before it is killed."""
    may_finish: bool = False
    """An exit with code 0 means that it has nothing to do."""
    serves_the_others: bool = False
    """It is asked to end only when the others have ended."""


@dataclass(frozen=True)
class Ended:
    """A child came to its end."""

    part: Part
    process: subprocess.Popen[str]


@dataclass(frozen=True)
class StopAsked:
    """Ctrl-C, or SIGTERM."""


class Log:
    """The combined log: each line says who speaks, in colour on a terminal."""

    def __init__(self, output: IO[str]) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._colours: dict[str, int] = {}
        self._coloured = output.isatty() and not os.environ.get("NO_COLOR")

    def write(self, name: str, line: str) -> None:
        """Write one line of one part."""
        prefix = f"{name:<9}|"
        if self._coloured:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        # Whoever read the log may be gone (`| head`); that is no reason to stop working.
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._output.write(f"{prefix} {line.rstrip()}\n")
            self._output.flush()


def signal_name(number: int) -> str:
    """Return the signal's name; those for real time, 35 to 63, have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass
class _Running:
    process: subprocess.Popen[str]
    since: float


@dataclass
class Supervisor:
    """Starts parts, restarts those that die, and stops all of them in order."""

    log: Log
    environment: dict[str, str]
    _running: dict[Part, _Running] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)
    _due: dict[str, tuple[float, Part]] = field(default_factory=dict)
    _events: queue.SimpleQueue[Ended | StopAsked] = field(default_factory=queue.SimpleQueue)

    def start(self, part: Part) -> None:
        """Start one part; from the main thread, to whose life the child's is tied."""
        # Ctrl-C as an exception would be dropped by fork, or leave a child that nobody watches.
        with self._signals():
            self._start(part)

    def _start(self, part: Part) -> None:
        process = subprocess.Popen(
            part.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=lifeline.tied_to_this_process(signal.SIGTERM),  # noqa: PLW1509  # one call
        )
        self._running[part] = _Running(process, time.monotonic())
        # Two threads: a grandchild may hold the pipe open long after the child has ended.
        copying = threading.Thread(target=self._copy, args=(part, process), daemon=True)
        copying.start()
        watching = threading.Thread(target=self._watch, args=(part, process, copying), daemon=True)
        watching.start()

    def _copy(self, part: Part, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101  # a pipe was asked for
        with process.stdout as lines:
            for line in lines:
                self.log.write(part.name, line)

    def _watch(self, part: Part, process: subprocess.Popen[str], copying: threading.Thread) -> None:
        process.wait()
        copying.join(LAST_WORDS)
        self._events.put(Ended(part, process))

    def run(self) -> None:
        """Keep the parts alive until somebody asks to stop."""
        with self._signals():
            while True:
                match self._next_event():
                    case StopAsked():
                        return
                    case Ended(part, process):
                        self._note_end(part, process.returncode)
                    case None:
                        self._restart_due()

    def _next_event(self) -> Ended | StopAsked | None:
        return self._event_before(min((at for at, _ in self._due.values()), default=math.inf))

    def _event_before(self, deadline: float) -> Ended | StopAsked | None:
        wait = max(0.0, min(LONGEST_SLEEP, deadline - time.monotonic()))
        try:
            return self._events.get(timeout=wait)
        except queue.Empty:
            return None

    def _note_end(self, part: Part, code: int) -> None:
        running = self._running.pop(part)
        if part.may_finish and code == 0:
            return
        lived = time.monotonic() - running.since
        failures = 0 if lived > HEALTHY_AFTER else self._failures.get(part.name, 0)
        self._failures[part.name] = failures + 1
        wait = min(LONGEST_WAIT, 2.0 ** min(failures, 99))  # 2.0**1024 raises, after a night.
        self._due[part.name] = (time.monotonic() + wait, part)
        how = f"was killed by {signal_name(-code)}" if code < 0 else f"ended with {code}"
        self.log.write("up", f"{part.name} {how}; starting it again in {wait:.0f} s")

    def _restart_due(self) -> None:
        for name, (at, part) in list(self._due.items()):
            if at <= time.monotonic():
                del self._due[name]
                self.start(part)

    def stop(self) -> None:
        """Ask the clients first, what serves them last; a second Ctrl-C kills what is left."""
        self._due.clear()
        with self._signals():
            for serving in (False, True):
                self._stop_together([p for p in self._running if p.serves_the_others is serving])

    def _stop_together(self, parts: list[Part]) -> None:
        for part in parts:
            self._running[part].process.terminate()
        now = time.monotonic()
        deadlines = {part: now + part.patience for part in parts if part in self._running}
        while deadlines:
            match self._event_before(min(deadlines.values())):
                case Ended(part, _):
                    self._running.pop(part, None)
                    deadlines.pop(part, None)
                case StopAsked():
                    self.log.write("up", "killing what has not ended yet")
                    self._kill(list(deadlines))
                case None:
                    late = [part for part, at in deadlines.items() if at <= time.monotonic()]
                    for part in late:
                        self.log.write("up", f"{part.name} did not end in time; killing it")
                        deadlines[part] = time.monotonic() + 5
                    self._kill(late)

    def _kill(self, parts: list[Part]) -> None:
        for part in parts:
            process = self._running[part].process
            if sys.platform == "win32":
                process.kill()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn Ctrl-C and SIGTERM into events; SimpleQueue.put is safe inside a handler."""
        names = (signal.SIGINT, signal.SIGTERM)
        before = [(name, signal.signal(name, self._on_signal)) for name in names]
        try:
            yield
        finally:
            for name, handler in before:
                signal.signal(name, handler)

    def _on_signal(self, *_: object) -> None:
        self._events.put(StopAsked())
