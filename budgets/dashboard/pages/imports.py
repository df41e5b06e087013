"""The page of one import: whose file it was, and the rows that it brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.urls import reverse

from budgets.core.periods import UTC_ZONE
from budgets.core.primary_keys import is_key
from budgets.dashboard.pages.campaign import Row, imported, row
from budgets.dashboard.reader import Reader, Stamp
from budgets.models import Import, Spend
from budgets.queries import ledger
from budgets.queries.told import zone_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the ledger, and whose it is."""

    row: Row
    campaign: str
    campaign_url: str
    brand: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An import. `sums` and `count` are of the whole file, for who sees all brands; else empty."""

    pk: int
    title: str
    kind: str
    source: str
    actor: str
    started: Stamp
    finished: Stamp | None
    count: str
    sums: list[str]
    lines: list[Line]
    problem: str
    older_url: str
    newest_url: str


def build(found: Import, reader: Reader, asked: Mapping[str, str]) -> Page | None:
    """Return the page; ``None``: of its rows none exists for who reads, and so neither does it."""
    text = asked.get("before", "")
    before = int(text) if is_key(text) else None
    page = ledger.of_import(found, reader.person, before)
    sees_all = reader.person.brand_ids is None
    if not (sees_all or page.rows or ledger.visible(found, reader.person).exists()):
        return None
    address = reverse("import", args=[found.pk])
    return Page(
        pk=found.pk,
        title=imported(found),
        kind=found.kind,
        source=found.source,
        actor=found.actor,
        started=reader.time(found.started_at, UTC_ZONE),
        finished=reader.time(found.finished_at, UTC_ZONE) if found.finished_at else None,
        count=reader.number(found.rows) if sees_all else "",
        sums=[reader.money(Decimal(sum_), currency) for currency, sum_ in found.sums.items()]
        if sees_all
        else [],
        lines=[_line(each, reader) for each in page.rows],
        problem=""
        if before is not None or not text
        else "before: this is no place in the import; follow the page's own links. "
        "These are the last rows.",
        older_url=f"{address}?before={page.next}" if page.next else "",
        newest_url=address if before is not None else "",
    )


def _line(each: Spend, reader: Reader) -> Line:
    campaign = each.campaign
    # The import is this page: no link to itself, and no question for it.
    each.brought_by = None
    return Line(
        row=row(each, reader, zone_of(campaign.brand), campaign.brand.currency),
        campaign=campaign.name,
        campaign_url=reverse("campaign", args=[campaign.pk]),
        brand=campaign.brand.name,
        currency=campaign.brand.currency,
    )
