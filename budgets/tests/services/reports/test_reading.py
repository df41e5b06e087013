"""Reports are read as the products write them; what cannot be meant is said with line and remedy."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.services.files import Complaints, Unreadable
from budgets.services.reports import reading
from budgets.services.reports.notation import DayOrder, DecimalMark
from budgets.services.reports.platforms import GOOGLE, META, MICROSOFT, Platform
from budgets.services.reports.reading import Report, ReportRow
from budgets.tests.exports import (
    GOOGLE_HEADER,
    META_HEADER,
    SERVICE_HEADER,
    google,
    google_excel,
    meta,
    microsoft,
    table,
)

DAY = date(2026, 11, 23)
SEARCH = ("2026-11-23", "Search", "111", "USD", "7", "12.50", "900")
META_ROW = ("2026-11-23", "2026-11-23", "Search", "111", "12.50", "900")


@dataclass
class Told:
    """A report, and what was wrong with it."""

    report: Report
    complaints: list[tuple[int, str]]


def told(
    content: str | bytes,
    *,
    decimal_mark: DecimalMark | None = None,
    day_order: DayOrder | None = None,
) -> Told:
    data = content.encode() if isinstance(content, str) else content
    complaints = Complaints()
    report = reading.read(
        io.BytesIO(data), complaints.add, decimal_mark=decimal_mark, day_order=day_order
    )
    return Told(report, complaints.shown)


def rows(content: str | bytes) -> list[ReportRow]:
    """Return the rows of a report with which nothing is wrong."""
    answer = told(content)
    assert answer.complaints == []
    return answer.report.rows


def only(content: str | bytes) -> ReportRow:
    (row,) = rows(content)
    return row


def complaint(content: str | bytes) -> tuple[int, str]:
    (found,) = told(content).complaints
    return found


def amounts(*texts: str, currency: str = "USD") -> list[str]:
    """Return plain amounts as a file says that writes them as `texts`."""
    lines = [("2026-11-23", "Search", "", currency, "", text, "") for text in texts]
    return [row.amount for row in rows(google(*lines))]


def days(*texts: str) -> list[str]:
    lines = [(text, "Search", "", "USD", "", "1", "") for text in texts]
    return [row.date.isoformat() for row in rows(google(*lines))]


# --- The three products -------------------------------------------------------------------------


def test_reads_google_ads_below_its_title_and_without_its_totals() -> None:
    report = told(google(SEARCH)).report

    assert report.platform is GOOGLE
    assert report.rows == [ReportRow(4, "Search", "111", "", DAY, "12.50", "USD")]
    assert (report.count, report.totals, report.is_read, report.cut) == (1, 2, True, None)


def test_reads_google_ads_as_utf_16_with_tabs() -> None:
    assert rows(google_excel(SEARCH)) == rows(google(SEARCH))


GERMAN_GOOGLE = table(
    [
        ["Kampagnenbericht"],
        ["1. November 2026 - 24. November 2026"],
        ["Tag", "Kampagne", "Kampagnen-ID", "Währungscode", "Klicks", "Kosten"],
        ["23.11.2026", "Suche", "111", "EUR", "7", "1.012,50"],
        ["Gesamt: Kampagnen", "--", "--", "EUR", "7", "1.012,50"],
    ],
    "\t",
).encode("utf-16")
FRENCH_GOOGLE = table(
    [
        ["Jour", "Campagne", "Coût"],
        ["23/11/2026", "Suche", "1\N{NARROW NO-BREAK SPACE}012,50"],
        ["Total : campagnes", "--", "1\N{NARROW NO-BREAK SPACE}012,50"],
    ]
)
SPANISH_GOOGLE = table([["Día", "Campaña", "Coste"], ["2026-11-23", "Suche", "1.012,50"]], ";")


@pytest.mark.parametrize(
    ("content", "key", "currency"),
    [
        pytest.param(GERMAN_GOOGLE, "111", "EUR", id="German"),
        pytest.param(FRENCH_GOOGLE, "", "", id="French"),
        pytest.param(SPANISH_GOOGLE, "", "", id="Spanish"),
    ],
)
def test_reads_google_ads_in_other_languages(content: str | bytes, key: str, currency: str) -> None:
    row = only(content)

    assert row._replace(line=0) == ReportRow(0, "Suche", key, "", DAY, "1012.50", currency)
    assert reading.recognise(content if isinstance(content, bytes) else content.encode()) is GOOGLE


@pytest.mark.parametrize(
    "heading",
    [
        ("Berichtsstart", "Berichtsende", "Kampagnenname", "Ausgegebener Betrag (EUR)"),
        ("Début des rapports", "Fin des rapports", "Nom de la campagne", "Montant dépensé (EUR)"),
        ("Inicio del informe", "Fin del informe", "Nombre de la campaña", "Importe gastado (EUR)"),
        ("Tag", "Impressionen", "Kampagnenname", "Ausgegebener Betrag (EUR)"),
        ("Jour", "Impressions", "Nom de la campagne", "Montant dépensé (EUR)"),
        ("Día", "Impresiones", "Nombre de la campaña", "Importe gastado (EUR)"),
    ],
)
def test_reads_meta_ads_in_other_languages(heading: tuple[str, ...]) -> None:
    content = table([heading, ("2026-11-23", "2026-11-23", "Suche", "12,50")]).encode("utf-8-sig")

    assert only(content) == ReportRow(2, "Suche", "", "", DAY, "12.50", "EUR")
    assert reading.recognise(content) is META


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('Tag,Kampagne,Kosten\n03.04.2026,Suche,"1,234"\n', "amount: '1,234' is ambiguous"),
        ('Jour,Campagne,Coût\n03/04/2026,Suche,"1,5"\n', "date: '03/04/2026' is ambiguous"),
        ("Woche,Kampagne,Kosten\n23.11.2026,Suche,1\n", "date: this report of Google Ads does not"),
        ("Tag,Kampagne,Kosten\nZusammen,--,1\n", "campaign: is empty"),
    ],
)
def test_what_another_language_leaves_open_is_refused_as_well(content: str, words: str) -> None:
    assert complaint(content)[1].startswith(words)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_reads_either_order_of_bytes(encoding: str) -> None:
    mark = codecs.BOM_UTF16_LE if encoding.endswith("le") else codecs.BOM_UTF16_BE

    assert only(mark + google(SEARCH, separator="\t").encode(encoding)).amount == "12.50"


def test_reads_meta_ads_without_its_summary_and_with_the_currency_of_the_heading() -> None:
    report = told(meta(META_ROW)).report

    assert report.platform is META
    assert report.rows == [ReportRow(3, "Search", "111", "", DAY, "12.50", "USD")]
    assert (report.count, report.totals) == (1, 1)


def test_the_summary_of_meta_ads_may_stand_last() -> None:
    last = ("2026-11-01", "2026-11-24", "", "", "99.00", "")

    report = told(meta(META_ROW, META_ROW, last, summary=False)).report

    assert (len(report.rows), report.count, report.totals) == (2, 2, 1)


def test_another_row_without_a_campaign_is_no_summary() -> None:
    nobody = ("2026-11-23", "2026-11-23", "", "", "99.00", "")

    assert complaint(meta(META_ROW, nobody, META_ROW)) == (
        4,
        "campaign: is empty; add the column of the campaign's name",
    )


def test_a_google_row_without_a_campaign_is_never_passed_over() -> None:
    line, words = complaint(google(("2026-11-23", "--", "--", "USD", "7", "12.50", "900")))

    assert (line, words[:18]) == (4, "campaign: is empty")


def test_a_column_day_of_meta_ads_counts_and_not_the_span_of_the_report() -> None:
    header = ("Campaign name", "Day", "Amount spent (GBP)", "Reporting starts", "Reporting ends")
    row = ("Search", "2026-11-23", "12.50", "2026-11-01", "2026-11-24")

    assert only(meta(row, header=header, summary=False)) == ReportRow(
        2, "Search", "", "", DAY, "12.50", "GBP"
    )


@pytest.mark.parametrize("total", [False, True])
def test_reads_microsoft_advertising_between_what_it_is_about_and_its_copyright(
    total: bool,
) -> None:
    row = ("11/23/2026", "Acme", "Search", "1,234.50", "7")

    report = told(microsoft(row, total=total)).report

    assert report.platform is MICROSOFT
    assert report.rows == [ReportRow(11, "Search", "", "Acme", DAY, "1234.50", "")]
    assert (report.count, report.totals) == (1, int(total))


def test_reads_what_the_service_of_microsoft_writes() -> None:
    row = ("2026-11-23", "Acme", "Search", "[82945799304067]", "EUR", "12.50")

    assert only(microsoft(row, header=SERVICE_HEADER)) == ReportRow(
        11, "Search", "82945799304067", "Acme", DAY, "12.50", "EUR"
    )


@pytest.mark.parametrize("sign", ["@", "©"])
def test_both_spellings_of_the_copyright_are_no_row(sign: str) -> None:
    row = ("11/23/2026", "Acme", "Search", "12.50", "7")

    assert len(rows(microsoft(row).replace("©", sign))) == 1


@pytest.mark.parametrize(
    ("header", "platform"),
    [
        ("Day,Campaign,Cost", GOOGLE),
        ("Date,Campaign name,Cost (EUR)", GOOGLE),
        ("CAMPAIGN;COST;DAY", GOOGLE),
        ("Campaign name\tReporting starts\tAmount spent (USD)", META),
        ("Campaign,Amount spent,Currency,Day", META),
        ("Time period,Campaign,Spend", MICROSOFT),
        ("GregorianDate,CampaignName,Spend", MICROSOFT),
        ("Campaign,Clicks,Day", None),
        ("Day,Cost", None),
        ("brand,campaign,date,amount", None),
        ("brand,campaign,date,amount,cost", None),
        ("brand,campaign,date,amount\nCost,Campaign,Day,1", None),
        ("Kampagne,Tag,Kosten", GOOGLE),
        ("Campagna,Giorno,Costo", None),
        ("", None),
        ("\0\0\0", None),
        ('"Day,Campaign,Cost', None),
    ],
)
def test_recognises_a_report_by_its_header(header: str, platform: Platform | None) -> None:
    assert reading.recognise(header.encode()) is platform
    assert reading.recognise(header.encode("utf-16")) is platform


def test_looks_for_the_header_among_the_first_lines_only() -> None:
    assert reading.recognise(b"title\n" * 49 + b"Day,Campaign,Cost\n") is GOOGLE
    assert reading.recognise(b"title\n" * 50 + b"Day,Campaign,Cost\n") is None


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"Day,Campaign,Cost\n", b"Campaign\tSpend\n"])
)
def test_whatever_the_bytes_are_reading_ends_in_rows_or_words(content: bytes, head: bytes) -> None:
    complaints = Complaints()
    try:
        report = reading.read(io.BytesIO(head + content), complaints.add)
    except Unreadable:
        assert reading.recognise(head + content) is None
        return

    assert report.is_read or complaints.count
    assert len(report.rows) <= report.count


# --- Totals and names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label",
    [
        "Total",
        "Total: Search",
        "Total - 12 campaigns",
        "Overall total \N{EN DASH} 3",
        "Grand Total:",
        "totals",
    ],
)
def test_a_total_is_no_row(label: str) -> None:
    header = ("Campaign", "Day", "Cost")
    content = google(
        ("Search", "2026-11-23", "1.50"), (label, "--", "1.50"), header=header, totals=False
    )

    assert [row.campaign for row in rows(content)] == ["Search"]


def test_a_campaign_that_is_called_like_a_total_is_a_row() -> None:
    row = ("2026-11-23", "Total: Shoes", "111", "USD", "7", "12.50", "900")

    assert only(google(row)).campaign == "Total: Shoes"


@pytest.mark.parametrize(
    "name",
    [
        '=HYPERLINK("http://example.com")',
        "@SUM(A1)",
        "<script>alert(1)</script>",
        'two\r\nlines, "quoted"',
        "'; DROP TABLE budgets_spend; --",
        "日本語 🚀",
        "\u202egnp",
        "©2026 Microsoft Corporation. All rights reserved.",
    ],
)
def test_a_name_is_only_text(name: str) -> None:
    assert only(google(("2026-11-23", name, "", "USD", "", "1.00", ""))).campaign == name


def test_a_row_without_an_amount_says_nothing() -> None:
    report = told(google(SEARCH, ("2026-11-23", "Shopping", "", "USD", "0", " --", "0"))).report

    assert ([row.campaign for row in report.rows], report.silent) == (["Search"], 1)


# --- Amounts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "plain"),
    [
        (["12.50", "1,234.56"], ["12.50", "1234.56"]),
        (["12,50", "1.234,56"], ["12.50", "1234.56"]),
        (["1,234", "0.50"], ["1234", "0.50"]),
        (["1.234", "0,50"], ["1234", "0.50"]),
        (["1,234", "1,234,567"], ["1234", "1234567"]),
        (["1.234", "1.234.567"], ["1234", "1234567"]),
        (["1,234", "1234.567"], ["1234", "1234.567"]),
        (["-1,234.50", "0"], ["-1234.50", "0"]),
        (["1 234,50", "1\u202f234\u202f567,00"], ["1234.50", "1234567.00"]),
        (["1\u00a0234.50"], ["1234.50"]),
        (["1'234.50", "1\N{RIGHT SINGLE QUOTATION MARK}234.50"], ["1234.50", "1234.50"]),
        (["1,23,456.70"], ["123456.70"]),
        (["007", "0.000001"], ["7", "0.000001"]),
        (["12", "5"], ["12", "5"]),
    ],
)
def test_the_whole_file_tells_what_a_mark_means(texts: list[str], plain: list[str]) -> None:
    assert amounts(*texts) == plain


@pytest.mark.parametrize("text", ["1,234", "1.234", "-12,345", "999.999"])
def test_an_amount_that_nothing_settles_is_refused_with_the_remedy(text: str) -> None:
    content = google(("2026-11-23", "Search", "", "USD", "", text, ""))

    line, words = complaint(content)

    assert line == 4
    assert words.startswith(f"amount: '{text}' is ambiguous: ")
    assert "--decimal-mark point, or comma" in words
    assert told(content).report.rows == []
    point = told(content, decimal_mark=DecimalMark.POINT).report.rows[0].amount
    comma = told(content, decimal_mark=DecimalMark.COMMA).report.rows[0].amount
    assert {point, comma} == {text.replace(",", "").replace(".", ""), text.replace(",", ".")}


def test_yen_have_no_decimals() -> None:
    assert amounts("1,234", "567", currency="JPY") == ["1234", "567"]
    assert amounts("1.234", "567", currency="JPY") == ["1234", "567"]


def test_a_file_that_is_written_in_two_ways_is_refused() -> None:
    line, words = complaint(
        google(
            ("2026-11-23", "Search", "", "USD", "", "1,234.50", ""),
            ("2026-11-23", "Search", "", "USD", "", "12,50", ""),
        )
    )

    assert line == 5
    assert "'1,234.50' in line 4 and '12,50' in line 5" in words


@pytest.mark.parametrize(
    "text",
    ["$12.50", "12.50 USD", "1e5", "NaN", "1,2345.00", "12,34.50", "٣", "=1+1", "x"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    line, words = complaint(google(SEARCH, ("2026-11-23", "Search", "", "USD", "", text, "")))

    assert (line, words.split(";")[0]) == (5, f"amount: {text!r} is not an amount")


WRITTEN = {
    ".": lambda whole, cents: f"{whole:,}.{cents:02}",
    ",": lambda whole, cents: f"{whole:,}".replace(",", ".") + f",{cents:02}",
    " ": lambda whole, cents: f"{whole:,}".replace(",", " ") + f",{cents:02}",
}


@given(
    st.lists(st.integers(-(10**13), 10**13), min_size=1, max_size=20),
    st.sampled_from(sorted(WRITTEN)),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
def test_amounts_are_exact_whatever_separates_and_encodes_them(
    cents: list[int], style: str, separator: str, encoding: str, quoted: bool
) -> None:
    lines = [
        ("2026-11-23", "Zoë; a, b\t", ("-" if n < 0 else "") + WRITTEN[style](*divmod(abs(n), 100)))
        for n in cents
    ]
    content = table([("Day", "Campaign", "Cost (EUR)"), *lines], separator, quoted=quoted)

    found = rows(content.encode(encoding))

    assert [Decimal(row.amount) for row in found] == [Decimal(n).scaleb(-2) for n in cents]
    assert {(row.campaign, row.currency) for row in found} == {("Zoë; a, b", "EUR")}


# --- Days ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23",
        "11/23/2026",
        "23/11/2026",
        "23.11.2026",
        "Nov 23, 2026",
        "November 23, 2026",
        "Mon, Nov 23, 2026",
        "23 Nov 2026",
        "NOV 23, 2026",
    ],
)
def test_reads_a_day(text: str) -> None:
    assert days(text) == ["2026-11-23"]


def test_one_day_tells_the_order_of_all() -> None:
    assert days("3/4/2026", "3/13/2026") == ["2026-03-04", "2026-03-13"]
    assert days("3/4/2026", "13/4/2026") == ["2026-04-03", "2026-04-13"]
    assert days("4/4/2026") == ["2026-04-04"]


def test_the_time_of_microsofts_report_tells_the_order() -> None:
    row = ("11/2/2026", "Acme", "Search", "12.50", "7")

    assert only(microsoft(row)).date == date(2026, 11, 2)


def test_an_order_that_nothing_settles_is_refused_with_the_remedy() -> None:
    content = microsoft(("11/2/2026", "Acme", "Search", "12.50", "7"), time="11/2/2026")

    line, words = complaint(content)

    assert line == 11
    assert words.startswith("date: '11/2/2026' is ambiguous: ")
    assert "--day-order month-first, or day-first" in words
    assert told(content, day_order=DayOrder.DAY_FIRST).report.rows[0].date == date(2026, 2, 11)
    assert told(content, day_order=DayOrder.MONTH_FIRST).report.rows[0].date == date(2026, 11, 2)


@pytest.mark.parametrize("text", ["12/3/2026", "3/12/2026", "1/02/2026"])
def test_a_twelfth_proves_no_order(text: str) -> None:
    _, words = complaint(google((text, "Search", "", "USD", "", "1.00", "")))

    assert words.startswith(f"date: {text!r} is ambiguous: ")


def test_two_orders_in_a_file_are_refused() -> None:
    lines = [(text, "Search", "", "USD", "", "1", "") for text in ("13/3/2026", "3/13/2026")]

    line, words = complaint(google(*lines))

    assert (line, words[:40]) == (5, "date: the file is written in two ways, '"[:40])


@pytest.mark.parametrize(
    "text", ["2026-02-30", "13/13/2026", "Foo 23, 2026", "Ju 1, 2026", "46349", "2026-W48", "All"]
)
def test_what_is_no_day_is_refused(text: str) -> None:
    line, words = complaint(google(SEARCH, (text, "Search", "", "USD", "", "1.00", "")))

    assert (line, words.split(";")[0]) == (5, f"date: {text!r} is not a day")


# --- What speaks of no day ----------------------------------------------------------------------


def test_a_row_of_several_days_is_refused_with_the_remedy() -> None:
    row = ("2026-11-01", "2026-11-23", "Search", "111", "12.50", "900")

    line, words = complaint(meta(row))

    assert line == 3
    assert words.startswith("date: the row speaks of 2026-11-01 to 2026-11-23, not of a day; ")
    assert words.endswith("choose Breakdown > By time > Day and export it again")


def test_a_row_that_does_not_say_when_it_ends_is_refused() -> None:
    line, words = complaint(meta(("2026-11-23", "", "Search", "111", "12.50", "900")))

    assert (line, words[:43]) == (3, "date: the row does not say when it ends; ch"[:43])


@pytest.mark.parametrize(
    ("content", "line", "remedy"),
    [
        (
            google(("2026-11-23", "Search", "1"), header=("Week", "Campaign", "Cost")),
            3,
            "Time > Day",
        ),
        (table([("Campaign name", "Amount spent (USD)"), ("Search", "1")]), 1, "By time > Day"),
        (
            table([("Campaign name", "Reporting starts", "Amount spent (USD)")]),
            1,
            "By time > Day",
        ),
        (microsoft(("Acme", "1"), header=("Campaign", "Spend")), 10, "Unit of time > Day"),
    ],
)
def test_a_report_without_days_is_refused_with_the_remedy(
    content: str, line: int, remedy: str
) -> None:
    where, words = complaint(content)

    assert (where, words[:5]) == (line, "date:")
    assert remedy in words


@pytest.mark.parametrize("aggregation", ["Weekly", "Month", "Summary", "DayOfWeek"])
def test_weeks_and_months_of_microsoft_are_no_days(aggregation: str) -> None:
    row = ("2026-11-22", "Acme", "Search", "111", "USD", "12.50")

    line, words = complaint(microsoft(row, header=SERVICE_HEADER, aggregation=aggregation))

    assert (line, words[:17]) == (5, "the rows are no d")
    assert "Unit of time > Day" in words


def test_hours_of_a_day_are_rows_of_the_day() -> None:
    header = ("Gregorian date", "Hour", "Campaign name", "Spend")
    lines = [("11/23/2026", str(hour), "Search", "1.00") for hour in (7, 8)]

    assert [row.date for row in rows(microsoft(*lines, header=header, aggregation="Hour"))] == [
        DAY,
        DAY,
    ]


# --- Bent and cut files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        pytest.param(google(SEARCH, SEARCH[:-1]), 5, "has 6 fields, the header has 7", id="short"),
        pytest.param(google((*SEARCH, "x")), 4, "has 8 fields, the header has 7", id="long"),
        pytest.param(google(SEARCH).replace("Search", 'Se"arch'), 4, "stray quote", id="quote"),
        pytest.param(google(SEARCH).replace("Search", "Se\0arch"), 4, "NUL", id="NUL"),
        pytest.param(google_excel(SEARCH)[:-1], 6, "is not UTF-16 as", id="cut character"),
        pytest.param(
            google_excel(SEARCH) + google(SEARCH).encode() + b"x",
            7,
            "NUL|UTF-16",
            id="two encodings",
        ),
        pytest.param(
            codecs.BOM_UTF16_LE
            + "Day\tCampaign\tCost\n2026-11-23\t".encode("utf-16-le")
            + b"\x00\xd8x\x00",
            2,
            "is not UTF-16 as",
            id="lone surrogate of UTF-16",
        ),
        pytest.param(
            google(SEARCH).encode().replace(b"Search", b"Se\xed\xa0\x80"),
            4,
            "is not UTF-8: byte 0xED",
            id="lone surrogate of UTF-8",
        ),
        pytest.param(
            google(("2026-11-23", "Zoë", "", "USD", "", "1.00", "")).encode("latin-1"),
            4,
            "is not UTF-8: byte 0xEB",
            id="Latin-1",
        ),
        pytest.param(
            google(SEARCH, header=(*GOOGLE_HEADER[:-1], "cost")), 3, "'cost' is there 2", id="twice"
        ),
        pytest.param(google(("x" * 70_000,)), 4, "longer than 65536 bytes", id="endless line"),
        pytest.param(
            microsoft(("11/23/2026", "Acme", "Search", "1.00", "7"), said=3),
            8,
            "says that there are 3 rows, but 1 follow",
            id="fewer rows than said",
        ),
        pytest.param(
            meta(
                ("2026-11-23", "2026-11-23", "Search", "EUR", "1.00", ""),
                header=(*META_HEADER[:3], "Currency", *META_HEADER[-2:]),
            ),
            3,
            "currency: 'EUR', but the heading of the amounts says USD",
            id="two currencies",
        ),
    ],
)
def test_refuses_a_bent_file(content: str | bytes, line: int, words: str) -> None:
    where, said = told(content).complaints[0]

    assert where == line
    assert any(word in said for word in words.split("|"))


def test_a_cut_matters_where_it_may_be_in_what_is_read() -> None:
    last = table([("Campaign", "Day", "Cost"), ("Search", "2026-11-23", "99.99")]).rstrip()

    assert told(last[:-1]).report.cut == (2, "Search,2026-11-23,99.9")
    assert told(last + "\n").report.cut is None
    assert (
        told(
            table(
                [("Campaign", "Day", "Cost"), ("Search", "2026-11-23", "9")], quoted=True
            ).rstrip()
        ).report.cut
        is None
    )
    assert told(google(SEARCH, totals=False).rstrip()).report.cut is None
    assert told(google(SEARCH).rstrip()).report.cut is None


def test_refuses_what_no_memory_should_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_ROWS", 2)

    line, words = complaint(google(SEARCH, SEARCH, SEARCH))

    assert line == 6
    assert words.startswith("has more than 2 rows; export fewer days, or leave out breakdowns")
    assert len(rows(google(SEARCH, SEARCH))) == 2


def test_refuses_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 100)

    with pytest.raises(Unreadable, match="export fewer days, or fewer columns"):
        told(google(SEARCH))
