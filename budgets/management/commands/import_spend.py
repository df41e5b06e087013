"""Spend from a CSV file, accepted whole or refused whole."""

from __future__ import annotations

import bisect
import os
import sqlite3
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from budgets.core import money
from budgets.management.progress import Progress
from budgets.management.spend_file import (
    Malformed,
    Row,
    SpendFile,
    Unreadable,
    open_spend_file,
)
from budgets.management.spend_stage import Clash, Stage, Staged
from budgets.services import imports, ingestion
from budgets.services.imports import Directory
from budgets.services.ingestion import Answer, Receipt, Result

SHOWN = 20
"""Complaints that are written out; all are counted."""

BATCH = 2000
"""Rows a transaction: with 5000 it is no faster, and others wait longer for the brands."""

HELP = """\
Imports spend from a CSV file. The first line names the columns, in any order:

    brand,campaign,date,amount[,external_id][,currency][,occurred_at]

campaign is a name or an external ID within the brand. date is the brand's local day, YYYY-MM-DD;
it may be empty where occurred_at (2026-01-31T09:00:00Z) says when. Amounts are plain: 1234.56,
negative for a correction. UTF-8, separated by commas, every line ended by a line break.

The file is accepted whole or refused whole; a refusal names the lines, what is wrong and what
would be right. A second import of the same file changes nothing: rows are known by their
external_id, or else by their content and their place among equal rows of the file, so that two
equal rows of one file count twice, and a file that has grown adds its new rows. For the same
reason an equal row of another file counts as the same spend: where it is not, give the rows an
external_id, or the file another --source. If an import is interrupted, run it again: it records
what is missing.
"""

T = TypeVar("T")


@dataclass(slots=True)
class Complaints:
    """What is wrong with a file: the first few by line, and how many there are."""

    count: int = 0
    shown: list[tuple[int, str]] = field(default_factory=list)

    def shows(self, line: int) -> bool:
        """Tell whether one of this line would be written out, as far as is known now."""
        return len(self.shown) < SHOWN or line < self.shown[-1][0]

    def add(self, line: int, words: str) -> None:
        """Take one in; `line` 0 is the file itself."""
        self.count += 1
        bisect.insort(self.shown, (line, words))
        del self.shown[SHOWN:]

    def text(self) -> str:
        """Return a line for each that is shown, and how many more there are."""
        lines = [f"  line {line}: {words}" if line else f"  {words}" for line, words in self.shown]
        if self.count > len(self.shown):
            lines.append(f"  … and {self.count - len(self.shown):,} more")
        return "\n".join(lines)


@dataclass(slots=True)
class Tally:
    """What became of the rows."""

    rows: int = 0
    repeated: int = 0
    known: int = 0
    recorded: int = 0
    paused: set[int] = field(default_factory=set)
    resumed: set[int] = field(default_factory=set)
    failures: Complaints = field(default_factory=Complaints)

    def take(self, batch: Iterable[Staged], receipt: Receipt) -> None:
        """Add the answers to one batch."""
        self.recorded += receipt.count(Answer.RECORDED)
        self.known += receipt.count(Answer.DUPLICATE)
        for row, result in zip(batch, receipt.results, strict=True):
            if result.answer in (Answer.CONFLICT, Answer.REJECTED):
                self.failures.add(row.number, _in_words(result))
        # A campaign that a later batch (a refund) resumes is not paused in the end.
        paused, resumed = set(receipt.paused), set(receipt.resumed)
        self.paused, self.resumed = (
            (self.paused - resumed) | (paused - self.resumed),
            (self.resumed - paused) | (resumed - self.paused),
        )

    def text(self, *, dry_run: bool) -> str:
        """Say it in one line."""
        parts = [f"{self.recorded:,} {'would be recorded' if dry_run else 'recorded'}"]
        if self.known:
            parts.append(f"{self.known:,} {_were(self.known)} recorded before")
        if self.repeated:
            parts.append(f"{self.repeated:,} {_repeat(self.repeated)} others of the file")
        if self.failures.count:
            parts.append(f"{self.failures.count:,} {_were(self.failures.count)} not recorded")
        sentences = [f"{_counted(self.rows, 'row')}: {', '.join(parts)}."]
        if changes := [
            f"{_counted(len(ids), 'campaign')} {verb}"
            for ids, verb in ((self.paused, "paused"), (self.resumed, "resumed"))
            if ids
        ]:
            sentences.append(f"{', '.join(changes)}.")
        if dry_run:
            sentences.append("Nothing was written.")
        return " ".join(sentences)


