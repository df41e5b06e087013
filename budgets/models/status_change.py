"""The log of status changes: audit trail, feed and outbox in one."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import F, Q

from budgets.core.decision import Hold
from budgets.models.campaign import HOLD_CHOICES, Campaign
from budgets.models.commit_order import FirstUnused, Stamp
from budgets.models.spend import AppendOnlyModel, AppendOnlyQuerySet


class Cause(models.TextChoices):
    """What made a campaign's state change."""

    SPEND = "spend", "spend"
    SCHEDULE = "schedule", "schedule"
    ROLLOVER = "rollover", "new day or month"
    EDIT = "edit", "edit"
    OPERATOR = "operator", "operator"
    SWEEP = "sweep", "full check"


SPENT_A_BRANDS_BUDGET = Q(
    cause=Cause.SPEND, hold__in=[Hold.BRAND_DAILY_BUDGET.value, Hold.BRAND_MONTHLY_BUDGET.value]
)
"""Changes by which spend held a campaign because its brand's budget was used up."""


class StatusChangeQuerySet(AppendOnlyQuerySet["StatusChange"]):
    """Rows of the log."""

    def from_elsewhere(self) -> Self:
        """Rows that another database wrote and this one could not yet: of a restored dump."""
        return self.filter(xid__gte=FirstUnused())


class StatusChange(AppendOnlyModel):
    """One change of a campaign's `is_active` or `hold`, written in the transaction that made it.

    `figures` are what decided: every hold that applied (`holds`), and for a budget its `spent` and
    `budget` in the brand's `currency`, as decimal strings. Readers that go on from where they were
    read in the order (`xid`, id), which the database gives: see `commit_order`.
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
    xid = models.BigIntegerField(db_default=Stamp(), editable=False)

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
            # The feed of changes, and the version of what is active.
            models.Index(fields=["xid", "id"], name="status_change_feed"),
            # The report of overspend, of all brands and of some. A midnight writes nothing into these.
            models.Index(
                fields=["at"], name="status_change_overspend", condition=SPENT_A_BRANDS_BUDGET
            ),
            models.Index(
                fields=["campaign", "at"],
                name="status_change_overspend_of",
                condition=SPENT_A_BRANDS_BUDGET,
            ),
        ]

    def start(self) -> None:
        """Prepare a new row, a copy of another one too: the database says where it belongs."""
        self.xid = StatusChange.xid.field.get_default()

    def __str__(self) -> str:
        return f"{self.old_hold or 'active'} → {self.hold or 'active'}"
