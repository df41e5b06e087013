"""The Celery app: `celery -A django_celery_budget worker -l info`, and `… beat -l info`.

Its settings are the `CELERY_…` table of `settings.py`.
"""

from __future__ import annotations

import logging.config
import os
import signal
from typing import Any

from celery import Celery
from celery.signals import (
    beat_init,
    celeryd_init,
    setup_logging,
    worker_process_init,
)
from kombu.transport.redis import QoS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_celery_budget.settings")

_restore_unacked = QoS.restore_unacked


def restore_what_can_be(qos: Any, client: Any = None) -> Any:
    """Give unacknowledged messages back to the broker, unless its connection is gone already.

    kombu 5.7 then fails with an AttributeError that no reconnect catches, and the worker ends: seen
    once in some twenty stops of a broker while a task ran. The messages come back all the same, when
    their visibility timeout is over.
    """
    if qos.channel.connection.client is None:
        return None
    return _restore_unacked(qos, client)


setattr(QoS, "restore_unacked", restore_what_can_be)  # noqa: B010  # mypy knows it as a method

app = Celery("django_celery_budget")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def use_our_log(loglevel: int | str | None = None, **_: Any) -> None:
    """Keep Celery from configuring a log of its own; `-l` still chooses the level."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
    logging.getLogger().setLevel(loglevel or logging.INFO)


@celeryd_init.connect
@beat_init.connect
def prepare(**_: Any) -> None:
    """Start or join the embedded broker when no REDIS_URL is given, and keep no connection.

    A connection that a time limit's signal interrupted must not serve the next task.
    """
    from django.conf import settings
    from django.db import connections

    from django_celery_budget import broker

    for alias in connections:
        connections[alias].settings_dict["CONN_MAX_AGE"] = 0
    if not settings.REDIS_URL:
        broker.ensure_embedded(settings.DATA_DIR)


@worker_process_init.connect
def end_with_worker(**_: Any) -> None:
    """Let no pool process outlive a worker that was killed: it would hold its brands' locks."""
    from django_celery_budget import lifeline

    lifeline.die_with_parent(signal.SIGKILL)
