"""The product's settings, in a process on the clock of the file BUDGETS_TEST_CLOCK.

Worker and beat live with it through a midnight that nobody has to wait for, and through clocks that
are set while they run. Time goes on as usual meanwhile; the monotonic clock knows nothing of it.
"""

import os
from datetime import timedelta
from pathlib import Path

import time_machine

from budgets.tests.chaos.clock import Clock

_clock = Clock(Path(os.environ["BUDGETS_TEST_CLOCK"]))
# Before anything else of the process reads the clock; the worker's children inherit it by fork.
_traveller = time_machine.travel(timedelta(0)).start()


def _time_ns() -> int:
    ahead = _clock.ahead // timedelta(microseconds=1) * 1000
    return time_machine.escape_hatch.time.time_ns() + ahead


# Asked at each question, unlike where a traveller was sent once.
_traveller.time_ns = _time_ns  # type: ignore[method-assign]

from django_celery_budget.settings import *  # noqa: E402, F403  # see above
