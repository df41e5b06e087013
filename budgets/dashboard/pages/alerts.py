"""The finished values of the page of alerts: what was raised, and what was sent to whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import QueryDict
from django.urls import reverse

from budgets.core.periods import UTC_ZONE
from budgets.core.primary_keys import is_key
from budgets.dashboard.filters import with_query
from budgets.dashboard.reader import Reader, Stamp
from budgets.models import Alert, AlertKind, AlertMessage, Brand, WebhookDelivery
from budgets.models.brand import LONGEST_NAME
from budgets.queries import alerts
from budgets.queries.alerts import Asked, Raised
from budgets.queries.told import zone_of

SHOWN = 50
SHOWN_TOLD = alerts.TOLD - 1
"""Mails and deliveries that are named; of others it is said that there are more."""

KIND_WORDS = {
    AlertKind.THRESHOLD: "Budget thresholds",
    AlertKind.SILENT: "Silent campaigns",
    AlertKind.REPORTS_STALE: "Stale reports",
    AlertKind.PASSES_STALE: "Stale passes",
}


class CannotAsk(ValueError):
    """A parameter that cannot be meant; the message names it and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One mail or delivery: to whom, what became of it and when. `state` is a word for its look."""

    to: str
    state: str
    words: str
    at: Stamp | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One alert; `look` names its colour and shape."""

    pk: int
    look: str
    what: str
    figures: str
    brand: str
    brand_url: str
    campaign: str
    campaign_url: str
    at: Stamp
    told: list[Told]
    is_told_more: bool
    nobody: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One entry of the filter by kind."""

    value: str
    words: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on the page."""

    lines: list[Line]
    choices: list[Choice]
    name: str
    only_brand: str
    is_narrowed: bool
    older_url: str
    is_first: bool
    notice: str
    summary: str


def asked(parameters: QueryDict) -> Asked:
    """Read the address; raise `CannotAsk` for what cannot be meant."""
    given: dict[str, str] = {}
    for name, values in parameters.lists():
        if name not in ("kind", "brand", "name", "before"):
            raise CannotAsk(f"{name[:40]!r} is no filter of this page; leave it out.")
        if len(values) > 1:
            raise CannotAsk(f"{name} stands there twice; choose one.")
        given[name] = values[0].strip()
    kind, name = given.get("kind", ""), given.get("name", "")
    if kind and kind not in AlertKind.values:
        raise CannotAsk(f"kind: {kind[:40]!r} is none; choose one of the list.")
    if "\x00" in name or len(name) > LONGEST_NAME:
        raise CannotAsk(f"name: write part of a brand's name, {LONGEST_NAME} signs at most.")
    return Asked(
        kind=AlertKind(kind) if kind else None,
        brand_id=_key(given, "brand"),
        name=name,
        before=_key(given, "before"),
    )


def build(reader: Reader, wanted: Asked) -> Page:
    """Ask everything the page shows; the number of statements does not grow with the data."""
    found = alerts.page(reader.person, wanted, SHOWN)
    lines = [_line(row, reader) for row in found.rows]
    return Page(
        lines=lines,
        choices=[
            Choice(value=kind.value, words=words, is_chosen=kind is wanted.kind)
            for kind, words in KIND_WORDS.items()
        ],
        name=wanted.name,
        only_brand=_only_brand(reader, wanted),
        is_narrowed=bool(wanted.kind or wanted.name or wanted.brand_id),
        older_url=_older(wanted, lines[-1].pk) if found.has_more else "",
        is_first=wanted.before is None,
        notice=_notice(),
        summary=f"{lines[0].what}" if lines else "No alerts.",
    )


def _key(given: dict[str, str], name: str) -> int | None:
    text = given.get(name, "")
    if not text:
        return None
    if not is_key(text):
        raise CannotAsk(f"{name}: {text[:40]!r} is no number of ours; leave it out.")
    return int(text)


def _only_brand(reader: Reader, wanted: Asked) -> str:
    if wanted.brand_id is None:
        return ""
    names = reader.person.brands().filter(pk=wanted.brand_id).values_list("name", flat=True)
    return names.first() or "an unknown brand"


