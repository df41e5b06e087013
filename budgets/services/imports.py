"""Check rows of a file before any is recorded: whom they name, and what is known of them."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import Max, Min, Q, QuerySet

from budgets.core import money
from budgets.models import ApiKey, Brand, Campaign, Spend
from budgets.services import ingestion
from budgets.services.access import EVERYTHING, Sight
from budgets.services.ingestion import DUPLICATE, Line, Result, rejected
from budgets.services.rollover import Moment

REMEMBERED = 20_000
"""Campaigns kept at hand: memory stays bounded however many a file names."""
CANDIDATES = 1000
"""Names that a misspelt one is compared with."""


class Named(NamedTuple):
    """A campaign as a file names it: by the brand's name, and its own name or external id."""

    brand: str
    campaign: str


@dataclass(frozen=True, slots=True)
class Target:
    """A campaign that a file names, and the moment of its brand."""

    campaign_id: int
    moment: Moment


class Directory:
    """Finds campaigns by name, many with one question, as they stood at `now`, among those in `sight`."""

    def __init__(self, now: datetime, sight: Sight = EVERYTHING) -> None:
        self._now = now
        self._sight = sight
        self._targets: dict[Named, Target | None] = {}
        self._moments: dict[int, Moment] = {}

    def look_up(self, names: Iterable[Named]) -> None:
        """Ask for `names` together, so that `find` answers from memory."""
        asked = set(names)
        new = asked - self._targets.keys()
        if len(self._targets) + len(new) > REMEMBERED:
            self._targets.clear()
            self._moments.clear()
            new = asked
        if not new:
            return
        ids = _campaign_ids(new, self._sight)
        found = {name: next(iter(ids[name])) for name in new if len(ids[name]) == 1}
        moments = ingestion.moments_of(found.values(), self._now)
        for name in new:
            moment = moments.get(found.get(name, 0))
            self._targets[name] = (
                Target(found[name], self._moments.setdefault(moment.brand.pk, moment))
                if moment
                else None
            )

    def find(self, name: Named) -> Target | None:
        """Return the one campaign of this name that was looked up; ``None``: ask `why_not`."""
        return self._targets[name]

    def why_not(self, name: Named) -> Result:
        """Say in words why there is no such campaign, with the closest name that there is."""
        for column, text in zip(name._fields, name, strict=True):
            if not text:
                return rejected(f"{column}_missing", column, f"is empty; name the {column}")
        brands = self._sight.brands()
        brand = brands.filter(name=name.brand).first()
        if brand is None:
            hint = closest(name.brand, brands.order_by("pk"), ("name",))
            words = f"there is no brand {name.brand[:60]!r}; {hint or 'create it first'}"
            return rejected("unknown_brand", "brand", words)
        match sorted(_campaign_ids([name], self._sight)[name]):
            case []:
                campaigns = brand.campaigns.order_by("pk")
                hint = closest(name.campaign, campaigns, ("name", "external_id"))
                words = (
                    f"{brand.name[:60]!r} has no campaign {name.campaign[:60]!r}; "
                    f"{hint or 'create it first'}"
                )
                return rejected("unknown_campaign", "campaign", words)
            case [one]:
                words = f"campaign {one}: its brand's time zone {brand.current_timezone!r} is not "
                return rejected("brand_in_trouble", "brand", f"{words}one; correct it first")
            case several:
                words = f"{name.campaign[:60]!r} means several campaigns (ids {several}): the name"
                words += " of one is the external ID of another; rename one of them"
                return rejected("ambiguous_campaign", "campaign", words)


def nearest_campaign(text: str, sight: Sight) -> str:
    """Return "did you mean …?" for the campaign in `sight` whose name or id is nearest to `text`."""
    return closest(text, sight.campaigns().order_by("pk"), ("name", "external_id"))


def fullest_total(sight: Sight) -> int:
    """Return the largest total in `sight`, in micro-units and whatever its sign."""
    totals = [
        rows.aggregate(most=Max(total), least=Min(total))
        for rows in (sight.brands(), sight.campaigns())
        for total in ("total_daily_spend", "total_monthly_spend")
    ]
    amounts = [amount for found in totals for amount in found.values() if amount is not None]
    return max((abs(money.to_micros(amount)) for amount in amounts), default=0)


def too_much(weight: int, sight: Sight = EVERYTHING) -> str:
    """Say that no total can hold `weight` micro-units with what is recorded; empty when it can."""
    if (sum_ := fullest_total(sight) + weight) <= money.MAX_TOTAL:
        return ""
    return (
        f"the amounts and what is recorded add up to {money.from_micros(sum_):f}, and no "
        f"total holds more than {money.from_micros(money.MAX_TOTAL):f}: look for amounts "
        "that cannot be meant"
    )


def is_known(source: str) -> bool:
    """Tell whether anything of `source` is recorded, and so worth comparing with."""
    return Spend.objects.filter(source=source).exists()


def compare(lines: Sequence[Line], *, source: str) -> list[Result | None]:
    """Return how each line compares with what `source` recorded under its id; ``None``: new."""
    keys = [line.external_id for line in lines if line.external_id is not None]
    known = ingestion.recorded_under(source, keys)
    return [
        ingestion.compared(line, known[line.external_id]) if line.external_id in known else None
        for line in lines
    ]


def is_same(line: Line, other: Line) -> bool:
    """Tell whether a line only repeats another one of the same id."""
    return ingestion.compared(line, other) is DUPLICATE


def _campaign_ids(names: Iterable[Named], sight: Sight) -> dict[Named, set[int]]:
    wanted = list(names)
    keys = {name.campaign for name in wanted}
    rows = sight.campaigns().filter(
        Q(name__in=keys) | Q(external_id__in=keys), brand__name__in={name.brand for name in wanted}
    )
    ids: dict[Named, set[int]] = defaultdict(set)
    for pk, brand, name, external_id in rows.values_list(
        "pk", "brand__name", "name", "external_id"
    ):
        ids[Named(brand, name)].add(pk)
        if external_id is not None:
            ids[Named(brand, external_id)].add(pk)
    return ids


def closest(
    text: str,
    rows: QuerySet[Brand] | QuerySet[Campaign] | QuerySet[ApiKey],
    columns: tuple[str, ...],
) -> str:
    """Return "did you mean …?" for the name nearest to `text`, letters' case aside."""
    known: dict[str, str] = {}
    for column in columns:
        # Those that begin alike first: of a hundred thousand names only some are compared.
        for near in (rows.filter(**{f"{column}__istartswith": text[:3]}), rows):
            names = near.values_list(column, flat=True)[:CANDIDATES]
            known.update({name.casefold(): name for name in names if name})
    matches = difflib.get_close_matches(text.casefold(), known, n=1)
    return f"did you mean {known[matches[0]]!r}?" if matches else ""
