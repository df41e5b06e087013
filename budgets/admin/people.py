"""Who may sign in, what they may do and which brands they see: Django's own forms, and one choice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.auth import admin as auth
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils import timezone
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from budgets.admin.base import Admin, KeysField, KeysOnlyAutocomplete, column, person_of
from budgets.admin.sees import count_brands, in_words, refuse_both, sees_field
from budgets.models import Brand, BrandAccess
from budgets.services import access

# The page to sign in is the dashboard's too, whose readers need not be staff.
admin.site.login_form = AuthenticationForm

admin.site.unregister(User)
admin.site.unregister(Group)


def index(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Leave the actions of before out of the first page where they may name brands not seen since."""
    return {**context, "shows_actions": person_of(request).brand_ids is None}


def offers_users(request: HttpRequest) -> bool:
    """Tell whether the sidebar offers the users."""
    return bool(admin.site.get_model_admin(User).has_view_permission(request))


def offers_groups(request: HttpRequest) -> bool:
    """Tell whether it offers the groups."""
    return bool(admin.site.get_model_admin(Group).has_view_permission(request))


class UserForm(UserChangeForm):
    """A user, and the brands they see."""

    is_restricted = sees_field("Sees")
    brands = KeysField(
        label="Brands",
        queryset=Brand.objects.all(),
        required=False,
        widget=KeysOnlyAutocomplete(BrandAccess._meta.get_field("brands"), admin.site),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "brands" in self.fields:
            chosen = BrandAccess.objects.filter(user_id=self.instance.pk).first()
            self.initial["is_restricted"] = chosen is not None
            self.initial["brands"] = list(chosen.brands.all()) if chosen else []

    def clean(self) -> dict[str, Any]:
        """Refuse what contradicts itself: brands and "all brands", some brands and a superuser."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        refuse_both(self, cleaned, "the user see")
        if cleaned.get("is_restricted") and cleaned.get("is_superuser"):
            words = "A superuser sees and does everything: take one of the two away."
            self.add_error("is_restricted", words)
        return cleaned


class PeopleAdmin(Admin):
    """Users and groups, which nobody opens who sees some brands only: they could see all then."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Tell whether the list is offered."""
        return self._may(request, super().has_module_permission(request))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell who may look."""
        return self._may(request, super().has_view_permission(request, obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tell who may add."""
        return self._may(request, super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell who may edit."""
        return self._may(request, super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell who may delete."""
        return self._may(request, super().has_delete_permission(request, obj))

    def _may(self, request: HttpRequest, is_permitted: object) -> bool:
        return bool(is_permitted) and not person_of(request).is_restricted


@admin.register(User)
class UserAdmin(auth.UserAdmin, PeopleAdmin):  # type: ignore[misc,type-arg]  # Admin is untyped unfold's
    """Users."""

    form = UserForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "roles", "sees", "is_staff")
    readonly_fields = ("sees",)

    def dress(self, rows: list[Any], now: datetime) -> None:
        """Say which brands the page's users see."""
        chosen = BrandAccess.objects.all()
        count_brands(rows, chosen, "user_id")
        restricted = set(chosen.filter(user__in=rows).values_list("user_id", flat=True))
        for row in rows:
            row.is_restricted = row.pk in restricted

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the user of a form, dressed as those of the list."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.dress([row], timezone.now())
        return row

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add which brands they see, to choose for those who may choose among all."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        chooses = self.has_change_permission(request, obj) and request.user.has_perm(
            "budgets.view_brand"
        )
        fields = ("is_restricted", "brands") if chooses else ("sees",)
        return (*fieldsets[:-1], ("Brands", {"fields": fields}), fieldsets[-1])

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Have the form know who fills it in."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.person = person_of(request)
        return form

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Store which brands they see, beside their groups."""
        super().save_related(request, form, formsets, change)
        if {"is_restricted", "brands"} & set(form.changed_data):
            data = form.cleaned_data
            access.restrict(form.instance, data["brands"] if data["is_restricted"] else None)

    @column("Roles")
    def roles(self, user: Any) -> str:
        """Name the groups."""
        return ", ".join(group.name for group in user.groups.all())

    @column("Restricted to")
    def sees(self, user: Any) -> str | None:
        """Show which brands were chosen for them; who has no role sees nothing all the same."""
        return in_words(user) if user.is_restricted else None

    def get_queryset(self, request: HttpRequest) -> Any:
        """Read the groups along."""
        return super().get_queryset(request).prefetch_related("groups")


@admin.register(Group)
class GroupAdmin(auth.GroupAdmin, PeopleAdmin):  # type: ignore[misc]  # Admin is untyped unfold's
    """Groups."""
