"""The three platforms: how they call their columns, and what stands around the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FIELDS = ("campaign", "campaign_id", "account", "date", "amount", "currency")
"""What is read of a row."""

_CURRENCY = re.compile(r"(.*\S)\s*\(([A-Z]{3})\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """An ad platform. Columns by preference, as `plain_name` writes them."""

    name: str
    source: str
    """Who reports, as the ledger keeps it."""
    amount: tuple[str, ...]
    """No two platforms share these: the amount's name tells whose report it is."""
    campaign: tuple[str, ...]
    campaign_id: tuple[str, ...] = ("campaignid",)
    account: tuple[str, ...] = ("accountname", "account", "customername", "customer")
    date: tuple[str, ...]
    span: tuple[str, str] | None = None
    """Instead of `date`: the columns of a row's first and last day, which must be one day."""
    currency: tuple[str, ...] = ("currencycode", "currency")
    has_summary: bool = False
    """Whether a row without a campaign may sum up the table, as its first row or its last."""
    days: str
    """What a person does to get a row for each day."""

    def column(self, field: str) -> tuple[str, ...]:
        """Return the names of the column that holds `field`, the preferred one first."""
        names: tuple[str, ...] = getattr(self, field)
        return names


GOOGLE = Platform(
    # A title and the dates stand above the header, rows "Total: …" at the end; "Excel .csv" is
    # UTF-16 with tabs. https://support.google.com/google-ads/answer/2404176 (what can be
    # downloaded), https://github.com/thephpleague/csv/issues/82 (the encoding)
    name="Google Ads",
    source="google_ads",
    amount=("cost",),
    campaign=("campaign", "campaignname"),
    date=("day", "date"),
    days="add the segment Time > Day and download it again",
)
META = Platform(
    # "Amount spent (USD)" names the account's currency. Broken down by day, a row's start and end are
    # one day, or there is a column Day. No public page describes the file; its columns are those of
    # https://developers.facebook.com/docs/marketing-api/reference/ads-insights (date_start,
    # date_stop, spend), its headings were compared with exports that people have published.
    name="Meta Ads",
    source="meta_ads",
    amount=("amountspent",),
    campaign=("campaignname", "campaign"),
    date=("day", "date"),
    span=("reportingstarts", "reportingends"),
    has_summary=True,
    days="choose Breakdown > By time > Day and export it again",
)
MICROSOFT = Platform(
    # Lines "Report Name: …" to "Rows: 5" above the header and a copyright below, see "Report File
    # Schema" in https://learn.microsoft.com/en-us/advertising/guides/reports. The service writes
    # CampaignName and TimePeriod where the web pages write "Campaign name" and "Gregorian date":
    # https://learn.microsoft.com/en-us/advertising/reporting-service/campaignperformancereportcolumn
    name="Microsoft Advertising",
    source="microsoft_ads",
    amount=("spend",),
    campaign=("campaignname", "campaign"),
    date=("gregoriandate", "timeperiod", "day", "date"),
    days="choose Unit of time > Day and download it again",
)
PLATFORMS = (META, MICROSOFT, GOOGLE)


def plain_name(heading: str) -> tuple[str, str]:
    """Return a heading in small letters without blanks, and the currency that it names, if any."""
    heading = heading.strip()
    found = _CURRENCY.fullmatch(heading)
    name, currency = found.groups() if found else (heading, "")
    return re.sub(r"[\s_]+", "", name).lower(), currency


def platform_of(headings: Sequence[str]) -> Platform | None:
    """Return whose report has these headings; ``None``: they are no header of a report."""
    names = {plain_name(heading)[0] for heading in headings}
    for platform in PLATFORMS:
        if names.intersection(platform.amount) and names.intersection(platform.campaign):
            return platform
    return None
