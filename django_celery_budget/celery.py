"""The Celery app: `celery -A django_celery_budget worker -l info`, and `… beat -l info`.

Its settings are the `CELERY_…` table of `settings.py`.
"""

from __future__ import annotations

import logging.config
import os
import signal
from typing import Any

import billiard.pool
import structlog
from celery import Celery
from celery.signals import (
    beat_init,
    before_task_publish,
    celeryd_init,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_process_init,
)
from kombu.transport.redis import Channel, QoS
from redis.exceptions import ConnectionError as BrokerGone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_celery_budget.settings")

# kombu's channels and their bookkeeping, as what they are to a type checker: whatever they are.
_channel: Any = Channel
_qos: Any = QoS
_connparams = _channel._connparams  # noqa: SLF001  # what fails in it has no public name
_restore_unacked = _qos.restore_unacked


def is_cut_off(channel: Any) -> bool:
    """Tell whether kombu has taken the connection from a channel that somebody still holds."""
    return channel.connection is None or channel.connection.client is None


def connection_of(channel: Any, **how: Any) -> Any:
    """Return how to reach the broker; a channel that was cut off raises what a lost broker raises.

    kombu 5.7 raises an AttributeError there, which no reconnect catches: a task that ended while the
    broker was gone could not be acknowledged, and the worker ended (in one of some twenty stops).
    """
    if is_cut_off(channel):
        raise BrokerGone("the connection of this channel to the broker is gone")
    return _connparams(channel, **how)


def restore_what_can_be(qos: Any, client: Any = None) -> Any:
    """Give unacknowledged messages back to the broker, unless the connection is gone already.

    They come back all the same, when their visibility timeout is over.
    """
    return None if is_cut_off(qos.channel) else _restore_unacked(qos, client)


# Whoever stops a worker waits for its pool processes, and these wait until it has read what they did:
# for half a minute, where the worker had taken their last task for not begun and reads nothing more
# (billiard 4.3, in one of ten stops under load). What was not acknowledged comes again anyhow.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 20  # times 0.1 s

_channel._connparams = connection_of  # noqa: SLF001
_qos.restore_unacked = restore_what_can_be

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


HANDED_ON = ("request_id", "pass_id")
"""What the log calls the request, or the pass, in which a task was sent: the task's log says it too."""


@before_task_publish.connect
def hand_on(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Send along who asked."""
    if headers is not None:
        bound = structlog.contextvars.get_contextvars()
        headers.update({name: bound[name] for name in HANDED_ON if name in bound})


@task_prerun.connect
def name_pass(task_id: str, task: Any, **_: Any) -> None:
    """Name the run in every line of its log: a helper's by the pass that asked for it."""
    brought = {name: task.request.get(name) for name in HANDED_ON}
    names = {"pass_id": task_id} | {name: value for name, value in brought.items() if value}
    structlog.contextvars.bind_contextvars(**names)


@task_postrun.connect
def forget_pass(**_: Any) -> None:
    """Leave no name to what the process does next."""
    structlog.contextvars.unbind_contextvars(*HANDED_ON)
