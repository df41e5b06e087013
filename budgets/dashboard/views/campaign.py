"""One campaign, its switch, and the imports that its money came by."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from budgets.dashboard.live import draw
from budgets.dashboard.pages import campaign as page
from budgets.dashboard.reader import reader_of
from budgets.dashboard.rows import campaign_of
from budgets.services import editing


@require_safe
def show(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show why it runs or not, its day and its money; 400 where what was asked for cannot be meant."""
    reader = reader_of(request)
    campaign = campaign_of(reader, campaign_id)
    asked = request.GET.dict()
    live = page.live(campaign, reader, asked)
    context: dict[str, object] = {"head": page.head(campaign), "page": live}
    if request.headers.get("HX-Request"):
        return draw(request, "campaign", context)
    context["ledger"] = ledger = page.rows(campaign, reader, asked)
    response = draw(request, "campaign", context)
    if live.day.problem or ledger.problem:
        response.status_code = 400
    return response


@require_POST
def switch(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Throw the operator's switch, and show the page again."""
    reader = reader_of(request)
    campaign = campaign_of(reader, campaign_id)
    if not reader.person.may_pause:
        raise PermissionDenied
    to = request.POST.get("to")
    if to in ("pause", "resume"):
        editing.set_enabled([campaign.pk], to == "resume", by=reader.person.name, now=reader.now)
        words = (
            "Switched on. What else holds it goes on holding it."
            if to == "resume"
            else ("Paused. Nothing automatic starts it again.")
        )
        messages.success(request, words)
    else:
        messages.error(request, "Nothing was done: to: say pause or resume.")
    return HttpResponseRedirect(reverse("campaign", args=[campaign.pk]))
