"""What a trial counted, and what it found that must not be."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict

SHOWN = 5
"""Violations of each invariant that are told in full; all are counted."""


class Findings:
    """Written by every thread of a trial."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.violations: dict[str, list[str]] = defaultdict(list)

    def count(self, what: str, number: int = 1) -> None:
        """Add to a count of the report."""
        with self._lock:
            self.counts[what] += number

    def violate(self, invariant: str, words: str) -> None:
        """Note that an invariant was broken; the same words twice are one violation."""
        with self._lock:
            if words not in self.violations[invariant]:
                self.violations[invariant].append(words)

    @property
    def broken(self) -> frozenset[str]:
        """The invariants that were violated."""
        with self._lock:
            return frozenset(name for name, found in self.violations.items() if found)

    def lines(self) -> list[str]:
        """Return the report."""
        told = [f"{number:>9,}  {what}" for what, number in sorted(self.counts.items())]
        for invariant in sorted(self.broken):
            found = self.violations[invariant]
            told.append(f"VIOLATED {invariant}, {len(found)} times:")
            told += [f"    {words}" for words in found[:SHOWN]]
        return told
