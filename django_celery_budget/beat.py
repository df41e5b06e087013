"""Beat's scheduler: that of django-celery-beat, which a clock that is set back does not stop."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

logger = logging.getLogger(__name__)

NOTICED = 1.0
"""Seconds back from which ticks are planned anew: less delays a tick by less."""


class Entry(ModelEntry):  # type: ignore[misc]  # the package ships no types
    """A row of the schedule. What it says was sent in the future was sent before the clock went back."""

    last_run_at: datetime

    def is_due(self) -> Any:
        """Tell whether to send now, and in how many seconds to ask again."""
        self.last_run_at = min(self.last_run_at, self._default_now())
        return super().is_due()


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # the package ships no types
    """Plans the ticks anew when the clock went back.

    Celery 5.7 keeps the instants of the next ticks and waits for them: after a step back by an hour
    beat stood still for one, and so it did when it was restarted, as `last_run_at` lay ahead.
    """

    Entry = Entry
    _looked_at = 0.0

    def tick(self, *args: Any, **options: Any) -> Any:
        """Send what is due; return the seconds until the next look."""
        now = time.time()
        if now < self._looked_at - NOTICED:
            logger.warning("the clock went back by %.0f s; ticks go on", self._looked_at - now)
            # Read and plan everything as at a start.
            self._initial_read, self._heap = True, None
        self._looked_at = now
        return super().tick(*args, **options)

    def close(self) -> None:
        """Save nothing yet: it is a signal that asks, perhaps in the middle of a statement.

        Another one on the same connection would wait for that, and that for the signal's handler: one
        of some fifteen stops never ended. Each run is saved when it is sent, what is left at exit.
        """
