"""An API key for a program, its secret alone on stdout."""

from __future__ import annotations

import difflib

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from budgets.models import Brand, Scope
from budgets.models.brand import LONGEST_NAME
from budgets.services import keys
from budgets.services.imports import closest
from budgets.services.ingestion import unfit_text


class Command(BaseCommand):
    """Create a key and print its secret, this once."""

    help = (
        "Creates an API key. The secret alone goes to stdout, so that it can be piped to where it is "
        "kept; it is not stored here and cannot be shown again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name, what the key may do, and whom it sees."""
        parser.add_argument("name", metavar="NAME", help="the program's name, as the log shows it")
        parser.add_argument(
            "--scope",
            dest="scopes",
            action="append",
            required=True,
            metavar="SCOPE",
            help=f"what it may do, one of {', '.join(Scope.values)}; repeat for several",
        )
        parser.add_argument(
            "--brand",
            dest="brands",
            action="append",
            default=[],
            metavar="NAME",
            help="the only brand it sees; repeat for several (default: all brands)",
        )

    def handle(
        self, *args: object, name: str, scopes: list[str], brands: list[str], **options: object
    ) -> None:
        """Refuse what cannot be meant; else create, and say to people what was created."""
        for scope in scopes:
            if scope not in Scope.values:
                raise CommandError(f"--scope: {_unknown_scope(scope)}")
        chosen = [_brand(name) for name in dict.fromkeys(brands)]
        try:
            key, secret = keys.create(name, scopes, chosen, now=timezone.now())
        except ValidationError as error:
            raise CommandError("\n".join(_complaints(error))) from None
        self.stdout.write(secret)
        sees = ", ".join(brand.name for brand in chosen) or "all brands"
        self.stderr.write(
            f"Created {key.name!r}: {key.scopes.replace(' ', ', ')}; sees {sees}. Keep the secret now, "
            f"it is not shown again; manage.py revoke_api_key bg_{key.prefix} ends it."
        )


def _unknown_scope(scope: str) -> str:
    near = difflib.get_close_matches(scope.casefold(), Scope.values, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"say one of {', '.join(Scope.values)}."
    return f"there is no scope {scope[:60]!r}; {hint}"


def _brand(name: str) -> Brand:
    if problem := unfit_text(name, LONGEST_NAME):
        raise CommandError(f"--brand {problem}.")
    brand = Brand.objects.filter(name=name).first()
    if brand is None:
        hint = closest(name, Brand.objects.order_by("pk"), ("name",)) or "create it first."
        raise CommandError(f"--brand: there is no brand {name[:60]!r}; {hint}")
    return brand


def _complaints(error: ValidationError) -> list[str]:
    """Write each as 'name: A key of this name exists already.'; that of a constraint has no field."""
    return [
        f"{'name' if field == '__all__' else field}: {words}"
        for field, all_words in error.message_dict.items()
        for words in all_words
    ]
