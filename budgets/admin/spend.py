"""The ledger: rows are added and looked at, never edited or deleted."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.contrib.filters.admin import BooleanRadioFilter, RangeDateFilter, TextFilter

from budgets.admin.base import (
    Admin,
    Form,
    KeyOnlyAutocomplete,
    ReadOnlyAdmin,
    column,
    person_of,
)
from budgets.admin.spend_import import ImportPages
from budgets.admin.status_change import of_campaigns
from budgets.core.plurals import counted
from budgets.models import Campaign, Spend
from budgets.models.campaign import HOLD_LABELS
from budgets.queries.explain import amount
from budgets.services import ingestion
from budgets.services.access import Sight
from budgets.services.ingestion import Answer, Receipt, Result, SpendEvent
from budgets.services.rollover import Moment

SOURCE = "admin"


class NotRecorded(RuntimeError):
    """The service refused what the form let pass: somebody was faster, or a total is full."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"Not recorded: {result.words}.")


class CampaignChoice(KeyOnlyAutocomplete):
    """An autocomplete box that names the brand too: every brand has a campaign 'Search'."""

    url_name = "%s:budgets_spend_campaigns"


class CampaignNames(AutocompleteJsonView):
    """What the box proposes."""

    def get_queryset(self) -> QuerySet[Any]:
        """Read the brands along."""
        campaigns: QuerySet[Any] = super().get_queryset().select_related("brand")
        return campaigns

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        """Name the campaign and its brand."""
        return {**super().serialize_result(obj, to_field_name), "text": full_name(obj)}


class SpendForm(Form[Spend]):
    """One amount that was spent."""

    class Meta:
        model = Spend
        fields = ("campaign", "amount", "date", "occurred_at", "external_id")

    now: datetime
    event: SpendEvent
    sight: Sight
    """What exists for who types."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.fields:  # an existing row, which is only looked at
            return
        campaign: Any = self.fields["campaign"]
        campaign.queryset = campaign.queryset.select_related("brand")
        campaign.label_from_instance = full_name
        self.fields["date"].required = False
        self.fields[
            "date"
        ].help_text = "The brand's local day. Empty: the day it happened, or today."
        self.fields["occurred_at"].help_text = "In UTC. Optional; it must not lie in the future."
        self.fields["external_id"].help_text = "Optional. The same ID is never recorded twice."

    def clean(self) -> dict[str, Any]:
        """Ask the service whether this can be recorded; show its words at their fields."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        self.now = timezone.now()
        campaign: Campaign = cleaned["campaign"]
        moment = ingestion.moments_of([campaign.pk], self.now).get(campaign.pk)
        if moment is None:
            self.add_error("campaign", "Its brand's time zone is not known: put that right first.")
            return cleaned
        self.event = self._event(cleaned, moment)
        line = ingestion.examine(self.event, moment, self.now)
        if isinstance(line, Result):
            self.add_error(line.field, in_a_sentence(line.words))
        else:
            cleaned["date"] = line.date
        return cleaned

    def clean_external_id(self) -> str | None:
        """Refuse what was recorded before; the ledger, not a form, says so in a race."""
        external_id: str | None = self.cleaned_data["external_id"] or None
        if external_id is None:
            return None
        before = Spend.objects.filter(source=SOURCE, external_id=external_id).select_related(
            "campaign__brand"
        )
        if row := before.first():
            words = "Recorded before under this ID. Use another ID."
            if self.sight.sees_brand(row.campaign.brand_id):
                currency = row.campaign.brand.currency
                words = (
                    f"Recorded before under this ID: {amount(row.amount)} {currency} of "
                    f"{full_name(row.campaign)} on {row.date}. Use another ID, or a negative amount "
                    "to correct it."
                )
            raise forms.ValidationError(words, code="conflict")
        return external_id

    def _event(self, cleaned: dict[str, Any], moment: Moment) -> SpendEvent:
        occurred_at = cleaned["occurred_at"]
        is_today = cleaned["date"] is None and occurred_at is None
        return SpendEvent(
            campaign_id=cleaned["campaign"].pk,
            amount=cleaned["amount"],
            date=moment.day.date if is_today else cleaned["date"],
            occurred_at=occurred_at,
            external_id=cleaned["external_id"],
        )


