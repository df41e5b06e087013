"""What lists and forms have in common: whose rows, bounded counts, one clock, no 5xx for typing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ERROR_FLAG, SEARCH_VAR
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import IntegrityError, models
from django.forms import ModelChoiceField, ModelForm, ModelMultipleChoiceField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextInputWidget

from budgets.core.plurals import counted
from budgets.core.primary_keys import LONGEST_KEY, is_key
from budgets.models import Brand, Campaign, MoneyField
from budgets.services import access
from budgets.services.access import Person

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
    Form = ModelForm
else:
    # At run time Django's paginators and forms take no type arguments.
    _Paginator = Paginator

    class Form(ModelForm):
        """A form that takes one."""

        def __class_getitem__(cls, model: Any) -> Any:
            """Leave it be."""
            return cls


COUNTED = 10_000
"""Rows counted at most: the exact number of a million is slow and read by nobody."""

LONGEST_TERM = 200

FILTER_SUFFIXES = ("", "__exact", "__id__exact", "_from", "_to")


MethodT = TypeVar("MethodT", bound=Callable[..., Any])


def column(
    title: str, *, label: Mapping[str, str] | None = None, boolean: bool | None = None
) -> Callable[[MethodT], MethodT]:
    """Make a method a column; `label` names the colour of the badge for each of its values."""
    named: Callable[[MethodT], MethodT] = display(description=title, label=label, boolean=boolean)
    return named


class BoundedPaginator(_Paginator):
    """Pages over the first rows; says so when there are more."""

    template_name = "admin/budgets/pagination.html"

    @cached_property
    def counted(self) -> int:
        """Return how many rows there are, one more than `COUNTED` at most."""
        rows: Any = self.object_list
        # Without its order: counting a sorted million sorts it first.
        return int(rows.order_by()[: COUNTED + 1].count())

    @cached_property
    def count(self) -> int:
        """Return how many rows can be paged through."""
        return min(self.counted, COUNTED)

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than are counted."""
        return self.counted > COUNTED


