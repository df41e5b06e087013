"""What became of the rows of a file, in a sentence or two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from budgets.core.plurals import counted
from budgets.services.files import Complaints
from budgets.services.ingestion import Answer, Receipt, Result

BATCH = 2000
"""Rows a transaction: with 5000 it is no faster, and others wait longer for the brands."""

T = TypeVar("T")


@dataclass(slots=True)
class Moved:
    """Which campaigns several batches together paused and resumed."""

    paused: set[int] = field(default_factory=set)
    resumed: set[int] = field(default_factory=set)

    def move(self, receipt: Receipt) -> None:
        """Add a batch. A campaign that a later one (a refund) resumes is not paused in the end."""
        paused, resumed = set(receipt.paused), set(receipt.resumed)
        self.paused, self.resumed = (
            (self.paused - resumed) | (paused - self.resumed),
            (self.resumed - paused) | (resumed - self.paused),
        )


@dataclass(slots=True)
class Tally(Moved):
    """What became of the rows."""

    rows: int = 0
    repeated: int = 0
    known: int = 0
    recorded: int = 0
    failures: Complaints = field(default_factory=Complaints)

    def take(self, lines: Iterable[int], receipt: Receipt) -> None:
        """Add the answers to one batch, whose rows begin at `lines`."""
        self.recorded += receipt.count(Answer.RECORDED)
        self.known += receipt.count(Answer.DUPLICATE)
        for line, result in zip(lines, receipt.results, strict=True):
            if result.answer in (Answer.CONFLICT, Answer.REJECTED):
                self.failures.add(line, in_words(result))
        self.move(receipt)

    def text(self, *, dry_run: bool) -> str:
        """Say it in one line."""
        parts = [f"{self.recorded:,} {'would be recorded' if dry_run else 'recorded'}"]
        if self.known:
            parts.append(f"{self.known:,} {_were(self.known)} recorded before")
        if self.repeated:
            parts.append(f"{self.repeated:,} {_repeat(self.repeated)} others of the file")
        if self.failures.count:
            parts.append(f"{self.failures.count:,} {_were(self.failures.count)} not recorded")
        sentences = [f"{counted(self.rows, 'row')}: {', '.join(parts)}."]
        if changes := [
            f"{counted(len(ids), 'campaign')} {verb}"
            for ids, verb in ((self.paused, "paused"), (self.resumed, "resumed"))
            if ids
        ]:
            sentences.append(f"{', '.join(changes)}.")
        if dry_run:
            sentences.append("Nothing was written.")
        return " ".join(sentences)


def in_words(result: Result) -> str:
    """Return which field is wrong, and how."""
    return f"{result.field}: {result.words}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _repeat(count: int) -> str:
    return "repeats" if count == 1 else "repeat"


def chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut `items` into lists of `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
