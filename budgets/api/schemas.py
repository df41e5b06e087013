"""What is sent and answered. Amounts are strings in the brand's currency, exact to a millionth."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from budgets.core import dayparting, money
from budgets.core.decision import Hold
from budgets.core.primary_keys import LARGEST_KEY
from budgets.models import WebhookEvent
from budgets.models.brand import LONGEST_NAME, LONGEST_SILENCE
from budgets.models.webhook import CHOSEN_BY_DEFAULT, LONGEST_URL
from budgets.services.ingestion import MAX_BATCH, MAX_ID, MAX_SOURCE

Money = Annotated[str, Field(pattern=r"^-?\d{1,13}\.\d{2,6}$", examples=["12.50"])]
"""An amount that we say."""


WeeklyHours = Annotated[str, Field(examples=[dayparting.EXAMPLE])]
"""A weekly calendar that we say."""

_WEEKLY_MEANS = (
    "The open hours by weekday, local to the brand. Null: `allowed_start_hour` and "
    "`allowed_end_hour` decide, every day; else they wait, and this decides instead."
)

HoldName = Annotated[str, Field(json_schema_extra={"enum": ["", *Hold]})]
StalePolicyName = Literal["alert", "hold"]
_STALE_MEANS = "Hours without a report after which its spend is stale. Null: never."
_POLICY_MEANS = (
    "What follows when it is stale: people are told, or its campaigns are held (`stale_spend`) until "
    "spend is reported again, be it none."
)


_AMOUNT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "pattern": r"^-?\d{1,12}(\.\d{1,6})?$", "examples": ["12.50"]},
        {"type": "number"},
    ],
}
_BUDGET_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "pattern": r"^\d{1,12}(\.\d{1,6})?$", "examples": ["250.00"]},
        {"type": "number", "minimum": 0},
        {"type": "null"},
    ],
}


def _budget(value: object) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = money.parse_amount(value)
    except money.InvalidAmount as error:
        raise _refused("invalid_amount", str(error)) from None
    if amount < 0:
        raise _refused("negative", "cannot be negative; null means no limit")
    return amount


def _calendar(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _refused("invalid_hours", f"is no text; write {dayparting.EXAMPLE}")
    try:
        return dayparting.notation(dayparting.parse(value))
    except dayparting.InvalidHours as error:
        raise _refused("invalid_hours", str(error)) from None


DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)


def _flight_day(value: object) -> dt.date | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and DAY.fullmatch(value):
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    raise _refused("invalid_date", "is no date; write 2026-01-31")


def _whole(value: object) -> object:
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise _refused("invalid_number", "is no whole number; write digits alone: 12")
    return value


def _refused(code: str, words: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{words}", {"words": words})


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number in an address: none of the other spellings that Python would take."""


class Sent(BaseModel):
    """Something that callers send: a field we do not know is a mistake of theirs."""

    model_config = ConfigDict(extra="forbid")


# --- Spend ---------------------------------------------------------------------------------------


class CampaignName(Sent):
    """A campaign by the platform's id, within a brand."""

    brand: StrictStr = Field(description="The brand's name.", max_length=LONGEST_NAME)
    external_id: StrictStr = Field(
        description="The platform's id of the campaign.", max_length=MAX_ID
    )


CampaignRef = Annotated[
    StrictInt | CampaignName,
    Field(description="Our id of the campaign, or its brand and the platform's id."),
]
SentAmount = Annotated[
    StrictStr | StrictInt | Decimal,
    Field(
        description="Up to 12 digits before and 6 after the point, in the brand's currency. "
        "A string, or a number that is exact as it is written.",
        json_schema_extra=_AMOUNT_SCHEMA,
    ),
]
SentDate = Annotated[
    StrictStr,
    Field(description="The brand's local day.", json_schema_extra={"format": "date"}),
]
Currency = Annotated[
    StrictStr, Field(description="Refused unless it is the brand's; nothing is converted.")
]
Source = Annotated[
    StrictStr,
    Field(
        description="Who reports, as `google_ads`. Ids are unique within it.",
        min_length=1,
        max_length=MAX_SOURCE,
    ),
]