class _Verbatim(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's order of options, and our own line breaks."""


class Command(BaseCommand):
    """Check every row, then record all of them, or none."""

    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Keep the lines of the help text."""
        return super().create_parser(
            prog_name, subcommand, **{"formatter_class": _Verbatim, **kwargs}
        )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file, and who reports it."""
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument(
            "--source",
            default="import",
            help="who reports: ids are unique within a source (default: %(default)s)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="check everything, write nothing"
        )
        parser.add_argument(
            "--rows",
            type=int,
            metavar="N",
            help="refuse the file unless it has N rows below the header; also confirms that a file "
            "without a final line break, or without rows, is whole",
        )

    def handle(
        self,
        *args: object,
        file: Path,
        source: str,
        dry_run: bool,
        rows: int | None,
        **options: object,
    ) -> None:
        """Read, compare, record; say what became of it."""
        if problem := ingestion.unfit_text(source, ingestion.MAX_SOURCE):
            raise CommandError(f"--source {problem}.")
        tally, complaints = Tally(), Complaints()
        try:
            with closing(Stage()) as stage:
                self._read(file, rows, stage, complaints)
                self._compare(stage, source, tally, complaints)
                if complaints.count:
                    raise CommandError(
                        f"{_printable(file)} was refused and nothing was recorded:\n"
                        f"{complaints.text()}"
                    )
                if dry_run:
                    tally.recorded = len(stage)
                else:
                    self._record(stage, source, tally)
        except sqlite3.Error as error:
            raise CommandError(f"The temporary directory cannot be used: {error}.") from None
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(f"The database failed: {error}\n{_so_far(tally)}") from None
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {_so_far(tally)}") from None
        if tally.failures.count:
            raise CommandError(
                f"{tally.text(dry_run=dry_run)} Something changed while the file was imported:\n"
                f"{tally.failures.text()}"
            )
        self.stdout.write(self.style.SUCCESS(tally.text(dry_run=dry_run)))

    def _read(self, path: Path, rows: int | None, stage: Stage, complaints: Complaints) -> None:
        """Check every row by itself and stage those that are right."""
        now = timezone.now()
        directory = Directory(now)
        try:
            with open_spend_file(path) as file:
                spend_file = SpendFile(file, complaints.add)
                progress = Progress(self.stderr, "checking ", os.fstat(file.fileno()).st_size)
                for chunk in _chunked(spend_file.rows(), BATCH):
                    directory.look_up(row.named for row in chunk)
                    stage.add(_right(chunk, directory, now, complaints))
                    progress.show(spend_file.position)
                progress.clear()
            if spend_file.is_read:
                _check_end(spend_file, rows, complaints)
        except Unreadable as error:
            complaints.add(error.line, str(error))
        stage.seal()

    def _compare(self, stage: Stage, source: str, tally: Tally, complaints: Complaints) -> None:
        """Find ids that mean something else, here or in the ledger, before anything is written."""
        tally.rows = len(stage)
        for clash in stage.clashes():
            complaints.add(clash.other.number, _clash(clash))
        tally.repeated = tally.rows - len(stage)
        if (sum_ := imports.fullest_total() + stage.weight) > money.MAX_TOTAL:
            complaints.add(
                0,
                f"the amounts and what is recorded add up to {money.from_micros(sum_):f}, and no "
                f"total holds more than {money.from_micros(money.MAX_TOTAL):f}: look for amounts "
                "that cannot be meant",
            )
        if not imports.is_known(source):
            return
        progress = Progress(self.stderr, "comparing", len(stage))
        compared = 0
        for batch in stage.by_id(BATCH):
            known = []
            results = imports.compare([row.line for row in batch], source=source)
            for row, result in zip(batch, results, strict=True):
                if result is ingestion.DUPLICATE:
                    known.append(row)
                elif result is not None:
                    complaints.add(row.number, _in_words(result))
            stage.drop(known)
            tally.known += len(known)
            compared += len(batch)
            progress.show(compared)
        progress.clear()

    def _record(self, stage: Stage, source: str, tally: Tally) -> None:
        total, done = len(stage), 0
        progress = Progress(self.stderr, "recording", total)
        for batch in stage.batches(BATCH):
            # Each batch has its own now: a million rows may cross a midnight.
            receipt = ingestion.record(
                [row.event for row in batch], source=source, now=timezone.now()
            )
            tally.take(batch, receipt)
            done += len(batch)
            progress.show(done)
        progress.clear()


def _right(
    rows: Iterable[Row], directory: Directory, now: datetime, complaints: Complaints
) -> Iterator[Staged]:
    """Yield the rows that may be recorded; complain of the others."""
    for row in rows:
        target = directory.find(row.named)
        if target is None:
            # The closest name costs a few questions: not for complaints that nobody reads.
            shown = complaints.shows(row.line)
            words = _in_words(directory.why_not(row.named)) if shown else ""
            complaints.add(row.line, words)
            continue
        try:
            event = row.event(target.campaign_id)
        except Malformed as error:
            complaints.add(row.line, f"{error.field}: {error}")
            continue
        examined = ingestion.examine(event, target.moment, now)
        if isinstance(examined, Result):
            complaints.add(row.line, _in_words(examined))
        else:
            yield Staged(row.line, examined, event.currency)


def _check_end(file: SpendFile, rows: int | None, complaints: Complaints) -> None:
    """Refuse a file that may have been cut: what is left of an amount reads as another amount."""
    if rows is not None and rows != file.count:
        complaints.add(0, f"has {_counted(file.count, 'row')} below the header, --rows says {rows}")
    elif rows is None and not file.count:
        complaints.add(0, "has no rows below the header; say --rows 0 if that is right")
    elif rows is None and file.cut is not None:
        line, end = file.cut
        complaints.add(
            line,
            "has no line break at its end, so the file may have been cut, and 99.99 reads as "
            f"99.9: it ends with {end!r}. If that is whole, end it with a line break, or confirm "
            f"with --rows {file.count}",
        )


def _clash(clash: Clash) -> str:
    first = clash.first.line
    return (
        f"external_id: {first.external_id!r} is also the id of line {clash.first.number}, which "
        f"says {money.plain(first.amount)} of campaign {first.campaign_id} on {first.date}; "
        "each spend has an id of its own"
    )


def _in_words(result: Result) -> str:
    return f"{result.field}: {result.words}"


def _so_far(tally: Tally) -> str:
    if not tally.recorded:
        return "Nothing was recorded."
    return (
        f"{_counted(tally.recorded, 'row')} had been recorded and stay so: run the same command "
        "again, and it records what is missing."
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _repeat(count: int) -> str:
    return "repeats" if count == 1 else "repeat"


def _printable(path: Path) -> str:
    text = str(path)
    return text if text.isprintable() else ascii(text)


def _chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
