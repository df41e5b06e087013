"""The product's settings, in the processes of a trial: its clock, and one planted bug if any."""

import os
from pathlib import Path

from django.utils import timezone

from budgets.tests.chaos.clock import Clock
from django_celery_budget.settings import *  # noqa: F403  # all of them
from django_celery_budget.settings import INSTALLED_APPS as INSTALLED

# The doors ask it through its module; what the database stamps by itself stays the machine's time.
CHAOS_CLOCK = Clock(Path(os.environ["CHAOS_CLOCK"]))
timezone.now = CHAOS_CLOCK.now

INSTALLED_APPS = [*INSTALLED, "budgets.tests.chaos.planted.Chaos"]
