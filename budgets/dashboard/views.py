"""The dashboard's doors: one draws the page, one the part of it that refreshes."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect

from budgets.dashboard import page

REFRESH_SECONDS = 5


@require_safe
@never_cache
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show what runs, what is held and why, and which brands are near a budget."""
    context = {"page": _page(request), "refresh_seconds": REFRESH_SECONDS}
    return render(request, "dashboard/dashboard.html", context)


@login_not_required
@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """Return the part of the dashboard that changes, or send whoever is signed out to sign in."""
    if not request.headers.get("HX-Request"):
        return redirect("dashboard")
    if not request.user.is_authenticated:
        # The usual redirect would put the form to sign in into the middle of the page.
        to_sign_in = redirect_to_login(reverse("dashboard"), resolve_url("admin:login"))
        return HttpResponseClientRedirect(to_sign_in.url)
    return render(request, "dashboard/_live.html", {"page": _page(request)})


def _page(request: HttpRequest) -> page.Page:
    user = request.user
    return page.build(
        timezone.now(),
        may_open_brands=user.is_staff and user.has_perm("budgets.view_brand"),
        may_open_campaigns=user.is_staff and user.has_perm("budgets.view_campaign"),
    )
