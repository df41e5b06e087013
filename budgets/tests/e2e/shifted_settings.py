"""The product's settings, in a process whose clock is ahead: BUDGETS_TEST_AHEAD, in seconds.

Worker and beat live through a midnight with it that nobody has to wait for. Time goes on as usual.
"""

import os
from datetime import UTC, datetime, timedelta

import time_machine

# Before anything else of the process reads the clock; the worker's children inherit it by fork.
_ahead = timedelta(seconds=float(os.environ["BUDGETS_TEST_AHEAD"]))
time_machine.travel(datetime.now(UTC) + _ahead, tick=True).start()

from django_celery_budget.settings import *  # noqa: E402, F403  # see above
