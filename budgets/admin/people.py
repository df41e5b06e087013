"""Who may sign in: Django's own forms in the admin's look."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import admin as auth
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import Group, User
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from budgets.admin.base import Admin

# The page to sign in is the dashboard's too, whose readers need not be staff.
admin.site.login_form = AuthenticationForm

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(auth.UserAdmin, Admin):  # type: ignore[misc,type-arg]  # Admin is untyped unfold's
    """Users."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(auth.GroupAdmin, Admin):  # type: ignore[misc]  # Admin is untyped unfold's
    """Groups."""
