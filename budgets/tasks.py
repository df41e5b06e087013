"""The periodic tasks. A message carries no data: it is a nudge, and the database is the queue."""

from __future__ import annotations

import logging
import time

from celery import shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError

from budgets.core.durations import stopwatch
from budgets.services import deliveries, passes
from budgets.services.alerts import sending, watching
from django_celery_budget import schedule

logger = logging.getLogger(__name__)


@shared_task(name="budgets.tasks.check_and_pause_campaigns")
def check_and_pause_campaigns(**_future: object) -> dict[str, int]:
    """Count uncounted spend and decide every brand that is due."""
    now, elapsed = timezone.now(), stopwatch(time.monotonic)
    _ask_for(passes.help_wanted(now))
    return passes.check_and_pause(now, elapsed)


@shared_task(name="budgets.tasks.reset_daily_monthly_spend")
def reset_daily_monthly_spend(**_future: object) -> dict[str, int]:
    """Roll totals of a local day or month that is over, and reactivate whom that frees."""
    now, elapsed = timezone.now(), stopwatch(time.monotonic)
    _ask_for(passes.help_wanted(now))
    return passes.reset(now, elapsed)


@shared_task(name="budgets.tasks.drain_due_brands")
def drain_due_brands(**_future: object) -> dict[str, int]:
    """Help a pass that has much to do; a message that is lost is not missed."""
    return passes.help_drain(timezone.now())


@shared_task(name="budgets.tasks.deliver_webhooks")
def deliver_webhooks(**_future: object) -> dict[str, int]:
    """Send the deliveries that are due; several may run at once."""
    return deliveries.deliver(timezone.now())


@shared_task(name="budgets.tasks.raise_alerts")
def raise_alerts(**_future: object) -> dict[str, int]:
    """Raise what should be told by now and was not; several may run at once."""
    known = schedule.entries()
    jobs = (passes.CHECK_AND_PAUSE, passes.RESET)
    patience = {job: schedule.patience(known, job) for job in jobs}
    return watching.look(timezone.now(), patience)


@shared_task(name="budgets.tasks.send_alerts")
def send_alerts(**_future: object) -> dict[str, int]:
    """Send the mails about alerts that are due; several may run at once."""
    return sending.send(timezone.now())


def _ask_for(helpers: int) -> None:
    try:
        for _ in range(helpers):
            # After a minute the next pass asks again if help is still wanted.
            drain_due_brands.apply_async(expires=60)
    except OperationalError as error:
        logger.warning("nobody could be asked for help: %s", error)
