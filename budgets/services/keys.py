"""API keys: made once, recognised at every request, revoked at once.

The secret is in the answer of `create` and nowhere else: not in the database, not in a log.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import string
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from budgets.models import ApiKey, Brand, sets
from budgets.models.api_key import MARK, PREFIX, RANDOM, SECRET, ApiKeyQuerySet, in_order
from budgets.services import chosen_brands
from budgets.services.access import Sight

logger = logging.getLogger(__name__)

NOTED_EVERY = timedelta(minutes=1)
"""How old `last_used_at` gets before a request writes it again: a busy key is no hot row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal(Sight):
    """Who asks, by the key it showed: a program, what it may do and whose campaigns it sees.

    `name` is the actor of what it changes.
    """

    key_id: int
    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Tell whether the key has `scope`; none includes another."""
        return scope in self.scopes


@sensitive_variables("secret")
def create(
    name: str, scopes: Iterable[str], brands: Iterable[Brand] = (), *, now: datetime
) -> tuple[ApiKey, str]:
    """Make a key that sees `brands`, all when none is named; return it with its secret.

    Raises ``ValidationError``, by field, for a name that cannot be or is taken, for scopes that are
    none, and for a brand that is gone.
    """
    chosen = list(brands)
    with _about("scopes"):
        written = in_order(scopes)
    prefix = _random(PREFIX, string.ascii_lowercase + string.digits)
    secret = f"{MARK}{prefix}_{_random(RANDOM, string.ascii_letters + string.digits)}"
    key = ApiKey(
        name=name,
        prefix=prefix,
        digest=_digest(secret),
        scopes=written,
        is_restricted=bool(chosen),
        created_at=now,
    )
    key.full_clean()
    try:
        with transaction.atomic():
            key.save(force_insert=True)
            chosen_brands.choose(key, chosen)
    except IntegrityError:
        key.validate_constraints()  # Somebody else took the name between the two.
        raise
    return key, secret


@sensitive_variables("secret")
def authenticate(secret: str, *, now: datetime) -> Principal | None:
    """Return whose secret this is; ``None`` for any other text, and for a key that was revoked.

    One question, and none for what cannot be a secret. Call it outside of a transaction, so that
    the note of the use is no part of what the program does.
    """
    form = SECRET.fullmatch(secret)
    if form is None:
        return None
    rows = _rows_of(form["prefix"], now)
    if not rows or not hmac.compare_digest(rows[0].digest, _digest(secret)):
        return None
    key = rows[0]
    if key.is_stale:
        _note_use(key.pk, now)
    brand_ids = frozenset(row.brand_id for row in rows if row.brand_id is not None)
    return Principal(
        key_id=key.pk,
        name=key.name,
        scopes=frozenset(key.scopes.split()),
        # Either says so: brands that a shell added restrict a key as well.
        brand_ids=brand_ids if key.is_restricted or brand_ids else None,
    )


def change(key: ApiKey, *, scopes: Iterable[str], brands: Iterable[Brand] | None) -> None:
    """Leave a key these `scopes`, of those it has, and show it `brands`; ``None``: all of them.

    It counts from the next request on. Raises ``ValidationError`` for a scope that the key does not
    have, for a brand that is gone, and for a key that was revoked.
    """
    with transaction.atomic():
        stored = ApiKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        if stored.revoked_at is not None:
            raise ValidationError("The key is revoked; create a new one.", code="revoked")
        with _about("scopes"):
            left = in_order(scopes)
            refuse_more(stored.scopes, left)
        stored.scopes, stored.is_restricted = left, brands is not None
        stored.save(update_fields={"scopes", "is_restricted"})
        chosen_brands.choose(stored, brands or ())


def refuse_more(scopes: str, left: str) -> None:
    """Raise ``ValidationError`` if `left` names more than `scopes`, both as they are stored.

    A secret was given away for what it could do then; who holds it now need not know of more.
    """
    if more := set(left.split()) - set(scopes.split()):
        words = f"A scope can be taken away, not added; create another key for {min(more)}."
        raise ValidationError(words, code="more")


def revoke(key: ApiKey, *, now: datetime) -> bool:
    """Refuse the key from its very next request on; tell whether it was usable until now."""
    was_usable = ApiKey.objects.usable().filter(pk=key.pk).update(revoked_at=now) == 1
    key.refresh_from_db(fields=["revoked_at"])
    return was_usable


def named(text: str) -> ApiKeyQuerySet:
    """Return the keys that `text` can mean: by name, by prefix, or by a whole secret that leaked."""
    prefix = text.removeprefix(MARK).partition("_")[0] if text.startswith(MARK) else text
    return ApiKey.objects.filter(Q(name=text) | Q(prefix=prefix))


class _Row(NamedTuple):
    """A usable key with one of its brands, or with none."""

    pk: int
    name: str
    digest: str
    scopes: str
    is_restricted: bool
    is_stale: bool
    brand_id: int | None


def _rows_of(prefix: str, now: datetime) -> list[_Row]:
    """Return a row for each brand of the key, one where it has none; none for an unknown key.

    Every request asks this: without the ORM it costs a third.
    """
    noted = connection.ops.adapt_datetimefield_value(now - NOTED_EVERY)
    keys, brands = sets.name_of(ApiKey), sets.name_of(ApiKey.brands.through)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT k.id, k.name, k.digest, k.scopes, k.is_restricted, "  # noqa: S608  # names of ours
            f"(k.last_used_at IS NULL OR k.last_used_at <= %s), b.brand_id FROM {keys} k "
            f"LEFT JOIN {brands} b ON b.apikey_id = k.id "
            "WHERE k.prefix = %s AND k.revoked_at IS NULL",
            [noted, prefix],
        )
        return [_Row(*row) for row in cursor.fetchall()]


def _note_use(key_id: int, now: datetime) -> None:
    """Write when the key was used, unless somebody else is writing it: nobody waits for a note."""
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - NOTED_EVERY)
    try:
        with transaction.atomic():
            rows = ApiKey.objects.filter(stale, pk=key_id)
            if list(rows.select_for_update(no_key=True, skip_locked=True).values_list("pk")):
                rows.update(last_used_at=now)
    except OperationalError as error:
        logger.warning("the use of key %s was not noted: %s", key_id, error)


@contextmanager
def _about(field: str) -> Iterator[None]:
    """Say of which field a refusal speaks."""
    try:
        yield
    except ValidationError as error:
        raise ValidationError({field: error}) from None


def _random(length: int, alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
