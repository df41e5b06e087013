"""One import and its rows."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from budgets.dashboard.pages import imports as page
from budgets.dashboard.reader import reader_of
from budgets.dashboard.rows import row_of
from budgets.models import Import


@require_safe
def show(request: HttpRequest, import_id: int) -> HttpResponse:
    """Show what a file brought, as far as it exists for who asks."""
    reader = reader_of(request)
    found = row_of(Import.objects.all(), import_id)
    built = page.build(found, reader, request.GET.dict())
    if built is None:
        raise Http404
    status = 400 if built.problem else 200
    response = render(request, "import/page.html", {"page": built}, status=status)
    add_never_cache_headers(response)
    return response
