"""The admin: every edit goes through a service and decides at once."""

from budgets.admin import brand, campaign, passes, people, schedule, spend, status_change

__all__ = ["brand", "campaign", "passes", "people", "schedule", "spend", "status_change"]
