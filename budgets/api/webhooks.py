"""Webhooks: endpoints and their secrets, what was sent to them, and sending it again."""

# No `from __future__ import annotations`: django-ninja reads the types of decorated functions.
import json
from collections.abc import Iterable, Sequence
from typing import Literal

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from ninja import Query, Router
from ninja.responses import NinjaJSONEncoder
from pydantic import BaseModel

from budgets.api import pages
from budgets.api.auth import principal_of, requires
from budgets.api.idempotency import idempotent
from budgets.api.pages import Filters
from budgets.api.problems import FieldError, Problem, from_model, invalid, refuse_null
from budgets.api.schemas import (
    AttemptOut,
    DeliveryOut,
    DeliveryPage,
    DeliveryWithAttempts,
    WebhookEdit,
    WebhookNew,
    WebhookOut,
    WebhookPage,
    WebhookWithSecret,
    Whole,
)
from budgets.models import Brand, WebhookDelivery, WebhookEndpoint
from budgets.models.webhook import WebhookDeliveryQuerySet, WebhookEndpointQuerySet, brands_of
from budgets.services import signatures, webhooks
from budgets.services.keys import Principal
from budgets.services.signatures import SecretLost

router = Router()

SHOWN_ATTEMPTS = 100


class DeliveryFilters(Filters):
    """What a list of deliveries may be narrowed to."""

    state: Literal["pending", "delivered", "failed", "cancelled"] | None = None


@router.get("/webhooks", response=WebhookPage, tags=["webhooks"], summary="List endpoints")
@requires("manage")
def list_webhooks(request: HttpRequest, filters: Query[Filters]) -> WebhookPage:
    """Return the endpoints this key sees: those that hear of no brand that it does not see."""
    pages.only_known(request, Filters)
    found = _endpoints(principal_of(request))
    shown, cursor = pages.page(found, filters.cursor, filters.limit)
    return WebhookPage(data=_endpoints_out(shown), next_cursor=cursor)


@router.post(
    "/webhooks",
    response={201: WebhookWithSecret},
    tags=["webhooks"],
    summary="Create an endpoint",
)
@requires("manage")
def create_webhook(request: HttpRequest, new: WebhookNew) -> HttpResponse:
    """Return the endpoint and its secret. Keep the secret: it is not shown again."""
    return _with_secret(_create(request, new))


@router.get(
    "/webhooks/{webhook_id}", response=WebhookOut, tags=["webhooks"], summary="One endpoint"
)
@requires("manage")
def get_webhook(request: HttpRequest, webhook_id: Whole) -> WebhookOut:
    """Return an endpoint, without its secret."""
    return _endpoint_out(_endpoint(principal_of(request), webhook_id))


@router.patch(
    "/webhooks/{webhook_id}", response=WebhookOut, tags=["webhooks"], summary="Edit an endpoint"
)
@requires("manage")
def patch_webhook(request: HttpRequest, webhook_id: Whole, edit: WebhookEdit) -> WebhookOut:
    """Change what is sent; `is_enabled` switches it off, which cancels what waits, and on again."""
    principal = principal_of(request)
    endpoint = _endpoint(principal, webhook_id)
    values = edit.model_dump(exclude_unset=True)
    refuse_null(values, nullable=["brands"])
    is_enabled = values.pop("is_enabled", None)
    if values:
        _change(principal, endpoint, values, is_enabled)
    elif is_enabled is not None:
        webhooks.switch(endpoint, on=is_enabled, by=principal.name)
    return _endpoint_out(_endpoint(principal, webhook_id))


@router.delete(
    "/webhooks/{webhook_id}",
    response={204: None},
    tags=["webhooks"],
    summary="Remove an endpoint",
)
@requires("manage")
def delete_webhook(request: HttpRequest, webhook_id: Whole) -> None:
    """Send nothing more to it, for good."""
    webhooks.remove(_endpoint(principal_of(request), webhook_id), now=timezone.now())


@router.post(
    "/webhooks/{webhook_id}/rotate",
    response=WebhookWithSecret,
    tags=["webhooks"],
    summary="Rotate the secret",
)
@requires("manage")
def rotate_webhook(request: HttpRequest, webhook_id: Whole) -> HttpResponse:
    """Return a new secret. For 24 hours every delivery is signed with both."""
    return _with_secret(_rotate(request, webhook_id))


