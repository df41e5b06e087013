"""Prove the totals, the states and the log."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from budgets.services import reconciliation


class Command(BaseCommand):
    """Compare totals with the ledger, and states with their log."""

    help = "Checks that totals, states and log belong together. Exit code 1 when they do not."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the one option."""
        parser.add_argument(
            "--repair",
            action="store_true",
            help="sum totals that are off anew from the ledger, and decide their brands",
        )

    def handle(self, *args: object, repair: bool, **options: object) -> None:
        """Print every finding; with --repair correct the totals and look again."""
        findings = self._report()
        if findings and repair:
            outcome = reconciliation.repair(timezone.now())
            self.stdout.write(
                f"Repaired {outcome.brands} brands; {outcome.changes} campaigns changed their state."
            )
            findings = self._report()
        if findings:
            advice = "" if repair else " Run with --repair to sum the totals anew."
            raise CommandError(f"{findings} kinds of rows do not belong together.{advice}")
        self.stdout.write(self.style.SUCCESS("Totals, states and log belong together."))

    def _report(self) -> int:
        findings = reconciliation.check()
        for finding in findings:
            self.stdout.write(self.style.ERROR(f"{finding.count} {finding.words}:"))
            for row in finding.shown:
                self.stdout.write(f"  {row}")
            if finding.count > len(finding.shown):
                self.stdout.write(f"  … and {finding.count - len(finding.shown)} more")
        return len(findings)
