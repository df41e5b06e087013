"""Wait for what other threads and processes do: as long as it takes, and not for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE = 30
"""Seconds after which what we wait for is not going to happen."""


def until(is_so: Callable[[], object], otherwise: Callable[[], str] = lambda: "") -> None:
    """Return when it is so; fail with the words of `otherwise` when it does not come about."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"it did not come about. {otherwise()}"
        threading.Event().wait(0.01)
