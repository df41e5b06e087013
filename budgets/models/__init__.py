"""The nouns, their constraints and the words for sets of them."""

from budgets.models.alert import (
    Alert,
    AlertKind,
    AlertMessage,
    AlertRecipient,
    MessageState,
)
from budgets.models.api_key import ApiKey, Scope
from budgets.models.archive import ArchivedSpend, SpendArchive
from budgets.models.brand import Brand
from budgets.models.brand_access import BrandAccess
from budgets.models.campaign import Campaign, CampaignCannotMove
from budgets.models.fields import AmountRefused, HoursRefused, MoneyField, WeeklyHoursField
from budgets.models.file_import import Import
from budgets.models.idempotent_answer import IdempotentAnswer
from budgets.models.pass_record import PassRecord
from budgets.models.spend import AppendOnly, Spend
from budgets.models.status_change import Cause, StatusChange
from budgets.models.waiting_report import WaitingReport
from budgets.models.webhook import (
    DeliveryState,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

__all__ = [
    "Alert",
    "AlertKind",
    "AlertMessage",
    "AlertRecipient",
    "AmountRefused",
    "ApiKey",
    "AppendOnly",
    "ArchivedSpend",
    "Brand",
    "BrandAccess",
    "Campaign",
    "CampaignCannotMove",
    "Cause",
    "DeliveryState",
    "HoursRefused",
    "IdempotentAnswer",
    "Import",
    "MessageState",
    "MoneyField",
    "PassRecord",
    "Scope",
    "Spend",
    "SpendArchive",
    "StatusChange",
    "WaitingReport",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "WeeklyHoursField",
]
