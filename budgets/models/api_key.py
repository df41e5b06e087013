"""API keys: what a program shows, in place of a person's sign-in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import combinations
from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Length
from django.db.models.lookups import Exact

from budgets.models.brand import Brand
from budgets.models.seen import SeenQuerySet
from budgets.models.words import words_in_order

MARK = "bg_"
"""What every secret begins with, and no name."""

PREFIX, RANDOM = 12, 43
"""Signs of a secret: 62 bits so that no two prefixes meet, and 256 bits that nobody guesses."""

SECRET = re.compile(rf"{MARK}(?P<prefix>[a-z0-9]{{{PREFIX}}})_[A-Za-z0-9]{{{RANDOM}}}")
"""The form of a secret; scanners look for `bg_[a-z0-9]{12}_[A-Za-z0-9]{43}`."""


class Scope(models.TextChoices):
    """What a key may be allowed. None includes another."""

    READ = "read", "read: look at brands, campaigns and changes"
    SPEND_WRITE = "spend:write", "spend:write: report spend"
    MANAGE = "manage", "manage: edit, pause and resume"


class ApiKeyStays(RuntimeError):
    """A key was to be deleted."""

    def __init__(self) -> None:
        super().__init__("an API key is never deleted, the log names it; revoke it instead")


class ApiKeyQuerySet(SeenQuerySet["ApiKey"]):
    """The words we use for sets of keys."""

    def usable(self) -> Self:
        """Those that were not revoked."""
        return self.filter(revoked_at=None)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise ApiKeyStays


def in_order(scopes: Iterable[str]) -> str:
    """Write scopes the one way in which they are stored: 'read spend:write'.

    Raises ``ValidationError`` when there is none, or one that is not known.
    """
    return words_in_order(scopes, Scope.values, "scope")


LEGAL = [
    in_order(chosen)
    for count in range(1, len(Scope.values) + 1)
    for chosen in combinations(Scope.values, count)
]
"""Every way in which `scopes` can read."""


def validate_name(name: str) -> None:
    """Refuse what would garble the log, and a secret pasted into the wrong box: names are shown."""
    if name.startswith(MARK):
        words = f"{MARK}… is what secrets begin with; write a name, such as 'ad server'."
        raise ValidationError(words, code="looks_like_a_secret")
    if name != name.strip() or not name.isprintable():
        words = "Write it without control or invisible characters, and without spaces around it."
        raise ValidationError(words, code="unprintable")


class ApiKey(models.Model):
    """A program's key: what it may do, and whose campaigns it sees.

    `name` is a person's word for it, and the actor of what the program does; `prefix` is the part of
    the secret that is shown. Of the secret only `digest` is kept, its SHA-256 in hex. Neither salt
    nor slow hash: they make guessable passwords hard to guess, and nobody guesses 256 random bits.

    A key that `is_restricted` sees the brands in `brands` and no other, also when the last of them is
    gone. Keys are revoked, never deleted: the log names them, and a name that is free again would
    give their history to another.
    """

    name = models.CharField(
        max_length=100,
        validators=[validate_name],
        help_text="The program's name. The log shows it, so it stays.",
    )
    prefix = models.CharField(max_length=PREFIX, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = models.CharField(
        max_length=40, help_text="None includes another. Later they can be taken away, not added."
    )
    is_restricted = models.BooleanField("sees", default=False, db_default=False)
    brands = models.ManyToManyField(Brand, blank=True, related_name="api_keys")
    created_at = models.DateTimeField(editable=False)
    last_used_at = models.DateTimeField("last used", null=True, editable=False)
    revoked_at = models.DateTimeField("revoked", null=True, editable=False)

    objects = models.Manager.from_queryset(ApiKeyQuerySet)()

    class Meta:
        verbose_name = "API key"
        # Nobody may delete one, so there is no permission to.
        default_permissions = ("add", "change", "view")
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                name="api_key_name_unique",
                violation_error_message="A key of this name exists already; names are not used twice.",
            ),
            # Also the index of every request.
            models.UniqueConstraint(fields=["prefix"], name="api_key_prefix_unique"),
            models.CheckConstraint(
                condition=models.Q(scopes__in=LEGAL), name="api_key_scopes_known"
            ),
            models.CheckConstraint(
                condition=Exact(Length("digest"), 64), name="api_key_digest_is_one"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise ApiKeyStays
