"""Spend from a CSV file, accepted whole or refused whole."""

from __future__ import annotations

import os
import sqlite3
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from budgets.core import money
from budgets.core.plurals import counted
from budgets.management import report_import
from budgets.management.progress import Progress
from budgets.management.spend_file import Row, SpendFile, open_spend_file
from budgets.management.spend_stage import Clash, Stage, Staged
from budgets.models.brand import LONGEST_NAME
from budgets.services import files, imports, ingestion
from budgets.services.files import Complaints, Malformed, Unreadable
from budgets.services.importing import Importing
from budgets.services.imports import Directory
from budgets.services.ingestion import Result
from budgets.services.reports import checking, reading
from budgets.services.reports.checking import Checked, Said
from budgets.services.reports.notation import DayOrder, DecimalMark
from budgets.services.reports.platforms import Platform
from budgets.services.tally import BATCH, Tally, chunked, in_words

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

A report of Google Ads, Meta Ads or Microsoft Advertising, as it is exported in English (of the
first two in German, French or Spanish as well; CSV, or UTF-16 with tabs), is recognised by its
header. It says what a campaign has spent on a day so far,
so it must be broken down by day, and a later report replaces what an earlier one said of the same
days; rows of a campaign and day (by ad group, by device) are summed. Its days are taken for the
brand's local days. A campaign is known by the platform's id (our external ID), else by its name:
in the brand that --brand names, or that is called as the row's account, or else in the only brand
that has it. With a campaign that does not exist it is refused, unless --skip-unknown is said: then
the others are recorded, and what was skipped is printed with its sum.
"""

MAX_FILE = 255
ACTOR = "import_spend"
"""Who imports, in the record of the import: whoever can run commands has no other name here."""

OF_REPORTS = ("brand", "decimal_mark", "day_order", "skip_unknown")
"""Options that our own format has no need of."""


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
            help="who reports: ids are unique within a source (default: import; for a platform's "
            "report google_ads, meta_ads or microsoft_ads)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="check everything, write nothing"
        )
        parser.add_argument(
            "--brand", metavar="NAME", help="of a platform's report: the brand of its campaigns"
        )
        parser.add_argument(
            "--decimal-mark",
            choices=[mark.value for mark in DecimalMark],
            help="of a platform's report: what stands before decimals, where 1,234 does not tell",
        )
        parser.add_argument(
            "--day-order",
            choices=[order.value for order in DayOrder],
            help="of a platform's report: what comes first, where 3/4/2026 does not tell",
        )
        parser.add_argument(
            "--skip-unknown",
            action="store_true",
            default=None,
            help="of a platform's report: record it without the campaigns that do not exist, and say "
            "which these are and what they spent",
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
        source: str | None,
        dry_run: bool,
        rows: int | None,
        **options: Any,
    ) -> None:
        """Read, compare, record; say what became of it."""
        if source is not None and (problem := ingestion.unfit_text(source, ingestion.MAX_SOURCE)):
            raise CommandError(f"--source {problem}.")
        tally = Tally()
        try:
            with _opened(file) as opened:
                if platform := _platform(file, opened):
                    report = self._read_report(file, opened, rows, options)
                    if dry_run:
                        self.stdout.write(report_import.preview(report))
                        return
                    for line in report_import.skipped(report):
                        self.stdout.write(line)
                    progress = Progress(self.stderr, "recording", len(report.sums))
                    importing = _importing(
                        f"{platform.name} report", file, source or platform.source
                    )
                    report_import.record(report, importing, tally, progress)
                else:
                    _refuse_options(options)
                    self._import(file, opened, rows, source or "import", tally, dry_run=dry_run)
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

    def _read_report(
        self, path: Path, file: BinaryIO, rows: int | None, options: dict[str, Any]
    ) -> Checked:
        brand, mark, order, skip_unknown = (options[name] for name in OF_REPORTS)
        if brand is not None and (problem := ingestion.unfit_text(brand, LONGEST_NAME)):
            raise CommandError(f"--brand {problem}.")
        said = Said(
            brand=brand,
            decimal_mark=DecimalMark(mark) if mark else None,
            day_order=DayOrder(order) if order else None,
            rows=rows,
            skip_unknown=bool(skip_unknown),
        )
        complaints = Complaints()
        try:
            report = checking.check(file, complaints, said, now=timezone.now())
        except Unreadable as error:
            raise _refused(path, f"  {error}") from None
        remedy = "  --skip-unknown leaves out unknown campaigns, and says what that is in sum"
        _refuse(path, complaints, remedy if report.unknown and not skip_unknown else "")
        return report

    def _import(
        self,
        path: Path,
        file: BinaryIO,
        rows: int | None,
        source: str,
        tally: Tally,
        *,
        dry_run: bool,
    ) -> None:
        complaints = Complaints()
        with closing(Stage()) as stage:
            self._read(file, rows, stage, complaints)
            self._compare(stage, source, tally, complaints)
            _refuse(path, complaints)
            if dry_run:
                tally.recorded = len(stage)
            else:
                self._record(stage, _importing("CSV file", path, source), tally)

    def _read(self, file: BinaryIO, rows: int | None, stage: Stage, complaints: Complaints) -> None:
        """Check every row by itself and stage those that are right."""
        now = timezone.now()
        directory = Directory(now)
        spend_file = SpendFile(file, complaints.add)
        progress = Progress(self.stderr, "checking ", os.fstat(file.fileno()).st_size)
        for chunk in chunked(spend_file.rows(), BATCH):
            directory.look_up(row.named for row in chunk)
            stage.add(_right(chunk, directory, now, complaints))
            progress.show(spend_file.position)
        progress.clear()
        if spend_file.is_read:
            files.check_end(spend_file, rows, complaints)
        stage.seal()

    def _compare(self, stage: Stage, source: str, tally: Tally, complaints: Complaints) -> None:
        """Find ids that mean something else, here or in the ledger, before anything is written."""
        tally.rows = len(stage)
        for clash in stage.clashes():
            complaints.add(clash.other.number, _clash(clash))
        tally.repeated = tally.rows - len(stage)
        if words := imports.too_much(stage.weight):
            complaints.add(0, words)
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
                    complaints.add(row.number, in_words(result))
            stage.drop(known)
            tally.known += len(known)
            compared += len(batch)
            progress.show(compared)
        progress.clear()

    def _record(self, stage: Stage, importing: Importing, tally: Tally) -> None:
        total, done = len(stage), 0
        progress = Progress(self.stderr, "recording", total)
        for batch in stage.batches(BATCH):
            # Each batch has its own now: a million rows may cross a midnight.
            receipt = importing.events([row.event for row in batch], now=timezone.now())
            tally.take((row.number for row in batch), receipt)
            done += len(batch)
            progress.show(done)
        importing.finish(timezone.now())
        progress.clear()


def _importing(kind: str, path: Path, source: str) -> Importing:
    # A name may hold bytes that are no text; the database takes text alone.
    name = path.name.encode(errors="replace").decode()[:MAX_FILE]
    return Importing(kind=kind, file=name, source=source, actor=ACTOR)


def _opened(path: Path) -> BinaryIO:
    try:
        return open_spend_file(path)
    except Unreadable as error:
        raise _refused(path, f"  {error}") from None


def _platform(path: Path, file: BinaryIO) -> Platform | None:
    """Return whose report it is; ``None``: it should be in our own format."""
    head = file.read(files.HEAD)
    file.seek(0)
    platform = reading.recognise(head)
    if platform is None and files.is_utf16(head):
        raise _refused(path, "  is UTF-16; save it as CSV UTF-8")
    return platform


def _refuse_options(options: dict[str, Any]) -> None:
    for name in OF_REPORTS:
        if options[name] is not None:
            raise CommandError(
                f"--{name.replace('_', '-')} goes with a report of Google Ads, Meta Ads or Microsoft "
                "Advertising, and this file has the header of none. Leave it out, or export the "
                "report in English."
            )


def _refuse(path: Path, complaints: Complaints, remedy: str = "") -> None:
    if complaints.count:
        raise _refused(path, f"{complaints.text()}\n{remedy}".rstrip())


def _refused(path: Path, words: str) -> CommandError:
    return CommandError(f"{_printable(path)} was refused and nothing was recorded:\n{words}")


def _right(
    rows: Iterable[Row], directory: Directory, now: datetime, complaints: Complaints
) -> Iterator[Staged]:
    """Yield the rows that may be recorded; complain of the others."""
    for row in rows:
        target = directory.find(row.named)
        if target is None:
            # The closest name costs a few questions: not for complaints that nobody reads.
            shown = complaints.shows(row.line)
            words = in_words(directory.why_not(row.named)) if shown else ""
            complaints.add(row.line, words)
            continue
        try:
            event = row.event(target.campaign_id)
        except Malformed as error:
            complaints.add(row.line, f"{error.field}: {error}")
            continue
        examined = ingestion.examine(event, target.moment, now)
        if isinstance(examined, Result):
            complaints.add(row.line, in_words(examined))
        else:
            yield Staged(row.line, examined, event.currency)


def _clash(clash: Clash) -> str:
    first = clash.first.line
    return (
        f"external_id: {first.external_id!r} is also the id of line {clash.first.number}, which "
        f"says {money.plain(first.amount)} of campaign {first.campaign_id} on {first.date}; "
        "each spend has an id of its own"
    )


def _printable(path: Path) -> str:
    text = str(path)
    return text if text.isprintable() else ascii(text)


def _so_far(tally: Tally) -> str:
    if not tally.recorded:
        return "Nothing was recorded."
    return (
        f"{counted(tally.recorded, 'row')} had been recorded and stay so: run the same command "
        "again, and it records what is missing."
    )
