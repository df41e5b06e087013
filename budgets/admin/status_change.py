"""The log of status changes, to read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter

from budgets.admin.base import LONGEST_TERM, ReadOnlyAdmin, column, person_of
from budgets.admin.campaign import matching
from budgets.admin.figures import HOLD_COLOURS, badge
from budgets.models import StatusChange
from budgets.models.campaign import HOLD_LABELS
from budgets.queries.explain import decided_by
from budgets.services.access import Sight

CAMPAIGNS_SEARCHED = 1000


@admin.register(StatusChange)
class StatusChangeAdmin(ReadOnlyAdmin):
    """Status changes."""

    brand_key = "campaign__brand_id"
    list_display = (
        "when",
        "campaign",
        "brand",
        "before",
        "after",
        "caused_by",
        "what_decided",
    )
    list_filter = (
        ("cause", ChoicesDropdownFilter),
        ("hold", ChoicesDropdownFilter),
        ("is_active", BooleanRadioFilter),
    )
    list_select_related = ("campaign__brand",)
    search_fields = ("campaign__name",)
    search_help_text = "Campaign, its external ID or brand"
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "at",
        "campaign",
        "brand",
        "before",
        "after",
        "cause",
        "actor",
        "what_decided",
        "held_by",
    )
    readonly_fields = ("brand", "before", "after", "what_decided", "held_by")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow also the link from a campaign's page."""
        return lookup == "campaign__id__exact" or super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by campaign, its ids first: the log is joined with nothing."""
        return of_campaigns(queryset, search_term, person_of(request)), False

    @column("When (UTC)")
    def when(self, change: StatusChange) -> str:
        """Show the instant to the second: several changes share a minute."""
        return f"{change.at:%d %b %Y, %H:%M:%S}"

    @column("Brand")
    def brand(self, change: StatusChange) -> str:
        """Show the campaign's brand."""
        return change.campaign.brand.name

    @column("From", label=HOLD_COLOURS)
    def before(self, change: StatusChange) -> tuple[str, str]:
        """Show the state before."""
        return badge(change.old_hold)

    @column("To", label=HOLD_COLOURS)
    def after(self, change: StatusChange) -> tuple[str, str]:
        """Show the state after."""
        return badge(change.hold)

    @column("Caused by")
    def caused_by(self, change: StatusChange) -> str:
        """Show what made the change, and who, where somebody did."""
        cause = change.get_cause_display()
        return f"{cause}, {change.actor}" if change.actor else cause

    @column("Figures")
    def what_decided(self, change: StatusChange) -> str | None:
        """Show spend and budget, where a budget decided."""
        return decided_by(change.figures) or None

    @column("All holds")
    def held_by(self, change: StatusChange) -> str:
        """Name every hold that applied, strongest first."""
        return ", ".join(HOLD_LABELS.get(hold, hold) for hold in change.figures.get("holds", []))


def of_campaigns(queryset: QuerySet[Any], search_term: str, sight: Sight) -> QuerySet[Any]:
    """Narrow rows of a large table to campaigns in `sight` that a search finds."""
    term = search_term.strip()[:LONGEST_TERM]
    if "\x00" in term:
        return queryset.none()
    if not term:
        return queryset
    campaigns = sight.campaigns().filter(matching(term, sight)).order_by("-pk")
    ids = list(campaigns.values_list("pk", flat=True)[:CAMPAIGNS_SEARCHED])
    return queryset.filter(campaign_id__in=ids)
