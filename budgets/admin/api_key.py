"""API keys: made here, their secret shown once, and revoked here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from unfold.contrib.filters.admin import RadioFilter
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from budgets.admin.base import Form, column
from budgets.admin.sees import SeesAdmin, in_words, refuse_both, sees_field
from budgets.core.plurals import counted
from budgets.models import ApiKey, Scope
from budgets.models.api_key import MARK, in_order
from budgets.services import keys


class ScopesField(forms.MultipleChoiceField):
    """Boxes to tick, for scopes as they are stored."""

    def prepare_value(self, value: Any) -> Any:
        """Tick the boxes of 'read spend:write'."""
        return value.split() if isinstance(value, str) else value

    def clean(self, value: Any) -> Any:
        """Write what is ticked as it is stored."""
        return in_order(super().clean(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare with the boxes that were ticked."""
        return bool(super().has_changed(self.prepare_value(initial), data))


class ApiKeyForm(Form[ApiKey]):
    """What people write about a key."""

    scopes = ScopesField(
        label="Scopes",
        choices=Scope.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=ApiKey._meta.get_field("scopes").help_text,
    )
    is_restricted = sees_field("Sees")

    class Meta:
        model = ApiKey
        fields = ("name", "scopes", "is_restricted", "brands")

    def clean_scopes(self) -> str:
        """Refuse to give a key in other hands more than it had."""
        scopes: str = self.cleaned_data["scopes"]
        if not self.instance._state.adding:
            keys.refuse_more(self.instance.scopes, scopes)
        return scopes

    def clean(self) -> dict[str, Any]:
        """Refuse brands and "all brands" at once."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        refuse_both(self, cleaned, "the key see")
        return cleaned


class StateFilter(RadioFilter):
    """Keys that work, and those that do not."""

    title = "state"
    parameter_name = "state"
    all_option = ("", "All")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the two."""
        return [("usable", "Usable"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Narrow to one of them."""
        if self.value() == "usable":
            return queryset.usable()
        return queryset.filter(revoked_at__isnull=False) if self.value() == "revoked" else queryset


@admin.register(ApiKey)
class ApiKeyAdmin(SeesAdmin):
    """API keys.

    What may be edited: the name never, for the log shows it; scopes only fewer, for whoever holds the
    secret was trusted with these; brands freely, for advertisers come and go; of a revoked key nothing.
    """

    form = ApiKeyForm
    autocomplete_fields = ("brands",)
    list_display = ("name", "begins", "may", "sees", "last_used", "state")
    list_filter = (StateFilter,)
    search_fields = ("name", "prefix")
    search_help_text = "Name or prefix"
    ordering = ("name",)
    sortable_by = ("name",)
    actions = ("revoke",)
    readonly_fields = ("begins", "may", "sees", "created", "last_used", "revoked")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        """Show what a key is; and as a form what of it may be edited."""
        if obj is None:
            return ("name", "scopes", "is_restricted", "brands")
        facts = ("created", "last_used", "revoked")
        if self.has_change_permission(request, obj):
            return ("name", "begins", "scopes", "is_restricted", "brands", *facts)
        return ("name", "begins", "may", "sees", *facts)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        """Keep the name of a key: the log shows it."""
        return ("name", *self.readonly_fields) if obj else self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let nobody edit a revoked key."""
        is_usable = obj is None or obj.revoked_at is None
        return is_usable and bool(super().has_change_permission(request, obj))

    @sensitive_variables("secret")
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Create or edit through the service, brands included."""
        data = form.cleaned_data
        if change:
            brands = data["brands"] if data["is_restricted"] else None
            keys.change(obj, scopes=data["scopes"].split(), brands=brands)
            return
        key, secret = keys.create(
            data["name"], data["scopes"].split(), data["brands"], now=timezone.now()
        )
        obj.pk, obj.prefix, obj.secret = key.pk, key.prefix, secret

    @sensitive_variables("context")
    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret in this answer alone.

        A message would lie in a cookie or in the session's table until it is read. The admin's pages
        are `no-store`, so that neither a cache nor the way back in a browser has it.
        """
        context = {
            **self.admin_site.each_context(request),
            "title": "The secret of the new key",
            "opts": self.opts,
            "key": obj,
            "secret": obj.secret,
        }
        return TemplateResponse(request, "admin/budgets/apikey/secret.html", context)

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Ask, and then revoke for good."""
        chosen = list(queryset.filter(revoked_at=None).order_by("name"))
        if not chosen:
            self.message_user(request, "Nothing to revoke: no usable key is selected.")
            return None
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Revoke?",
                "opts": self.opts,
                "chosen": chosen,
                "action_checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/budgets/apikey/revoke.html", context)
        now = timezone.now()
        revoked = [key for key in chosen if keys.revoke(key, now=now)]
        for key in revoked:
            self.log_change(request, key, "Revoked.")
        words = f"{counted(len(revoked), 'key')} revoked, refused from the next request on."
        self.message_user(request, words)
        return None

    @column("Begins")
    def begins(self, key: Any) -> str:
        """Show the part of the secret that is known here."""
        return f"{MARK}{key.prefix}_…"

    @column("May")
    def may(self, key: Any) -> str:
        """Show the scopes."""
        return str(key.scopes).replace(" ", ", ")

    @column("Sees")
    def sees(self, key: Any) -> str:
        """Show whose campaigns exist for it."""
        return in_words(key)

    @column("Created")
    def created(self, key: Any) -> str:
        """Show when it was made."""
        return _instant(key.created_at)

    @column("Last used")
    def last_used(self, key: Any) -> str:
        """Show when it was last used, to the minute: it is noted no more often."""
        return _instant(key.last_used_at) if key.last_used_at else "never"

    @column("Revoked")
    def revoked(self, key: Any) -> str:
        """Show since when it is refused."""
        return _instant(key.revoked_at) if key.revoked_at else "no"

    @column("State", label={"usable": "success", "revoked": "danger"})
    def state(self, key: Any) -> str:
        """Show whether it works."""
        return "revoked" if key.revoked_at else "usable"


def _instant(at: datetime) -> str:
    return f"{at:%d %b %Y, %H:%M} UTC"
