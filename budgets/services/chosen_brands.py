"""The brands that an API key sees, and an endpoint or a recipient of alerts hears of."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError

from budgets.models import AlertRecipient, ApiKey, Brand, WebhookEndpoint


def choose(row: AlertRecipient | ApiKey | WebhookEndpoint, brands: Iterable[Brand]) -> None:
    """Choose these brands for `row` and no others; within a transaction.

    Raises ``ValidationError``, for `brands`, if one was deleted meanwhile. They are locked, as for
    everything that depends on them: who deletes one waits, and then takes it from `row` as well.
    """
    names = {brand.pk: brand.name for brand in brands}
    kept = set(Brand.objects.filter(pk__among=names).locked().values_list("pk", flat=True))
    if gone := [name for pk, name in names.items() if pk not in kept]:
        words = f"{gone[0]} was deleted at this moment; choose again."
        raise ValidationError({"brands": ValidationError(words, code="unknown_brand")})
    row.brands.set(kept)
