"""The log of status changes: audit trail, feed and outbox in one."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q

from budgets.models.campaign import HOLD_CHOICES, Campaign
from budgets.models.spend import AppendOnlyModel, AppendOnlyQuerySet


class Cause(models.TextChoices):
    """What made a campaign's state change."""

    SPEND = "spend", "spend"
    SCHEDULE = "schedule", "schedule"
    ROLLOVER = "rollover", "new day or month"
    EDIT = "edit", "edit"
    OPERATOR = "operator", "operator"
    SWEEP = "sweep", "full check"


class StatusChangeQuerySet(AppendOnlyQuerySet["StatusChange"]):
    """Rows of the log."""


class StatusChange(AppendOnlyModel):
    """One change of a campaign's `is_active` or `hold`, written in the transaction that made it.

    `figures` are what decided: every hold that applied (`holds`), and for a budget its `spent` and
    `budget` in the brand's `currency`, as decimal strings.
    """

    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="status_changes", db_index=False
    )
    at = models.DateTimeField()
    was_active = models.BooleanField()
    is_active = models.BooleanField()
    old_hold = models.CharField(max_length=32, choices=HOLD_CHOICES, blank=True)
    hold = models.CharField(max_length=32, choices=HOLD_CHOICES, blank=True)
    cause = models.CharField(max_length=16, choices=Cause)
    actor = models.CharField(max_length=200, blank=True, default="")
    figures: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)

    objects = models.Manager.from_queryset(StatusChangeQuerySet)()

    class Meta:
        # `campaign.status_changes.add()` and its like write through this one.
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=~Q(old_hold=F("hold")), name="status_change_changes_something"
            ),
        ]
        indexes = [
            models.Index(fields=["campaign", "id"], name="status_change_by_campaign"),
        ]

    def __str__(self) -> str:
        return f"{self.old_hold or 'active'} → {self.hold or 'active'}"
