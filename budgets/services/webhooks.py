"""Endpoints of webhooks: made, edited, rotated, tested, switched off and on; deliveries replayed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from budgets.models import Brand, DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookEvent
from budgets.models.webhook import (
    CHOSEN_BY_DEFAULT,
    WebhookDeliveryQuerySet,
    events_in_order,
)
from budgets.services import chosen_brands, outbound, outbox, signatures
from budgets.services.outbound import Refused, Resolve

BOTH_VALID = timedelta(hours=24)
"""How long the secret before a rotation signs as well."""


@sensitive_variables("secret")
def create(
    url: str,
    *,
    description: str = "",
    events: Iterable[str] = CHOSEN_BY_DEFAULT,
    brands: Iterable[Brand] | None = None,
    now: datetime,
    resolve: Resolve = outbound.look_up,
) -> tuple[WebhookEndpoint, str]:
    """Make an endpoint that hears of `brands`, ``None``: of all; return it with its secret.

    Raises ``ValidationError``, by field. The secret can be told again by nobody.
    """
    endpoint = WebhookEndpoint(sealed_secret=signatures.seal(), created_at=now)
    _fill(endpoint, url, description, events, resolve)
    with transaction.atomic():
        endpoint.is_restricted = brands is not None
        endpoint.save(force_insert=True)
        chosen_brands.choose(endpoint, brands or ())
    return endpoint, signatures.shown(endpoint.sealed_secret)


def change(
    endpoint: WebhookEndpoint,
    *,
    url: str,
    description: str,
    events: Iterable[str],
    brands: Iterable[Brand] | None,
    is_enabled: bool | None = None,
    by: str = "",
    resolve: Resolve = outbound.look_up,
) -> None:
    """Write what a person may edit, and `switch` it too, unless `is_enabled` is ``None``.

    Raises ``ValidationError``, by field.
    """
    _fill(endpoint, url, description, events, resolve)
    with transaction.atomic():
        _locked(endpoint)
        endpoint.is_restricted = brands is not None
        endpoint.save(update_fields={"url", "description", "events", "is_restricted"})
        chosen_brands.choose(endpoint, brands or ())
        if is_enabled is not None:
            switch(endpoint, on=is_enabled, by=by)


@sensitive_variables("secret")
def rotate(endpoint: WebhookEndpoint, *, now: datetime) -> str:
    """Give it a new secret and return that; the one before signs beside it for 24 hours more."""
    with transaction.atomic():
        stored = _locked(endpoint)
        stored.previous_sealed_secret = stored.sealed_secret
        stored.previous_expires_at = now + BOTH_VALID
        stored.sealed_secret = signatures.seal()
        stored.save(
            update_fields={"sealed_secret", "previous_sealed_secret", "previous_expires_at"}
        )
    endpoint.refresh_from_db()
    return signatures.shown(stored.sealed_secret)


def sealed_secrets(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """Return what is stored of the secrets that are valid at `now`, the newest first."""
    sealed = [endpoint.sealed_secret]
    if endpoint.previous_expires_at is not None and now < endpoint.previous_expires_at:
        sealed.append(endpoint.previous_sealed_secret)
    return sealed


def switch(endpoint: WebhookEndpoint, *, on: bool, by: str) -> None:
    """Enable or disable it, as `by` wants; if it is so already, change nothing."""
    with transaction.atomic():
        if _locked(endpoint).is_enabled == on:
            return
        if on:
            enable(endpoint)
        else:
            disable(endpoint, reason=f"Switched off by {by}.")


def disable(endpoint: WebhookEndpoint, *, reason: str) -> None:
    """Send nothing more to it, and cancel what is waiting."""
    with transaction.atomic():
        _locked(endpoint)
        endpoint.is_enabled, endpoint.disabled_reason = False, reason
        endpoint.save(update_fields={"is_enabled", "disabled_reason"})
        _cancel(WebhookDelivery.objects.filter(endpoint=endpoint))


def enable(endpoint: WebhookEndpoint) -> None:
    """Send to it again, from the next change on; what was cancelled can be replayed."""
    with transaction.atomic():
        _locked(endpoint)
        endpoint.is_enabled, endpoint.disabled_reason, endpoint.failures = True, "", 0
        endpoint.save(update_fields={"is_enabled", "disabled_reason", "failures"})


def remove(endpoint: WebhookEndpoint, *, now: datetime) -> None:
    """Disable it for good; what it was sent stays in the log."""
    with transaction.atomic():
        disable(endpoint, reason="Removed.")
        endpoint.removed_at = now
        endpoint.save(update_fields={"removed_at"})


def test(endpoint: WebhookEndpoint, *, now: datetime) -> WebhookDelivery:
    """Have a `webhook.test` sent, whether chosen or not: one attempt, for whoever waits for it."""
    with transaction.atomic():
        _refuse_disabled(_locked(endpoint))
        return WebhookDelivery.objects.create(
            endpoint=endpoint,
            event=WebhookEvent.TEST,
            body=outbox.test_body(endpoint.pk, now),
            due_at=now,
            created_at=now,
        )


def replay(delivery: WebhookDelivery, *, now: datetime) -> None:
    """Send it again now, with the same id and body, and all attempts before it.

    Raises ``ValidationError`` while its endpoint is disabled, while it is being sent, and if it was
    forgotten a moment ago.
    """
    with transaction.atomic():
        _refuse_disabled(_locked(delivery.endpoint))
        try:
            delivery.refresh_from_db(from_queryset=WebhookDelivery.objects.select_for_update())
        except WebhookDelivery.DoesNotExist:
            words = "It was older than WEBHOOK_KEEP_DAYS and is gone."
            raise ValidationError(words, code="forgotten") from None
        if delivery.is_sending and delivery.due_at > now:
            words = "It is being sent at this moment; look again in a minute."
            raise ValidationError(words, code="being_sent")
        delivery.state, delivery.attempts = DeliveryState.PENDING, 0
        delivery.is_sending, delivery.due_at = False, now
        delivery.save(update_fields={"state", "attempts", "is_sending", "due_at"})


def cancel_strays() -> None:
    """Cancel what was written by transactions that did not see yet that their endpoint is disabled."""
    _cancel(WebhookDelivery.objects.filter(endpoint__is_enabled=False))


def _cancel(rows: WebhookDeliveryQuerySet) -> None:
    rows.pending().update(state=DeliveryState.CANCELLED, is_sending=False)


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Lock the endpoint's row, the mutex of its deliveries, and return it; refuse a removed one."""
    row = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    if row.removed_at is not None:
        raise ValidationError("The endpoint was removed; create another one.", code="removed")
    return row


def _refuse_disabled(endpoint: WebhookEndpoint) -> None:
    if not endpoint.is_enabled:
        words = "The endpoint is disabled; enable it first."
        raise ValidationError(words, code="disabled")


def _fill(
    endpoint: WebhookEndpoint, url: str, description: str, events: Iterable[str], resolve: Resolve
) -> None:
    endpoint.url, endpoint.description = url, description
    try:
        endpoint.events = events_in_order(events)
    except ValidationError as error:
        raise ValidationError({"events": error}) from None
    endpoint.full_clean()
    try:
        outbound.check(url, resolve=resolve)
    except Refused as refusal:
        words = ValidationError(f"Cannot be sent to: {refusal}.", code="refused")
        raise ValidationError({"url": words}) from None
