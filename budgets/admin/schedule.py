"""The schedule of beat, in the admin's look.

Interval entries only: crontab entries skip, double or stall around clock changes, and nothing here
needs a solar or clocked one, since every brand carries its own next instant.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from kombu.exceptions import OperationalError
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from budgets.admin.base import Admin, Form

LONGEST_INTERVAL = timedelta(days=31)

for model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    admin.site.unregister(model)


class TaskSelect(UnfoldAdminSelectWidget, beat.TaskSelectWidget):
    """The choice among the tasks that exist."""


class PeriodicTaskForm(beat.PeriodicTaskForm):
    """An entry of the schedule."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskSelect()
        # An entry without a schedule is refused by the model; say so at the field.
        self.fields["interval"].required = True


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(beat.PeriodicTaskAdmin, Admin):
    """Entries of the schedule."""

    form = PeriodicTaskForm
    change_form_template = None
    date_hierarchy = None
    list_display = ("name", "enabled", "interval", "last_run_at", "total_run_count")
    list_filter = (("enabled", BooleanRadioFilter),)
    fieldsets = (
        (None, {"fields": ("name", "regtask", "task", "enabled", "description")}),
        ("Schedule", {"fields": ("interval", "start_time", "last_run_at", "one_off")}),
        ("Arguments", {"fields": ("args", "kwargs"), "classes": ("collapse",)}),
        (
            "Execution",
            {"fields": ("expire_seconds", "queue", "priority"), "classes": ("collapse",)},
        ),
    )
    readonly_fields = ("last_run_at",)

    @admin.action(description="Run selected tasks now")
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Send the tasks to the broker; when it is down, say so."""
        try:
            super().run_tasks(request, queryset)
        except OperationalError:
            words = "Nothing was sent: the broker does not answer. The next pass does the work."
            self.message_user(request, words, messages.ERROR)


class IntervalForm(Form[IntervalSchedule]):
    """An interval that can be meant."""

    class Meta:
        model = IntervalSchedule
        fields = ("every", "period")

    def clean(self) -> dict[str, Any]:
        """Refuse intervals that a duration cannot hold: health and the dashboard read them."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        every, period = cleaned.get("every"), cleaned.get("period")
        if every and period and every > LONGEST_INTERVAL / timedelta(**{period: 1}):
            self.add_error("every", f"{LONGEST_INTERVAL.days} days are the longest interval.")
        return cleaned


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(Admin):
    """Intervals."""

    form = IntervalForm
    fields = ("every", "period")
    list_display = ("__str__",)
