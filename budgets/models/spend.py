"""The ledger: money that was spent. Append-only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any, Self, TypeVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from budgets.models.campaign import Campaign
from budgets.models.fields import MoneyField
from budgets.models.file_import import Import


class AppendOnly(RuntimeError):
    """A row of the ledger or of the log was to be edited or deleted."""

    def __init__(self) -> None:
        super().__init__(
            "this row is never edited or deleted; record a correction as a new row (a negative amount)"
        )


RowT = TypeVar("RowT", bound="AppendOnlyModel", covariant=True)


class AppendOnlyQuerySet(models.QuerySet[RowT]):
    """Rows that are only ever added."""

    def update(self, **values: Any) -> int:
        """Refuse."""
        raise AppendOnly

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise AppendOnly

    def bulk_create(
        self,
        objs: Iterable[RowT],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[RowT]:
        """Add rows; refuse to write over existing ones."""
        if update_conflicts:
            raise AppendOnly
        rows = list(objs)
        for row in rows:
            row.start()
        return super().bulk_create(rows, batch_size, ignore_conflicts)


class AppendOnlyModel(models.Model):
    """A row that is only ever added."""

    class Meta:
        abstract = True

    def start(self) -> None:
        """Prepare a new row."""

    def save(self, **kwargs: Any) -> None:
        """Add the row; refuse to write an existing one again."""
        if not self._state.adding:
            raise AppendOnly
        self.start()
        super().save(**{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise AppendOnly


class SpendQuerySet(AppendOnlyQuerySet["Spend"]):
    """The words we use for rows of the ledger."""

    def uncounted(self) -> Self:
        """Rows that are in no total yet: written by another road, or dated ahead."""
        return self.filter(is_counted=False)

    def countable(self, *, until: date) -> Self:
        """Uncounted rows whose day has come: `until` is the latest local date anywhere."""
        return self.uncounted().filter(date__lte=until)

    def mark_counted(self, *, counted: bool) -> int:
        """Say whether these rows are in the totals: the one column that may change."""
        return super(AppendOnlyQuerySet, self).update(is_counted=counted)

    def leave(self) -> int:
        """Take these rows out of the ledger: for `services.archiving`, which has them in a file."""
        return self._raw_delete(self.db)


class Spend(AppendOnlyModel):
    """An amount spent on a local day of its campaign's brand, in the brand's currency.

    A correction is a new, negative row. `external_id` is unique within its `source`. A row written
    by another road (a shell, SQL) is in no total until a pass counts it, exactly once.
    """

    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="spends", db_index=False
    )
    date = models.DateField(help_text="The brand's local day on which the money was spent.")
    amount = MoneyField(help_text="In the brand's currency; negative for a correction.")
    occurred_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=100, default="", db_default="", blank=True)
    external_id = models.CharField("external ID", max_length=200, null=True, blank=True)
    is_counted = models.BooleanField("counted", default=False, db_default=False, editable=False)
    created_at = models.DateTimeField("recorded", db_default=Now(), editable=False)
    # Of rows that a file brought, set in the transaction that inserts them. Not checked by the
    # database: a check of each row, of those too that name none, would cost every program's spend.
    brought_by = models.ForeignKey(
        Import,
        on_delete=models.PROTECT,
        related_name="spends",
        null=True,
        editable=False,
        db_index=False,
        db_constraint=False,
    )

    objects = models.Manager.from_queryset(SpendQuerySet)()

    class Meta:
        # `campaign.spends.add()` and its like write through this one.
        base_manager_name = "objects"
        verbose_name = "spend"
        verbose_name_plural = "spend"
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                name="spend_once_per_source",
                violation_error_message="This source has reported this id already.",
            )
        ]
        indexes = [
            models.Index(fields=["campaign", "date"], name="spend_by_campaign_and_day"),
            # The queue of rows written by other roads; those dated ahead lie at its end.
            models.Index(
                fields=["date", "id"], name="spend_uncounted", condition=Q(is_counted=False)
            ),
            # The page of an import. Of imported rows only: those of programs do not pay for it.
            models.Index(
                fields=["brought_by", "id"],
                name="spend_by_import",
                condition=Q(brought_by__isnull=False),
            ),
        ]

    def start(self) -> None:
        """Prepare a new row, a copy of a counted one too: it is in no total yet, and of no file."""
        self.is_counted = False
        self.brought_by = None
        self.external_id = self.external_id or None

    def __str__(self) -> str:
        return f"{self.amount} on {self.date}"