class SourceFilter(TextFilter):
    """Rows of one source, written exactly: a list of all would read the whole ledger."""

    title = "source (exact)"
    parameter_name = "source"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Narrow to it."""
        return queryset.filter(source=self.value()) if self.value() else queryset


@admin.register(Spend)
class SpendAdmin(ImportPages, ReadOnlyAdmin):
    """The ledger."""

    form = SpendForm
    brand_key = "campaign__brand_id"
    fields = ("campaign", "amount", "date", "occurred_at", "external_id")
    list_display = ("date", "campaign", "brand", "spent", "source", "external_id", "counted")
    list_display_links = ("date",)
    list_filter = (("date", RangeDateFilter), SourceFilter, ("is_counted", BooleanRadioFilter))
    list_select_related = ("campaign__brand",)
    search_fields = ("external_id", "campaign__name")
    search_help_text = "External ID (exact), campaign or brand"
    ordering = ("-pk",)
    sortable_by = ()
    autocomplete_fields = ("campaign",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let whoever may, add spend."""
        return bool(super(Admin, self).has_add_permission(request))

    def get_urls(self) -> list[URLPattern]:
        """Add what the campaign box asks."""
        view = self.admin_site.admin_view(CampaignNames.as_view(admin_site=self.admin_site))
        urls: list[URLPattern] = super().get_urls()
        return [path("campaigns/", view, name="budgets_spend_campaigns"), *urls]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Have the form know who types."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.sight = person_of(request)
        return form

    def get_fields(self, request: HttpRequest, obj: object = None) -> tuple[str, ...]:
        """Show an existing row with what the service noted about it."""
        return (*self.fields, "source", "is_counted", "created_at") if obj else self.fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow also the link from a campaign's page."""
        return lookup == "campaign__id__exact" or super().lookup_allowed(lookup, value, request)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer campaigns with their brands' names."""
        kwargs.setdefault("widget", CampaignChoice(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search an exact external ID; if there is none, by campaign."""
        exact = queryset.filter(external_id=search_term.strip())
        if search_term.strip() and "\x00" not in search_term and exact.exists():
            return exact, False
        return of_campaigns(queryset, search_term, person_of(request)), False

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add a row, or say why the service would not."""
        try:
            response: HttpResponse = super().add_view(request, form_url, extra_context)
        except NotRecorded as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return response

    def save_model(self, request: HttpRequest, obj: Spend, form: Any, change: bool) -> None:
        """Record through the service: counted and decided in the same transaction."""
        receipt = ingestion.record([form.event], source=SOURCE, now=form.now)
        if receipt.results[0].answer is not Answer.RECORDED:
            raise NotRecorded(receipt.results[0])
        # The brand's lock is ours until the commit: the newest row of the campaign is the one.
        rows = Spend.objects.filter(campaign_id=obj.campaign_id, date=obj.date, source=SOURCE)
        obj.pk = rows.order_by("-pk").values_list("pk", flat=True)[0]
        self.message_user(request, recorded_in_words(obj.campaign, receipt))

    @column("Brand")
    def brand(self, row: Spend) -> str:
        """Show the campaign's brand."""
        return row.campaign.brand.name

    @column("Amount")
    def spent(self, row: Spend) -> str:
        """Show the amount with its currency."""
        return f"{amount(row.amount)} {row.campaign.brand.currency}"

    @column("Counted", label={"counted": "success", "not yet": "warning"})
    def counted(self, row: Spend) -> str:
        """Show whether it is in the totals."""
        return "counted" if row.is_counted else "not yet"


def full_name(campaign: Campaign) -> str:
    """Name a campaign so that it cannot be mistaken for another brand's."""
    return f"{campaign.name} · {campaign.brand.name}"


def in_a_sentence(words: str) -> str:
    """Write a result's words as a form's error."""
    return f"{words[:1].upper()}{words[1:]}."


def recorded_in_words(campaign: Campaign, receipt: Receipt) -> str:
    """Say what recording did: 'Recorded. 2 campaigns of Acme were paused: …'."""
    moved = [*receipt.paused, *receipt.resumed]
    holds = Counter(Campaign.objects.filter(pk__in=moved).values_list("hold", flat=True))
    words = ["Recorded and counted."]
    for hold, count in sorted(holds.items()):
        what = f"paused: {HOLD_LABELS.get(hold, hold)}" if hold else "resumed"
        were = "was" if count == 1 else "were"
        words.append(f"{counted(count, 'campaign')} of {campaign.brand.name} {were} {what}.")
    return " ".join(words)
