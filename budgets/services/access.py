"""Who sees which brands, and what a person may do. What somebody may not see does not exist for them."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User

from budgets.models import Brand, Campaign
from budgets.models.brand import BrandQuerySet
from budgets.models.campaign import CampaignQuerySet


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
        rows = Brand.objects.all()
        return rows if self.brand_ids is None else rows.filter(pk__among=self.brand_ids)

    def campaigns(self) -> CampaignQuerySet:
        """Return their campaigns."""
        rows = Campaign.objects.all()
        return rows if self.brand_ids is None else rows.filter(brand_id__among=self.brand_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Sight):
    """Who is signed in: `name` is the actor of what they change.

    `may_pause`: pause and resume campaigns; `may_edit`: budgets and hours as well.
    """

    name: str
    may_pause: bool
    may_edit: bool


def person(user: User | AnonymousUser) -> Person:
    """Return who `user` is here."""
    may_edit = user.has_perm("budgets.change_brand") and user.has_perm("budgets.change_campaign")
    return Person(
        brand_ids=None,
        name=user.get_username(),
        may_pause=may_edit or user.has_perm("budgets.pause_campaign"),
        may_edit=may_edit,
    )
