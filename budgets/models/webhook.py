"""Webhooks: who is told of which changes, what is to be sent, and every attempt to send it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from budgets.models.alert import Alert
from budgets.models.brand import Brand
from budgets.models.seen import SeenQuerySet
from budgets.models.status_change import StatusChange
from budgets.models.words import words_in_order

LONGEST_URL = 500


class WebhookEvent(models.TextChoices):
    """What an endpoint can be told."""

    PAUSED = "campaign.paused", "campaign.paused: it must stop"
    RESUMED = "campaign.resumed", "campaign.resumed: it may run again"
    HOLD_CHANGED = (
        "campaign.hold_changed",
        "campaign.hold_changed: still stopped, for another reason",
    )
    THRESHOLD = "budget.threshold_reached", "budget.threshold_reached: so much of a budget is spent"
    SILENT = "campaign.silent", "campaign.silent: it runs, and nothing is spent"
    REPORTS_STALE = "reports.stale", "reports.stale: no campaign of a brand reports spend"
    PASSES_STALE = "passes.stale", "passes.stale: passes do not come to their end"
    TEST = "webhook.test", "webhook.test: sent by the test button, chosen or not"


# Alerts are for people first: a receiver that switches campaigns need not know them.
CHOSEN_BY_DEFAULT = (WebhookEvent.PAUSED, WebhookEvent.RESUMED, WebhookEvent.HOLD_CHANGED)


def events_in_order(events: Iterable[str]) -> str:
    """Write events the one way in which they are stored, a space between them.

    Raises ``ValidationError`` when there is none, or one that is not known.
    """
    return words_in_order(events, WebhookEvent.values, "event")


def validate_printable(text: str) -> None:
    """Refuse what would garble a page or a log, and what PostgreSQL cannot store."""
    if not text.isprintable():
        words = "Write it without control or invisible characters."
        raise ValidationError(words, code="unprintable")


class WebhookEndpointQuerySet(SeenQuerySet["WebhookEndpoint"]):
    """The words we use for sets of endpoints."""

    def kept(self) -> Self:
        """Those that nobody removed."""
        return self.filter(removed_at=None)

    def enabled(self) -> Self:
        """Those that are sent to."""
        return self.filter(is_enabled=True)


class WebhookEndpoint(models.Model):
    """A receiver: where it is, what it is told, and of whose campaigns.

    `sealed_secret` is not the secret: see `services.signatures`. After a rotation the one before,
    `previous_sealed_secret`, signs as well until `previous_expires_at`. An endpoint that
    `is_restricted` is told of the brands in `brands` and no other, also when the last of them is gone.

    `failures` counts the attempts that failed since the last one that did not. Endpoints are removed
    (`removed_at`), never deleted: an uncommitted change may be about to refer to one.
    """

    url = models.CharField("URL", max_length=LONGEST_URL, help_text="https://…, port 443 or 8443.")
    description = models.CharField(
        max_length=200, blank=True, default="", validators=[validate_printable]
    )
    events = models.CharField(max_length=200)
    is_restricted = models.BooleanField("hears of", default=False, db_default=False)
    brands = models.ManyToManyField(Brand, blank=True, related_name="webhook_endpoints")
    sealed_secret = models.CharField(max_length=200, editable=False)
    previous_sealed_secret = models.CharField(
        max_length=200, blank=True, default="", editable=False
    )
    previous_expires_at = models.DateTimeField(null=True, editable=False)
    is_enabled = models.BooleanField(default=True, db_default=True, editable=False)
    disabled_reason = models.CharField(max_length=300, blank=True, default="", editable=False)
    failures = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(editable=False)
    removed_at = models.DateTimeField(null=True, editable=False)

    objects = models.Manager.from_queryset(WebhookEndpointQuerySet)()

    class Meta:
        # Nobody may delete one, so there is no permission to.
        default_permissions = ("add", "change", "view")
        constraints = [
            models.CheckConstraint(
                condition=Q(removed_at=None) | Q(is_enabled=False),
                name="webhook_endpoint_removed_is_disabled",
            ),
            models.CheckConstraint(
                condition=Q(is_enabled=False) | Q(disabled_reason=""),
                name="webhook_endpoint_enabled_has_no_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.description or self.url

    @property
    def event_list(self) -> list[str]:
        """The events it chose."""
        return self.events.split()


def brands_of(endpoints: Iterable[int]) -> dict[int, list[int]]:
    """Return the brands that were chosen for endpoints, by key, in order; none: not in the answer."""
    pairs = WebhookEndpoint.brands.through.objects.filter(webhookendpoint_id__among=endpoints)
    brands: dict[int, list[int]] = {}
    for pk, brand_id in pairs.order_by("brand_id").values_list("webhookendpoint_id", "brand_id"):
        brands.setdefault(pk, []).append(brand_id)
    return brands


class DeliveryState(models.TextChoices):
    """What became of a delivery."""

    PENDING = "pending", "pending"
    DELIVERED = "delivered", "delivered"
    FAILED = "failed", "given up"
    CANCELLED = "cancelled", "cancelled"


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    """The words we use for sets of deliveries."""

    def seen_with(self, brand_ids: Iterable[int] | None) -> Self:
        """Those of changes and alerts of these brands, and tests; ``None``: all of them.

        That their endpoint hears of these brands alone is not enough: it may have heard of others
        before. What is of no brand, or of an alert that is gone, is for who sees all.
        """
        if brand_ids is None:
            return self
        ids = list(brand_ids)
        return self.filter(
            Q(status_change__campaign__brand_id__among=ids)
            | Q(alert__brand_id__among=ids)
            | Q(event=WebhookEvent.TEST)
        )

    def pending(self) -> Self:
        """Those that are still to be sent, or are being sent."""
        return self.filter(state=DeliveryState.PENDING)

    def due(self, at: datetime) -> Self:
        """Those whose time has come; of a killed sender as well, once its lease is over."""
        return self.pending().filter(due_at__lte=at)

    def settled(self, until: datetime) -> Self:
        """Those that are over since `until` or longer: `due_at` is then the end of the last lease."""
        return self.exclude(state=DeliveryState.PENDING).filter(due_at__lte=until)

    def in_flight(self, at: datetime, lease: timedelta) -> Self:
        """Those that a sender holds; the length of a lease keeps the index from all that wait."""
        return self.pending().filter(is_sending=True, due_at__gt=at, due_at__lte=at + lease)


class WebhookDelivery(models.Model):
    """One event for one endpoint, written in the transaction of its status change or alert.

    `body` is fixed once: every attempt sends the same bytes. `attempts` counts those since it was
    written or last replayed. While a sender holds it, `is_sending` is set and `due_at` is the end of
    its lease: a sender that is killed needs nobody to clear up.
    """

    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries", db_index=False
    )
    status_change = models.ForeignKey(
        StatusChange, on_delete=models.PROTECT, null=True, related_name="deliveries"
    )
    alert = models.ForeignKey(
        Alert, on_delete=models.SET_NULL, null=True, related_name="deliveries", db_index=False
    )
    event = models.CharField(max_length=40, choices=WebhookEvent)
    body = models.TextField()
    state = models.CharField(
        max_length=10,
        choices=DeliveryState,
        default=DeliveryState.PENDING,
        db_default=DeliveryState.PENDING,
    )
    due_at = models.DateTimeField("due")
    is_sending = models.BooleanField(default=False, db_default=False)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField("created")

    objects = models.Manager.from_queryset(WebhookDeliveryQuerySet)()

    class Meta:
        verbose_name_plural = "webhook deliveries"
        # Changing one is replaying it.
        default_permissions = ("change", "view")
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "status_change"], name="webhook_delivery_once_per_change"
            ),
            # Also the index by alert; most deliveries are of none.
            models.UniqueConstraint(
                fields=["alert", "endpoint"],
                condition=Q(alert__isnull=False),
                name="webhook_delivery_once_per_alert",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(state=DeliveryState.PENDING),
                name="webhook_delivery_due",
            ),
            models.Index(
                fields=["endpoint", "due_at"],
                condition=Q(state=DeliveryState.PENDING),
                name="webhook_delivery_of_endpoint",
            ),
            # Of what is over, the oldest: it is forgotten.
            models.Index(
                fields=["due_at"],
                condition=~Q(state=DeliveryState.PENDING),
                name="webhook_delivery_settled",
            ),
            models.Index(fields=["endpoint", "id"], name="webhook_delivery_list"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.message_id}"

    @property
    def message_id(self) -> str:
        """What receivers know it by, the same in every attempt.

        With its instant: in a database restored to an earlier point, numbers are given again.
        """
        return f"msg_{self.pk}_{int(self.created_at.timestamp())}"


class WebhookAttempt(models.Model):
    """One attempt to send a delivery: `status` is the answer's, or `error` says why there was none."""

    delivery = models.ForeignKey(
        WebhookDelivery, on_delete=models.CASCADE, related_name="attempts_made"
    )
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")
    duration_ms = models.PositiveIntegerField()

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.error or str(self.status)
