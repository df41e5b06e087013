"""The advertiser whose budgets all its campaigns share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from budgets.core import periods
from budgets.models.fields import MoneyField

if TYPE_CHECKING:
    from budgets.models.campaign import Campaign

AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
"""The `due_at` of a brand somebody wrote by a road that does not decide: the next pass takes it."""

NEVER = date(1970, 1, 1)
"""The `spend_day` of totals that have not counted anything yet."""


class BrandQuerySet(models.QuerySet["Brand"]):
    """The words we use for sets of brands."""

    def due(self, *, at: datetime) -> Self:
        """Those of which something could have changed by `at`."""
        return self.filter(due_at__lte=at)

    def troubled(self) -> Self:
        """Those the last pass could not process."""
        return self.exclude(trouble="")

    def locked(self) -> Self:
        """Lock the mutex of everything that decides, in id order; read the rest afterwards."""
        return self.order_by("pk").select_for_update(no_key=True)

    def update(self, **values: Any) -> int:
        """Write, and have the next pass look at what was written."""
        return super().update(**{"due_at": AT_ONCE, **values})

    def write(self, **values: Any) -> int:
        """Write without asking for a pass: for the services, which decide themselves."""
        return super().update(**values)

    def bulk_create(self, objs: Iterable[Brand], *args: Any, **kwargs: Any) -> list[Brand]:
        """Insert; the next pass looks at them, and at those that an upsert writes again."""
        brands = list(objs)
        for brand in brands:
            brand.start_undecided()
        if named := kwargs.get("update_fields"):
            kwargs["update_fields"] = [*(set(named) - Brand.DERIVED), "due_at"]
        return super().bulk_create(brands, *args, **kwargs)


def validate_zone(name: str) -> None:
    """Refuse what is not an IANA time zone."""
    try:
        periods.zone_named(name)
    except periods.UnknownZone as error:
        raise ValidationError(str(error), code="unknown_zone") from None


class Brand(models.Model):
    """An advertiser. Its daily and monthly budgets are shared by all its campaigns.

    Amounts are in `currency`; `spend_day` is a date of the brand's own time zone. What people write
    is in the first block; the second block is written by the services alone and `save` leaves it be.
    """

    name = models.CharField(max_length=200)
    daily_budget = MoneyField(
        null=True, blank=True, help_text="Shared by all campaigns, inclusive. Empty: no limit."
    )
    monthly_budget = MoneyField(
        null=True, blank=True, help_text="Shared by all campaigns, inclusive. Empty: no limit."
    )
    is_active = models.BooleanField(
        "active", default=True, db_default=True, help_text="Off: none of its campaigns runs."
    )
    timezone = models.CharField(
        "time zone",
        max_length=64,
        default="UTC",
        db_default="UTC",
        validators=[validate_zone],
        help_text="IANA name. A change takes effect at the next midnight of the zone in force.",
    )
    currency = models.CharField(
        max_length=3,
        default="USD",
        db_default="USD",
        validators=[RegexValidator(r"\A[A-Z]{3}\Z", "Three capital letters, such as EUR.")],
        help_text="ISO 4217. All amounts of the brand are in it; nothing is converted.",
    )

    total_daily_spend = MoneyField(default=0, db_default=0, editable=False)
    total_monthly_spend = MoneyField(default=0, db_default=0, editable=False)
    spend_day = models.DateField(default=NEVER, db_default=NEVER, editable=False)
    zone_in_force = models.CharField(max_length=64, default="", db_default="", editable=False)
    due_at = models.DateTimeField(default=AT_ONCE, db_default=AT_ONCE, editable=False)
    trouble = models.CharField(max_length=500, default="", db_default="", editable=False)

    DERIVED: ClassVar[frozenset[str]] = frozenset(
        {
            "total_daily_spend",
            "total_monthly_spend",
            "spend_day",
            "zone_in_force",
            "due_at",
            "trouble",
        }
    )

    objects = models.Manager.from_queryset(BrandQuerySet)()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                name="brand_name_unique",
                violation_error_message="A brand of this name exists already.",
            ),
            models.CheckConstraint(
                condition=Q(daily_budget__isnull=True) | Q(daily_budget__gte=0),
                name="brand_daily_budget_not_negative",
                violation_error_message="A budget cannot be negative; leave it empty for no limit.",
            ),
            models.CheckConstraint(
                condition=Q(monthly_budget__isnull=True) | Q(monthly_budget__gte=0),
                name="brand_monthly_budget_not_negative",
                violation_error_message="A budget cannot be negative; leave it empty for no limit.",
            ),
        ]
        indexes = [
            # The queue of a pass.
            models.Index(fields=["due_at"], name="brand_due"),
            # Health asks whom the last pass could not process.
            models.Index(fields=["id"], name="brand_troubled", condition=~Q(trouble="")),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def pending_timezone(self) -> str:
        """The zone that takes effect at the next local midnight; empty when none is pending."""
        return self.timezone if self.zone_in_force not in ("", self.timezone) else ""

    @property
    def current_timezone(self) -> str:
        """The zone whose calendar counts now."""
        return self.zone_in_force or self.timezone

    def start_undecided(self) -> None:
        """Prepare a new row, a copy of another one too: nothing was spent, the next pass looks at it."""
        self.total_daily_spend = self.total_monthly_spend = Decimal(0)
        self.spend_day = NEVER
        self.zone_in_force = self.trouble = ""
        self.due_at = AT_ONCE

    def clean(self) -> None:
        """Refuse another currency once money was spent in the old one."""
        if self._state.adding:
            return
        before = Brand.objects.filter(pk=self.pk).exclude(currency=self.currency).first()
        if before is not None and before.campaigns.filter(spends__isnull=False).exists():
            raise ValidationError(
                {
                    "currency": f"Spend is recorded in {before.currency}; amounts are not "
                    "converted. Create a new brand for the other currency."
                }
            )

    def save(self, **kwargs: Any) -> None:
        """Write what people may write. The next pass, or the service that calls, decides.

        The derived columns of an existing row stay as they are in the database: a copy read a
        minute ago must not undo the spend counted since.
        """
        if self._state.adding:
            self.start_undecided()
            # Else Django would first try to write over a row of the same key.
            kwargs["force_insert"] = True
        else:
            self.due_at = AT_ONCE
            kwargs["update_fields"] = {
                *columns_to_write(self, kwargs.get("update_fields")),
                "due_at",
            }
        super().save(**kwargs)


def columns_to_write(row: Brand | Campaign, named: Iterable[str] | None) -> set[str]:
    """Return the columns `named` by the caller of `save`, or all those that people write."""
    if named is not None:
        return set(named)
    return {
        field.name
        for field in row._meta.concrete_fields
        if not field.primary_key and field.name not in row.DERIVED
    }
