"""Exports of ad platforms, built as the products write them: a test states only what matters to it.

The layouts are those that the sources in `budgets/services/reports/platforms.py` describe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

Line = Sequence[str]

GOOGLE_HEADER = ("Day", "Campaign", "Campaign ID", "Currency code", "Clicks", "Cost", "Impr.")
META_HEADER = (
    "Reporting starts",
    "Reporting ends",
    "Campaign name",
    "Campaign ID",
    "Amount spent (USD)",
    "Impressions",
)
MICROSOFT_HEADER = ("Gregorian date", "Account name", "Campaign name", "Spend", "Clicks")
SERVICE_HEADER = (
    "TimePeriod",
    "AccountName",
    "CampaignName",
    "CampaignId",
    "CurrencyCode",
    "Spend",
)


def table(lines: Sequence[Line], separator: str = ",", *, quoted: bool = False) -> str:
    """Write lines as a product does; `quoted`: every field in quotes."""
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=separator,
        quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
        lineterminator="\r\n",
    )
    writer.writerows(lines)
    return text.getvalue()


def google(
    *rows: Line, header: Line = GOOGLE_HEADER, separator: str = ",", totals: bool = True
) -> str:
    """Google Ads: a title, the dates, the table, and the totals below it."""
    blanks = ["--"] * (len(header) - 2)
    below = [["Total: Campaigns", *blanks, "99.00"], ["Total: Account", *blanks, "99.00"]]
    above = "Campaign report\r\nNovember 1, 2026 - November 24, 2026\r\n"
    return above + table([header, *rows, *(below if totals else [])], separator)


def google_excel(*rows: Line, header: Line = GOOGLE_HEADER) -> bytes:
    """Google Ads' "Excel .csv": UTF-16 with a byte order mark, and tabs."""
    return google(*rows, header=header, separator="\t").encode("utf-16")


def meta(
    *rows: Line, header: Line = META_HEADER, summary: bool = True, separator: str = ","
) -> bytes:
    """Meta Ads: a byte order mark, the header at once, and a row that sums up, of no campaign."""
    sum_ = ["99.00" if name.startswith("Amount") else "" for name in header]
    sum_[:2] = ["2026-11-01", "2026-11-24"]
    return table([header, *([sum_] if summary else []), *rows], separator).encode("utf-8-sig")


def microsoft(
    *rows: Line,
    header: Line = MICROSOFT_HEADER,
    aggregation: str = "Day",
    time: str = "11/1/2026,11/24/2026",
    said: int | None = None,
    total: bool = False,
) -> str:
    """Microsoft Advertising: what the report is about, the table, and a copyright."""
    above = [
        "Report Name: Campaigns",
        f"Report Time: {time}",
        "Time Zone: (GMT-08:00) Pacific Time (US & Canada); Tijuana",
        "Last Completed Available Day: 11/24/2026 10:15:00 PM (GMT)",
        f"Report Aggregation: {aggregation}",
        "Report Filter: ",
        "Potential Incomplete Data: true",
        f"Rows: {len(rows) if said is None else said}",
    ]
    last = [["Total", *[""] * (len(header) - 2), "99"]] if total else []
    return (
        table([[line] for line in above], quoted=True)
        + "\r\n"
        + table([header, *rows, *last], quoted=True)
        + "\r\n"
        + table([["©2026 Microsoft Corporation. All rights reserved. "]], quoted=True)
    )
