"""Alerts, to read, with every mail about them; and who is told of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from budgets.admin.api_key import ScopesField
from budgets.admin.base import Admin, Form, ReadOnlyAdmin, RowsBelow, column, person_of
from budgets.admin.sees import SeesAdmin, in_words, refuse_both, sees_field
from budgets.models import Alert, AlertKind, AlertMessage, AlertRecipient
from budgets.models.alert import kinds_in_order
from budgets.services.alerts import recipients

MESSAGE_STATES = {"pending": "info", "sent": "success", "failed": "danger"}
KIND_COLOURS = {
    AlertKind.THRESHOLD.value: "warning",
    AlertKind.SILENT.value: "info",
    AlertKind.REPORTS_STALE.value: "danger",
    AlertKind.PASSES_STALE.value: "danger",
}


class KindsField(ScopesField):
    """Boxes to tick, for kinds as they are stored."""

    def clean(self, value: Any) -> Any:
        """Write what is ticked as it is stored."""
        return kinds_in_order(forms.MultipleChoiceField.clean(self, value))


class AlertRecipientForm(Form[AlertRecipient]):
    """What people write about a recipient."""

    kinds = KindsField(
        label="Is told when",
        choices=AlertKind.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        initial=AlertKind.values,
    )
    is_restricted = sees_field("Is told of")

    class Meta:
        model = AlertRecipient
        fields = ("address", "user", "is_enabled", "kinds", "is_restricted", "brands")

    def clean(self) -> dict[str, Any]:
        """Refuse brands and "all brands" at once."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        refuse_both(self, cleaned, "it be told of")
        return cleaned


@admin.register(AlertRecipient)
class AlertRecipientAdmin(SeesAdmin):
    """Recipients of alerts."""

    form = AlertRecipientForm
    autocomplete_fields = ("brands", "user")
    list_display = ("address", "tells", "told_of", "user", "state")
    list_filter = (("is_enabled", BooleanRadioFilter),)
    list_select_related = ("user",)
    search_fields = ("address",)
    search_help_text = "E-mail address"
    ordering = ("address",)
    sortable_by = ("address",)
    readonly_fields = ("tells", "told_of")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        """Show what a recipient is; and as a form what of it may be edited."""
        if obj is None or self.has_change_permission(request, obj):
            # Users are not offered to who sees some brands only, here as elsewhere.
            left_out = {"user"} if person_of(request).is_restricted else set()
            return [name for name in AlertRecipientForm.Meta.fields if name not in left_out]
        return ("address", "user", "is_enabled", "tells", "told_of")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let who may delete one: what it was sent stays with the alerts."""
        return bool(Admin.has_delete_permission(self, request, obj))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Create or edit through the service, brands included."""
        data = form.cleaned_data
        if not change:
            obj.created_at = timezone.now()
        recipients.change(
            obj,
            address=data["address"],
            kinds=data["kinds"].split(),
            brands=data["brands"] if data["is_restricted"] else None,
            user=data.get("user", obj.user),
            is_enabled=data["is_enabled"],
        )

    @column("Is told when")
    def tells(self, recipient: Any) -> str:
        """Show the kinds."""
        if len(recipient.kind_list) == len(AlertKind):
            return "anything happens"
        return "; ".join(AlertKind(kind).label for kind in recipient.kind_list)

    @column("Is told of")
    def told_of(self, recipient: Any) -> str:
        """Show of whose brands."""
        return in_words(recipient)

    @column("State", label={"enabled": "success", "disabled": "danger"})
    def state(self, recipient: Any) -> str:
        """Show whether it is told anything."""
        return "enabled" if recipient.is_enabled else "disabled"


class Messages(RowsBelow):
    """Every mail about an alert."""

    model = AlertMessage
    fields = readonly_fields = ("address", "became", "attempts", "when", "error")
    verbose_name_plural = "mails"

    @column("State", label=MESSAGE_STATES)
    def became(self, message: Any) -> tuple[str, str]:
        """Show what became of it."""
        return message.state, message.get_state_display()

    @column("Sent (UTC)")
    def when(self, message: Any) -> str | None:
        """Show when the server took it."""
        return f"{message.sent_at:%d %b %Y, %H:%M:%S}" if message.sent_at else None


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts."""

    brand_key = "brand_id"
    list_display = ("when", "about", "what", "mails")
    list_filter = (("kind", ChoicesDropdownFilter),)
    ordering = ("-pk",)
    sortable_by = ()
    inlines = (Messages,)
    fields = ("when", "about", "what", "brand", "campaign", "spent_of", "is_superseded")
    readonly_fields = ("when", "about", "what", "spent_of")

    def dress(self, rows: list[Any], now: datetime) -> None:
        """Count what became of the mails of the page's alerts."""
        of = AlertMessage.objects.filter(alert__in=[row.pk for row in rows])
        counts = Counter(of.values_list("alert_id", "state"))
        for row in rows:
            row.counts = {state: counts[row.pk, state] for state in MESSAGE_STATES}

    @column("Raised (UTC)")
    def when(self, alert: Any) -> str:
        """Show when it was raised, to the second."""
        return f"{alert.raised_at:%d %b %Y, %H:%M:%S}"

    @column("About", label=KIND_COLOURS)
    def about(self, alert: Any) -> tuple[str, str]:
        """Show the kind."""
        return alert.kind, alert.get_kind_display()

    @column("What")
    def what(self, alert: Any) -> str:
        """Say what happened."""
        return str(alert.words)

    @column("Spent")
    def spent_of(self, alert: Any) -> str | None:
        """Show spend and budget, where a budget is meant."""
        figures = alert.figures
        if "spent" not in figures:
            return None
        return f"{figures['spent']} of {figures['budget']} {figures['currency']}"

    @column("Mails")
    def mails(self, alert: Any) -> str:
        """Show how many were sent, are to be sent, and were given up."""
        words = {"sent": "sent", "pending": "to be sent", "failed": "given up"}
        return ", ".join(
            f"{alert.counts[state]} {said}" for state, said in words.items() if alert.counts[state]
        )
