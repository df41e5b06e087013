"""Recipients: who is told of what. The only writer of `AlertRecipient`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from budgets.models import AlertRecipient, Brand
from budgets.models.alert import kinds_in_order
from budgets.services import chosen_brands


def create(
    address: str,
    *,
    kinds: Iterable[str],
    brands: Iterable[Brand] | None,
    user: User | None = None,
    is_enabled: bool = True,
    now: datetime,
) -> AlertRecipient:
    """Make a recipient that is told of `brands`, ``None``: of all.

    Raises ``ValidationError``, by field.
    """
    recipient = AlertRecipient(created_at=now)
    change(recipient, address=address, kinds=kinds, brands=brands, user=user, is_enabled=is_enabled)
    return recipient


def change(
    recipient: AlertRecipient,
    *,
    address: str,
    kinds: Iterable[str],
    brands: Iterable[Brand] | None,
    user: User | None,
    is_enabled: bool,
) -> None:
    """Write what a person may edit. Raises ``ValidationError``, by field."""
    recipient.address, recipient.user, recipient.is_enabled = address, user, is_enabled
    recipient.is_restricted = brands is not None
    try:
        recipient.kinds = kinds_in_order(kinds)
    except ValidationError as error:
        raise ValidationError({"kinds": error}) from None
    recipient.full_clean()
    with transaction.atomic():
        recipient.save()
        chosen_brands.choose(recipient, brands or ())