class Page(ChangeList):
    """One page of a list, its rows dressed with what their columns show."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page's rows and hand them, with the clock, to `Admin.dress`."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]  # unfold has no types
        self.result_list = rows
        self.model_admin.dress(rows, timezone.now())


class KeyOnlyAutocomplete(AutocompleteSelect):
    """An autocomplete box that takes a typed `?brand=xyz` for empty instead of failing on it."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        """Look up only what can be a key."""
        return super().optgroups(name, [key for key in value if is_key(str(key))], attrs)


class KeysOnlyAutocomplete(AutocompleteSelectMultiple):
    """The same for several."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        """Look up only what can be keys."""
        return super().optgroups(name, [key for key in value if is_key(str(key))], attrs)


class KeysField(ModelMultipleChoiceField):  # type: ignore[type-arg]  # at run time it takes none
    """Several rows by their keys; one that no database takes is refused, not looked for."""

    def clean(self, value: Any) -> Any:
        """Say which cannot be a key."""
        for key in value or ():
            if not is_key(str(key)):
                raise ValidationError(
                    self.error_messages["invalid_pk_value"], "invalid_pk_value", {"pk": key}
                )
        return super().clean(value)


class Admin(ModelAdmin):
    """A list that stays fast with millions of rows, and a form whose errors are words."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True
    formfield_overrides = {MoneyField: {"widget": UnfoldAdminTextInputWidget}}

    brand_key = ""
    """The way from a row to the key of its brand; empty: the rows belong to no brand."""

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Return the rows that exist for who asks: lists, forms, actions and boxes begin here."""
        rows: models.QuerySet[Any] = super().get_queryset(request)
        return person_of(request).of(rows, self.brand_key) if self.brand_key else rows

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Answer 404 for what is not there; Django leads to the index, with 302."""
        raise Http404

    def dress(self, rows: list[Any], now: datetime) -> None:
        """Give the rows of a page what their columns show, in a fixed number of statements."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that dresses its rows."""
        return Page

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the filters on offer: `?name__regex=(` would reach the database otherwise."""
        names = (filter_name(entry) for entry in self.get_list_filter(request))
        return lookup in {name + suffix for name in names for suffix in FILTER_SUFFIXES}

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Search; PostgreSQL fails on NUL and SQLite on a pattern of 50,000 characters."""
        if "\x00" in search_term:
            return queryset.none(), False
        found: tuple[models.QuerySet[Any], bool] = super().get_search_results(
            request, queryset, search_term[:LONGEST_TERM]
        )
        return found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list; a filter value that no database takes leads back to it."""
        if not all(
            is_storable(value) if name != SEARCH_VAR else True
            for name, values in request.GET.lists()
            for value in values
        ):
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    def response_action(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> HttpResponse | None:
        """Run an action on rows whose keys can be keys."""
        if not all(is_key(key) for key in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            self.message_user(request, "Select rows of the list.", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        response: HttpResponse | None = super().response_action(request, queryset)
        return response

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or save a form; whoever loses a race for a unique name is told so."""
        form: Callable[..., HttpResponse] = super().changeform_view
        try:
            return form(request, object_id, form_url, extra_context)
        except IntegrityError:
            words = "Not saved: somebody else saved the same at this moment. Look, and try again."
            self.message_user(request, words, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Offer large tables by autocomplete only."""
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", KeyOnlyAutocomplete(db_field, self.admin_site))
        field: ModelChoiceField[Any] | None = super().formfield_for_foreignkey(
            db_field, request, **kwargs
        )
        return only_seen(field, request)

    def formfield_for_manytomany(
        self, db_field: models.ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        """Offer several of a large table by autocomplete, too; take only what can be keys."""
        kwargs.setdefault("form_class", KeysField)
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", KeysOnlyAutocomplete(db_field, self.admin_site))
        field: ModelMultipleChoiceField[Any] | None = super().formfield_for_manytomany(
            db_field, request, **kwargs
        )
        return only_seen(field, request)


class ReadOnlyAdmin(Admin):
    """Rows to look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds one here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody edits one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes one."""
        return False


def person_of(request: HttpRequest) -> Person:
    """Return who asks; the database is asked once for each request."""
    known: Person | None = getattr(request, "person", None)
    if known is None:
        known = access.person(request.user)
        request.person = known  # type: ignore[attr-defined]  # ours, as `request.user` is Django's
    return known


FieldT = TypeVar("FieldT", bound="ModelChoiceField[Any] | None")


def only_seen(field: FieldT, request: HttpRequest) -> FieldT:
    """Have a field for brands or campaigns take, and name, those that exist for who asks."""
    rows = None if field is None else field.queryset
    if field is not None and rows is not None and rows.model in (Brand, Campaign):
        key = "pk" if rows.model is Brand else "brand_id"
        field.queryset = person_of(request).of(rows, key)
    return field


class RowsBelow(TabularInline):
    """Rows of another table below a row's own form, to look at: who may see the one sees the others."""

    extra = 0
    can_delete = False
    hide_title = True
    ordering = ("pk",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds one."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits one."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who got here may see them."""
        return True


def filter_name(entry: Any) -> str:
    """Return the name that a filter's parameters begin with."""
    if isinstance(entry, str):
        return entry
    return str(entry[0] if isinstance(entry, tuple | list) else entry.parameter_name)


def is_storable(text: str) -> bool:
    """Tell whether a database can compare a column with `text`."""
    digits = text.strip().lstrip("+-")
    return "\x00" not in text and not (digits.isdigit() and len(digits) > LONGEST_KEY)


def moved_in_words(paused: Iterable[int], resumed: Iterable[int]) -> str:
    """Say what a decision did: '2 campaigns paused, 1 campaign resumed'; empty when nothing."""
    counts = ((len(tuple(paused)), "paused"), (len(tuple(resumed)), "resumed"))
    return ", ".join(f"{counted(count, 'campaign')} {what}" for count, what in counts if count)
