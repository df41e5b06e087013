"""A platform's report, uploaded: shown first, recorded when it is confirmed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.files.uploadhandler import StopUpload, TemporaryFileUploadHandler
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from budgets.admin.base import Admin, moved_in_words, person_of
from budgets.admin.figures import badge
from budgets.core import money
from budgets.core.plurals import counted
from budgets.models import Campaign, Spend, WaitingReport
from budgets.models.brand import LONGEST_NAME
from budgets.queries.explain import amount
from budgets.services import files
from budgets.services.files import Complaints, Unreadable
from budgets.services.importing import Importing
from budgets.services.ingestion import Answer, Receipt
from budgets.services.reports import checking, finding, reading, waiting
from budgets.services.reports.checking import Checked, Said
from budgets.services.reports.finding import ToDate, Unknown
from budgets.services.reports.notation import DayOrder, DecimalMark
from budgets.services.reports.reading import MAX_BYTES
from budgets.services.reports.waiting import Difference, Summary
from budgets.services.tally import BATCH, Tally, chunked, in_words

SHOWN = 200
"""Sums of a preview that are written out."""
NAMED = 50
"""Campaigns and brands that are listed."""

ENTRANCE = "admin:budgets_spend_import_report"
GONE = (
    "There is no such preview: it was cancelled, is more than a day old, or is somebody else's. "
    "Upload the report again."
)


class _UpToTheLimit(TemporaryFileUploadHandler):
    """Keeps an upload on disk, not in memory, and nothing of one that is too large.

    What is too large is read to its end and dropped: a browser that is cut off shows no words.
    """

    is_exceeded = False

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write a chunk, or say that it is enough."""
        if start + len(raw_data) > MAX_BYTES:
            self.is_exceeded = True
            raise StopUpload(connection_reset=False)
        super().receive_data_chunk(raw_data, start)


