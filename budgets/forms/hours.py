"""A weekly calendar as a grid of seven days by 24 hours, painted with mouse, touch or keyboard."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.renderers import BaseRenderer, TemplatesSetting
from django.forms.widgets import Script
from django.utils.safestring import SafeString

from budgets.core import dayparting
from budgets.core.dayparting import HOURS, WEEKDAYS

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

PRESETS = (
    ("All day", "Mon-Sun 0-24"),
    ("Weekdays 9–18", "Mon-Fri 9-18"),  # noqa: RUF001  # a range's dash
    ("Evenings 18–24", "Mon-Sun 18-24"),  # noqa: RUF001
    ("Nights 22–6", "Mon-Sun 22-6"),  # noqa: RUF001
    ("Weekends", "Sat-Sun 0-24"),
)

_SLOTS = {
    f"{weekday}-{hour}": (weekday, hour)
    for weekday in range(len(WEEKDAYS))
    for hour in range(HOURS)
}
"""What the boxes send, and the weekday (0: Monday) and hour that each stands for."""


class HoursGrid(forms.Widget):
    """A switch between "the same every day" and a grid of boxes, one for each hour of the week.

    Works without JavaScript, as boxes. While there is no calendar the grid, shown once the switch
    is on, begins with the hours `every_day`.
    """

    template_name = "_hours_grid.html"
    every_day = (0, HOURS)

    class Media:
        css = {"all": ("budgets/hours.css",)}
        js = (Script("budgets/hours.js", defer=True),)

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        """Render the template, which stands beside those of the pages."""
        return super().render(name, value, attrs, TemplatesSetting())

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Return the grid's rows and what is said beside it."""
        context = super().get_context(name, value, attrs)
        opened = self._opened(value)
        context["widget"] |= {
            "is_on": value is not None,
            "hours": range(HOURS),
            "days": [
                (WEEKDAYS[weekday], [_box(weekday, hour, opened) for hour in range(HOURS)])
                for weekday in range(len(WEEKDAYS))
            ],
            "presets": [(title, dayparting.parse(text)) for title, text in PRESETS],
            "nothing": dayparting.week_of(()),
            "summary": in_words(dayparting.week_of(opened)),
        }
        return context

    def value_from_datadict(
        self, data: Mapping[str, Any], files: Any, name: str
    ) -> list[str] | str | None:
        """Return the boxes that are ticked; ``None`` while the hours are the same every day.

        Or the notation, where a step of a form carries it on as `NAME-as`.
        """
        if carried := data.get(f"{name}-as"):
            return str(carried)
        if f"{name}-on" not in data:
            return None
        ticked = data.getlist(name) if hasattr(data, "getlist") else data.get(name, [])
        return [str(slot) for slot in ticked]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        """Take nothing for omitted: boxes that are not ticked are not sent."""
        return False

    def _opened(self, value: Any) -> frozenset[tuple[int, int]]:
        """Return the hours to tick: those sent, those of the stored calendar, or of every day."""
        if isinstance(value, list):
            return frozenset(_SLOTS[slot] for slot in value if slot in _SLOTS)
        try:
            week = dayparting.parse(value) if value else dayparting.every_day(*self.every_day)
        except dayparting.InvalidHours:  # what a step carried, and nobody can mean
            return frozenset()
        return frozenset(dayparting.open_hours(week))


class HoursGridField(forms.Field):
    """A weekly calendar in its canonical notation; ``None``: the same hours every day."""

    widget = HoursGrid

    def to_python(self, value: Any) -> str | None:
        """Return the notation of the boxes that were ticked; refuse a week without an open hour."""
        if not value and not isinstance(value, list):
            return None
        if isinstance(value, str):
            try:
                return dayparting.notation(dayparting.parse(value))
            except dayparting.InvalidHours as error:
                raise ValidationError(f"The calendar {error}.", code="invalid_hours") from None
        if any(slot not in _SLOTS for slot in value):
            raise ValidationError(
                "The grid sent something that is no hour of the week. Load the page again.",
                code="invalid_hours",
            )
        if not value:
            raise ValidationError(f"The calendar {dayparting.NEVER_OPEN}.", code="invalid_hours")
        return dayparting.notation(dayparting.week_of(_SLOTS[slot] for slot in value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare calendars, not the order of boxes."""
        try:
            return bool(self.to_python(data) != (initial or None))
        except ValidationError:
            return True


def _box(weekday: int, hour: int, opened: AbstractSet[tuple[int, int]]) -> tuple[str, str, bool]:
    """Return what the box of an hour sends, what it is called, and whether it is ticked."""
    label = f"{DAY_NAMES[weekday]} {hour}–{hour + 1}"  # noqa: RUF001  # a range's dash
    return f"{weekday}-{hour}", label, (weekday, hour) in opened


def in_words(week: str) -> str:
    """Say which hours are open, and how many: `Mon–Fri 9–18 (45 hours a week)`."""  # noqa: RUF002
    count = sum(1 for _ in dayparting.open_hours(week))
    if not count:
        return "No hour is open."
    unit = "hour" if count == 1 else "hours"
    hours = dayparting.notation(week).replace("-", "–")  # noqa: RUF001  # a range's dash
    return f"{hours} ({count} {unit} a week)"
