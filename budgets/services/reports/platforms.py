"""The three platforms: how they call their columns, and what stands around the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FIELDS = ("campaign", "campaign_id", "account", "date", "amount", "currency")
"""What is read of a row."""

# In German, French and Spanish as well: the words of the products' own pages in these languages.
_DAYS = ("day", "date", "tag", "datum", "jour", "día", "fecha")
_CAMPAIGNS = ("campaign", "kampagne", "campagne", "campaña")
_CAMPAIGN_NAMES = ("campaignname", "kampagnenname", "nomdelacampagne", "nombredelacampaña")
_CAMPAIGN_IDS = (
    *("campaignid", "kampagnen-id"),
    *("iddecampagne", "iddelacampagne", "iddecampaña", "iddelacampaña"),
)
_ACCOUNTS = (
    *("accountname", "account", "customername", "customer", "kontoname", "konto"),
    *("nomducompte", "compte", "nombredelacuenta", "cuenta"),
)
_CURRENCIES = (
    *("currencycode", "currency", "währungscode", "währung"),
    *("codedelamonnaie", "codedevise", "codededevise", "devise"),
    *("códigodemoneda", "códigodedivisa", "moneda", "divisa"),
)

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
    campaign_id: tuple[str, ...] = _CAMPAIGN_IDS
    account: tuple[str, ...] = _ACCOUNTS
    date: tuple[str, ...]
    spans: tuple[tuple[str, str], ...] = ()
    """Instead of `date`: the columns of a row's first and last day, which must be one day."""
    currency: tuple[str, ...] = _CURRENCIES
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
    amount=("cost", "kosten", "coût", "coste"),
    campaign=(*_CAMPAIGNS, *_CAMPAIGN_NAMES),
    date=_DAYS,
    days="add the segment Time > Day and download it again",
)
META = Platform(
    # "Amount spent (USD)" names the account's currency. Broken down by day, a row's start and end are
    # one day, or there is a column Day. No public page describes the file; its columns are those of
    # https://developers.facebook.com/docs/marketing-api/reference/ads-insights (date_start,
    # date_stop, spend), its headings were compared with exports that people have published.
    name="Meta Ads",
    source="meta_ads",
    amount=("amountspent", "ausgegebenerbetrag", "montantdépensé", "importegastado"),
    campaign=(*_CAMPAIGN_NAMES, *_CAMPAIGNS),
    date=_DAYS,
    spans=(
        ("reportingstarts", "reportingends"),
        ("berichtsstart", "berichtsende"),
        ("débutdesrapports", "findesrapports"),
        ("iniciodelinforme", "findelinforme"),
    ),
    has_summary=True,
    days="choose Breakdown > By time > Day and export it again",
)
MICROSOFT = Platform(
    # Lines "Report Name: …" to "Rows: 5" above the header and a copyright below, see "Report File
    # Schema" in https://learn.microsoft.com/en-us/advertising/guides/reports. The service writes
    # CampaignName and TimePeriod where the web pages write "Campaign name" and "Gregorian date":
    # https://learn.microsoft.com/en-us/advertising/reporting-service/campaignperformancereportcolumn
    # In English only: a report by week is told from one by day by the words above the header.
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
