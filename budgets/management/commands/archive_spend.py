"""Old months of the ledger into compressed files, and the proof of these."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from budgets.services import archiving


class Command(BaseCommand):
    """Archive months, or verify what was archived."""

    help = (
        "Moves the spend of old months from the ledger to spend-YYYY-MM-N.csv.gz in DIR. Killed in "
        "the middle, run it again. Sums of every campaign and a checksum of every file are kept; "
        "--verify proves the files by them. Exit code 1 when something is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Say where to, and which."""
        parser.add_argument("directory", metavar="DIR", type=Path, help="where the files are")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "--before", type=_month, metavar="YYYY-MM", help="archive every month before this one"
        )
        what.add_argument("--verify", action="store_true", help="prove the files there")

    def handle(
        self, *args: object, directory: Path, before: date | None, verify: bool, **options: object
    ) -> None:
        """Archive month by month, oldest first, or verify."""
        if not directory.is_dir():
            raise CommandError(f"{directory} is no directory; make it first.")
        if before is None:
            self._verify(directory)
            return
        now = timezone.now()
        try:
            for month in archiving.months_before(before):
                done = archiving.archive(
                    month, directory, keep_days=settings.SPEND_MAX_AGE_DAYS, now=now
                )
                self.stdout.write(f"{done.name}  {done.rows} rows  sha256 {done.sha256}")
        except (archiving.NotOldEnough, OSError) as error:
            raise CommandError(f"{error}.") from error
        self.stdout.write(self.style.SUCCESS(f"Nothing before {before:%Y-%m} is in the ledger."))

    def _verify(self, directory: Path) -> None:
        flaws = list(archiving.verify(directory))
        for flaw in flaws:
            self.stdout.write(self.style.ERROR(f"{flaw.name} {flaw.words}."))
        if flaws:
            raise CommandError(f"{len(flaws)} of the archives cannot be trusted.")
        self.stdout.write(self.style.SUCCESS("Every archive is as it was written."))


def _month(text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text, re.ASCII) or text < "0001":
        raise ArgumentTypeError(f"{text!r} is no month; write it as 2025-07")
    return date.fromisoformat(f"{text}-01")
