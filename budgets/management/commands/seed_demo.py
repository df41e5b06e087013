"""A believable agency on an empty database."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from budgets.management import demo
from budgets.models import Brand, Spend


class Command(BaseCommand):
    """Load the demo; never into a database that has data."""

    help = (
        "Loads a demo agency: brands in many time zones, campaigns and two months of spend. "
        "Refuses a database that has any brand or spend."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the one option."""
        parser.add_argument(
            "--if-empty",
            action="store_true",
            help="leave a database that has data as it is, without calling that an error",
        )

    def handle(self, *args: object, if_empty: bool, **options: object) -> None:
        """Load it and say what was made."""
        if Brand.objects.exists() or Spend.objects.exists():
            if if_empty:
                self.stdout.write("The database has data; the demo is left out.")
                return
            raise CommandError(
                "The database has brands or spend, and the demo never touches a database that has "
                "data. Give it an empty one: DATABASE_URL, or BUDGETS_DATA_DIR for the default."
            )
        made = demo.load(timezone.now())
        self.stdout.write(
            self.style.SUCCESS(
                f"Loaded the demo: {made.brands} brands in {made.zones} time zones, "
                f"{made.campaigns} campaigns of which {made.running} run now, and {demo.DAYS} days "
                f"of history in {made.rows:,} rows of spend."
            )
        )
