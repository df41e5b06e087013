"""The first page: what runs, what is held and why, and which brands need a person."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from budgets.dashboard.filters import filter_of
from budgets.dashboard.live import draw
from budgets.dashboard.pages import overview
from budgets.dashboard.reader import reader_of


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show the state of the whole, or of what the address asks for."""
    user = request.user
    may_add = user.is_staff and user.has_perm("budgets.add_brand")
    page = overview.build(
        reader_of(request),
        filter_of(request.GET),
        admin_url=reverse("admin:budgets_brand_add") if may_add else "",
    )
    return draw(request, "overview", {"page": page})
