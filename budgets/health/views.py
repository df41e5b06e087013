"""The doors of health: for people and monitors, for whoever restarts processes, and for Prometheus."""

from __future__ import annotations

import secrets
import time

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from budgets.health import checks, exposition
from budgets.health.checks import Report
from budgets.services import access
from budgets.services.access import Sight

JSON = "application/json"


@login_not_required
@require_safe
@cache_control(no_store=True)
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 or 503: one word for everybody, the details for staff."""
    now = timezone.now()
    is_staff = _is_staff(request)
    sight = _sight(request) if is_staff else access.NOTHING
    report = checks.examine(now, sight=sight, ask_workers=is_staff)
    status = 200 if report.is_ok else 503
    if _wants_json(request):
        return JsonResponse(
            _details(report) if is_staff else {"status": report.status}, status=status
        )
    if not is_staff:
        return render(request, "health/word.html", {"status": report.status}, status=status)
    context = {"report": report, "now": now}
    if request.headers.get("HX-Request"):
        # The page refreshes itself: htmx takes 503 for a failure and would show nothing.
        return render(request, "health/_live.html", context)
    return render(request, "health/health.html", context, status=status)


@login_not_required
@require_safe
@cache_control(no_store=True)
def live(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # every view takes it
    """Say that this process answers, whatever the state of database and broker."""
    return HttpResponse("ok", content_type="text/plain; charset=utf-8")


@login_not_required
@require_safe
@cache_control(no_store=True)
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus, who shows `METRICS_TOKEN`; without one there is no such page."""
    if not settings.METRICS_TOKEN:
        raise Http404
    if not _shows(request, settings.METRICS_TOKEN):
        return HttpResponse(
            "Send the header Authorization: Bearer with the METRICS_TOKEN of this site.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    text = exposition.write(timezone.now(), moment=time.monotonic())
    return HttpResponse(text, content_type=exposition.CONTENT_TYPE)


def _shows(request: HttpRequest, token: str) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    # As bytes: of texts, it compares ASCII alone.
    return secrets.compare_digest(shown.encode(), token.encode()) and scheme.lower() == "bearer"


def _is_staff(request: HttpRequest) -> bool:
    try:
        return bool(request.user.is_active and request.user.is_staff)
    except Error:
        # Sessions live in the database: while it is down nobody is known.
        return False


def _sight(request: HttpRequest) -> Sight:
    try:
        return access.person(request.user)
    except Error:
        return access.NOTHING


def _wants_json(request: HttpRequest) -> bool:
    if asked := request.GET.get("format"):
        return asked == "json"
    return request.get_preferred_type(["text/html", JSON]) == JSON


def _details(report: Report) -> dict[str, object]:
    return {
        "status": report.status,
        "checks": {
            check.key: {
                "status": check.status.value,
                "words": check.words,
                "value": dict(check.value),
            }
            for check in report.checks
        },
    }