def _older(wanted: Asked, last: int) -> str:
    values = {
        "kind": wanted.kind.value if wanted.kind else "",
        "brand": str(wanted.brand_id or ""),
        "name": wanted.name,
        "before": str(last),
    }
    return with_query("", values)


def _notice() -> str:
    if not alerts.has_recipients():
        return "Nobody is told by mail: there is no recipient yet."
    if not settings.MAIL_IS_CONFIGURED:
        return "Nobody is told by mail: no mail server is named (EMAIL_URL)."
    return ""


def _line(row: Raised, reader: Reader) -> Line:
    alert, zone = row.alert, _zone(row.alert.brand)
    told = [_mail(message, reader, zone) for message in row.mails]
    told += map(_delivery, row.deliveries)
    return Line(
        pk=alert.pk,
        look=_look(alert),
        what=_what(alert, reader),
        figures=_figures(alert, reader),
        brand=alert.brand.name if alert.brand else "",
        brand_url=reverse("brand", args=[alert.brand_id]) if alert.brand else "",
        campaign=alert.campaign.name if alert.campaign else "",
        campaign_url=reverse("campaign", args=[alert.campaign_id]) if alert.campaign else "",
        at=reader.time(alert.raised_at, zone),
        told=told[:SHOWN_TOLD],
        is_told_more=len(told) > SHOWN_TOLD,
        nobody="" if told else _nobody(alert),
    )


def _look(alert: Alert) -> str:
    match alert.kind:
        case AlertKind.THRESHOLD:
            return "budget" if alert.threshold >= 100 else "near"
        case AlertKind.SILENT:
            return "time"
        case _:
            return "unknown"


def _what(alert: Alert, reader: Reader) -> str:
    figures = alert.figures
    match alert.kind:
        case AlertKind.THRESHOLD:
            share = reader.percent(Decimal(alert.threshold) / 100)
            period = "daily" if "daily" in alert.budget else "monthly"
            whose = "its own" if alert.campaign_id else "the"
            return f"{share} of {whose} {period} budget reached"
        case AlertKind.SILENT:
            return f"No spend in {figures['hours']} hours of running"
        case AlertKind.REPORTS_STALE:
            return f"No campaign has reported spend for {figures['hours']} hours"
        case _:
            return f"The pass {figures['pass']} stays away"


def _figures(alert: Alert, reader: Reader) -> str:
    figures = alert.figures
    if alert.kind == AlertKind.THRESHOLD:
        spent, budget = (
            reader.money(Decimal(figures[name]), figures["currency"])
            for name in ("spent", "budget")
        )
        return f"{spent} of {budget}, {alert.period}"
    if alert.kind == AlertKind.REPORTS_STALE:
        return f"{reader.number(figures['campaigns'])} campaigns run"
    last = figures.get("last_spend_at") or figures.get("last_completed_at")
    if last is None:
        return "It has never spent anything"
    said = reader.time(datetime.fromisoformat(last), _zone(alert.brand)).local
    return (
        f"last completed {said}" if alert.kind == AlertKind.PASSES_STALE else f"last spend {said}"
    )


def _mail(message: AlertMessage, reader: Reader, zone: ZoneInfo) -> Told:
    words = {"pending": "to be sent", "sent": "sent", "failed": "not sent"}[message.state]
    if message.state == "pending" and message.attempts:
        words = f"attempt {message.attempts} failed, next {reader.time(message.due_at, zone).local}"
    return Told(
        to=message.address,
        state=message.state,
        words=words,
        at=reader.time(message.sent_at, zone) if message.sent_at else None,
        why=message.error,
    )


def _delivery(delivery: WebhookDelivery) -> Told:
    state = {"delivered": "sent", "pending": "pending"}.get(delivery.state, "failed")
    host = urlsplit(delivery.endpoint.url).hostname or delivery.endpoint.url
    words = delivery.get_state_display()
    return Told(to=f"webhook {host}", state=state, words=words, at=None, why="")


def _nobody(alert: Alert) -> str:
    return "told by the alert about its brand" if alert.is_superseded else "told to nobody"


def _zone(brand: Brand | None) -> ZoneInfo:
    return zone_of(brand) if brand else UTC_ZONE
