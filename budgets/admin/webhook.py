"""Webhooks: endpoints, whose secret is shown once, and deliveries with every attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RadioFilter, RelatedDropdownFilter
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from budgets.admin.api_key import ScopesField
from budgets.admin.base import Form, ReadOnlyAdmin, RowsBelow, column, person_of
from budgets.admin.sees import SeesAdmin, in_words, refuse_both, sees_field
from budgets.core.plurals import counted
from budgets.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from budgets.models.webhook import CHOSEN_BY_DEFAULT, WebhookDeliveryQuerySet, events_in_order
from budgets.services import outbound, webhooks
from budgets.services.outbound import Refused

STATES = {"enabled": "success", "failing": "warning", "disabled": "danger", "removed": "info"}


class EventsField(ScopesField):
    """Boxes to tick, for events as they are stored."""

    def clean(self, value: Any) -> Any:
        """Write what is ticked as it is stored."""
        return events_in_order(forms.MultipleChoiceField.clean(self, value))


class WebhookEndpointForm(Form[WebhookEndpoint]):
    """What people write about an endpoint."""

    events = EventsField(
        label="Events",
        choices=WebhookEvent.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        initial=list(CHOSEN_BY_DEFAULT),
    )
    is_restricted = sees_field("Hears of")

    class Meta:
        model = WebhookEndpoint
        fields = ("url", "description", "events", "is_restricted", "brands")

    def clean_url(self) -> str:
        """Refuse what would be refused at every attempt."""
        url: str = self.cleaned_data["url"]
        try:
            outbound.check(url)
        except Refused as refusal:
            raise ValidationError(f"Cannot be sent to: {refusal}.") from None
        return url

    def clean(self) -> dict[str, Any]:
        """Refuse brands and "all brands" at once."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        refuse_both(self, cleaned, "it hear of")
        return cleaned


class StateFilter(RadioFilter):
    """Endpoints that are sent to, and those that are not."""

    title = "state"
    parameter_name = "state"
    all_option = ("", "All")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the three."""
        return [("enabled", "Enabled"), ("disabled", "Disabled"), ("removed", "Removed")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Narrow to one of them."""
        match self.value():
            case "enabled":
                return queryset.enabled()
            case "disabled":
                return queryset.kept().filter(is_enabled=False)
            case "removed":
                return queryset.exclude(removed_at=None)
            case _:
                return queryset


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(SeesAdmin):
    """Webhooks. The secret is shown in the answer to making or rotating it, and nowhere else."""

    form = WebhookEndpointForm
    autocomplete_fields = ("brands",)
    list_display = ("url", "description", "hears_of", "created", "state")
    list_filter = (StateFilter,)
    search_fields = ("url", "description")
    search_help_text = "URL or description"
    ordering = ("pk",)
    sortable_by = ("url",)
    actions = ("test", "rotate", "enable", "disable", "remove")
    readonly_fields = ("hears_of", "tells", "created", "state", "disabled_reason", "both_valid")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        """Show what an endpoint is; and as a form what of it may be edited."""
        written = ("url", "description", "events", "is_restricted", "brands")
        if obj is None:
            return written
        facts = ("state", "disabled_reason", "created", "both_valid")
        if self.has_change_permission(request, obj):
            return (*written, *facts)
        return ("url", "description", "tells", "hears_of", *facts)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let nobody edit a removed one."""
        is_kept = obj is None or obj.removed_at is None
        return is_kept and bool(super().has_change_permission(request, obj))

    @sensitive_variables("secret")
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Create or edit through the service, brands included."""
        data = form.cleaned_data
        brands = data["brands"] if data["is_restricted"] else None
        about = {"description": data["description"], "events": data["events"].split()}
        if change:
            webhooks.change(obj, url=data["url"], brands=brands, **about)
            return
        endpoint, secret = webhooks.create(data["url"], brands=brands, now=timezone.now(), **about)
        obj.pk, obj.secret = endpoint.pk, secret

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret in this answer alone, as that of an API key."""
        return self._secret_page(request, obj, obj.secret, "The secret of the new webhook")

    @admin.action(description="Send a test", permissions=["change"])
    def test(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Send a `webhook.test` to each."""
        now = timezone.now()
        self._each(request, queryset, "Test sent.", lambda it: webhooks.test(it, now=now))
        self.message_user(request, "What became of a test is on the list of deliveries in seconds.")

    @sensitive_variables("secret")
    @admin.action(description="Rotate the secret", permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Show a new secret; the one before is valid for a day more."""
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            words = "Select one: a secret is shown once, on a page of its own."
            self.message_user(request, words, messages.ERROR)
            return None
        try:
            secret = webhooks.rotate(chosen[0], now=timezone.now())
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return None
        self.log_change(request, chosen[0], "Secret rotated.")
        return self._secret_page(request, chosen[0], secret, "The new secret")

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Send to them again."""
        rows = queryset.filter(is_enabled=False)
        by = request.user.get_username()
        self._each(request, rows, "Enabled.", lambda it: webhooks.switch(it, on=True, by=by))

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Send nothing more to them."""
        by = request.user.get_username()
        rows = queryset.enabled()  # type: ignore[attr-defined]  # the queryset is the model's own
        self._each(request, rows, "Disabled.", lambda it: webhooks.switch(it, on=False, by=by))

    @admin.action(description="Remove", permissions=["change"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Ask, and then remove for good."""
        chosen = queryset.filter(removed_at=None)
        if not chosen:
            self.message_user(request, "Nothing to remove: they are removed already.")
            return None
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Remove?",
                "opts": self.opts,
                "chosen": chosen.order_by("pk"),
                "action_checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/budgets/webhookendpoint/remove.html", context)
        now = timezone.now()
        self._each(request, chosen, "Removed.", lambda it: webhooks.remove(it, now=now))
        return None

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        done: str,
        work: Callable[[Any], object],
    ) -> None:
        """Do `work` to each endpoint, and say to how many it was done, and to which not and why."""
        count = 0
        for endpoint in queryset.order_by("pk"):
            try:
                work(endpoint)
            except ValidationError as error:
                words = f"{endpoint}: {' '.join(error.messages)}"
                self.message_user(request, words, messages.ERROR)
                continue
            self.log_change(request, endpoint, done)
            count += 1
        self.message_user(request, f"{counted(count, 'webhook')}: {done.lower().rstrip('.')}.")

    @sensitive_variables("secret", "context")
    def _secret_page(
        self, request: HttpRequest, endpoint: Any, secret: str, title: str
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "endpoint": endpoint,
            "secret": secret,
        }
        return TemplateResponse(request, "admin/budgets/webhookendpoint/secret.html", context)

    @column("Hears of")
    def hears_of(self, endpoint: Any) -> str:
        """Show whose campaigns it is told of."""
        return in_words(endpoint)

    @column("Events")
    def tells(self, endpoint: Any) -> str:
        """Show the events."""
        return ", ".join(endpoint.event_list)

    @column("Created")
    def created(self, endpoint: Any) -> str:
        """Show when it was made."""
        return _instant(endpoint.created_at)

    @column("Secret before")
    def both_valid(self, endpoint: Any) -> str:
        """Show until when the secret before a rotation signs as well."""
        until = endpoint.previous_expires_at
        return f"signs as well until {_instant(until)}" if until else "none"

    @column("State", label=STATES)
    def state(self, endpoint: Any) -> str:
        """Show whether it is sent to, and whether it takes it."""
        if endpoint.removed_at:
            return "removed"
        if not endpoint.is_enabled:
            return "disabled"
        return "failing" if endpoint.failures else "enabled"


