"""One brand: its page, its edits with a preview, and the switch of its campaigns."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import trigger_client_event

from budgets.core.primary_keys import is_key
from budgets.dashboard.forms import BrandForm, CampaignForm, EditForm
from budgets.dashboard.live import draw
from budgets.dashboard.pages import brand as brand_page
from budgets.dashboard.pages import edit
from budgets.dashboard.pages.edit import Effect
from budgets.dashboard.reader import Reader, reader_of
from budgets.dashboard.rows import brand_of, campaign_of
from budgets.models import Brand, Campaign
from budgets.services import editing
from budgets.services.editing import ChangedMeanwhile

PROPOSED = ("daily_budget",)
"""What a link may type into a form beforehand."""


@require_safe
def show(request: HttpRequest, brand_id: int) -> HttpResponse:
    """Show where a brand stands."""
    reader = reader_of(request)
    brand = brand_of(reader, brand_id)
    page = brand_page.build(reader, brand, brand_page.wanted_by(request.GET))
    context = {
        "page": page,
        "query": request.GET.urlencode(),
        "admin_url": reverse("admin:budgets_brand_change", args=[brand.pk])
        if request.user.is_staff and request.user.has_perm("budgets.view_brand")
        else "",
    }
    return draw(request, "brand", context)


@require_http_methods(["GET", "HEAD", "POST"])
def edit_brand(request: HttpRequest, brand_id: int) -> HttpResponse:
    """Edit a brand's budgets and switch: typed, previewed, saved."""
    reader = reader_of(request)
    return _edit(request, reader, brand_of(reader, brand_id), BrandForm)


@require_http_methods(["GET", "HEAD", "POST"])
def edit_campaign(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Edit a campaign's own ceilings and hours in the same way."""
    reader = reader_of(request)
    return _edit(request, reader, campaign_of(reader, campaign_id), CampaignForm)


@require_POST
def switch(request: HttpRequest, brand_id: int) -> HttpResponse:
    """Pause or resume one campaign of a brand, or all that are selected."""
    reader = reader_of(request)
    brand = brand_of(reader, brand_id)
    if not reader.person.may_pause:
        raise PermissionDenied
    enabled, chosen = _switched(request)
    found = reader.person.campaigns().filter(brand_id=brand.pk, pk__among=chosen)
    ids = list(found.values_list("pk", flat=True))
    count = editing.set_enabled(ids, enabled, by=reader.person.name, now=reader.now)
    messages.success(request, _switched_words(reader, ids, count, enabled=enabled))
    query = request.GET.urlencode()
    url = reverse("brand", args=[brand.pk])
    return HttpResponseRedirect(f"{url}?{query}#campaigns" if query else f"{url}#campaigns")


def _edit(
    request: HttpRequest, reader: Reader, row: Any, kind: type[BrandForm | CampaignForm]
) -> HttpResponse:
    """Take one step of an edit: open the form, look at what it would do, go back to it, or save."""
    if not reader.person.may_edit:
        raise PermissionDenied
    if request.method != "POST":
        proposed = {name: request.GET[name] for name in PROPOSED if name in request.GET}
        return _draw(request, row, kind(row, proposed=proposed))
    step = request.POST.get("step", "")
    form = kind(row, request.POST)
    if form.is_whole and step == "save":
        try:
            return _save(request, reader, form)
        except ChangedMeanwhile:
            row.refresh_from_db()
            form = kind(row, request.POST)
    if form.is_whole and step != "change":
        return _draw(request, row, form, effect=edit.effect(reader, form))
    return _draw(request, row, form)


def _save(request: HttpRequest, reader: Reader, form: EditForm) -> HttpResponse:
    """Save, decide, and say what that did; raise `ChangedMeanwhile` if somebody else was first."""
    outcome = editing.save(
        form.instance,
        by=reader.person.name,
        now=reader.now,
        changed=form.changed_data,
        seen=form.seen,
    )
    words = edit.done(reader, str(form.instance), edit.changes(form), outcome)
    messages.success(request, words)
    if request.headers.get("HX-Request"):
        return trigger_client_event(HttpResponse(status=204), "edited")
    return HttpResponseRedirect(_back(form.instance))


def _draw(
    request: HttpRequest,
    row: Brand | Campaign,
    form: EditForm,
    *,
    effect: Effect | None = None,
) -> HttpResponse:
    brand = row.brand if isinstance(row, Campaign) else row
    page = edit.Page(
        title=str(row),
        brand=brand.name if isinstance(row, Campaign) else "",
        currency=brand.currency,
        form=form,
        effect=effect,
        meanwhile=edit.meanwhile(form),
        url=request.path,
        back_url=_back(row),
    )
    name = "_edit.html" if request.headers.get("HX-Request") else "edit.html"
    response = render(request, f"brand/{name}", {"page": page})
    add_never_cache_headers(response)
    patch_vary_headers(response, ("HX-Request",))
    return response


def _back(row: Brand | Campaign) -> str:
    return reverse("campaign" if isinstance(row, Campaign) else "brand", args=[row.pk])


def _switched(request: HttpRequest) -> tuple[bool, list[int]]:
    """Return the position of the switch, and the keys of what it is thrown for."""
    for name, enabled in (("pause", False), ("resume", True)):
        if key := request.POST.get(name, ""):
            keys = request.POST.getlist("campaign") if key == "selected" else [key]
            return enabled, [int(text) for text in keys if is_key(text)]
    return False, []


def _switched_words(reader: Reader, ids: list[int], count: int, *, enabled: bool) -> str:
    if not ids:
        return "Nothing was done: select campaigns first."
    verb, state = ("Resumed", "on") if enabled else ("Paused", "off")
    if not count:
        return f"Nothing was to be done: already switched {state}."
    words = f"{verb} {reader.counted(count, 'campaign')}."
    return f"{words} What else holds them goes on holding them." if enabled else words
