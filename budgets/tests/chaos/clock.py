"""One clock for every process of a trial: the machine's, moved ahead by what a shared file says."""

from __future__ import annotations

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 10, 30, 15, tzinfo=UTC)
"""Two and a half simulated days later a month has ended, and New York and Havana have fallen back."""


class Clock:
    """Reads the shared memory at each question, so that no two processes disagree."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._micros_ahead = mmap.mmap(file.fileno(), 8)

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of the machine's."""
        (micros,) = struct.unpack("q", self._micros_ahead[:8])
        return timedelta(microseconds=micros)

    def now(self) -> datetime:
        """Return the simulated instant, aware, in UTC."""
        return datetime.now(UTC) + self.ahead

    def set_to(self, instant: datetime) -> None:
        """Have it show `instant` and go on from there, in all processes at once."""
        micros = (instant - datetime.now(UTC)) // timedelta(microseconds=1)
        self._micros_ahead[:8] = struct.pack("q", micros)

    def jump(self, by: timedelta) -> None:
        """Let so much time pass at once."""
        self.set_to(self.now() + by)
