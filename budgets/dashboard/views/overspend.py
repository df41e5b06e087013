"""The report of overspend, on a page and for a spreadsheet."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from budgets.dashboard import sheet
from budgets.dashboard.pages import overspend as page
from budgets.dashboard.reader import reader_of


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show a page of the report; 400 where what was asked for cannot be meant."""
    reader = reader_of(request)
    asked = page.asked_for(request.GET.dict(), reader)
    status = 400 if asked.problems else 200
    response = render(
        request, "overspend/page.html", {"page": page.build(asked, reader)}, status=status
    )
    add_never_cache_headers(response)
    return response


@require_safe
def download(request: HttpRequest) -> HttpResponseBase:
    """Send the whole period as CSV, as it is read; or say what is wrong, and send nothing."""
    reader = reader_of(request)
    asked = page.asked_for(request.GET.dict(), reader)
    if asked.problems:
        words = "\n".join([*asked.problems, ""])
        return HttpResponse(words, status=400, content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(
        sheet.lines(page.HEADER, page.sheet(asked, reader)), content_type="text/csv; charset=utf-8"
    )
    name = f"overspend-{asked.since}-{asked.until}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    add_never_cache_headers(response)
    return response
