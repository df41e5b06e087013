"""The doors of health: one for people and monitors, one for whoever restarts processes."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from budgets.health import checks
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
