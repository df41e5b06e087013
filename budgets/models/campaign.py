"""A campaign: what a person wants of it, and the state in force."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Length
from django.db.models.lookups import Exact

from budgets.core import dayparting
from budgets.core.dayparting import WEEK_DIGITS, Hours
from budgets.core.decision import Hold
from budgets.models.brand import LONGEST_NAME, NEVER, Brand, columns_to_write
from budgets.models.fields import MoneyField, WeeklyHoursField

HOLD_LABELS: dict[str, str] = {
    Hold.OPERATOR: "paused by operator",
    Hold.BRAND_INACTIVE: "brand inactive",
    Hold.NOT_STARTED: "not started",
    Hold.ENDED: "ended",
    Hold.BRAND_MONTHLY_BUDGET: "brand's monthly budget reached",
    Hold.CAMPAIGN_MONTHLY_BUDGET: "monthly budget reached",
    Hold.BRAND_DAILY_BUDGET: "brand's daily budget reached",
    Hold.CAMPAIGN_DAILY_BUDGET: "daily budget reached",
    Hold.STALE_SPEND: "spend not reported",
    Hold.OUTSIDE_HOURS: "outside allowed hours",
    Hold.UNDECIDED: "not decided yet",
}
HOLD_CHOICES = [(hold.value, label) for hold, label in HOLD_LABELS.items()]  # type: ignore[attr-defined]


class CampaignQuerySet(models.QuerySet["Campaign"]):
    """The words we use for sets of campaigns."""

    def active(self) -> Self:
        """Those that may run now."""
        return self.filter(is_active=True)

    def held(self) -> Self:
        """Those that may not."""
        return self.filter(is_active=False)

    def update(self, **values: Any) -> int:
        """Write, and have the next pass look at the brands of what was written."""
        if "brand" in values or "brand_id" in values:
            raise CampaignCannotMove
        with transaction.atomic(using=self.db):
            # The brands first: they are the mutex of everything that decides. The rows are those
            # found before the wait for it, for the brands of others are not locked.
            rows = list(self.values_list("pk", "brand_id"))
            Brand.objects.using(self.db).filter(pk__among={brand for _, brand in rows}).update()
            return self.order_by().filter(pk__among=[pk for pk, _ in rows]).write(**values)

    def write(self, **values: Any) -> int:
        """Write without asking for a pass: for the services, which decide themselves."""
        return super().update(**values)

    def bulk_create(
        self,
        objs: Iterable[Campaign],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Campaign]:
        """Insert; the next pass decides them, and those that an upsert writes again."""
        campaigns = list(objs)
        if update_fields:
            if {"brand", "brand_id"} & set(update_fields):
                raise CampaignCannotMove
            update_fields = sorted(set(update_fields) - Campaign.DERIVED)
        for campaign in campaigns:
            campaign.start_undecided()
        with transaction.atomic(using=self.db):
            brands = {campaign.brand_id for campaign in campaigns}
            Brand.objects.using(self.db).filter(pk__among=brands).update()
            return super().bulk_create(
                campaigns,
                batch_size,
                ignore_conflicts,
                update_conflicts,
                update_fields,
                unique_fields,
            )


class CampaignCannotMove(ValueError):
    """A campaign belongs to one brand for good: its spend was counted there."""

    def __init__(self) -> None:
        super().__init__(
            "brand: a campaign belongs to one brand for good, because its spend was counted there; "
            "create a new campaign for the other brand"
        )


def _holds_only(column: str, characters: str) -> Exact[str]:
    """Return the condition that nothing is left of `column` without these characters."""
    left = Func(F(column), Value(characters), function="TRIM", output_field=models.CharField())
    return Exact(left, "")


def _is_week(column: str) -> Q:
    """Return the condition that `column` holds a week in which an hour is open."""
    is_hexadecimal = _holds_only(column, "0123456789abcdef")
    return Q(Exact(Length(column), WEEK_DIGITS)) & Q(is_hexadecimal) & ~Q(_holds_only(column, "0"))


class Campaign(models.Model):
    """One campaign of one brand, for good.

    `is_enabled` is what a person wants; nothing automatic writes it. `is_active` is the state in
    force and `hold` the strongest reason against it; only `services.enforcement` writes these two.
    Budgets of its own are ceilings below the brand's, never reservations. Hours are whole, local to
    the brand, the end exclusive; flights are local dates, both inclusive.
    """

    brand = models.ForeignKey(
        Brand, on_delete=models.PROTECT, related_name="campaigns", db_index=False
    )
    name = models.CharField(max_length=LONGEST_NAME)
    external_id = models.CharField(
        "external ID",
        max_length=200,
        null=True,
        blank=True,
        help_text="The platform's own id. Optional, unique in the brand.",
    )
    is_enabled = models.BooleanField(
        "enabled",
        default=True,
        db_default=True,
        help_text="The operator's switch. Nothing automatic ever changes it.",
    )
    daily_budget = MoneyField(
        null=True, blank=True, help_text="A ceiling below the brand's. Empty: no limit."
    )
    monthly_budget = MoneyField(
        null=True, blank=True, help_text="A ceiling below the brand's. Empty: no limit."
    )
    allowed_start_hour = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        validators=[MaxValueValidator(23)],
        help_text="Local hour, 0-23. Later than the end: open overnight.",
    )
    allowed_end_hour = models.PositiveSmallIntegerField(
        default=24,
        db_default=24,
        validators=[MinValueValidator(0), MaxValueValidator(24)],
        help_text="Local hour, 0-24, exclusive. Equal to the start: open all day.",
    )
    weekly_hours = WeeklyHoursField(
        null=True,
        blank=True,
        help_text="Local hours by weekday, as Mon-Fri 9-18; Sat 22-6. Decides instead of the two hours "
        "above, which mean every day. Empty: they decide.",
    )
    starts_on = models.DateField(null=True, blank=True, help_text="First local day of the flight.")
    ends_on = models.DateField(null=True, blank=True, help_text="Last local day of the flight.")

    is_active = models.BooleanField("active", default=False, db_default=False, editable=False)
    hold = models.CharField(
        max_length=32,
        choices=HOLD_CHOICES,
        default=Hold.UNDECIDED.value,
        db_default=Hold.UNDECIDED.value,
        blank=True,
        editable=False,
    )
    total_daily_spend = MoneyField(default=0, db_default=0, editable=False)
    total_monthly_spend = MoneyField(default=0, db_default=0, editable=False)
    spend_day = models.DateField(default=NEVER, db_default=NEVER, editable=False)

    DERIVED: ClassVar[frozenset[str]] = frozenset(
        {"is_active", "hold", "total_daily_spend", "total_monthly_spend", "spend_day"}
    )

    objects = models.Manager.from_queryset(CampaignQuerySet)()

    class Meta:
        # `brand.campaigns.add()` and its like write through this one.
        base_manager_name = "objects"
        permissions = [("pause_campaign", "Can pause and resume campaigns")]
        constraints = [
            # Also the index by brand.
            models.UniqueConstraint(
                fields=["brand", "name"],
                name="campaign_name_unique_in_brand",
                violation_error_message="The brand has a campaign of this name already.",
            ),
            models.UniqueConstraint(
                fields=["brand", "external_id"],
                name="campaign_external_id_unique_in_brand",
                violation_error_message="The brand has a campaign with this external ID already.",
            ),
            models.CheckConstraint(
                condition=Q(is_active=True, hold="") | (Q(is_active=False) & ~Q(hold="")),
                name="campaign_held_iff_not_active",
                violation_error_message="A campaign is active exactly when nothing holds it.",
            ),
            models.CheckConstraint(
                condition=Q(hold__in=["", *HOLD_LABELS]), name="campaign_hold_known"
            ),
            models.CheckConstraint(
                condition=Q(allowed_start_hour__range=(0, 23), allowed_end_hour__range=(0, 24)),
                name="campaign_hours_in_range",
                violation_error_message="Hours run from 0 to 23, the end to 24.",
            ),
            models.CheckConstraint(
                condition=Q(weekly_hours__isnull=True) | _is_week("weekly_hours"),
                name="campaign_weekly_hours_are_a_week",
                violation_error_message="The weekly hours are no calendar, or open no hour.",
            ),
            models.CheckConstraint(
                condition=Q(daily_budget__isnull=True) | Q(daily_budget__gte=0),
                name="campaign_daily_budget_not_negative",
                violation_error_message="A budget cannot be negative; leave it empty for no limit.",
            ),
            models.CheckConstraint(
                condition=Q(monthly_budget__isnull=True) | Q(monthly_budget__gte=0),
                name="campaign_monthly_budget_not_negative",
                violation_error_message="A budget cannot be negative; leave it empty for no limit.",
            ),
            models.CheckConstraint(
                condition=Q(starts_on__isnull=True)
                | Q(ends_on__isnull=True)
                | Q(starts_on__lte=F("ends_on")),
                name="campaign_flight_in_order",
                violation_error_message="The flight's last day lies before its first.",
            ),
        ]

        indexes = [
            # Lists by reason, and how many each reason holds. Of held ones only: a list of a million
            # campaigns took 0.6 s for a rare reason. It costs a move of state its HOT update.
            models.Index(fields=["hold", "id"], name="campaign_held", condition=~Q(hold="")),
            # Whose thresholds a pass of alerts looks at. Spend writes none of these columns.
            models.Index(
                fields=["id"],
                name="campaign_with_budget",
                condition=Q(daily_budget__isnull=False) | Q(monthly_budget__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def hours(self) -> Hours:
        """The allowed hours, as the decision asks for them."""
        week = dayparting.parse(self.weekly_hours) if self.weekly_hours else None
        return Hours(self.allowed_start_hour, self.allowed_end_hour, week)

    def start_undecided(self) -> None:
        """Prepare a new row, a copy of another one too: nothing was spent, nothing was decided."""
        self.external_id = self.external_id or None
        self.total_daily_spend = self.total_monthly_spend = Decimal(0)
        self.spend_day = NEVER
        self.hold, self.is_active = Hold.UNDECIDED, False

    def save(self, **kwargs: Any) -> None:
        """Write what people may write. The next pass, or the service that calls, decides.

        The derived columns of an existing row stay as they are in the database: a copy read a
        minute ago must not undo the spend counted since.
        """
        self.external_id = self.external_id or None
        with transaction.atomic(using=kwargs.get("using")):
            # The brand first: it is the mutex of everything that decides.
            Brand.objects.using(kwargs.get("using")).filter(pk=self.brand_id).update()
            if self._state.adding:
                self.start_undecided()
                # Else Django would first try to write over a row of the same key.
                kwargs["force_insert"] = True
            else:
                before = Campaign.objects.using(kwargs.get("using")).filter(pk=self.pk)
                if before.exclude(brand_id=self.brand_id).exists():
                    raise CampaignCannotMove
                kwargs["update_fields"] = columns_to_write(self, kwargs.get("update_fields"))
            super().save(**kwargs)
