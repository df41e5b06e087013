"""Brands: their budgets, zone and currency, and how far they are today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from django.contrib import admin
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter, RadioFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from budgets.admin import figures
from budgets.admin.base import Form, column, person_of
from budgets.admin.editing import EditingAdmin
from budgets.admin.figures import Figure, html
from budgets.core import alerts
from budgets.core.durations import in_words
from budgets.models import Brand, Campaign
from budgets.models.brand import AT_ONCE, validate_thresholds
from budgets.queries import dashboard
from budgets.queries.dashboard import CampaignCount
from budgets.services import rollover
from budgets.services.rollover import Moment

UNKNOWN_DAY = "no local day"


class ZoneWidget(UnfoldAdminTextInputWidget):
    """A text box that proposes the names of all zones."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Add the proposals; a select would hide a corrupt name that must be seen."""
        box = super().render(name, value, {**(attrs or {}), "list": f"{name}-names"}, renderer)
        names = sorted(available_timezones())
        options = format_html_join("", '<option value="{}"></option>', ((zone,) for zone in names))
        return format_html('{}<datalist id="{}-names">{}</datalist>', box, name, options)


class BrandForm(Form[Brand]):
    """What people write about a brand."""

    class Meta:
        model = Brand
        fields = (
            "name",
            "is_active",
            "daily_budget",
            "monthly_budget",
            "timezone",
            "currency",
            "stale_after_hours",
            "stale_policy",
            "alert_thresholds",
            "alert_silence_hours",
        )
        widgets = {"timezone": ZoneWidget}

    def clean_timezone(self) -> str:
        """Take the name without the spaces that a paste brings."""
        return str(self.cleaned_data["timezone"]).strip()

    def clean_alert_thresholds(self) -> str:
        """Write the thresholds as they are stored."""
        text: str = self.cleaned_data["alert_thresholds"]
        validate_thresholds(text)
        return alerts.canonical(text)


class TroubledFilter(RadioFilter):
    """Brands that the last pass could not process."""

    title = "trouble"
    parameter_name = "troubled"
    all_option = ("", "All")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the one question."""
        return [("1", "Cannot be processed")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Narrow to them."""
        return queryset.troubled() if self.value() == "1" else queryset


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandFigures:
    """A brand at one instant; without a known zone it has no day and no figures."""

    today: Figure | None = None
    month: Figure | None = None
    local_time: str = UNKNOWN_DAY
    zone: str
    pending: str
    trouble: str
    next_look: str
    last_report: str = ""
    is_stale: bool = False

    @classmethod
    def of(cls, brand: Brand, moment: Moment | None, now: datetime) -> BrandFigures:
        """Write down what holds for `brand` at `now`."""
        if moment is None:
            return cls(
                zone=brand.current_timezone,
                pending="",
                trouble=brand.trouble or f"{brand.current_timezone!r} is not a time zone",
                next_look=next_look(brand.due_at, now),
            )
        purse = rollover.purse(brand, moment.day.date)
        pending = brand.timezone if brand.timezone != moment.zone.key else ""
        return cls(
            today=figures.today(purse, brand.currency),
            month=figures.this_month(purse, brand.currency),
            local_time=f"{moment.now.astimezone(moment.zone):%a %d %b %Y, %H:%M}",
            zone=moment.zone.key,
            pending=pending
            and f"{pending} from the next midnight in {moment.zone.key}, "
            f"{moment.day.ends_at:%d %b %H:%M} UTC",
            trouble=brand.trouble,
            next_look=next_look(brand.due_at, now),
            last_report=_last_report(moment, now),
            is_stale=moment.is_stale,
        )


def _last_report(moment: Moment, now: datetime) -> str:
    """Say when spend was last reported; empty where nobody asked to know."""
    at = moment.brand.last_report_at
    return f"{at:%d %b %Y, %H:%M} UTC ({in_words(now - at)} ago)" if at else ""


def next_look(due_at: datetime, now: datetime) -> str:
    """Say when time alone could change something about a brand."""
    if due_at == AT_ONCE or due_at <= now + timedelta(seconds=1):
        return "with the next pass, within a minute"
    return f"{due_at:%d %b %Y, %H:%M} UTC (in {in_words(due_at - now)})"


@admin.register(Brand)
class BrandAdmin(EditingAdmin):
    """Brands."""

    form = BrandForm
    brand_key = "pk"
    fieldsets = (
        (None, {"fields": ("name", "is_active")}),
        ("Budgets", {"fields": (("daily_budget", "monthly_budget"), "currency")}),
        ("Time", {"fields": ("timezone",)}),
        ("When no spend is reported", {"fields": (("stale_after_hours", "stale_policy"),)}),
        ("Alerts", {"fields": (("alert_thresholds", "alert_silence_hours"),)}),
    )
    list_display = ("name", "state", "today", "month", "zone", "campaigns")
    list_filter = (("is_active", BooleanRadioFilter), TroubledFilter)
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("name",)
    sortable_by = ("name",)
    remedy = (
        "it has campaigns, and their spend and log are kept for good. Switch the brand off instead."
    )

    def dress(self, rows: list[Any], now: datetime) -> None:
        """Work out the figures of the page's brands, and count their campaigns."""
        moments = rollover.preview(rows, now)
        counts = dashboard.campaign_counts([brand.pk for brand in rows])
        for brand in rows:
            brand.figures = BrandFigures.of(brand, moments.get(brand.pk), now)
            brand.count = counts.get(brand.pk, CampaignCount())

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let nobody make a brand who would not see it then."""
        return not person_of(request).is_restricted and bool(super().has_add_permission(request))

    def kept(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Keep every brand that has campaigns."""
        return rows.filter(Exists(Campaign.objects.filter(brand=OuterRef("pk"))))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete one as several."""
        self.delete_queryset(request, Brand.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete them, locked first: meanwhile nobody chooses one for a key or a webhook."""
        rows = Brand.objects.filter(pk__in=list(queryset.values_list("pk", flat=True)))
        with transaction.atomic():
            list(rows.locked().values_list("pk"))
            rows.delete()

    @column("State", label={"active": "success", "off": "primary", "trouble": "danger"})
    def state(self, brand: Any) -> tuple[str, str]:
        """Show the switch, or that the brand cannot be processed."""
        if brand.figures.trouble:
            return "trouble", "cannot be processed"
        return ("active", "active") if brand.is_active else ("off", "not active")

    @column("Today")
    def today(self, brand: Any) -> SafeString | None:
        """Show the day's spend against the daily budget."""
        return html(brand.figures.today)

    @column("This month")
    def month(self, brand: Any) -> SafeString | None:
        """Show the month's spend against the monthly budget."""
        return html(brand.figures.month)

    @column("Time zone")
    def zone(self, brand: Any) -> str:
        """Show the zone in force, and the one that follows."""
        pending = f" → {brand.timezone} at midnight" if brand.figures.pending else ""
        return f"{brand.figures.zone}{pending}"

    @column("Campaigns")
    def campaigns(self, brand: Any) -> str:
        """Show how many run and how many are held."""
        return f"{brand.count.running} active, {brand.count.held} held"

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Brand | None = None,
    ) -> HttpResponse:
        """Show above the form where the brand stands, as stored: not as typed."""
        if obj is not None and (stored := Brand.objects.filter(pk=obj.pk).first()):
            now = timezone.now()
            moment = rollover.preview([stored], now).get(stored.pk)
            context["figures"] = BrandFigures.of(stored, moment, now)
        response: HttpResponse = super().render_change_form(
            request, context, add, change, form_url, obj
        )
        return response
