"""Commands that work in rounds until they are asked to stop: how they wait, and how they are asked."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from argparse import ArgumentTypeError
from collections.abc import Iterator


class Stop:
    """Somebody asked to stop. `SimpleQueue.put` is safe in a signal handler, `Event.set` is not."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ask(self, *_: object) -> None:
        """Ask: a handler of signals."""
        self._asked.put(None)

    def within(self, seconds: float) -> bool:
        """Wait, and tell whether it was asked meanwhile."""
        try:
            self._asked.get(timeout=max(seconds, 0))
        except queue.Empty:
            return False
        return True


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
    """Turn Ctrl-C and SIGTERM into a request, between two rounds."""
    stop = Stop()
    is_ours = threading.current_thread() is threading.main_thread()
    names = [signal.SIGINT, signal.SIGTERM] if is_ours else []
    before = [(name, signal.signal(name, stop.ask)) for name in names]
    try:
        yield stop
    finally:
        for name, handler in before:
            signal.signal(name, handler)


def seconds(text: str) -> float:
    """Read the length of a round, in seconds; raise ``ArgumentTypeError`` with words for people."""
    try:
        length = float(text)
    except ValueError:
        length = 0.0
    if not 0.01 <= length <= 3600:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0.01 to 3600")
    return length


def one_line(error: Exception) -> str:
    """Write an error's words on one line."""
    return " ".join(str(error).split())
