"""The agency whose reports and files the tests of imports read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from budgets.models import Brand, Campaign
from budgets.services import passes
from budgets.tests.builders import NOW, make_brand, make_campaign


@dataclass(frozen=True)
class Agency:
    """Two brands with a campaign Search each; only Acme, with 100 a day, has Shopping."""

    acme: Brand
    search: Campaign
    shopping: Campaign
    bolt_search: Campaign


def make_agency(**bolt: Any) -> Agency:
    """Create it, all campaigns running; `bolt`: what is special about that brand."""
    acme, other = make_brand(name="Acme", daily_budget=100), make_brand(name="Bolt", **bolt)
    agency = Agency(
        acme=acme,
        search=make_campaign(acme, name="Search", external_id="111"),
        shopping=make_campaign(acme, name="Shopping, winter"),
        bolt_search=make_campaign(other, name="Search", external_id="222"),
    )
    passes.check_and_pause(NOW)
    return agency
