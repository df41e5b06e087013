"""An edit before it is saved: what was typed, and what it would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.text import capfirst

from budgets.dashboard.forms import EditForm
from budgets.dashboard.pages.brand import Meter, Tally, meter
from budgets.dashboard.reader import Reader
from budgets.models import Brand, Campaign
from budgets.queries import brand as queries
from budgets.services import editing, rollover
from budgets.services.enforcement import Outcome

SHOWN_NAMES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A field, and what it is before and after."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Campaigns that start or stop: how many in words, and some by name."""

    words: str
    names: list[str]
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an edit would do, as of this moment."""

    changes: list[Change]
    pauses: Moves | None
    resumes: Moves | None
    others: str
    meters: list[Meter]
    is_troubled: bool

    @property
    def is_quiet(self) -> bool:
        """Whether no campaign would start or stop."""
        return not (self.pauses or self.resumes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A form, and once it was previewed its `effect`. `meanwhile`: what somebody else changed."""

    title: str
    brand: str
    currency: str
    form: EditForm
    effect: Effect | None
    meanwhile: list[Change]
    url: str
    back_url: str


def effect(reader: Reader, form: EditForm) -> Effect:
    """Return what saving the form would do: it is saved, and taken back."""
    row, person = form.instance, reader.person
    outcome = editing.preview(row, by=person.name, now=reader.now, changed=form.changed_data)
    others = outcome.changes - len(outcome.paused) - len(outcome.resumed)
    return Effect(
        changes=changes(form),
        pauses=_moves(reader, outcome.paused, "pauses"),
        resumes=_moves(reader, outcome.resumed, "starts"),
        others=f"{reader.counted(others, 'campaign')} held for another reason than before."
        if others > 0
        else "",
        meters=_meters(reader, row),
        is_troubled=bool(outcome.troubled),
    )


def changes(form: EditForm) -> list[Change]:
    """Return what the form changes."""
    return [
        Change(
            name=_label(form, name),
            before=_words(form, name, form.stored[name]),
            after=_words(form, name, form.cleaned_data[name]),
        )
        for name in form.changed_data
    ]


def meanwhile(form: EditForm) -> list[Change]:
    """Return what somebody else changed since the form was opened."""
    return [
        Change(
            name=_label(form, name),
            before=_words(form, name, seen),
            after=_words(form, name, form.stored[name]),
        )
        for name, seen in form.seen.items()
        if seen != form.stored[name]
    ]


def done(reader: Reader, name: str, saved: Sequence[Change], outcome: Outcome) -> str:
    """Say what saving did."""
    fields = ", ".join(f"{one.name.lower()} {one.before} → {one.after}" for one in saved)
    words = f"Saved {name}: {fields}." if fields else f"Nothing was to be changed of {name}."
    if outcome.troubled:
        return f"{words} The brand cannot be processed; its campaigns stay as they are."
    moved = [
        f"{reader.counted(len(ids), 'campaign')} {what}"
        for ids, what in ((outcome.paused, "paused"), (outcome.resumed, "started"))
        if ids
    ]
    return f"{words} {', '.join(moved)}." if moved else words


def _moves(reader: Reader, ids: Sequence[int], verb: str) -> Moves | None:
    if not ids:
        return None
    names = queries.names(ids, SHOWN_NAMES)
    more = len(ids) - len(names)
    return Moves(
        words=f"This {verb} {reader.counted(len(ids), 'campaign')}",
        names=names,
        more=f"and {reader.number(more)} more" if more > 0 else "",
    )


def _meters(reader: Reader, row: Brand | Campaign) -> list[Meter]:
    """Return how far the budgets, as typed, are spent."""
    brand = row.brand if isinstance(row, Campaign) else row
    moment = rollover.preview([brand], reader.now).get(brand.pk)
    if moment is None:
        return []
    purse = rollover.purse(row, moment.day.date)
    return [
        meter(reader, "Today", Tally.of_day(purse), brand.currency),
        meter(reader, "This month", Tally.of_month(purse), brand.currency),
    ]


def _label(form: EditForm, name: str) -> str:
    field = form.fields[name]
    return str(capfirst(field.label or name))


def _words(form: EditForm, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "the same every day" if name == "weekly_hours" else "no limit"
    return form.as_typed(name, value) if isinstance(value, Decimal) else str(value)
