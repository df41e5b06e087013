"""A progress bar: on a terminal only, a log stays clean."""

from __future__ import annotations

import time

from django.core.management.base import OutputWrapper

WIDTH = 30


class Progress:
    """Shows how much of `total` is done; says nothing where nobody watches."""

    def __init__(self, output: OutputWrapper, label: str, total: int) -> None:
        self._output = output if output.isatty() else None
        self._label = label
        self._total = max(total, 1)
        self._next = 0.0

    def show(self, done: int) -> None:
        """Draw the bar, ten times a second at most."""
        if self._output is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.1
            filled = WIDTH * min(done, self._total) // self._total
            percent = 100 * min(done, self._total) // self._total
            bar = "█" * filled + "░" * (WIDTH - filled)
            self._write(f"\r{self._label} {bar} {percent:3} %")

    def clear(self) -> None:
        """Leave the line to whoever writes next."""
        if self._output is not None:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        if self._output is not None:
            self._output.write(text, style_func=str, ending="")
            self._output.flush()
