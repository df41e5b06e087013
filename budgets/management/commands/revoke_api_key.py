"""An end to an API key."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from budgets.models import ApiKey
from budgets.models.api_key import MARK, SECRET
from budgets.services import keys
from budgets.services.imports import closest
from budgets.services.ingestion import unfit_text


class Command(BaseCommand):
    """Revoke a key by what one knows of it."""

    help = "Revokes an API key for good: the very next request with it is refused."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what the key is called."""
        parser.add_argument(
            "key",
            metavar="NAME_OR_PREFIX",
            help=f"its name, or the beginning of its secret, {MARK}…; a whole secret will do",
        )

    def handle(self, *args: object, key: str, **options: object) -> None:
        """Find the one key that is meant, and revoke it."""
        if problem := unfit_text(key, 100):
            raise CommandError(f"NAME_OR_PREFIX {problem}.")
        match list(keys.named(key)):
            case []:
                raise CommandError(_unknown(key))
            case [one]:
                was_usable = keys.revoke(one, now=timezone.now())
            case several:
                which = " and ".join(f"{row.name!r} ({MARK}{row.prefix})" for row in several)
                raise CommandError(f"{key!r} means {which}: say {MARK}… of the one.")
        name = f"{one.name!r} ({MARK}{one.prefix})"
        if was_usable:
            self.stdout.write(self.style.SUCCESS(f"Revoked {name}: its next request is refused."))
        else:
            self.stdout.write(f"{name} was revoked before, {one.revoked_at:%d %b %Y, %H:%M} UTC.")


def _unknown(key: str) -> str:
    """Say that there is none; a secret is not repeated, for a terminal's output is often kept."""
    if secret := SECRET.fullmatch(key):
        return f"There is no API key {MARK}{secret['prefix']}."
    hint = closest(key, ApiKey.objects.order_by("pk"), ("name",)) or "the admin lists them all."
    return f"There is no API key {key!r}; {hint}"
