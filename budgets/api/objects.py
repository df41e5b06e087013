"""Brands and campaigns: lists, single ones, edits that decide at once, the operator's switch."""

# No `from __future__ import annotations`: django-ninja reads the types of decorated functions.
from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router
from pydantic import BaseModel, Field

from budgets.api import pages, rows
from budgets.api.auth import principal_of, requires
from budgets.api.idempotency import idempotent
from budgets.api.pages import Filters
from budgets.api.problems import FieldError, Problem, from_model, invalid, refuse_null
from budgets.api.schemas import (
    BrandEdit,
    BrandOut,
    BrandPage,
    CampaignEdit,
    CampaignOut,
    CampaignPage,
    Whole,
)
from budgets.core.primary_keys import LARGEST_KEY
from budgets.models import Brand, Campaign
from budgets.models.brand import LONGEST_NAME
from budgets.models.campaign import HOLD_LABELS, CampaignQuerySet
from budgets.services import editing
from budgets.services.ingestion import unfit_text
from budgets.services.keys import Principal

router = Router()


class BrandFilters(Filters):
    """What a list of brands may be narrowed to."""

    name: str | None = None
    is_active: bool | None = None
    timezone: str | None = None
    currency: str | None = None


class CampaignFilters(Filters):
    """What a list of campaigns may be narrowed to."""

    brand: Whole | None = Field(default=None, ge=1, le=LARGEST_KEY)
    name: str | None = None
    external_id: str | None = None
    is_active: bool | None = None
    is_enabled: bool | None = None
    hold: str | None = None


@router.get("/brands", response=BrandPage, tags=["brands"], summary="List brands")
@requires("read")
def list_brands(request: HttpRequest, filters: Query[BrandFilters]) -> BrandPage:
    """Return the brands this key sees, in the order of their ids."""
    pages.only_known(request, BrandFilters)
    narrowed = _narrowed(filters, ("name", "is_active", "timezone", "currency"))
    found = principal_of(request).brands().filter(**narrowed)
    shown, cursor = pages.page(found, filters.cursor, filters.limit)
    return BrandPage(data=rows.brands_out(shown, timezone.now()), next_cursor=cursor)


@router.get("/brands/{brand_id}", response=BrandOut, tags=["brands"], summary="One brand")
@requires("read")
def get_brand(request: HttpRequest, brand_id: Whole) -> BrandOut:
    """Return a brand with its budgets and what it spent."""
    return _brand_out(_brand(principal_of(request), brand_id))


@router.patch("/brands/{brand_id}", response=BrandOut, tags=["brands"], summary="Edit a brand")
@requires("manage")
def patch_brand(request: HttpRequest, brand_id: Whole, edit: BrandEdit) -> BrandOut:
    """Change what is sent, decide all its campaigns at once, and return the brand."""
    principal = principal_of(request)
    _save(_brand(principal, brand_id), edit, principal)
    return _brand_out(_brand(principal, brand_id))


@router.get("/campaigns", response=CampaignPage, tags=["campaigns"], summary="List campaigns")
@requires("read")
def list_campaigns(request: HttpRequest, filters: Query[CampaignFilters]) -> CampaignPage:
    """Return the campaigns this key sees, in the order of their ids."""
    pages.only_known(request, CampaignFilters)
    if filters.hold is not None and filters.hold not in ("", *HOLD_LABELS):
        known = ", ".join(HOLD_LABELS)
        raise invalid([FieldError("hold", "unknown_hold", f"is none of: {known}")])
    names = ("brand", "name", "external_id", "is_active", "is_enabled", "hold")
    found = _campaigns(principal_of(request)).filter(**_narrowed(filters, names))
    shown, cursor = pages.page(found, filters.cursor, filters.limit)
    return CampaignPage(data=rows.campaigns_out(shown, timezone.now()), next_cursor=cursor)


@router.get(
    "/campaigns/{campaign_id}", response=CampaignOut, tags=["campaigns"], summary="One campaign"
)
@requires("read")
def get_campaign(request: HttpRequest, campaign_id: Whole) -> CampaignOut:
    """Return a campaign with its state in force and what it spent."""
    return _campaign_out(campaign_of(principal_of(request), campaign_id))


