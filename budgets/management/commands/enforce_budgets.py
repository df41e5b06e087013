"""One pass now."""

from __future__ import annotations

from django.core.management.base import BaseCommand
from django.utils import timezone

from budgets.services import passes


class Command(BaseCommand):
    """Do by hand what the worker does every minute."""

    help = "Counts uncounted spend, decides every brand that is due, and says what it did."

    def handle(self, *args: object, **options: object) -> None:
        """Run one pass and print its counts."""
        counts = passes.check_and_pause(timezone.now())
        if not any(counts.values()):
            self.stdout.write("Nothing was due.")
            return
        width = max(len(name) for name in counts)
        for name, count in counts.items():
            self.stdout.write(f"{name:<{width}}  {count}")
