"""Of a report's rows, what can be recorded: which campaigns they mean, summed by campaign and day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Q

from budgets.core import money
from budgets.services import imports, ingestion
from budgets.services.access import EVERYTHING, Sight
from budgets.services.files import Complaints
from budgets.services.imports import Directory, Named
from budgets.services.ingestion import Result, SpendEvent, rejected
from budgets.services.reports.reading import ReportRow
from budgets.services.rollover import Moment
from budgets.services.transactions import chunks


class Reported(NamedTuple):
    """A campaign as a report names it; empty: not said."""

    account: str
    campaign_id: str
    campaign: str

    @property
    def told(self) -> str:
        """Return the words by which it is called in a complaint."""
        return self.campaign[:60] or self.campaign_id[:60]


class Unknown(NamedTuple):
    """A campaign that does not exist; `brand` where it was looked for, empty: in all of them."""

    brand: str
    reported: Reported
    line: int
    """The first that names it."""
    rows: int
    sums: dict[str, str]
    """What these say together, in plain decimals, by currency; that is empty where none is said."""

    @property
    def amounts(self) -> str:
        """Return the sums in words."""
        return together([self])


def together(unknown: Iterable[Unknown]) -> str:
    """Say what reports tell of campaigns that do not exist: "12.50 USD and 3.00 EUR"."""
    total: dict[str, Decimal] = defaultdict(Decimal)
    for one in unknown:
        for currency, amount in one.sums.items():
            total[currency] += Decimal(amount)
    return " and ".join(
        f"{amount:,f} {currency}".rstrip() for currency, amount in sorted(total.items())
    )


@dataclass(slots=True)
class ToDate:
    """What a campaign has spent on a day so far, in micro-units, and the lines that say so."""

    line: int
    """The first of them."""
    campaign_id: int
    brand: str
    campaign: str
    date: date
    currency: str
    """The brand's."""
    micros: int = 0
    lines: int = 0


class Candidate(NamedTuple):
    """A campaign that may be meant."""

    pk: int
    brand: str
    name: str
    external_id: str


class Finder:
    """Finds the campaigns that reports name, as they stood at `now`, among those in `sight`.

    By the platform's id, else by the name; within `brand`, else within the brand that is called as
    the row's account, else where the id or the name is the only one of all brands.
    """

    def __init__(
        self, now: datetime, *, brand: str | None = None, sight: Sight = EVERYTHING
    ) -> None:
        self._now = now
        self._sight = sight
        self._brand = brand
        self._brands: set[str] = set()
        self._by_id: dict[str, list[Candidate]] = defaultdict(list)
        self._by_name: dict[str, list[Candidate]] = defaultdict(list)
        self._moments: dict[int, Moment] = {}

    def look_up(self, names: Collection[Reported]) -> None:
        """Ask for `names` together, so that `find` answers from memory."""
        accounts = sorted({name.account for name in names} | {self._brand or ""})
        for chunk in chunks(accounts):
            named = self._sight.brands().filter(name__in=chunk)
            self._brands.update(named.values_list("name", flat=True))
        ids = {name.campaign_id for name in names} - {""}
        titles = {name.campaign for name in names} - {""}
        candidates = self._asked(ids, titles)
        for candidate in candidates:
            if candidate.external_id in ids:
                self._by_id[candidate.external_id].append(candidate)
            if candidate.name in titles:
                self._by_name[candidate.name].append(candidate)
        pks = [candidate.pk for candidate in candidates]
        for chunk_of_pks in chunks(pks):
            self._moments |= ingestion.moments_of(chunk_of_pks, self._now)

    def missing_brand(self) -> Result | None:
        """Say that the brand in which everything should be found is none; after `look_up`."""
        if self._brand is None or self._brand in self._brands:
            return None
        return Directory(self._now, self._sight).why_not(Named(self._brand, "any"))

    def _asked(self, ids: Iterable[str], titles: Iterable[str]) -> list[Candidate]:
        conditions = [Q(external_id__in=chunk) for chunk in chunks(sorted(ids))]
        conditions += [Q(name__in=chunk) for chunk in chunks(sorted(titles))]
        found: set[Candidate] = set()
        for condition in conditions:
            rows = self._sight.campaigns().filter(condition)
            found.update(
                Candidate(pk, brand, name, external_id or "")
                for pk, brand, name, external_id in rows.values_list(
                    "pk", "brand__name", "name", "external_id"
                )
            )
        return sorted(found)

    def find(self, reported: Reported) -> tuple[Candidate, Moment] | None:
        """Return the one campaign that was looked up, and its brand's moment; ``None``: `why_not`."""
        if self._is_of_another_brand(reported):
            return None
        fitting = self._fitting(reported)
        moment = self._moments.get(fitting[0].pk) if len(fitting) == 1 else None
        return (fitting[0], moment) if moment else None

    def why_not(self, reported: Reported) -> Result:
        """Say in words why there is no such campaign."""
        if self._brand is not None and self._is_of_another_brand(reported):
            words = f"{reported.account[:60]!r} is another brand than {self._brand[:60]!r}; "
            return rejected("other_brand", "account", f"{words}leave --brand out")
        match self._fitting(reported):
            case []:
                return self._unknown(reported)
            case [one]:
                return Directory(self._now, self._sight).why_not(Named(one.brand, one.name))
            case several:
                brands = ", ".join(repr(candidate.brand[:60]) for candidate in several[:5])
                return rejected(
                    "ambiguous_campaign",
                    "campaign",
                    f"{reported.told!r} is a campaign of several brands ({brands}); say --brand, or "
                    "add the account's column, where brands are called as accounts",
                )

    def unknown(self, rows: Iterable[ReportRow]) -> list[Unknown]:
        """Return the campaigns of these rows that do not exist, each once; after `look_up`."""
        if self.missing_brand():
            return []
        theirs: dict[Reported, list[ReportRow]] = defaultdict(list)
        for row in rows:
            theirs[Reported(row.account, row.campaign_id, row.campaign)].append(row)
        return [
            Unknown(self._scope(name) or "", name, said[0].line, len(said), _added_up(said))
            for name, said in theirs.items()
            if self.is_unknown(name)
        ]

    def is_unknown(self, reported: Reported) -> bool:
        """Tell whether no campaign can be meant; one of several, or of another brand, could be."""
        return not self._is_of_another_brand(reported) and not self._fitting(reported)

    def _is_of_another_brand(self, reported: Reported) -> bool:
        others = self._brands - {self._brand}
        return self._brand is not None and reported.account in others

    def _scope(self, reported: Reported) -> str | None:
        if self._brand is not None:
            return self._brand
        return reported.account if reported.account in self._brands else None

    def _fitting(self, reported: Reported) -> list[Candidate]:
        scope = self._scope(reported)

        def within(candidates: Iterable[Candidate]) -> list[Candidate]:
            return [found for found in candidates if scope in (None, found.brand)]

        by_id = within(self._by_id.get(reported.campaign_id, ()))
        if by_id:
            return by_id
        by_name = within(self._by_name.get(reported.campaign, ()))
        if scope is None and reported.campaign_id:
            # Nobody said whose report it is, and "Search" is a common name: one that has another
            # id is another campaign, maybe of an advertiser who is no brand of ours.
            by_name = [found for found in by_name if not found.external_id]
        return by_name

    def _unknown(self, reported: Reported) -> Result:
        scope = self._scope(reported)
        if scope is not None:
            # There it has an id of a platform or a name: the closest one is looked for.
            name = reported.campaign or reported.campaign_id
            return Directory(self._now, self._sight).why_not(Named(scope, name))
        known = self._by_name.get(reported.campaign, ())
        hint = imports.nearest_campaign(reported.campaign or reported.campaign_id, self._sight)
        if known:
            hint = f"that of {known[0].brand[:60]!r} has the id {known[0].external_id[:60]!r}; if it is "
            hint += f"meant, say --brand {known[0].brand[:60]!r}"
        words = f"no brand has a campaign {reported.told!r}"
        if reported.campaign_id:
            words += f" with the id {reported.campaign_id[:60]!r}"
        return rejected("unknown_campaign", "campaign", f"{words}; {hint or 'create it first'}")