class Event(Sent):
    """An amount that was spent."""

    id: StrictStr = Field(
        description="Your id of it, unique within the source. Sent again it changes nothing.",
        json_schema_extra={"minLength": 1, "maxLength": MAX_ID},
    )
    campaign: CampaignRef
    amount: SentAmount
    date: SentDate | None = None
    occurred_at: StrictStr | None = Field(
        default=None,
        description="The instant, with its offset; the local day follows from it.",
        json_schema_extra={"format": "date-time"},
    )
    currency: Currency | None = None


class EventBatch(Sent):
    """Events that are recorded together."""

    source: Source
    events: list[Event] = Field(min_length=1, max_length=MAX_BATCH)


class ReportRow(Sent):
    """What a campaign has spent on a day so far, as platforms report it."""

    campaign: CampaignRef
    date: SentDate
    spend_to_date: SentAmount
    currency: Currency | None = None


class Report(Sent):
    """Rows that are recorded together."""

    source: Source
    rows: list[ReportRow] = Field(min_length=1, max_length=MAX_BATCH)


class SpendResult(BaseModel):
    """What became of one event or row."""

    id: str | None = Field(default=None, description="Your id; rows of a report have none.")
    status: Literal["recorded", "duplicate", "conflict", "rejected"]
    code: str = Field(description="Stable; empty when it was recorded.")
    field: str = Field(description="Which field is wrong.")
    message: str = Field(description="What is wrong and what would be right.")


class SpendTotals(BaseModel):
    """How many got which answer."""

    recorded: int
    duplicate: int
    conflict: int
    rejected: int


class SpendAnswer(BaseModel):
    """The answers in the order of the request, and who must stop."""

    results: list[SpendResult]
    totals: SpendTotals
    paused: list[int] = Field(description="Campaigns that this request stopped: stop them now.")
    resumed: list[int] = Field(description="Campaigns that a credit of this request started.")


# --- Brands and campaigns ------------------------------------------------------------------------


class Spent(BaseModel):
    """Spend of the brand's local day and of its month."""

    date: dt.date | None = Field(description="The local day; null while the zone cannot be read.")
    today: Money
    this_month: Money


class BrandOut(BaseModel):
    """A brand."""

    id: int
    name: str
    is_active: bool
    daily_budget: Money | None
    monthly_budget: Money | None
    currency: str
    timezone: str
    pending_timezone: str | None = Field(description="In force from the next local midnight on.")
    stale_after_hours: int | None = Field(description=_STALE_MEANS)
    stale_policy: StalePolicyName = Field(description=_POLICY_MEANS)
    last_report_at: dt.datetime | None = Field(
        description="When its spend was last reported, or since when we wait for it (UTC). Null while "
        "`stale_after_hours` is."
    )
    spend: Spent
    trouble: str = Field(description="Why it cannot be processed; empty when it can.")


class CampaignOut(BaseModel):
    """A campaign."""

    id: int
    brand: int
    name: str
    external_id: str | None
    is_enabled: bool = Field(description="What a person wants. Nothing automatic changes it.")
    is_active: bool = Field(description="What is in force.")
    hold: HoldName = Field(description="Why it is not active; empty when it is.")
    daily_budget: Money | None
    monthly_budget: Money | None
    allowed_start_hour: int
    allowed_end_hour: int
    weekly_hours: WeeklyHours | None = Field(description=_WEEKLY_MEANS)
    starts_on: dt.date | None
    ends_on: dt.date | None
    currency: str
    timezone: str
    spend: Spent


class BrandPage(BaseModel):
    """Brands in the order of their ids."""

    data: list[BrandOut]
    next_cursor: str | None = Field(description="Ask with it for the next page; null: the last.")


