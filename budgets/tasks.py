"""The periodic tasks. A message carries no data: it is a nudge, and the database is the queue."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from budgets.services import passes


@shared_task(name="budgets.tasks.check_and_pause_campaigns")
def check_and_pause_campaigns(**_future: object) -> dict[str, int]:
    """Count uncounted spend and decide every brand that is due."""
    return passes.check_and_pause(timezone.now())


@shared_task(name="budgets.tasks.reset_daily_monthly_spend")
def reset_daily_monthly_spend(**_future: object) -> dict[str, int]:
    """Roll totals of a local day or month that is over, and reactivate whom that frees."""
    return passes.reset(timezone.now())