@router.post(
    "/webhooks/{webhook_id}/test",
    response={202: DeliveryOut},
    tags=["webhooks"],
    summary="Send a test",
)
@requires("manage")
@idempotent
def test_webhook(request: HttpRequest, webhook_id: Whole) -> HttpResponse:
    """Have one `webhook.test` sent within seconds; ask for the delivery to see what became of it."""
    endpoint = _endpoint(principal_of(request), webhook_id)
    return _json(_delivery_out(webhooks.test(endpoint, now=timezone.now())), 202)


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    response=DeliveryPage,
    tags=["webhooks"],
    summary="List deliveries",
)
@requires("manage")
def list_deliveries(
    request: HttpRequest, webhook_id: Whole, filters: Query[DeliveryFilters]
) -> DeliveryPage:
    """Return what was and is to be sent to an endpoint, in the order of the ids.

    A key that sees some brands only sees what tells of these.
    """
    pages.only_known(request, DeliveryFilters)
    rows = _deliveries(principal_of(request), webhook_id)
    if filters.state is not None:
        rows = rows.filter(state=filters.state)
    shown, cursor = pages.page(rows.defer("body"), filters.cursor, filters.limit)
    return DeliveryPage(data=[_delivery_out(row) for row in shown], next_cursor=cursor)


@router.get(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}",
    response=DeliveryWithAttempts,
    tags=["webhooks"],
    summary="One delivery",
)
@requires("manage")
def get_delivery(
    request: HttpRequest, webhook_id: Whole, delivery_id: Whole
) -> DeliveryWithAttempts:
    """Return a delivery with its attempts."""
    row = _delivery(principal_of(request), webhook_id, delivery_id)
    newest = list(row.attempts_made.order_by("-pk")[:SHOWN_ATTEMPTS])
    return DeliveryWithAttempts(
        **_delivery_out(row).model_dump(),
        body=row.body,
        attempts_made=[
            AttemptOut(at=it.at, status=it.status, error=it.error, duration_ms=it.duration_ms)
            for it in reversed(newest)
        ],
    )


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
    response={202: DeliveryOut},
    tags=["webhooks"],
    summary="Replay a delivery",
)
@requires("manage")
@idempotent
def replay_delivery(request: HttpRequest, webhook_id: Whole, delivery_id: Whole) -> HttpResponse:
    """Send it again, with the same id and body."""
    row = _delivery(principal_of(request), webhook_id, delivery_id)
    webhooks.replay(row, now=timezone.now())
    return _json(_delivery_out(row), 202)


@idempotent
def _create(request: HttpRequest, new: WebhookNew) -> HttpResponse:
    principal = principal_of(request)
    try:
        endpoint, _ = webhooks.create(
            new.url,
            description=new.description,
            events=new.events,
            brands=_brands(principal, new.brands),
            now=timezone.now(),
        )
    except ValidationError as error:
        raise from_model(error) from None
    return _json(_endpoint_out(endpoint), 201, sealed_secret=endpoint.sealed_secret)


@idempotent
def _rotate(request: HttpRequest, webhook_id: int) -> HttpResponse:
    endpoint = _endpoint(principal_of(request), webhook_id)
    webhooks.rotate(endpoint, now=timezone.now())
    return _json(_endpoint_out(endpoint), 200, sealed_secret=endpoint.sealed_secret)


@sensitive_variables("shown")
def _with_secret(response: HttpResponse) -> HttpResponse:
    """Tell the secret in an answer that is stored, for its `Idempotency-Key`, with the sealed one.

    Who asks again with the same key gets it again: that the answer was lost is what keys are for.
    It is the secret of then. That of now, after a rotation, may be none of this key's business.
    """
    shown = json.loads(response.content)
    try:
        secret = signatures.shown(shown.pop("sealed_secret"))
    except SecretLost:
        raise Problem(
            409,
            "secret_lost",
            "it was done, but its secret came from a SECRET_KEY that is not at hand: rotate the secret "
            "with a new Idempotency-Key, or have the key before put into SECRET_KEY_FALLBACKS",
        ) from None
    response.content = json.dumps({**shown, "secret": secret}).encode()
    return response