class ReportForm(forms.Form):
    """A report, and what it may leave open."""

    file = forms.FileField(
        label="Report",
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        max_length=LONGEST_NAME,
        allow_empty_file=True,  # What an empty file lacks is said with the other errors.
    )
    brand = forms.CharField(
        label="Brand",
        required=False,
        max_length=LONGEST_NAME,
        widget=UnfoldAdminTextInputWidget(attrs={"list": "brands", "autocomplete": "off"}),
        help_text="The brand's name. Empty: that of the account, or the only one with such a campaign.",
    )
    decimal_mark = forms.ChoiceField(
        label="Decimal mark",
        required=False,
        choices=[
            ("", "as the file tells"),
            (DecimalMark.POINT.value, "point: 1,234.56"),
            (DecimalMark.COMMA.value, "comma: 1.234,56"),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    day_order = forms.ChoiceField(
        label="Day order",
        required=False,
        choices=[
            ("", "as the file tells"),
            (DayOrder.MONTH_FIRST.value, "month-first: 11/23/2026"),
            (DayOrder.DAY_FIRST.value, "day-first: 23/11/2026"),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    rows = forms.IntegerField(
        label="Rows",
        required=False,
        min_value=0,
        max_value=reading.MAX_ROWS,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many there are below the header: confirms that the file is whole.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked = {name for name in ("decimal_mark", "day_order", "rows") if self.data.get(name)}
        """Fields that are shown: those of what the file left open."""

    @property
    def shown(self) -> list[Any]:
        """Return the fields of the page."""
        always = ("file", "brand")
        return [field for field in self if field.name in always or field.name in self.asked]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the preview's table."""

    brand: str
    campaign: str
    date: Any
    before: str
    now: str
    change: str
    currency: str


class ImportPages(Admin):
    """The pages of an import: hand in, look, confirm."""

    actions_list = ("import_report",)

    def get_urls(self) -> list[URLPattern]:
        """Add the page of a report that waits."""
        view = self.admin_site.admin_view(self.waiting_report)
        urls: list[URLPattern] = super().get_urls()
        return [path("import/<str:token>/", view, name="budgets_spend_waiting_report"), *urls]

    @action(  # type: ignore[untyped-decorator]  # unfold has no types
        description="Import a report", url_path="import", icon="upload_file", permissions=["add"]
    )
    @csrf_exempt  # Whoever checks the token reads the body, so the upload's handler comes first.
    def import_report(self, request: HttpRequest) -> HttpResponseBase:
        """Take a report, and show what it would do, or what is wrong with it."""
        handler = _UpToTheLimit(request)
        request.upload_handlers = [handler]

        @csrf_protect
        def page(request: HttpRequest) -> HttpResponse:
            if request.method != "POST":
                return self._entrance(request, ReportForm())
            return self._handed_in(request, handler)

        return page(request)

    def waiting_report(self, request: HttpRequest, token: str) -> HttpResponse:
        """Show a report that waits, or what became of it; a POST confirms or cancels it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        now = timezone.now()
        found = waiting.find(token, _user(request), now=now)
        if found is None or not _is_seen(request, found):
            return self._entrance(request, ReportForm(), problems=[GONE], status=404)
        if request.method != "POST":
            return self._result(request, found) if found.outcome else self._preview(request, found)
        if "cancel" in request.POST:
            waiting.discard(found)
            self.message_user(request, "Cancelled. Nothing was recorded.")
            return HttpResponseRedirect(reverse(ENTRANCE))
        if waiting.claim(found, now=now):
            self._record(request, found)
        else:
            words = "Already recorded." if found.outcome else "It is being recorded at this moment."
            self.message_user(request, words, messages.WARNING)
        return HttpResponseRedirect(request.path)

    def _handed_in(self, request: HttpRequest, handler: _UpToTheLimit) -> HttpResponse:
        form = ReportForm(request.POST, request.FILES)
        if handler.is_exceeded:
            words = f"The file is larger than {MAX_BYTES // 1_000_000} MB; export fewer days, or "
            return self._entrance(request, form, problems=[f"{words}fewer columns."], status=413)
        if not form.is_valid():
            return self._entrance(request, form, status=400)
        complaints = Complaints()
        try:
            checked = self._checked(request, form, complaints)
            if checked.unknown and checked.sums:
                # If that is all, what is known can be recorded: the person says so, or does not.
                others = Complaints()
                known = self._checked(request, form, others, skip_unknown=True)
                if not others.count:
                    checked, complaints = known, others
        except Unreadable as error:
            return self._entrance(request, form, problems=[f"The file {error}."], status=400)
        sums, source = checked.sums, checked.report.platform.source
        foreseen = None
        if not complaints.count:
            foreseen = waiting.rehearse(sums, source=source, now=timezone.now())
            _complain_of_refused(sums, foreseen, complaints)
        upload: Any = form.cleaned_data["file"]
        skipped = [] if complaints.count else checked.unknown
        summary = Summary.of(checked.report, (upload.name or "")[:LONGEST_NAME], foreseen, skipped)
        if complaints.count:
            form.asked.update(checked.report.is_open)
            if any("--rows" in words for _, words in complaints.shown):
                form.asked.add("rows")
            return self._refused(request, form, summary, checked, complaints)
        kept = waiting.keep(_user(request), summary, sums, now=timezone.now())
        return HttpResponseRedirect(reverse("admin:budgets_spend_waiting_report", args=[kept.pk]))

    def _checked(
        self,
        request: HttpRequest,
        form: ReportForm,
        complaints: Complaints,
        *,
        skip_unknown: bool = False,
    ) -> Checked:
        data = form.cleaned_data
        upload: Any = data["file"]
        upload.seek(0)
        head = upload.read(files.HEAD)
        upload.seek(0)
        files.refuse_no_text(head)
        if reading.recognise(head) is None:
            raise Unreadable(
                "is no report of Google Ads, Meta Ads or Microsoft Advertising, exported in English "
                "(the first two in German, French or Spanish as well). "
                "One in our own format (brand,campaign,date,amount) goes by the command import_spend"
            )
        said = Said(
            brand=data["brand"] or None,
            decimal_mark=DecimalMark(data["decimal_mark"]) if data["decimal_mark"] else None,
            day_order=DayOrder(data["day_order"]) if data["day_order"] else None,
            rows=data["rows"],
            skip_unknown=skip_unknown,
        )
        return checking.check(
            upload, complaints, said, now=timezone.now(), sight=person_of(request)
        )

    def _record(self, request: HttpRequest, report: WaitingReport) -> None:
        sums, summary = waiting.sums_of(report), waiting.summary_of(report)
        tally = Tally(rows=len(sums))
        importing = Importing(
            kind=f"{summary.platform} report",
            file=summary.file,
            source=summary.source,
            actor=request.user.get_username(),
        )
        try:
            for batch in chunked(sums, BATCH):
                # Each batch has its own now: a large report may cross a midnight.
                receipt = importing.to_date(batch, now=timezone.now())
                tally.take((one.line for one in batch), receipt)
        except OperationalError:
            waiting.release(report)
            words = "The database was busy, and not all was recorded. Confirm again: it records "
            self.message_user(
                request, f"{words}what is missing, and nothing twice.", messages.ERROR
            )
            return
        importing.finish(timezone.now())
        waiting.finish(
            report,
            {
                "import": importing.record and importing.record.pk,
                "words": tally.text(dry_run=False),
                "recorded": tally.recorded,
                "unchanged": tally.known,
                "failures": tally.failures.shown,
                "failed": tally.failures.count,
                "paused": sorted(tally.paused),
                "resumed": sorted(tally.resumed),
            },
        )
        # Who imported it: the ledger knows only the platform.
        skipped = f"Skipped {finding.together(summary.skipped)}." if summary.skipped else ""
        LogEntry.objects.create(
            user_id=_user(request),
            content_type=ContentType.objects.get_for_model(Spend),
            action_flag=ADDITION,
            object_repr=f"{summary.platform}, {summary.file}: {tally.text(dry_run=False)}"[:200],
            change_message=skipped,
        )

    def _entrance(
        self,
        request: HttpRequest,
        form: ReportForm,
        *,
        problems: list[str] | None = None,
        status: int = 200,
        **context: Any,
    ) -> HttpResponse:
        brands = (
            person_of(request).brands().order_by("name").values_list("name", flat=True)[:NAMED]
            if request.user.has_perm("budgets.view_brand")
            else ()
        )
        page = {"form": form, "problems": problems or [], "brands": brands, **context}
        return self._page(request, "import", "Import a report", page, status)

    def _refused(
        self,
        request: HttpRequest,
        form: ReportForm,
        summary: Summary,
        checked: Checked,
        complaints: Complaints,
    ) -> HttpResponse:
        return self._entrance(
            request,
            form,
            status=400,
            complaints=[(line, on_the_page(words)) for line, words in complaints.shown],
            more=complaints.count - len(complaints.shown),
            **_unknown(request, checked.unknown),
            **_shown(summary, checked.sums),
        )

    def _preview(self, request: HttpRequest, report: WaitingReport) -> HttpResponse:
        summary = waiting.summary_of(report)
        context = {
            **_shown(summary, waiting.sums_of(report)),
            "is_foreseen": summary.paused is not None,
            "pausing": _campaigns(request, summary.paused or ()),
            "would_move": moved_in_words(summary.paused or (), summary.resumed or ()),
            "is_being_recorded": report.confirmed_at is not None,
            **_unknown(request, summary.skipped),
        }
        return self._page(request, "import_preview", "Check, then confirm", context)

    def _result(self, request: HttpRequest, report: WaitingReport) -> HttpResponse:
        outcome: dict[str, Any] = report.outcome or {}
        summary = waiting.summary_of(report)
        context = {
            "summary": summary,
            "outcome": outcome,
            **_unknown(request, summary.skipped),
            "paused": _campaigns(request, outcome["paused"]),
            "resumed": _campaigns(request, outcome["resumed"]),
        }
        return self._page(request, "import_result", "Recorded", context)

    def _page(
        self,
        request: HttpRequest,
        name: str,
        title: str,
        context: dict[str, Any],
        status: int = 200,
    ) -> HttpResponse:
        page = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "entrance": reverse(ENTRANCE),
            **context,
        }
        return TemplateResponse(request, f"admin/budgets/spend/{name}.html", page, status=status)


def _user(request: HttpRequest) -> int:
    user: Any = request.user  # The admin lets nobody in who has no key.
    return int(user.pk)


def _is_seen(request: HttpRequest, report: WaitingReport) -> bool:
    """Tell whether all of a report still exists for who uploaded it: they may see less since."""
    if not person_of(request).is_restricted:
        return True
    ids = {one.campaign_id for one in waiting.sums_of(report)}
    return person_of(request).campaigns().filter(pk__among=ids).count() == len(ids)


def on_the_page(words: str) -> str:
    """Name the page's fields where the words name the command's options."""
    labels = {f"--{name.replace('_', '-')}": name for name in ReportForm.base_fields}
    return re.sub(
        r"--[a-z-]+\b",
        lambda found: (
            f"“{ReportForm.base_fields[labels[found[0]]].label}”"
            if found[0] in labels
            else found[0]
        ),
        words,
    )


def _complain_of_refused(
    sums: list[ToDate], foreseen: Receipt | None, complaints: Complaints
) -> None:
    for one, result in zip(sums, foreseen.results if foreseen else (), strict=False):
        if result.answer in (Answer.CONFLICT, Answer.REJECTED):
            complaints.add(one.line, in_words(result))


def _shown(summary: Summary, sums: list[ToDate]) -> dict[str, Any]:
    found = waiting.differences(sums, summary.source)
    changed = sum(one.change != 0 for one in found)
    days = {one.date for one in sums}
    return {
        "summary": summary,
        "said": f"{counted(len({one.campaign_id for one in sums}), 'campaign')}, "
        f"{counted(len(days), 'day')}",
        "first_day": min(days, default=None),
        "last_day": max(days, default=None),
        "together": [
            (brand, currency, _amount(micros))
            for brand, currency, micros in waiting.together(sums)[:NAMED]
        ],
        "rows": [_row(one) for one in found[:SHOWN]],
        "count": len(found),
        "changed": changed,
        "unchanged": len(found) - changed,
    }


def _row(one: Difference) -> Row:
    sign = "+" if one.change > 0 else ""
    return Row(
        one.sum.brand,
        one.sum.campaign,
        one.sum.date,
        _amount(one.before),
        _amount(one.sum.micros),
        f"{sign}{_amount(one.change)}" if one.change else "",
        one.sum.currency,
    )


def _amount(micros: int) -> str:
    return amount(money.from_micros(micros))


def _campaigns(request: HttpRequest, ids: Iterable[int]) -> list[tuple[Campaign, tuple[str, str]]]:
    seen = person_of(request).campaigns()
    rows = seen.filter(pk__among=list(ids)).select_related("brand")
    return [(row, badge(row.hold) if row.hold else ("", "")) for row in rows.order_by("pk")[:NAMED]]


def _unknown(request: HttpRequest, unknown: list[Unknown]) -> dict[str, Any]:
    return {
        "unknown": _with_links(request, unknown[:NAMED]),
        "unknown_count": len(unknown),
        "unknown_more": max(0, len(unknown) - NAMED),
        "unknown_sum": finding.together(unknown),
    }


def _with_links(request: HttpRequest, unknown: list[Unknown]) -> list[tuple[Unknown, str]]:
    if not request.user.has_perm("budgets.add_campaign"):
        return [(one, "") for one in unknown]
    names = {one.brand for one in unknown}
    seen = person_of(request).brands()
    brands = dict(seen.filter(name__in=names).values_list("name", "pk"))
    page = reverse("admin:budgets_campaign_add")

    def link(one: Unknown) -> str:
        fields = {
            "brand": brands.get(one.brand),
            "name": one.reported.campaign,
            "external_id": one.reported.campaign_id,
        }
        return f"{page}?{urlencode({name: value for name, value in fields.items() if value})}"

    return [(one, link(one)) for one in unknown]
