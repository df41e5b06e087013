"""Forms of brands and campaigns: the model's own rules, each error beside its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import BaseConstraint, Q
from django.forms import ModelForm

from budgets.forms.hours import HoursGridField
from budgets.models import Brand, Campaign

if TYPE_CHECKING:
    _ModelForm = ModelForm[Any]
else:
    # At run time Django's forms take no type arguments.
    _ModelForm = ModelForm

SEEN = "seen-"
"""What the hidden fields are called that say how the row was when the form was opened."""

AMOUNT = "Digits and a point, such as 1284.20. Empty: no limit."


class EditForm(_ModelForm):
    """Some fields of a stored row. What is typed is bound to `row`, which nobody saves but a service."""

    def __init__(
        self,
        row: Brand | Campaign,
        typed: Mapping[str, Any] | None = None,
        *,
        proposed: Mapping[str, Any] = {},
    ) -> None:
        super().__init__(typed, instance=row, initial=dict(proposed))
        self.stored = {name: getattr(row, name) for name in self.fields}
        self.seen: dict[str, Any] = {}

    @property
    def seen_inputs(self) -> list[tuple[str, str]]:
        """The hidden fields: how the row is stored at this moment."""
        return [
            (f"{SEEN}{name}", self.as_typed(name, value)) for name, value in self.stored.items()
        ]

    @property
    def carried_inputs(self) -> list[tuple[str, str]]:
        """The hidden fields of the next step: what was typed; of a grid of boxes its notation."""
        carried = []
        for name, field in self.fields.items():
            if isinstance(field, HoursGridField):
                carried.append((f"{name}-as", self.as_typed(name, self.cleaned_data[name])))
            else:
                typed = self[name].value()
                carried.append((name, "" if typed is None else str(typed)))
        return carried

    @property
    def is_whole(self) -> bool:
        """Whether what was typed can be stored."""
        return self.is_bound and self.is_valid()

    def as_typed(self, name: str, value: Any) -> str:
        """Write a value as one would type it."""
        prepared = self.fields[name].prepare_value(value)
        return "" if prepared is None else str(prepared)

    def clean(self) -> dict[str, Any]:
        """Read how the row was when the form was opened."""
        for name, field in self.fields.items():
            try:
                self.seen[name] = field.to_python(self.data[f"{SEEN}{name}"])
            except (KeyError, ValidationError):
                raise ValidationError(
                    "The form came without what it was opened with. Look at it again, and repeat.",
                    code="not_whole",
                ) from None
        return super().clean() or {}

    def add_error(self, field: str | None, error: Any) -> None:
        """Say what a constraint of the model refuses beside the field that it speaks of."""
        placed = {}
        if field is None and isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            placed = self._refused()
            if placed:
                error.error_dict.pop(NON_FIELD_ERRORS, None)
        super().add_error(field, error)
        for name, refused in placed.items():
            super().add_error(name, refused)

    def _refused(self) -> dict[str, ValidationError]:
        """Return what constraints refuse, by the first of our fields that each speaks of."""
        model = type(self.instance)
        others = {field.name for field in model._meta.fields} - self.fields.keys()
        refused = {}
        for constraint in model._meta.constraints:
            try:
                constraint.validate(model, self.instance, exclude=others)
            except ValidationError as error:
                if name := self._field_of(constraint):
                    refused[name] = error
        return refused

    def _field_of(self, constraint: BaseConstraint) -> str | None:
        condition = getattr(constraint, "condition", None)
        named = condition.referenced_base_fields if isinstance(condition, Q) else set()
        return next((name for name in self.fields if name in named), None)


class BrandForm(EditForm):
    """The budgets of a brand, and its switch."""

    class Meta:
        model = Brand
        fields = ("daily_budget", "monthly_budget", "is_active")
        labels = {"is_active": "Active"}
        help_texts = {
            "daily_budget": AMOUNT,
            "monthly_budget": AMOUNT,
            "is_active": "Off: none of its campaigns runs.",
        }


class CampaignForm(EditForm):
    """A campaign's own ceilings, and its hours: of every day, or of each weekday by itself."""

    weekly_hours = HoursGridField(required=False, label="Hours of each weekday")

    class Meta:
        model = Campaign
        fields = (
            "daily_budget",
            "monthly_budget",
            "allowed_start_hour",
            "allowed_end_hour",
            "weekly_hours",
        )
        labels = {
            "daily_budget": "Own daily budget",
            "monthly_budget": "Own monthly budget",
            "allowed_start_hour": "From hour",
            "allowed_end_hour": "To hour",
        }
        help_texts = {
            "daily_budget": f"A ceiling below the brand's. {AMOUNT}",
            "monthly_budget": f"A ceiling below the brand's. {AMOUNT}",
            "allowed_end_hour": "Local to the brand. To before from: overnight; the same: all day.",
        }

    def __init__(
        self, row: Campaign, typed: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(row, typed, **kwargs)
        grid: Any = self.fields["weekly_hours"].widget
        grid.every_day = (row.allowed_start_hour, row.allowed_end_hour)