class CampaignPage(BaseModel):
    """Campaigns in the order of their ids."""

    data: list[CampaignOut]
    next_cursor: str | None = Field(description="Ask with it for the next page; null: the last.")


Budget = Annotated[
    Decimal | None,
    BeforeValidator(_budget),
    Field(description="Null: no limit. 0: nothing may be spent.", json_schema_extra=_BUDGET_SCHEMA),
]
Calendar = Annotated[
    str | None,
    BeforeValidator(_calendar),
    Field(
        description=f"{_WEEKLY_MEANS} Days from Mon to Sun and whole hours, the end exclusive, both "
        f"as lists and ranges: `{dayparting.EXAMPLE}`. A window that ends before it starts goes on "
        "into the morning after. At least one hour must be open: to stop a campaign, pause it.",
        examples=[dayparting.EXAMPLE],
        json_schema_extra={"maxLength": dayparting.LONGEST_NOTATION},
    ),
]
FlightDay = Annotated[dt.date | None, BeforeValidator(_flight_day)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_NAME)]


class BrandEdit(Sent):
    """The fields to change; what is left out stays."""

    name: Name | None = None
    is_active: StrictBool | None = None
    daily_budget: Budget = None
    monthly_budget: Budget = None
    timezone: StrictStr | None = Field(default=None, max_length=64)
    stale_after_hours: StrictInt | None = Field(
        default=None, ge=1, le=LONGEST_SILENCE, description=_STALE_MEANS
    )
    stale_policy: StalePolicyName | None = Field(default=None, description=_POLICY_MEANS)


class CampaignEdit(Sent):
    """The fields to change; what is left out stays."""

    name: Name | None = None
    external_id: StrictStr | None = Field(default=None, max_length=MAX_ID)
    is_enabled: StrictBool | None = None
    daily_budget: Budget = None
    monthly_budget: Budget = None
    allowed_start_hour: StrictInt | None = Field(default=None, ge=0, le=23)
    allowed_end_hour: StrictInt | None = Field(default=None, ge=0, le=24)
    weekly_hours: Calendar = None
    starts_on: FlightDay = None
    ends_on: FlightDay = None


# --- The log -------------------------------------------------------------------------------------


class ChangeOut(BaseModel):
    """One change of a campaign's state."""

    id: int
    campaign: int
    brand: int
    at: dt.datetime
    was_active: bool
    is_active: bool
    old_hold: HoldName
    hold: HoldName
    cause: str
    actor: str
    figures: dict[str, Any]


class ChangePage(BaseModel):
    """Changes in an order in which nobody is missed."""

    data: list[ChangeOut]
    next_cursor: str = Field(description="Always ask with the newest one you have.")
    has_more: bool


class Serving(BaseModel):
    """Who may run now."""

    campaigns: list[int]


class ReasonOut(BaseModel):
    """One hold that applies; the figures are those of a budget's."""

    hold: HoldName
    words: str
    spent: Money | None
    budget: Money | None
    left: Money | None = Field(description="What may still be spent.")
    budget_needed: Money | None = Field(description="How high the budget must be to run now.")


class Instant(BaseModel):
    """An instant, in UTC and on the brand's clock."""

    utc: dt.datetime
    local: dt.datetime


class ExplanationOut(BaseModel):
    """A campaign's state in force, and everything that holds it now, the strongest reason first."""

    is_active: bool
    hold: HoldName
    reasons: list[ReasonOut]
    limits: list[ReasonOut] = Field(description="All budgets there are, reached or not.")
    currency: str
    allowed_start_hour: int
    allowed_end_hour: int
    weekly_hours: WeeklyHours | None = Field(description=_WEEKLY_MEANS)
    timezone: str
    local_time: dt.datetime | None
    runs_again_at: Instant | None = Field(
        description="When time alone lifts every hold; null: it never does, or nothing holds it."
    )
    next_change_at: Instant | None = Field(description="When time alone starts or stops it.")
    outlook: str
    lag: str = Field(description="Why the state in force is not what would be decided now.")
    trouble: str


