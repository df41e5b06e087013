"""Campaigns: the switch, the ceilings and hours, and why each runs or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
)

from budgets.admin import figures
from budgets.admin.base import COUNTED, LONGEST_TERM, Form, column, only_seen, person_of
from budgets.admin.editing import EditingAdmin
from budgets.admin.figures import HOLD_COLOURS, badge, html
from budgets.core.plurals import counted
from budgets.forms.hours import HoursGridField
from budgets.models import Brand, Campaign, Spend, StatusChange
from budgets.models.campaign import HOLD_LABELS
from budgets.queries.explain import decided_by, explain, hours_in_words
from budgets.services import editing, rollover
from budgets.services.access import Sight
from budgets.services.enforcement import Outcome
from budgets.services.transactions import ROWS, chunks

SHOWN_CHANGES = 10
BRANDS_SEARCHED = 1000
"""Brands of a matching name whose campaigns a search shows."""


class CampaignForm(Form[Campaign]):
    """What people write about a campaign."""

    weekly_hours = HoursGridField(
        required=False,
        help_text="While this is on it decides, and the two hours above wait.",
    )

    class Meta:
        model = Campaign
        fields = (
            "brand",
            "name",
            "external_id",
            "is_enabled",
            "daily_budget",
            "monthly_budget",
            "allowed_start_hour",
            "allowed_end_hour",
            "weekly_hours",
            "starts_on",
            "ends_on",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whoever may only look has no such field.
        if grid := self.fields.get("weekly_hours"):
            stored = self.instance
            grid.widget.every_day = stored.allowed_start_hour, stored.allowed_end_hour

    def _get_validation_exclusions(self) -> set[str]:
        # The brand cannot be edited, but a name must still be unique in it.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # not in the stubs
        return excluded - {"brand"}


class BrandFilter(AutocompleteSelectFilter):
    """Campaigns of one brand; a brand that does not exist for who asks is named to nobody."""

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """Show the box that proposes brands, and the one that was chosen."""
        for choice in super().choices(changelist):
            only_seen(choice["form"].fields[self.lookup_kwarg], self.request)
            yield choice


@admin.register(Campaign)
class CampaignAdmin(EditingAdmin):
    """Campaigns."""

    form = CampaignForm
    brand_key = "brand_id"
    fieldsets = (
        (None, {"fields": ("brand", "name", "external_id", "is_enabled")}),
        ("Budgets of its own", {"fields": (("daily_budget", "monthly_budget"),)}),
        (
            "When it may run, in the brand's time zone",
            {
                "fields": (
                    ("allowed_start_hour", "allowed_end_hour"),
                    "weekly_hours",
                    ("starts_on", "ends_on"),
                )
            },
        ),
    )
    autocomplete_fields = ("brand",)
    list_display = (
        "name",
        "brand",
        "state",
        "reason",
        "own_today",
        "brand_today",
        "hours",
        "enabled",
    )
    list_filter = (
        ("brand", BrandFilter),
        ("hold", ChoicesDropdownFilter),
        ("is_active", BooleanRadioFilter),
        ("is_enabled", BooleanRadioFilter),
    )
    list_select_related = ("brand",)
    search_fields = ("name", "external_id", "brand__name")
    search_help_text = "Name, external ID or brand"
    ordering = ("-pk",)
    sortable_by = ()
    actions = ("pause", "resume")
    remedy = "its spend and the log of its changes are kept for good. Pause it instead."

    def dress(self, rows: list[Any], now: datetime) -> None:
        """Work out the figures of the page's campaigns."""
        moments = rollover.preview({row.brand_id: row.brand for row in rows}.values(), now)
        for row in rows:
            moment = moments.get(row.brand_id)
            if moment is None:
                row.own_figure = row.brand_figure = None
                continue
            day, currency = moment.day.date, row.brand.currency
            row.own_figure = figures.today(rollover.purse(row, day), currency)
            row.brand_figure = figures.today(rollover.purse(row.brand, day), currency)

    def kept(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Keep every campaign with spend or a log."""
        history = (model.objects.filter(campaign=OuterRef("pk")) for model in (Spend, StatusChange))
        spend, changes = history
        return rows.filter(Q(Exists(spend)) | Q(Exists(changes)))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search names, external ids and brands; the brands first, so that no OR spans a join."""
        term = search_term.strip()[:LONGEST_TERM]
        if "\x00" in term:
            return queryset.none(), False
        if not term:
            return queryset, False
        return queryset.filter(matching(term, person_of(request))), False

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Sequence[str]:
        """Keep the brand of a campaign: its spend was counted there; the switch has its own key."""
        if obj is None:
            return ()
        return ("brand",) if self.has_pause_permission(request) else ("brand", "is_enabled")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Tell who may throw the switch, with or without the right to edit."""
        return person_of(request).may_pause

    @column("State", label={"active": "success"})
    def state(self, campaign: Any) -> str:
        """Show the state in force."""
        return "active" if campaign.is_active else "held"

    @column("Reason", label=HOLD_COLOURS)
    def reason(self, campaign: Any) -> tuple[str, str]:
        """Show why it is held."""
        return badge(campaign.hold) if campaign.hold else ("", "")

    @column("Today")
    def own_today(self, campaign: Any) -> SafeString | None:
        """Show the day's spend against the campaign's own budget."""
        return html(campaign.own_figure)

    @column("Brand today")
    def brand_today(self, campaign: Any) -> SafeString | None:
        """Show the brand's."""
        return html(campaign.brand_figure)

    @column("Hours")
    def hours(self, campaign: Any) -> str:
        """Show the allowed hours."""
        return hours_in_words(campaign)

    @column("On", boolean=True)
    def enabled(self, campaign: Any) -> bool:
        """Show the operator's switch."""
        return bool(campaign.is_enabled)

    @admin.action(description="Pause", permissions=["pause"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Switch campaigns off."""
        self._switch(request, queryset, enabled=False)

    @admin.action(description="Resume", permissions=["pause"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Switch campaigns on; what else holds them still does."""
        self._switch(request, queryset, enabled=True)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Any], *, enabled: bool) -> None:
        chosen = queryset.order_by("brand_id", "pk").values_list("pk", flat=True)
        ids = list(chosen[: COUNTED + 1])
        if len(ids) > COUNTED:
            words = f"Nothing changed: {COUNTED:,} campaigns at once are the most. Narrow the list."
            self.message_user(request, words, messages.ERROR)
            return
        by, now = request.user.get_username(), timezone.now()
        switched = held = 0
        for chunk in chunks(ids, ROWS):
            switched += editing.set_enabled(chunk, enabled, by=by, now=now)
            held += Campaign.objects.filter(pk__in=chunk, is_enabled=True).held().count()
        self.message_user(request, switched_in_words(len(ids), switched, held, enabled=enabled))

    def tell(self, request: HttpRequest, obj: Brand | Campaign, outcome: Outcome) -> None:
        """Say what the campaign's state is now."""
        super().tell(request, obj, outcome)
        hold = Campaign.objects.values_list("hold", flat=True).get(pk=obj.pk)
        self.message_user(
            request, f"It is held: {HOLD_LABELS.get(hold, hold)}." if hold else "It is active."
        )

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Campaign | None = None,
    ) -> HttpResponse:
        """Explain above the form why the stored campaign runs or not; below, its last changes."""
        stored = obj and Campaign.objects.select_related("brand").filter(pk=obj.pk).first()
        if stored:
            context["explanation"] = explain(stored, timezone.now())
            changes = StatusChange.objects.filter(campaign=stored).order_by("-pk")
            context["changes"] = [
                (change, badge(change.old_hold), badge(change.hold), decided_by(change.figures))
                for change in changes[:SHOWN_CHANGES]
            ]
        response: HttpResponse = super().render_change_form(
            request, context, add, change, form_url, obj
        )
        return response


def matching(term: str, sight: Sight) -> Q:
    """Return the condition for campaigns that a search for `term` shows, of brands in `sight`."""
    brands = sight.brands().filter(name__icontains=term).order_by("pk")
    return (
        Q(name__icontains=term)
        | Q(external_id=term)
        | Q(brand_id__in=list(brands.values_list("pk", flat=True)[:BRANDS_SEARCHED]))
    )


def switched_in_words(chosen: int, switched: int, held: int, *, enabled: bool) -> str:
    """Report an action: '2 campaigns paused; 1 was already paused'."""
    done, before = ("resumed", "not paused") if enabled else ("paused", "already paused")
    parts = [f"{counted(switched, 'campaign')} {done}"]
    if same := chosen - switched:
        parts.append(f"{same:,} {'was' if same == 1 else 'were'} {before}")
    if enabled and held:
        parts.append(f"{held:,} stay{'s' if held == 1 else ''} held for another reason")
    return "; ".join(parts) + "."