class Attempts(RowsBelow):
    """Every attempt to send a delivery."""

    model = WebhookAttempt
    fields = readonly_fields = ("when", "answer", "duration")
    verbose_name_plural = "attempts"

    @column("When (UTC)")
    def when(self, attempt: Any) -> str:
        """Show the instant to the second."""
        return f"{attempt.at:%d %b %Y, %H:%M:%S}"

    @column("Answer")
    def answer(self, attempt: Any) -> str:
        """Show the status, or why there is none."""
        return attempt.error or str(attempt.status)

    @column("Took")
    def duration(self, attempt: Any) -> str:
        """Show how long it took."""
        return f"{attempt.duration_ms:,} ms"


class EndpointFilter(RelatedDropdownFilter):
    """Deliveries of one endpoint, among those that exist for who asks."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: Any
    ) -> list[tuple[Any, str]]:
        """Offer them."""
        seen = WebhookEndpoint.objects.seen_with(person_of(request).brand_ids)
        return [(endpoint.pk, str(endpoint)) for endpoint in seen.order_by("pk")]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """Webhook deliveries."""

    list_display = ("created", "endpoint", "event", "badge", "attempts", "next_attempt")
    list_filter = (("state", ChoicesDropdownFilter), ("endpoint", EndpointFilter))
    list_select_related = ("endpoint",)
    ordering = ("-pk",)
    sortable_by = ()
    actions = ("replay",)
    inlines = (Attempts,)
    fields = (
        "message_id",
        "endpoint",
        "event",
        "status_change",
        "state",
        "attempts",
        "created",
        "next_attempt",
        "body",
    )
    readonly_fields = ("message_id", "created", "next_attempt")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return those of endpoints that exist for who asks, and of changes and alerts that do."""
        rows = cast("WebhookDeliveryQuerySet", super().get_queryset(request))
        brand_ids = person_of(request).brand_ids
        if brand_ids is None:
            return rows
        endpoints = WebhookEndpoint.objects.seen_with(brand_ids)
        return rows.seen_with(brand_ids).filter(endpoint__in=endpoints)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Who may change deliveries may send them again."""
        return request.user.has_perm("budgets.change_webhookdelivery")

    @admin.action(description="Replay: send again now", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Send each again, with its id and body."""
        now, count = timezone.now(), 0
        for delivery in queryset.select_related("endpoint").order_by("pk"):
            try:
                webhooks.replay(delivery, now=now)
            except ValidationError as error:
                words = f"{delivery}: {' '.join(error.messages)}"
                self.message_user(request, words, messages.ERROR)
                continue
            self.log_change(request, delivery, "Replayed.")
            count += 1
        self.message_user(request, f"Replayed: {count:,}.")

    @column("Created (UTC)")
    def created(self, delivery: Any) -> str:
        """Show when the change was made, to the second."""
        return f"{delivery.created_at:%d %b %Y, %H:%M:%S}"

    @column(
        "State",
        label={
            "pending": "info",
            "delivered": "success",
            "failed": "danger",
            "cancelled": "warning",
        },
    )
    def badge(self, delivery: Any) -> tuple[str, str]:
        """Show what became of it."""
        return delivery.state, delivery.get_state_display()

    @column("Next attempt (UTC)")
    def next_attempt(self, delivery: Any) -> str | None:
        """Show when it is sent next."""
        if delivery.state != "pending":
            return None
        return "now" if delivery.is_sending else f"{delivery.due_at:%d %b %Y, %H:%M:%S}"


def _instant(at: datetime) -> str:
    return f"{at:%d %b %Y, %H:%M} UTC"
