"""What left the ledger for a file, and what it summed to: enough to prove the file."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from budgets.models.campaign import Campaign
from budgets.models.fields import MoneyField


class SpendArchive(models.Model):
    """A compressed file with the rows of one month that were in the ledger when it was written.

    `rows` and `sha256` are of the whole file. While it `is_moving`, some of its rows are still in the
    ledger: whoever goes on moves the rest.
    """

    name = models.CharField(max_length=100, unique=True)
    month = models.DateField(help_text="The first day of the month.")
    rows = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    is_moving = models.BooleanField(default=True, db_default=True)
    written_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class ArchivedSpend(models.Model):
    """What the rows of one campaign in one archive sum to: its place in the ledger's history."""

    archive = models.ForeignKey(SpendArchive, on_delete=models.PROTECT, related_name="sums")
    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="archived_spends", db_index=False
    )
    rows = models.PositiveBigIntegerField(default=0)
    amount = MoneyField(default=Decimal(0), help_text="In the brand's currency.")

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "archive"], name="archived_spend_once_per_archive"
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount} in {self.rows} rows"
