"""What a mail about an alert says: plain and as HTML, with hostile names made harmless."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from budgets.models import Alert, AlertKind, AlertMessage

LONGEST_SUBJECT = 150
FOLLOWS: dict[str, str] = {
    AlertKind.THRESHOLD: "At 100 % whatever spends it pauses by itself, until there is money again.",
    AlertKind.SILENT: "Nothing holds it here. See on the platform whether it delivers, and whether "
    "its reports arrive.",
    AlertKind.REPORTS_STALE: "Nothing holds its campaigns here. See whether the reports of the "
    "platforms arrive: what is not reported is not counted, and pauses nothing.",
    AlertKind.PASSES_STALE: "Spend still pauses campaigns; nothing resumes, and allowed hours are not "
    "kept, until passes run again. The page Health says more.",
}
HELD = (
    "Its campaigns are held until spend is reported again. See whether the reports of the platforms "
    "arrive; a report of nothing spent lifts the hold as well."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail, ready to be written: `facts` are pairs of a title and what is said of it."""

    subject: str
    facts: list[tuple[str, str]]
    follows: str
    url: str


def letter(alert: Alert) -> Letter:
    """Return what is said of an alert; from its own figures, so that every attempt says the same."""
    return Letter(
        subject=one_line(alert.words)[:LONGEST_SUBJECT],
        facts=[(title, one_line(words)) for title, words in _facts(alert) if words],
        follows=HELD if alert.figures.get("is_held") else FOLLOWS[alert.kind],
        url=f"{settings.SITE_URL}/alerts/" if settings.SITE_URL else "",
    )


def compose(message: AlertMessage) -> EmailMultiAlternatives:
    """Return the mail of a message. The same Message-ID each time tells a repeated one."""
    said = letter(message.alert)
    context = {"letter": said}
    mail = EmailMultiAlternatives(
        subject=said.subject,
        body=render_to_string("mail/alert.txt", context),
        to=[message.address],
        headers={
            "Message-ID": f"<{message.message_id}@{_domain()}>",
            "Date": _date(message.created_at),
            "Auto-Submitted": "auto-generated",
        },
    )
    mail.attach_alternative(render_to_string("mail/alert.html", context), "text/html")
    return mail


def one_line(text: str) -> str:
    """Return `text` without line breaks and invisible signs: names are anybody's, headers are not."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _facts(alert: Alert) -> list[tuple[str, str]]:
    figures: dict[str, Any] = alert.figures
    facts = [("Brand", figures.get("brand", "")), ("Campaign", figures.get("campaign", ""))]
    if alert.kind == AlertKind.THRESHOLD:
        currency = figures["currency"]
        facts += [
            ("Spent", f"{_amount(figures['spent'])} {currency}"),
            (alert.get_budget_display().capitalize(), f"{_amount(figures['budget'])} {currency}"),
            ("Period", alert.period),
        ]
    elif alert.kind == AlertKind.PASSES_STALE:
        facts += [
            ("Pass", figures["pass"]),
            ("Last completed", _instant(figures["last_completed_at"])),
        ]
    else:
        facts += [("Hours without spend", str(figures["hours"]))]
        if last := figures.get("last_spend_at"):
            facts += [("Last spend recorded", _instant(last))]
        if heard := figures.get("last_report_at"):
            facts += [("Last report", _instant(heard))]
    return [*facts, ("Noticed", _instant(alert.raised_at.isoformat()))]


def _amount(text: str) -> str:
    return f"{Decimal(text):,}"


def _instant(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M} UTC"


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"


def _date(at: datetime) -> str:
    return f"{at:%a, %d %b %Y %H:%M:%S} +0000"