@router.patch(
    "/campaigns/{campaign_id}", response=CampaignOut, tags=["campaigns"], summary="Edit a campaign"
)
@requires("manage")
def patch_campaign(request: HttpRequest, campaign_id: Whole, edit: CampaignEdit) -> CampaignOut:
    """Change what is sent, decide at once, and return the campaign in its new state."""
    principal = principal_of(request)
    _save(campaign_of(principal, campaign_id), edit, principal)
    return _campaign_out(campaign_of(principal, campaign_id))


@router.post(
    "/campaigns/{campaign_id}/pause",
    response=CampaignOut,
    tags=["campaigns"],
    summary="Pause a campaign",
)
@requires("manage")
@idempotent
def pause(request: HttpRequest, campaign_id: Whole) -> HttpResponse:
    """Switch it off until somebody switches it on; nothing automatic does."""
    return _switched(request, campaign_id, is_enabled=False)


@router.post(
    "/campaigns/{campaign_id}/resume",
    response=CampaignOut,
    tags=["campaigns"],
    summary="Resume a campaign",
)
@requires("manage")
@idempotent
def resume(request: HttpRequest, campaign_id: Whole) -> HttpResponse:
    """Switch it on. It runs unless something else holds it: look at `hold`."""
    return _switched(request, campaign_id, is_enabled=True)


def campaign_of(principal: Principal, campaign_id: int) -> Campaign:
    """Return a campaign with its brand; 404 for one that the key may not see, as for none."""
    return pages.one(_campaigns(principal), campaign_id, "campaign")


def _campaigns(principal: Principal) -> CampaignQuerySet:
    return principal.campaigns().select_related("brand")


def _brand(principal: Principal, brand_id: int) -> Brand:
    return pages.one(principal.brands(), brand_id, "brand")


def _brand_out(brand: Brand) -> BrandOut:
    [shown] = rows.brands_out([brand], timezone.now())
    return shown


def _campaign_out(campaign: Campaign) -> CampaignOut:
    [shown] = rows.campaigns_out([campaign], timezone.now())
    return shown


def _switched(request: HttpRequest, campaign_id: int, *, is_enabled: bool) -> HttpResponse:
    principal = principal_of(request)
    campaign = campaign_of(principal, campaign_id)
    editing.set_enabled([campaign.pk], is_enabled, by=principal.name, now=timezone.now())
    shown = _campaign_out(campaign_of(principal, campaign_id))
    return HttpResponse(shown.model_dump_json(), content_type="application/json")


def _narrowed(filters: BaseModel, names: tuple[str, ...]) -> dict[str, object]:
    """Return the filters that were given; raise a problem for a text no row can have."""
    given = {name: value for name in names if (value := getattr(filters, name)) is not None}
    _check_texts(given)
    return given


def _check_texts(values: Mapping[str, object]) -> None:
    wrong = [
        FieldError(name, "invalid", problem)
        for name, value in values.items()
        if isinstance(value, str) and value and (problem := unfit_text(value, LONGEST_NAME))
    ]
    if wrong:
        raise invalid(wrong)


def _save(row: Brand | Campaign, edit: BaseModel, principal: Principal) -> None:
    values = edit.model_dump(exclude_unset=True)
    refuse_null(values, nullable=[field.name for field in row._meta.fields if field.null])
    # A calendar was read already, and may be longer than a name.
    _check_texts({name: value for name, value in values.items() if name != "weekly_hours"})
    for name, value in values.items():
        setattr(row, name, value)
    try:
        row.full_clean(
            exclude={field.name for field in row._meta.fields} - values.keys() - {"brand"}
        )
        editing.save(row, by=principal.name, now=timezone.now(), changed=values)
    except ValidationError as error:
        raise from_model(error) from None
    except IntegrityError:
        # Somebody was faster with the name, or with the other end of a flight.
        raise Problem(
            409, "conflict", "somebody else changed it at this moment; read it and try again"
        ) from None