class PastStateOut(BaseModel):
    """The state that was in force at a past instant, from the log."""

    is_active: bool
    hold: HoldName
    since: dt.datetime
    cause: str
    actor: str
    holds: list[str]
    spent: Money | None
    budget: Money | None
    currency: str
    words: str


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Its path in what was sent, as `events.3.amount`.")
    code: str = Field(description="Stable.")
    message: str = Field(description="What is wrong and what would be right.")


# --- Webhooks ------------------------------------------------------------------------------------

EventName = Annotated[
    StrictStr,
    Field(description="What to be told.", json_schema_extra={"enum": list(WebhookEvent.values)}),
]
WebhookUrl = Annotated[
    StrictStr,
    Field(
        description="https, port 443 or 8443, at a public address.",
        max_length=LONGEST_URL,
        json_schema_extra={"examples": ["https://ads.example.com/hooks/budgets"]},
    ),
]
Description = Annotated[StrictStr, Field(max_length=200)]
BrandIds = Annotated[
    list[Annotated[StrictInt, Field(ge=1, le=LARGEST_KEY)]] | None,
    Field(description="Hear of these brands alone. Null: of all.", max_length=1000),
]


class WebhookNew(Sent):
    """Where to send what."""

    url: WebhookUrl
    description: Description = ""
    events: list[EventName] = Field(default=list(CHOSEN_BY_DEFAULT), min_length=1, max_length=20)
    brands: BrandIds = None


class WebhookEdit(Sent):
    """The fields to change; what is left out stays."""

    url: WebhookUrl | None = None
    description: Description | None = None
    events: list[EventName] | None = Field(default=None, min_length=1, max_length=20)
    brands: BrandIds = None
    is_enabled: StrictBool | None = None


class WebhookOut(BaseModel):
    """An endpoint."""

    id: int
    url: str
    description: str
    events: list[EventName]
    brands: list[int] | None = Field(description="Null: it hears of all brands.")
    is_enabled: bool
    disabled_reason: str
    failures: int = Field(description="Attempts that failed since the last one that did not.")
    created_at: dt.datetime
    previous_secret_expires_at: dt.datetime | None = Field(
        description="Until then the secret before the last rotation signs as well."
    )


class WebhookWithSecret(WebhookOut):
    """An endpoint and its secret, which no other answer shows."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


class WebhookPage(BaseModel):
    """Endpoints in the order of their ids."""

    data: list[WebhookOut]
    next_cursor: str | None = Field(description="Ask with it for the next page; null: the last.")


class DeliveryOut(BaseModel):
    """One event for one endpoint."""

    id: int
    message_id: str = Field(description="The header `webhook-id`, the same in every attempt.")
    event: EventName
    sequence: int | None = Field(description="The status change; null: a test.")
    state: Literal["pending", "delivered", "failed", "cancelled"]
    attempts: int = Field(description="Since it was written or last replayed.")
    due_at: dt.datetime = Field(description="The next attempt of one that is pending.")
    created_at: dt.datetime


class DeliveryPage(BaseModel):
    """Deliveries in the order of their ids."""

    data: list[DeliveryOut]
    next_cursor: str | None = Field(description="Ask with it for the next page; null: the last.")


class AttemptOut(BaseModel):
    """One attempt: the status of the answer, or why there was none."""

    at: dt.datetime
    status: int | None
    error: str
    duration_ms: int


class DeliveryWithAttempts(DeliveryOut):
    """A delivery with what was sent, and the last hundred attempts, oldest first."""

    body: str
    attempts_made: list[AttemptOut]


class ProblemOut(BaseModel):
    """What went wrong, as RFC 9457 tells it. Nothing was changed."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable; go by it, not by the words.")
    detail: str
    errors: list[FieldProblem] = []
