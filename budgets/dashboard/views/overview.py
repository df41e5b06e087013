"""The first page: what runs, what is held and why, and which brands are near a budget."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from budgets.dashboard.live import draw
from budgets.dashboard.pages import overview
from budgets.dashboard.reader import reader_of


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show the state of the whole."""
    user, reader = request.user, reader_of(request)
    page = overview.build(
        reader.now,
        reader.person,
        may_open_brands=user.is_staff and user.has_perm("budgets.view_brand"),
        may_open_campaigns=user.is_staff and user.has_perm("budgets.view_campaign"),
        may_add_brands=user.is_staff and user.has_perm("budgets.add_brand"),
    )
    return draw(request, "overview", {"page": page})
