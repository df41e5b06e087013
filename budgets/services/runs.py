"""A run of a sender: it takes work for a while, and each step has its own instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import perf_counter


class Run:
    """A run that began at `now`, as the door read the clock, and takes work for as long as `claiming`."""

    def __init__(self, now: datetime, claiming: timedelta) -> None:
        self._began_at, self._claiming = now, claiming
        self._began = perf_counter()

    @property
    def takes_more(self) -> bool:
        """Whether it may take work still; what it has taken it brings to an end."""
        return self._elapsed <= self._claiming

    @property
    def instant(self) -> datetime:
        """The present instant, measured from the one at which the run began."""
        return self._began_at + self._elapsed

    @property
    def _elapsed(self) -> timedelta:
        return timedelta(seconds=perf_counter() - self._began)