def sums_to_date(
    rows: Sequence[ReportRow],
    finder: Finder,
    complaints: Complaints,
    now: datetime,
    *,
    skip_unknown: bool = False,
) -> list[ToDate]:
    """Return what the rows say together, brand by brand; what cannot be recorded is complained of.

    `skip_unknown`: but not of campaigns that do not exist; `Finder.unknown` tells what was skipped.
    """
    named = [Reported(row.account, row.campaign_id, row.campaign) for row in rows]
    known = set(named)
    finder.look_up(known)
    if missing := finder.missing_brand():
        complaints.add(0, f"--brand: {missing.words}")
        return []
    found = {name: finder.find(name) for name in known}
    skipped = {name for name in known if skip_unknown and finder.is_unknown(name)}
    sums: dict[tuple[int, date], ToDate] = {}
    for row, name in zip(rows, named, strict=True):
        target = found[name]
        if name in skipped:
            continue
        if target is None:
            # The closest name costs a few questions: not for complaints that nobody reads.
            why = finder.why_not(name) if complaints.shows(row.line) else None
            complaints.add(row.line, f"{why.field}: {why.words}" if why else "")
            continue
        candidate, moment = target
        event = SpendEvent(
            campaign_id=candidate.pk,
            amount=row.amount,
            date=row.date,
            currency=row.currency or None,
        )
        line = ingestion.examine(event, moment, now)
        if isinstance(line, Result):
            complaints.add(row.line, f"{line.field}: {line.words}")
            continue
        # A report by ad group or device has several rows for a campaign and day. "To date" is their
        # sum: reported one by one, each would replace what the one before it said.
        key = (candidate.pk, row.date)
        if key not in sums:
            sums[key] = ToDate(
                row.line,
                candidate.pk,
                candidate.brand,
                candidate.name,
                row.date,
                moment.brand.currency,
            )
        sums[key].micros += line.micros
        sums[key].lines += 1
    _refuse_too_large(sums.values(), complaints)
    return sorted(sums.values(), key=lambda one: (one.brand, one.campaign_id, one.date))


def _added_up(rows: Iterable[ReportRow]) -> dict[str, str]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row.currency] += Decimal(row.amount)
    return {currency: f"{amount:f}" for currency, amount in sums.items()}


def _refuse_too_large(sums: Iterable[ToDate], complaints: Complaints) -> None:
    for one in sums:
        if abs(one.micros) >= money.to_micros(money.LIMIT):
            complaints.add(
                one.line,
                f"amount: the rows of {one.campaign[:60]!r} on {one.date} add up to "
                f"{money.from_micros(one.micros):f}; that cannot be meant",
            )
