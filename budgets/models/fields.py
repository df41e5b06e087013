"""Fields that are exact in the database and readable in Python: amounts, weekly calendars."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.db.models.expressions import Combinable, register_combinable_fields

from budgets.core import dayparting, money

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

SetT = TypeVar("SetT", contravariant=True)
GetT = TypeVar("GetT", covariant=True)

if TYPE_CHECKING:
    _Field = models.Field
else:
    # At run time Django's fields take no type arguments.
    _Field = {(SetT, GetT): models.Field}


class AmountRefused(ValidationError, money.InvalidAmount):
    """An amount that cannot be meant, as forms and as plain callers expect to be told."""


class MoneyField(_Field[SetT, GetT]):
    """An amount in the brand's currency, exact to the micro-unit.

    Not an integer field to the ORM, so that ``F("spent") + Decimal(5)`` fails aloud instead of
    adding five millionths.
    """

    _pyi_private_set_type: str | int | float | Decimal | Combinable
    _pyi_private_get_type: Decimal
    _pyi_lookup_exact_type: str | int | float | Decimal
    description = "Amount of money"

    def get_internal_type(self) -> str:
        """Store as the database's 64-bit integer."""
        return "BigIntegerField"

    def from_db_value(
        self, value: int | Decimal | None, expression: object, connection: BaseDatabaseWrapper
    ) -> Decimal | None:
        """Turn stored micro-units (a sum arrives as ``Decimal`` from PostgreSQL) into an amount."""
        return None if value is None else money.from_micros(int(value))

    def to_python(self, value: Any) -> Decimal | None:
        """Return the exact amount, or refuse in words."""
        if value is None:
            return None
        try:
            return money.parse_amount(value)
        except money.InvalidAmount as error:
            raise AmountRefused(str(error), code="invalid_amount") from None

    def get_prep_value(self, value: Any) -> Any:
        """Return micro-units for the database."""
        value = super().get_prep_value(value)
        if value is None or hasattr(value, "resolve_expression"):
            return value
        amount = self.to_python(value)
        return None if amount is None else money.to_micros(amount)

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        """Hand micro-units over unchanged."""
        return value if prepared else self.get_prep_value(value)

    def get_placeholder(self, value: Any, compiler: object, connection: BaseDatabaseWrapper) -> str:
        """Refuse to store an expression that is no amount: its number would count as micro-units."""
        if hasattr(value, "resolve_expression"):
            kind = value._output_field_or_none  # noqa: SLF001  # asking `output_field` raises for NULL
            if kind is not None and not isinstance(kind, MoneyField):
                raise FieldError(
                    f"{self.name} is an amount, and the expression gives a {type(kind).__name__}; "
                    "wrap numbers as Value(Decimal(5), output_field=MoneyField())"
                )
        return "%s"

    def value_to_string(self, obj: models.Model) -> str:
        """Serialise without loss."""
        value: Decimal | None = self.to_python(self.value_from_object(obj))
        return "" if value is None else money.plain(value)

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        """Return a text box that keeps every digit typed."""
        return super().formfield(**{"form_class": MoneyFormField, **kwargs})


# Sums and differences of amounts are amounts.
register_combinable_fields(MoneyField, Combinable.ADD, MoneyField, MoneyField)
register_combinable_fields(MoneyField, Combinable.SUB, MoneyField, MoneyField)


class HoursRefused(ValidationError, dayparting.InvalidHours):
    """A weekly calendar that cannot be meant, as forms and as plain callers expect to be told."""


class WeeklyHoursField(_Field[SetT, GetT]):
    """A weekly calendar of local hours: `Mon-Fri 9-18; Sat 22-6` in Python, a week in the database.

    Any spelling is taken, what is read is canonical, and equal calendars are equal in the database
    (see `core.dayparting`). Without hours (``None`` or an empty text) there is no calendar.
    """

    _pyi_private_set_type: str | Combinable
    _pyi_private_get_type: str
    _pyi_lookup_exact_type: str
    description = "Weekly calendar of local hours"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_length": dayparting.WEEK_DIGITS})

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        """Leave the length out of migrations: it is no choice."""
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("max_length")
        return name, path, args, kwargs

    def get_internal_type(self) -> str:
        """Store as text."""
        return "CharField"

    def from_db_value(
        self, value: str | None, expression: object, connection: BaseDatabaseWrapper
    ) -> str | None:
        """Write the stored week for people."""
        return None if value is None else dayparting.notation(value)

    def to_python(self, value: Any) -> str | None:
        """Return the canonical notation, or refuse in words."""
        week = self._week(value)
        return None if week is None else dayparting.notation(week)

    def get_prep_value(self, value: Any) -> Any:
        """Return the week for the database."""
        value = super().get_prep_value(value)
        return value if hasattr(value, "resolve_expression") else self._week(value)

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        """Hand a week over unchanged."""
        return value if prepared else self.get_prep_value(value)

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        """Return a text box for the notation."""
        kwargs = {"max_length": dayparting.LONGEST_NOTATION, "empty_value": None, **kwargs}
        return super().formfield(**{"form_class": forms.CharField, **kwargs})

    def _week(self, value: Any) -> str | None:
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            value = repr(value)
        try:
            return dayparting.parse(value)
        except dayparting.InvalidHours as error:
            raise HoursRefused(f"The calendar {error}.", code="invalid_hours") from None


class MoneyFormField(forms.CharField):
    """Read an amount as typed; NaN, 1e30 and seven decimals are refused by name."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.pop("max_length", None)
        # Not the field's own max_length: Django would measure the Decimal, which has no length.
        super().__init__(**{"empty_value": None, **kwargs})
        self.widget.attrs.setdefault("maxlength", "40")
        self.widget.attrs.setdefault("inputmode", "decimal")

    def to_python(self, value: Any) -> Any:
        """Return the exact amount, or ``None`` for an empty box."""
        text = value if isinstance(value, Decimal) else super().to_python(value)
        if text in self.empty_values:
            return None
        try:
            return money.parse_amount(text)
        except money.InvalidAmount as error:
            raise ValidationError(f"The amount {error}.", code="invalid_amount") from None

    def prepare_value(self, value: Any) -> Any:
        """Show an amount without exponent."""
        return money.plain(value) if isinstance(value, Decimal) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare amounts, not their spelling: 12.5 is 12.50."""
        try:
            return bool(self.to_python(data) != self.to_python(initial))
        except ValidationError:
            return True
