"""The admin: every edit goes through a service and decides at once."""

from budgets.admin import (
    alert,
    api_key,
    brand,
    campaign,
    passes,
    people,
    schedule,
    spend,
    status_change,
    webhook,
)

__all__ = [
    "alert",
    "api_key",
    "brand",
    "campaign",
    "passes",
    "people",
    "schedule",
    "spend",
    "status_change",
    "webhook",
]
