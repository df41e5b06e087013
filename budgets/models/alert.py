"""Alerts: what somebody should know, once; who is told; and every mail that tells it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from budgets.core.decision import Hold
from budgets.models.brand import Brand
from budgets.models.campaign import Campaign
from budgets.models.seen import SeenQuerySet
from budgets.models.words import words_in_order


class AlertKind(models.TextChoices):
    """What an alert is about."""

    THRESHOLD = "budget_threshold", "a threshold of a budget is reached"
    SILENT = "campaign_silent", "a campaign runs and nothing is spent"
    REPORTS_STALE = "reports_stale", "no campaign of a brand reports spend"
    PASSES_STALE = "passes_stale", "passes do not come to their end"


BUDGET_LABELS: dict[str, str] = {
    Hold.BRAND_DAILY_BUDGET.value: "daily budget",
    Hold.BRAND_MONTHLY_BUDGET.value: "monthly budget",
    Hold.CAMPAIGN_DAILY_BUDGET.value: "campaign's daily budget",
    Hold.CAMPAIGN_MONTHLY_BUDGET.value: "campaign's monthly budget",
}
"""The budgets that thresholds are of, by the hold that reaching them causes."""


def kinds_in_order(kinds: Iterable[str]) -> str:
    """Write kinds the one way in which they are stored, a space between them.

    Raises ``ValidationError`` when there is none, or one that is not known.
    """
    return words_in_order(kinds, AlertKind.values, "kind")


class AlertQuerySet(models.QuerySet["Alert"]):
    """The words we use for sets of alerts."""

    def seen_with(self, brand_ids: Iterable[int] | None) -> Self:
        """Those of these brands; ``None``: all, those of no brand as well."""
        return self if brand_ids is None else self.filter(brand_id__among=brand_ids)


class Alert(models.Model):
    """One thing that was worth telling, in the period in which it was so. Only ever added.

    Once is a fact of the database: (`kind`, `budget`, `period`, `subject`, `threshold`) is unique.
    `subject` is the key of the campaign, else of the brand, else 0. `budget` names the hold that
    reaching it causes, `threshold` is in percent of it. `period` is a local date or month
    ('2026-11-24', '2026-11'); of a silence it is the ledger's row after which nothing came, of passes
    the last one that came to its end.

    `figures` are those of `raised_at`: names, and amounts as decimal strings. Of several thresholds
    that are passed at once there is the highest alone. A silent campaign `is_superseded` when the
    alert about its brand says it too.
    """

    kind = models.CharField(max_length=20, choices=AlertKind)
    brand = models.ForeignKey(
        Brand, on_delete=models.CASCADE, null=True, related_name="alerts", db_index=False
    )
    campaign = models.ForeignKey(
        Campaign, on_delete=models.CASCADE, null=True, related_name="alerts", db_index=False
    )
    budget = models.CharField(
        max_length=32, choices=list(BUDGET_LABELS.items()), blank=True, default=""
    )
    subject = models.BigIntegerField(default=0)
    period = models.CharField(max_length=64)
    threshold = models.PositiveSmallIntegerField(default=0)
    raised_at = models.DateTimeField("raised")
    figures: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    is_superseded = models.BooleanField(default=False, db_default=False)

    objects = models.Manager.from_queryset(AlertQuerySet)()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            # Also what a pass asks: which thresholds of this period were told?
            models.UniqueConstraint(
                fields=["kind", "budget", "period", "subject", "threshold"], name="alert_once"
            ),
            models.CheckConstraint(
                condition=Q(
                    kind=AlertKind.THRESHOLD, threshold__gt=0, budget__in=sorted(BUDGET_LABELS)
                )
                | (~Q(kind=AlertKind.THRESHOLD) & Q(threshold=0, budget="")),
                name="alert_threshold_iff_of_a_budget",
            ),
        ]
        indexes = [
            models.Index(fields=["brand", "id"], name="alert_of_brand"),
            models.Index(
                fields=["campaign"], name="alert_of_campaign", condition=Q(campaign__isnull=False)
            ),
            models.Index(fields=["kind", "id"], name="alert_of_kind"),
        ]

    def __str__(self) -> str:
        return self.words

    @property
    def words(self) -> str:
        """What happened, in one sentence, names included as they were then."""
        brand, campaign = self.figures.get("brand", ""), self.figures.get("campaign", "")
        who = f"{campaign} ({brand})" if campaign else brand
        match self.kind:
            case AlertKind.THRESHOLD:
                period = "daily" if "daily" in self.budget else "monthly"
                return f"{who}: {self.threshold} % of the {period} budget of {self.period} reached"
            case AlertKind.SILENT:
                return f"{who}: no spend in {self.figures.get('hours')} hours of running"
            case AlertKind.REPORTS_STALE:
                return (
                    f"{who}: no campaign has reported spend for {self.figures.get('hours')} hours"
                )
            case _:
                return f"The pass {self.figures.get('pass')} does not come to its end"


class AlertRecipientQuerySet(SeenQuerySet["AlertRecipient"]):
    """The words we use for sets of recipients."""

    def enabled(self) -> Self:
        """Those that are told."""
        return self.filter(is_enabled=True)


def validate_address(address: str) -> None:
    """Refuse what would garble a header."""
    if not address.isprintable():
        raise ValidationError("Write it without control characters.", code="unprintable")


class AlertRecipient(models.Model):
    """An address, of which alerts it is told, and of whose brands.

    One that `is_restricted` is told of the brands in `brands` and no other, also when the last of them
    is gone. One that belongs to a `user` is told of nothing that this person may not see.
    """

    address = models.EmailField("e-mail address", validators=[validate_address])
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="alert_recipients",
        help_text="Told of nothing that this person may not see. Empty: as chosen below.",
    )
    kinds = models.CharField("is told when", max_length=200)
    is_restricted = models.BooleanField("is told of", default=False, db_default=False)
    brands = models.ManyToManyField(Brand, blank=True, related_name="alert_recipients")
    is_enabled = models.BooleanField("enabled", default=True, db_default=True)
    created_at = models.DateTimeField("created", editable=False)

    objects = models.Manager.from_queryset(AlertRecipientQuerySet)()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("address"),
                name="alert_recipient_address_unique",
                violation_error_message="This address is a recipient already; edit that one.",
            ),
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def kind_list(self) -> list[str]:
        """The kinds it chose."""
        return self.kinds.split()


class MessageState(models.TextChoices):
    """What became of a mail."""

    PENDING = "pending", "to be sent"
    SENT = "sent", "sent"
    FAILED = "failed", "given up"


class AlertMessageQuerySet(models.QuerySet["AlertMessage"]):
    """The words we use for sets of mails."""

    def pending(self) -> Self:
        """Those that are still to be sent, or are being sent."""
        return self.filter(state=MessageState.PENDING)

    def due(self, at: datetime) -> Self:
        """Those whose time has come; of a killed sender as well, once its lease is over."""
        return self.pending().filter(due_at__lte=at)


class AlertMessage(models.Model):
    """One alert for one address, written in the transaction of the alert: both are there or neither.

    While a sender holds it `due_at` is the end of its lease, so one that is killed needs nobody to
    clear up. `address` stays what it was when the recipient is edited or removed.
    """

    alert = models.ForeignKey(
        Alert, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    recipient = models.ForeignKey(
        AlertRecipient, on_delete=models.SET_NULL, null=True, related_name="messages"
    )
    address = models.EmailField()
    state = models.CharField(
        max_length=10,
        choices=MessageState,
        default=MessageState.PENDING,
        db_default=MessageState.PENDING,
    )
    due_at = models.DateTimeField("due")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    sent_at = models.DateTimeField("sent", null=True)
    error = models.CharField(max_length=300, blank=True, default="", db_default="")
    created_at = models.DateTimeField("created")

    objects = models.Manager.from_queryset(AlertMessageQuerySet)()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            # Also the index by alert.
            models.UniqueConstraint(fields=["alert", "address"], name="alert_message_once"),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(state=MessageState.PENDING), name="alert_message_due"
            ),
        ]

    def __str__(self) -> str:
        return f"to {self.address}"

    @property
    def message_id(self) -> str:
        """What mail programs know it by, the same in every attempt.

        With its instant: in a database restored to an earlier point, numbers are given again.
        """
        return f"alert.{self.pk}.{int(self.created_at.timestamp())}"
