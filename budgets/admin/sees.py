"""All brands or some: the choice of API keys and of webhooks, and how it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from unfold.widgets import UnfoldAdminRadioSelectWidget

from budgets.admin.base import Admin, person_of

ALL, SOME = "False", "True"
"""The two values of `is_restricted`, as a form sends them."""


class SeesField(forms.TypedChoiceField):
    """All brands or some, as a boolean."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare with what the form sends for the stored boolean."""
        return bool(super().has_changed(str(initial), data))


def sees_field(label: str) -> SeesField:
    """Return the field for `is_restricted`."""
    return SeesField(
        label=label,
        choices=((ALL, "all brands, those to come as well"), (SOME, "only the brands chosen here")),
        coerce=lambda value: value == SOME,
        widget=UnfoldAdminRadioSelectWidget,
        initial=ALL,
    )


def refuse_both(form: Any, cleaned: dict[str, Any], otherwise: str) -> None:
    """Refuse brands and "all brands" at once: neither reading would be safe to guess."""
    if "is_restricted" not in cleaned or "brands" not in cleaned:
        return
    is_restricted, brands = cleaned["is_restricted"], cleaned["brands"]
    if form.person.is_restricted and not is_restricted:
        form.add_error("is_restricted", "You see some brands only: choose among them.")
        return
    if is_restricted and not brands:
        form.add_error("brands", f"Choose at least one, or let {otherwise} all brands.")
    elif brands and not is_restricted:
        form.add_error("is_restricted", "Brands are chosen: take them away, or see only them.")


class SeesAdmin(Admin):
    """Rows that see all brands or some, made by a service that tells their secret once."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return those made for no brand but the ones that who asks sees."""
        rows: Any = super().get_queryset(request)
        seen: QuerySet[Any] = rows.seen_with(person_of(request).brand_ids)
        return seen

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Have the form know who fills it in."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.person = person_of(request)
        return form

    def dress(self, rows: list[Any], now: datetime) -> None:
        """Say which brands the page's rows see."""
        count_brands(rows, self.model._default_manager.all(), "pk")

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the row of a form, dressed as those of the list."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.dress([row], timezone.now())
        return row

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes one: others refer to it."""
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or save a form; what somebody else did between the form's look and ours is told."""
        try:
            # One button: the secret is on the page that follows, and must be read there.
            buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
            return super().changeform_view(
                request, object_id, form_url, {**buttons, **(extra_context or {})}
            )
        except ValidationError as error:
            self.message_user(request, f"Not saved: {' '.join(error.messages)}", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Leave the brands alone: the service wrote them."""


def count_brands(rows: list[Any], choices: QuerySet[Any], key: str) -> None:
    """Note at each row how many brands are chosen, and the first one's name.

    `choices` have the brands, and the row's key as `key`.
    """
    counted = choices.filter(**{f"{key}__among": [row.pk for row in rows]}).annotate(
        count=Count("brands"), first=Min("brands__name")
    )
    seen = {pk: found for pk, *found in counted.values_list(key, "count", "first")}
    for row in rows:
        row.count, row.first = seen.get(row.pk, (0, None))


def in_words(row: Any) -> str:
    """Say which brands those are."""
    if row.count:
        return str(row.first) if row.count == 1 else f"{row.first} and {row.count - 1:,} more"
    return "nothing: its brands are gone" if row.is_restricted else "all brands"
