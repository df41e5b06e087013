"""Who sees which brands, and what a person may do. What somebody may not see does not exist for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.db.models import QuerySet

from budgets.models import Brand, BrandAccess, Campaign
from budgets.models.brand import BrandQuerySet
from budgets.models.campaign import CampaignQuerySet

RowsT = TypeVar("RowsT", bound=QuerySet[Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The brands that exist for somebody; `brand_ids` is ``None`` for who sees all of them.

    Ask `brands` and `campaigns`, never the models.
    """

    brand_ids: frozenset[int] | None

    def sees_brand(self, brand_id: int) -> bool:
        """Tell whether the brand, and with it its campaigns, exists here."""
        return self.brand_ids is None or brand_id in self.brand_ids

    def brands(self) -> BrandQuerySet:
        """Return the brands that exist here."""
        return self.of(Brand.objects.all(), "pk")

    def campaigns(self) -> CampaignQuerySet:
        """Return their campaigns."""
        return self.of(Campaign.objects.all(), "brand_id")

    def of(self, rows: RowsT, brand: str) -> RowsT:
        """Return those of `rows` whose brand exists here; `brand` is the way to its key."""
        if self.brand_ids is None:
            return rows
        if not self.brand_ids:
            return rows.none()  # the database need not be asked
        return rows.filter(**{f"{brand}__among": self.brand_ids})


EVERYTHING = Sight(brand_ids=None)
"""What the commands see, which whoever runs the house types."""

NOTHING = Sight(brand_ids=frozenset())

NOBODY = 0
"""The key of no user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Sight):
    """Who is signed in: `name` is the actor of what they change.

    `may_pause`: pause and resume campaigns; `may_edit`: budgets and hours as well. `is_restricted`:
    somebody chose the brands they see; who has no role sees none without that.
    """

    name: str
    may_pause: bool
    may_edit: bool
    is_restricted: bool


def person(user: User | AnonymousUser) -> Person:
    """Return who `user` is here; one question, besides those for the permissions.

    Who has no permission of this application has no role, and sees nothing.
    """
    chosen: frozenset[int] | None = None
    # One row for each brand, one without a brand where none is left, and none for who sees all.
    access = BrandAccess.objects.filter(user_id=user.pk or NOBODY)
    if rows := list(access.values_list("pk", "brands")):
        chosen = frozenset(brand for _, brand in rows if brand)
    return Person(
        brand_ids=chosen if user.has_module_perms("budgets") else frozenset(),
        name=user.get_username(),
        may_pause=user.has_perm("budgets.pause_campaign"),
        may_edit=user.has_perms(("budgets.change_brand", "budgets.change_campaign")),
        is_restricted=chosen is not None,
    )


def restrict(user: User, brands: Iterable[Brand] | None) -> None:
    """Show a user `brands` and no other, from the next request on; ``None``: all of them."""
    with transaction.atomic():
        if brands is None:
            BrandAccess.objects.filter(user=user).delete()
            return
        access, _ = BrandAccess.objects.get_or_create(user=user)
        access.brands.set(brands)
