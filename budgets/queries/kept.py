"""What takes long where there is very much, kept for a moment by the process that asked."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

MANY_CAMPAIGNS = 200_000
"""Fewer are counted anew each time."""

KEPT_SECONDS = 15.0
"""Three refreshes of a page: counting a million takes 0.1 s, and every open page asks for it."""

T = TypeVar("T")


class Kept(Generic[T]):
    """One kind of answer, for each set of brands that somebody sees."""

    MOST = 100
    """Sets of brands that are kept at a time."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[float, T]] = {}

    def get(
        self, key: Hashable, ask: Callable[[], T], size: Callable[[T], int], moment: float
    ) -> T:
        """Return what was kept for `key`, or ask; `size` is how many campaigns it took.

        `moment` is of the monotonic clock, in seconds.
        """
        until, kept = self._kept.get(key, (0.0, None))
        if kept is not None and moment < until:
            return kept
        asked = ask()
        if size(asked) >= MANY_CAMPAIGNS:
            if len(self._kept) >= self.MOST:
                self._kept.clear()
            self._kept[key] = moment + KEPT_SECONDS, asked
        return asked

    def forget(self) -> None:
        """Keep nothing any longer."""
        self._kept.clear()