def _change(
    principal: Principal,
    endpoint: WebhookEndpoint,
    values: dict[str, object],
    is_enabled: bool | None,  # noqa: FBT001  # as it was sent
) -> None:
    kept = WebhookNew(
        url=endpoint.url,
        description=endpoint.description,
        events=endpoint.event_list,
        brands=_brand_ids([endpoint])[endpoint.pk],
    )
    wanted = kept.model_copy(update=values)
    try:
        webhooks.change(
            endpoint,
            url=wanted.url,
            description=wanted.description,
            events=wanted.events,
            brands=_brands(principal, wanted.brands),
            is_enabled=is_enabled,
            by=principal.name,
        )
    except ValidationError as error:
        raise from_model(error) from None


def _brands(principal: Principal, ids: Sequence[int] | None) -> list[Brand] | None:
    """Return the brands to hear of; 422 for any that the key may not see, as for one there is not."""
    if ids is None:
        if principal.brand_ids is not None:
            words = "this key sees some brands only; name those to hear of"
            raise invalid([FieldError("brands", "required", words)])
        return None
    found = {brand.pk: brand for brand in principal.brands().filter(pk__among=ids)}
    wrong = [
        FieldError(f"brands.{at}", "unknown_brand", f"there is no brand {pk}")
        for at, pk in enumerate(ids)
        if pk not in found
    ]
    if wrong:
        raise invalid(wrong)
    if not found:
        words = "name at least one, or null to hear of all"
        raise invalid([FieldError("brands", "required", words)])
    return list(found.values())


def _endpoints(principal: Principal) -> WebhookEndpointQuerySet:
    return WebhookEndpoint.objects.kept().seen_with(principal.brand_ids)


def _endpoint(principal: Principal, webhook_id: int) -> WebhookEndpoint:
    return pages.one(_endpoints(principal), webhook_id, "webhook")


def _deliveries(principal: Principal, webhook_id: int) -> WebhookDeliveryQuerySet:
    endpoint = _endpoint(principal, webhook_id)
    return WebhookDelivery.objects.filter(endpoint=endpoint).seen_with(principal.brand_ids)


def _delivery(principal: Principal, webhook_id: int, delivery_id: Whole) -> WebhookDelivery:
    rows = _deliveries(principal, webhook_id).select_related("endpoint")
    return pages.one(rows, delivery_id, "delivery")


def _brand_ids(endpoints: Iterable[WebhookEndpoint]) -> dict[int, list[int] | None]:
    """Return the brands that each endpoint hears of; ``None``: all."""
    rows = list(endpoints)
    chosen = brands_of(row.pk for row in rows)
    return {row.pk: chosen.get(row.pk, []) if row.is_restricted else None for row in rows}


def _endpoint_out(endpoint: WebhookEndpoint) -> WebhookOut:
    [shown] = _endpoints_out([endpoint])
    return shown


def _endpoints_out(endpoints: Sequence[WebhookEndpoint]) -> list[WebhookOut]:
    brands = _brand_ids(endpoints)
    return [
        WebhookOut(
            id=row.pk,
            url=row.url,
            description=row.description,
            events=row.event_list,
            brands=brands[row.pk],
            is_enabled=row.is_enabled,
            disabled_reason=row.disabled_reason,
            failures=row.failures,
            created_at=row.created_at,
            previous_secret_expires_at=row.previous_expires_at,
        )
        for row in endpoints
    ]


def _delivery_out(row: WebhookDelivery) -> DeliveryOut:
    return DeliveryOut(
        id=row.pk,
        message_id=row.message_id,
        event=row.event,
        sequence=row.status_change_id,
        state=row.state,
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
    )


def _json(shown: BaseModel, status: int, **unshown: str) -> HttpResponse:
    # Written as django-ninja writes the other answers: instants to the millisecond.
    body = json.dumps(shown.model_dump() | unshown, cls=NinjaJSONEncoder)
    return HttpResponse(body, status=status, content_type="application/json")
