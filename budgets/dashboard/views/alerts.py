"""The page of alerts: what was raised, and what was sent to whom."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from budgets.dashboard.live import draw
from budgets.dashboard.pages import alerts
from budgets.dashboard.pages.alerts import CannotAsk
from budgets.dashboard.reader import reader_of
from budgets.queries.alerts import Asked


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show the alerts of the brands that this person sees, newest first."""
    reader, problem, wanted = reader_of(request), "", Asked()
    try:
        wanted = alerts.asked(request.GET)
    except CannotAsk as error:
        problem = str(error)
    user = request.user
    context = {
        "page": alerts.build(reader, wanted),
        "problem": problem,
        "may_edit_recipients": user.is_staff and user.has_perm("budgets.view_alertrecipient"),
    }
    response = draw(request, "alerts", context)
    response.status_code = 400 if problem else 200
    return response
