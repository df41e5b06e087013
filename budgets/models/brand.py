"""The advertiser whose budgets all its campaigns share."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import connections, models, transaction
from django.db.models import BooleanField, F, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Length, Upper
from django.db.models.lookups import Exact

from budgets.core import alerts, periods
from budgets.models import sets  # noqa: F401  # makes `pk__among` known
from budgets.models.fields import MoneyField

if TYPE_CHECKING:
    from budgets.models.campaign import Campaign

AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
"""The `due_at` of a brand somebody wrote by a road that does not decide: the next pass takes it."""

NEVER = date(1970, 1, 1)
"""The `spend_day` of totals that have not counted anything yet."""

LONGEST_NAME = 200
"""Characters of the name of a brand or a campaign."""

LONGEST_SILENCE = 720
"""Hours, a month: who waits longer for a report does not mind."""


class StalePolicy(models.TextChoices):
    """What follows when the spend of a brand is stale."""

    ALERT = "alert", "tell people, go on"
    HOLD = "hold", "hold its campaigns until spend is reported"


class BrandQuerySet(models.QuerySet["Brand"]):
    """The words we use for sets of brands."""

    def due(self, *, at: datetime) -> Self:
        """Those of which something could have changed by `at`."""
        return self.filter(due_at__lte=at)

    def queued(self, *, after: tuple[datetime, int] | None = None) -> Self:
        """Order as a pass takes them: by when they were due, then by key; those `after` one of them.

        Going on from the last one taken steps over what those before it left in the index: without
        that each batch of a midnight walked past all that were done.
        """
        if after is None:
            return self.order_by("due_at", "pk")
        # Written as SQL: a comparison of rows, which the index answers, and no OR, which it does not.
        instant = connections[self.db].ops.adapt_datetimefield_value(after[0])
        behind = RawSQL(
            "(due_at, id) > (%s, %s)", [instant, after[1]], BooleanField()
        )  # no input in it
        return self.filter(behind).order_by("due_at", "pk")

    def troubled(self) -> Self:
        """Those the last pass could not process."""
        return self.exclude(trouble="")

    def locked(self, *, waiting: bool = True) -> Self:
        """Lock the mutex of everything that decides, in id order; read the rest afterwards.

        Not `waiting`: without those that somebody else holds.
        """
        return self.order_by("pk").select_for_update(no_key=True, skip_locked=not waiting)

    def update(self, **values: Any) -> int:
        """Write, and have the next pass look at what was written.

        The rows are locked in id order first, as everywhere: an UPDATE locks them as it finds them,
        and two that meet head-on are a deadlock.
        """
        if "due_at" not in values or not values.keys() <= Brand.DERIVED:
            values["due_at"] = AT_ONCE
        with transaction.atomic(using=self.db):
            ids = list(self.values_list("pk", flat=True))
            brands = Brand.objects.using(self.db).filter(pk__among=ids)
            list(brands.locked().values_list("pk"))
            if "currency" in values:
                brands.refuse_other_currency(values["currency"])
            return self.order_by().filter(pk__among=ids).write(**values)

    def refuse_other_currency(self, currency: object) -> None:
        """Raise `CurrencyCannotChange` if money was spent in another currency than `currency`."""
        was_spent = Q(campaigns__spends__isnull=False) | Q(campaigns__archived_spends__isnull=False)
        other = self.exclude(currency=currency).filter(was_spent).first()
        if other is not None:
            raise CurrencyCannotChange(other.currency)

    def write(self, **values: Any) -> int:
        """Write without asking for a pass: for the services, which decide themselves."""
        return super().update(**values)

    def bulk_create(
        self,
        objs: Iterable[Brand],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Brand]:
        """Insert; the next pass looks at them, and at those that an upsert writes again."""
        brands = list(objs)
        for brand in brands:
            brand.start_undecided()
        if update_fields:
            update_fields = [*sorted(set(update_fields) - Brand.DERIVED), "due_at"]
        return super().bulk_create(
            brands, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
        )


class CurrencyCannotChange(ValueError):
    """Money was spent in the old currency, and amounts are not converted."""

    def __init__(self, currency: str) -> None:
        super().__init__(
            f"Spend is recorded in {currency}; amounts are not converted. Create a new brand for "
            "the other currency."
        )


def validate_zone(name: str) -> None:
    """Refuse what is not an IANA time zone."""
    try:
        periods.zone_named(name)
    except periods.UnknownZone as error:
        raise ValidationError(str(error), code="unknown_zone") from None


def validate_thresholds(text: str) -> None:
    """Refuse what is no list of thresholds."""
    try:
        alerts.parse_thresholds(text)
    except alerts.InvalidThresholds as error:
        raise ValidationError(f"{error}.", code="invalid_thresholds") from None


class Zoned:
    """What has a time zone, and maybe another one from its next midnight on."""

    timezone: Any
    zone_in_force: Any

    @property
    def pending_timezone(self) -> str:
        """The zone that takes effect at the next local midnight; empty when none is pending."""
        return str(self.timezone) if self.zone_in_force not in ("", self.timezone) else ""

    @property
    def current_timezone(self) -> str:
        """The zone whose calendar counts now."""
        return str(self.zone_in_force or self.timezone)


class Brand(Zoned, models.Model):
    """An advertiser. Its daily and monthly budgets are shared by all its campaigns.

    Amounts are in `currency`; `spend_day` is a date of the brand's own time zone. What people write
    is in the first block; the second block is written by the services alone and `save` leaves it be.
    """

    name = models.CharField(max_length=LONGEST_NAME)
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
    stale_after_hours = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_SILENCE)],
        help_text="Hours without a report after which its spend is stale: more than the longest time "
        "in which nothing is reported, nights included. Empty: never.",
    )
    stale_policy = models.CharField(
        "when stale",
        max_length=8,
        choices=StalePolicy,
        default=StalePolicy.ALERT.value,
        db_default=StalePolicy.ALERT.value,
        help_text="A held campaign spends nothing: the hold ends with the next report, also one of "
        "nothing spent.",
    )
    alert_thresholds = models.CharField(
        "alert at",
        max_length=60,
        blank=True,
        default=alerts.DEFAULT_THRESHOLDS,
        db_default=alerts.DEFAULT_THRESHOLDS,
        validators=[validate_thresholds],
        help_text="Percent of a budget, such as 50 80 90 100. Empty: no alerts.",
    )
    alert_silence_hours = models.PositiveSmallIntegerField(
        "alert when silent for",
        null=True,
        blank=True,
        default=24,
        db_default=24,
        validators=[MinValueValidator(1), MaxValueValidator(168)],
        help_text="Hours that a campaign runs and nothing is spent. Empty: no alerts.",
    )

    total_daily_spend = MoneyField(default=0, db_default=0, editable=False)
    total_monthly_spend = MoneyField(default=0, db_default=0, editable=False)
    spend_day = models.DateField(default=NEVER, db_default=NEVER, editable=False)
    decided_at = models.DateTimeField(default=AT_ONCE, db_default=AT_ONCE, editable=False)
    zone_in_force = models.CharField(max_length=64, default="", db_default="", editable=False)
    due_at = models.DateTimeField(default=AT_ONCE, db_default=AT_ONCE, editable=False)
    trouble = models.CharField(max_length=500, default="", db_default="", editable=False)
    # Kept for brands with `stale_after_hours` alone; before the first report, since when we wait.
    last_report_at = models.DateTimeField(null=True, editable=False)

    DERIVED: ClassVar[frozenset[str]] = frozenset(
        {
            "total_daily_spend",
            "total_monthly_spend",
            "spend_day",
            "decided_at",
            "zone_in_force",
            "due_at",
            "trouble",
            "last_report_at",
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
                condition=Exact(Length("currency"), 3) & Exact(Upper("currency"), F("currency")),
                name="brand_currency_is_a_code",
                violation_error_message="Three capital letters, such as EUR.",
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
            models.CheckConstraint(
                condition=Q(stale_after_hours__isnull=True)
                | Q(stale_after_hours__range=(1, LONGEST_SILENCE)),
                name="brand_stale_after_hours_in_range",
                violation_error_message=f"1 to {LONGEST_SILENCE} hours; leave it empty for never.",
            ),
            models.CheckConstraint(
                condition=Q(stale_policy__in=StalePolicy.values), name="brand_stale_policy_known"
            ),
        ]
        indexes = [
            # The queue of a pass, in its order: at midnight a hundred thousand share one instant.
            models.Index(fields=["due_at", "id"], name="brand_due"),
            # Health asks whom the last pass could not process.
            models.Index(fields=["id"], name="brand_troubled", condition=~Q(trouble="")),
        ]

    def __str__(self) -> str:
        return self.name

    def start_undecided(self) -> None:
        """Prepare a new row, a copy of another one too: nothing was spent, the next pass looks at it."""
        self.total_daily_spend = self.total_monthly_spend = Decimal(0)
        self.spend_day = NEVER
        self.zone_in_force = self.trouble = ""
        self.due_at = self.decided_at = AT_ONCE
        self.last_report_at = None

    def clean(self) -> None:
        """Refuse another currency once money was spent in the old one."""
        try:
            self._refuse_other_currency()
        except CurrencyCannotChange as error:
            raise ValidationError({"currency": str(error)}) from None

    def _refuse_other_currency(self) -> None:
        if not self._state.adding:
            Brand.objects.filter(pk=self.pk).refuse_other_currency(self.currency)

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
            columns = columns_to_write(self, kwargs.get("update_fields"))
            if "currency" in columns:
                self._refuse_other_currency()
            self.due_at = AT_ONCE
            kwargs["update_fields"] = {*columns, "due_at"}
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
